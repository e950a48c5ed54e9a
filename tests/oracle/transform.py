#!/usr/bin/env python3
"""Rewrites a folder of CloudTrail delivery files into variants for tests, the same each time: `transform.py IN OUT [--edit] [--envelope E] …`."""

import argparse
import copy
import gzip
import json
import pathlib
import random
import sys

sys.dont_write_bytecode = True
import count  # noqa: E402

MISSING = ...  # (a value that copies of copies keep)
ENVELOPES = ("records", "array", "ndjson", "eventbridge", "cloudwatch", "bare-concatenated", "pretty")
A, B, C = "111122223333", "444455556666", "777788889999"  # the accounts of the edits; --accounts A,B are ours
HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"


class Doubled(dict):
    """An object that is written with further values of the same keys before its own: the last one counts."""

    before = ()

    def items(self):
        return list(self.before) + list(super().items())


def doubled(event, **before):
    twin = Doubled(event)
    twin.before = tuple(before.items())
    return twin


# --- edits: name -> what becomes of an event (a new one, or several) ---------------------------------------------

def put(event, path, value):
    """Sets (or takes away) a field at a dotted path. What stands in the way becomes an object."""
    *parents, last = path.split(".")
    for key in parents:
        if not isinstance(event.get(key), dict):
            event[key] = {}
        event = event[key]
    if value is MISSING:
        event.pop(last, None)
    else:
        event[last] = value


def setting(**fields):
    """An edit that sets fields; `__` in a name stands for a dot."""
    def edit(event):
        for name, value in fields.items():
            put(event, name.replace("__", "."), copy.deepcopy(value))
        return [event]
    return edit


def identity(who, **fields):
    """An edit that puts another identity in the place of the event's own, and (unless told) its account as the recipient."""
    account = who.get("accountId")
    fields.setdefault("recipientAccountId", account if isinstance(account, str) and account.isdigit() else A)
    return setting(userIdentity=who, **fields)


def followed_by(change, same_id=True):
    """An edit that keeps the event and adds a changed copy after it."""
    def edit(event):
        twin = copy.deepcopy(event)
        if not same_id:
            put(twin, "eventID", f"{event.get('eventID')}-b")
        return [event] + change(twin)
    return edit


def led_by(change):
    """An edit that puts a changed copy, of the same id, before the event."""
    def edit(event):
        return change(copy.deepcopy(event)) + [event]
    return edit


def bare(value):
    """An edit that puts something that is no object in the place of the event."""
    return lambda event: [value]


def digest(event):
    return [{"awsAccountId": A, "digestStartTime": "2023-07-10T11:00:00Z", "digestEndTime": "2023-07-10T12:00:00Z",
             "digestS3Bucket": "trail", "digestS3Object": f"AWSLogs/{A}/CloudTrail-Digest/us-east-1/x.json.gz",
             "digestPublicKeyFingerprint": "00", "digestSignatureAlgorithm": "SHA256withRSA",
             "newestEventTime": "2023-07-10T11:59:00Z", "oldestEventTime": "2023-07-10T11:00:00Z",
             "previousDigestS3Bucket": None, "previousDigestSignature": None, "logFiles": []}]


def insight(**changes):
    def edit(event):
        base = {"eventVersion": "1.08", "eventTime": event["eventTime"], "awsRegion": "us-east-1", "eventID": event["eventID"],
                "eventType": "AwsCloudTrailInsight", "recipientAccountId": A, "eventCategory": "Insight",
                "insightDetails": {"state": "Start", "eventSource": "ssm.amazonaws.com", "eventName": "UpdateInstanceInformation",
                                   "insightType": "ApiCallRateInsight"}}
        return setting(**changes)(base)
    return edit


def aggregated(event, **changes):
    base = {"eventVersion": "1.0", "accountId": A, "eventId": event["eventID"], "eventCategory": "Aggregated",
            "eventType": "AwsAggregatedEvent", "awsRegion": "us-east-1", "eventSource": "s3.amazonaws.com",
            "timeWindow": {"windowStart": event["eventTime"], "windowEnd": event["eventTime"], "windowSize": "PT5M"},
            "summary": {"primaryDimension": {"dimension": "eventName", "statistics": [{"name": "GetObject", "value": 7}]}}}
    return setting(**changes)(base)


def not_call_then_call(event):
    """An id that a not-call used first: the call is the duplicate."""
    return insight()(event) + [event]


def shifted(seconds):
    def edit(event):
        event["eventTime"] = count.format_time(count.parse_time(event["eventTime"]) + seconds)
        return [event]
    return edit


def fraction(digits):
    def edit(event):
        event["eventTime"] = event["eventTime"].replace("Z", f".{digits}Z")
        return [event]
    return edit


def respelled(change):
    def edit(event):
        event["eventTime"] = change(event["eventTime"])
        return [event]
    return edit


def twin_keys(event):
    return [doubled(event, eventTime="yesterday", eventSource=7, userIdentity={"type": "Root", "accountId": C},
                    tlsDetails={"tlsVersion": "TLSv1"}, eventID="not-this-one")]


def last_key_wrong(event):
    """The last value of the key is of the wrong type: missing."""
    good = event.get("tlsDetails") or {"tlsVersion": "TLSv1.1"}
    event["tlsDetails"] = "TLSv1.1"
    return [doubled(event, tlsDetails=good)]


def session(arn, account=A, **more):
    return {"type": "AssumedRole", "principalId": "AROAEXAMPLE:s", "arn": arn, "accountId": account,
            "accessKeyId": "ASIAEXAMPLE", **more}


def issued_by(arn):
    return {"sessionContext": {"sessionIssuer": {"type": "Role", "arn": arn, "accountId": A}}}


NO_TYPE = dict(arn=f"arn:aws:iam::{A}:user/u", userName="name", principalId="AIDA", invokedBy="x.amazonaws.com", accountId=A)


# User agents: of the known kinds (what signs, what wraps it), and what nobody should send.
AGENTS = (
    "Boto3/1.20.54 Python/3.11.7 Linux/6.1 Botocore/1.23.54", "aws-cli/1.16.96 Python/2.7.12 Linux/4.9 botocore/1.12.86",
    "Boto3/1.28.0 md/Botocore#1.31.85 ua/2.0 os/linux#6.1 lang/python#3.11.7 Botocore/1.31.85", "aws-cli/1.46.3 md/Botocore#1.43.62 ua/2.1",
    "aws-sdk-nodejs/2.1692.0 linux/v20.20.2 promise", "aws-sdk-js/3.1168.0 ua/2.1 os/linux#6.1",
    "aws-sdk-java/2.20.160 Linux/6.1 Java/11 io/sync http/Apache", "aws-sdk-go/1.13.32 (go1.9.2; darwin; amd64) APN/1.0 Terraform/0.11.7",
    "APN/1.0 HashiCorp/1.0 Terraform/0.11.7 (+https://www.terraform.io) aws-sdk-go/1.13.32 (go1.9.2; darwin; amd64)",
    "AWSPowerShell/3.1.10.0 .NET_Runtime/4.0", "awspowershell.netcore/4.1.0 x/1", "AWSPowerShell.NetCoreX/1 x/1", "BOTO/2.49.0 x/1", "Boto4/1 x/1",
    "x/1 AWS-SDK-Ruby2/2.2.0", "x/1; Boto3/1.2,; y/2", "Boto3/ x/1", "Boto3 x/1", "md/Botocore#1.31.85 ua/2.0", "md/x ua/2.0", "md/x", "md/#1 ua/2.0",
    "[Boto3/1.20.54 Botocore/1.23.54]", " [ aws-cli/2.1 Python/3.8 ] ", "[aws-cli/2.1", "aws-cli/2.1]", "[[aws-cli/2.1]]", "[stratus-red-team_1]",
    "[S3Console/0.4, aws-internal/3 aws-sdk-java/1.12.488 Linux/5.10]", "RDS Console, aws-internal/3 aws-sdk-java/1.11.975 Linux/5.4",
    "Console aws-sdk-java/1.0", "(a/1 b/2) c/3", "/1 b/2", "/", "b/1/2", "curl/8.5.0", "s3.amazonaws.com", "AWS Internal",
    "Mozilla/5.0 (X11; Linux x86_64) Chrome/120.0", "a\tb\u3000c", "x/1\u00a0Boto3/1\n", "é" * 400, "Boto3/" + "😀" * 200, "x/" + "a" * 600,
    "[]", "[ ]", "]", "[", " ", "", HIDDEN, 7, None, MISSING)


def weak(name, who=None, **fields):
    """An edit that makes the event a call of a user of its own, signed with SigV2 by a long-lived key."""
    user = {"type": "IAMUser", "arn": f"arn:aws:iam::{A}:user/weak/{name}", "accountId": A, "userName": "weak", "accessKeyId": "AKIAEXAMPLE"}
    fields.setdefault("additionalEventData", {"SignatureVersion": "SigV2", "AuthenticationMethod": "AuthHeader"})
    return identity(user | (who or {}), **fields)


def weak_role(name, role="weak"):
    """The same of a session of a role."""
    return weak(name, session(f"arn:aws:sts::{A}:assumed-role/{role}/{name}", **issued_by(f"arn:aws:iam::{A}:role/path/{role}")))


def without(who, *keys):
    return {key: value for key, value in who.items() if key not in keys}


def edits():
    """All of them, by name, in a fixed order."""
    every = {}

    # signature
    for value in ("SigV2", "sigv2", "SIGV2", "2", "SigV4", "sigv4", "4", "SigV4A", "sigv4a", "SigV5", "garbage", "", HIDDEN,
                  2, 4, None, ["SigV2"], {"v": "SigV2"}, True, MISSING):
        every[f"signature {value!r}" if value is not MISSING else "signature missing"] = setting(additionalEventData__SignatureVersion=value)
    for value in ('{"SignatureVersion":"SigV2"}', ' {"SignatureVersion":"4","AuthenticationMethod":"QueryString"} ',
                  '{"SignatureVersion":2}', '["SigV2"]', '"SigV2"', "SigV2", "", '{"SignatureVersion":"SigV2"', ["SigV2"], 7, None, MISSING):
        every[f"additionalEventData {value!r}" if value is not MISSING else "additionalEventData missing"] = setting(additionalEventData=value)

    # TLS
    for value in ("TLSv1", "TLSv1.0", "tlsv1", "tlsV1.0", "TLSv1.1", "tlsv1.1", "TLSv1.2", "TLSV1.2", "TLSv1.3", "TLSv9", "TLSv1.4",
                  "SSLv3", "-", "", HIDDEN, 1.2, None, ["TLSv1"], MISSING):
        every[f"tls {value!r}" if value is not MISSING else "tls missing"] = setting(tlsDetails__tlsVersion=value)
    for value in ("TLSv1", ["TLSv1"], None, {}, {"cipherSuite": "ECDHE-RSA-AES128-GCM-SHA256"}, MISSING):
        every[f"tlsDetails {value!r}" if value is not MISSING else "tlsDetails missing"] = setting(tlsDetails=value)

    # presigned, key ids
    for version in ("SigV2", "SigV4"):
        for tls_version in ("TLSv1", "TLSv1.1", "TLSv1.2"):
            every[f"presigned {version} {tls_version}"] = setting(
                additionalEventData={"SignatureVersion": version, "AuthenticationMethod": "QueryString"},
                tlsDetails={"tlsVersion": tls_version}, userIdentity__accessKeyId="AKIAEXAMPLEEXAMPLE")
    every["header"] = setting(additionalEventData={"SignatureVersion": "SigV2", "AuthenticationMethod": "AuthHeader"})
    for value in ("AKIAEXAMPLEEXAMPLE", "ASIAEXAMPLEEXAMPLE", "ABIAEXAMPLEEXAMPLE", "ACCAEXAMPLEEXAMPLE", "akiaexampleexample",
                  "EXAMPLE_KEY_ID", "AKIA", "", HIDDEN, 7, None, MISSING):
        every[f"key {value!r}" if value is not MISSING else "key missing"] = setting(userIdentity__accessKeyId=value)

    # why unknown
    nothing = dict(additionalEventData=MISSING, tlsDetails=MISSING)
    odd = dict(additionalEventData={"SignatureVersion": "SigV9"}, tlsDetails={"tlsVersion": "TLSv9"})
    user = without(NO_TYPE, "invokedBy") | {"type": "IAMUser"}
    for state, fields in (("nothing", nothing), ("odd", odd)):
        for value in (True, "true", False, "false", 1, "", None):
            every[f"console {value!r} {state}"] = identity(user, sessionCredentialFromConsole=value, eventType="AwsApiCall", **fields)
        for value in ("s3.amazonaws.com", "AWS Internal", "", HIDDEN, 7, None, {"by": "s3"}):
            every[f"invokedBy {value!r} {state}"] = identity(user | {"invokedBy": value}, sessionCredentialFromConsole="true",
                                                             eventType="AwsApiCall", **fields)
        every[f"service event {state}"] = identity(user, eventType="AwsServiceEvent", sessionCredentialFromConsole=True, **fields)
        every[f"service identity {state}"] = identity({"type": "AWSService", "accountId": A}, eventType="AwsApiCall", **fields)
    every["invokedBy, but known"] = identity(user | {"invokedBy": "athena.amazonaws.com", "accessKeyId": "AKIAEXAMPLE"},
                                             additionalEventData={"SignatureVersion": "SigV2"}, tlsDetails={"tlsVersion": "TLSv1"})

    # identity: the whole table
    for part in ("aws", "aws-cn", "aws-us-gov"):
        every[f"IAMUser {part}"] = identity({"type": "IAMUser", "arn": f"arn:{part}:iam::{A}:user/p/u", "accountId": A, "userName": "u"})
        every[f"Role {part}"] = identity({"type": "Role", "arn": f"arn:{part}:iam::{A}:role/r", "accountId": A})
        every[f"AssumedRole {part}"] = identity(session(f"arn:{part}:sts::{A}:assumed-role/r/s", **issued_by(f"arn:{part}:iam::{A}:role/path/r")))
        every[f"AssumedRole without issuer {part}"] = identity(session(f"arn:{part}:sts::{A}:assumed-role/r/s"))
        every[f"Root {part}"] = identity({"type": "Root", "principalId": A, "arn": f"arn:{part}:iam::{A}:root", "accountId": A})
    every["IAMUser without arn"] = identity({"type": "IAMUser", "userName": "u", "principalId": "AIDA", "accountId": A})
    every["IAMUser hidden"] = identity({"type": "IAMUser", "userName": HIDDEN, "principalId": "AIDA", "accountId": A, "accessKeyId": ""})
    every["IAMUser, all hidden"] = identity({"type": "IAMUser", "arn": HIDDEN, "userName": HIDDEN, "accountId": A, "accessKeyId": ""})
    every["Role without arn"] = identity({"type": "Role", "principalId": "AROA", "accountId": A})
    for name, context in (("empty", {"sessionIssuer": {}}), ("empty arn", {"sessionIssuer": {"arn": ""}}), ("text", {"sessionIssuer": "r"}),
                          ("arn a number", {"sessionIssuer": {"arn": 7}}), ("context a list", [])):
        every[f"AssumedRole, issuer {name}"] = identity(session(f"arn:aws:sts::{A}:assumed-role/r/s@example.com", sessionContext=context))
    every["AssumedRole, session with slash"] = identity(session(f"arn:aws:sts::{A}:assumed-role/r/a/b"))
    every["AssumedRole, odd arn"] = identity(session(f"arn:aws:sts::{A}:federated-user/x"))
    every["AssumedRole without arn"] = identity(without(session(""), "arn"))
    every["AssumedRole of another account"] = identity(session(f"arn:aws:sts::{B}:assumed-role/r/s", account=B))
    every["Root without arn"] = identity({"type": "Root", "principalId": A, "accountId": A, "userName": "alias"}, resources=MISSING)
    every["Root by recipient"] = identity({"type": "Root", "principalId": B}, recipientAccountId=B, resources=MISSING)
    every["FederatedUser"] = identity({"type": "FederatedUser", "arn": f"arn:aws:sts::{A}:federated-user/f", "accountId": A,
                                       **issued_by(f"arn:aws:iam::{A}:user/issuer")})
    every["FederatedUser without issuer"] = identity({"type": "FederatedUser", "arn": f"arn:aws:sts::{A}:federated-user/f", "accountId": A})
    every["FederatedUser with nothing"] = identity({"type": "FederatedUser", "principalId": f"{A}:f", "accountId": A})
    every["AWSService"] = identity({"type": "AWSService", "invokedBy": "config.amazonaws.com"}, recipientAccountId=A)
    every["AWSService without name"] = identity({"type": "AWSService", "principalId": "svc", "accountId": A})
    for name, who in (("principalId", {"principalId": "AROAX:session"}), ("plain principalId", {"principalId": "AIDAX"}),
                      ("principalId of a colon", {"principalId": ":x"}), ("no principalId", {}), ("empty principalId", {"principalId": ""}),
                      ("principalId a number", {"principalId": 7})):
        every[f"AWSAccount {name}"] = identity({"type": "AWSAccount", "accountId": C, **who}, recipientAccountId=A)
    every["AWSAccount by recipient"] = identity({"type": "AWSAccount"}, recipientAccountId=A)
    for name in ("anonymous", "ANONYMOUS_PRINCIPAL"):
        every[f"AWSAccount {name}"] = identity({"type": "AWSAccount", "principalId": "", "accountId": name}, recipientAccountId=A)
        every[f"AWSAccount {name} with principalId"] = identity({"type": "AWSAccount", "principalId": "AIDAX:y", "accountId": name}, recipientAccountId=A)
    for kind in ("WebIdentityUser", "SAMLUser"):
        every[kind] = identity({"type": kind, "principalId": "p:q", "userName": "jo", "identityProvider": "accounts.example.com"}, recipientAccountId=A)
        every[f"{kind} without name"] = identity({"type": kind, "principalId": "p:q", "identityProvider": "accounts.example.com"}, recipientAccountId=A)
        every[f"{kind} without provider"] = identity({"type": kind, "principalId": "p:q", "userName": "jo"}, recipientAccountId=A)
        every[f"{kind} with name only"] = identity({"type": kind, "userName": "jo"}, recipientAccountId=A)
    center = {"type": "IdentityCenterUser", "accountId": A, "principalId": "pc", "credentialId": "c"}
    every["IdentityCenterUser"] = identity(center | {"onBehalfOf": {"userId": "94482488-3041-7000", "identityStoreArn": f"arn:aws:identitystore::{A}:identitystore/d-1"}})
    every["IdentityCenterUser without user"] = identity(center | {"onBehalfOf": {"userId": ""}})
    every["IdentityCenterUser with text"] = identity(center | {"onBehalfOf": "94482488"})
    for kind in ("Directory", "Unknown", "SomethingNew", "", 7, None, "iamuser", MISSING):
        name = "missing" if kind is MISSING else repr(kind)
        who = dict(NO_TYPE) if kind is MISSING else {"type": kind, **NO_TYPE}
        every[f"type {name}: arn"] = identity(who)
        every[f"type {name}: userName"] = identity(without(who, "arn"))
        every[f"type {name}: principalId"] = identity(without(who, "arn", "userName"))
        every[f"type {name}: invokedBy"] = identity(without(who, "arn", "userName", "principalId"))
        every[f"type {name}: nothing"] = identity(without(who, "arn", "userName", "principalId", "invokedBy"))
    for value in (None, "root", [], 7, {}, MISSING):
        every[f"userIdentity {value!r}" if value is not MISSING else "userIdentity missing"] = setting(userIdentity=value)
    every["names beyond ASCII"] = identity({"type": "IAMUser", "arn": f"arn:aws:iam::{A}:user/Jürgen 😀 \"q\" \\ \u2028", "accountId": A})

    # account
    for value in ("", HIDDEN, 111122223333, None, MISSING):
        name = "missing" if value is MISSING else repr(value)
        every[f"accountId {name}"] = setting(userIdentity__accountId=value, recipientAccountId=B)
        every[f"neither account ({name})"] = setting(userIdentity__accountId=value, recipientAccountId=value)

    # time
    for value in ("", HIDDEN, 1688989363, None, ["2023-07-10T11:42:18Z"], MISSING):
        every[f"eventTime {value!r}" if value is not MISSING else "eventTime missing"] = setting(eventTime=value)
    for value in ("yesterday", "2023-07-10", "2023-07-10T11:42Z", "2023-13-01T00:00:00Z", "2023-00-10T00:00:00Z", "2023-02-29T00:00:00Z",
                  "2100-02-29T00:00:00Z", "2023-04-31T00:00:00Z", "2023-07-00T00:00:00Z", "2023-07-10T24:00:00Z", "2023-07-10T12:60:00Z",
                  "2023-07-10T12:00:60Z", "2023-07-10T12:00:61Z", "2023-12-31T23:59:61Z", "2023-7-10T11:42:18Z", "+2023-07-10T11:42:18Z",
                  "２０２３-07-10T11:42:18Z", "1688989363", "Mon, 10 Jul 2023 11:42:18 GMT"):
        every[f"eventTime {value!r}"] = setting(eventTime=value)
    for name, change in (("small t", lambda t: t.replace("T", "t")), ("small z", lambda t: t.replace("Z", "z")),
                         ("offset", lambda t: t.replace("Z", "+00:00")), ("no zone", lambda t: t[:-1]), ("space", lambda t: t.replace("T", " ")),
                         ("leading space", lambda t: " " + t), ("trailing line", lambda t: t + "\n"), ("bare point", lambda t: t.replace("Z", ".Z")),
                         ("comma", lambda t: t.replace("Z", ",5Z")), ("basic", lambda t: t.replace("-", "").replace(":", ""))):
        every[f"eventTime with {name}"] = respelled(change)
    for digits in ("0", "5", "999", "123456789", "1234567890123"):
        every[f"eventTime .{digits}"] = fraction(digits)
    every["eventTime of a leap second"] = setting(eventTime="2016-12-31T23:59:60Z")
    every["eventTime of a leap day"] = setting(eventTime="2020-02-29T00:00:00Z")
    every["eventTime long gone"] = setting(eventTime="1970-01-01T00:00:00Z")
    every["eventTime to come"] = setting(eventTime="2999-01-01T00:00:00Z")
    for seconds in (-1, -60, -3599, -3600):
        every[f"eventTime {seconds} s"] = shifted(seconds)

    # source, name, and the order in which what is wrong is found
    for value in ("", HIDDEN, 7, None, ["s3.amazonaws.com"], MISSING):
        name = "missing" if value is MISSING else repr(value)
        every[f"eventSource {name}"] = setting(eventSource=value)
        every[f"eventName {name}"] = setting(eventName=value)
    every["no time, source, name"] = setting(eventTime=MISSING, eventSource=MISSING, eventName=MISSING)
    every["bad time, no source, name"] = setting(eventTime="then", eventSource=MISSING, eventName=MISSING)
    every["future, no source, name"] = setting(eventTime="2999-01-01T00:00:00Z", eventSource=MISSING, eventName=MISSING)
    every["no source, name"] = setting(eventSource=MISSING, eventName=MISSING)
    for value in (None, 7, "not an event", True, 1.5):
        every[f"not an object: {value!r}"] = bare(value)

    # ids
    every["twice"] = followed_by(setting())
    every["twice, changed"] = followed_by(setting(eventName="Changed"))
    every["rejected first"] = led_by(setting(eventTime="then"))
    every["rejected after"] = followed_by(setting(eventSource=""))
    for value in ("", HIDDEN, 7, None, MISSING):
        every[f"twice, eventID {value!r}" if value is not MISSING else "twice, eventID missing"] = lambda e, v=value: followed_by(setting())(setting(eventID=v)(e)[0])
    every["not a call, then a call"] = not_call_then_call

    # corrections
    correction = {"reason": "UPDATED_DATA", "updatedFields": "responseElements", "originalRequestID": "r", "originalEventID": "o"}
    every["correction"] = followed_by(setting(addendum=correction), same_id=False)
    every["correction of the same id"] = followed_by(setting(addendum=correction))
    every["correction twice"] = lambda e: followed_by(setting())(setting(addendum=correction)(e)[0])
    every["correction with a bad time"] = setting(addendum=correction, eventTime="then")
    for name, value in (("late delivery", {"reason": "DELIVERY_DELAY"}), ("empty", {}), ("id empty", {"originalEventID": ""}),
                        ("id a number", {"originalEventID": 7}), ("text", "UPDATED_DATA"), ("nothing", None)):
        every[f"addendum, {name}"] = setting(addendum=value)

    # not calls
    vpce = dict(eventCategory="NetworkActivity", eventType="AwsVpceEvent", vpcEndpointId="vpce-1")
    every["NetworkActivity"] = setting(errorCode=MISSING, **vpce)
    every["NetworkActivity denied by the service"] = setting(errorCode="AccessDenied", **vpce)
    every["NetworkActivity denied by the endpoint"] = setting(errorCode="VpceAccessDenied", **vpce)
    every["NetworkActivity denied by the endpoint, no source"] = setting(errorCode="VpceAccessDenied", eventSource=MISSING, **vpce)
    every["NetworkActivity, code a list"] = setting(errorCode=["VpceAccessDenied"], **vpce)
    every["NetworkActivity without time, source, name"] = setting(errorCode=MISSING, eventTime=MISSING, eventSource=MISSING, eventName=MISSING, **vpce)
    every["VpceAccessDenied alone"] = setting(errorCode="VpceAccessDenied", eventCategory="Management")
    every["Insight"] = insight()
    every["Insight, bad time"] = insight(eventTime="then")
    every["Insight to come"] = insight(eventTime="2999-01-01T00:00:00Z")
    every["Insight without time"] = insight(eventTime=MISSING)
    every["Insight without id"] = insight(eventID=MISSING)
    every["Insight without category"] = insight(eventCategory=MISSING)
    every["Insight twice"] = lambda e: insight()(e) * 2
    every["Insight that corrects"] = insight(addendum=correction)
    every["aggregated"] = aggregated
    every["aggregated twice"] = lambda e: aggregated(e) * 2
    every["aggregated without id"] = lambda e: aggregated(e, eventId=MISSING)
    every["digest"] = digest
    every["eventId of no aggregated event, twice"] = lambda e: followed_by(setting())(setting(eventID=MISSING, eventId="same")(e)[0])
    for value in ("Management", "Data", "Other", "", 7, MISSING):
        every[f"category {value!r}" if value is not MISSING else "category missing"] = setting(eventCategory=value)

    # copies for the owner of the resource
    for caller in (A, C):
        for recipient in (A, B, C, MISSING, 7):
            who = {"type": "IAMUser", "arn": f"arn:aws:iam::{caller}:user/u", "accountId": caller, "userName": "u"}
            name = "nobody" if recipient is MISSING else recipient
            every[f"call of {caller} seen by {name}"] = identity(who, recipientAccountId=recipient, sharedEventID="shared")
    every["both copies"] = lambda e: followed_by(setting(recipientAccountId=B), same_id=False)(
        setting(userIdentity={"type": "IAMUser", "arn": f"arn:aws:iam::{A}:user/u", "accountId": A}, recipientAccountId=A, sharedEventID="s")(e)[0])
    every["owner's copy without sharedEventID"] = identity({"type": "IAMUser", "arn": f"arn:aws:iam::{A}:user/u", "accountId": A},
                                                           recipientAccountId=B, sharedEventID=MISSING)
    every["owner's copy of a role's call"] = identity(session(f"arn:aws:sts::{A}:assumed-role/r/s"), recipientAccountId=B)
    every["owner's copy, endpoint denied"] = identity({"type": "AWSAccount", "accountId": A, "principalId": "p"}, recipientAccountId=B,
                                                      errorCode="VpceAccessDenied", **vpce)

    # keys given twice
    every["keys given twice"] = twin_keys
    every["key given twice, the last wrong"] = last_key_wrong

    # weak callers: who they are
    for account in (A, B, C):
        every[f"weak caller of {account}"] = weak("caller", {"accountId": account})
        every[f"weak guest of {account}"] = weak("guest", {"type": "AWSAccount", "accountId": account, "principalId": "AIDAGUEST:x"})
    for name in ("anonymous", "ANONYMOUS_PRINCIPAL"):
        every[f"weak {name}"] = weak(name, {"type": "AWSAccount", "accountId": name, "accessKeyId": ""}, recipientAccountId=A)
    every["weak, no account"] = weak("nobody", {"accountId": ""}, recipientAccountId=MISSING)
    every["weak, account of the recipient"] = weak("recipient", {"accountId": ""}, recipientAccountId=B)
    for name in ("i-0abc", "i-0def", "deploy@example.com", "a/b", "/", "é"):
        every[f"weak session {name}"] = weak_role(name)
    every["weak session of no name"] = weak("", session(f"arn:aws:sts::{A}:assumed-role/weak", **issued_by(f"arn:aws:iam::{A}:role/path/weak")))
    every["weak session of the other role"] = weak_role("i-0abc", "other")
    for value in ("s3.amazonaws.com", "AWS Internal", "", HIDDEN, 7, None, {"by": "s3"}):
        every[f"weak, invokedBy {value!r}"] = weak(f"invokedBy {value!r}", {"invokedBy": value})
    every["weak service"] = weak("", {"type": "AWSService", "invokedBy": "config.amazonaws.com"})
    every["weak service event"] = weak("service event", eventType="AwsServiceEvent")

    # weak callers: in which way
    for version in ("TLSv1", "TLSv1.1", "TLSv1.2"):
        for way in ("QueryString", "AuthHeader", "querystring", "", HIDDEN, 7, None):
            every[f"weak, {version} by {way!r}"] = weak(f"{version} by {way!r}", tlsDetails={"tlsVersion": version}, additionalEventData={
                "SignatureVersion": "SigV2", "AuthenticationMethod": way})
    for value in ('{"SignatureVersion":"SigV2","AuthenticationMethod":"QueryString"}', '{"AuthenticationMethod":"QueryString"}', "QueryString",
                  MISSING):
        name = "data missing" if value is MISSING else f"data {value!r}"
        every[f"weak, {name}"] = weak(name, additionalEventData=value, tlsDetails={"tlsVersion": "TLSv1"})
    every["weak key only"] = weak("key only", additionalEventData={"SignatureVersion": "SigV4"})
    every["weak signature only"] = weak("signature only", {"accessKeyId": "ASIAEXAMPLE"})
    every["weak signature without key"] = weak("signature only", {"accessKeyId": ""})
    every["weak with another key"] = weak("key only", {"accessKeyId": "AKIAOTHER"}, additionalEventData={"SignatureVersion": "SigV4"})

    # weak callers: what their calls tell
    for value in ("AccessDenied", "", HIDDEN, 7, None, ["AccessDenied"], MISSING):
        name = "missing" if value is MISSING else repr(value)
        every[f"weak, error {name}"] = weak(f"error {name}", errorCode=value, responseElements=None)
        every[f"weak, error {name} in the response"] = weak(f"error {name} in the response", errorCode=MISSING, responseElements__errorCode=value)
    every["weak, two errors"] = weak("errors", errorCode="AccessDenied", responseElements={"errorCode": "Other"})
    every["weak, response a text"] = weak("errors", errorCode=MISSING, responseElements='{"errorCode":"AccessDenied"}')
    here, there = {"ARN": "arn:aws:s3:::here/a/b"}, {"ARN": "arn:aws-cn:s3:::there"}
    for number, resources in enumerate((
            [here, there], [there, here], [{"arn": "arn:aws:s3:::small/k"}], [{"ARN": "", "arn": "arn:aws:s3:::small"}, there],
            [{"ARNPrefix": "arn:aws:s3:::prefix/"}, here], [{"ARN": "s3:::no"}, there], [{"ARN": f"arn:aws:kms:us-east-1:{A}:key/k"}, here],
            [7, None, {"ARN": 7}, {"ARN": HIDDEN}, here], [{"ARN": "arn:aws:s3:::"}, here], [{"ARN": "arn:aws:s3:::/k"}], [], here,
            "arn:aws:s3:::text", None, MISSING)):
        every[f"weak, resources {number}"] = weak(f"resources {number}", resources=resources, requestParameters=None)
        every[f"weak, resources {number} and a bucket"] = weak(f"buckets {number % 3}", resources=resources, requestParameters={"bucketName": f"named-{number}"})
    for value in ("", HIDDEN, 7, None, ["b"], MISSING):
        name = "missing" if value is MISSING else repr(value)
        every[f"weak, bucket {name}"] = weak(f"bucket {name}", requestParameters__bucketName=value, resources=[here])
    every["weak, parameters a text"] = weak("parameters", requestParameters='{"bucketName":"text"}', resources=[here])
    for value in ("vpce-1", "10.0.0.1", "é", "z" * 600, "é" * 400, "", HIDDEN, 7, None, MISSING):
        name = "missing" if value is MISSING else repr(value)[:20]
        for field in ("vpcEndpointId", "awsRegion", "sourceIPAddress"):
            every[f"weak, {field} {name}"] = weak(field, **{field: value})
    opened = {"SignatureVersion": "SigV2", "AuthenticationMethod": "QueryString"}
    for number, agent in enumerate(AGENTS):
        every[f"weak, client {number}"] = weak(f"client {number}", userAgent=agent)
        every[f"weak, opened by client {number}"] = weak(f"opened {number % 8}", additionalEventData=opened, userAgent=agent,
                                                         sourceIPAddress=f"10.0.0.{number % 5}" if number % 3 else MISSING)
    every["weak, another call by another client"] = weak("client 0", userAgent=AGENTS[1], eventSource="ec2.amazonaws.com", eventName="RunInstances")
    every["weak, opened by nobody"] = weak("opened by nobody", additionalEventData=opened, userAgent=MISSING, sourceIPAddress="")
    return every


def apply(edit, event):
    """What an edit makes of a copy of an event."""
    return edit(copy.deepcopy(event))


def edit_all(files):
    """Every third event edited, by turns; and a further file in which each edit occurs once."""
    every = edits()
    turns, turn, out = list(every.values()), 0, []
    for events in files:
        changed = []
        for place, event in enumerate(events):
            if place % 3 == 1 and usable(event):
                changed += apply(turns[turn % len(turns)], event)
                turn += 1
            else:
                changed.append(event)
        out.append(changed)
    models = [e for events in files for e in events if usable(e)]
    catalogue = []
    for number, (name, edit) in enumerate(every.items()):
        model = copy.deepcopy(models[number * 7 % len(models)])
        model["eventID"] = f"edit-{number:03}"
        catalogue += apply(edit, model)
    return out + [catalogue]


def usable(event):
    return isinstance(event, dict) and isinstance(event.get("eventID"), str) and when(event) is not None


def when(event):
    return count.parse_time(event["eventTime"]) if isinstance(event, dict) and isinstance(event.get("eventTime"), str) else None


# --- times -------------------------------------------------------------------------------------------------------

def spread(files, days, seed, now=None):
    """Moves the events apart over some days in the order of the files, ending at `now` (else at the newest event plus the
    days), each file a little out of order; then events too late, just not too late, in the future, and once more."""
    rng = random.Random(f"spread {seed}")
    times = [when(e) for events in files for e in events if when(e) is not None]
    usual = sorted(times)[len(times) // 2] if times else 0
    near = [t for t in times if abs(t - usual) < 7 * 86400]
    # The last of them stays short of `now`: what lies around it is added below.
    begin = (int(now) - days * 86400 - count.HOUR) if now is not None else int(min(near, default=0))
    out, earlier, newest, number = [], [], None, 0
    total = max(1, sum(len(events) for events in files))
    for events in files:
        moved = []
        for event in events:
            number += 1
            if when(event) is None or abs(when(event) - usual) >= 7 * 86400:
                moved.append(event)
                continue
            at = begin + number * days * 86400 // total + rng.randrange(-1800, 1800)
            moved.append(at_time(event, at))
            newest = at if newest is None else max(newest, at)
            draw = rng.random()
            if not usable(event) or "addendum" in event or type(event) is not dict:
                continue
            first = (newest // count.HOUR - 47) * count.HOUR  # where what is kept begins
            model = {**event, "eventID": f"{event['eventID']}-{number}"}
            if draw < 0.02:
                moved.append(at_time(model, first - rng.choice((1, 60, 3600, 86400, 400 * 86400))))
            elif draw < 0.04:
                moved.append(at_time(model, first + rng.choice((0, 1, 3599))))
            elif draw < 0.05:
                moved.append(at_time(model, count.parse_time("2999-01-01T00:00:00Z")))
            elif draw < 0.08 and earlier:
                moved.append(copy.deepcopy(rng.choice(earlier)))
            earlier.append(moved[-1])
        rng.shuffle(moved)
        out.append(moved)
    if now is not None:
        model = next((e for events in out for e in events if usable(e) and type(e) is dict and "addendum" not in e), None)
        edge = [at_time({**model, "eventID": f"edge-{s}"}, int(now) + s) for s in (0, 1, 899, 900, 901, 3600)] if model else []
        out.append(edge)
    return out


def at_time(event, at):
    moved = copy.deepcopy(event)
    moved["eventTime"] = count.format_time(at)
    return moved


def shuffle(files, seed):
    """The same events, anywhere."""
    rng = random.Random(f"shuffle {seed}")
    every = [event for events in files for event in events]
    rng.shuffle(every)
    out = [[] for _ in files]
    for event in every:
        out[rng.randrange(len(out))].append(event)
    return out


# --- writing -----------------------------------------------------------------------------------------------------

def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def is_digest(event):
    return isinstance(event, dict) and "digestStartTime" in event


def detail_type(event):
    kinds = {"AwsConsoleSignIn": "AWS Console Signin", "AwsConsoleAction": "AWS Console Action",
             "AwsServiceEvent": "AWS Service Event", "AwsCloudTrailInsight": "AWS Insight"}
    kind = event.get("eventType")
    return kinds.get(kind if isinstance(kind, str) else "", "AWS API Call") + " via CloudTrail"


def enveloped(events, envelope, number=0):
    """The text of a file. EventBridge has no place for what is no object: left out."""
    if envelope == "records":
        return compact({"Records": events})
    if envelope == "array":
        return compact(events)
    if envelope == "ndjson":
        return "".join(compact(event) + "\n" for event in events)
    if envelope == "eventbridge":
        return "".join(compact({"version": "0", "id": f"{number:05}-{place:05}", "detail-type": detail_type(event), "source": "aws.s3",
                                "account": A, "time": "2023-07-10T12:00:00Z", "region": "us-east-1", "resources": [], "detail": event}) + "\n"
                       for place, event in enumerate(events) if isinstance(event, dict))
    if envelope == "cloudwatch":
        head = {"messageType": "DATA_MESSAGE", "owner": A, "logGroup": "CloudTrail", "logStream": f"{A}_CloudTrail_us-east-1",
                "subscriptionFilters": ["all"]}
        probe = {"messageType": "CONTROL_MESSAGE", "owner": "CloudwatchLogs", "logGroup": "", "logStream": "", "subscriptionFilters": [],
                 "logEvents": [{"id": "", "timestamp": 1512601480749, "message": "CWL CONTROL MESSAGE: Checking health of destination."}]}
        batches = [events[place:place + 100] for place in range(0, len(events), 100)]
        documents = [probe] + [{**head, "logEvents": [{"id": f"{place:056}", "timestamp": 1688989338000, "message": compact(event)}
                                                      for place, event in enumerate(batch)]} for batch in batches]
        return "".join(compact(document) + "\n" for document in documents)
    if envelope == "bare-concatenated":
        # Only objects mark their own ends.
        return "".join(compact(event) if isinstance(event, dict) else f"\n{compact(event)}\n" for event in events)
    if number % 2:
        return json.dumps({"Records": events}, indent=2, ensure_ascii=False) + "\n"
    return "".join(json.dumps(event, indent=4, ensure_ascii=False) + "\n" for event in events)


def cut(data, rng):
    """A file whose end is missing."""
    return data[:rng.randrange(len(data) // 2, len(data))] if len(data) > 1 else data


def write(files, out, envelope="records", gzips=0, twice=False, cuts=None):
    """Numbered files, so that their names sort in the order given. A digest is a file of its own, whatever the envelope.
    Returns the paths in that order."""
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise SystemExit("the folder to write to is not empty")
    texts = []
    for number, events in enumerate(files):
        texts.append(enveloped([e for e in events if not is_digest(e)], envelope, number))
        texts += [compact(event) for event in events if is_digest(event)]
    rng = random.Random(f"cut {cuts}")
    written = []
    for number, string in enumerate(texts):
        data = string.encode()
        for _ in range(gzips):
            data = gzip.compress(data, 6, mtime=0)
        if cuts is not None and number % 2:
            data = cut(data, rng)
        for prefix in ("", "again-") if twice else ("",):
            path = out / f"{prefix}{number:05}.json{'.gz' * gzips}"
            path.write_bytes(data)
            written.append(path)
    return sorted(written)


def read(paths):
    """The events of each file, those that can be read."""
    return [[value for kind, value in count.open_bytes(file.read_bytes()) if kind == "event"] for file in count.gather(paths)]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", metavar="IN", help="a folder (or file) to read")
    parser.add_argument("out", metavar="OUT", help="an empty or new folder to write to")
    parser.add_argument("--edit", action="store_true", help=f"edit every third event and add each edit once ({len(edits())} of them); try --accounts {A},{B}")
    parser.add_argument("--list-edits", action="store_true", help="print the names of the edits in the order of the last file")
    parser.add_argument("--spread-days", type=int, metavar="N", help="move the events over N days, with late, future and repeated ones")
    parser.add_argument("--seed", type=int, default=0, help="of --spread-days")
    parser.add_argument("--now", type=count.time_argument, metavar="T", help="where --spread-days ends; adds events on both sides of the limit for the future")
    parser.add_argument("--shuffle", type=int, metavar="SEED", help="put every event in any file at any place")
    parser.add_argument("--envelope", choices=ENVELOPES, default="records")
    parser.add_argument("--gzip", action="count", default=0, help="compress; given again, compress once more")
    parser.add_argument("--twice", action="store_true", help="write each file a second time under another name")
    parser.add_argument("--cut", type=int, metavar="SEED", help="cut off the end of every second file")
    options = parser.parse_args(arguments)
    files = read([options.source])
    if options.edit:
        files = edit_all(files)
    if options.spread_days:
        files = spread(files, options.spread_days, options.seed, options.now)
    if options.shuffle is not None:
        files = shuffle(files, options.shuffle)
    write(files, options.out, options.envelope, options.gzip, options.twice, options.cut)
    if options.list_edits:
        print("\n".join(edits()))


if __name__ == "__main__":
    main()
