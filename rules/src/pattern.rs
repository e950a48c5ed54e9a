//! Sigma's patterns: text in which `*` stands for any text and `?` for one character.
//!
//! A backslash takes `*`, `?` and itself as they are; before anything else it is a backslash.

/// A pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    AnyText,
    AnyCharacter,
}

/// What a pattern asks for, where that is simple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape<'p> {
    /// Any text.
    Anything,
    /// This text.
    Equal(&'p str),
    /// A text that begins so.
    StartsWith(&'p str),
    /// A text that ends so.
    EndsWith(&'p str),
    /// A text with this in it.
    Contains(&'p str),
    /// Anything else.
    Other,
}

impl<'p> Shape<'p> {
    /// The text that is asked for.
    pub fn literal(self) -> Option<&'p str> {
        match self {
            Self::Equal(text) | Self::StartsWith(text) | Self::EndsWith(text) | Self::Contains(text) => {
                Some(text)
            }
            Self::Anything | Self::Other => None,
        }
    }
}

impl Pattern {
    /// Reads a text.
    pub fn parse(text: &str) -> Self {
        let mut pattern = Self::default();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '*' => pattern.any_text(),
                '?' => pattern.parts.push(Part::AnyCharacter),
                '\\' => match chars.next_if(|next| matches!(next, '*' | '?' | '\\')) {
                    Some(escaped) => pattern.push(escaped),
                    None => pattern.push('\\'),
                },
                c => pattern.push(c),
            }
        }
        pattern
    }

    /// The text itself, in which nothing stands for anything else.
    pub fn literal(text: &str) -> Self {
        let parts = if text.is_empty() { Vec::new() } else { vec![Part::Text(text.to_owned())] };
        Self { parts }
    }

    /// With any text before it.
    pub fn after_anything(mut self) -> Self {
        if self.parts.first() != Some(&Part::AnyText) {
            self.parts.insert(0, Part::AnyText);
        }
        self
    }

    /// With any text behind it.
    pub fn before_anything(mut self) -> Self {
        self.any_text();
        self
    }

    /// The text that reads as this pattern.
    pub fn text(&self) -> String {
        let part = |part: &Part| match part {
            Part::AnyText => "*".to_owned(),
            Part::AnyCharacter => "?".to_owned(),
            Part::Text(text) => text.replace('\\', "\\\\").replace('*', "\\*").replace('?', "\\?"),
        };
        self.parts.iter().map(part).collect()
    }

    /// What it asks for.
    pub fn shape(&self) -> Shape<'_> {
        match self.parts.as_slice() {
            [] => Shape::Equal(""),
            [Part::AnyText] => Shape::Anything,
            [Part::Text(text)] => Shape::Equal(text),
            [Part::Text(text), Part::AnyText] => Shape::StartsWith(text),
            [Part::AnyText, Part::Text(text)] => Shape::EndsWith(text),
            [Part::AnyText, Part::Text(text), Part::AnyText] => Shape::Contains(text),
            _ => Shape::Other,
        }
    }

    /// As a regular expression for the whole text.
    pub fn expression(&self) -> String {
        let part = |part: &Part| match part {
            Part::AnyText => ".*".to_owned(),
            Part::AnyCharacter => ".".to_owned(),
            Part::Text(text) => regex::escape(text),
        };
        format!(r"\A{}\z", self.parts.iter().map(part).collect::<String>())
    }

    fn push(&mut self, c: char) {
        match self.parts.last_mut() {
            Some(Part::Text(text)) => text.push(c),
            _ => self.parts.push(Part::Text(c.to_string())),
        }
    }

    fn any_text(&mut self) {
        if self.parts.last() != Some(&Part::AnyText) {
            self.parts.push(Part::AnyText);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        let check = |text: &str, shape: Shape<'_>| assert_eq!(Pattern::parse(text).shape(), shape, "{text}");
        check("", Shape::Equal(""));
        check("***", Shape::Anything);
        check("a*", Shape::StartsWith("a"));
        check("*a", Shape::EndsWith("a"));
        check("*a b*", Shape::Contains("a b"));
        check(r"\*a\?\\b\c", Shape::Equal(r"*a?\b\c"));
        check("a?b", Shape::Other);
        check(r"C:\\*", Shape::StartsWith(r"C:\"));
    }

    #[test]
    fn a_text_and_its_pattern() {
        let backslash = Pattern::parse(r"C:\").after_anything().before_anything();
        assert_eq!(backslash.shape(), Shape::Contains(r"C:\"));
        assert_eq!(Pattern::parse(&backslash.text()), backslash);
        assert_eq!(Pattern::literal("a*").shape(), Shape::Equal("a*"));
        assert_eq!(Pattern::parse("a?.*").expression(), r"\Aa.\..*\z");
    }
}
