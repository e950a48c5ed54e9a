#!/usr/bin/env python3
"""Small cases whose answers were worked out by hand, and the hits of public rules on real events, for rules.py."""

import gzip
import io
import json
import os
import pathlib
import sys
import tempfile
import textwrap
import unittest
from collections import namedtuple
from contextlib import redirect_stderr, redirect_stdout

import yaml

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import rules  # noqa: E402

CORPUS = pathlib.Path(os.environ.get("TRAILMETER_CORPUS") or HERE.parents[1] / "../shared/corpus")

# One request parameter of each kind.
KINDS = {"eventName": "GetThing", "eventSource": "s3.amazonaws.com", "errorCode": None, "userIdentity": {"type": "IAMUser", "userName": "Ann"},
         "requestParameters": {"string": "abc", "empty": "", "null": None, "true": True, "false": False, "one": 1, "float": 33.0,
                               "array": ["x", "y"], "none": [], "object": {"k": "v", "n": [1, None]},
                               "nested": [{"name": "p", "tags": ["t1", "t2"]}, {"name": "q"}, 7], "path": "/a/b/c", "é": "É"}}


def parsed(event):
    """An event as it comes from a file."""
    return rules.parse_json(json.dumps(event, ensure_ascii=False))


def falco(condition, event=None, before=""):
    """Whether one Falco rule with the condition matches the event; `before` is YAML that stands before it."""
    text = textwrap.dedent(before) + rule("r", condition)
    return dict(loaded(text))["r"](parsed(KINDS if event is None else event), 1)


def rule(name, condition, **keys):
    keys = {"desc": "d", "output": "o", "priority": "info", "source": "aws_cloudtrail", **keys}
    return yaml.safe_dump([{"rule": name, "condition": condition, **keys}])


def loaded(*texts):
    with tempfile.TemporaryDirectory() as folder, redirect_stderr(io.StringIO()):
        files = [pathlib.Path(folder) / f"{n}.yaml" for n in range(len(texts))]
        for file, text in zip(files, texts):
            file.write_text(text)
        return rules.load_rules(files)


def sigma(detection, event=None):
    """Whether a Sigma detection, in YAML, matches the event. Without a condition it is one selection."""
    detection = textwrap.dedent(detection)
    if "condition:" not in detection:
        detection = f"selection:\n{textwrap.indent(detection, '  ')}\ncondition: selection\n"
    head = "title: t\nlogsource: {product: aws, service: cloudtrail}\ndetection:\n"
    (_, matches), = loaded(head + textwrap.indent(detection, "  "))
    return matches(parsed(KINDS if event is None else event), 1)


def param(name, **values):
    return {"eventName": "GetThing", "eventSource": "s3.amazonaws.com", "requestParameters": {name: value for name, value in values.items()}}


class Judged(unittest.TestCase):
    def all_true(self, judge, *cases):
        for case in cases:
            self.assertIs(judge(case), True, case)

    def all_false(self, judge, *cases):
        for case in cases:
            self.assertIs(judge(case), False, case)


def at(name):
    return f"json.value[/requestParameters/{name}]"


class FalcoOperators(Judged):
    def test_each_operator(self):
        string, path = at("string"), at("path")
        self.all_true(falco, f"{string} = abc", f"{string} == 'abc'", f'{string} != "ABC"', f"{string} contains b", f"{string} icontains BC",
                      f"{string} bcontains 6263", f"{string} startswith ab", f"{string} bstartswith 61", f"{string} endswith bc",
                      f"{string} glob a?c", f"{string} glob *", f"{path} glob /a*c", f"{string} iglob A*", f"{string} regex a.c",
                      f"{string} in (x, abc)", f"{string} intersects (abc)", f"{path} pmatch (/x, /a/b)", f"{path} pmatch (/a/b/c)",
                      f"{path} pmatch (/)", f"{string} > abb", f"{string} >= abc", f"{string} < abd", f"{string} <= abc", f"{string} > ABC")
        self.all_false(falco, f"{string} = ABC", f"{string} != abc", f"{string} contains B", f"{string} icontains ac", f"{string} bcontains 64",
                       f"{string} startswith b", f"{string} bstartswith 62", f"{string} endswith ab", f"{string} glob a?", f"{string} glob A*",
                       f"{string} iglob b*", f"{string} regex a", f"{string} regex bc", f"{string} regex b", f"{string} in (ABC, ab)",
                       f"{string} in ()", f"{string} intersects (x)", f"{path} pmatch (/a/bb)", f"{path} pmatch (/a/b/c/d)", f"{string} > abc",
                       f"{string} < abc")

    def test_glob_letters(self):
        string = at("string")
        self.all_true(falco, f"{string} glob '[a-b]?c'", f"{string} glob '[!b]bc'", f"{string} glob '[^b]*'", rf"{string} glob 'a\\bc'")
        self.all_false(falco, f"{string} glob '[!a]bc'", f"{string} glob '[b-z]bc'", rf"{string} glob 'a\\*'", f"{string} glob '[abc'")

    def test_only_ascii_is_folded(self):
        self.all_true(falco, f"{at('é')} icontains É", f"{at('é')} = É", f"toupper({at('é')}) = É", f"tolower({at('é')}) = É", f"len({at('é')}) = 2")
        self.all_false(falco, f"{at('é')} icontains é", f"{at('é')} iglob é")

    def test_missing(self):
        missing = at("missing")
        checks = [f"{missing} {check}" for check in (
            "exists", "= a", "= ''", "!= a", "!= ''", "contains ''", "startswith ''", "endswith ''", "glob *", "regex '.*'", "in (a)", "in ('')",
            "intersects ('')", "pmatch (/)", "< z", ">= ''", "!= allof (a)", "= anyof ('')", f"= val({missing})", f"!= val({at('string')})")]
        checks += [f"{at('string')} != val({missing})", f"tolower({missing}) != a", f"len({missing}) = 0", f"concat({missing}, x) exists",
                   f"join(',', ({at('string')}, {missing})) exists"]
        self.all_false(falco, *checks)
        self.all_true(falco, *(f"not {check}" for check in checks))

    def test_empty(self):
        empty = at("empty")
        self.all_true(falco, f"{empty} exists", f"{empty} = ''", f"{empty} != a", f"{empty} contains ''", f"{empty} glob *", f"{empty} in ('')",
                      f"len({empty}) = 0", f"{empty} regex ''", f"{empty} < a")
        self.all_false(falco, f"{empty} = a", f"{empty} contains a", f"{empty} glob ?", f"{empty} in ()")

    def test_what_is_not_a_string(self):
        # By pointer it is its JSON; in a named field it is an empty string that exists.
        self.all_true(falco, f"{at('null')} = null", f"{at('null')} exists", f"{at('true')} = true", f"{at('one')} = 1", f"{at('float')} = 33.0",
                      f"{at('array')} = '[\"x\",\"y\"]'", f"{at('none')} = '[]'", f"{at('object')} = '{{\"k\":\"v\",\"n\":[1,null]}}'",
                      f"{at('array/1')} = y", f"{at('nested/0/tags/1')} = t2", f"{at('object/n/1')} = null", f"{at('one')} > 02",
                      "json.value[requestParameters/string] = abc", "jevt.value[/requestParameters/string] = abc",
                      "json.value['/requestParameters/string'] = abc", "ct.error exists", "ct.error = ''", "not ct.errormessage exists")
        self.all_false(falco, f"{at('array/2')} exists", f"{at('array/01')} exists", f"{at('array/-')} exists", f"{at('string/0')} exists",
                       f"{at('null/x')} exists")

    def test_pointer_escapes(self):
        event = {"a/b": {"m~n": "x"}, "": "y"}
        self.assertTrue(falco("json.value[/a~1b/m~0n] = x", event))
        self.assertTrue(falco("json.value[/] = y", event))

    def test_quantifiers(self):
        string = at("string")
        self.all_true(falco, f"{string} contains anyof (b, x)", f"{string} contains allof (a, b)", f"{string} contains oneof (a, x)",
                      f"{string} != allof (x, y)", f"{string} != anyof (abc, x)", f"{string} != oneof (abc, x)", f"{string} glob anyof ('b*', 'a*')")
        self.all_false(falco, f"{string} contains anyof (x, y)", f"{string} contains allof (a, x)", f"{string} contains oneof (a, b)",
                       f"{string} contains oneof (x, y)", f"{string} != allof (abc, x)", f"{string} != anyof (abc)", f"{string} != oneof (x, y)",
                       *(f"{string} {operator} {quantifier} ()" for operator in ("=", "!=") for quantifier in ("oneof", "anyof", "allof")))

    def test_transformers(self):
        string, path = at("string"), at("path")
        self.all_true(falco, f"toupper({string}) = ABC", f"tolower(toupper({string})) = abc", f"basename({path}) = c", f"basename({string}) = abc",
                      f"len({string}) = 3", f"len({string}) > 2", f"len({string}) in (2, 3)", f"concat({string}, ':', ct.name) = abc:GetThing",
                      f"join('-', ({string}, ct.name)) = abc-GetThing", f"toupper(concat({string}, x)) in (ABCX)",
                      f"{string} = val({string})", f"ct.name != val({string})", f"{string} = tolower({string})")
        self.all_false(falco, f"toupper({string}) = abc", f"len({string}) = 2", f"{string} = val(ct.name)")
        self.assertTrue(falco("b64(ct.name) = hello", {"eventName": "aGVsbG8="}))
        self.assertFalse(falco("b64(ct.name) exists", {"eventName": "?"}))
        self.assertTrue(falco("basename(ct.name) = ''", {"eventName": "a/"}))

    def test_numbers(self):
        self.all_true(falco, "evt.num > 0", "evt.num = 1", "evt.num = 0x1", "evt.num <= 1", "evt.num in (1, 2)", "evt.num != 2")
        self.all_false(falco, "evt.num > 1", "evt.num in (2)", "s3.bytes exists")
        event = {"eventName": "GetObject", "additionalEventData": {"bytesTransferredIn": 9.0, "bytesTransferredOut": 10}}
        for condition in ("s3.bytes = 19", "s3.bytes.in < 10", "s3.bytes.out >= 10", "s3.cnt.get = 1", "not s3.cnt.put exists"):
            self.assertTrue(falco(condition, event), condition)

    def test_precedence(self):
        yes, no = "ct.name = GetThing", "ct.name = no"
        self.all_true(falco, f"{yes} or {no} and {no}", f"not {no} and {yes}", f"not {no} or {no}", f"({yes} or {no}) and not({no})",
                      f"not not {yes}", f"{yes} and({yes})", f"{yes}\n  and\t{yes}", f"not ({no} or {no})", "ct.name=GetThing and not ct.name in(a)")
        self.all_false(falco, f"({yes} or {no}) and {no}", f"not {yes} or {no}", f"not ({yes} or {no})")

    def test_strings(self):
        event = {"eventName": "a\"b'c\\d\te,(=)"}
        self.assertTrue(falco(r'''ct.name = "a\"b'c\\d\te,(=)"''', event))
        self.assertTrue(falco(r"""ct.name = 'a"b\'c\\d\te,(=)'""", event))
        self.assertTrue(falco("ct.name = arn:aws:iam::1:user/x*", {"eventName": "arn:aws:iam::1:user/x*"}))

    def test_errors(self):
        for condition in ("", "ct.name", "ct.name =", "ct.name = a b", "(ct.name = a", "ct.name = a)", "ct.nam = a", "ct.name[x] = a", "json.value = a",
                          "ct.name is a", "unknown_macro", "ct.name in unknown_list", "ct.name = 'a", r"ct.name = 'a\q'", "ct.name in (a b)",
                          "evt.num = x", "evt.num contains 1", "ct.name bcontains xyz", "ct.name = a and", "nope(ct.name) = a", "a or",
                          "(" * 200 + "ct.name = a" + ")" * 200):
            with self.assertRaises(rules.RuleError, msg=condition):
                falco(condition)


class FalcoFields(Judged):
    def test_user(self):
        for who, user, original in (
                ({"type": "IAMUser", "userName": "ann"}, "ann", "ann"), ({"type": "Root"}, None, None),
                ({"type": "AWSService", "invokedBy": "x.amazonaws.com"}, "x.amazonaws.com", None),
                ({"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/r/s",
                  "sessionContext": {"sessionIssuer": {"userName": "r"}}}, "r", "s"),
                ({"type": "AssumedRole", "arn": "a/b", "principalId": "AROA:t"}, "AssumedRole", "t"),
                ({"type": "AssumedRole", "principalId": "AROA"}, "AssumedRole", None),
                ({"type": "AWSAccount", "userName": "n"}, "AWSAccount", "n"), ({"type": "FederatedUser"}, "FederatedUser", None),
                ({"type": "SAMLUser", "userName": "n"}, None, "n"), ({}, None, None)):
            event = {"userIdentity": who}
            for field, expected in (("ct.user", user), ("ct.originaluser", original)):
                self.assertEqual(rules.FIELDS[field](event, 1), expected, (field, who))

    def test_fields(self):
        event = parsed({"eventSource": "s3.amazonaws.com", "recipientAccountId": "2", "readOnly": True, "managementEvent": False,
                        "sessionCredentialFromConsole": "true", "requestParameters": {"Host": "h", "bucketName": "b", "key": "k", "userName": None},
                        "resources": [{"ARN": "a"}, {"n": 1.5}], "tlsDetails": {"tlsVersion": "TLSv1.2"}, "userIdentity": {"type": "IAMUser"},
                        "eventTime": "2023-07-10T11:42:18Z"})
        for field, expected in (("ct.shortsrc", "s3"), ("ct.user.accountid", "2"), ("ct.readonly", "true"), ("ct.managementevent", "false"),
                                ("ct.sessioncredentialfromconsole", "true"), ("ct.request.host", "h"), ("ct.request.username", ""),
                                ("ct.request.name", None), ("s3.uri", "s3://b/k"), ("ct.resources", '{"ARN":"a"},{"n":1.5}'),
                                ("ct.tlsdetails.tlsversion", "TLSv1.2"), ("ct.tlsdetails.ciphersuite", None), ("ct.response", None),
                                ("ct.request", '{"Host":"h","bucketName":"b","key":"k","userName":null}'), ("s3.cnt.other", 1),
                                ("evt.time.iso8601", "2023-07-10T11:42:18.000000000+0000")):
            self.assertEqual(rules.FIELDS[field](event, 7), expected, field)
        self.assertEqual(rules.FIELDS["ct.shortsrc"]({"eventSource": "x"}, 1), "x")
        self.assertEqual(rules.FIELDS["evt.num"]({}, 7), 7)

    def test_instances(self):
        event = {"requestParameters": {"tagSpecificationSet": {"items": [
            {"resourceType": "volume", "tags": [{"key": "Name", "value": "v"}]}, {"resourceType": "instance", "tags": [{"key": "Name", "value": "i"}]}]}},
            "responseElements": {"instancesSet": {"items": [{"imageId": "ami-1"}, {"imageId": "ami-2"}]}}}
        self.assertEqual([rules.FIELDS[f](event, 1) for f in ("ec2.name", "ec2.imageid", "ec2.imageids")], ["i", "ami-1", "ami-1,ami-2"])
        self.assertEqual([rules.FIELDS[f]({}, 1) for f in ("ec2.name", "ec2.imageid", "ec2.imageids")], [None] * 3)


NAMES = "- {list: names, items: [Ann, Bob]}\n- {list: more, items: [names, Cid]}\n- {macro: ann, condition: ct.user = Ann}\n"
ANN, BOB, CID = ({"eventName": "X", "userIdentity": {"type": "IAMUser", "userName": name}} for name in ("Ann", "Bob", "Cid"))


def matching(text):
    """Which of Ann, Bob and Cid each rule matches."""
    return {name: "".join(letter for letter, event in zip("ABC", (ANN, BOB, CID)) if matches(event, 1)) for name, matches in loaded(text)}


class FalcoFiles(Judged):
    def test_lists_and_macros(self):
        for condition, expected in (("ct.user in (names)", "AB"), ("ct.user in names", "AB"), ("ct.user in (more)", "ABC"), ("ct.user in ('names')", ""),
                                    ("ct.user in (Cid, names)", "ABC"), ("ann", "A"), ("not ann", "BC"), ("ann or ct.user = Bob", "AB"),
                                    ("ct.user contains anyof names", "AB"), ("not ct.user in (more)", "")):
            self.assertEqual(matching(NAMES + rule("r", condition)), {"r": expected}, condition)

    def test_macros_see_only_what_was_before(self):
        self.assertEqual(matching(NAMES + "- {macro: both, condition: ann or ct.user = Bob}\n" + rule("r", "both and ct.name = X")), {"r": "AB"})
        with self.assertRaises(rules.RuleError):
            loaded("- {macro: both, condition: ann}\n" + NAMES + rule("r", "both"))
        with self.assertRaises(rules.RuleError):
            loaded("- {macro: self, condition: self}\n" + rule("r", "self"))

    def test_a_list_knows_only_earlier_lists(self):
        self.assertEqual(matching("- {list: all, items: [names]}\n" + NAMES + rule("r", "ct.user in (all)")), {"r": ""})

    def test_replaced_in_place(self):
        text = rule("a", "ct.user = Ann") + rule("b", "ct.user = Bob") + rule("a", "ct.user = Cid")
        self.assertEqual(list(matching(text).items()), [("a", "C"), ("b", "B")])

    def test_enabled(self):
        self.assertEqual(matching(rule("a", "evt.num > 0", enabled=False)), {"a": ""})
        self.assertEqual(matching(rule("a", "evt.num > 0", enabled=False) + "- {rule: a, enabled: true}\n"), {"a": "ABC"})
        self.assertEqual(matching(rule("a", "evt.num > 0") + "- {rule: a, enabled: false}\n"), {"a": ""})

    def test_append(self):
        text = (NAMES + rule("r", "ct.user in (names)") + "- {list: names, items: [Cid], append: true}\n"
                + "- {rule: r, condition: and not ann, append: true}\n- {macro: ann, condition: or ct.user = Bob, append: true}\n")
        self.assertEqual(matching(text), {"r": "C"})

    def test_override(self):
        text = NAMES + rule("r", "ann")
        for item, expected in (("condition: or ct.user = Cid, override: {condition: append}", "AC"),
                               ("condition: ct.user = Cid, override: {condition: replace}", "C"),
                               ("enabled: false, override: {enabled: replace}", "")):
            self.assertEqual(matching(text + f"- {{rule: r, {item}}}\n"), {"r": expected}, item)
        self.assertEqual(matching(text + "- {macro: ann, condition: ct.user = Bob, override: {condition: replace}}\n"), {"r": "B"})
        for item in ("condition: ann, override: {condition: append}, append: true", "condition: ann, desc: d, override: {desc: replace}",
                     "enabled: false, override: {enabled: append}", "override: {}", "condition: ann"):
            with self.assertRaises(rules.RuleError, msg=item):
                loaded(text + f"- {{rule: r, {item}}}\n")
        with self.assertRaises(rules.RuleError):
            loaded(text + "- {rule: other, condition: ann, append: true}\n")

    def test_exceptions(self):
        every = "ct.name = X or ct.name = Y"
        for exception, expected in (
                ({"fields": "ct.user", "values": ["Ann"]}, "BC"), ({"fields": "ct.user", "values": ["names"]}, "C"),
                ({"fields": "ct.user", "comps": "startswith", "values": ["A", "B"]}, "C"), ({"fields": "ct.user"}, "ABC"),
                ({"fields": ["ct.user", "ct.name"], "values": [["Ann", "X"], ["Bob", "Y"]]}, "BC"),
                ({"fields": ["ct.user", "ct.name"], "comps": ["in", "startswith"], "values": [[["Ann", "Bob"], "X"]]}, "C"),
                ({"fields": ["ct.user"], "comps": ["in"], "values": [["more"]]}, ""),
                ({"fields": ["ct.error"], "comps": ["!="], "values": [["x"]]}, "ABC")):
            self.assertEqual(matching(NAMES + rule("r", every, exceptions=[{"name": "e", **exception}])), {"r": expected}, exception)
        with self.assertRaises(rules.RuleError):
            loaded(rule("r", every, exceptions=[{"name": "e", "fields": ["ct.user", "ct.name"], "values": [["Ann"]]}]))

    def test_exceptions_merge(self):
        text = rule("r", "ct.name = X", exceptions=[{"name": "e", "fields": "ct.user", "values": ["Ann"]}])
        for item in ("exceptions: [{name: e, values: [Bob]}], append: true", "exceptions: [{name: e, values: [Bob]}], override: {exceptions: append}",
                     "exceptions: [{name: f, fields: [ct.user], values: [[Bob]]}], append: true"):
            self.assertEqual(matching(text + f"- {{rule: r, {item}}}\n"), {"r": "C"}, item)

    def test_sources(self):
        self.assertEqual(matching(rule("r", "jevt.value[/eventName] = X", source="k8s_audit")), {"r": "ABC"})
        self.assertEqual(matching(rule("r", "ct.name = X", source="k8s_audit")), {})
        self.assertEqual(matching(rule("r", "ka.verb = X", **{"skip-if-unknown-filter": True})), {})

    def test_broken_items(self):
        for text in ("- {list: x}\n", "- {macro: x}\n", "- {rule: x, condition: evt.num > 0}\n", "- {rule: x, enabled: true}\n"):
            with self.assertRaises(rules.RuleError, msg=text):
                loaded(text)
        self.assertEqual(matching("- {other: x}\n- required_engine_version: 10\n"), {})


class Sigma(Judged):
    def test_each_modifier(self):
        field = "requestParameters.string"
        self.all_true(sigma, f"{field}: abc", f"{field}: ABC", f"{field}|cased: abc", f"{field}|contains: B", f"{field}|startswith: A",
                      f"{field}|endswith: BC", f"{field}|contains|all: [a, b]", f"{field}|re: b", f"{field}|re: ^a.c$", f"{field}|re|i: B",
                      f"{field}|exists: true", f"{field}|fieldref: {field}", f"{field}|startswith|cased: ab", "requestParameters.one|gt: 0",
                      "requestParameters.one|gte: 1", "requestParameters.float|lt: 33.5", "requestParameters.one|lte: 1")
        self.all_false(sigma, f"{field}: ab", f"{field}|cased: ABC", f"{field}|contains: x", f"{field}|startswith: b", f"{field}|endswith: a",
                       f"{field}|contains|all: [a, x]", f"{field}|re: B", f"{field}|exists: false", f"{field}|fieldref: requestParameters.path",
                       f"{field}|contains|cased: B", "requestParameters.one|gt: 1", "requestParameters.one|lt: 1", f"{field}|gt: 0",
                       "requestParameters.true|gte: 0")

    def test_cidr(self):
        for address, network, expected in (("10.1.2.3", "10.0.0.0/8", True), ("11.1.2.3", "10.0.0.0/8", False), ("2001:db8::1", "2001:db8::/32", True),
                                           ("10.1.2.3", "2001:db8::/32", False), ("AWS Internal", "0.0.0.0/0", False), ("10.0.0.9", "10.0.0.5/24", True)):
            self.assertIs(sigma(f"sourceIPAddress|cidr: {network}", {"sourceIPAddress": address}), expected, (address, network))
        self.assertTrue(sigma("sourceIPAddress|cidr: [192.168.0.0/16, 10.0.0.0/8]", {"sourceIPAddress": "10.0.0.1"}))

    def test_windash_and_base64(self):
        for text in ("x -y", "x /y", "x –y", "x —y", "x ―y"):
            self.assertTrue(sigma("eventName|windash|contains: ' -y'", {"eventName": text}), text)
        self.assertFalse(sigma("eventName|windash|contains: a-y", {"eventName": "a/y"}))
        self.assertFalse(sigma("eventName|contains: ' -y'", {"eventName": "x /y"}))
        self.assertTrue(sigma("eventName|base64|contains: hello", {"eventName": "x aGVsbG8= y"}))
        self.assertFalse(sigma("eventName|base64: hello", {"eventName": "hello"}))

    def test_wildcards(self):
        for pattern, text, expected in (
                ("a*c", "abbc", True), ("a*c", "ac", True), ("a?c", "abc", True), ("a?c", "ac", False), ("*", "", True), ("?", "", False),
                ("*b*", "a\nb", True), (r"a\*", "a*", True), (r"a\*", "ab", False), (r"a\?", "a?", True), (r"a\?", "ab", False),
                (r"a\\*", "a\\b", True), (r"a\\*", "a*", False), (r"a\\b", r"a\b", True), (r"a\b", r"a\b", True), ("a.c", "abc", False),
                ("[a]", "a", False), ("a\\", "a\\", True)):
            value = json.dumps(pattern)
            self.assertIs(sigma(f"eventName: {value}", {"eventName": text}), expected, (pattern, text))
        self.assertTrue(sigma("eventName|contains: a*c", {"eventName": "xabcx"}))
        self.assertFalse(sigma(r"eventName|contains: a\*c", {"eventName": "xabcx"}))
        self.assertTrue(sigma("eventName|startswith: a?", {"eventName": "abc"}))
        self.assertFalse(sigma("eventName|re: 'a*c'", {"eventName": "ab"}))

    def test_missing(self):
        field = "requestParameters.missing"
        self.all_false(sigma, f"{field}: a", f"{field}: ''", f"{field}: '*'", f"{field}|contains: ''", f"{field}|contains: '*'", f"{field}|re: ''",
                       f"{field}|exists: true", f"{field}|gt: 0", f"{field}|lte: 0", f"{field}|cidr: 0.0.0.0/0", f"{field}|fieldref: eventName",
                       f"{field}|fieldref: {field}", f"eventName|fieldref: {field}", "requestParameters.string.deeper: abc")
        self.all_true(sigma, f"{field}: null", f"{field}:", f"{field}: ~", f"{field}|exists: false", f"{field}: [a, null]", "not.there.at.all: null")

    def test_null(self):
        # Absent, and JSON's null, which holds nothing either. A word in quotes is a word.
        self.all_true(sigma, "requestParameters.null: null", "errorCode: null", "requestParameters.null|exists: true")
        self.all_false(sigma, "requestParameters.null: 'null'", "requestParameters.null: '*'", "requestParameters.null|contains: ''",
                       "requestParameters.string: null", "requestParameters.empty: null", "requestParameters.none: null",
                       "requestParameters.false: null", "requestParameters.object: null", "requestParameters.missing: 'null'")

    def test_empty(self):
        self.all_true(sigma, "requestParameters.empty: ''", "requestParameters.empty: '*'", "requestParameters.empty|contains: '*'",
                      "requestParameters.empty|exists: true")
        self.all_false(sigma, "requestParameters.empty: '?*'", "requestParameters.empty: a", "requestParameters.string: ''")

    def test_texts_of_what_is_not_a_string(self):
        self.all_true(sigma, "requestParameters.true: 'true'", "requestParameters.true: true", "requestParameters.false: 'false'",
                      "requestParameters.one: 1", "requestParameters.one: '1'", "requestParameters.float: 33.0", "requestParameters.true: TRUE",
                      "requestParameters.object|contains: '\"k\":\"v\"'", "requestParameters.object|startswith: '{\"K\"'",
                      "requestParameters|contains: abc", "requestParameters|contains|all: ['\"one\":1', '\"array\":[\"x\",\"y\"]']")
        self.all_false(sigma, "requestParameters.true: 1", "requestParameters.one: 'true'", "requestParameters.one: 01",
                       "requestParameters.object|contains: '\"k\": \"v\"'", "requestParameters|contains: zzz")

    def test_words_that_yaml_may_take_for_booleans(self):
        self.assertTrue(sigma("eventName: no", {"eventName": "No"}))
        self.assertTrue(sigma("eventName: 'NO'", {"eventName": "No"}))
        self.assertFalse(sigma("eventName: no", {"eventName": False}))

    def test_arrays(self):
        self.all_true(sigma, "requestParameters.array: y", "requestParameters.array|contains: X", "requestParameters.array|contains|all: [x, y]",
                      "requestParameters.nested.name: q", "requestParameters.nested.tags: t2", "requestParameters.nested.tags|contains|all: [t1, t2]",
                      "requestParameters.array|exists: true", "requestParameters.nested.missing: null", "requestParameters.nested: 7",
                      "requestParameters.none|exists: true", "requestParameters.nested|contains: '\"name\":\"q\"'",
                      "requestParameters.object.n: 1", "requestParameters.nested.name|re: ^p$")
        self.all_false(sigma, "requestParameters.array: z", "requestParameters.array: '[\"x\",\"y\"]'", "requestParameters.array|contains: ','",
                       "requestParameters.none: '*'", "requestParameters.nested.name: null", "requestParameters.nested.name: t1",
                       "requestParameters.array|contains|all: [x, z]", "requestParameters.array: null")

    def test_lists_and_maps(self):
        self.all_true(sigma, "eventName: [Other, GetThing]", "eventName: GetThing\neventSource: s3.amazonaws.com",
                      "- eventName: Other\n- eventSource: s3.amazonaws.com", "- {eventName: GetThing, eventSource: other}\n- errorCode: null")
        self.all_false(sigma, "eventName: [Other, Another]", "eventName: GetThing\neventSource: other",
                       "- eventName: Other\n- {eventSource: s3.amazonaws.com, eventName: Other}", "eventName|contains|all: [Get, Put]")

    def test_fieldref(self):
        event = {"userIdentity": {"arn": "arn:aws:iam::1:user/Ann"}, "requestParameters": {"userName": "ann", "all": ["x", "ANN"]}}
        self.assertFalse(sigma("userIdentity.arn|fieldref: requestParameters.userName", event))
        self.assertTrue(sigma("userIdentity.arn|fieldref|endswith: requestParameters.userName", event))
        self.assertFalse(sigma("userIdentity.arn|fieldref|endswith|cased: requestParameters.userName", event))
        self.assertTrue(sigma("requestParameters.userName|fieldref: requestParameters.all", event))

    def test_conditions(self):
        def holds(condition):
            return sigma("a_yes: {eventName: GetThing}\na_no: {eventName: Other}\nb_yes: {eventSource: s3.amazonaws.com}\n"
                         f"b_also: {{errorCode: null}}\n_hidden: {{eventName: Other}}\ncondition: {condition}")
        self.all_true(holds, "a_yes", "a_yes and b_yes", "a_no or b_yes", "not a_no", "a_yes or a_no and a_no", "not a_no and b_yes", "1 of a_*",
                      "all of b_*", "1 of them", "not all of them", "a_yes and not 1 of a_no*", "1 of b_yes", "not (a_no or a_no)", "1 of *_also",
                      "a_yes AND NOT a_no", "(a_no or b_yes) and a_yes", "not not a_yes", "[a_no, a_yes]", "all of a_yes*", "not 1 of _*")
        self.all_false(holds, "a_no", "a_yes and a_no", "not a_yes", "(a_yes or a_no) and a_no", "all of a_*", "all of them", "not 1 of them",
                       "not a_yes or a_no", "not 1 of b_*", "[a_no, not a_yes]")
        for condition in ("unknown", "1 of unknown_*", "a_yes and", "(a_yes", "a_yes b_yes", "and"):
            with self.assertRaises(rules.RuleError, msg=condition):
                holds(condition)

    def test_them_leaves_out_the_hidden(self):
        self.assertTrue(sigma("a: {eventName: GetThing}\n_b: {eventName: Other}\ncondition: all of them"))

    def test_errors(self):
        for detection in ("eventName|nope: a", "selection: [a, b]\ncondition: selection", "eventName|gt: x"):
            with self.assertRaises(rules.RuleError, msg=detection):
                sigma(detection)

    def test_other_products(self):
        head = "title: t\nlogsource: {{product: {}, service: {}}}\ndetection: {{s: {{a: b}}, condition: s}}\n"
        self.assertEqual([len(loaded(head.format(*source))) for source in (("aws", "cloudtrail"), ("azure", "cloudtrail"), ("aws", "guardduty"))],
                         [1, 0, 0])


class CommandLine(unittest.TestCase):
    def test_document(self):
        call = {"eventName": "A", "eventSource": "s3.amazonaws.com"}
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "events").mkdir()
            (folder / "events" / "1.json").write_text(json.dumps({"Records": [call, dict(call, eventCategory="Insight")]}))
            (folder / "events" / "2.json.gz").write_bytes(gzip.compress("\n".join([json.dumps(call), json.dumps(
                {"detail-type": "AWS API Call via CloudTrail", "detail": dict(call, eventName="B")})]).encode()))
            (folder / "falco.yaml").write_text(rule("one", "ct.name = A") + rule("off", "ct.name = A", enabled=False) + rule("none", "ct.name = C"))
            (folder / "sigma" / "deep").mkdir(parents=True)
            for name, wanted in (("b", "A"), ("a", "'*'")):
                (folder / "sigma" / "deep" / f"{name}.yml").write_text(
                    f"title: sigma {name}\nlogsource: {{product: aws}}\ndetection: {{s: {{eventName: {wanted}}}, condition: s}}\n")
            out = io.StringIO()
            with redirect_stdout(out):
                rules.main(["--events", str(folder / "events"), str(folder / "falco.yaml"), str(folder / "sigma")])
            self.assertEqual(json.loads(out.getvalue()), {"events": 4, "rules": [
                {"rule": "one", "matches": 2}, {"rule": "off", "matches": 0}, {"rule": "none", "matches": 0},
                {"rule": "sigma a", "matches": 3}, {"rule": "sigma b", "matches": 2}]})


# --- real events -------------------------------------------------------------------------------------------------
# What the public rules hit among the 2,900 events of invictus. Beside each number stands what says the same without
# rules.py: a predicate over the raw event. A rule that hits nothing may have `near`: how many events fall just short.

Hit = namedtuple("Hit", "matches check near", defaults=(None, None))


def called(e, source, *names):
    return e["eventSource"] == f"{source}.amazonaws.com" and e["eventName"] in names


def worked(e, name):
    return e["eventName"] == name and "errorCode" not in e


FALCO = {
    "All Cloudtrail Events": Hit(0, near=(2900, lambda e: True)),  # disabled
    "Console Login Through Assume Role": Hit(
        0, lambda e: worked(e, "ConsoleLogin") and e["userIdentity"]["type"] == "AssumedRole",
        near=(2, lambda e: worked(e, "ConsoleLogin") and e["responseElements"]["ConsoleLogin"] == "Success")),
    "Console Login Without MFA": Hit(
        1, lambda e: worked(e, "ConsoleLogin") and e["additionalEventData"]["MFAUsed"] == "No" and e["userIdentity"]["type"] != "AssumedRole"
        and e["responseElements"]["ConsoleLogin"] == "Success",
        near=(1, lambda e: e["eventName"] == "ConsoleLogin" and e["additionalEventData"]["MFAUsed"] == "Yes")),
    "Console Root Login Without MFA": Hit(
        0, lambda e: worked(e, "ConsoleLogin") and e["userIdentity"]["type"] == "Root",
        near=(1, lambda e: e["eventName"] == "ConsoleLogin" and e["additionalEventData"]["MFAUsed"] == "No")),
    "Deactivate MFA for Root User": Hit(0),
    "Create AWS user": Hit(4, lambda e: worked(e, "CreateUser")),
    "Create Group": Hit(0, lambda e: worked(e, "CreateGroup"), near=(1, lambda e: e["eventName"] == "CreateSecurityGroup")),
    "Delete Group": Hit(0, lambda e: worked(e, "DeleteGroup"), near=(1, lambda e: e["eventName"] == "DeleteSecurityGroup")),
    "ECS Service Created": Hit(0),
    "ECS Task Run or Started": Hit(0),
    "Create Lambda Function": Hit(2, lambda e: worked(e, "CreateFunction20150331"),
                                  near=(4, lambda e: e["eventName"] == "CreateFunction20150331" and "errorCode" in e)),
    "Update Lambda Function Code": Hit(2, lambda e: worked(e, "UpdateFunctionCode20150331v2")),
    "Update Lambda Function Configuration": Hit(0, lambda e: e["eventName"] == "UpdateFunctionConfiguration20150331v2",
                                                near=(2, lambda e: e["eventName"].startswith("UpdateFunctionC"))),
    "Run Instances": Hit(2, lambda e: worked(e, "RunInstances"), near=(6, lambda e: e["eventName"] == "RunInstances" and "errorCode" in e)),
    "Run Instances in Non-approved Region": Hit(2, lambda e: worked(e, "RunInstances") and e["awsRegion"] != "us-east-0"),
    "Delete Bucket Encryption": Hit(0),
    "Delete Bucket Public Access Block": Hit(
        0, lambda e: e["eventName"] == "PutBucketPublicAccessBlock",
        near=(16, lambda e: e["eventName"].endswith("BucketPublicAccessBlock") and e["requestParameters"]["publicAccessBlock"] == "")),
    "List Buckets": Hit(0, near=(3, lambda e: worked(e, "ListBuckets"))),  # disabled
    "Put Bucket ACL": Hit(0),
    "Put Bucket Policy": Hit(3, lambda e: worked(e, "PutBucketPolicy")),
    "CloudTrail Trail Created": Hit(2, lambda e: worked(e, "CreateTrail")),
    "CloudTrail Logging Disabled": Hit(0, lambda e: worked(e, "StopLogging"), near=(3, lambda e: e["eventName"] == "StopLogging")),
}

SIGMA = {
    "AWS Bedrock Guardrail Deleted": Hit(0),
    "AWS Bedrock Guardrail Updated": Hit(0),
    "AWS Bucket Deleted": Hit(5, lambda e: worked(e, "DeleteBucket"), near=(3, lambda e: e["eventName"] == "DeleteBucket" and "errorCode" in e)),
    "AWS ConsoleLogin Failed Authentication": Hit(0, lambda e: e["eventName"] == "ConsoleLogin" and "errorMessage" in e,
                                                  near=(2, lambda e: e["eventName"] == "ConsoleLogin")),
    "AWS Successful Console Login Without MFA": Hit(
        1, lambda e: e["eventName"] == "ConsoleLogin" and e["additionalEventData"]["MFAUsed"].upper() == "NO"
        and e["responseElements"] == {"ConsoleLogin": "Success"}),
    "AWS CloudTrail Important Change": Hit(6, lambda e: called(e, "cloudtrail", "StopLogging", "UpdateTrail", "DeleteTrail")),
    "AWS GuardDuty Detector Deleted Or Updated": Hit(0, lambda e: called(e, "guardduty", "DeleteDetector", "UpdateDetector"),
                                                     near=(4, lambda e: e["eventSource"] == "guardduty.amazonaws.com")),
    "Malicious Usage Of IMDS Credentials Outside Of AWS Infrastructure": Hit(
        0, lambda e: ":assumed-role/aws:" in (e["userIdentity"].get("arn") or ""),
        near=(76, lambda e: ":assumed-role/" in (e["userIdentity"].get("arn") or ""))),
    "New Network ACL Entry Added": Hit(0),
    "New Network Route Added": Hit(6, lambda e: called(e, "ec2", "CreateRoute")),
    "PUA - AWS TruffleHog Execution": Hit(0),
    "AWS EnableRegion Command Monitoring": Hit(0, lambda e: called(e, "account", "EnableRegion"),
                                               near=(3, lambda e: e["eventSource"] == "account.amazonaws.com")),
    "Ingress/Egress Security Group Modification": Hit(
        6, lambda e: e["eventSource"] == "ec2.amazonaws.com" and e["eventName"][:9] in ("Authorize", "RevokeSec")
        and e["eventName"].endswith(("SecurityGroupIngress", "SecurityGroupEgress"))),
    "LoadBalancer Security Group Modification": Hit(0),
    "RDS Database Security Group Modification": Hit(0, lambda e: "DBSecurityGroup" in e["eventName"] and not e["eventName"].startswith("Describe"),
                                                    near=(1, lambda e: called(e, "rds", "CreateDBSubnetGroup"))),
    "Potential Malicious Usage of CloudTrail System Manager": Hit(
        1, lambda e: worked(e, "SendCommand") and e["eventSource"] == "ssm.amazonaws.com",
        near=(1, lambda e: e["eventName"] == "SendCommand" and "errorCode" in e)),
    "AWS VPC Flow Logs Deleted": Hit(1, lambda e: worked(e, "DeleteFlowLogs")),
    "AWS Config Disabling Channel/Recorder": Hit(0),
    "AWS Console GetSigninToken Potential Abuse": Hit(0, lambda e: e["eventName"] == "GetSigninToken",
                                                      near=(3, lambda e: e["eventSource"] == "signin.amazonaws.com")),
    "SES Identity Has Been Deleted": Hit(0),
    "AWS SAML Provider Deletion Activity": Hit(0),
    "AWS S3 Bucket Versioning Disable": Hit(0, lambda e: e["eventName"] == "PutBucketVersioning",
                                            near=(10, lambda e: called(e, "s3", "GetBucketVersioning"))),
    "AWS EC2 Disable EBS Encryption": Hit(0),
    "AWS Key Pair Import Activity": Hit(0),
    "AWS EC2 Startup Shell Script Change": Hit(
        0, lambda e: called(e, "ec2", "ModifyInstanceAttribute") and e["requestParameters"].get("attribute") == "userData",
        near=(2, lambda e: called(e, "ec2", "ModifyInstanceAttribute"))),
    "AWS EC2 VM Export Failure": Hit(0),
    "AWS ECS Task Definition That Queries The Credential Endpoint": Hit(0),
    "AWS EFS Fileshare Modified or Deleted": Hit(0),
    "AWS EFS Fileshare Mount Modified or Deleted": Hit(0),
    "AWS EKS Cluster Created or Deleted": Hit(0),
    "AWS ElastiCache Security Group Created": Hit(0),
    "AWS ElastiCache Security Group Modified or Deleted": Hit(0),
    "Potential Bucket Enumeration on AWS": Hit(3, lambda e: called(e, "s3", "ListBuckets") and e["userIdentity"]["type"] == "IAMUser"),
    "AWS GuardDuty Important Change": Hit(0),
    "AWS IAM Backdoor Users Keys": Hit(2, lambda e: called(e, "iam", "CreateAccessKey")),
    "AWS IAM S3Browser LoginProfile Creation": Hit(
        0, lambda e: called(e, "iam", "GetLoginProfile", "CreateLoginProfile") and "s3 browser" in e["userAgent"].lower(),
        near=(3, lambda e: called(e, "iam", "GetLoginProfile", "CreateLoginProfile"))),
    "AWS IAM S3Browser Templated S3 Bucket Policy Creation": Hit(0),
    "AWS IAM S3Browser User or AccessKey Creation": Hit(
        0, lambda e: called(e, "iam", "CreateUser", "CreateAccessKey") and "s3 browser" in e["userAgent"].lower(),
        near=(6, lambda e: called(e, "iam", "CreateUser", "CreateAccessKey"))),
    "AWS KMS Imported Key Material Usage": Hit(0),
    "New AWS Lambda Function URL Configuration Created": Hit(0),
    "AWS New Lambda Layer Attached": Hit(0, lambda e: e["eventName"].startswith("UpdateFunctionConfiguration"),
                                         near=(2, lambda e: e["eventName"].startswith("UpdateFunctionC"))),
    "AWS Glue Development Endpoint Activity": Hit(0),
    "AWS RDS Master Password Change": Hit(0),
    "Modification or Deletion of an AWS RDS Cluster": Hit(0),
    "Restore Public AWS RDS Instance": Hit(0),
    "AWS Root Credentials": Hit(0, lambda e: e["userIdentity"].get("type") == "Root"),
    "AWS Route 53 Domain Transfer Lock Disabled": Hit(0),
    "AWS Route 53 Domain Transferred to Another Account": Hit(0),
    "AWS S3 Data Management Tampering": Hit(0, lambda e: called(e, "s3", "PutLifecycleConfiguration"),
                                            near=(1, lambda e: called(e, "s3", "PutBucketLifecycle"))),
    "AWS SecurityHub Findings Evasion": Hit(0, lambda e: called(e, "securityhub", "UpdateFindings", "BatchUpdateFindings"),
                                            near=(1, lambda e: e["eventSource"] == "securityhub.amazonaws.com")),
    "AWS Snapshot Backup Exfiltration": Hit(2, lambda e: called(e, "ec2", "ModifySnapshotAttribute")),
    "AWS Identity Center Identity Provider Change": Hit(0),
    "AWS STS AssumeRole Misuse": Hit(
        76, lambda e: e["userIdentity"].get("type") == "AssumedRole" and e["userIdentity"]["sessionContext"]["sessionIssuer"]["type"] == "Role"),
    "AWS STS GetCallerIdentity Enumeration Via TruffleHog": Hit(
        0, lambda e: called(e, "sts", "GetCallerIdentity") and "trufflehog" in e["userAgent"].lower(),
        near=(15, lambda e: called(e, "sts", "GetCallerIdentity"))),
    "AWS STS GetSessionToken Misuse": Hit(0),
    "AWS Suspicious SAML Activity": Hit(0),
    "AWS User Login Profile Was Modified": Hit(0, lambda e: called(e, "iam", "UpdateLoginProfile"),
                                               near=(2, lambda e: called(e, "iam", "CreateLoginProfile"))),
}


class Corpus(unittest.TestCase):
    def setUp(self):
        for part in ("invictus/CloudTrail", "falco", "sigma-aws-cloudtrail"):
            if not (CORPUS / part).is_dir():
                print(f"\nSKIPPED: the sample data is not there: {part} (TRAILMETER_CORPUS)", file=sys.stderr)
                self.skipTest("no sample data: set TRAILMETER_CORPUS")
        # Read here without rules.py, for the predicates.
        files = sorted((CORPUS / "invictus" / "CloudTrail").glob("*.json"))
        self.raw = [event for file in files for event in json.loads(file.read_text())["Records"]]

    def rules_hit(self, path, expected):
        events = list(rules.read_events([CORPUS / "invictus" / "CloudTrail"]))
        self.assertEqual((len(events), len(self.raw)), (2900, 2900))
        found = rules.count_matches(events, rules.load_rules([CORPUS / path]))
        self.assertEqual(len(found), len(expected))
        self.assertEqual(dict(found), {name: hit.matches for name, hit in expected.items()})

    def checks_agree(self, expected):
        for name, hit in expected.items():
            if hit.matches:
                self.assertIsNotNone(hit.check, name)
            if hit.check:
                self.assertEqual(sum(map(hit.check, self.raw)), hit.matches, name)
            if hit.near:
                number, near = hit.near
                self.assertEqual(sum(map(near, self.raw)), number, name)

    def test_falco(self):
        self.rules_hit("falco/aws_cloudtrail_rules.yaml", FALCO)
        self.checks_agree(FALCO)

    def test_falco_order(self):
        self.assertEqual([name for name, _ in rules.load_rules([CORPUS / "falco/aws_cloudtrail_rules.yaml"])], list(FALCO))

    def test_sigma(self):
        self.rules_hit("sigma-aws-cloudtrail", SIGMA)
        self.checks_agree(SIGMA)

    def test_disabled_rules_would_hit(self):
        text = (CORPUS / "falco/aws_cloudtrail_rules.yaml").read_text()
        on = text + "\n- {rule: All Cloudtrail Events, enabled: true}\n- {rule: List Buckets, enabled: true}\n"
        found = dict(rules.count_matches(list(rules.read_events([CORPUS / "invictus" / "CloudTrail"])), loaded(on)))
        self.assertEqual((found["All Cloudtrail Events"], found["List Buckets"]), (2900, 3))


if __name__ == "__main__":
    unittest.main()
