//! Reads Sigma's rules and lowers them to the conditions of Falco's language.
//!
//! Enters: a document with `detection`, or with `correlation`. Leaves: definitions in [`Collected`], and problems in the
//! report. A rule for anything but CloudTrail is passed over with a warning.

mod condition;
mod correlation;
mod detection;
mod value;

use crate::collect::{Collected, Condition, OwnKeys, RuleDefinition};
use crate::diagnostic::{Report, SourceFile};
use crate::falco::{ItemReader, OUR_SOURCE};
use crate::phrase::Phrase;
use crate::rule::{Language, Priority};
use crate::yaml::Node;

pub use correlation::Correlation;

/// What a match of a Sigma rule says behind its title: Sigma has no output.
const OUTPUT: &str = "(principal=%ct.principal, call=%ct.name, source=%ct.src, region=%ct.region, IP=%ct.srcip, error=%ct.error)";

/// A Sigma rule's name and id, by which correlations name it.
#[derive(Default)]
pub struct Names {
    /// Name or id, and the rule's title.
    known: Vec<(String, String)>,
}

impl Names {
    /// The title of the rule of this name, id or title.
    fn title(&self, name: &str) -> Option<&str> {
        self.known.iter().find(|(known, _)| known == name).map(|(_, title)| title.as_str())
    }
}

/// Whether a document is one of Sigma's.
pub fn is_rule(document: &Node) -> bool {
    ["detection", "correlation", "logsource", "title"].iter().any(|key| document.get(key).is_some())
}

/// Reads a document. A correlation waits until all rules are known.
pub fn read(
    document: &Node,
    files: &[SourceFile],
    file: usize,
    names: &mut Names,
    collected: &mut Collected,
    report: &mut Report,
) -> Option<Correlation> {
    let item = format!("rule {:?}", document.get("title").and_then(Node::as_text).unwrap_or_default());
    let mut reader = ItemReader { files, file, node: document, item, report };
    let title = reader.text("title")?;
    if document.get("correlation").is_some() {
        return correlation::read(&mut reader, title);
    }
    for key in ["id", "name"] {
        let name = document.get(key).and_then(Node::as_text);
        names.known.extend(name.map(|name| (name.to_owned(), title.clone())));
    }
    names.known.push((title.clone(), title.clone()));
    if !is_ours(&mut reader) {
        return None;
    }
    if collected.rule_mut(&title).is_some() {
        reader.warning(document, "", "another rule has the same title: it is replaced by this one", "");
    }
    collected.next();
    let condition = detection::lowered(&mut reader);
    let rule = definition(&mut reader, title, condition.map_or(Condition::Broken, Condition::Lowered));
    collected.define(rule);
    None
}

/// What a Sigma document says besides its condition.
fn definition(reader: &mut ItemReader<'_>, title: String, condition: Condition) -> RuleDefinition {
    let status = reader.optional_text("status").unwrap_or_default();
    let is_dead = matches!(status.as_str(), "deprecated" | "unsupported");
    if is_dead {
        reader.warning(
            reader.node,
            "status",
            format!("its status is {status}: it is switched off"),
            "enable it with `- {rule: …, enabled: true}`",
        );
    }
    let level = reader.optional_text("level").unwrap_or_default();
    let priority = priority(reader, &level);
    // A percent sign in a title is no field.
    let output = format!("{} {OUTPUT}", title.replace('%', "％"));
    RuleDefinition {
        file: reader.file,
        mark: reader.node.mark,
        language: Language::Sigma,
        condition,
        output: Phrase::new(&output, reader.file, reader.node.mark),
        description: reader.optional_text("description").unwrap_or_default().trim().to_owned(),
        priority,
        source: OUR_SOURCE.to_owned(),
        enabled: !is_dead,
        tags: reader.optional_texts("tags"),
        exceptions: Vec::new(),
        skips_unknown_fields: false,
        own: OwnKeys::default(),
        correlation: None,
        name: title,
    }
}

fn priority(reader: &mut ItemReader<'_>, level: &str) -> Priority {
    match level {
        "informational" => Priority::Informational,
        "low" => Priority::Notice,
        "medium" | "" => Priority::Warning,
        "high" => Priority::Error,
        "critical" => Priority::Critical,
        _ => {
            let help = "one of informational, low, medium, high, critical";
            let node = reader.node.get("level").unwrap_or(reader.node);
            reader.error(node, "level", format!("`{level}` is no level"), help);
            Priority::Warning
        }
    }
}

fn is_ours(reader: &mut ItemReader<'_>) -> bool {
    let source = reader.node.get("logsource");
    let part = |key| source.and_then(|source| source.get(key)).and_then(Node::as_text);
    let (product, service) = (part("product"), part("service"));
    let is_ours = product.is_none_or(|product| product.eq_ignore_ascii_case("aws"))
        && service.is_none_or(|service| service.eq_ignore_ascii_case("cloudtrail"))
        && (product.is_some() || service.is_some());
    if !is_ours {
        let node = source.unwrap_or(reader.node);
        let help = "CloudTrail's are of `product: aws, service: cloudtrail`";
        reader.warning(node, "logsource", "a rule for other logs: it is passed over", help);
    }
    is_ours
}
