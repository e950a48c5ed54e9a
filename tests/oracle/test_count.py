#!/usr/bin/env python3
"""Small cases whose answers were worked out by hand, for count.py and transform.py: `python3 tests/oracle/test_count.py`."""

import gzip
import io
import json
import os
import pathlib
import sys
import tempfile
import unittest
from contextlib import redirect_stdout

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import count  # noqa: E402
import transform  # noqa: E402

CORPUS = pathlib.Path(os.environ.get("TRAILMETER_CORPUS") or HERE.parents[1] / "../shared/corpus")
NOW = count.parse_time("2024-03-10T12:30:00Z")
ARN = "arn:aws:iam::111122223333:user/u"


def event(**changes):
    """A sound call; `__` in a name stands for a dot, ... takes the field away."""
    base = {"eventVersion": "1.08", "userIdentity": {"type": "IAMUser", "arn": ARN, "accountId": "111122223333"},
            "eventTime": "2024-03-10T12:00:00Z", "eventSource": "s3.amazonaws.com", "eventName": "ListBuckets",
            "eventType": "AwsApiCall", "eventCategory": "Management", "recipientAccountId": "111122223333"}
    return transform.setting(**changes)(base)[0]


def counted(*events, **options):
    options.setdefault("now", NOW)
    result = count.Count(**options)
    for one in events:
        result.add(one)
    return result


def read(data, **options):
    options.setdefault("now", NOW)
    result = count.Count(**options)
    result.add_bytes(data if isinstance(data, bytes) else data.encode())
    return result


def verdict(one, **options):
    """What one event is: a reason, or "call"."""
    options.setdefault("now", NOW)
    return count.Count(**options).add(one)


def adds_up(totals):
    return totals["events"] == (totals["calls"] + sum(totals["not_calls"].values()) + sum(totals["dropped"].values())
                                + sum(totals["rejected"].values()))


def principal(who, **more):
    return count.principal({"userIdentity": who, **more})


class Times(unittest.TestCase):
    def test_good(self):
        for string, seconds in (("1970-01-01T00:00:00Z", 0), ("2023-07-10T11:42:18Z", 1688989338), ("2000-02-29T00:00:00Z", 951782400), ("2024-02-29T00:00:00Z", 1709164800),
                                ("1969-12-31T23:59:59Z", -1), ("2023-07-10T11:42:18.5Z", 1688989338.5), ("2023-07-10T11:42:18.000Z", 1688989338),
                                ("2016-12-31T23:59:60Z", 1483228799), ("2023-07-10T23:59:60Z", 1689033599)):
            self.assertEqual(count.parse_time(string), seconds, string)

    def test_bad(self):
        for string in ("2023-07-10t11:42:18Z", "2023-07-10T11:42:18z", "2023-07-10T11:42:18+00:00", "2023-07-10T11:42:18", "2023-07-10 11:42:18Z",
                       "2023-07-10T11:42:18Z\n", " 2023-07-10T11:42:18Z", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2023-04-31T00:00:00Z",
                       "2023-13-01T00:00:00Z", "2023-01-00T00:00:00Z", "2023-07-10T24:00:00Z", "2023-07-10T11:60:00Z", "2023-07-10T11:42:60Z",
                       "2023-07-10T23:58:60Z", "2023-12-31T23:59:61Z", "2023-07-10T11:42:18.Z", "2023-7-10T11:42:18Z", "２０２３-07-10T11:42:18Z", ""):
            self.assertIsNone(count.parse_time(string), string)

    def test_written_to_the_second(self):
        self.assertEqual(count.format_time(1688989338.9), "2023-07-10T11:42:18Z")
        self.assertEqual(count.format_time(-1), "1969-12-31T23:59:59Z")
        self.assertEqual(count.format_time(951782400), "2000-02-29T00:00:00Z")


class Principals(unittest.TestCase):
    def test_user_and_role(self):
        self.assertEqual(principal({"type": "IAMUser", "arn": ARN, "userName": "u"}), ARN)
        self.assertEqual(principal({"type": "IAMUser", "userName": "u", "principalId": "AIDA"}), "u")
        self.assertEqual(principal({"type": "Role", "arn": "arn:aws:iam::1:role/r"}), "arn:aws:iam::1:role/r")

    def test_assumed_role(self):
        arn = "arn:aws-cn:sts::111122223333:assumed-role/r/i-0abc"
        issuer = "arn:aws-cn:iam::111122223333:role/path/r"
        self.assertEqual(principal({"type": "AssumedRole", "arn": arn, "sessionContext": {"sessionIssuer": {"arn": issuer}}}), issuer)
        for context in ({}, {"sessionIssuer": {}}, {"sessionIssuer": {"arn": ""}}, {"sessionIssuer": {"arn": 7}}, [], "x"):
            self.assertEqual(principal({"type": "AssumedRole", "arn": arn, "sessionContext": context}), "arn:aws-cn:iam::111122223333:role/r")
        self.assertEqual(principal({"type": "AssumedRole", "arn": "arn:aws:sts::1:federated-user/f"}), "arn:aws:sts::1:federated-user/f")
        self.assertEqual(principal({"type": "AssumedRole", "principalId": "AROA:s"}), "AROA:s")

    def test_root(self):
        self.assertEqual(principal({"type": "Root", "arn": "arn:aws-us-gov:iam::1:root", "accountId": "1"}), "arn:aws-us-gov:iam::1:root")
        self.assertEqual(principal({"type": "Root", "accountId": "1", "userName": "alias"}), "arn:aws:iam::1:root")
        self.assertEqual(principal({"type": "Root"}, recipientAccountId="2"), "arn:aws:iam::2:root")
        self.assertEqual(principal({"type": "Root", "accountId": "1"}, resources=[{"ARN": "arn:aws-cn:s3:::b"}]), "arn:aws-cn:iam::1:root")

    def test_federated(self):
        who = {"type": "FederatedUser", "arn": "arn:aws:sts::1:federated-user/f"}
        self.assertEqual(principal(who), "arn:aws:sts::1:federated-user/f")
        self.assertEqual(principal(who | {"sessionContext": {"sessionIssuer": {"arn": ARN}}}), ARN)

    def test_service(self):
        self.assertEqual(principal({"type": "AWSService", "invokedBy": "config.amazonaws.com"}), "config.amazonaws.com")
        self.assertEqual(principal({"type": "AWSService"}), "unknown")

    def test_account(self):
        self.assertEqual(principal({"type": "AWSAccount", "principalId": "AROAX:s:t", "accountId": "3"}), "AROAX")
        self.assertEqual(principal({"type": "AWSAccount", "principalId": "AIDAX"}), "AIDAX")
        for who in ({}, {"principalId": ""}, {"principalId": ":x"}, {"principalId": 7}):
            self.assertEqual(principal({"type": "AWSAccount", "accountId": "3"} | who), "account:3", who)
        self.assertEqual(principal({"type": "AWSAccount"}, recipientAccountId="4"), "account:4")
        for name in ("anonymous", "ANONYMOUS_PRINCIPAL"):
            self.assertEqual(principal({"type": "AWSAccount", "accountId": name, "principalId": "AIDAX", "arn": ARN}), "anonymous")

    def test_web_and_saml(self):
        for kind in ("WebIdentityUser", "SAMLUser"):
            self.assertEqual(principal({"type": kind, "identityProvider": "p", "userName": "jo", "principalId": "x"}), "p/jo")
            self.assertEqual(principal({"type": kind, "identityProvider": "p", "principalId": "x"}), "x")
            self.assertEqual(principal({"type": kind, "userName": "jo", "principalId": "x"}), "x")
            self.assertEqual(principal({"type": kind, "userName": "jo"}), "jo")

    def test_identity_center(self):
        self.assertEqual(principal({"type": "IdentityCenterUser", "onBehalfOf": {"userId": "9-8"}, "principalId": "x"}), "identitycenter:9-8")
        self.assertEqual(principal({"type": "IdentityCenterUser", "onBehalfOf": {"userId": ""}, "principalId": "x"}), "x")

    def test_the_rest(self):
        every = {"arn": ARN, "userName": "n", "principalId": "p", "invokedBy": "i"}
        for kind in ("Directory", "Unknown", "New", "iamuser", "", 7, None):
            who = {"type": kind, **every}
            for field, answer in (("arn", ARN), ("userName", "n"), ("principalId", "p"), ("invokedBy", "i")):
                self.assertEqual(principal(who), answer, kind)
                del who[field]
            self.assertEqual(principal(who), "unknown", kind)
        for value in (None, "root", [], 7):
            self.assertEqual(principal(value), "unknown")

    def test_hidden_is_missing(self):
        hidden = "HIDDEN_DUE_TO_SECURITY_REASONS"
        self.assertEqual(principal({"type": "IAMUser", "arn": hidden, "userName": hidden, "principalId": "p"}), "p")
        self.assertEqual(count.account_id({"userIdentity": {"accountId": hidden}, "recipientAccountId": "2"}), "2")

    def test_account_id(self):
        self.assertEqual(count.account_id({"userIdentity": {"accountId": "1"}, "recipientAccountId": "2"}), "1")
        self.assertEqual(count.account_id({"userIdentity": {"accountId": 1}, "recipientAccountId": "2"}), "2")
        self.assertEqual(count.account_id({"userIdentity": {"accountId": ""}, "recipientAccountId": 2}), "unknown")


class Signatures(unittest.TestCase):
    def test_spellings(self):
        for raw, version in (("SigV2", "SigV2"), ("sigv2", "SigV2"), ("2", "SigV2"), ("SigV4", "SigV4"), ("SIGV4", "SigV4"), ("4", "SigV4"),
                             ("SigV4A", "SigV4A"), ("sigv4a", "SigV4A"), ("SigV3", "unknown"), ("V2", "unknown"), (4, "unknown"), ("", "unknown")):
            self.assertEqual(count.signature(event(additionalEventData__SignatureVersion=raw))[0], version, raw)

    def test_additional_data_as_text(self):
        for raw, answer in (('{"SignatureVersion":"SigV2"}', ("SigV2", None)), (' {"SignatureVersion":"4"}\n', ("SigV4", None)),
                            ('["SigV2"]', ("unknown", "not_reported")), ('{"SignatureVersion":', ("unknown", "not_reported")),
                            ('{"SignatureVersion":"x"}', ("unknown", "other")), ('{"SignatureVersion":"SigV2"} x', ("unknown", "not_reported"))):
            self.assertEqual(count.signature(event(additionalEventData=raw)), answer, raw)

    def test_tls_spellings(self):
        for raw, version in (("TLSv1", "TLSv1"), ("TLSv1.0", "TLSv1"), ("tlsv1.1", "TLSv1.1"), ("TLSV1.2", "TLSv1.2"), ("TLSv1.3", "TLSv1.3"),
                             ("TLSv9", "unknown"), ("SSLv3", "unknown"), ("1.2", "unknown"), (1.2, "unknown")):
            self.assertEqual(count.tls(event(tlsDetails__tlsVersion=raw))[0], version, raw)
        self.assertEqual(count.tls(event(tlsDetails="TLSv1")), ("unknown", "not_reported"))

    def test_why_unknown_the_first_that_applies(self):
        odd = dict(additionalEventData__SignatureVersion="x")
        self.assertEqual(count.signature(event())[1], "not_reported")
        self.assertEqual(count.signature(event(**odd))[1], "other")
        for raw in ("", "HIDDEN_DUE_TO_SECURITY_REASONS", 2, None, ["x"]):
            self.assertEqual(count.signature(event(additionalEventData__SignatureVersion=raw))[1], "not_reported", raw)
        for value in (True, "true"):
            self.assertEqual(count.signature(event(sessionCredentialFromConsole=value, **odd))[1], "console")
        for value in (False, "false", "True", 1, None, ""):
            self.assertEqual(count.signature(event(sessionCredentialFromConsole=value, **odd))[1], "other", value)
        console = dict(sessionCredentialFromConsole="true", **odd)
        self.assertEqual(count.signature(event(userIdentity__invokedBy="s3.amazonaws.com", **console))[1], "service")
        self.assertEqual(count.signature(event(eventType="AwsServiceEvent", **console))[1], "service")
        self.assertEqual(count.signature(event(userIdentity__type="AWSService", **console))[1], "service")
        for value in ("", "HIDDEN_DUE_TO_SECURITY_REASONS", 7, {}):
            self.assertEqual(count.signature(event(userIdentity__invokedBy=value, **console))[1], "console", value)

    def test_known_is_known_whoever_called(self):
        self.assertEqual(count.signature(event(userIdentity__invokedBy="x", additionalEventData__SignatureVersion="2")), ("SigV2", None))

    def test_coverage(self):
        result = counted(event(additionalEventData__SignatureVersion="SigV4"), event(tlsDetails__tlsVersion="TLSv9"),
                         event(sessionCredentialFromConsole=True, tlsDetails__tlsVersion="TLSv1.2"), event(eventTime="bad"))
        self.assertEqual(result.coverage(), {"signature": {"known": 1, "unknown": {"console": 1, "not_reported": 1}},
                                             "tls": {"known": 1, "unknown": {"other": 1, "not_reported": 1}}})


class Judgement(unittest.TestCase):
    def test_rejected(self):
        for one, answer in (
                (None, "not_object"), ([], "not_object"), ("x", "not_object"), (7, "not_object"), ({}, "no_time"), (event(), "call"),
                (event(eventTime=...), "no_time"), (event(eventTime=""), "no_time"), (event(eventTime=1710072000), "no_time"),
                (event(eventTime="HIDDEN_DUE_TO_SECURITY_REASONS"), "no_time"), (event(eventTime="x"), "bad_time"),
                (event(eventTime="2024-03-10T12:00:00+00:00"), "bad_time"),
                (event(eventSource=""), "no_source"), (event(eventSource=7), "no_source"), (event(eventName=...), "no_name"),
                (event(eventTime=..., eventSource=..., eventName=...), "no_time"), (event(eventTime="x", eventSource=...), "bad_time"),
                (event(eventTime="2025-01-01T00:00:00Z", eventSource=...), "future_time"), (event(eventSource=..., eventName=...), "no_source"),
                (event(userIdentity=...), "call"), (event(userIdentity=[]), "call"), (event(eventType=7, eventCategory=[]), "call")):
            self.assertEqual(verdict(one), answer, one)

    def test_future_is_more_than_a_quarter_of_an_hour_off(self):
        for at, answer in (("2024-03-10T12:45:00Z", "call"), ("2024-03-10T12:45:00.000Z", "call"),
                           ("2024-03-10T12:45:00.001Z", "future_time"), ("2024-03-10T12:45:01Z", "future_time")):
            self.assertEqual(verdict(event(eventTime=at)), answer, at)
        self.assertEqual(verdict(event(eventTime="2999-01-01T00:00:00Z"), now=None), "future_time")
        self.assertEqual(verdict(event(), now=None), "call")

    def test_not_calls(self):
        network = dict(eventCategory="NetworkActivity", eventType="AwsVpceEvent")
        nothing = dict(eventTime=..., eventSource=..., eventName=..., userIdentity=...)
        for one, answer in (
                (event(eventCategory="Insight"), "insight"), (event(eventCategory=..., eventType="AwsCloudTrailInsight"), "insight"),
                (event(eventCategory="Insight", **nothing), "insight"), (event(eventCategory="Insight", eventTime="2999-01-01T00:00:00Z"), "insight"),
                (event(eventCategory="Aggregated", **nothing), "aggregated"), (event(eventCategory=..., eventType="AwsAggregatedEvent"), "aggregated"),
                (event(**network), "network_activity"), (event(errorCode="AccessDenied", **network), "network_activity"),
                (event(**network, **nothing), "network_activity"), (event(errorCode="VpceAccessDenied", **network), "call"),
                (event(errorCode="VpceAccessDenied", **network) | {"eventTime": ""}, "no_time"), (transform.digest(None)[0], "digest"),
                (event(eventCategory="Data"), "call"), (event(eventCategory="Management"), "call"), (event(eventCategory=...), "call")):
            self.assertEqual(verdict(one), answer, one)

    def test_duplicates(self):
        result = count.Count(now=NOW)
        said = [result.add(one) for one in (
            event(eventID="a"), event(eventID="a"), event(eventID="a", eventName="Other"), event(eventID="b"),
            event(eventID="c", eventTime="x"), event(eventID="c"), event(eventID="c", eventTime="x"), event(eventID="c"),
            event(), event(), event(eventID=""), event(eventID=""), event(eventID=7), event(eventID=7),
            event(eventID="i", eventCategory="Insight"), event(eventID="i", eventCategory="Insight"), event(eventID="i"),
            {"eventCategory": "Aggregated", "eventId": "g"}, {"eventCategory": "Aggregated", "eventId": "g"},
            {"eventCategory": "Aggregated"}, {"eventCategory": "Aggregated"}, event(eventId="n"), event(eventId="n"))]
        self.assertEqual(said, ["call", "duplicate", "duplicate", "call", "bad_time", "call", "bad_time", "duplicate",
                                "call", "call", "call", "call", "call", "call", "insight", "duplicate", "duplicate",
                                "aggregated", "duplicate", "aggregated", "aggregated", "call", "call"])
        self.assertEqual(result.totals(), {"events": 23, "calls": 11, "not_calls": {"insight": 1, "aggregated": 3},
                                           "dropped": {"duplicate": 6}, "rejected": {"bad_time": 2}, "late": 0})

    def test_duplicates_counted_when_asked(self):
        self.assertEqual(counted(event(eventID="a"), event(eventID="a"), dedup=False).totals()["calls"], 2)

    def test_corrections(self):
        result = count.Count(now=NOW)
        addendum = {"reason": "UPDATED_DATA", "originalEventID": "a"}
        said = [result.add(one) for one in (
            event(eventID="a"), event(eventID="b", addendum=addendum), event(eventID="b", addendum=addendum), event(addendum=addendum),
            event(eventID="c", addendum=addendum, eventTime="x"), event(eventID="d", eventCategory="Insight", addendum=addendum),
            event(addendum={"reason": "DELIVERY_DELAY"}), event(addendum={"originalEventID": ""}), event(addendum={"originalEventID": 7}),
            event(addendum="x"))]
        self.assertEqual(said, ["call", "correction", "duplicate", "correction", "bad_time", "correction", "call", "call", "call", "call"])

    def test_shared_copies(self):
        ours = {"accounts": ("111122223333", "444455556666")}
        copied = event(recipientAccountId="444455556666")
        self.assertEqual(verdict(copied, **ours), "shared_copy")
        self.assertEqual(verdict(copied), "call")
        self.assertEqual(verdict(event(recipientAccountId="999"), **ours), "shared_copy")
        self.assertEqual(verdict(event(userIdentity__accountId="999"), **ours), "call")
        self.assertEqual(verdict(event(), **ours), "call")
        self.assertEqual(verdict(event(recipientAccountId=...), **ours), "call")
        self.assertEqual(verdict(event(userIdentity__accountId=...), **ours), "call")
        self.assertEqual(verdict(event(recipientAccountId="999", eventCategory="NetworkActivity"), **ours), "network_activity")
        both = counted(event(eventID="a", sharedEventID="s"), event(eventID="b", sharedEventID="s", recipientAccountId="444455556666"), **ours)
        self.assertEqual((both.calls, dict(both.dropped)), (1, {"shared_copy": 1}))


def weak(**changes):
    """A call signed with SigV2."""
    return event(**{"additionalEventData__SignatureVersion": "SigV2", **changes})


def opened(**changes):
    """The same call by a presigned URL."""
    return weak(additionalEventData__AuthenticationMethod="QueryString", **changes)


def by_role(session, **changes):
    who = {"type": "AssumedRole", "arn": f"arn:aws:sts::111122223333:assumed-role/r/{session}", "accountId": "111122223333",
           "accessKeyId": "ASIAEXAMPLE", "sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::111122223333:role/p/r"}}}
    return weak(**{"userIdentity": who, **changes})


class Callers(unittest.TestCase):
    def one(self, *events, **options):
        """The only row."""
        rows = counted(*events, **options).callers()
        self.assertEqual(len(rows), 1, rows)
        return rows[0]

    def weaknesses(self, *events, **options):
        return [row["weakness"] for row in counted(*events, **options).callers()]

    def test_a_row(self):
        self.assertEqual(counted().callers(), [])
        self.assertEqual(counted(event()).callers(), [])
        self.assertEqual(self.one(weak()), {
            "weakness": "sigv2", "account_id": "111122223333", "principal": ARN, "calls": 1, "errors": 0,
            "first_seen": "2024-03-10T12:00:00Z", "last_seen": "2024-03-10T12:00:00Z", "clients": [], "source_ips": [], "sessions": [],
            "event_sources": ["s3.amazonaws.com"], "event_names": ["ListBuckets"], "aws_regions": [], "vpc_endpoints": [], "buckets": [],
            "key_ids": [], "opened_by": [], "presigned": 0.0, "state": "paged"})

    def test_each_weakness(self):
        key, old, older = dict(userIdentity__accessKeyId="AKIAX"), dict(tlsDetails__tlsVersion="TLSv1.1"), dict(tlsDetails__tlsVersion="tlsv1.0")
        for one, answer in ((weak(), ["sigv2"]), (weak(additionalEventData__SignatureVersion="2"), ["sigv2"]), (event(**older), ["tls10"]),
                            (event(tlsDetails__tlsVersion="TLSv1"), ["tls10"]), (event(**old), ["tls11"]), (event(**key), ["long_term_key"]),
                            (weak(**key, **old), ["sigv2", "tls11", "long_term_key"]), (weak(**key, **older), ["sigv2", "tls10", "long_term_key"]),
                            (event(additionalEventData='{"SignatureVersion":"SigV2"}'), ["sigv2"]),
                            (weak(additionalEventData__SignatureVersion="SigV4", tlsDetails__tlsVersion="TLSv1.2"), [])):
            self.assertEqual(self.weaknesses(one), answer, one)
        for value, answer in (("AKIA", 1), ("ASIAX", 0), ("akiax", 0), ("XAKIA", 0), ("ABIAX", 0), ("", 0), (7, 0), (None, 0), (..., 0)):
            self.assertEqual(len(self.weaknesses(event(userIdentity__accessKeyId=value))), answer, value)

    def test_presigned(self):
        tls, key = dict(tlsDetails__tlsVersion="TLSv1"), dict(userIdentity__accessKeyId="AKIAX")
        self.assertEqual(self.weaknesses(opened(**tls, **key)), ["sigv2", "long_term_key"])
        self.assertEqual(self.weaknesses(opened(additionalEventData__SignatureVersion="SigV4", **tls)), [])
        self.assertEqual(self.weaknesses(event(additionalEventData='{"AuthenticationMethod":"QueryString"}', **tls, **key)), ["long_term_key"])
        for value in ("AuthHeader", "querystring", "QueryString ", "", 7, None, ...):
            self.assertEqual(self.weaknesses(weak(additionalEventData__AuthenticationMethod=value, **tls)), ["sigv2", "tls10"], value)

    def test_presigned_is_detail(self):
        agent, link = "Boto3/1.20.54 Botocore/1.23.54", "curl/8.5.0"
        row = self.one(weak(userAgent=agent, sourceIPAddress="10.0.0.1"), opened(userAgent=link, sourceIPAddress="192.0.2.1"),
                       opened(userAgent=link, sourceIPAddress="192.0.2.1"), opened(userAgent=...), opened(sourceIPAddress="192.0.2.2", userAgent="[]"),
                       opened(userAgent="x y"), opened(awsRegion="eu-west-1", userIdentity__accessKeyId="ASIAX"))
        self.assertEqual((row["clients"], row["source_ips"]), (["Boto3/1.20.54"], ["10.0.0.1"]))
        self.assertEqual(row["opened_by"], ["192.0.2.1 curl/8.5.0", "192.0.2.2", "x y"])
        self.assertEqual((row["aws_regions"], row["key_ids"]), (["eu-west-1"], ["ASIAX"]))
        self.assertEqual((row["calls"], row["presigned"]), (7, 6 / 7))

    def test_sessions_of_a_role_are_one_caller(self):
        row = self.one(by_role("i-0b"), by_role("i-0a"), by_role("i-0b"), by_role("a/b"), by_role(""), by_role("x", userIdentity__arn=...),
                       by_role("x", userIdentity__arn="arn:aws:sts::111122223333:assumed-role/r"))
        self.assertEqual((row["principal"], row["calls"]), ("arn:aws:iam::111122223333:role/p/r", 7))
        self.assertEqual(row["sessions"], ["a/b", "i-0a", "i-0b"])
        self.assertEqual(self.one(weak(userIdentity__arn="x:assumed-role/r/s:assumed-role/t/u"))["sessions"], ["s:assumed-role/t/u"])

    def test_outside(self):
        ours = {"accounts": ("111122223333", "444455556666")}
        guest = dict(userIdentity={"type": "AWSAccount", "accountId": "999", "principalId": "AIDAX:y"})
        for one, alone, ours_set in (
                (weak(), "paged", "paged"), (weak(userIdentity__accountId="444455556666", recipientAccountId="444455556666"), "paged", "paged"),
                (weak(userIdentity__accountId="999"), "paged", "outside"), (weak(**guest), "paged", "outside"),
                (weak(userIdentity__accountId=...), "paged", "paged"), (weak(userIdentity__accountId=..., recipientAccountId="999"), "paged", "outside"),
                (weak(userIdentity__accountId=..., recipientAccountId=...), "paged", "outside"),
                (weak(userIdentity={"type": "AWSAccount", "accountId": "anonymous"}), "outside", "outside"),
                (weak(userIdentity={"type": "AWSAccount", "accountId": "ANONYMOUS_PRINCIPAL"}), "outside", "outside"),
                (weak(userIdentity={"type": "Unknown", "accountId": "anonymous"}), "paged", "outside")):
            self.assertEqual((self.one(one)["state"], self.one(one, **ours)["state"]), (alone, ours_set), one)
        self.assertEqual(self.one(weak(userIdentity={"type": "AWSAccount", "accountId": "anonymous"}))["principal"], "anonymous")

    def test_services_have_no_row(self):
        every = dict(tlsDetails__tlsVersion="TLSv1", userIdentity__accessKeyId="AKIAX")
        for value, answer in (("s3.amazonaws.com", 0), ("AWS Internal", 0), ("", 3), ("HIDDEN_DUE_TO_SECURITY_REASONS", 3), (7, 3), ({}, 3), (..., 3)):
            result = counted(weak(userIdentity__invokedBy=value, **every))
            self.assertEqual((len(result.callers()), result.calls, len(result.groups)), (answer, 1, 1), value)

    def test_only_calls(self):
        ours = {"accounts": ("111122223333",)}
        result = counted(weak(eventID="a"), weak(eventID="a"), weak(addendum={"originalEventID": "a"}), weak(eventCategory="Insight"),
                         weak(recipientAccountId="999"), weak(eventTime="x"), weak(eventTime="2999-01-01T00:00:00Z"), weak(eventName=""), **ours)
        self.assertEqual([row["calls"] for row in result.callers()], [1])

    def test_errors(self):
        for changes, answer in ((dict(errorCode="AccessDenied"), 1), (dict(errorCode=""), 0), (dict(errorCode=7), 0), (dict(errorCode=None), 0),
                                (dict(responseElements__errorCode="X"), 1), (dict(responseElements__errorCode=""), 0),
                                (dict(responseElements__errorCode=7), 0), (dict(responseElements="errorCode"), 0), (dict(responseElements=None), 0),
                                (dict(errorCode="A", responseElements__errorCode="B"), 1), (dict(errorMessage="x"), 0)):
            row = self.one(weak(**changes))
            self.assertEqual((row["calls"], row["errors"]), (1, answer), changes)
        self.assertEqual(self.one(weak(), weak(errorCode="A"), weak(responseElements__errorCode="B"))["errors"], 2)

    def test_times(self):
        result = counted(weak(eventTime="2024-03-10T12:00:00.9Z"), weak(eventTime="2024-03-10T11:00:59.1Z"), weak(eventTime="2024-03-10T11:30:00Z"))
        row = result.callers()[0]
        self.assertEqual((row["first_seen"], row["last_seen"], row["calls"]), ("2024-03-10T11:00:59Z", "2024-03-10T12:00:00Z", 3))
        late = counted(weak(), weak(eventTime="1970-01-01T00:00:00Z"))
        self.assertEqual((late.late, late.callers()[0]["calls"], late.callers()[0]["first_seen"]), (1, 2, "1970-01-01T00:00:00Z"))

    def test_calls_are_of_the_weakness(self):
        old = dict(tlsDetails__tlsVersion="TLSv1")
        rows = counted(weak(eventName="A", **old), weak(eventName="B"), event(eventName="C", **old), event(eventName="D")).callers()
        self.assertEqual([(row["weakness"], row["calls"], row["event_names"]) for row in rows], [("sigv2", 2, ["A", "B"]), ("tls10", 2, ["A", "C"])])

    def test_order(self):
        names = ["Z", "a", "ä", "\uffff", "😀"]  # (as UTF-16, the last would be the one before)
        people = [dict(userIdentity={"type": "IAMUser", "arn": name, "accountId": account}) for account in ("9", "10") for name in reversed(names)]
        old = dict(tlsDetails__tlsVersion="TLSv1.1")
        rows = counted(*(event(**old, **who) for who in people), *(weak(**who) for who in people), event(tlsDetails__tlsVersion="TLSv1"),
                       event(userIdentity__accessKeyId="AKIAX")).callers()
        self.assertEqual([(row["weakness"], row["account_id"], row["principal"]) for row in rows],
                         [("sigv2", account, name) for account in ("10", "9") for name in names] + [("tls10", "111122223333", ARN)]
                         + [("tls11", account, name) for account in ("10", "9") for name in names] + [("long_term_key", "111122223333", ARN)])
        self.assertEqual(self.one(*(weak(awsRegion=name) for name in reversed(names)))["aws_regions"], names)

    def test_lists(self):
        fields = dict(eventSource="event_sources", eventName="event_names", awsRegion="aws_regions", vpcEndpointId="vpc_endpoints",
                      sourceIPAddress="source_ips", userAgent="clients", userIdentity__accessKeyId="key_ids")
        for field, name in fields.items():
            self.assertEqual(self.one(*(weak(**{field: value}) for value in ("b", "a", "b")))[name], ["a", "b"], field)
        for field in ("awsRegion", "vpcEndpointId", "sourceIPAddress", "userAgent", "userIdentity__accessKeyId"):
            for value in ("", "HIDDEN_DUE_TO_SECURITY_REASONS", 7, None, ["x"], ...):
                self.assertEqual(self.one(weak(**{field: value}))[fields[field]], [], (field, value))

    def test_long_strings_are_cut_between_characters(self):
        for string, answer in (("a" * 512, "a" * 512), ("a" * 513, "a" * 512), ("é" * 300, "é" * 256), ("a" + "é" * 300, "a" + "é" * 255),
                               ("€" * 200, "€" * 170), ("😀" * 128, "😀" * 128), ("abc" + "😀" * 128, "abc" + "😀" * 127), ("\ud800" * 200, "\ud800" * 170)):
            row = self.one(weak(awsRegion=string, userAgent=string), opened(sourceIPAddress=string, userAgent="x"))
            self.assertEqual((row["aws_regions"], row["clients"]), ([answer], [answer]))
            self.assertEqual(row["opened_by"], [answer if len(string.encode("utf-8", "surrogatepass")) >= 512 else f"{string} x"])
        # What differs only behind the cut is one.
        self.assertEqual(len(self.one(weak(userAgent="a" * 600), weak(userAgent="a" * 700))["clients"]), 1)

    def test_buckets(self):
        here, there = {"ARN": "arn:aws:s3:::here/k/l"}, {"arn": "arn:aws-cn:s3:::there"}
        for parameters, resources, answer in (
                ({"bucketName": "b"}, [here], ["b"]), ({"bucketName": ""}, [here], ["here"]), ({"bucketName": ["b"]}, [here], ["here"]),
                ("bucketName", [here], ["here"]), (None, [there, here], ["there"]), ({}, [{"ARNPrefix": "arn:aws:s3:::p/"}, here], ["here"]),
                ({}, [{"ARN": 7, "arn": "arn:aws:s3:::small/x"}], ["small"]), ({}, [{"ARN": "arn:aws:s3:::A", "arn": "arn:aws:s3:::b"}], ["A"]),
                ({}, [{"ARN": "x:s3:::b"}, here], ["here"]), ({}, [{"ARN": "arn:aws:kms:eu-west-1:1:key/k"}, here], []), ({}, [7, None, "x", here], ["here"]),
                ({}, [{"ARN": "arn:aws:s3:::"}, here], []), ({}, [{"ARN": "arn:aws:s3:::/k"}], []), ({}, [], []), ({}, here, []), ({}, None, []),
                ({}, [{"ARN": "arn:aws:s3-outposts:us-east-1:1:outpost/op-1"}], [])):
            self.assertEqual(self.one(weak(requestParameters=parameters, resources=resources))["buckets"], answer, (parameters, resources))

    def test_in_the_document(self):
        result = counted(weak())
        self.assertEqual(count.report(result)["callers"], result.callers())
        self.assertEqual(count.report(counted())["callers"], [])


class UserAgents(unittest.TestCase):
    def check(self, *cases):
        for agent, answer in cases:
            self.assertEqual(count.client({"userAgent": agent}), answer, agent)

    def test_captured(self):
        self.check(
            ("Boto3/1.20.54 Python/3.11.7 Linux/6.1.0 Botocore/1.23.54", "Boto3/1.20.54"),
            ("Boto3/1.28.0 md/Botocore#1.31.85 ua/2.0 os/linux#6.1 lang/python#3.11.7 Botocore/1.31.85", "Boto3/1.28.0"),
            ("Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.1 m/N,b,E,Z Botocore/1.44.5", "Boto3/1.44.5"),
            ("aws-cli/1.46.3 md/Botocore#1.43.62 ua/2.1", "aws-cli/1.46.3"),
            ("aws-cli/1.16.96 Python/2.7.12 Linux/4.9 botocore/1.12.86", "aws-cli/1.16.96"),
            ("aws-sdk-nodejs/2.1692.0 linux/v20.20.2 promise", "aws-sdk-nodejs/2.1692.0"), ("aws-sdk-js/3.1168.0 ua/2.1 os/linux#6.1", "aws-sdk-js/3.1168.0"),
            ("aws-sdk-go/1.13.32 (go1.9.2; darwin; amd64) APN/1.0 HashiCorp/1.0 Terraform/0.11.7", "aws-sdk-go/1.13.32"),
            ("APN/1.0 HashiCorp/1.0 Terraform/1.1.2 (+https://www.terraform.io) aws-sdk-go/1.44.261 (go1.19.8; linux; amd64)", "aws-sdk-go/1.44.261"),
            ("aws-sdk-java/2.20.160 Linux/6.1 Java/11 io/sync http/Apache", "aws-sdk-java/2.20.160"),
            ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:102.0) Gecko/20100101 Firefox/102.0", "Mozilla/5.0"),
            ("cloudtrail.amazonaws.com", "cloudtrail.amazonaws.com"), ("AWS Internal", "AWS Internal"), ("Coral/Netty4", "Coral/Netty4"),
            ("stratus-red-team_0362e208-cc47", "stratus-red-team_0362e208-cc47"), ("[stratus-red-team_0362e208-cc47]", "stratus-red-team_0362e208-cc47"))

    def test_brackets_and_white_space(self):
        self.check(("[Boto3/1.26.165 Python/3.10.6 Botocore/1.29.165]", "Boto3/1.26.165"), ("[x y]", "x y"), (" \t[ x y ]\n", "x y"), ("[x y", "x y"),
                   ("x y]", "x y]"), ("[[x y]]", "[x y]"), ("[[curl/8]]", "[curl/8"), ("[]", None), ("[ ]", None), ("[", None), ("]", "]"), ("", None), (" ", None),
                   ("x/1\t \f\r\nBoto3/2 ", "Boto3/2"), ("x/1\u00a0Boto3/2", "x/1\u00a0Boto3/2"), ("x/1\x1cBoto3/2", "x/1\x1cBoto3/2"), ("\x1fx", "\x1fx"), ("\u200bx", "\u200bx"),
                   (None, None), (7, None), (["x"], None), ("HIDDEN_DUE_TO_SECURITY_REASONS", None))

    def test_products(self):
        self.check(("x/1, y/2", "x/1"), ("x/1];, y/2", "x/1"), ("x/1/2 y/3", "x/1/2"), ("x/ y/2", "x"), ("/1 y/2", "y/2"), ("/", "/"), ("/1", "/1"),
                   ("x y/2", "x y/2"), ("(a/1 b/2", "b/2"), ("(a/1", "(a/1"), ("md/x y/2", "y/2"), ("md/x", "md/x"), ("md/x#1 y/2", "x/1"), ("md/x#1#2", "x/1#2"),
                   ("md/#1 y/2", "y/2"), ("md/x# y/2", "x"), ("md/(x#1 y/2", "y/2"), ("md/a/b#1", "a/b/1"), ("MD/x#1", "MD/x#1"), ("x#1 y/2", "x#1 y/2"))

    def test_sdks(self):
        for name in ("aws-sdk-java", "aws-sdk-", "AWS-SDK-Ruby2", "Boto3", "boto3", "BOTO3", "aws-cli", "Botocore", "botocore", "Boto", "AWSPowerShell",
                     "AWSPowerShell.NetCore", "awspowershell.netcore"):
            self.check((f"x/1 {name}/2.0 Boto3/3", f"{name}/2.0"), (f"x/1 {name}/", name), (f"x {name}/2", f"{name}/2"))
        for name in ("aws-sdk", "xaws-sdk-go", "Boto4", "Boto33", "aws-cli2", "AWSPowerShellX", "AWSPowerShell_NetCore", "aws-sd\u212a-go", "(Boto3"):
            self.check((f"x/1 {name}/2.0", "x/1"))
        self.check(("x/1 Boto3", "x/1"), ("Boto3", "Boto3"), ("x/1 md/Botocore#1.31.85 aws-cli/2", "Botocore/1.31.85"), ("x/1 Boto3/1.2,", "Boto3/1.2"))

    def test_a_console_is_the_client_itself(self):
        self.check(("[S3Console/0.4, aws-internal/3 aws-sdk-java/1.12.488 Linux/5.10]", "S3Console/0.4"), ("Console/1 Boto3/2", "Console/1"),
                   ("Console Boto3/2", "Console Boto3/2"), ("S3console/0.4 Boto3/2", "Boto3/2"), ("S3ConsoleX/0.4 Boto3/2", "Boto3/2"),
                   ("x/1 S3Console/0.4 Boto3/2", "Boto3/2"),
                   # Two words: not one that ends so.
                   ("RDS Console, aws-internal/3 aws-sdk-java/1.11.975 Linux/5.10", "aws-sdk-java/1.11.975"))


class Envelopes(unittest.TestCase):
    A, B = event(eventID="a"), event(eventID="b")

    def text(self, *values):
        return [json.dumps(value) for value in values]

    def check(self, data, calls, rejected=None, records=None, **others):
        result = read(data)
        totals = result.totals()
        self.assertTrue(adds_up(totals))
        self.assertEqual((totals["calls"], totals["rejected"], dict(result.records)), (calls, rejected or {}, records or {}), data[:200])
        for name, value in others.items():
            self.assertEqual(totals[name], value)

    def test_whole(self):
        a, b = self.text(self.A, self.B)
        pretty = [json.dumps(value, indent=2) for value in (self.A, self.B)]
        for data in (f'{{"Records":[{a},{b}]}}', f' {{"x":1,"Records":[{a},{b}],"y":2}}\n', f"[{a},{b}]", f"[\n{a},\n{b}\n]\n", f"{a}\n{b}\n",
                     f"{a}\r\n\r\n{b}", a + b, f"{a} {b}", "\n".join(pretty), "".join(pretty), json.dumps({"Records": [self.A, self.B]}, indent=1),
                     json.dumps([self.A, self.B], indent=4), f'{{"Records":[{a}]}}\n{{"Records":[{b}]}}', f"[{a}]\n{b}", f'{{"Records":\n[{a},\n{b}\n]}}'):
            self.check(data, 2)
        self.check(a, 1)
        self.check(pretty[0], 1)
        self.check('{"Records":[]}', 0)
        self.check("[]", 0)

    def test_not_objects(self):
        a, _ = self.text(self.A, self.B)
        self.check(f'{{"Records":[7,{a},null,"x",[{a}]]}}', 1, {"not_object": 4})
        self.check(f'7\n{a}\n"x"\nnull\n', 1, {"not_object": 3})

    def test_eventbridge(self):
        bridge = {"detail-type": "AWS API Call via CloudTrail", "detail": self.A, "id": "z", "time": "2024-03-10T12:00:00Z"}
        self.check(json.dumps(bridge), 1)
        self.check(json.dumps(bridge, indent=2), 1)
        self.check("\n".join(self.text(bridge, bridge, bridge | {"detail": self.B})), 2, dropped={"duplicate": 1})
        self.check(json.dumps(bridge | {"detail-type": "EC2 Instance State-change Notification"}), 0, records={"unknown_envelope": 1})

    def test_cloudwatch(self):
        logs = {"messageType": "DATA_MESSAGE", "owner": "1", "logEvents": [
            {"id": "1", "timestamp": 1, "message": json.dumps(self.A)}, {"id": "2", "timestamp": 1, "message": "1526951139360429,server,user"},
            {"id": "3", "timestamp": 1, "message": "7"}, {"id": "4", "timestamp": 1, "message": json.dumps(self.B) + "\n"}]}
        probe = {"messageType": "CONTROL_MESSAGE", "logEvents": [{"id": "", "timestamp": 1, "message": "CWL CONTROL MESSAGE"}]}
        self.check(json.dumps(logs), 2, {"not_json": 1, "not_object": 1})
        self.check(gzip.compress(json.dumps(logs).encode()), 2, {"not_json": 1, "not_object": 1})
        self.check(json.dumps(probe), 0, records={"control": 1})

    def test_broken_records_and_arrays(self):
        a, b = self.text(self.A, self.B)
        for head, tail in (('{"Records":[', "]}"), ("[", "]"), ('{"x":{},\n"Records" : [\n', "]}")):
            for end, calls in ((f"{a},{b}", 2), (f"{a},{b[:-1]}", 1), (f"{a},", 1), (f"{a},{tail}", 1), (f"{a} {b}{tail}", 1), (a[:-9], 0), ("", 0),
                               (f"{a},x,{b}{tail}", 1), (f'{a},{{"n":NaN}},{b}{tail}', 1), (f"{a},\n{b[:50]}\n{b}{tail}", 1)):
                self.check(head + end, calls, {"not_json": 1})
        self.check(f'{{"Records":[{a},{b}]', 2, {"not_json": 1})
        self.check(f'{{"Records":[{a},{b}],"x":', 2, {"not_json": 1})
        self.check(json.dumps({"Records": [self.A, self.B]}, indent=2)[:-12], 1, {"not_json": 1})

    def test_broken_lines(self):
        a, b = self.text(self.A, self.B)
        self.check(f"{a}\n{b[:-5]}\nhello\n{b}\n", 2, {"not_json": 2})
        self.check(f"{a[:-5]}\n{b}\n", 1, {"not_json": 1})
        self.check(f"{a}\n{b[:60]}", 1, {"not_json": 1})
        self.check(f"{a}\n{b}".encode() + b"\n{\"x\":\"\xff\"}\n", 2, {"not_json": 1})
        self.check("hello", 0, {"not_json": 1})

    def test_broken_bare_values(self):
        a, b = self.text(self.A, self.B)
        self.check(a + b[:-1], 1, {"not_json": 1})
        self.check(json.dumps(self.A, indent=2) + "\n" + json.dumps(self.B, indent=2)[:-1], 1, {"not_json": 1})

    def test_gzip(self):
        a, b = self.text(self.A, self.B)
        data = f"{a}\n{b}\n".encode()
        self.check(gzip.compress(data), 2)
        self.check(gzip.compress(gzip.compress(data)), 2)
        self.check(gzip.compress(f"{a}\n".encode()) + gzip.compress(b.encode()), 2)
        self.check(b"", 0, records={"empty": 1})
        self.check(b" \n", 0, records={"empty": 1})
        self.check(gzip.compress(b""), 0, records={"empty": 1})

    def test_broken_gzip(self):
        a, b = self.text(self.A, self.B)
        bad = {"bad_gzip": 1}
        for whole in (f'{{"Records":[{a},{b}]}}', f"[{a},{b}]", f"{a}\n{b}\n", a + b):
            stored = gzip.compress(whole.encode(), 0)  # stored: what is cut off is what is missing
            self.check(stored[:-8], 2, records=bad)
            self.check(stored[:-4], 2, records=bad)
            self.check(stored[:-18], 1, records=bad)
            self.check(stored[:-8] + b"\0" * 8, 2, records=bad)
            self.check(stored[:60], 0, records=bad)
            self.check(gzip.compress(stored[:-18]), 1, records=bad)
        self.check(b"\x1f\x8b", 0, records=bad)
        self.check(gzip.compress(f"{a}\nhello\n{b}".encode(), 0)[:-18], 1, {"not_json": 1}, bad)

    def test_last_of_two_keys_counts(self):
        a = json.dumps(self.A)
        self.check(a[:-1] + ',"eventTime":"x"}', 0, {"bad_time": 1})
        self.check('{"eventTime":"x",' + a[1:], 1)
        self.assertEqual(count.tls(json.loads('{"tlsDetails":{"tlsVersion":"TLSv1"},"tlsDetails":7}')), ("unknown", "not_reported"))


class AccessLogs(unittest.TestCase):
    """S3 server access logs; the whole of one is tests/access_logs."""

    LINE = ('o logs [06/Feb/2019:23:30:38 -0100] 192.0.2.3 arn:aws:iam::111122223333:user/u ID1 REST.GET.OBJECT a%20b "GET /a%20b HTTP/1.1" '
            '200 - 113 - 7 - "-" "Boto3/1.4.5" - h= SigV2 CIPHER AuthHeader logs.s3.us-west-1.amazonaws.com TLSV1.1 - -')

    def counted(self, *lines):
        result = count.Count(now=NOW)
        result.add_bytes("\n".join(lines).encode())
        return result

    def test_a_line_is_a_call(self):
        result = self.counted(self.LINE)
        self.assertEqual((result.events, result.calls), (1, 1))
        self.assertEqual([(c["weakness"], c["principal"], c["first_seen"], c["buckets"], c["aws_regions"], c["clients"])
                          for c in result.callers()],
                         [(weakness, ARN, "2019-02-07T00:30:38Z", ["logs"], ["us-west-1"], ["Boto3/1.4.5"])
                          for weakness in ("sigv2", "tls11")])

    def test_what_callers_say_is_theirs(self):
        for agent in ('x" - h= SigV4 C AuthHeader h TLSv1.3', '"', 'a" "b'):
            self.assertEqual([c["weakness"] for c in self.counted(self.LINE.replace("Boto3/1.4.5", agent)).callers()],
                             ["sigv2", "tls11"], agent)

    def test_parts_of_a_batch_and_broken_lines(self):
        part = self.LINE.replace("REST.GET.OBJECT", "BATCH.DELETE.OBJECT")
        result = self.counted(part, self.LINE, self.LINE, "", self.LINE[:60], self.LINE.replace("Feb", "Fev"))
        self.assertEqual((result.calls, dict(result.dropped), dict(result.rejected)),
                         (1, {"correction": 1, "duplicate": 1}, {"not_json": 1, "bad_time": 1}))


class Windows(unittest.TestCase):
    def at(self, result, window, at):
        answer = result.window(window, count.parse_time(at))
        return None if answer is None else sum(row["calls"] for row in answer["rows"])

    def test_the_bucket_of_t_and_those_before(self):
        # 5m at 12:20:30 is 12:16 to 12:20.
        result = counted(*(event(eventTime=f"2024-03-10T{t}Z") for t in ("12:15:59", "12:16:00", "12:16:00.5", "12:20:59", "12:21:00")))
        self.assertEqual(self.at(result, "5m", "2024-03-10T12:20:30Z"), 3)
        self.assertEqual(self.at(result, "5m", "2024-03-10T12:20:59Z"), 3)
        self.assertEqual(self.at(result, "5m", "2024-03-10T12:21:00Z"), 2)
        self.assertEqual(self.at(result, "5m", "2024-03-10T12:19:59Z"), 3)
        self.assertEqual(self.at(result, "5m", "2024-03-10T12:25:00Z"), 1)
        self.assertEqual(self.at(result, "5m", "2024-03-10T12:26:00Z"), 0)
        self.assertEqual(self.at(result, "5m", "2030-01-01T00:00:00Z"), 0)
        self.assertEqual(self.at(result, "1h", "2024-03-10T13:15:59Z"), 4)
        self.assertEqual(self.at(result, "1h", "2024-03-10T12:15:00Z"), 1)
        self.assertEqual(self.at(result, "24h", "2024-03-10T12:00:00Z"), 5)
        self.assertEqual(self.at(result, "24h", "2024-03-11T11:59:59Z"), 5)
        self.assertEqual(self.at(result, "24h", "2024-03-11T12:00:00Z"), 0)

    def test_rows(self):
        result = counted(event(tlsDetails__tlsVersion="TLSv1.0"), event(tlsDetails__tlsVersion="tlsv1"), event(),
                         event(additionalEventData__SignatureVersion="2"), event(userIdentity__invokedBy="s3.amazonaws.com"),
                         event(userIdentity={"type": "Root", "accountId": "0"}))
        self.assertEqual(result.window("1h", NOW), {"window": "1h", "at": "2024-03-10T12:30:00Z", "rows": [
            {"account_id": "0", "principal": "arn:aws:iam::0:root", "signature_version": "unknown", "tls_version": "unknown", "calls": 1},
            {"account_id": "111122223333", "principal": ARN, "signature_version": "SigV2", "tls_version": "unknown", "calls": 1},
            {"account_id": "111122223333", "principal": ARN, "signature_version": "unknown", "tls_version": "TLSv1", "calls": 2},
            {"account_id": "111122223333", "principal": ARN, "signature_version": "unknown", "tls_version": "unknown", "calls": 2}]})

    def test_what_is_kept(self):
        result = counted(event(eventTime="2024-03-10T12:00:00Z"))
        # Minutes kept: 10:01 to 12:00; hours kept: the 8th 13:00 to the 10th 12:00.
        for window, earliest in (("5m", "2024-03-10T10:05:00Z"), ("1h", "2024-03-10T11:00:00Z"), ("24h", "2024-03-09T12:00:00Z")):
            at = result.earliest_at(window)
            self.assertEqual(count.format_time(at), earliest)
            self.assertIsNotNone(result.window(window, at))
            self.assertIsNone(result.window(window, at - 1))
        self.assertIsNone(counted().earliest_at("5m"))
        self.assertEqual(counted().window("5m", 0)["rows"], [])

    def test_late(self):
        newest = "2024-03-10T12:29:00Z"
        for at, late in (("2024-03-08T13:00:00Z", 0), ("2024-03-08T12:59:59Z", 1), ("2024-03-08T12:59:59.999Z", 1), ("1970-01-01T00:00:00Z", 1)):
            result = counted(event(eventTime=newest), event(eventTime=at))
            self.assertEqual((result.late, result.calls), (late, 2), at)
            self.assertEqual(sum(sum(rows.values()) for rows in result.buckets[3600].values()), 2 - late)
        # In the order of their times nothing is late.
        self.assertEqual(counted(event(eventTime="1970-01-01T00:00:00Z"), event(eventTime=newest)).late, 0)

    def test_late_is_for_calls_and_calls_move_the_time(self):
        result = counted(event(eventTime="2024-03-10T12:00:00Z"), event(eventTime="2020-01-01T00:00:00Z", eventCategory="Insight"),
                         event(eventTime="2999-01-01T00:00:00Z", eventCategory="Insight"), event(eventTime="2999-01-01T00:00:00Z"))
        self.assertEqual((result.late, count.format_time(result.newest)), (0, "2024-03-10T12:00:00Z"))

    def test_a_leap_second_is_in_its_own_minute(self):
        result = counted(event(eventTime="2024-03-09T23:59:60Z"))
        self.assertEqual(self.at(result, "5m", "2024-03-09T23:59:00Z"), 1)
        self.assertEqual(self.at(result, "5m", "2024-03-10T00:03:59Z"), 1)
        self.assertEqual(self.at(result, "5m", "2024-03-10T00:04:00Z"), 0)

    def test_suggested_times_are_answered(self):
        result = counted(*(event(eventTime=f"2024-03-{d:02}T{h:02}:{d}:00Z") for d in (8, 9, 10) for h in range(10, 13)))
        for window in count.WINDOWS:
            asked = result.suggest_at(window, 9)
            self.assertEqual(len(asked), 9)
            self.assertEqual(len(set(asked)), 9)
            self.assertIn(result.earliest_at(window), asked)
            self.assertTrue(all(result.window(window, at) for at in asked))


class CommandLine(unittest.TestCase):
    def run_count(self, *arguments):
        out = io.StringIO()
        with redirect_stdout(out):
            count.main(list(map(str, arguments)))
        return json.loads(out.getvalue())

    def test_document(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "b").mkdir()
            (folder / "b" / "1.json").write_text(json.dumps(event(eventID="a", eventTime="2024-03-01T00:00:00Z")))
            (folder / "a.json").write_text(json.dumps([event(eventID="a")]))
            (folder / "c.json.gz").write_bytes(gzip.compress(b'{"Records":['))
            answer = self.run_count(folder, "--now", "2024-03-10T12:30:00Z", "--window", "5m", "--at", "2024-03-10T12:04:00Z", "--at", "2024-03-10T10:00:00Z")
            self.assertEqual(answer["totals"], {"events": 3, "calls": 1, "not_calls": {}, "dropped": {"duplicate": 1}, "rejected": {"not_json": 1}, "late": 0})
            self.assertEqual(answer["newest_event_time"], "2024-03-10T12:00:00Z")
            self.assertEqual(answer["earliest_at"], {"5m": "2024-03-10T10:05:00Z", "1h": "2024-03-10T11:00:00Z", "24h": "2024-03-09T12:00:00Z"})
            self.assertEqual([len(w.get("rows", [])) for w in answer["windows"]], [1, 0])
            self.assertEqual(answer["windows"][1]["earliest"], "2024-03-10T10:05:00Z")
            twice = self.run_count(folder, "--now", "2024-03-10T12:30:00Z", "--no-dedup")
            self.assertEqual((twice["totals"]["calls"], twice["totals"]["late"]), (2, 1))

    def test_order(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            for name in ("a-b/1", "a/2", "a/10", "b"):
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_text("")
            names = [file.relative_to(folder).as_posix() for file in count.gather([folder])]
            self.assertEqual(names, ["a/10", "a/2", "a-b/1", "b"])
            self.assertEqual(count.gather([folder / "b", folder / "a"])[0], folder / "b")
            self.assertEqual(sorted(count.gather([folder], "random", 1)), sorted(count.gather([folder])))

    def test_zeros(self):
        self.assertEqual(counted().totals(zeros=True)["not_calls"], {"insight": 0, "aggregated": 0, "digest": 0, "network_activity": 0})
        full = counted(event())
        self.assertEqual(count.drop_zeros(full.totals(zeros=True)), full.totals())
        self.assertEqual(count.drop_zeros(full.coverage(zeros=True)), count.drop_zeros(full.coverage()))


class Transformed(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.out = pathlib.Path(self.folder.name)
        self.files = [[event(eventID=f"{n}-{m}", eventTime=f"2024-03-10T{9 + n:02}:{m:02}:00Z") for m in range(60)] for n in range(3)]
        self.accounts = (transform.A, transform.B)

    def totals(self, name, files, **how):
        written = transform.write(files, self.out / name, **how)
        self.assertEqual(written, count.gather([self.out / name]))
        result = count.count_files(written, now=NOW, accounts=self.accounts)
        self.assertTrue(adds_up(result.totals()))
        return result

    def test_every_envelope_says_the_same(self):
        files = transform.edit_all(self.files)
        plain = self.totals("plain", files).totals()
        for number, envelope in enumerate(transform.ENVELOPES):
            for gzips in (0, 2):
                totals = self.totals(f"{envelope}{gzips}", files, envelope=envelope, gzips=gzips).totals()
                if envelope == "eventbridge":
                    totals["events"] += plain["rejected"]["not_object"]
                    totals["rejected"]["not_object"] = plain["rejected"]["not_object"]
                self.assertEqual(totals, plain, envelope)

    def test_edits_make_everything_occur(self):
        result = self.totals("edits", transform.edit_all(self.files))
        totals = result.totals()
        self.assertEqual(set(totals["not_calls"]), set(count.NOT_CALLS))
        self.assertEqual(set(totals["dropped"]), set(count.DROPPED))
        self.assertEqual(set(totals["rejected"]), set(count.REJECTED) - {"not_json", "too_large", "too_deep"})
        self.assertGreater(totals["late"], 0)
        for of in ("signature", "tls"):
            self.assertEqual(set(result.coverage()[of]["unknown"]), set(count.UNKNOWN))
        self.assertEqual({row[2] for row in result.groups}, {"SigV2", "SigV4", "SigV4A", "unknown"})
        self.assertEqual({row[3] for row in result.groups}, {"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", "unknown"})
        principals = {row[1] for row in result.groups}
        for name in ("anonymous", "unknown", "AROAX", f"account:{transform.C}", "accounts.example.com/jo", "identitycenter:94482488-3041-7000",
                     f"arn:aws-cn:iam::{transform.A}:role/r", f"arn:aws-us-gov:iam::{transform.A}:root", f"arn:aws:iam::{transform.A}:user/issuer",
                     "config.amazonaws.com", "x.amazonaws.com"):
            self.assertIn(name, principals)

    def test_edits_make_every_kind_of_weak_caller_occur(self):
        result = self.totals("edits", transform.edit_all(self.files))
        rows = result.callers()
        self.assertEqual({row["weakness"] for row in rows if row["state"] == "paged"}, set(count.WEAKNESSES))
        self.assertEqual({row["weakness"] for row in rows if row["state"] == "outside"}, {"sigv2", "long_term_key"})
        for name in count.LISTS:
            self.assertTrue(any(len(row[name]) > 1 for row in rows), name)
        self.assertTrue(any(0 < row["presigned"] < 1 for row in rows))
        self.assertTrue(any(row["presigned"] == 1 and row["opened_by"] and not row["clients"] for row in rows))
        sigv2 = {row["principal"]: row for row in rows if row["weakness"] == "sigv2"}
        self.assertEqual(sigv2[f"arn:aws:iam::{transform.A}:role/path/weak"]["sessions"], ["/", "a/b", "deploy@example.com", "i-0abc", "i-0def", "é"])
        user = f"arn:aws:iam::{transform.A}:user/weak/"
        self.assertEqual(sigv2[user + "error 'AccessDenied' in the response"]["errors"], 1)
        self.assertEqual(sigv2[user + "resources 2"]["buckets"], ["small"])
        self.assertNotIn(user + "invokedBy 's3.amazonaws.com'", sigv2)
        self.assertIn(user + "invokedBy ''", sigv2)
        self.assertEqual({row[0] for row in result.weak if row[1] == "anonymous"}, {"sigv2"})

    def test_an_edit_leaves_the_original_alone(self):
        before = json.dumps(self.files)
        transform.edit_all(self.files)
        self.assertEqual(json.dumps(self.files), before)

    def test_twice(self):
        once, twice = self.totals("once", self.files), self.totals("twice", self.files, twice=True, gzips=1)
        self.assertEqual((once.calls, twice.calls, twice.dropped["duplicate"]), (180, 180, 180))
        self.assertEqual(once.all_rows(), twice.all_rows())

    def test_shuffle_and_order_change_nothing(self):
        once, mixed = self.totals("once", self.files), self.totals("mixed", transform.shuffle(self.files, 7))
        self.assertEqual(once.totals(), mixed.totals())
        self.assertEqual(once.callers(), mixed.callers())
        again = count.count_files(count.gather([self.out / "mixed"], "random", 3), now=NOW)
        for window in count.WINDOWS:
            for at in once.suggest_at(window, 20):
                self.assertEqual(once.window(window, at), mixed.window(window, at))
                self.assertEqual(once.window(window, at), again.window(window, at))

    def test_spread(self):
        result = self.totals("spread", transform.spread(self.files * 3, 3, 1, NOW))
        totals = result.totals()
        self.assertGreater(totals["late"], 0)
        self.assertGreater(totals["rejected"]["future_time"], 1)
        self.assertGreater(totals["dropped"]["duplicate"], 0)
        self.assertEqual(count.format_time(result.newest), "2024-03-10T12:45:00Z")
        same = self.totals("same", transform.spread(self.files * 3, 3, 1, NOW))
        self.assertEqual(totals, same.totals())

    def test_cut(self):
        totals = self.totals("cut", self.files, cuts=1).totals()
        self.assertEqual(totals["rejected"], {"not_json": 1})
        squeezed = self.totals("squeezed", self.files, cuts=1, gzips=1)
        self.assertEqual((squeezed.totals()["rejected"], dict(squeezed.records)), ({}, {"bad_gzip": 1}))


class Corpus(unittest.TestCase):
    def setUp(self):
        if not CORPUS.is_dir():
            print("\nSKIPPED: the sample data is not there (TRAILMETER_CORPUS)", file=sys.stderr)
            self.skipTest("no sample data: set TRAILMETER_CORPUS")

    def test_invictus(self):
        # The figures the sample data itself is published with: 2,900 events, SigV4 on 267, TLS on 2,096 + 199.
        result = count.count_files(count.gather([CORPUS / "invictus" / "CloudTrail"]), now=NOW)
        self.assertEqual(result.totals(), {"events": 2900, "calls": 2900, "not_calls": {}, "dropped": {}, "rejected": {}, "late": 0})
        coverage = result.coverage()
        self.assertEqual((coverage["signature"]["known"], sum(coverage["signature"]["unknown"].values())), (267, 2633))
        self.assertEqual((coverage["tls"]["known"], sum(coverage["tls"]["unknown"].values())), (2295, 605))
        by_tls = {}
        for (_, _, _, version), (calls, _, _) in result.groups.items():
            by_tls[version] = by_tls.get(version, 0) + calls
        self.assertEqual(by_tls, {"TLSv1.2": 2096, "TLSv1.3": 199, "unknown": 605})
        # Its users' long-lived keys are all it has of weaknesses.
        self.assertEqual([(row["weakness"], row["principal"].split("/")[-1], row["calls"], row["errors"], len(row["event_names"]))
                          for row in result.callers()], [("long_term_key", "benjamin", 78, 14, 17), ("long_term_key", "bert-jan", 2104, 224, 178)])

    def test_the_published_sigv2_events(self):
        found = count.Count(now=NOW)
        for line in (CORPUS / "awsdocs" / "amazon-s3-userguide.ndjson").read_text().splitlines():
            found.add_bytes(json.dumps(json.loads(line)["event"]).encode())
        self.assertIn(("111122223333", "arn:aws:iam::111122223333:user/myUserName", "SigV2", "unknown"), found.groups)
        self.assertTrue(adds_up(found.totals()))


if __name__ == "__main__":
    unittest.main()
