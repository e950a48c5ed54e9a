//! What a compiled and indexed set of rules answers is what a plain walk over each rule's condition says, which is
//! written here a second time from the meaning of the languages.
#![allow(clippy::unwrap_used, missing_docs)]

use std::net::IpAddr;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use trailmeter_rules::ast::{
    Case, Check, Expr, Function, Item, Op, Ordering as NumberOrder, Part, Quantifier, Right, SearchFlags,
    Term,
};
use trailmeter_rules::event::{Event, Known, Lookup};
use trailmeter_rules::field::{Field, Kind};
use trailmeter_rules::parser::condition;
use trailmeter_rules::{Asker, Matching, RuleSet, SourceFile};

// ---- events

/// An event that has the texts at hand that the real one has, each taken from its JSON.
#[derive(Clone, Debug)]
struct Call {
    json: Value,
    /// What its own judgement says: signature version, presigned, TLS version, key kind; principal, account.
    own: [Option<&'static str>; 6],
}

/// What the judgement knows, in the order of [`Call::own`].
const OWN: [Known; 6] = [
    Known::SignatureVersion,
    Known::Presigned,
    Known::TlsVersion,
    Known::KeyKind,
    Known::Principal,
    Known::Account,
];

const OWN_TEXTS: [&str; 3] = ["a", "b", "5"];

impl Call {
    fn at(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(&self.json, |value, key| value.as_object()?.get(*key))
    }

    fn at_hand(&self, path: &[&str]) -> Lookup<'_> {
        match self.at(path) {
            None => Lookup::Absent,
            Some(Value::String(text)) if !text.is_empty() => Lookup::Text(text),
            Some(_) => Lookup::Elsewhere,
        }
    }

    /// The client, its version, and whether it signs with SigV4, all of which the user agent tells.
    fn client(&self) -> [Option<&'static str>; 3] {
        match self.at_hand(&["userAgent"]) {
            Lookup::Text("a") => [Some("a"), Some("1.9"), Some("true")],
            Lookup::Text("ab") => [Some("a"), Some("1.10"), None],
            Lookup::Text(_) => [Some("b"), None, None],
            _ => [None, None, None],
        }
    }

    /// They depend on the shape alone.
    fn weaknesses(&self) -> Vec<&'static str> {
        let mut weaknesses = Vec::new();
        if self.own[0] == Some("a") {
            weaknesses.push("a");
        }
        if self.own[2] == Some("b") && self.at_hand(&["userIdentity", "invokedBy"]) == Lookup::Absent {
            weaknesses.push("b");
        }
        weaknesses
    }
}

impl Event for Call {
    type Json<'e> = &'e Value;

    fn root(&self) -> &Value {
        &self.json
    }

    fn known(&self, known: Known) -> Lookup<'_> {
        let given = |text: Option<&'static str>| text.map_or(Lookup::Absent, Lookup::Text);
        if let Some(own) = OWN.iter().position(|own| *own == known) {
            return given(self.own[own]);
        }
        match known {
            Known::EventSource => self.at_hand(&["eventSource"]),
            Known::EventName => self.at_hand(&["eventName"]),
            Known::EventType => self.at_hand(&["eventType"]),
            Known::ErrorCode => self.at_hand(&["errorCode"]),
            Known::Region => self.at_hand(&["awsRegion"]),
            Known::SourceIp => self.at_hand(&["sourceIPAddress"]),
            Known::UserAgent => self.at_hand(&["userAgent"]),
            Known::RecipientAccount => self.at_hand(&["recipientAccountId"]),
            Known::IdentityType => self.at_hand(&["userIdentity", "type"]),
            Known::InvokedBy => self.at_hand(&["userIdentity", "invokedBy"]),
            Known::Arn => self.at_hand(&["userIdentity", "arn"]),
            Known::IdentityAccount => self.at_hand(&["userIdentity", "accountId"]),
            Known::IssuerType => match self.at(&["userIdentity", "sessionContext", "sessionIssuer"]) {
                // Each of a list has one.
                Some(Value::Array(_)) => Lookup::Elsewhere,
                _ => self.at_hand(&["userIdentity", "sessionContext", "sessionIssuer", "type"]),
            },
            Known::ClientName => given(self.client()[0]),
            Known::ClientVersion => given(self.client()[1]),
            Known::ClientSignsWithSigV4 => given(self.client()[2]),
            _ => Lookup::Absent,
        }
    }

    fn hash_of(&self, known: Known) -> Option<u64> {
        let seed = u64::from(known.bit());
        match self.known(known) {
            Lookup::Text(text) => Some(xxhash_rust::xxh3::xxh3_64_with_seed(text.as_bytes(), seed)),
            Lookup::Absent => Some(xxhash_rust::xxh3::xxh3_64_with_seed(b"\0absent", seed)),
            Lookup::Elsewhere => None,
        }
    }

    fn judged(&self) -> u32 {
        let number = |text: Option<&str>| {
            text.and_then(|text| OWN_TEXTS.iter().position(|known| *known == text)).map_or(0, |at| at + 1)
        };
        self.own[..4].iter().fold(0, |all, text| all * 4 + number(*text) as u32)
    }

    fn any_weakness(&self, visit: &mut dyn FnMut(&str) -> bool) -> bool {
        self.weaknesses().into_iter().any(visit)
    }

    fn number(&self) -> u64 {
        7
    }

    fn time_s(&self) -> i64 {
        1_700_000_000
    }
}

/// Texts of few letters, so that rules and events meet.
const TEXTS: [&str; 9] = ["a", "b", "ab", "A", "a/b", "5", "null", "aGk=", "aé"];
/// Values of every kind.
fn odd() -> BoxedStrategy<Value> {
    prop_oneof![
        Just(json!("")),
        Just(Value::Null),
        Just(json!(5)),
        Just(json!(true)),
        Just(json!(["a", "b"])),
        Just(json!([])),
        Just(json!([["ab"], null, 5])),
        Just(json!({"k": "a"})),
        Just(json!([{"k": "a"}, {"k": ["b"]}, {"j": 1}])),
        select(&TEXTS[..]).prop_map(|text| json!(text)),
    ]
    .boxed()
}

/// A value under a key, or none.
fn member(key: &'static str, texts: &'static [&'static str]) -> BoxedStrategy<Option<(String, Value)>> {
    let value = prop_oneof![
        8 => select(texts).prop_map(|text| Some(json!(text))),
        1 => Just(None),
        1 => odd().prop_map(Some),
    ];
    value.prop_map(move |value| value.map(|value| (key.to_owned(), value))).boxed()
}

fn object(members: Vec<Option<(String, Value)>>) -> Value {
    Value::Object(members.into_iter().flatten().collect::<Map<_, _>>())
}

const SOURCES: [&str; 4] = ["a.amazonaws.com", "a", "b.amazonaws.com", ".amazonaws.com"];
const ADDRESSES: [&str; 4] = ["10.1.2.3", "11.0.0.1", "2001:db8::1", "a"];
const SMALL: [&str; 3] = ["a", "b", "ab"];
const TYPES: [&str; 4] = ["Root", "IAMUser", "AWSService", "a"];

fn call() -> BoxedStrategy<Call> {
    let identity = (
        member("type", &TYPES),
        member("arn", &TEXTS),
        member("userName", &TEXTS),
        member("invokedBy", &["a"]),
        member("type", &SMALL),
        any::<[bool; 2]>(),
    )
        .prop_map(|(a, b, c, d, issuer, [has_context, is_list])| {
            let issuer = object(vec![issuer]);
            let issuer = if is_list { json!([issuer]) } else { issuer };
            let context = ("sessionContext".to_owned(), json!({"sessionIssuer": issuer}));
            object(vec![a, b, c, d, Some(context).filter(|_| has_context)])
        });
    let identity = prop_oneof![6 => identity, 1 => odd()];
    let request = (member("name", &TEXTS), member("list", &TEXTS)).prop_map(|(a, b)| object(vec![a, b]));
    let request = prop_oneof![6 => request, 1 => odd()];
    let bytes = prop_oneof![Just(json!(5)), Just(json!(33.0)), Just(json!("5")), Just(Value::Null)];
    let top = (
        member("eventName", &SMALL),
        member("eventSource", &SOURCES),
        member("errorCode", &SMALL),
        member("awsRegion", &SMALL),
        member("sourceIPAddress", &ADDRESSES),
        member("userAgent", &SMALL),
        prop::option::of(identity.prop_map(|value| ("userIdentity".to_owned(), value))),
        prop::option::of(request.prop_map(|value| ("requestParameters".to_owned(), value))),
        prop::option::of(
            bytes.prop_map(|value| ("additionalEventData".to_owned(), json!({"bytesTransferredIn": value}))),
        ),
    )
        .prop_map(|(a, b, c, d, e, f, g, h, i)| object(vec![a, b, c, d, e, f, g, h, i]));
    let images = prop::option::of(vec(select(&SMALL[..]), 0..3));
    let top = (top, images).prop_map(|(mut top, images)| {
        if let Some(images) = images {
            let items: Vec<Value> = images.iter().map(|id| json!({"imageId": id})).collect();
            top["responseElements"] = json!({"instancesSet": {"items": items}});
        }
        top
    });
    let own = prop::array::uniform6(prop::option::of(select(&OWN_TEXTS[..])));
    (top, own).prop_map(|(json, own)| Call { json, own }).boxed()
}

// ---- rules

const FIELDS: [&str; 27] = [
    "ct.name",
    "ct.src",
    "ct.shortsrc",
    "ct.error",
    "ct.region",
    "ct.user.arn",
    "ct.user.identitytype",
    "ct.user",
    "ct.useragent",
    "ct.srcip",
    "ct.invokedby",
    "ct.request.name",
    "ct.request",
    "ct.principal",
    "ct.account",
    "ct.session",
    "ct.signature.version",
    "ct.tls.version",
    "ct.accesskey.kind",
    "ct.client.name",
    "ct.weakness",
    "ec2.imageids",
    "json.value[/eventName]",
    "json.value[/requestParameters/name]",
    "json.value[/requestParameters/list]",
    "json.value[/requestParameters/list/0]",
    "json.value[/userIdentity/arn]",
];
/// Fields that many rules ask for together, so that they are looked up in a table.
const POPULAR: [&str; 4] = ["ct.user.arn", "ct.region", "ct.name", "ct.principal"];
/// Fields by which rules are found, and texts that they often have.
const KEYED: [&str; 4] = ["ct.name", "ct.src", "ct.shortsrc", "json.value[/eventName]"];
const KEYS: [&str; 5] = ["a", "b", "ab", "a.amazonaws.com", "b.amazonaws.com"];
const VALUES: [&str; 11] =
    ["a", "b", "ab", "A", "''", "5", "null", "a/b", "a.amazonaws.com", "'é'", "\"a b\""];
const TEXT_OPS: [&str; 13] = [
    "=",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "contains",
    "icontains",
    "startswith",
    "endswith",
    "glob",
    "iglob",
];

fn field() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => select(&FIELDS[..]), 2 => select(&POPULAR[..])]
}

fn list() -> BoxedStrategy<String> {
    vec(select(&VALUES[..]), 0..12).prop_map(|values| format!("({})", values.join(", "))).boxed()
}

fn term() -> BoxedStrategy<String> {
    prop_oneof![
        8 => field().prop_map(str::to_owned),
        2 => (select(&["tolower", "toupper", "basename", "b64", "val"][..]), field())
            .prop_map(|(function, field)| format!("{function}({field})")),
        1 => (field(), field()).prop_map(|(one, other)| format!("concat({one}, '/', {other})")),
        1 => field().prop_map(|field| format!("join({field}, '-')")),
    ]
    .boxed()
}

/// A check of Falco's language.
fn check() -> BoxedStrategy<String> {
    let quantifier = select(&["anyof", "allof", "oneof"][..]);
    prop_oneof![
        6 => (term(), select(&TEXT_OPS[..]), select(&VALUES[..])).prop_map(|(l, op, r)| format!("{l} {op} {r}")),
        4 => (field(), select(&VALUES[..])).prop_map(|(l, r)| format!("{l} = {r}")),
        3 => (term(), select(&["in", "intersects", "pmatch"][..]), list()).prop_map(|(l, op, r)| format!("{l} {op} {r}")),
        // What the index goes by.
        4 => (select(&KEYED[..]), select(&["=", "in", "!="][..]), select(&KEYS[..]), select(&KEYS[..])).prop_map(|(l, op, r, other)| match op {
            "in" => format!("{l} in ({r}, {other})"),
            op => format!("{l} {op} {r}"),
        }),
        // What has several values.
        1 => (select(&["ec2.imageids", "ct.weakness"][..]), select(&["in (a)", "in (a, b)", "intersects (a, ab)", "= a", "!= a", "= allof (a, b)", "!= anyof (a, b)"][..]))
            .prop_map(|(l, r)| format!("{l} {r}")),
        2 => (term(), select(&["=", "startswith", "contains", "icontains", "endswith", "glob"][..]), quantifier, list())
            .prop_map(|(l, op, q, r)| format!("{l} {op} {q} {r}")),
        1 => (term(), select(&["anyof", "allof"][..]), list()).prop_map(|(l, q, r)| format!("{l} != {q} {r}")),
        2 => term().prop_map(|l| format!("{l} exists")),
        1 => (term(), select(&EXPRESSIONS[..])).prop_map(|(l, (r, _))| format!("{l} regex '{r}'")),
        1 => (term(), select(&["bcontains 61", "bstartswith 61", "bcontains c3a9"][..])).prop_map(|(l, r)| format!("{l} {r}")),
        1 => (term(), select(&["=", "!=", "<", "startswith", "contains"][..]), field())
            .prop_map(|(l, op, r)| format!("{l} {op} val({r})")),
        1 => (select(&["s3.bytes", "s3.bytes.in", "evt.num", "len(ct.name)", "len(ec2.imageids)", "s3.cnt.get"][..]),
            select(&["= 5", "!= 5", "> 1", "<= 0x5", "in (1, 2, 7)", "exists"][..]))
            .prop_map(|(l, r)| format!("{l} {r}")),
        1 => select(&["= 10.0.0.0/8", "!= 10.0.0.0/8", "in (10.0.0.0/8, 2001:db8::/32)", "exists"][..])
            .prop_map(|r| format!("ct.srcip.net {r}")),
        1 => select(&["< 1.10", ">= 1.9.0", "= 1.9", "!= 1.9", "startswith 1.", "exists"][..])
            .prop_map(|r| format!("ct.client.version {r}")),
    ].boxed()
}

fn falco_condition() -> BoxedStrategy<String> {
    check()
        .prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                vec(inner.clone(), 1..4).prop_map(|parts| format!("({})", parts.join(" and "))),
                vec(inner.clone(), 1..4).prop_map(|parts| format!("({})", parts.join(" or "))),
                inner.prop_map(|inner| format!("not ({inner})")),
            ]
        })
        .boxed()
}

/// Regular expressions, and what they mean for the whole of a text.
type Meaning = fn(&str) -> bool;
const EXPRESSIONS: [(&str, Meaning); 5] = [
    ("a", |text| text == "a"),
    ("a.*", |text| text.starts_with('a')),
    ("a|b", |text| text == "a" || text == "b"),
    ("[ab]+", |text| !text.is_empty() && text.chars().all(|c| c == 'a' || c == 'b')),
    (".*[0-9]", |text| text.ends_with(|c: char| c.is_ascii_digit())),
];
/// The same for a part of it.
const SEARCHES: [(&str, Meaning); 3] = [
    ("^a", |text| text.starts_with('a')),
    ("b$", |text| text.ends_with('b')),
    ("ab|5", |text| text.contains("ab") || text.contains('5')),
];

const PATHS: [&str; 13] = [
    "eventName",
    "eventSource",
    "errorCode",
    "awsRegion",
    "userAgent",
    "userIdentity.arn",
    "userIdentity.type",
    "userIdentity.sessionContext.sessionIssuer.type",
    "requestParameters",
    "requestParameters.name",
    "requestParameters.list",
    "requestParameters.list.k",
    "nothing.there",
];
const SIGMA_VALUES: [&str; 10] =
    ["a", "'A'", "AB", "'a*'", "'*b'", "'*'", "'?'", "5", "a.AMAZONAWS.com", "null"];

/// A field of a selection of Sigma's, with its value.
fn sigma_field() -> BoxedStrategy<String> {
    let some = vec(select(&SIGMA_VALUES[..]), 1..12).prop_map(|values| format!("[{}]", values.join(", ")));
    prop_oneof![
        6 => (select(&PATHS[..]), select(&["", "|cased", "|contains", "|startswith", "|endswith", "|neq", "|contains|all"][..]), some)
            .prop_map(|(path, modifier, values)| format!("{path}{modifier}: {values}")),
        3 => (select(&PATHS[..]), select(&SIGMA_VALUES[..])).prop_map(|(path, value)| format!("{path}: {value}")),
        1 => (select(&PATHS[..]), any::<bool>()).prop_map(|(path, exists)| format!("{path}|exists: {exists}")),
        1 => (select(&PATHS[..]), select(&SEARCHES[..])).prop_map(|(path, (text, _))| format!("{path}|re: '{text}'")),
        1 => (select(&PATHS[..]), select(&["fieldref", "fieldref|startswith", "fieldref|contains", "fieldref|endswith"][..]), select(&PATHS[..]))
            .prop_map(|(path, modifier, other)| format!("{path}|{modifier}: {other}")),
        1 => (select(&PATHS[..]), select(&["gt", "gte", "lt", "lte"][..])).prop_map(|(path, order)| format!("{path}|{order}: 5")),
        1 => select(&["10.0.0.0/8", "'2001:db8::/32'", "11.0.0.1"][..]).prop_map(|net| format!("sourceIPAddress|cidr: {net}")),
    ].boxed()
}

fn selection() -> BoxedStrategy<String> {
    let mapping = || vec(sigma_field(), 1..3).prop_map(|fields| format!("{{{}}}", fields.join(", ")));
    prop_oneof![
        4 => mapping(),
        1 => vec(mapping(), 1..3).prop_map(|mappings| format!("[{}]", mappings.join(", "))),
        1 => select(&["[ab, 'zz']", "['\"k\"']"][..]).prop_map(str::to_owned),
    ]
    .boxed()
}

/// A rule's text but its name.
#[derive(Clone, Debug)]
enum RuleText {
    Falco { condition: String, enabled: bool },
    Sigma { selections: [String; 2], condition: &'static str },
}

fn rule_text() -> BoxedStrategy<RuleText> {
    let conditions =
        ["s_a", "s_a and s_b", "s_a or not s_b", "not 1 of s_*", "all of them", "not (s_a and s_b)"];
    prop_oneof![
        3 => (falco_condition(), prop::bool::weighted(0.9))
            .prop_map(|(condition, enabled)| RuleText::Falco { condition, enabled }),
        // Many of these make a table.
        2 => (select(&POPULAR[..2]), select(&VALUES[..]), falco_condition()).prop_map(|(field, value, rest)| {
            RuleText::Falco { condition: format!("{field} = {value} and ({rest})"), enabled: true }
        }),
        2 => (prop::array::uniform2(selection()), select(conditions.to_vec()))
            .prop_map(|(selections, condition)| RuleText::Sigma { selections, condition }),
    ]
    .boxed()
}

/// A name, quoted as YAML's.
fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn file(rules: &[RuleText]) -> SourceFile {
    let mut text = String::new();
    for (at, rule) in rules.iter().enumerate() {
        match rule {
            RuleText::Falco { condition, enabled } => {
                let condition = single_quoted(condition);
                text += &format!("---\n- rule: r{at}\n  condition: {condition}\n  desc: d\n  output: o\n");
                text += &format!("  priority: info\n  source: aws_cloudtrail\n  enabled: {enabled}\n");
            }
            RuleText::Sigma { selections: [a, b], condition } => {
                text += &format!("---\ntitle: r{at}\nlogsource: {{product: aws, service: cloudtrail}}\n");
                text += &format!("detection:\n  s_a: {a}\n  s_b: {b}\n  condition: {condition}\n");
            }
        }
    }
    SourceFile::new("rules.yaml", text)
}

fn load(rules: &[RuleText]) -> RuleSet {
    let file = file(rules);
    let loaded = RuleSet::load(std::slice::from_ref(&file), Matching::All);
    let said: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    loaded.rules.unwrap_or_else(|| panic!("{}\n{}", said.join("\n"), file.text))
}

// ---- the model

/// A value of a field.
#[derive(Clone, Debug, PartialEq)]
enum Val {
    Text(String),
    Number(i64),
    Address(IpAddr),
}

fn text(text: impl Into<String>) -> Val {
    Val::Text(text.into())
}

impl Val {
    fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Address(IpAddr::V4(address)) => {
                let [a, b, c, _] = address.octets();
                format!("{a}.{b}.{c}.0/24")
            }
            Self::Address(IpAddr::V6(address)) => {
                let [a, b, c, ..] = address.segments();
                format!("{:x}:{:x}:{:x}::/48", a, b, c).replace(":0::", "::")
            }
        }
    }
}

fn holds(condition: &Expr, call: &Call) -> bool {
    match condition {
        Expr::And(parts) => parts.iter().all(|part| holds(part, call)),
        Expr::Or(parts) => parts.iter().any(|part| holds(part, call)),
        Expr::Not(inner) => !holds(inner, call),
        Expr::Check(check) => check_holds(check, call),
        Expr::Macro(name, _) => panic!("`{name}` is not in place"),
    }
}

fn check_holds(check: &Check, call: &Call) -> bool {
    let Check { left, op, right, .. } = check;
    match op {
        Op::Exists => return stands(left, call, &|_| true),
        Op::HasValue => return stands(left, call, &|value| !value.is_null()),
        _ => {}
    }
    let values = values(left, call);
    // A field that yields nothing makes every check false, `!=` too.
    if values.is_empty() {
        return false;
    }
    let kind = kind(left);
    let meets = |wanted: &str| match op {
        Op::Ne => !values.iter().any(|value| compares(value, Op::Eq, kind, wanted)),
        op => values.iter().any(|value| compares(value, *op, kind, wanted)),
    };
    match right {
        Right::Nothing | Right::Named(..) => panic!("{check}"),
        Right::Text(wanted) => meets(wanted),
        Right::List(items, _) if *op == Op::In => {
            values.iter().all(|value| items.iter().any(|item| compares(value, Op::Eq, kind, &item.text)))
        }
        Right::List(items, _) if *op == Op::Intersects => {
            values.iter().any(|value| items.iter().any(|item| compares(value, Op::Eq, kind, &item.text)))
        }
        Right::List(items, Quantifier::Any) => items.iter().any(|item| meets(&item.text)),
        Right::List(items, Quantifier::All) => {
            !items.is_empty() && items.iter().all(|item| meets(&item.text))
        }
        Right::List(items, Quantifier::One) => items.iter().filter(|item| meets(&item.text)).count() == 1,
        Right::Term(other) => {
            let others = self::values(other, call);
            values.iter().any(|value| others.iter().any(|other| relates(&value.shown(), *op, &other.shown())))
        }
    }
}

/// Whether a value that a check compares with another of the event stands to it so.
fn relates(left: &str, op: Op, right: &str) -> bool {
    if let Op::SameAs(part) = op {
        let (left, right) = (left.to_lowercase(), right.to_lowercase());
        return match part {
            Part::Whole => left == right,
            Part::Any => left.contains(&right),
            Part::Start => left.starts_with(&right),
            Part::End => left.ends_with(&right),
        };
    }
    match (op, left.parse::<f64>(), right.parse::<f64>()) {
        (Op::Eq, Ok(left), Ok(right)) => left == right,
        (Op::Lt, Ok(left), Ok(right)) => left < right,
        (Op::Ne, ..) => left != right,
        _ => compares(&text(left), op, Kind::Text, right),
    }
}

fn kind(term: &Term) -> Kind {
    match term {
        Term::Field(Field::Named(spec)) => match spec.name {
            "s3.bytes" | "s3.bytes.in" | "evt.num" | "s3.cnt.get" => Kind::Number,
            "ct.client.version" => Kind::Version,
            "ct.srcip.net" => Kind::Network,
            _ => Kind::Text,
        },
        Term::Call(Function::Len, _) => Kind::Number,
        Term::Call(Function::Val, terms) => kind(&terms[0]),
        _ => Kind::Text,
    }
}

fn compares(value: &Val, op: Op, kind: Kind, wanted: &str) -> bool {
    let shown = value.shown();
    match (kind, op) {
        (Kind::Number, _) => {
            let wanted = match wanted.strip_prefix("0x") {
                Some(digits) => i64::from_str_radix(digits, 16).unwrap() as f64,
                None => wanted.parse().unwrap(),
            };
            return ordered(shown.parse::<f64>().unwrap().partial_cmp(&wanted), op);
        }
        (Kind::Network, _) => {
            let Val::Address(address) = value else { panic!("{value:?}") };
            return is_in(*address, wanted);
        }
        (Kind::Version, Op::Eq | Op::Lt | Op::Le | Op::Gt | Op::Ge) => {
            let numbers = |version: &str| {
                let mut numbers: Vec<u64> = version.split('.').map(|part| part.parse().unwrap()).collect();
                while numbers.last() == Some(&0) {
                    numbers.pop();
                }
                numbers
            };
            return ordered(Some(numbers(&shown).cmp(&numbers(wanted))), op);
        }
        _ => {}
    }
    let chars = |text: &str| text.chars().collect::<Vec<char>>();
    match op {
        Op::Eq | Op::Lt | Op::Le | Op::Gt | Op::Ge => {
            ordered(Some(shown.as_bytes().cmp(wanted.as_bytes())), op)
        }
        Op::Contains => shown.contains(wanted),
        Op::IContains => shown.to_ascii_lowercase().contains(&wanted.to_ascii_lowercase()),
        Op::StartsWith => shown.starts_with(wanted),
        Op::EndsWith => shown.ends_with(wanted),
        Op::BContains => shown.contains(if wanted == "61" { "a" } else { "é" }),
        Op::BStartsWith => shown.starts_with('a'),
        Op::Glob | Op::Like(Case::Sensitive) => is_like(&chars(&shown), &chars(wanted)),
        Op::IGlob | Op::Like(Case::Ignored) => {
            is_like(&chars(&shown.to_lowercase()), &chars(&wanted.to_lowercase()))
        }
        Op::Regex => EXPRESSIONS.iter().find(|(expression, _)| *expression == wanted).unwrap().1(&shown),
        Op::Search(SearchFlags { ignores_case: false, is_multi_line: false, dot_is_all: false }) => {
            SEARCHES.iter().find(|(expression, _)| *expression == wanted).unwrap().1(&shown)
        }
        Op::PMatch => {
            let parts = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
            parts(&shown).starts_with(&parts(wanted))
        }
        Op::Cidr => shown.parse().is_ok_and(|address| is_in(address, wanted)),
        Op::Number(order) => {
            let op = match order {
                NumberOrder::Lt => Op::Lt,
                NumberOrder::Le => Op::Le,
                NumberOrder::Gt => Op::Gt,
                NumberOrder::Ge => Op::Ge,
            };
            shown.parse::<f64>().is_ok_and(|number| ordered(number.partial_cmp(&wanted.parse().unwrap()), op))
        }
        op => panic!("{op:?}"),
    }
}

fn ordered(order: Option<std::cmp::Ordering>, op: Op) -> bool {
    order.is_some_and(|order| match op {
        Op::Eq | Op::In | Op::Intersects => order.is_eq(),
        Op::Lt => order.is_lt(),
        Op::Le => order.is_le(),
        Op::Gt => order.is_gt(),
        Op::Ge => order.is_ge(),
        op => panic!("{op:?}"),
    })
}

fn is_in(address: IpAddr, network: &str) -> bool {
    match (network, address) {
        ("10.0.0.0/8", IpAddr::V4(address)) => address.octets()[0] == 10,
        ("11.0.0.1", IpAddr::V4(address)) => address.octets() == [11, 0, 0, 1],
        ("2001:db8::/32", IpAddr::V6(address)) => address.segments()[..2] == [0x2001, 0xdb8],
        _ => false,
    }
}

/// `*` and `?`; there is no backslash in these tests.
fn is_like(text: &[char], pattern: &[char]) -> bool {
    match (text, pattern) {
        ([], []) => true,
        (_, ['*', rest @ ..]) => (0..=text.len()).any(|taken| is_like(&text[taken..], rest)),
        ([_, text @ ..], ['?', rest @ ..]) => is_like(text, rest),
        ([c, text @ ..], [wanted, rest @ ..]) => c == wanted && is_like(text, rest),
        _ => false,
    }
}

/// Whether something stands there of which this is true.
fn stands(term: &Term, call: &Call, is_meant: &dyn Fn(&Value) -> bool) -> bool {
    match term {
        Term::Field(Field::Path { keys, .. }) => nodes(&call.json, keys).into_iter().any(is_meant),
        Term::Field(Field::Pointer { path, .. }) => pointed(&call.json, path).is_some_and(is_meant),
        term => !values(term, call).is_empty(),
    }
}

/// What stands at a path; an array on the way stands for each of its elements.
fn nodes<'v>(value: &'v Value, keys: &[String]) -> Vec<&'v Value> {
    let Some((key, rest)) = keys.split_first() else { return vec![value] };
    match value {
        Value::Array(elements) => elements.iter().flat_map(|element| nodes(element, keys)).collect(),
        Value::Object(members) => {
            members.get(key).into_iter().flat_map(|member| nodes(member, rest)).collect()
        }
        _ => Vec::new(),
    }
}

fn pointed<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    value.pointer(&path.iter().map(|key| format!("/{key}")).collect::<String>())
}

fn values(term: &Term, call: &Call) -> Vec<Val> {
    match term {
        Term::Field(field) => field_values(field, call),
        Term::Text(given) => vec![text(given)],
        Term::List(terms) => terms.iter().flat_map(|term| values(term, call)).collect(),
        Term::Call(function, terms) => call_values(*function, terms, call),
    }
}

fn call_values(function: Function, terms: &[Term], call: &Call) -> Vec<Val> {
    let first = values(&terms[0], call);
    let each = |change: &dyn Fn(String) -> Option<String>| {
        first.iter().filter_map(|value| change(value.shown())).map(Val::Text).collect()
    };
    match function {
        Function::Val => first,
        Function::ToLower => each(&|text| Some(text.to_ascii_lowercase())),
        Function::ToUpper => each(&|text| Some(text.to_ascii_uppercase())),
        Function::Basename => each(&|text| Some(text[text.rfind('/').map_or(0, |at| at + 1)..].to_owned())),
        // These are the only texts of the test that are base64.
        Function::B64 => each(&|text| match text.as_str() {
            "" => Some(String::new()),
            "aGk=" => Some("hi".to_owned()),
            "null" => Some("\u{fffd}\u{fffd}e".to_owned()),
            "true" => Some("\u{fffd}\u{fffd}\u{fffd}".to_owned()),
            "Root" => Some("F\u{fffd}-".to_owned()),
            _ => None,
        }),
        Function::Len => {
            let is_list = terms[0].to_string() == "ec2.imageids";
            match first.as_slice() {
                [] => Vec::new(),
                [only] if !is_list => vec![Val::Number(only.shown().len() as i64)],
                all => vec![Val::Number(all.len() as i64)],
            }
        }
        Function::Concat => {
            let parts: Vec<Vec<Val>> = terms.iter().map(|term| values(term, call)).collect();
            if parts.iter().any(Vec::is_empty) {
                return Vec::new();
            }
            vec![text(parts.concat().iter().map(Val::shown).collect::<String>())]
        }
        Function::Join if first.is_empty() => Vec::new(),
        Function::Join => vec![text(first.iter().map(Val::shown).collect::<Vec<_>>().join("-"))],
        Function::GetOpt => panic!("not in these tests"),
    }
}

fn field_values(field: &Field, call: &Call) -> Vec<Val> {
    match field {
        Field::Named(spec) => named_values(spec.name, call),
        Field::Pointer { path, .. } => {
            pointed(&call.json, path).map(|value| text(shown(value))).into_iter().collect()
        }
        Field::Path { keys, .. } => {
            nodes(&call.json, keys).into_iter().flat_map(flat).map(|value| text(shown(value))).collect()
        }
        Field::Whole => vec![text(call.json.to_string())],
    }
}

/// What Sigma compares of a value: of an array each element; `null` is none.
fn flat(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(elements) => elements.iter().flat_map(flat).collect(),
        value => vec![value],
    }
}

/// A string's text, anything else as compact JSON.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn named_values(name: &str, call: &Call) -> Vec<Val> {
    // A string, or an empty one for anything else that stands there.
    let plain = |path: &[&str]| call.at(path).map(|value| value.as_str().unwrap_or_default());
    let string = |path: &[&str]| call.at(path).and_then(Value::as_str);
    let one = |value: Option<&str>| value.map(text).into_iter().collect();
    match name {
        "ct.name" => one(plain(&["eventName"])),
        "ct.src" => one(plain(&["eventSource"])),
        "ct.shortsrc" => {
            one(plain(&["eventSource"]).map(|source| match source.strip_suffix(".amazonaws.com") {
                None | Some("") => source,
                Some(short) => short,
            }))
        }
        "ct.error" => one(plain(&["errorCode"])),
        "ct.region" => one(plain(&["awsRegion"])),
        "ct.useragent" => one(plain(&["userAgent"])),
        "ct.srcip" => one(plain(&["sourceIPAddress"])),
        "ct.user.arn" => one(plain(&["userIdentity", "arn"])),
        "ct.user.identitytype" => one(plain(&["userIdentity", "type"])),
        "ct.invokedby" => one(plain(&["userIdentity", "invokedBy"])),
        "ct.request.name" => one(plain(&["requestParameters", "name"])),
        "ct.request" => {
            call.at(&["requestParameters"]).map(|value| text(value.to_string())).into_iter().collect()
        }
        "ct.user" => one(match string(&["userIdentity", "type"]) {
            Some("Root" | "IAMUser") => string(&["userIdentity", "userName"]),
            Some("AWSService") => string(&["userIdentity", "invokedBy"]),
            _ => None,
        }),
        "ct.srcip.net" => plain(&["sourceIPAddress"])
            .and_then(|address| address.parse().ok())
            .map(Val::Address)
            .into_iter()
            .collect(),
        "ec2.imageids" => {
            let items = call.at(&["responseElements", "instancesSet", "items"]).and_then(Value::as_array);
            let mut ids: Vec<Val> = Vec::new();
            for id in items.into_iter().flatten().map(|item| text(item["imageId"].as_str().unwrap())) {
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            ids
        }
        "s3.bytes" | "s3.bytes.in" => match call.at(&["additionalEventData", "bytesTransferredIn"]) {
            None => Vec::new(),
            Some(value) => vec![Val::Number(value.as_f64().unwrap_or_default() as i64)],
        },
        "s3.cnt.get" => Vec::new(),
        "evt.num" => vec![Val::Number(7)],
        "ct.signature.version" => one(call.own[0]),
        "ct.tls.version" => one(call.own[2]),
        "ct.accesskey.kind" => one(call.own[3]),
        "ct.principal" => one(call.own[4]),
        "ct.account" => one(call.own[5]),
        "ct.session" => Vec::new(),
        "ct.client.name" => one(call.client()[0]),
        "ct.client.version" => one(call.client()[1]),
        "ct.weakness" => call.weaknesses().into_iter().map(text).collect(),
        name => panic!("{name}"),
    }
}

// ---- a condition and its text

/// A condition without what its text does not say: where its parts stand, and which values stood in quotes.
fn bare(expr: &Expr) -> Expr {
    match expr {
        Expr::And(parts) => Expr::And(parts.iter().map(bare).collect()),
        Expr::Or(parts) => Expr::Or(parts.iter().map(bare).collect()),
        Expr::Not(inner) => Expr::Not(Box::new(bare(inner))),
        Expr::Macro(name, _) => Expr::Macro(name.clone(), 0..0),
        Expr::Check(check) => {
            let right = match &check.right {
                Right::List(items, quantifier) => {
                    let items = items.iter().map(|item| Item { text: item.text.clone(), is_bare: false });
                    Right::List(items.collect(), *quantifier)
                }
                Right::Named(name, _, quantifier) => Right::Named(name.clone(), 0..0, *quantifier),
                other => other.clone(),
            };
            Expr::Check(Check { right, bytes: 0..0, ..check.clone() })
        }
    }
}

/// Pieces of rule files, which fit together now and then.
const PIECES: [&str; 44] = [
    "- rule: ",
    "- macro: ",
    "- list: ",
    "x",
    "\n",
    "\n  ",
    "\n    ",
    "condition: ",
    "output: ",
    "desc: ",
    "priority: info",
    "source: aws_cloudtrail",
    "items: ",
    "[",
    "]",
    "{",
    "}",
    "a: ",
    "&a ",
    "*a",
    "'",
    "\"",
    "---\n",
    "title: ",
    "detection: ",
    "logsource: {product: aws}",
    "correlation: ",
    "exceptions: ",
    "- ",
    "ct.name ",
    "= a",
    " and ",
    " or ",
    "not ",
    "(",
    ")",
    "in ",
    "%ct.name",
    "|re: ",
    "append: true",
    "override: ",
    "\\",
    "é",
    "\t",
];

/// At least so many cases, as most of them are quick; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(400), failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn asked_as_the_plain_walk_says(
        rules in vec(rule_text(), 1..32),
        calls in vec(call(), 1..24),
        order in vec(any::<prop::sample::Index>(), 64),
    ) {
        let mut asker = Asker::new(Arc::new(load(&rules)));
        let mut met = Vec::new();
        for call in order.iter().map(|index| index.get(&calls)) {
            asker.ask(call, &mut met);
            let rules = asker.rules().rules().iter().enumerate();
            let expected: Vec<u32> = rules
                .filter(|(_, rule)| rule.enabled && holds(&rule.condition, call))
                .map(|(at, _)| at as u32)
                .collect();
            let differing = met.iter().find(|rule| !expected.contains(rule)).or(expected.iter().find(|rule| !met.contains(rule)));
            let differing = differing.map(|rule| asker.rules().rules()[*rule as usize].condition.to_string());
            prop_assert_eq!(&met, &expected, "{:?} for {:?}", differing, call);
        }
    }

    #[test]
    fn a_condition_that_is_shown_reads_as_itself(
        conditions in vec(falco_condition(), 1..4),
        values in vec("\\PC{0,6}|[\\\\\"'a \n\t\r=(),]{0,6}", 1..4),
        excepted in vec(select(&VALUES[..]), 0..3),
    ) {
        let quote = |value: &String| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
        let listed: Vec<String> = values.iter().map(quote).collect();
        let listed = listed.join(", ");
        let mut text = String::from("- list: some\n  items: [a, 'b c', anyof]\n");
        for (at, written) in conditions.iter().enumerate() {
            let written = format!("{written} or ct.name in ({listed}, some) or ct.src = {}", quote(&values[0]));
            // JSON's strings are YAML's.
            let written = serde_json::to_string(&written).unwrap();
            let rows: Vec<String> = excepted.iter().map(|value| format!("[{value}, x]")).collect();
            text += &format!("- rule: r{at}\n  condition: {written}\n  desc: d\n  output: o\n  priority: info\n");
            text += &format!("  source: aws_cloudtrail\n  exceptions:\n  - {{name: e, fields: [ct.name, ct.src], values: [{}]}}\n", rows.join(", "));
        }
        let loaded = RuleSet::load(&[SourceFile::new("f", text.as_str())], Matching::All);
        let said: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
        prop_assert!(loaded.rules.is_some(), "{}", said.join("\n"));
        for rule in loaded.rules.unwrap().rules() {
            let shown = rule.condition.to_string();
            let again = condition(&shown);
            prop_assert_eq!(again.as_ref().map(bare).map_err(Clone::clone), Ok(bare(&rule.condition)), "{}", shown);
        }
    }

    #[test]
    fn any_text_is_rules_or_problems(
        text in prop_oneof![any::<String>(), vec(select(&PIECES[..]), 0..48).prop_map(|pieces| pieces.concat())],
    ) {
        for matching in [Matching::All, Matching::First] {
            let loaded = RuleSet::load(&[SourceFile::new("f", text.as_str())], matching);
            let has_errors = loaded.diagnostics.iter().any(|diagnostic| diagnostic.is_error());
            prop_assert_eq!(loaded.rules.is_none(), has_errors);
            loaded.diagnostics.iter().for_each(|diagnostic| drop(diagnostic.to_string()));
        }
    }
}
