//! Problems of rule files, each with its place, and how they are shown.

use std::fmt;
use std::sync::Arc;

use crate::yaml::Mark;

/// A rule file: its name for people, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// What problems call it.
    pub name: Arc<str>,
    /// What it says.
    pub text: Arc<str>,
}

impl SourceFile {
    /// A file of this name with this text.
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The rules can't be used.
    Error,
    /// They can, though perhaps not as they were meant.
    Warning,
}

/// A problem, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub file: Arc<str>,
    /// Where in it.
    pub mark: Mark,
    /// Characters that the caret underlines.
    pub width: usize,
    /// The line of the file.
    pub excerpt: String,
    /// Such as `rule "X"`; empty if it is of the file as a whole.
    pub item: String,
    /// Such as `condition`; empty if it is of the item as a whole.
    pub part: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it; empty if the message says it.
    pub help: String,
}

/// Longest line that is shown whole.
const SHOWN_CHARACTERS: usize = 160;

impl Diagnostic {
    /// Whether the rules can't be used.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The line around the caret and the caret's indentation, shortened if the line is long.
    fn shown(&self) -> (String, usize) {
        let at = self.mark.column.saturating_sub(1);
        let from = if at + 40 > SHOWN_CHARACTERS { at - 40 } else { 0 };
        let line: String = self.excerpt.chars().skip(from).take(SHOWN_CHARACTERS).map(visible).collect();
        (line, at - from)
    }
}

/// A character as it may be shown. Rule files come from many hands: nothing in them moves the cursor of whoever reads.
pub fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() || is_break(c) || turns_text(c) => '\u{fffd}',
        c => c,
    }
}

/// What some terminals take for the end of a line.
fn is_break(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Marks that change the direction in which text is shown.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let message: String = self.message.chars().map(visible).collect();
        writeln!(f, "{severity}: {message}")?;
        write!(f, "  --> {}", self.file.chars().map(visible).collect::<String>())?;
        if self.mark.line > 0 {
            write!(f, ":{}:{}", self.mark.line, self.mark.column)?;
        }
        for part in [self.item.as_str(), self.part] {
            if !part.is_empty() {
                write!(f, ", {}", part.chars().take(SHOWN_CHARACTERS).map(visible).collect::<String>())?;
            }
        }
        if self.mark.line > 0 {
            let (line, indent) = self.shown();
            let number = self.mark.line.to_string();
            let gutter = " ".repeat(number.len());
            let width = self.width.clamp(1, line.chars().count().saturating_sub(indent).max(1));
            let caret = format!("{}{}", " ".repeat(indent), "^".repeat(width));
            write!(f, "\n {gutter} |\n {number} | {line}\n {gutter} | {caret}")?;
            if !self.help.is_empty() {
                write!(f, " {}", self.help)?;
            }
        } else if !self.help.is_empty() {
            write!(f, "\n   = {}", self.help)?;
        }
        Ok(())
    }
}

/// Problems that are told one by one; each costs a look for its line.
const MOST_TOLD: usize = 500;

/// Collects problems.
#[derive(Default)]
pub struct Report {
    /// In the order in which they were found.
    pub diagnostics: Vec<Diagnostic>,
    has_errors: bool,
    left_out: usize,
}

/// What a problem is of, while a file is read.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// The file.
    pub file: &'a SourceFile,
    /// Such as `rule "X"`.
    pub item: &'a str,
    /// Such as `condition`.
    pub part: &'static str,
    /// Where.
    pub mark: Mark,
    /// Characters that the caret underlines.
    pub width: usize,
}

impl<'a> At<'a> {
    /// At a mark in a file.
    pub fn new(file: &'a SourceFile, mark: Mark) -> Self {
        Self { file, item: "", part: "", mark, width: 1 }
    }

    /// Of this item.
    pub fn of(self, item: &'a str) -> Self {
        Self { item, ..self }
    }

    /// Of this part.
    pub fn part(self, part: &'static str) -> Self {
        Self { part, ..self }
    }

    /// At another mark.
    pub fn mark(self, mark: Mark) -> Self {
        Self { mark, ..self }
    }

    /// Underlining so many characters.
    pub fn width(self, width: usize) -> Self {
        Self { width, ..self }
    }
}

impl Report {
    /// Adds an error.
    pub fn error(&mut self, at: At<'_>, message: impl Into<String>, help: impl Into<String>) {
        self.add(Severity::Error, at, message.into(), help.into());
    }

    /// Adds a warning.
    pub fn warning(&mut self, at: At<'_>, message: impl Into<String>, help: impl Into<String>) {
        self.add(Severity::Warning, at, message.into(), help.into());
    }

    /// Whether there is an error.
    pub fn has_errors(&self) -> bool {
        self.has_errors
    }

    /// Whether another problem may be told.
    pub fn tells_more(&self) -> bool {
        self.diagnostics.len() < MOST_TOLD || !self.has_errors
    }

    /// Says how many problems were left out, if any were.
    pub fn told_left_out(&self, file: &SourceFile) -> Option<Diagnostic> {
        (self.left_out > 0).then(|| Diagnostic {
            severity: Severity::Warning,
            file: Arc::clone(&file.name),
            mark: Mark::default(),
            width: 1,
            excerpt: String::new(),
            item: String::new(),
            part: "",
            message: format!("{} more problems are not told", self.left_out),
            help: "solve these first".to_owned(),
        })
    }

    fn add(&mut self, severity: Severity, at: At<'_>, message: String, help: String) {
        // The first error is told, whatever came before.
        let is_first_error = severity == Severity::Error && !self.has_errors;
        let is_told = self.diagnostics.len() < MOST_TOLD || is_first_error;
        self.has_errors |= severity == Severity::Error;
        if !is_told {
            self.left_out += 1;
            return;
        }
        let line = at.mark.line.checked_sub(1).and_then(|line| at.file.text.lines().nth(line));
        self.diagnostics.push(Diagnostic {
            severity,
            file: Arc::clone(&at.file.name),
            mark: at.mark,
            width: at.width,
            excerpt: line.unwrap_or_default().to_owned(),
            item: at.item.to_owned(),
            part: at.part,
            message,
            help,
        });
    }
}

/// The name that is most like `unknown`, if any is.
pub fn nearest<'n>(unknown: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    if unknown.len() > 64 {
        return None;
    }
    let distances = names.map(|name| (distance(unknown, name), name));
    distances.min().filter(|(distance, name)| *distance <= name.len().div_ceil(3)).map(|(_, name)| name)
}

/// A suggestion, if any name is near.
pub fn did_you_mean<'n>(unknown: &str, names: impl Iterator<Item = &'n str>) -> String {
    nearest(unknown, names).map(|name| format!("did you mean `{name}`?")).unwrap_or_default()
}

/// Levenshtein's distance.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, r) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(l != *r);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}
