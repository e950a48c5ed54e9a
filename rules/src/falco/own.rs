//! Our own keys of a rule: `first_seen`, `threshold`, `repeat`, `group`, `tests`.

use serde_json::json;

use super::{ItemReader, all};
use crate::ast::Term;
use crate::collect::OwnKeys;
use crate::diagnostic::did_you_mean;
use crate::field::{Field, FieldError};
use crate::parser::leading_term;
use crate::rule::{DEFAULT_REPEAT_S, Label, Test};
use crate::stateful::{Fires, FirstSeen, MAX_DISTINCT, Threshold};
use crate::yaml::{Node, Value};

const DAY_S: i64 = 86_400;
/// `forget_after` unless a rule says otherwise.
const DEFAULT_FORGET_S: i64 = 400 * DAY_S;
/// The longest stretch of a threshold: counts are kept for it.
const MAX_WITHIN_S: i64 = 30 * DAY_S;
/// A test's events, all in all.
const MAX_TEST_EVENTS: u64 = 100_000;

/// Takes up the keys; tests are read at once.
pub(super) fn read(reader: &mut ItemReader<'_>) -> OwnKeys {
    let take = |key| reader.placed(key);
    let own = OwnKeys {
        first_seen: take("first_seen"),
        threshold: take("threshold"),
        repeat: take("repeat"),
        group: take("group"),
        tests: Vec::new(),
    };
    if let (Some(_), Some((threshold, _))) = (&own.first_seen, &own.threshold) {
        reader.error(threshold, "threshold", "a rule has a `first_seen` or a `threshold`", "write two rules");
    }
    OwnKeys { tests: tests(reader).unwrap_or_default(), ..own }
}

/// Reads `first_seen`.
pub fn first_seen(reader: &mut ItemReader<'_>, node: &Node) -> Option<FirstSeen> {
    let part = "first_seen";
    let keys = only_keys(reader, node, part, &["by", "forget_after", "learn_for", "learn_by", "fires"]);
    let by = fields(reader, node, part, "by");
    if keys.is_some() && by.as_ref().is_some_and(Vec::is_empty) {
        reader.error(
            node,
            part,
            "`by` is missing: which values are new?",
            "write `first_seen: {by: [ct.principal, ct.region]}`",
        );
        return None;
    }
    let forget_after_s = seconds(reader, node, part, "forget_after");
    let learn_for_s = seconds(reader, node, part, "learn_for");
    let learn_by = fields(reader, node, part, "learn_by");
    keys?;
    let (by, learn_by) = (by?, learn_by?);
    let forget_after_s = forget_after_s?.unwrap_or(DEFAULT_FORGET_S);
    let learn_for_s = learn_for_s?.unwrap_or(0);
    if !learn_by.is_empty() && learn_for_s == 0 {
        reader.error(node, part, "`learn_by` goes with `learn_for`", "write `learn_for: 7d`");
        return None;
    }
    let fires = match node.get("fires").map(Node::as_text) {
        None | Some(Some("both")) => Fires::Both,
        Some(Some("new")) => Fires::New,
        Some(Some("returning")) => Fires::Returning,
        Some(_) => {
            reader.error(node, part, "`fires` is none of new, returning, both", "");
            return None;
        }
    };
    Some(FirstSeen { by, forget_after_s, learn_for_s, learn_by, fires })
}

/// Reads `threshold`.
pub fn threshold(reader: &mut ItemReader<'_>, node: &Node) -> Option<Threshold> {
    let part = "threshold";
    let keys = only_keys(reader, node, part, &["count", "within", "by", "distinct"]);
    let count = node.get("count").and_then(Node::as_text).and_then(|text| text.parse::<u64>().ok());
    let within_s = seconds(reader, node, part, "within");
    let by = fields(reader, node, part, "by");
    let distinct = match node.get("distinct") {
        Some(node) => field(reader, node, part).map(Some),
        None => Some(None),
    };
    keys?;
    let (Some(count @ 1..), Some(within_s @ 1..)) = (count, within_s?) else {
        let help = "write `threshold: {count: 20, within: 5m, by: [ct.principal]}`";
        reader.error(node, part, "`count` (1 or more) and `within` (1s or more) are needed", help);
        return None;
    };
    if within_s > MAX_WITHIN_S {
        reader.error(node, part, "`within` is too long: the counts are kept for it", "write 30d or less");
        return None;
    }
    let (by, distinct) = (by?, distinct?);
    if distinct.is_some() && count > MAX_DISTINCT {
        reader.error(node, part, format!("at most {MAX_DISTINCT} different values are told apart"), "");
        return None;
    }
    Some(Threshold { count, within_s, by, distinct })
}

/// Reads `repeat`, in seconds.
pub fn repeat(reader: &mut ItemReader<'_>, node: Option<&Node>) -> Option<i64> {
    let Some(node) = node else { return Some(DEFAULT_REPEAT_S) };
    let seconds = node.as_text().and_then(duration);
    if seconds.is_none() {
        reader.error(node, "repeat", "no duration", "write 30m, 1h or 7d; 0s for every match");
    }
    seconds
}

/// Reads `group`; without one it is the caller, and what a stateful rule tells apart.
pub fn group(reader: &mut ItemReader<'_>, node: Option<&Node>, told_apart: &[Field]) -> Option<Vec<Label>> {
    let fields = match node {
        Some(node) => {
            let nodes = node.as_sequence().map_or(std::slice::from_ref(node), |nodes| nodes);
            all(nodes.iter().map(|node| field(reader, node, "group")))?
        }
        None => {
            let default = [own_field("ct.account"), own_field("ct.principal")].into_iter().flatten();
            default.chain(told_apart.iter().cloned()).collect()
        }
    };
    let mut labels: Vec<Label> = Vec::new();
    for field in fields {
        let name = label_name(&field);
        if !labels.iter().any(|label| label.name == name) {
            labels.push(Label { name, field });
        }
    }
    Some(labels)
}

fn own_field(name: &str) -> Option<Field> {
    Field::named(name, None).ok()
}

/// A label's name: the two of every alert, else the field's with what no label may hold as `_`.
fn label_name(field: &Field) -> String {
    let name = field.to_string();
    match name.as_str() {
        "ct.account" => return "account_id".to_owned(),
        "ct.principal" => return "principal".to_owned(),
        _ => {}
    }
    let name = name.strip_prefix("ct.").unwrap_or(&name);
    let safe: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let safe = safe.trim_matches('_');
    // These say something else.
    if matches!(safe, "alertname" | "severity" | "rule" | "instance" | "job")
        || safe.starts_with(|c: char| c.is_ascii_digit())
        || safe.is_empty()
    {
        format!("event_{safe}")
    } else {
        safe.to_owned()
    }
}

fn only_keys(reader: &mut ItemReader<'_>, node: &Node, part: &'static str, known: &[&str]) -> Option<()> {
    let Some(members) = node.as_mapping() else {
        reader.error(node, part, format!("expected a mapping, found {}", node.kind()), "");
        return None;
    };
    let mut is_sound = true;
    for (key, _) in members {
        let name = key.as_text().unwrap_or_default();
        if !known.contains(&name) {
            reader.error(
                key,
                part,
                format!("unknown key `{name}`"),
                did_you_mean(name, known.iter().copied()),
            );
            is_sound = false;
        }
    }
    is_sound.then_some(())
}

/// Fields that need not be there.
fn fields(reader: &mut ItemReader<'_>, node: &Node, part: &'static str, key: &str) -> Option<Vec<Field>> {
    let Some(named) = node.get(key) else { return Some(Vec::new()) };
    let nodes = named.as_sequence().map_or(std::slice::from_ref(named), |nodes| nodes);
    all(nodes.iter().map(|node| field(reader, node, part)))
}

fn field(reader: &mut ItemReader<'_>, node: &Node, part: &'static str) -> Option<Field> {
    let text = match node.as_text().unwrap_or_default() {
        "account_id" => "ct.account",
        "principal" => "ct.principal",
        text => text,
    };
    match leading_term(text) {
        Ok((Term::Field(field), bytes)) if bytes == text.len() => Some(field),
        Ok(_) => {
            reader.error(node, part, format!("`{text}` is no field"), "");
            None
        }
        Err(error) => {
            let help = match Field::named(text, None) {
                Err(FieldError::Unknown(Some(near))) => format!("did you mean `{near}`?"),
                _ => error.help,
            };
            reader.error(node, part, error.message, help);
            None
        }
    }
}

/// A duration that need not be there, in seconds; the outer none says that it is none.
fn seconds(reader: &mut ItemReader<'_>, node: &Node, part: &'static str, key: &str) -> Option<Option<i64>> {
    let Some(value) = node.get(key) else { return Some(None) };
    let seconds = value.as_text().and_then(duration);
    if seconds.is_none() {
        reader.error(value, part, format!("`{key}` is no duration"), "write 30s, 5m, 1h30m, 7d");
    }
    seconds.map(Some)
}

/// Reads `90s`, `5m`, `1h30m`, `7d`, `2w`, in seconds.
pub fn duration(text: &str) -> Option<i64> {
    let (mut total, mut rest) = (0i64, text);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0)?;
        let number: i64 = rest[..end].parse().ok()?;
        let unit = match rest[end..].chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => DAY_S,
            'w' => 7 * DAY_S,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[end + 1..];
    }
    (!text.is_empty() && total < 100_000 * DAY_S).then_some(total)
}

fn tests(reader: &mut ItemReader<'_>) -> Option<Vec<Test>> {
    if reader.node.get("tests").is_none() {
        return Some(Vec::new());
    }
    let nodes = reader.sequence("tests")?;
    all(nodes.iter().map(|node| {
        only_keys(reader, node, "tests", &["name", "event", "events", "times", "match", "matches"])?;
        test(reader, node)
    }))
}

fn test(reader: &mut ItemReader<'_>, node: &Node) -> Option<Test> {
    let name = node.get("name").and_then(Node::as_text).unwrap_or("a test").to_owned();
    let events = match (node.get("event"), node.get("events").map(Node::as_sequence)) {
        (Some(event), None) => std::slice::from_ref(event),
        (None, Some(Some(events))) => events,
        _ => {
            reader.error(node, "tests", "a test needs an `event`, or a list of `events`", "");
            return None;
        }
    };
    if let Some(other) = events.iter().find(|event| event.as_mapping().is_none()) {
        let message = format!("an event must be a mapping, found {}", other.kind());
        reader.error(other, "tests", message, "write `event: {eventName: PutObject}`");
        return None;
    }
    let events: Vec<serde_json::Value> = events.iter().map(json_of).collect();
    let matches = match (node.get("match").map(Node::as_bool), node.get("matches").map(Node::as_text)) {
        (Some(Some(true)), None) => None,
        (Some(Some(false)), None) => Some(0),
        (None, Some(Some(number))) if number.parse::<u64>().is_ok() => number.parse().ok(),
        _ => {
            reader.error(node, "tests", "a test needs `match: true` or `match: false`, or `matches: N`", "");
            return None;
        }
    };
    let times: u64 = match node.get("times").map(Node::as_text) {
        None => 1,
        Some(times) => times.and_then(|times| times.parse().ok()).unwrap_or(0),
    };
    if !(1..=MAX_TEST_EVENTS).contains(&times.saturating_mul(events.len() as u64)) {
        reader.error(node, "tests", format!("`times` must make 1 to {MAX_TEST_EVENTS} events"), "");
        return None;
    }
    Some(Test { name, events, times, matches })
}

/// A node as JSON: plain scalars as what they mean, quoted ones as text.
fn json_of(node: &Node) -> serde_json::Value {
    match &node.value {
        _ if node.is_null() => serde_json::Value::Null,
        Value::Sequence(nodes) => nodes.iter().map(json_of).collect(),
        Value::Mapping(members) => {
            let members = members
                .iter()
                .map(|(key, value)| (key.as_text().unwrap_or_default().to_owned(), json_of(value)));
            serde_json::Value::Object(members.collect())
        }
        Value::Scalar { text, is_plain: true } if text == "true" || text == "false" => json!(text == "true"),
        Value::Scalar { text, is_plain: true } if text.parse::<i64>().is_ok() => {
            json!(text.parse::<i64>().unwrap_or_default())
        }
        Value::Scalar { text, is_plain: true } if is_fraction(text) => {
            json!(text.parse::<f64>().unwrap_or_default())
        }
        Value::Scalar { text, .. } => json!(text),
    }
}

fn is_fraction(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit() || c == '-')
        && text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c))
        && text.parse::<f64>().is_ok_and(f64::is_finite)
}
