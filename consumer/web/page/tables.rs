//! Tables as HTML.

use super::escape;
use super::text::number;

/// A cell of a table's body.
pub enum Cell {
    /// Text from outside, escaped here.
    Text(String),
    /// A number, right-aligned.
    Number(u64),
    /// A weak version.
    Weak(&'static str),
    /// A version.
    Version(&'static str),
    /// HTML of our own.
    Html(String),
    /// HTML of our own, right-aligned.
    Figure(String),
}

impl Cell {
    fn html(&self, is_first: bool) -> String {
        let (tag, scope) = if is_first { ("th", " scope=\"row\"") } else { ("td", "") };
        let (class, content) = match self {
            Self::Text(text) => (" class=\"text\"", format!("<bdi>{}</bdi>", escape(text))),
            Self::Number(value) => (" class=\"number\"", number(*value)),
            Self::Weak(version) => ("", format!("<strong class=\"weak\">{version}</strong>")),
            Self::Version(version) => ("", (*version).to_owned()),
            Self::Html(html) => ("", html.clone()),
            Self::Figure(html) => (" class=\"number\"", html.clone()),
        };
        format!("<{tag}{scope}{class}>{content}</{tag}>")
    }
}

/// A column's head.
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// It holds numbers.
    pub is_number: bool,
}

/// A column of text.
pub const fn text(name: &'static str) -> Column {
    Column { name, is_number: false }
}

/// A column of numbers.
pub const fn numbers(name: &'static str) -> Column {
    Column { name, is_number: true }
}

/// A section with a table that scrolls by itself where it is too wide. `id` is the page's own.
pub fn section(id: &str, title: &str, note: &str, table: &str) -> String {
    let note = if note.is_empty() { String::new() } else { format!("<p class=\"note\">{note}</p>\n") };
    format!("<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n{note}{table}</section>")
}

/// A table named by the heading `id`; each row's first cell is its head.
pub fn table(id: &str, columns: &[Column], rows: &[Vec<Cell>]) -> String {
    let class = |column: &Column| if column.is_number { " class=\"number\"" } else { "" };
    let heads: Vec<String> = columns
        .iter()
        .map(|column| format!("<th scope=\"col\"{}>{}</th>", class(column), column.name))
        .collect();
    let rows: Vec<String> = rows.iter().map(|cells| row(cells)).collect();
    format!(
        "<div class=\"scroll\" id=\"{id}-table\" tabindex=\"0\" role=\"region\" aria-labelledby=\"{id}\">\n\
         <table>\n<thead><tr>{}</tr></thead>\n<tbody>\n{}</tbody>\n</table>\n</div>\n",
        heads.concat(),
        rows.concat(),
    )
}

fn row(cells: &[Cell]) -> String {
    let cells: Vec<String> = cells.iter().enumerate().map(|(at, cell)| cell.html(at == 0)).collect();
    format!("<tr>{}</tr>\n", cells.concat())
}
