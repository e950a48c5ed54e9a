//! A text of a rule that may be put together from several places: a condition and what was appended to it.

use crate::ast::Bytes;
use crate::diagnostic::{At, SourceFile};
use crate::yaml::Mark;

/// A text, and where its parts stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Phrase {
    /// The text.
    pub text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    /// Where it begins in the text.
    begin: usize,
    /// Which file it stands in.
    file: usize,
    /// Where it begins there.
    mark: Mark,
}

impl Phrase {
    /// Of a text that begins at a mark of a file.
    pub fn new(text: &str, file: usize, mark: Mark) -> Self {
        Self { text: text.to_owned(), parts: vec![Part { begin: 0, file, mark }] }
    }

    /// Adds another behind a blank.
    pub fn append(&mut self, other: &Self) {
        self.text.push(' ');
        let begin = self.text.len();
        self.text.push_str(&other.text);
        self.parts.extend(other.parts.iter().map(|part| Part { begin: begin + part.begin, ..part.clone() }));
    }

    /// Where bytes of the text stand in their file. YAML folds lines and takes away indentation, so the place is found
    /// by counting what is not blank.
    pub fn at<'f>(&self, bytes: &Bytes, files: &'f [SourceFile]) -> At<'f> {
        let found = self.parts.iter().rev().find(|part| part.begin <= bytes.start);
        let Some(part) = found.or(self.parts.first()) else { return At::new(&files[0], Mark::default()) };
        let file = &files[part.file];
        let before = self.text.get(part.begin..bytes.start).unwrap_or_default();
        let at_end = bytes.start >= self.text.len() && !before.is_empty();
        let visible = before.chars().filter(|c| !c.is_whitespace()).count();
        let at_end = at_end && visible > 0;
        let mut mark = nth_visible(&file.text, part.mark, visible - usize::from(at_end));
        mark.column += usize::from(at_end);
        let width = self
            .text
            .get(bytes.clone())
            .map_or(1, |text| text.lines().next().unwrap_or_default().chars().count());
        At::new(file, mark).width(width.max(1))
    }
}

/// The place of the `n`th character behind `mark` that is not blank, from 0 on; without the mark's own quote or block
/// indicator.
fn nth_visible(text: &str, mark: Mark, n: usize) -> Mark {
    let mut lines = text.lines().enumerate().skip(mark.line.saturating_sub(1));
    let Some((at, first)) = lines.next() else { return mark };
    let mut begin = mark.column.saturating_sub(1);
    let opening = first.chars().nth(begin);
    let is_block = matches!(opening, Some('|' | '>'));
    let quote = opening.filter(|c| matches!(c, '"' | '\''));
    begin += usize::from(quote.is_some());
    let rest = if is_block { None } else { Some((at, first, begin)) };
    let mut left = n;
    for (at, line, begin) in rest.into_iter().chain(lines.map(|(at, line)| (at, line, 0))) {
        let mut chars = line.chars().enumerate().skip(begin).peekable();
        while let Some((column, c)) = chars.next() {
            // An escape is one character of the text.
            let escapes = (quote == Some('"') && c == '\\')
                || (quote == Some('\'') && c == '\'' && chars.peek().is_some_and(|(_, next)| *next == '\''));
            if escapes {
                chars.next();
            }
            if c.is_whitespace() {
                continue;
            }
            if left == 0 {
                return Mark { line: at + 1, column: column + 1 };
            }
            left -= 1;
        }
    }
    mark
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    /// Where `word` of the scalar under `c` is found.
    fn check(text: &str, word: &str, line: usize, column: usize) {
        let document = &yaml::read(text).unwrap()[0];
        let node = document.get("c").unwrap();
        let scalar = node.as_text().unwrap();
        let files = [SourceFile::new("f", text)];
        let begin = scalar.find(word).unwrap();
        let at = Phrase::new(scalar, 0, node.mark).at(&(begin..begin + word.len()), &files);
        assert_eq!((at.mark, at.width), (Mark { line, column }, word.len()), "{text:?}");
    }

    #[test]
    fn places_in_every_kind_of_scalar() {
        check("c: ab xy", "xy", 1, 7);
        check("c: 'ab xy'", "xy", 1, 8);
        check("c: \"a\\\"b xy\"", "xy", 1, 10);
        check("c: 'a''b xy'", "xy", 1, 10);
        check("c:\n  ab\n  cd xy", "xy", 3, 6);
        check("c: >\n  ab\n  cd xy\n", "xy", 3, 6);
        check("c: |\n  ab\n\n  xy\n", "xy", 4, 3);
        check("c: >-\n  xy\n", "xy", 2, 3);
    }

    #[test]
    fn the_end_of_nothing_but_blanks() {
        let files = [SourceFile::new("f", "c: '  '")];
        let at = Phrase::new("  ", 0, Mark { line: 1, column: 4 }).at(&(2..2), &files);
        assert_eq!(at.mark, Mark { line: 1, column: 7 });
    }

    #[test]
    fn what_was_appended_stands_elsewhere() {
        let files = [SourceFile::new("f", "a b"), SourceFile::new("g", "  xy z")];
        let mut phrase = Phrase::new("a b", 0, Mark { line: 1, column: 1 });
        phrase.append(&Phrase::new("xy z", 1, Mark { line: 1, column: 3 }));
        assert_eq!(phrase.text, "a b xy z");
        let at = phrase.at(&(7..8), &files);
        assert_eq!((&*at.file.name, at.mark), ("g", Mark { line: 1, column: 6 }));
        let end = phrase.at(&(8..8), &files);
        assert_eq!(end.mark, Mark { line: 1, column: 7 });
    }
}
