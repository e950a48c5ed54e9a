//! A rule as it is read, whatever its language: all that is known of it but the condition's compiled form.

use std::sync::Arc;

use crate::ast::Expr;
use crate::field::Field;
use crate::output::Output;
use crate::stateful::{FirstSeen, Threshold};

/// How much a match matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Least of all.
    Debug,
    /// Worth knowing.
    Informational,
    /// Worth a look.
    Notice,
    /// To be looked at.
    Warning,
    /// Something is wrong.
    Error,
    /// Something is very wrong.
    Critical,
    /// To be acted on at once.
    Alert,
    /// Nothing works.
    Emergency,
}

impl Priority {
    /// All, the greatest first.
    pub const ALL: [Self; 8] = [
        Self::Emergency,
        Self::Alert,
        Self::Critical,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Informational,
        Self::Debug,
    ];

    /// Reads a name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("info") {
            return Some(Self::Informational);
        }
        Self::ALL.into_iter().find(|priority| priority.label().eq_ignore_ascii_case(name))
    }

    /// The name as Falco prints it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Debug => "Debug",
            Self::Informational => "Informational",
            Self::Notice => "Notice",
            Self::Warning => "Warning",
            Self::Error => "Error",
            Self::Critical => "Critical",
            Self::Alert => "Alert",
            Self::Emergency => "Emergency",
        }
    }

    /// The severity of an alert.
    pub fn severity(self) -> &'static str {
        match self {
            Self::Emergency | Self::Alert | Self::Critical => "critical",
            Self::Error | Self::Warning => "warning",
            _ => "info",
        }
    }
}

/// The language that a rule is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Falco's, with our keys.
    Falco,
    /// Sigma.
    Sigma,
}

impl Language {
    /// The name in listings.
    pub fn label(self) -> &'static str {
        match self {
            Self::Falco => "falco",
            Self::Sigma => "sigma",
        }
    }
}

/// A label of a match's group: its name and where its value comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// Such as `principal`.
    pub name: String,
    /// The field.
    pub field: Field,
}

/// A test that stands beside a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// What it is called.
    pub name: String,
    /// The events, as JSON, in their order.
    pub events: Vec<serde_json::Value>,
    /// How often each comes.
    pub times: u64,
    /// How many matches it expects; none: at least one.
    pub matches: Option<u64>,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, one of a kind.
    pub name: String,
    /// The file that it stands in, for people.
    pub file: Arc<str>,
    /// The line at which it begins.
    pub line: usize,
    /// Its language.
    pub language: Language,
    /// What it is about.
    pub description: String,
    /// Such as `aws_cloudtrail`.
    pub source: String,
    /// How much a match matters.
    pub priority: Priority,
    /// Such as `attack.t1078`.
    pub tags: Vec<String>,
    /// Whether it is judged.
    pub enabled: bool,
    /// The condition, with all lists and macros in place.
    pub condition: Expr,
    /// What a match says.
    pub output: Output,
    /// It matches the first event of each new value.
    pub first_seen: Option<FirstSeen>,
    /// It matches when events reach a number.
    pub threshold: Option<Threshold>,
    /// Seconds of event time in which a group is told once.
    pub repeat_s: i64,
    /// What a match's alert is labelled with.
    pub group: Vec<Label>,
    /// Tests.
    pub tests: Vec<Test>,
}

/// Names of alerts that are our own.
pub const RESERVED_ALERTS: [&str; 3] = ["NewSigV2Caller", "NewOldTlsCaller", "NewLongTermKeyCaller"];

/// How long a group is told once, unless the rule says otherwise.
pub const DEFAULT_REPEAT_S: i64 = 3600;

impl Rule {
    /// Whether it remembers values or counts events.
    pub fn is_stateful(&self) -> bool {
        self.first_seen.is_some() || self.threshold.is_some()
    }

    /// The alert's name: the rule's in CamelCase.
    pub fn alert_name(&self) -> String {
        alert_name(&self.name)
    }

    /// A number for what the rule counts and remembers: another definition begins anew.
    pub fn state_id(&self) -> u64 {
        let definition = (&self.first_seen, &self.threshold).definition();
        let group: Vec<String> = self.group.iter().map(|label| label.field.to_string()).collect();
        xxhash_rust::xxh3::xxh3_64(format!("{}\0{definition}\0{}", self.name, group.join("\0")).as_bytes())
    }
}

trait Definition {
    fn definition(&self) -> String;
}

impl Definition for (&Option<FirstSeen>, &Option<Threshold>) {
    fn definition(&self) -> String {
        let fields =
            |fields: &[Field]| fields.iter().map(ToString::to_string).collect::<Vec<_>>().join("\u{1}");
        match self {
            (Some(first_seen), _) => {
                format!("first_seen\0{}\0{}", fields(&first_seen.by), fields(&first_seen.learn_by))
            }
            (None, Some(threshold)) => {
                let distinct = threshold.distinct.as_ref().map(ToString::to_string).unwrap_or_default();
                format!("threshold\0{}\0{}\0{distinct}", threshold.within_s, fields(&threshold.by))
            }
            (None, None) => String::new(),
        }
    }
}

/// A rule's name in CamelCase: letters and digits, each word with a capital.
pub fn alert_name(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let capital = |word: &str| {
        let mut chars = word.chars();
        let first = chars.next().into_iter().flat_map(char::to_uppercase);
        first.chain(chars).collect::<String>()
    };
    words.map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_alerts() {
        assert_eq!(alert_name("Console Login Without MFA"), "ConsoleLoginWithoutMFA");
        assert_eq!(alert_name("new sigV2-caller"), "NewSigV2Caller");
        assert_eq!(alert_name("éa / b_c"), "ÉaBC");
    }

    #[test]
    fn priorities() {
        assert_eq!(Priority::parse("INFO"), Some(Priority::Informational));
        assert_eq!(Priority::parse("emergency").map(Priority::severity), Some("critical"));
        assert_eq!(Priority::parse("Error").map(Priority::severity), Some("warning"));
        assert_eq!(Priority::parse("notice").map(Priority::severity), Some("info"));
        assert_eq!(Priority::parse("high"), None);
    }
}
