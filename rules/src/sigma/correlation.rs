//! Correlation rules that count: `event_count` and `value_count`. They become a threshold over the rules they name.

use super::{Names, definition};
use crate::ast::Expr;
use crate::collect::{Collected, Condition, RuleDefinition};
use crate::falco::ItemReader;
use crate::field::Field;
use crate::stateful::Threshold;
use crate::yaml::Node;

/// A correlation that waits for the rules it names.
pub struct Correlation {
    rule: RuleDefinition,
    /// Names or ids of rules.
    of: Vec<(String, Node)>,
    /// The rules it names go on to match by themselves.
    generates: bool,
}

/// Reads a correlation. None if it makes no sense, which is reported.
pub(super) fn read(reader: &mut ItemReader<'_>, title: String) -> Option<Correlation> {
    let correlation = reader.node.get("correlation")?;
    let kind = correlation.get("type").and_then(Node::as_text).unwrap_or_default();
    if matches!(kind, "temporal" | "temporal_ordered") {
        let help = "`event_count` and `value_count` are run";
        reader.warning(
            correlation,
            "correlation",
            format!("a correlation of type `{kind}` is not run: it is passed over"),
            help,
        );
        return None;
    }
    if !matches!(kind, "event_count" | "value_count") {
        reader.error(
            correlation,
            "correlation",
            format!("`{kind}` is no type of correlation"),
            "write `event_count` or `value_count`",
        );
        return None;
    }
    let texts = |key: &str| -> Vec<(String, Node)> {
        let Some(node) = correlation.get(key) else { return Vec::new() };
        let nodes = node.as_sequence().map_or(std::slice::from_ref(node), |nodes| nodes);
        nodes.iter().filter_map(|node| Some((node.as_text()?.to_owned(), node.clone()))).collect()
    };
    let of = texts("rules");
    if of.is_empty() {
        reader.error(correlation, "correlation", "`rules` names no rule", "");
        return None;
    }
    let by = texts("group-by").iter().map(|(name, _)| group_field(name)).collect();
    let within_s = correlation.get("timespan").and_then(Node::as_text).and_then(crate::falco::duration);
    let Some(within_s @ 1..=2_592_000) = within_s else {
        let node = correlation.get("timespan").unwrap_or(correlation);
        reader.error(
            node,
            "correlation",
            "`timespan` is missing or no duration up to 30d",
            "write 30s, 5m, 1h, 7d",
        );
        return None;
    };
    let (count, distinct) = counted(reader, correlation, kind)?;
    let threshold = Threshold { count, within_s, by, distinct };
    let mut rule = definition(reader, title, Condition::Broken);
    rule.correlation = Some(threshold);
    let generates =
        reader.node.get("generate").or(correlation.get("generate")).and_then(Node::as_bool).unwrap_or(false);
    Some(Correlation { rule, of, generates })
}

/// Names of other rules' fields, or our own, or paths.
fn group_field(name: &str) -> Field {
    Field::named(name, None).unwrap_or_else(|_| Field::path(name))
}

/// The number to reach, and what is told apart.
fn counted(reader: &mut ItemReader<'_>, correlation: &Node, kind: &str) -> Option<(u64, Option<Field>)> {
    let condition = correlation.get("condition");
    let number = |key: &str| {
        condition
            .and_then(|condition| condition.get(key))
            .and_then(Node::as_text)
            .and_then(|text| text.parse::<u64>().ok())
    };
    let count = match (number("gte"), number("gt")) {
        (Some(count), None) => Some(count),
        (None, Some(count)) => count.checked_add(1),
        _ => None,
    };
    let Some(count @ 1..) = count else {
        let node = condition.unwrap_or(correlation);
        reader.error(
            node,
            "correlation",
            "the `condition` must be `gte: N` or `gt: N`",
            "a number is reached or it is not: `lt`, `lte` and `eq` are not supported",
        );
        return None;
    };
    let field =
        condition.and_then(|condition| condition.get("field")).and_then(Node::as_text).map(group_field);
    if kind == "value_count" && field.is_none() {
        reader.error(
            correlation,
            "correlation",
            "`value_count` needs the `field` whose values are counted",
            "write `condition: {field: NAME, gte: N}`",
        );
        return None;
    }
    Some((count, field.filter(|_| kind == "value_count")))
}

impl Correlation {
    /// Puts the conditions of the rules it names together, and defines it. Those rules do not match by themselves any
    /// more, unless it says so.
    pub fn define(mut self, names: &Names, collected: &mut Collected, mut reader: ItemReader<'_>) {
        let (mut parts, mut silent) = (Vec::new(), Vec::new());
        for (name, node) in &self.of {
            let rule =
                names.title(name).and_then(|title| collected.rules.iter().find(|rule| rule.name == title));
            match rule.map(|rule| (&rule.condition, &rule.name)) {
                Some((Condition::Lowered(condition), title)) => {
                    parts.push(condition.clone());
                    silent.push(title.clone());
                }
                Some(_) => {}
                None if names.title(name).is_some() => reader.warning(
                    node,
                    "correlation",
                    format!("the rule `{name}` was passed over: the correlation does without it"),
                    "",
                ),
                None => reader.error(
                    node,
                    "correlation",
                    format!("there is no rule `{name}`"),
                    "name it by its `name`, `id` or `title`",
                ),
            }
        }
        if !self.generates {
            for rule in collected.rules.iter_mut().filter(|rule| silent.contains(&rule.name)) {
                rule.enabled = false;
            }
        }
        if parts.is_empty() {
            return;
        }
        self.rule.condition = Condition::Lowered(Expr::Or(parts));
        collected.next();
        collected.define(self.rule);
    }

    /// The file that it stands in.
    pub fn file(&self) -> usize {
        self.rule.file
    }
}
