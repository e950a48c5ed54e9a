//! Reads Falco's rule files: lists, macros and rules, with what is appended to and overridden in earlier ones.
//!
//! Enters: the items of a file, in order. Leaves: definitions in [`Collected`], and problems in the report. An item
//! with a problem defines nothing; the next one is read.

mod exceptions;
mod item;
mod own;

use crate::ast::Item;
use crate::collect::{Collected, Condition, ListDefinition, MacroDefinition, RuleDefinition};
use crate::diagnostic::{At, Report, SourceFile};
use crate::phrase::Phrase;
use crate::rule::{Language, Priority};
use crate::yaml::{Node, Value};
pub use exceptions::without_exceptions;
use item::Change;
pub use item::{ItemReader, all};
pub use own::{duration, first_seen, group, repeat, threshold};

/// Where Falco's rules come from unless they say otherwise.
const DEFAULT_SOURCE: &str = "syscall";
/// Where ours come from.
pub const OUR_SOURCE: &str = "aws_cloudtrail";

/// Reads the items of a file.
pub fn read(
    items: &[Node],
    files: &[SourceFile],
    file: usize,
    collected: &mut Collected,
    report: &mut Report,
) {
    for node in items {
        let mut reader = ItemReader { files, file, node, item: String::new(), report };
        if node.as_mapping().is_none() {
            reader.error(
                node,
                "",
                format!("expected a mapping, found {}", node.kind()),
                "write `- rule: NAME` and so on",
            );
            continue;
        }
        read_item(&mut reader, collected);
    }
}

fn read_item(reader: &mut ItemReader<'_>, collected: &mut Collected) {
    let node = reader.node;
    let has = |key| node.get(key).is_some();
    if has("required_engine_version") || has("required_plugin_versions") {
        return;
    }
    // None of these does more than note a problem, which is in the report then.
    if let Some(name) = node.get("list") {
        reader.item = format!("list {:?}", name.as_text().unwrap_or_default());
        list(reader, collected);
    } else if has("macro") {
        reader.item = format!("macro {:?}", node.get("macro").and_then(Node::as_text).unwrap_or_default());
        macro_(reader, collected);
    } else if has("rule") {
        reader.item = format!("rule {:?}", node.get("rule").and_then(Node::as_text).unwrap_or_default());
        rule(reader, collected);
    } else {
        let keys: Vec<&str> =
            node.as_mapping().unwrap_or_default().iter().filter_map(|(key, _)| key.as_text()).collect();
        let message = format!("unknown item with the keys {}", keys.join(", "));
        reader.warning(node, "", message, "an item is a `list`, a `macro` or a `rule`");
    }
}

fn list(reader: &mut ItemReader<'_>, collected: &mut Collected) -> Option<()> {
    reader.warn_of_unknown(&["list", "items", "append", "override"]);
    let name = reader.text("list")?;
    let nodes = reader.sequence("items");
    let change = reader.change(&["items"], &["items"]);
    let mut items = Vec::new();
    for node in nodes? {
        match &node.value {
            Value::Scalar { text, .. } => items.push(Item { text: unquoted(text), is_bare: is_bare(text) }),
            _ => reader.error(node, "items", format!("expected a value, found {}", node.kind()), ""),
        }
    }
    let index = collected.next();
    let (file, mark) = (reader.file, reader.node.mark);
    let earlier = collected.lists.iter_mut().find(|list| list.name == name);
    match (change?, earlier) {
        (Change::Define, Some(earlier)) => {
            *earlier = ListDefinition { items, sees: index, name, index: earlier.index, file, mark }
        }
        (Change::Define, None) => {
            collected.lists.push(ListDefinition { name, items, index, sees: index, file, mark });
        }
        (Change::Append(_), Some(earlier)) => {
            earlier.items.extend(items);
            earlier.sees = index;
        }
        (Change::Override { appended, .. }, Some(earlier)) => {
            if !appended.iter().any(|key| key == "items") {
                earlier.items.clear();
            }
            earlier.items.extend(items);
            earlier.sees = index;
        }
        (_, None) => reader.nothing_to_change("list"),
    }
    Some(())
}

/// A list's item may hold quotes of its own, as its text is put into conditions.
fn unquoted(text: &str) -> String {
    let inner = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(text).to_owned()
}

/// Whether an item could be another list's name.
fn is_bare(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || "()\"'=,".contains(c))
}

fn macro_(reader: &mut ItemReader<'_>, collected: &mut Collected) -> Option<()> {
    reader.warn_of_unknown(&["macro", "condition", "append", "override"]);
    let name = reader.text("macro")?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        let help = "letters, digits and `_`, a letter first";
        reader.error(reader.node, "macro", format!("`{name}` is no name for a macro"), help);
        return None;
    }
    let condition = reader.phrase("condition");
    let change = reader.change(&["condition"], &["condition"])?;
    let condition = condition?;
    let index = collected.next();
    let earlier = collected.macros.iter_mut().find(|known| known.name == name);
    match (change, earlier) {
        (Change::Define, Some(earlier)) => {
            *earlier = MacroDefinition { condition, sees: index, name, index: earlier.index };
        }
        (Change::Define, None) => {
            collected.macros.push(MacroDefinition { name, condition, index, sees: index })
        }
        (Change::Override { replaced, .. }, Some(earlier))
            if replaced.iter().any(|key| key == "condition") =>
        {
            (earlier.condition, earlier.sees) = (condition, index);
        }
        (Change::Append(_) | Change::Override { .. }, Some(earlier)) => {
            earlier.condition.append(&condition);
            earlier.sees = index;
        }
        (_, None) => reader.nothing_to_change("macro"),
    }
    Some(())
}

const RULE_KEYS: [&str; 19] = [
    "rule",
    "condition",
    "output",
    "desc",
    "priority",
    "source",
    "enabled",
    "tags",
    "exceptions",
    "warn_evttypes",
    "skip-if-unknown-filter",
    "append",
    "override",
    "capture",
    "capture_duration",
    // Our own.
    "first_seen",
    "threshold",
    "repeat",
    "group",
];
const APPENDED: [&str; 5] = ["condition", "output", "desc", "tags", "exceptions"];
const REPLACED: [&str; 14] = [
    "condition",
    "output",
    "desc",
    "priority",
    "tags",
    "exceptions",
    "enabled",
    "warn_evttypes",
    "skip-if-unknown-filter",
    "capture",
    "first_seen",
    "threshold",
    "repeat",
    "group",
];

fn rule(reader: &mut ItemReader<'_>, collected: &mut Collected) -> Option<()> {
    let known: Vec<&str> = RULE_KEYS.iter().copied().chain(["tests"]).collect();
    reader.warn_of_unknown(&known);
    let name = reader.text("rule")?;
    collected.next();
    if is_toggle(reader.node) {
        let enabled = reader.truth("enabled")?;
        match collected.rule_mut(&name) {
            Some(earlier) => earlier.enabled = enabled,
            None => reader.nothing_to_change("rule"),
        }
        return Some(());
    }
    match reader.change(&APPENDED, &REPLACED)? {
        Change::Define => {
            let rule = definition(reader, name);
            collected.define(rule);
        }
        Change::Append(node) => {
            let keys = ["condition", "exceptions"];
            let present =
                keys.into_iter().filter(|key| reader.node.get(key).is_some()).map(str::to_owned).collect();
            let Some(earlier) = collected.rule_mut(&name) else {
                reader.nothing_to_change("rule");
                return None;
            };
            if reader.node.get("condition").is_none() && reader.node.get("exceptions").is_none() {
                reader.error(
                    node,
                    "append",
                    "nothing to append: there is neither a condition nor exceptions",
                    "",
                );
                return None;
            }
            change(reader, earlier, present, Vec::new())?;
        }
        Change::Override { appended, replaced } => match collected.rule_mut(&name) {
            Some(earlier) => change(reader, earlier, appended, replaced)?,
            None => reader.nothing_to_change("rule"),
        },
    }
    Some(())
}

/// A rule of nothing but its name and `enabled`.
fn is_toggle(node: &Node) -> bool {
    node.as_mapping().is_some_and(|members| members.len() == 2) && node.get("enabled").is_some()
}

/// What is wrong with one of its keys is in the report; the others are read all the same, and so is what comes behind.
fn definition(reader: &mut ItemReader<'_>, name: String) -> RuleDefinition {
    let (condition, output) = (reader.phrase("condition"), reader.phrase("output"));
    let description = reader.text("desc");
    let priority = reader.priority();
    let source = reader.optional_text("source");
    let enabled = reader.optional_truth("enabled").unwrap_or(true);
    let skips_unknown_fields = reader.optional_truth("skip-if-unknown-filter").unwrap_or(false);
    let tags = reader.optional_texts("tags");
    let exceptions = exceptions::read(reader, false);
    let own = own::read(reader);
    RuleDefinition {
        file: reader.file,
        mark: reader.node.mark,
        language: Language::Falco,
        condition: condition.map_or(Condition::Broken, Condition::Text),
        output: output.unwrap_or_else(|| Phrase::new("", reader.file, reader.node.mark)),
        description: description.unwrap_or_default(),
        priority: priority.unwrap_or(Priority::Debug),
        source: source.unwrap_or_else(|| DEFAULT_SOURCE.to_owned()),
        enabled,
        tags,
        exceptions: exceptions.unwrap_or_default(),
        skips_unknown_fields,
        own,
        correlation: None,
        name,
    }
}

/// Changes an earlier rule: these keys are appended to, these replaced.
fn change(
    reader: &mut ItemReader<'_>,
    rule: &mut RuleDefinition,
    appended: Vec<String>,
    replaced: Vec<String>,
) -> Option<()> {
    for key in &appended {
        match key.as_str() {
            "condition" => {
                let added = reader.phrase("condition")?;
                match &mut rule.condition {
                    Condition::Text(condition) => condition.append(&added),
                    Condition::Broken => {}
                    Condition::Lowered(_) => reader.not_of_sigma("condition"),
                }
            }
            "output" => rule.output.append(&reader.phrase("output")?),
            "desc" => rule.description = format!("{} {}", rule.description, reader.text("desc")?),
            "tags" => rule.tags.extend(reader.optional_texts("tags")),
            "exceptions" => exceptions::append(reader, rule)?,
            _ => {}
        }
    }
    for key in &replaced {
        match key.as_str() {
            "condition" => {
                let new = reader.phrase("condition")?;
                match &mut rule.condition {
                    Condition::Text(condition) => *condition = new,
                    Condition::Broken => {}
                    Condition::Lowered(_) => reader.not_of_sigma("condition"),
                }
            }
            "output" => rule.output = reader.phrase("output")?,
            "desc" => rule.description = reader.text("desc")?,
            "priority" => rule.priority = reader.priority()?,
            "tags" => rule.tags = reader.optional_texts("tags"),
            "exceptions" => rule.exceptions = exceptions::read(reader, false)?,
            "enabled" => rule.enabled = reader.truth("enabled")?,
            "skip-if-unknown-filter" => rule.skips_unknown_fields = reader.truth("skip-if-unknown-filter")?,
            "first_seen" => rule.own.first_seen = reader.placed(key),
            "threshold" => rule.own.threshold = reader.placed(key),
            "repeat" => rule.own.repeat = reader.placed(key),
            "group" => rule.own.group = reader.placed(key),
            _ => {}
        }
    }
    Some(())
}

impl ItemReader<'_> {
    fn priority(&mut self) -> Option<Priority> {
        let text = self.text("priority")?;
        if let Some(priority) = Priority::parse(&text) {
            return Some(priority);
        }
        let names = Priority::ALL.map(Priority::label).join(", ");
        let node = self.node.get("priority").unwrap_or(self.node);
        self.error(node, "priority", format!("`{text}` is no priority"), format!("one of {names}"));
        None
    }

    fn not_of_sigma(&mut self, key: &'static str) {
        self.error(
            self.node,
            key,
            "the condition of a Sigma rule can't be changed from here",
            "write a rule of your own and disable that one",
        );
    }

    fn nothing_to_change(&mut self, kind: &'static str) {
        let name = self.node.get(kind).and_then(Node::as_text).unwrap_or_default().to_owned();
        let help = "define it in an earlier file, or remove `append`, `override` and the lone `enabled` to define it here";
        self.error(self.node, "", format!("there is no earlier {kind} {name:?} to change"), help);
    }
}

/// A phrase of a scalar node.
pub fn phrase_of(node: &Node, file: usize) -> Option<Phrase> {
    Some(Phrase::new(node.as_text()?, file, node.mark))
}

/// At a node of a file.
pub fn at<'a>(files: &'a [SourceFile], file: usize, node: &Node) -> At<'a> {
    let width =
        node.as_text().map_or(1, |text| text.lines().next().unwrap_or_default().chars().count().max(1));
    At::new(&files[file], node.mark).width(width)
}
