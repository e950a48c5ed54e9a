#!/usr/bin/env python3
"""Judges events by Falco and Sigma rules, slowly and plainly, as the check on trailmeter: `rules.py --events PATH… RULEFILE…`.

A RULEFILE is a Falco file (a YAML sequence), a Sigma file (a YAML map), or a folder of them. Every matching rule is counted."""

import argparse
import base64
import binascii
import gzip
import ipaddress
import json
import pathlib
import re
import sys

import yaml

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import count  # noqa: E402


class RuleError(Exception):
    """A rule file that can't be loaded."""


def warn(message):
    print(f"warning: {message}", file=sys.stderr)


# --- JSON --------------------------------------------------------------------------------------------------------

class Number(str):
    """A JSON number, as it was written: a rule compares its text."""


ABSENT = object()  # JSON null is a value, so absence needs one of its own


def parse_json(text):
    return json.loads(text, parse_int=Number, parse_float=Number)


def is_string(value):
    return isinstance(value, str) and not isinstance(value, Number)


def compact(value):
    """The JSON of a value without blanks, keys in their order, nothing escaped that need not be."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{compact(key)}:{compact(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(compact, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def number(text):
    """The number a text is, or None."""
    if re.fullmatch(r"0[xX][0-9a-fA-F]+", text):
        return int(text, 16)
    if re.fullmatch(r"[+-]?[0-9]+", text):
        return int(text)
    if re.fullmatch(r"[+-]?[0-9]+\.?[0-9]*([eE][+-]?[0-9]+)?", text):
        return float(text)
    return None


# --- events ------------------------------------------------------------------------------------------------------

def values_of(text):
    """The values of a text: one, or one a line."""
    try:
        yield parse_json(text)
    except ValueError:
        for line in text.splitlines():
            if line.strip():
                yield parse_json(line)


def events_in(value):
    """The events of a value, whatever it is wrapped in."""
    if isinstance(value, list):
        yield from value
    elif isinstance(value.get("Records"), list):
        yield from value["Records"]
    elif "messageType" in value and "logEvents" in value:
        for entry in value["logEvents"] if value["messageType"] == "DATA_MESSAGE" else []:
            yield parse_json(entry["message"])
    elif "detail-type" in value and "detail" in value:
        yield value["detail"]
    else:
        yield value


def read_events(paths):
    for file in count.gather(paths):
        data = file.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
        for value in values_of(text):
            yield from events_in(value)


# --- Falco: fields -----------------------------------------------------------------------------------------------
# A field is a function of (event, number of the event) that yields a string, an int, or None for nothing.

def at(event, *keys):
    """What stands under the keys, or ABSENT."""
    for key in keys:
        if not isinstance(event, dict) or key not in event:
            return ABSENT
        event = event[key]
    return event


def string_at(event, *keys):
    """A string; "" for anything else that is present, null too; None if nothing is there."""
    value = at(event, *keys)
    if value is ABSENT:
        return None
    return str(value) if is_string(value) else ""


def text_field(*keys):
    return lambda event, _: string_at(event, *keys)


def json_field(*keys):
    def field(event, _):
        value = at(event, *keys)
        return None if value is ABSENT else compact(value)
    return field


def boolean_field(key):
    """"true" or "false". Real events hold the string "true" too."""
    def field(event, _):
        value = at(event, key)
        return None if value is ABSENT else "true" if value is True or value == "true" else "false"
    return field


def bytes_field(*keys):
    def field(event, _):
        found = [value for value in (at(event, "additionalEventData", key) for key in keys) if value is not ABSENT]
        numbers = [number(value) for value in found if isinstance(value, Number)]
        return sum(int(n) for n in numbers if n is not None and n >= 0) if found else None
    return field


def count_field(matches):
    return lambda event, _: 1 if matches(string_at(event, "eventName")) else None


def short_source(event, _):
    source = string_at(event, "eventSource")
    suffix = ".amazonaws.com"
    return source[:-len(suffix)] if source and source.endswith(suffix) and source != suffix else source


def user(event, _):
    kind = string_at(event, "userIdentity", "type")
    if kind in ("Root", "IAMUser"):
        return string_at(event, "userIdentity", "userName")
    if kind == "AWSService":
        return string_at(event, "userIdentity", "invokedBy")
    if kind == "AssumedRole":
        name = string_at(event, "userIdentity", "sessionContext", "sessionIssuer", "userName")
        return "AssumedRole" if name is None else name
    return kind if kind in ("AWSAccount", "FederatedUser") else None


def original_user(event, _):
    if string_at(event, "userIdentity", "type") != "AssumedRole":
        return string_at(event, "userIdentity", "userName")
    parts = (string_at(event, "userIdentity", "arn") or "").split("/")
    if len(parts) == 3:
        return parts[2]
    parts = (string_at(event, "userIdentity", "principalId") or "").split(":")
    return parts[1] if len(parts) > 1 else None


def user_account(event, _):
    account = string_at(event, "userIdentity", "accountId")
    return string_at(event, "recipientAccountId") if account is None else account


def resources(event, _):
    items = at(event, "resources")
    return ",".join(map(compact, items)) if isinstance(items, list) and items else None


def s3_uri(event, _):
    bucket, key = at(event, "requestParameters", "bucketName"), at(event, "requestParameters", "key")
    return f"s3://{bucket}/{key}" if is_string(bucket) and is_string(key) else None


def instance_name(event, _):
    name = None
    items = at(event, "requestParameters", "tagSpecificationSet", "items")
    for item in items if isinstance(items, list) else []:
        tags = at(item, "tags") if at(item, "resourceType") == "instance" else ABSENT
        named = [string_at(tag, "value") for tag in tags if at(tag, "key") == "Name"] if isinstance(tags, list) else []
        name = named[0] if named else name
    return name or None


def image_ids(event):
    items = at(event, "responseElements", "instancesSet", "items")
    return [i for i in (string_at(item, "imageId") for item in items) if i] if isinstance(items, list) else []


def info(event, n):
    """Who, from where, what, and of some what about."""
    who, where, what = user(event, n), string_at(event, "sourceIPAddress"), string_at(event, "eventName")
    for name, value in (("userIdentity", who), ("eventSource", where), ("eventName", what)):
        if value is None:
            return f"<invalid cloudtrail event: {name} field missing>"
    arrow = "→" if FIELDS["ct.readonly"](event, n) == "false" else "←"
    failed = "!" if string_at(event, "errorCode") is not None else ""
    line = f"{who} {failed}{arrow} {what}" if who == where else f"{who} via {where} {failed}{arrow} {what}"
    size = FIELDS["s3.bytes"](event, n)
    if size is not None:
        line += f" Size={size}"
    for name, field in (("URI", "s3.uri"), ("Bucket", "s3.bucket"), ("Key", "s3.key"), ("Host", "ct.request.host")):
        value = FIELDS[field](event, n)
        if value is not None:
            return f"{line} {name}={value}"
    return line


def event_time(form):
    def field(event, _):
        found = re.fullmatch(r"([0-9-]{10})T([0-9:]{8})(?:\.([0-9]+))?Z", string_at(event, "eventTime") or "")
        return form.format(found[1], found[2], (found[3] or "")[:9].ljust(9, "0")) if found else None
    return field


FIELDS = {
    "ct.id": text_field("eventID"), "ct.error": text_field("errorCode"), "ct.errormessage": text_field("errorMessage"),
    "ct.time": text_field("eventTime"), "ct.src": text_field("eventSource"), "ct.shortsrc": short_source,
    "ct.name": text_field("eventName"), "ct.user": user, "ct.originaluser": original_user, "ct.user.accountid": user_account,
    "ct.user.identitytype": text_field("userIdentity", "type"), "ct.user.principalid": text_field("userIdentity", "principalId"),
    "ct.user.arn": text_field("userIdentity", "arn"), "ct.region": text_field("awsRegion"),
    "ct.response.subnetid": text_field("responseElements", "subnetId"),
    "ct.response.reservationid": text_field("responseElements", "reservationId"),
    "ct.response": json_field("responseElements"), "ct.request": json_field("requestParameters"),
    "ct.additionaleventdata": json_field("additionalEventData"),
    "ct.srcip": text_field("sourceIPAddress"), "ct.useragent": text_field("userAgent"), "ct.info": info,
    "ct.managementevent": boolean_field("managementEvent"), "ct.readonly": boolean_field("readOnly"),
    "ct.sessioncredentialfromconsole": boolean_field("sessionCredentialFromConsole"),
    "ct.requestid": text_field("requestID"), "ct.eventtype": text_field("eventType"), "ct.apiversion": text_field("apiVersion"),
    "ct.recipientaccountid": text_field("recipientAccountId"), "ct.sharedeventid": text_field("sharedEventID"),
    "ct.vpcendpointid": text_field("vpcEndpointId"), "ct.eventcategory": text_field("eventCategory"),
    "ct.serviceeventdetails": text_field("serviceEventDetails"), "ct.edgedevicedetails": text_field("edgeDeviceDetails"),
    "ct.resources": resources,
    "ct.addendum.reason": text_field("addendum", "reason"), "ct.addendum.updatedfields": text_field("addendum", "updatedFields"),
    "ct.addendum.originalrequestid": text_field("addendum", "originalRequestID"),
    "ct.addendum.originaleventid": text_field("addendum", "originalEventID"),
    "ct.tlsdetails.tlsversion": text_field("tlsDetails", "tlsVersion"),
    "ct.tlsdetails.ciphersuite": text_field("tlsDetails", "cipherSuite"),
    "ct.tlsdetails.clientprovidedhostheader": text_field("tlsDetails", "clientProvidedHostHeader"),
    "s3.bucket": text_field("requestParameters", "bucketName"), "s3.key": text_field("requestParameters", "key"), "s3.uri": s3_uri,
    "s3.bytes": bytes_field("bytesTransferredIn", "bytesTransferredOut"), "s3.bytes.in": bytes_field("bytesTransferredIn"),
    "s3.bytes.out": bytes_field("bytesTransferredOut"),
    "s3.cnt.get": count_field(lambda name: name == "GetObject"), "s3.cnt.put": count_field(lambda name: name == "PutObject"),
    "s3.cnt.other": count_field(lambda name: name not in ("GetObject", "PutObject")),
    "ec2.name": instance_name, "ec2.imageid": lambda event, _: (image_ids(event) or [None])[0],
    "ec2.imageids": lambda event, _: ",".join(image_ids(event)) or None,
    "ecr.repository": text_field("requestParameters", "repositoryName"), "ecr.imagetag": text_field("requestParameters", "imageTag"),
    "iam.role": text_field("requestParameters", "roleName"), "iam.policy": text_field("requestParameters", "policyName"),
    "evt.num": lambda _, n: n, "evt.plugininfo": info, "evt.time": event_time("{1}.{2}"), "evt.time.iso8601": event_time("{0}T{1}.{2}+0000"),
}
FIELDS.update({f"ct.request.{key.lower()}": text_field("requestParameters", key) for key in (
    "availabilityZone", "cluster", "functionName", "groupName", "Host", "name", "policy", "reason", "target", "serialNumber",
    "serviceName", "subnetId", "taskDefinition", "userName", "documentName")})
POINTERS = ("json.value", "jevt.value")
NUMERIC = {"evt.num", "s3.bytes", "s3.bytes.in", "s3.bytes.out", "s3.cnt.get", "s3.cnt.put", "s3.cnt.other"}


def pointer_field(pointer):
    """RFC 6901, with the leading "/" optional."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.removeprefix("/").split("/")]

    def field(event, _):
        for step in steps:
            if isinstance(event, dict) and step in event:
                event = event[step]
            elif isinstance(event, list) and re.fullmatch("0|[1-9][0-9]*", step) and int(step) < len(event):
                event = event[int(step)]
            else:
                return None
        return str(event) if is_string(event) else compact(event)
    return field


def field_named(name, argument):
    if name in POINTERS:
        if not argument:
            raise RuleError(f"{name} needs a pointer: {name}[/a/b]")
        return pointer_field(argument)
    if name not in FIELDS or argument is not None:
        raise RuleError(f"no field {name}" + ("" if argument is None else f"[{argument}]"))
    return FIELDS[name]


# --- Falco: operators --------------------------------------------------------------------------------------------
# Each is (left, right) -> bool, both strings; a list operator's right is a list of them.

UPPER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
LOWER = {lower: lower - 32 for lower in range(ord("a"), ord("z") + 1)}


def fold(string):
    return string.translate(UPPER)


def octets(string):
    return string.encode("utf-8", "surrogatepass")


def glob_class(pattern, start):
    """The regex of the `[…]` at a place and the place after it, or None where it does not close."""
    inside = start + 1
    negated = pattern[inside:inside + 1] in ("!", "^") and pattern[inside:inside + 1] != ""
    inside += negated
    end = pattern.find("]", inside + 1)
    if end < 0:
        return None
    letters, place, ranges = pattern[inside:end], 0, ""
    while place < len(letters):
        if letters[place + 1:place + 2] == "-" and place + 2 < len(letters):
            if letters[place] <= letters[place + 2]:
                ranges += f"{re.escape(letters[place])}-{re.escape(letters[place + 2])}"
            place += 3
        else:
            ranges += re.escape(letters[place])
            place += 1
    if not ranges:
        return ("." if negated else "(?!)"), end + 1
    return f"[{'^' if negated else ''}{ranges}]", end + 1


def glob(string, pattern):
    """fnmatch(3) without flags: `*` crosses slashes, a backslash takes a letter as it is."""
    expression, place = "", 0
    while place < len(pattern):
        letter = pattern[place]
        found = glob_class(pattern, place) if letter == "[" else None
        if found:
            part, place = found
        elif letter == "\\" and place + 1 < len(pattern):
            part, place = re.escape(pattern[place + 1]), place + 2
        else:
            part, place = {"*": ".*", "?": "."}.get(letter) or re.escape(letter), place + 1
        expression += part
    return re.fullmatch(expression, string, re.DOTALL) is not None


def path_parts(path):
    return [part for part in path.split("/") if part]


def under_path(path, prefixes):
    """Whether one of the paths is, by whole components, the beginning of the path."""
    parts = path_parts(path)
    return any(len(prefix) <= len(parts) and all(map(glob, parts, prefix)) for prefix in map(path_parts, prefixes))


def hex_bytes(text):
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise RuleError(f"bcontains and bstartswith take hexadecimal bytes, not {text!r}") from None


STRING_OPERATORS = {
    "=": lambda left, right: left == right,
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "contains": lambda left, right: right in left,
    "icontains": lambda left, right: fold(right) in fold(left),
    "bcontains": lambda left, right: hex_bytes(right) in octets(left),
    "startswith": lambda left, right: left.startswith(right),
    "bstartswith": lambda left, right: octets(left).startswith(hex_bytes(right)),
    "endswith": lambda left, right: left.endswith(right),
    "glob": glob,
    "iglob": lambda left, right: glob(fold(left), fold(right)),
    "regex": lambda left, right: re.fullmatch(right, left, re.ASCII) is not None,
}
ORDER_OPERATORS = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}
LIST_OPERATORS = {
    "in": lambda left, right: left in right,
    "intersects": lambda left, right: left in right,
    "pmatch": under_path,
}
# How many of the list's items must hold, of how many; none holds of an empty list.
QUANTIFIERS = {"oneof": lambda held, of: held == 1, "anyof": lambda held, of: held >= 1, "allof": lambda held, of: held == of >= 1}
EQUALITY = ("=", "==", "!=")


def basename(path):
    return path.rsplit("/", 1)[-1]


def decode_base64(text):
    try:
        return base64.b64decode(text, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return None


TRANSFORMERS = {"tolower": lambda s: s.translate(UPPER), "toupper": lambda s: s.translate(LOWER), "b64": decode_base64,
                "basename": basename, "len": lambda s: len(octets(s))}


# --- Falco: conditions -------------------------------------------------------------------------------------------
# A parsed condition is a tree: ("or" | "and", [tree…]), ("not", tree), ("macro", name), ("exists", operand),
# ("check", operand, operator, quantifier, right). An operand is ("field", name, argument), ("text", string) or
# (transformer, [operand…]); right is an operand, or ("list", [(string, may it be a list's name?)…]).

BLANK = re.compile(r"\s*")
NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")
FIELD = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*(?:\.[a-zA-Z][a-zA-Z0-9_]*)+")
ARGUMENT = re.compile(r"[^\]\[\"'\s]+")
BARE = re.compile(r"[^()\"'\s=,]+")
TRANSFORMER = re.compile(r"(tolower|toupper|b64|basename|len|join|concat)\(")
VAL = re.compile(r"val\(")
OPERATOR = re.compile(r"<=|<|>=|>|==|=|!=|(?:contains|icontains|bcontains|startswith|bstartswith|endswith|iglob|glob|regex|"
                      r"intersects|in|pmatch|exists)(?![a-zA-Z0-9_.])")
QUANTIFIER = re.compile(r"(oneof|anyof|allof)(?![a-zA-Z0-9_.])")
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "\\": "\\", "/": "/", " ": "\\"}
MAX_DEPTH = 100


class Condition:
    """Parses one condition."""

    def __init__(self, text):
        self.text, self.place, self.depth = text, 0, 0

    def parse(self):
        tree = self.either()
        self.blank()
        if self.place != len(self.text):
            self.fail("expected and, or")
        return tree

    def fail(self, why):
        raise RuleError(f"{why} at column {self.place + 1} of {self.text!r}")

    def blank(self):
        self.place = BLANK.match(self.text, self.place).end()

    def take(self, expression):
        self.blank()
        found = expression.match(self.text, self.place)
        if found:
            self.place = found.end()
        return found

    def take_letter(self, letter):
        self.blank()
        if self.text.startswith(letter, self.place):
            self.place += 1
            return True
        return False

    def need_letter(self, letter):
        if not self.take_letter(letter):
            self.fail(f"expected {letter}")

    def take_word(self, word):
        return self.take(re.compile(rf"{word}(?=[\s(]|$)"))

    def either(self):
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail("too deep")
        parts = [self.both()]
        while self.take_word("or"):
            parts.append(self.both())
        self.depth -= 1
        return ("or", parts) if len(parts) > 1 else parts[0]

    def both(self):
        parts = [self.negated()]
        while self.take_word("and"):
            parts.append(self.negated())
        return ("and", parts) if len(parts) > 1 else parts[0]

    def negated(self):
        negations = 0
        while self.take_word("not"):
            negations += 1
        tree = self.check()
        return ("not", tree) if negations % 2 else tree

    def check(self):
        if self.take_letter("("):
            tree = self.either()
            self.need_letter(")")
            return tree
        operand = self.operand()
        if operand is None:
            found = self.take(NAME)
            return ("macro", found[0]) if found else self.fail("expected a check, a macro or (")
        found = self.take(OPERATOR)
        if not found:
            self.fail("expected an operator")
        operator = found[0]
        if operator == "exists":
            return ("exists", operand)
        if operator in LIST_OPERATORS:
            return ("check", operand, operator, None, self.list_value())
        quantifier = self.take(QUANTIFIER) if operator in STRING_OPERATORS else None
        if quantifier:
            return ("check", operand, operator, quantifier[0], self.list_value())
        return ("check", operand, operator, None, self.value())

    def operand(self):
        """A field or a transformer, or None."""
        found = self.take(TRANSFORMER)
        if found:
            arguments = self.arguments(found[1] in ("join", "concat"))
            return (found[1], arguments)
        found = self.take(FIELD)
        return ("field", found[0], self.field_argument()) if found else None

    def arguments(self, many):
        items = [self.argument(many)]
        while many and self.take_letter(","):
            items.append(self.argument(many))
        self.need_letter(")")
        return [leaf for item in items for leaf in (item if isinstance(item, list) else [item])]

    def argument(self, many):
        if many and self.take_letter("("):
            return self.arguments(many)
        operand = self.operand() or (("text", self.string()) if many else None)
        return operand or self.fail("expected a field or a transformer")

    def field_argument(self):
        if not self.text.startswith("[", self.place):
            return None
        self.place += 1
        quoted = self.quoted()
        found = None if quoted is not None else ARGUMENT.match(self.text, self.place)
        if found:
            self.place = found.end()
        if quoted is None and not found or not self.text.startswith("]", self.place):
            self.fail("expected an argument and ]")
        self.place += 1
        return quoted if quoted is not None else found[0]

    def value(self):
        if self.take(VAL):
            found = self.take(FIELD)
            operand = ("field", found[0], self.field_argument()) if found else self.fail("expected a field")
            self.need_letter(")")
            return operand
        self.blank()
        if TRANSFORMER.match(self.text, self.place):
            return self.operand()
        return ("text", self.string())

    def list_value(self):
        if self.take(VAL):
            self.place -= len("val(")
            return self.value()
        if not self.take_letter("("):
            found = self.take(NAME)
            return ("list", [(found[0], "must")]) if found else self.fail("expected a list")
        items = []
        while not self.take_letter(")"):
            if items:
                self.need_letter(",")
            self.blank()
            may_be_list = self.text[self.place:self.place + 1] not in ("'", '"')
            items.append((self.string(), may_be_list))
        return ("list", items)

    def string(self):
        self.blank()
        quoted = self.quoted()
        if quoted is not None:
            return quoted
        found = BARE.match(self.text, self.place)
        if not found:
            self.fail("expected a value")
        self.place = found.end()
        return found[0]

    def quoted(self):
        quote = self.text[self.place:self.place + 1]
        if quote not in ("'", '"'):
            return None
        string, place = "", self.place + 1
        while place < len(self.text):
            letter = self.text[place]
            if letter == quote:
                self.place = place + 1
                return string
            if letter == "\\":
                place += 1
                letter = self.text[place:place + 1]
                if letter != quote and letter not in ESCAPES:
                    self.fail(f"no such escape: \\{letter}")
                letter = ESCAPES.get(letter, letter)
            string += letter
            place += 1
        self.fail("the string does not end")
        return None


def fields_of(tree):
    """The names of the fields in a tree (macros are not followed)."""
    if isinstance(tree, tuple) and tree and tree[0] == "field":
        return {tree[1]}
    return {name for part in tree for name in fields_of(part)} if isinstance(tree, (tuple, list)) else set()


def operand_value(operand, event, n):
    """A string, an int, or None for nothing; a transformer of nothing is nothing."""
    kind = operand[0]
    if kind == "field":
        return field_named(operand[1], operand[2])(event, n)
    if kind == "text":
        return operand[1]
    values = [operand_value(part, event, n) for part in operand[1]]
    if None in values:
        return None
    values = list(map(str, values))
    if kind == "join":
        return values[0].join(values[1:])
    if kind == "concat":
        return "".join(values)
    return TRANSFORMERS[kind](values[0])


def is_numeric(operand):
    return operand[0] == "len" or operand[0] == "field" and operand[1] in NUMERIC


def compare(operator, left, right, numeric):
    """One comparison of two present values; numbers if the left is a number by its nature."""
    if numeric:
        wanted = right if isinstance(right, int) else number(right)
        if wanted is None or operator not in EQUALITY and operator not in ORDER_OPERATORS:
            raise RuleError(f"a number can't be compared: {operator} {right!r}")
        return (STRING_OPERATORS.get(operator) or ORDER_OPERATORS[operator])(left, wanted)
    if operator in ORDER_OPERATORS:
        return ORDER_OPERATORS[operator](octets(str(left)), octets(str(right)))
    return STRING_OPERATORS[operator](str(left), str(right))


class Falco:
    """The lists, macros and rules of Falco files, in the order of their definition."""

    def __init__(self):
        self.lists, self.macros, self.rules = {}, {}, {}
        self.defined = {}  # (kind, name) -> when it was first and when last defined
        self.clock = 0

    # -- reading --

    def add(self, item):
        if not isinstance(item, dict):
            raise RuleError(f"not a map: {item!r}")
        kind = next((key for key in ("required_engine_version", "required_plugin_versions", "list", "macro", "rule") if key in item), None)
        if kind is None:
            warn(f"neither a list nor a macro nor a rule: {sorted(item)}")
        elif kind in ("list", "macro", "rule"):
            known = {"list": self.lists, "macro": self.macros, "rule": self.rules}[kind]
            name = item[kind]
            first, _ = self.defined.get((kind, name), (self.clock, 0))
            self.define(kind, known, name, {key: value for key, value in item.items() if key != kind})
            self.defined[kind, name] = (first, self.clock)
            self.clock += 1

    def define(self, kind, known, name, keys):
        override, append = keys.pop("override", None), is_true(keys.pop("append", "false"))
        if override is not None and append:
            raise RuleError(f"{name}: append and override can't be used together")
        if override is not None:
            return self.override(kind, known, name, keys, override)
        if append:
            return self.override(kind, known, name, keys, dict.fromkeys(keys, "append"))
        if kind == "rule" and set(keys) == {"enabled"}:
            if name not in known:
                raise RuleError(f"{name}: no such rule to enable or disable")
            known[name]["enabled"] = keys["enabled"]
            return None
        required = {"list": ("items",), "macro": ("condition",), "rule": ("condition", "output", "desc", "priority")}[kind]
        for key in required:
            if key not in keys:
                raise RuleError(f"{name}: no {key}")
        known[name] = keys
        return None

    @staticmethod
    def override(kind, known, name, keys, how):
        appendable = {"list": ("items",), "macro": ("condition",), "rule": ("condition", "output", "desc", "tags", "exceptions")}[kind]
        if name not in known:
            raise RuleError(f"{name}: no such {kind} to change")
        if not keys or set(keys) != set(how):
            raise RuleError(f"{name}: what is given and what is overridden differ")
        for key, value in keys.items():
            if how[key] == "replace":
                known[name][key] = value
            elif how[key] != "append" or key not in appendable:
                raise RuleError(f"{name}: can't {how[key]} {key}")
            elif key == "exceptions":
                known[name][key] = merge_exceptions(known[name].get(key) or [], value or [])
            elif key in ("items", "tags"):
                known[name][key] = (known[name].get(key) or []) + (value or [])
            else:
                known[name][key] = f"{known[name].get(key, '')} {value}"

    # -- resolving --

    def items(self, name):
        """A list's items, those that name an earlier list taken apart."""
        _, when = self.defined["list", name]
        found = []
        for item in self.lists[name]["items"] or []:
            earlier = item != name and item in self.lists and self.defined["list", item][0] < when
            found += self.items(item) if earlier else [item]
        return found

    def resolve(self, tree, before=None):
        """The tree with its macros and lists put in. A macro sees only those defined before it."""
        kind = tree[0]
        if kind in ("or", "and"):
            return (kind, [self.resolve(part, before) for part in tree[1]])
        if kind == "not":
            return (kind, self.resolve(tree[1], before))
        if kind == "macro":
            first, last = self.defined.get(("macro", tree[1]), (None, None))
            if first is None or before is not None and first >= before:
                raise RuleError(f"no macro {tree[1]}")
            return self.resolve(Condition(self.macros[tree[1]]["condition"]).parse(), last)
        if kind == "check" and tree[4][0] == "list":
            return (*tree[:4], ("list", self.expand(tree[4][1])))
        return tree

    def expand(self, items):
        found = []
        for item, may_be_list in items:
            if may_be_list and item in self.lists:
                found += self.items(item)
            elif may_be_list == "must":
                raise RuleError(f"no list {item}")
            else:
                found.append(item)
        return found

    def condition(self, name):
        rule = self.rules[name]
        tree = Condition(rule["condition"]).parse()
        for exception in rule.get("exceptions") or []:
            rows = exception_rows(exception)
            if rows:
                tree = ("and", [tree, ("not", ("or", rows))])
        return self.resolve(tree)

    def compiled(self):
        """(name, does it match (event, number of the event)?) for each rule that can run here."""
        for name, rule in self.rules.items():
            tree = self.condition(name)
            used = fields_of(tree)
            unknown = {field for field in used if field not in FIELDS and field not in POINTERS}
            if rule.get("source", "syscall") != "aws_cloudtrail":
                if not all(field.startswith(("json.", "jevt.", "evt.")) for field in used) or unknown:
                    warn(f"{name}: skipped, its source is {rule.get('source', 'syscall')}")
                    continue
                warn(f"{name}: taken, though its source is {rule.get('source', 'syscall')}")
            if unknown and is_true(rule.get("skip-if-unknown-filter", "false")):
                warn(f"{name}: skipped, it uses {sorted(unknown)}")
                continue
            judge(tree, {}, 1, every_part=True)
            yield name, self.matcher(tree) if is_true(rule.get("enabled", "true")) else lambda event, n: False

    @staticmethod
    def matcher(tree):
        return lambda event, n: judge(tree, event, n)


def is_true(text):
    if text.lower() not in ("true", "yes", "on", "y", "false", "no", "off", "n"):
        raise RuleError(f"neither true nor false: {text!r}")
    return text.lower() in ("true", "yes", "on", "y")


def merge_exceptions(old, new):
    """Values join the exception of the same name; a new name is a new exception."""
    merged = [dict(exception) for exception in old]
    for exception in new:
        same = next((e for e in merged if e["name"] == exception["name"]), None)
        if same is None:
            merged.append(exception)
        else:
            same["values"] = (same.get("values") or []) + (exception.get("values") or [])
    return merged


def exception_rows(exception):
    """What an exception excepts, one tree a row."""
    if "fields" not in exception:
        raise RuleError(f"{exception.get('name')}: no fields")
    fields, values = exception["fields"], exception.get("values") or []
    if isinstance(fields, str):
        operator = exception.get("comps", "in")
        if operator in LIST_OPERATORS:
            return [exception_check(fields, operator, values)] if values else []
        return [exception_check(fields, operator, value) for value in values]
    comps = exception.get("comps") or ["="] * len(fields)
    if len(comps) != len(fields):
        raise RuleError(f"{exception['name']}: as many comps as fields")
    rows = []
    for row in values:
        if not isinstance(row, list) or len(row) != len(fields):
            raise RuleError(f"{exception['name']}: each row of values is as long as the fields")
        rows.append(("and", [exception_check(*check) for check in zip(fields, comps, row)]))
    return rows


def exception_check(field, operator, value):
    """The check of one cell. Its values are taken as they are, whatever letters they hold."""
    operand = Condition(field).operand()
    if operand is None:
        raise RuleError(f"not a field: {field!r}")
    if operator in LIST_OPERATORS:
        return ("check", operand, operator, None, ("list", [(item, True) for item in (value if isinstance(value, list) else [value])]))
    if isinstance(value, list) or operator not in STRING_OPERATORS and operator not in ORDER_OPERATORS:
        raise RuleError(f"{operator} {value!r} can't be compared")
    return ("check", operand, operator, None, ("text", value))


def judge(tree, event, n, every_part=False):
    """Whether a resolved tree is true of an event. `every_part` looks at all of it, for what is wrong with it."""
    kind = tree[0]
    if kind in ("or", "and"):
        verdicts = (judge(part, event, n, every_part) for part in tree[1])
        return (any if kind == "or" else all)(list(verdicts) if every_part else verdicts)
    if kind == "not":
        return not judge(tree[1], event, n, every_part)
    left = operand_value(tree[1], event, n)
    if kind == "exists":
        return left is not None
    _, _, operator, quantifier, right = tree
    numeric = is_numeric(tree[1])
    if every_part and left is None:
        left = 1 if numeric else ""
    if left is None:
        return False
    if right[0] == "list":
        if quantifier:
            return QUANTIFIERS[quantifier](sum(compare(operator, left, item, numeric) for item in right[1]), len(right[1]))
        if numeric and operator != "pmatch":
            return any(compare("=", left, item, numeric) for item in right[1])
        return LIST_OPERATORS[operator](str(left), right[1])
    other = operand_value(right, event, n)
    if other is None:
        return False
    if operator in LIST_OPERATORS:
        return LIST_OPERATORS[operator](str(left), [str(other)])
    return compare(operator, left, other, numeric)


# --- Sigma -------------------------------------------------------------------------------------------------------

class SigmaLoader(yaml.BaseLoader):
    """Scalars stay the text they are; only a plain null is one (`no` is a word, 1.10 is not 1.1)."""


SigmaLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
SigmaLoader.add_constructor("tag:yaml.org,2002:null", lambda loader, node: None)

DASHES = ("-", "/", "–", "—", "―")
COMPARISONS = {"gt": ORDER_OPERATORS[">"], "gte": ORDER_OPERATORS[">="], "lt": ORDER_OPERATORS["<"], "lte": ORDER_OPERATORS["<="]}
FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}
WAYS = ("contains", "startswith", "endswith", "re", "cidr", "exists", *COMPARISONS)
MODIFIERS = {*WAYS, *FLAGS, "all", "cased", "windash", "base64", "fieldref"}


def found_at(value, steps):
    """What stands under a dotted name; each element of an array on the way is entered."""
    if not steps:
        return [value]
    if isinstance(value, list):
        return [found for item in value for found in found_at(item, steps)]
    if isinstance(value, dict) and steps[0] in value:
        return found_at(value[steps[0]], steps[1:])
    return []


def texts(values):
    """The texts to compare: of an array those of its elements, of an object its JSON, of null none."""
    for value in values:
        if isinstance(value, list):
            yield from texts(value)
        elif isinstance(value, str):
            yield str(value)
        elif value is not None:
            yield compact(value)


def wildcard_expression(pattern):
    """`*` is any text, `?` any letter; a backslash makes one of the three itself, else it is a backslash."""
    found = re.findall(r"\\[*?\\]|.", pattern, re.DOTALL)
    return "".join({"*": ".*", "?": "."}.get(part) or re.escape(part[1:] if len(part) == 2 else part) for part in found)


def wildcard_matches(text, pattern, way, cased):
    expression = wildcard_expression(pattern)
    expression = {"contains": f".*{expression}.*", "startswith": f"{expression}.*", "endswith": f".*{expression}"}.get(way, expression)
    return re.fullmatch(expression, text, re.DOTALL | (0 if cased else re.IGNORECASE)) is not None


def plain_matches(text, wanted, way, cased):
    text, wanted = (text, wanted) if cased else (text.lower(), wanted.lower())
    return {"contains": wanted in text, "startswith": text.startswith(wanted), "endswith": text.endswith(wanted)}.get(way, text == wanted)


def in_network(text, network):
    try:
        return ipaddress.ip_address(text) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def compares(text, comparison, wanted):
    left, right = number(text), number(wanted)
    if right is None:
        raise RuleError(f"not a number: {wanted!r}")
    return left is not None and comparison(left, right)


def dash_variants(value):
    """A dash or slash that begins a word, written in all five ways."""
    return dict.fromkeys([value] + [re.sub(r"\B[-/]\b", dash, value) for dash in DASHES])


def field_check(event, name, values):
    """One `field|modifiers: values` of a map."""
    field, *modifiers = name.split("|")
    unknown = set(modifiers) - MODIFIERS
    if unknown:
        raise RuleError(f"no modifier {sorted(unknown)}")
    values = values if isinstance(values, list) else [values]
    found = found_at(event, field.split("."))
    return (all if "all" in modifiers else any)(value_check(event, found, modifiers, value) for value in values)


def value_check(event, found, modifiers, value):
    if value is None:
        return all(item is None for item in found)
    way = next((modifier for modifier in modifiers if modifier in WAYS), None)
    cased = "cased" in modifiers
    if way == "exists":
        return bool(found) == is_true(value)
    if "fieldref" in modifiers:
        others = list(texts(found_at(event, value.split("."))))
        return any(plain_matches(text, other, way, cased) for text in texts(found) for other in others)
    if way == "re":
        flags = sum(FLAGS[flag] for flag in FLAGS if flag in modifiers)
        return any(re.search(value, text, flags) for text in texts(found))
    if way == "cidr":
        return any(in_network(text, value) for text in texts(found))
    if way in COMPARISONS:
        return any(compares(text, COMPARISONS[way], value) for text in texts(found))
    if "base64" in modifiers:
        wanted = base64.b64encode(octets(value)).decode()
        return any(plain_matches(text, wanted, way, cased) for text in texts(found))
    patterns = dash_variants(value) if "windash" in modifiers else [value]
    return any(wildcard_matches(text, pattern, way, cased) for text in texts(found) for pattern in patterns)


def selection_matches(event, selection):
    """A map is and, a list of maps is or."""
    if isinstance(selection, list):
        return any(selection_matches(event, part) for part in selection)
    if not isinstance(selection, dict):
        raise RuleError(f"neither a map nor a list of maps: {selection!r}")
    return all(field_check(event, name, values) for name, values in selection.items())


class SigmaCondition:
    """Evaluates one condition; or binds less than and, and less than not."""

    def __init__(self, text, names, holds):
        self.tokens = re.findall(r"[()]|[^\s()]+", text)
        self.names, self.holds = names, holds

    def verdict(self):
        answer = self.either()
        if self.tokens:
            raise RuleError(f"unexpected {self.tokens[0]}")
        return answer

    def next_is(self, *words):
        if self.tokens and self.tokens[0].lower() in words:
            return self.tokens.pop(0).lower()
        return None

    def either(self):
        answer = self.both()
        while self.next_is("or"):
            answer = self.both() or answer
        return answer

    def both(self):
        answer = self.negated()
        while self.next_is("and"):
            answer = self.negated() and answer
        return answer

    def negated(self):
        return not self.negated() if self.next_is("not") else self.atom()

    def atom(self):
        if self.next_is("("):
            answer = self.either()
            if not self.next_is(")"):
                raise RuleError("expected )")
            return answer
        if len(self.tokens) > 2 and self.tokens[1].lower() == "of" and self.tokens[0].lower() in ("1", "any", "all"):
            quantifier, _, pattern = self.tokens[:3]
            del self.tokens[:3]
            return (all if quantifier.lower() == "all" else any)([self.holds(name) for name in self.matching(pattern)])
        name = self.tokens.pop(0) if self.tokens else None
        if name not in self.names:
            raise RuleError(f"no selection {name}")
        return self.holds(name)

    def matching(self, pattern):
        if pattern.lower() == "them":
            return [name for name in self.names if not name.startswith("_")]
        found = [name for name in self.names if re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), name)]
        return found or self.none(pattern)

    @staticmethod
    def none(pattern):
        raise RuleError(f"no selection {pattern}")


def sigma_matches(rule, event):
    detection = rule["detection"]
    selections = {name: part for name, part in detection.items() if name not in ("condition", "timeframe")}
    conditions = detection["condition"]
    return any([SigmaCondition(text, selections, lambda name: selection_matches(event, selections[name])).verdict()
                for text in (conditions if isinstance(conditions, list) else [conditions])])


def is_ours(rule):
    source = rule.get("logsource") or {}
    return source.get("product", "aws") == "aws" and source.get("service", "cloudtrail") == "cloudtrail"


# --- the whole ---------------------------------------------------------------------------------------------------

def rule_files(paths):
    return [file for file in count.gather(paths) if file.suffix in (".yml", ".yaml") or file in map(pathlib.Path, paths)]


def load_rules(paths):
    """(name, does it match (event, number of the event)?) for each rule, Falco's where the first Falco file stands."""
    loaded, falco, falco_at = [], Falco(), None
    for file in rule_files(paths):
        for document in yaml.load_all(file.read_text(), SigmaLoader):
            if isinstance(document, list):
                falco_at = len(loaded) if falco_at is None else falco_at
            elif isinstance(document, dict) and "detection" in document and is_ours(document):
                sigma_matches(document, {})
                loaded.append((document["title"], lambda event, n, rule=document: sigma_matches(rule, event)))
            elif document is not None:
                warn(f"{file}: skipped, not a rule of CloudTrail events")
        if falco_at is not None:
            for document in yaml.load_all(file.read_text(), yaml.BaseLoader):
                for item in document if isinstance(document, list) else []:
                    falco.add(item)
    at_place = falco_at or 0
    return loaded[:at_place] + list(falco.compiled()) + loaded[at_place:]


def count_matches(events, rules):
    """Each rule's matches. Only calls are judged."""
    calls = [(n, event) for n, event in enumerate(events, 1) if isinstance(event, dict) and count.category(event) is None]
    return [(name, sum(matches(event, n) for n, event in calls)) for name, matches in rules]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", nargs="+", action="extend", required=True, metavar="PATH", help="files and folders of events")
    parser.add_argument("rules", nargs="*", metavar="RULEFILE", help="files and folders of rules (after -- if --events stands before)")
    options = parser.parse_args(arguments)
    paths, rules = options.events, options.rules
    if not rules:
        paths, rules = split_paths(paths)
    events = list(read_events(paths))
    matches = count_matches(events, load_rules(rules))
    json.dump({"events": len(events), "rules": [{"rule": name, "matches": number} for name, number in matches]}, sys.stdout, indent=2)
    print()


def split_paths(paths):
    """`--events A B rules.yaml folder`: rules begin at the first path that is, or holds, YAML."""
    def is_rules(path):
        path = pathlib.Path(path)
        return any(True for file in (path.rglob("*") if path.is_dir() else [path]) if file.suffix in (".yml", ".yaml"))
    first = next((place for place, path in enumerate(paths) if is_rules(path)), len(paths))
    return paths[:first], paths[first:]


if __name__ == "__main__":
    main()
