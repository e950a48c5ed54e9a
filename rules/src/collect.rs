//! What rule files define, in their order, before anything is put in its place.

use crate::ast::{Expr, Item};
use crate::phrase::Phrase;
use crate::rule::{Language, Priority, Test};
use crate::stateful::Threshold;
use crate::yaml::{Mark, Node};

/// All that the files define.
#[derive(Default)]
pub struct Collected {
    /// Lists.
    pub lists: Vec<ListDefinition>,
    /// Macros.
    pub macros: Vec<MacroDefinition>,
    /// Rules.
    pub rules: Vec<RuleDefinition>,
    /// Definitions so far.
    pub count: usize,
}

/// A list.
pub struct ListDefinition {
    /// Its name.
    pub name: String,
    /// Its items; a bare one may be the name of an earlier list.
    pub items: Vec<Item>,
    /// Its place among all definitions; a later one that replaces it keeps it.
    pub index: usize,
    /// Names before this place are known to it.
    pub sees: usize,
    /// The file.
    pub file: usize,
    /// Where in it.
    pub mark: Mark,
}

/// A macro.
pub struct MacroDefinition {
    /// Its name.
    pub name: String,
    /// What it stands for.
    pub condition: Phrase,
    /// As of [`ListDefinition`].
    pub index: usize,
    /// As of [`ListDefinition`].
    pub sees: usize,
}

/// A rule's condition.
pub enum Condition {
    /// Of Falco's language.
    Text(Phrase),
    /// Lowered from Sigma's.
    Lowered(Expr),
    /// Lowered from Sigma's; the condition did not make sense, which is reported.
    Broken,
}

/// A rule.
pub struct RuleDefinition {
    /// Its name.
    pub name: String,
    /// The file.
    pub file: usize,
    /// Where in it.
    pub mark: Mark,
    /// Its language.
    pub language: Language,
    /// Its condition.
    pub condition: Condition,
    /// What a match says.
    pub output: Phrase,
    /// What it is about.
    pub description: String,
    /// How much a match matters.
    pub priority: Priority,
    /// Which kind of events it is for.
    pub source: String,
    /// Whether it is judged.
    pub enabled: bool,
    /// Tags.
    pub tags: Vec<String>,
    /// When it does not match.
    pub exceptions: Vec<Exception>,
    /// A field that there is not makes it be passed over, and is no error.
    pub skips_unknown_fields: bool,
    /// Our own keys, as they stand.
    pub own: OwnKeys,
    /// A threshold of a Sigma correlation.
    pub correlation: Option<Threshold>,
}

/// Our own keys of a rule, with the file that each stands in.
#[derive(Clone, Default)]
pub struct OwnKeys {
    /// `first_seen`.
    pub first_seen: Option<(Node, usize)>,
    /// `threshold`.
    pub threshold: Option<(Node, usize)>,
    /// `repeat`.
    pub repeat: Option<(Node, usize)>,
    /// `group`.
    pub group: Option<(Node, usize)>,
    /// `tests`, read.
    pub tests: Vec<Test>,
}

/// When a rule does not match.
#[derive(Clone, Debug)]
pub struct Exception {
    /// Its name.
    pub name: String,
    /// Where.
    pub mark: Mark,
    /// The file.
    pub file: usize,
    /// Its fields: one by itself, or several.
    pub fields: Option<Entry>,
    /// Its operators, one a field.
    pub comps: Option<Entry>,
    /// Its values: one a field in each.
    pub values: Vec<Entry>,
}

/// A text, or several.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// One.
    One(Item),
    /// Several.
    Many(Vec<Entry>),
}

impl Collected {
    /// The next definition's place.
    pub fn next(&mut self) -> usize {
        self.count += 1;
        self.count
    }

    /// The rule of this name.
    pub fn rule_mut(&mut self, name: &str) -> Option<&mut RuleDefinition> {
        self.rules.iter_mut().find(|rule| rule.name == name)
    }

    /// Adds a rule, in the place of an earlier one of its name.
    pub fn define(&mut self, rule: RuleDefinition) {
        match self.rule_mut(&rule.name) {
            Some(earlier) => *earlier = rule,
            None => self.rules.push(rule),
        }
    }
}
