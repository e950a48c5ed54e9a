//! Reads the keys of one item.

use crate::diagnostic::{Report, SourceFile, did_you_mean};
use crate::phrase::Phrase;
use crate::yaml::Node;

use super::at;

/// One item of a file, and where its problems go.
pub struct ItemReader<'r> {
    /// All files.
    pub files: &'r [SourceFile],
    /// Which one it stands in.
    pub file: usize,
    /// The item.
    pub node: &'r Node,
    /// What problems call it.
    pub item: String,
    /// Where problems go.
    pub report: &'r mut Report,
}

/// What an item does.
pub enum Change<'n> {
    /// It defines.
    Define,
    /// It appends to what was defined earlier, by `append: true`.
    Append(&'n Node),
    /// It changes single keys of what was defined earlier.
    Override {
        /// Keys that are appended to.
        appended: Vec<String>,
        /// Keys that are replaced.
        replaced: Vec<String>,
    },
}

/// All of them, if none is missing: each is read, so that the problems of all are told.
pub fn all<T>(read: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let read: Vec<Option<T>> = read.collect();
    read.into_iter().collect()
}

impl<'r> ItemReader<'r> {
    /// Adds an error at a node.
    pub fn error(
        &mut self,
        node: &Node,
        part: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let at = at(self.files, self.file, node).of(&self.item).part(part);
        self.report.error(at, message, help);
    }

    /// Adds a warning at a node.
    pub fn warning(
        &mut self,
        node: &Node,
        part: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let at = at(self.files, self.file, node).of(&self.item).part(part);
        self.report.warning(at, message, help);
    }

    /// Warns of keys that are not known, or stand twice.
    pub fn warn_of_unknown(&mut self, known: &[&str]) {
        let members = self.node.as_mapping().unwrap_or_default();
        for (at, (key, _)) in members.iter().enumerate() {
            let name = key.as_text().unwrap_or_default();
            if members[..at].iter().any(|(other, _)| other.as_text() == Some(name)) {
                self.warning(key, "", format!("the key `{name}` stands here twice: the first counts"), "");
            } else if !known.contains(&name) {
                let help = did_you_mean(name, known.iter().copied());
                self.warning(key, "", format!("unknown key `{name}`"), help);
            }
        }
    }

    /// A text that must be there.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        let node = self.required(key)?;
        match node.as_text() {
            Some(text) if !text.is_empty() => Some(text.to_owned()),
            _ => {
                let found = if node.as_text().is_some() { "nothing" } else { node.kind() };
                self.error(node, key, format!("expected a text, found {found}"), "");
                None
            }
        }
    }

    /// A text that need not be there.
    pub fn optional_text(&mut self, key: &'static str) -> Option<String> {
        self.node.get(key)?;
        self.text(key)
    }

    /// A text with its place.
    pub fn phrase(&mut self, key: &'static str) -> Option<Phrase> {
        self.text(key)?;
        super::phrase_of(self.node.get(key)?, self.file)
    }

    /// A truth value that must be there.
    pub fn truth(&mut self, key: &'static str) -> Option<bool> {
        let node = self.required(key)?;
        let truth = node.as_bool();
        if truth.is_none() {
            self.error(node, key, format!("expected true or false, found {}", shown(node)), "");
        }
        truth
    }

    /// A truth value that need not be there.
    pub fn optional_truth(&mut self, key: &'static str) -> Option<bool> {
        self.node.get(key)?;
        self.truth(key)
    }

    /// A list that must be there.
    pub fn sequence(&mut self, key: &'static str) -> Option<&'r [Node]> {
        let node = self.required(key)?;
        if node.as_sequence().is_none() {
            self.error(node, key, format!("expected a list, found {}", node.kind()), "");
        }
        node.as_sequence()
    }

    /// Texts that need not be there.
    pub fn optional_texts(&mut self, key: &'static str) -> Vec<String> {
        match self.node.get(key) {
            Some(node) if !node.is_null() => {}
            _ => return Vec::new(),
        }
        let mut texts = Vec::new();
        for node in self.sequence(key).unwrap_or_default() {
            match node.as_text() {
                Some(text) => texts.push(text.to_owned()),
                None => self.error(node, key, format!("expected a text, found {}", node.kind()), ""),
            }
        }
        texts
    }

    /// A value that need not be there, with its file.
    pub fn placed(&self, key: &str) -> Option<(Node, usize)> {
        self.node.get(key).map(|node| (node.clone(), self.file))
    }

    /// What the item does, by its `append` and `override`.
    pub fn change(&mut self, appendable: &[&str], replaceable: &[&str]) -> Option<Change<'r>> {
        let node = self.node;
        let append = self.optional_truth("append").unwrap_or(false);
        let Some(overrides) = node.get("override") else {
            return Some(match node.get("append").filter(|_| append) {
                Some(append) => {
                    self.warning(
                        append,
                        "append",
                        "`append` is deprecated",
                        "write `override: {condition: append}`",
                    );
                    Change::Append(append)
                }
                None => Change::Define,
            });
        };
        if append {
            self.error(
                overrides,
                "override",
                "`append` and `override` can't stand together",
                "remove `append`",
            );
            return None;
        }
        let (mut appended, mut replaced) = (Vec::new(), Vec::new());
        let Some(members) = overrides.as_mapping() else {
            self.error(overrides, "override", "expected a mapping", "write `override: {condition: append}`");
            return None;
        };
        let mut is_sound = true;
        for (key, how) in members {
            let name = key.as_text().unwrap_or_default();
            let (allowed, keys) = match how.as_text() {
                Some("append") => (appendable, &mut appended),
                Some("replace") => (replaceable, &mut replaced),
                _ => {
                    self.error(
                        how,
                        "override",
                        format!("{} is neither `append` nor `replace`", shown(how)),
                        "",
                    );
                    is_sound = false;
                    continue;
                }
            };
            if !allowed.contains(&name) {
                let help = if replaceable.contains(&name) {
                    "use `replace`".to_owned()
                } else {
                    did_you_mean(name, replaceable.iter().copied())
                };
                self.error(key, "override", format!("`{name}` can't be overridden so"), help);
                is_sound = false;
            } else if node.get(name).is_none() {
                self.error(
                    key,
                    "override",
                    format!("`{name}` is to be overridden, and is not here"),
                    format!("add `{name}:`"),
                );
                is_sound = false;
            } else {
                keys.push(name.to_owned());
            }
        }
        is_sound &= self.nothing_is_left_out(&appended, &replaced);
        is_sound.then_some(Change::Override { appended, replaced })
    }

    /// Each key but those that name the item must be overridden.
    fn nothing_is_left_out(&mut self, appended: &[String], replaced: &[String]) -> bool {
        let mut is_sound = true;
        for (key, _) in self.node.as_mapping().unwrap_or_default() {
            let name = key.as_text().unwrap_or_default();
            let names_item = matches!(name, "rule" | "macro" | "list" | "override" | "append");
            let is_overridden = appended.iter().chain(replaced).any(|known| known == name);
            if !names_item && !is_overridden {
                let help = format!("write `override: {{{name}: append}}` or `replace`, or remove it");
                self.error(
                    key,
                    "override",
                    format!("`{name}` stands here without an entry in `override`"),
                    help,
                );
                is_sound = false;
            }
        }
        is_sound
    }

    fn required(&mut self, key: &'static str) -> Option<&'r Node> {
        let node = self.node.get(key);
        if node.is_none() {
            self.error(self.node, "", format!("the key `{key}` is missing"), "");
        }
        node
    }
}

fn shown(node: &Node) -> String {
    node.as_text().map_or_else(
        || node.kind().to_owned(),
        |text| format!("`{}`", text.chars().take(40).collect::<String>()),
    )
}
