//! What is wrong with a config, all at once.

use std::fmt;

use trailmeter_rules::diagnostic;

/// The problems of one config, each with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    name: String,
    found: Vec<(String, String)>,
}

impl Problems {
    /// None yet, of the config called `name`.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), found: Vec::new() }
    }

    /// A single problem.
    pub fn one(name: &str, key: &str, message: impl Into<String>) -> Self {
        let mut problems = Self::new(name);
        problems.add(key, message);
        problems
    }

    /// Adds a problem of `key`.
    pub fn add(&mut self, key: &str, message: impl Into<String>) {
        self.found.push((key.to_owned(), message.into()));
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// `value`, if there is no problem.
    ///
    /// # Errors
    /// The problems.
    pub fn none_or<T>(self, value: T) -> Result<T, Self> {
        if self.found.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (key, message)) in self.found.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            let separator = if key.is_empty() { "" } else { ": " };
            write!(f, "{}: {key}{separator}{message}", self.name)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Keys that a reader of the docs may write and this version does not have, with what to do.
const ELSEWHERE: [(&str, &str); 5] = [
    ("sqs", "this version reads Kinesis and files"),
    ("s3", "this version reads Kinesis and files"),
    ("mode", "this version reads a stream by polling"),
    ("aws", "this version keeps its state in a file: `state.embedded`"),
    ("windows", "the windows are fixed: 5m, 1h and 24h"),
];

/// The problem that reading a file ended with.
pub fn of_reading(name: &str, error: &serde_path_to_error::Error<serde_yaml_ng::Error>) -> Problems {
    let path = error.path().to_string();
    let key = if path == "." { "" } else { path.as_str() };
    let text = error.inner().to_string();
    // The reader puts the path before its message, too.
    let text = match text.split_once(": ") {
        Some((path, rest)) if key.starts_with(path) => rest,
        _ => &text,
    };
    let mut message = in_plain_words(text);
    if let Some(unknown) = quoted_after(text, "unknown field `") {
        if let Some((_, hint)) = ELSEWHERE.iter().find(|(key, _)| *key == unknown) {
            message = format!("{message} ({hint})");
        } else if let Some(near) = nearest(unknown, text) {
            message = format!("{message}: did you mean `{near}`?");
        }
    }
    Problems::one(name, key, message)
}

/// The reader names types as the program has them.
fn in_plain_words(text: &str) -> String {
    let words = [
        ("expected u64", "expected a whole number"),
        ("expected u32", "expected a whole number"),
        ("expected f64", "expected a number"),
    ];
    let mut message = words.iter().fold(text.to_owned(), |message, (from, to)| message.replace(from, to));
    if let Some((before, rest)) = message.split_once("expected struct Raw") {
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        message = format!("{before}expected keys with values{rest}");
    }
    message
}

fn quoted_after<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split('`').next()
}

/// The expected name that is most like `unknown`, if any is.
fn nearest<'a>(unknown: &str, message: &'a str) -> Option<&'a str> {
    let expected = message.split_once("expected")?.1.split('`').skip(1).step_by(2);
    diagnostic::nearest(unknown, expected)
}
