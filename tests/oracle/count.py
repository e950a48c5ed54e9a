#!/usr/bin/env python3
"""Counts CloudTrail files from first principles, slowly and plainly, as the check on trailmeter: `count.py PATH… [--window W] [--at T]`."""

import argparse
import datetime
import json
import pathlib
import random
import re
import sys
import zlib
from collections import Counter
from fractions import Fraction

import access_log

MINUTE, HOUR = 60, 3600
# window -> (size of a bucket, how many buckets make the window, how many buckets are kept)
WINDOWS = {"5m": (MINUTE, 5, 120), "1h": (MINUTE, 60, 120), "24h": (HOUR, 24, 48)}
FUTURE = 15 * MINUTE

NOT_CALLS = ("insight", "aggregated", "digest", "network_activity")
DROPPED = ("duplicate", "correction", "shared_copy")
REJECTED = ("not_json", "not_object", "no_time", "bad_time", "future_time", "no_source", "no_name", "too_large", "too_deep")
UNKNOWN = ("service", "console", "other", "not_reported")
WEAKNESSES = ("sigv2", "tls10", "tls11", "long_term_key")  # in the order of the rows
LISTS = ("clients", "source_ips", "sessions", "event_sources", "event_names", "aws_regions", "vpc_endpoints", "buckets", "key_ids",
         "opened_by")
LONGEST = 512  # bytes of a string in a list

SIGNATURES = {"sigv2": "SigV2", "2": "SigV2", "sigv4": "SigV4", "4": "SigV4", "sigv4a": "SigV4A"}
TLS = {"tlsv1": "TLSv1", "tlsv1.0": "TLSv1", "tlsv1.1": "TLSv1.1", "tlsv1.2": "TLSv1.2", "tlsv1.3": "TLSv1.3"}


# --- values ------------------------------------------------------------------------------------------------------

def text(holder, key):
    """The string under a key. Anything that tells nothing (absent, empty, hidden, not a string) is None."""
    value = holder.get(key)
    if isinstance(value, str) and value not in ("", "HIDDEN_DUE_TO_SECURITY_REASONS"):
        return value
    return None


def child(holder, key):
    """The object under a key, or an empty one."""
    value = holder.get(key)
    return value if isinstance(value, dict) else {}


TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?Z")


def days_from_civil(year, month, day):
    """Days since 1970-01-01 in the proleptic Gregorian calendar (year 0 included, which `datetime` refuses)."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def days_in_month(year, month):
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def parse_time(string):
    """Seconds since 1970 of an RFC 3339 time with T and Z, None for anything else. A leap second is in its own minute."""
    found = TIME.fullmatch(string)
    if not found:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    if not (1 <= month <= 12 and 1 <= day <= days_in_month(year, month) and hour <= 23 and minute <= 59):
        return None
    if second > 60 or (second == 60 and (hour, minute) != (23, 59)):
        return None
    at = days_from_civil(year, month, day) * 86400 + hour * HOUR + minute * MINUTE + min(second, 59)
    if found[7] and second < 60:
        return at + Fraction(int(found[7]), 10 ** len(found[7]))
    return at


def format_time(seconds):
    """A time as the API writes it: to the second, UTC."""
    days, second = divmod(int(seconds // 1), 86400)
    era, of_era = divmod(days + 719468, 146097)
    year_of_era = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month, day = (5 * of_year + 2) // 153, of_year - (153 * ((5 * of_year + 2) // 153) + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    year = year_of_era + era * 400 + (month <= 2)
    return f"{year:04}-{month:02}-{day:02}T{second // HOUR:02}:{second % HOUR // MINUTE:02}:{second % MINUTE:02}Z"


# --- what an event tells -----------------------------------------------------------------------------------------

def category(event):
    """Which of the not-calls an event is, or None where it can be a call."""
    kind, family = text(event, "eventType"), text(event, "eventCategory")
    if family == "Insight" or kind == "AwsCloudTrailInsight":
        return "insight"
    if family == "Aggregated" or kind == "AwsAggregatedEvent":
        return "aggregated"
    if family == "NetworkActivity" and text(event, "errorCode") != "VpceAccessDenied":
        return "network_activity"
    if "digestStartTime" in event and "digestEndTime" in event:
        return "digest"
    return None


def event_id(event):
    return text(event, "eventId" if category(event) == "aggregated" else "eventID")


def caller_account(event):
    return text(child(event, "userIdentity"), "accountId")


def account_id(event):
    return caller_account(event) or text(event, "recipientAccountId") or "unknown"


def partition(event):
    """The partition of the first ARN in the event: who called, the role behind it, what it touched."""
    who = child(event, "userIdentity")
    arns = [text(who, "arn"), text(child(child(who, "sessionContext"), "sessionIssuer"), "arn")]
    resources = event.get("resources")
    for resource in resources if isinstance(resources, list) else []:
        if isinstance(resource, dict):
            arns += [text(resource, "ARN"), text(resource, "arn")]
    for arn in arns:
        parts = (arn or "").split(":")
        if len(parts) >= 6 and parts[0] == "arn" and parts[1]:
            return parts[1]
    return "aws"


ASSUMED_ROLE = re.compile(r"arn:([^:]+):sts::([^:]*):assumed-role/([^/]+)/(.+)", re.DOTALL)


def principal_by_type(event):
    """The row of the identity table; None where it yields nothing."""
    who = child(event, "userIdentity")
    kind = text(who, "type")
    issuer = text(child(child(who, "sessionContext"), "sessionIssuer"), "arn")
    if kind in ("IAMUser", "Role"):
        return text(who, "arn")
    if kind == "AssumedRole":
        if issuer:
            return issuer
        found = ASSUMED_ROLE.fullmatch(text(who, "arn") or "")
        return f"arn:{found[1]}:iam::{found[2]}:role/{found[3]}" if found else None
    if kind == "Root":
        return f"arn:{partition(event)}:iam::{account_id(event)}:root"
    if kind == "FederatedUser":
        return issuer or text(who, "arn")
    if kind == "AWSService":
        return text(who, "invokedBy")
    if kind == "AWSAccount":
        if text(who, "accountId") in ("anonymous", "ANONYMOUS_PRINCIPAL"):
            return "anonymous"
        return (text(who, "principalId") or "").split(":")[0] or f"account:{account_id(event)}"
    if kind in ("WebIdentityUser", "SAMLUser"):
        provider, name = text(who, "identityProvider"), text(who, "userName")
        return f"{provider}/{name}" if provider and name else text(who, "principalId")
    if kind == "IdentityCenterUser":
        user = text(child(who, "onBehalfOf"), "userId")
        return f"identitycenter:{user}" if user else text(who, "principalId")
    return None


def principal(event):
    who = child(event, "userIdentity")
    return (principal_by_type(event) or text(who, "arn") or text(who, "userName") or text(who, "principalId")
            or text(who, "invokedBy") or "unknown")


def additional(event):
    """additionalEventData: an object, or a string that holds one."""
    value = event.get("additionalEventData")
    if isinstance(value, str):
        try:
            value = parse_json(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def unknown_because(event, raw):
    who = child(event, "userIdentity")
    if text(who, "invokedBy") or text(event, "eventType") == "AwsServiceEvent" or text(who, "type") == "AWSService":
        return "service"
    console = event.get("sessionCredentialFromConsole")
    if console is True or console == "true":
        return "console"
    return "other" if raw else "not_reported"


def signature(event):
    """(version, None), or ("unknown", why)."""
    raw = text(additional(event), "SignatureVersion")
    known = SIGNATURES.get((raw or "").lower())
    return (known, None) if known else ("unknown", unknown_because(event, raw))


def tls(event):
    """(version, None), or ("unknown", why)."""
    raw = text(child(event, "tlsDetails"), "tlsVersion")
    known = TLS.get((raw or "").lower())
    return (known, None) if known else ("unknown", unknown_because(event, raw))


# --- what a weak caller's row tells ------------------------------------------------------------------------------

def presigned(event):
    return text(additional(event), "AuthenticationMethod") == "QueryString"


def weaknesses(event):
    """Those of a call. What a service did on behalf of somebody has none; the TLS of a presigned call is its opener's."""
    who, tls_version = child(event, "userIdentity"), None if presigned(event) else tls(event)[0]
    if text(who, "invokedBy"):
        return []
    has = {"sigv2": signature(event)[0] == "SigV2", "tls10": tls_version == "TLSv1", "tls11": tls_version == "TLSv1.1",
           "long_term_key": (text(who, "accessKeyId") or "").startswith("AKIA")}
    return [weakness for weakness in WEAKNESSES if has[weakness]]


def failed(event):
    return bool(text(event, "errorCode") or text(child(event, "responseElements"), "errorCode"))


def outside(event, accounts):
    """Is the caller nobody's, or none of ours?"""
    who = child(event, "userIdentity")
    if text(who, "type") == "AWSAccount" and text(who, "accountId") in ("anonymous", "ANONYMOUS_PRINCIPAL"):
        return True
    return bool(accounts) and account_id(event) not in accounts


# What separates the products of a user agent: a header is ASCII.
WHITE = "\t\n\f\r "
WHITES = re.compile(f"[{WHITE}]+")
SDK = re.compile(r"aws-sdk-.*|boto3|aws-cli|botocore|boto|awspowershell|awspowershell\.netcore", re.IGNORECASE | re.ASCII)


def products(words):
    """(name, version) of each word of a user agent that is `name/version` or `md/name#version`."""
    for word in words:
        rest, between = (word[3:], "#") if word.startswith("md/") else (word, "/")
        name, found, version = rest.partition(between)
        if found and name and not name.startswith("("):
            yield name, version


def client_product(event):
    """Name and version of what made the call, by its user agent: the SDK, else what comes first, else the whole text as a name;
    None where it is empty."""
    agent = (text(event, "userAgent") or "").strip(WHITE)
    if agent.startswith("["):
        agent = agent[1:].removesuffix("]").strip(WHITE)
    if not agent:
        return None
    words = [word.rstrip(",;]") for word in WHITES.split(agent)]
    named = list(products(words))
    # A console calls with an SDK of its own, which nobody can upgrade.
    sdks = [] if words[0].split("/")[0].endswith("Console") else [product for product in named if SDK.fullmatch(product[0])]
    if not sdks and not (named and "/" in words[0]):
        return agent, ""
    return (sdks or named)[0]


def client(event):
    """The same in one."""
    product = client_product(event)
    return product and (f"{product[0]}/{product[1]}" if product[1] else product[0])


def session(event):
    """What stands after the role in the ARN of an assumed role."""
    return (text(child(event, "userIdentity"), "arn") or "").partition(":assumed-role/")[2].partition("/")[2]


def bucket(event):
    """The one the request names, else the one of the first resource that has an ARN."""
    name = text(child(event, "requestParameters"), "bucketName")
    if name:
        return name
    resources = event.get("resources")
    for resource in resources if isinstance(resources, list) else []:
        arn = (text(resource, "ARN") or text(resource, "arn") or "") if isinstance(resource, dict) else ""
        if arn.startswith("arn:"):
            return arn.partition(":s3:::")[2].partition("/")[0]
    return None


def details(event):
    """What a call adds to each list of its caller: a string, or nothing (None or empty)."""
    address, program = text(event, "sourceIPAddress"), client(event)
    added = {"event_sources": text(event, "eventSource"), "event_names": text(event, "eventName"), "aws_regions": text(event, "awsRegion"),
             "sessions": session(event), "vpc_endpoints": text(event, "vpcEndpointId"), "buckets": bucket(event),
             "key_ids": text(child(event, "userIdentity"), "accessKeyId")}
    if presigned(event):
        return added | {"opened_by": " ".join(part for part in (address, program) if part)}
    return added | {"clients": program, "source_ips": address}


def cut(string):
    """As many whole characters as the longest string of a list may have bytes."""
    string = string[:LONGEST]
    while len(string.encode("utf-8", "surrogatepass")) > LONGEST:
        string = string[:-1]
    return string


# --- bytes to events ---------------------------------------------------------------------------------------------

def refuse(constant):
    raise ValueError(f"{constant} is not JSON")


# Numbers tell nothing here, and a float has no limit on its digits.
DECODER = json.JSONDecoder(parse_constant=refuse, parse_int=float)
SPACE = re.compile(r"[ \t\r\n]*")
NOT_UTF8 = re.compile("[\udc80-\udcff]")


class Break(Exception):
    """Where the text stops being JSON; the message is the reason the event is rejected for."""


def skip(string, at):
    return SPACE.match(string, at).end()


def value_at(string, at):
    """The JSON value at a place, and the place after it."""
    try:
        value, end = DECODER.raw_decode(string, at)
    except RecursionError:
        raise Break("too_deep") from None
    except ValueError:
        raise Break("not_json") from None
    if NOT_UTF8.search(string, at, end):
        raise Break("not_json")
    return value, end


def parse_json(string):
    """One value and nothing beside it."""
    try:
        value, end = value_at(string, skip(string, 0))
    except Break as broken:
        raise ValueError(str(broken)) from None
    if skip(string, end) != len(string):
        raise ValueError("not_json")
    return value


def open_value(value):
    """The events in a whole value: ("event", e), ("reject", reason), ("record", reason)."""
    if isinstance(value, list):
        for item in value:
            yield "event", item
    elif not isinstance(value, dict):
        yield "event", value
    elif isinstance(value.get("Records"), list):
        for item in value["Records"]:
            yield "event", item
    elif isinstance(value.get("messageType"), str) and isinstance(value.get("logEvents"), list):
        if value["messageType"] == "CONTROL_MESSAGE":
            yield "record", "control"
            return
        for entry in value["logEvents"]:
            message = entry.get("message") if isinstance(entry, dict) else None
            if not isinstance(message, str):
                yield "event", None
                continue
            try:
                yield "event", parse_json(message)
            except ValueError as broken:
                yield "reject", str(broken)
    elif isinstance(value.get("detail-type"), str):
        if value["detail-type"].endswith("via CloudTrail") and "detail" in value:
            yield "event", value["detail"]
        else:
            yield "record", "unknown_envelope"
    else:
        yield "event", value


def array_items(string, at):
    """The elements of an array whose `[` stands at `at`; Break after the last whole one, else returns the end."""
    at = skip(string, at + 1)
    if string.startswith("]", at):
        return at + 1
    while True:
        value, at = value_at(string, skip(string, at))
        yield "event", value
        at = skip(string, at)
        if string.startswith("]", at):
            return at + 1
        if not string.startswith(",", at):
            raise Break("not_json")
        at = skip(string, at + 1)


def broken_value(string, at):
    """The whole events in a value that is known to break: only an array or {"Records":[…]} has any."""
    if string.startswith("[", at):
        yield from array_items(string, at)
        return
    if not string.startswith("{", at):
        raise Break("not_json")
    at = skip(string, at + 1)
    while True:
        key, at = value_at(string, at)
        at = skip(string, at)
        if not isinstance(key, str) or not string.startswith(":", at):
            raise Break("not_json")
        at = skip(string, at + 1)
        if key == "Records" and string.startswith("[", at):
            at = yield from array_items(string, at)
        else:
            _, at = value_at(string, at)
        at = skip(string, at)
        if not string.startswith(",", at):
            raise Break("not_json")
        at = skip(string, at + 1)


def has_records(string, at):
    """Does the (broken) value at a place hold events before it breaks?"""
    try:
        for _ in broken_value(string, at):
            return True
    except Break:
        pass
    return bool(re.compile(r'\[|\{[ \t\r\n]*"Records"[ \t\r\n]*:[ \t\r\n]*\[').match(string, at))


def is_whole(string):
    """Is this text a run of whole values (one, usually)?"""
    at = skip(string, 0)
    while at < len(string):
        try:
            _, at = value_at(string, at)
        except Break:
            return False
        at = skip(string, at)
    return True


def run_of_values(string, cut):
    """Values one after another; of a broken one its whole events, then one rejection, then nothing more.
    A text whose compression was cut is not rejected once more for ending there."""
    at = skip(string, 0)
    while at < len(string):
        try:
            value, end = value_at(string, at)
        except Break as broken:
            reason = str(broken)
            try:
                yield from broken_value(string, at)
            except Break as inner:
                reason = str(inner)
            if not cut:
                yield "reject", reason
            return
        rest_of_line = string[end:].split("\n", 1)[0]
        if not isinstance(value, (dict, list)) and rest_of_line.strip():
            # `2025-07-01 some text` is a line of text, not the number 2025 with something behind it.
            yield "reject", "not_json"
            return
        yield from open_value(value)
        at = skip(string, end)


def lines_of_values(string, cut):
    lines = string.split("\n")
    for number, line in enumerate(lines, 1):
        yield from run_of_values(line, cut and number == len(lines))


def lines_of_log(string, cut):
    """An access log: what is no line of one is no event."""
    lines = string.split("\n")
    for number, line in enumerate(lines, 1):
        whole = not (cut and number == len(lines))
        made = None if NOT_UTF8.search(line) else access_log.event(line.strip())
        if line.strip() and whole:
            yield ("event", made) if made else ("reject", "not_json")


def open_text(string, cut=False):
    """Any of: {"Records"}, array, NDJSON, bare values on one line or pretty-printed, EventBridge, CloudWatch Logs."""
    start = skip(string, 0)
    if start == len(string):
        if not cut:
            yield "record", "empty"
        return
    first = string[start:].split("\n", 1)[0]
    if start == 0 and access_log.begins(string):
        yield from lines_of_log(string, cut)
    elif is_whole(first):
        yield from lines_of_values(string, cut)
    elif has_records(string, start) or is_whole(string):
        yield from run_of_values(string, cut)
    elif any(line.startswith('{"') and is_whole(line) for line in string.split("\n")):
        yield from lines_of_values(string, cut)
    else:
        yield from run_of_values(string, cut)


def gunzip(data):
    """(what decompresses, is it all and sound), over all members of the file."""
    out = bytearray()
    while data.startswith(b"\x1f\x8b"):
        member = zlib.decompressobj(wbits=31)
        try:
            out += member.decompress(data)
        except zlib.error:
            # The bytes before the fault are lost with the exception: once more, one at a time.
            member = zlib.decompressobj(wbits=31)
            try:
                for place in range(len(data)):
                    out += member.decompress(data[place:place + 1])
            except zlib.error:
                pass
            return bytes(out), False
        if not member.eof:
            return bytes(out), False
        data = member.unused_data
    return bytes(out), not data.strip(b"\0")


def open_bytes(data):
    """Everything a file holds, in order: ("event", value), ("reject", reason of an event), ("record", reason)."""
    sound = True
    while data.startswith(b"\x1f\x8b"):
        data, whole = gunzip(data)
        sound = sound and whole
    yield from open_text(data.decode("utf-8", "surrogateescape"), cut=not sound)
    if not sound:
        yield "record", "bad_gzip"


# --- the count ---------------------------------------------------------------------------------------------------

def client_part(event, part):
    """The client's name (0) or version (1)."""
    return (client_product(event) or ("", ""))[part]


def key_kind(event):
    key = text(child(event, "userIdentity"), "accessKeyId") or ""
    return {"AKIA": "long_term", "ASIA": "temporary"}.get(key[:4], "other") if key else "none"


# What `scan --group-by` tells calls apart by.
FIELDS = {
    "account_id": account_id,
    "principal": principal,
    "identity_type": lambda event: text(child(event, "userIdentity"), "type"),
    "session": session,
    "signature_version": lambda event: signature(event)[0],
    "presigned": presigned,
    "tls_version": lambda event: tls(event)[0],
    "key_id": lambda event: text(child(event, "userIdentity"), "accessKeyId"),
    "key_kind": key_kind,
    "event_source": lambda event: text(event, "eventSource"),
    "event_name": lambda event: text(event, "eventName"),
    "aws_region": lambda event: text(event, "awsRegion"),
    "source_ip": lambda event: text(event, "sourceIPAddress"),
    "user_agent": lambda event: text(event, "userAgent"),
    "client": lambda event: client_part(event, 0),
    "client_version": lambda event: client_part(event, 1),
    "bucket": bucket,
    "error_code": lambda event: text(event, "errorCode"),
    "vpc_endpoint_id": lambda event: text(event, "vpcEndpointId"),
}
DEFAULT = ("account_id", "principal", "signature_version", "tls_version")


class Count:
    """One lineage: what came in, judged in the order of arrival."""

    def __init__(self, now=None, accounts=(), dedup=True, newest_of="calls", group_by=DEFAULT, since=None, until=None):
        self.group_by, self.since, self.until = group_by, since, until
        self.groups = {}  # values of the fields -> [calls, first, last]
        self.now, self.accounts, self.dedup, self.newest_of = now, frozenset(accounts), dedup, newest_of
        self.events = self.calls = self.late = 0
        self.not_calls, self.dropped, self.rejected, self.records = Counter(), Counter(), Counter(), Counter()
        self.unknown = {"signature": Counter(), "tls": Counter()}
        self.seen = set()
        self.newest = None
        self.buckets = {MINUTE: {}, HOUR: {}}  # size -> number of the bucket -> Counter of rows
        self.weak = {}  # (weakness, account, principal) -> what its calls come to

    def add_bytes(self, data):
        for kind, value in open_bytes(data):
            if kind == "event":
                self.add(value)
            elif kind == "reject":
                self.events += 1
                self.rejected[value] += 1
            else:
                self.records[value] += 1

    def add(self, event):
        """Judges one event. Returns what it was."""
        self.events += 1
        verdict, which = self.judge(event)
        {"rejected": self.rejected, "dropped": self.dropped, "not_call": self.not_calls, "call": Counter()}[verdict][which] += 1
        if verdict == "call":
            self.calls += 1
            self.count_call(event)
        return which or verdict

    def judge(self, event):
        if not isinstance(event, dict):
            return "rejected", "not_object"
        not_call = category(event)
        at = parse_time(text(event, "eventTime") or "")
        if not_call is None:
            if text(event, "eventTime") is None:
                return "rejected", "no_time"
            if at is None:
                return "rejected", "bad_time"
            now = self.now if self.now is not None else wall_clock()
            if at > now + FUTURE:
                return "rejected", "future_time"
            if text(event, "eventSource") is None:
                return "rejected", "no_source"
            if text(event, "eventName") is None:
                return "rejected", "no_name"
            if self.newest_of == "all":
                self.newest = at if self.newest is None else max(self.newest, at)
        identity = event_id(event)
        if self.dedup and identity is not None:
            if identity in self.seen:
                return "dropped", "duplicate"
            self.seen.add(identity)
        if text(child(event, "addendum"), "originalEventID") is not None:
            return "dropped", "correction"
        if not_call is not None:
            return "not_call", not_call
        caller, recipient = caller_account(event), text(event, "recipientAccountId")
        if caller in self.accounts and recipient is not None and recipient != caller:
            return "dropped", "shared_copy"
        return "call", None

    def count_call(self, event):
        at = parse_time(event["eventTime"])
        (signature_version, no_signature), (tls_version, no_tls) = signature(event), tls(event)
        if no_signature:
            self.unknown["signature"][no_signature] += 1
        if no_tls:
            self.unknown["tls"][no_tls] += 1
        row = (account_id(event), principal(event), signature_version, tls_version)
        if (self.since is None or at >= self.since) and (self.until is None or at < self.until):
            values = tuple(FIELDS[field](event) or ("" if field != "presigned" else False) for field in self.group_by)
            totals = self.groups.setdefault(values, [0, at, at])
            totals[:] = totals[0] + 1, min(totals[1], at), max(totals[2], at)
        for weakness in weaknesses(event):
            self.count_weakness(weakness, event, at)

        self.newest = at if self.newest is None else max(self.newest, at)
        if at // HOUR < self.newest // HOUR - (WINDOWS["24h"][2] - 1):
            self.late += 1
            return
        for size, buckets in self.buckets.items():
            buckets.setdefault(int(at // size), Counter())[row] += 1

    def count_weakness(self, weakness, event, at):
        new = {"calls": 0, "errors": 0, "presigned": 0, "first": at, "last": at, "outside": True, "lists": {name: set() for name in LISTS}}
        caller = self.weak.setdefault((weakness, account_id(event), principal(event)), new)
        caller["calls"] += 1
        caller["errors"] += failed(event)
        caller["presigned"] += presigned(event)
        caller["first"], caller["last"] = min(caller["first"], at), max(caller["last"], at)
        caller["outside"] = caller["outside"] and outside(event, self.accounts)
        for name, value in details(event).items():
            if value:
                caller["lists"][name].add(cut(value))

    # what it comes to

    def totals(self, zeros=False):
        """/api/v1/totals without `records`."""
        return {"events": self.events, "calls": self.calls, "not_calls": closed(self.not_calls, NOT_CALLS, zeros),
                "dropped": closed(self.dropped, DROPPED, zeros), "rejected": closed(self.rejected, REJECTED, zeros),
                "late": self.late}

    def coverage(self, zeros=False):
        """/api/v1/coverage."""
        return {of: {"known": self.calls - sum(why.values()), "unknown": closed(why, UNKNOWN, zeros)}
                for of, why in self.unknown.items()}

    def earliest_at(self, window):
        """The earliest `at` at which the whole window is still kept; None where nothing came in yet."""
        if self.newest is None:
            return None
        size, width, kept = WINDOWS[window]
        return (int(self.newest // size) - (kept - 1) + (width - 1)) * size

    def window(self, window, at):
        """/api/v1/windows at a time in seconds; None where that is a 400."""
        earliest = self.earliest_at(window)
        if earliest is not None and at < earliest:
            return None
        size, width, _ = WINDOWS[window]
        last = int(at // size)
        rows = Counter()
        for number in range(last - width + 1, last + 1):
            rows.update(self.buckets[size].get(number, {}))
        return {"window": window, "at": format_time(at), "rows": [row_of(row, rows[row]) for row in sorted(rows)]}

    def suggest_at(self, window, number):
        """Times worth asking for: the ends of what is kept, and where calls enter and leave the window."""
        if self.newest is None or number < 1:
            return []
        size, width, kept = WINDOWS[window]
        newest, earliest = int(self.newest // 1), self.earliest_at(window)
        last = newest // size * size
        asked = [newest, earliest, last + size - 1, last + size, last + (width - 1) * size, last + width * size]
        first = last // size - kept + 1
        busy = [b for b in sorted(self.buckets[size]) if first <= b]
        full = sorted(busy, key=lambda b: (-sum(self.buckets[size][b].values()), b))[:number]
        step = max(1, len(busy) // number)
        for bucket in [b for pair in zip(busy[::step], full) for b in pair] + busy[::step] + full:
            start = bucket * size
            asked += [start, start - 1, start + (width - 1) * size + size - 1, start + width * size, start + size // 2]
        allowed = list(dict.fromkeys(at for at in asked if at >= earliest))
        return sorted(allowed[:number])

    def callers(self):
        """The rows of /api/v1/callers without advice, all of them, with whole lists. (The order of Python's strings is that of
        their UTF-8 bytes.)"""
        rows = []
        for key in sorted(self.weak, key=lambda key: (WEAKNESSES.index(key[0]), *key[1:])):
            caller = self.weak[key]
            rows.append(dict(zip(("weakness", "account_id", "principal"), key), calls=caller["calls"], errors=caller["errors"],
                             first_seen=format_time(caller["first"]), last_seen=format_time(caller["last"]),
                             **{name: sorted(caller["lists"][name]) for name in LISTS},
                             presigned=caller["presigned"] / caller["calls"], state="outside" if caller["outside"] else "paged"))
        return rows

    def all_rows(self):
        """Every row of `scan`."""
        return [dict(zip(self.group_by, values), calls=calls, first_seen=format_time(first), last_seen=format_time(last))
                for values, (calls, first, last) in sorted(self.groups.items())]


def row_of(row, calls):
    return dict(zip(("account_id", "principal", "signature_version", "tls_version"), row), calls=calls)


def closed(counter, names, zeros):
    unknown_names = set(counter) - set(names)
    assert not unknown_names, unknown_names
    return {name: counter[name] for name in names if zeros or counter[name]}


def drop_zeros(document):
    """An API answer or ours without the zeros inside objects, so that the two compare equal whichever writes them."""
    if not isinstance(document, dict):
        return document
    return {key: {k: v for k, v in drop_zeros(value).items() if v != 0} if isinstance(value, dict) else value
            for key, value in document.items()}


def wall_clock():
    return datetime.datetime.now(datetime.timezone.utc).timestamp()


def gather(paths, order="given", seed=0):
    """The files to read. A folder's are sorted by the parts of their path, whatever depth they stand at."""
    files = []
    for path in map(pathlib.Path, paths):
        if path.is_dir():
            files += sorted((p for p in path.rglob("*") if p.is_file()), key=lambda p: p.relative_to(path).parts)
        else:
            files.append(path)
    if order == "random":
        random.Random(seed).shuffle(files)
    return files


def count_files(files, **options):
    count = Count(**options)
    for file in files:
        count.add_bytes(pathlib.Path(file).read_bytes())
    return count


def time_argument(string):
    at = parse_time(string)
    if at is None:
        raise argparse.ArgumentTypeError(f"{string!r} is not a time like 2023-07-10T11:42:18Z")
    return at


def report(count, windows=(), ats=(), suggest=0, rows=False, zeros=False):
    """The whole document."""
    document = {"totals": count.totals(zeros), "coverage": count.coverage(zeros),
                "records": dict(sorted(count.records.items())),
                "newest_event_time": None if count.newest is None else format_time(count.newest),
                "earliest_at": {w: None if count.newest is None else format_time(count.earliest_at(w)) for w in WINDOWS},
                "callers": count.callers()}
    if rows:
        document["rows"] = count.all_rows()
    asked = []
    if windows or ats:
        if not ats and count.newest is not None:
            ats = [count.newest]
        asked = [(w, at) for w in (windows or WINDOWS) for at in ats]
    if suggest:
        suggested = [(w, at) for w in (windows or WINDOWS) for at in count.suggest_at(w, suggest)]
        document["suggested_at"] = [{"window": w, "at": format_time(at)} for w, at in suggested]
        document["refused_at"] = [{"window": w, "at": format_time(count.earliest_at(w) - 1)}
                                  for w in (windows or WINDOWS) if count.newest is not None]
        asked += suggested
    if asked:
        document["windows"] = [count.window(w, at) or {"window": w, "at": format_time(at), "error": "begins before what is kept",
                                                       "earliest": format_time(count.earliest_at(w))}
                               for w, at in dict.fromkeys(asked)]
    return document


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", metavar="PATH", help="files, and folders whose files are read sorted")
    parser.add_argument("--order", choices=("given", "random"), default="given", help="the order of the files")
    parser.add_argument("--seed", type=int, default=0, help="of the random order")
    parser.add_argument("--no-dedup", action="store_true", help="count an event id as often as it comes")
    parser.add_argument("--accounts", default="", metavar="A,B", help="our accounts (organization.accounts)")
    parser.add_argument("--now", type=time_argument, metavar="T", help="the time to judge the future from (default: the clock)")
    parser.add_argument("--newest-of", choices=("calls", "all"), default="calls",
                        help="what moves the newest event time: calls, or duplicates, corrections and shared copies too")
    parser.add_argument("--window", action="append", choices=tuple(WINDOWS), default=[], help="may repeat; default with --at: all")
    parser.add_argument("--at", action="append", type=time_argument, metavar="T", default=[],
                        help="may repeat; each window is answered at each time (default: at the newest event)")
    parser.add_argument("--suggest-at", type=int, metavar="N", default=0, help="N good times for each window, answered too")
    parser.add_argument("--rows", action="store_true", help="the rows over all time too")
    parser.add_argument("--group-by", default=",".join(DEFAULT), metavar="F,G", help=f"what rows are told apart by: {' '.join(FIELDS)}")
    parser.add_argument("--since", type=time_argument, metavar="T", help="rows of calls from then on")
    parser.add_argument("--until", type=time_argument, metavar="T", help="rows of calls before then")
    parser.add_argument("--zeros", action="store_true", help="write the counts that are 0")
    options = parser.parse_args(arguments)
    count = count_files(gather(options.paths, options.order, options.seed), now=options.now, dedup=not options.no_dedup,
                        accounts=[a for a in options.accounts.split(",") if a], newest_of=options.newest_of,
                        group_by=tuple(options.group_by.split(",")), since=options.since, until=options.until)
    json.dump(report(count, options.window, options.at, options.suggest_at, options.rows, options.zeros), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
