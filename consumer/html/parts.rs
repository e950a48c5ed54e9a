//! The small parts that every view is made of. Text from outside comes in through [`shown`] or [`plain`] only.

use maud::{Markup, PreEscaped, html};

use super::escape::escape;
use super::text;
use crate::event::judge::Weakness;
use crate::event::time;

/// Text from outside: harmless, and not able to turn the text around it.
pub fn shown(text: &str) -> Markup {
    html! { bdi { (plain(text)) } }
}

/// The same where a `bdi` can't stand: in attributes and titles.
pub fn plain(text: &str) -> Markup {
    PreEscaped(escape(text))
}

/// Text of several lines from outside.
pub fn lines(text: &str) -> Markup {
    html! { @for line in text.lines() { (plain(line)) "\n" } }
}

/// A weakness as a coloured mark.
pub fn weakness_mark(weakness: Weakness) -> Markup {
    html! { span.mark.(weakness.label()) { (weakness_name(weakness)) } }
}

/// A weakness for people.
pub fn weakness_name(weakness: Weakness) -> &'static str {
    match weakness {
        Weakness::SigV2 => "SigV2",
        Weakness::Tls10 => "TLS 1.0",
        Weakness::Tls11 => "TLS 1.1",
        Weakness::LongTermKey => "long-lived key",
    }
}

/// A time to the minute; all of it on hovering.
pub fn stamp(s: i64) -> Markup {
    let exact = time::format(s);
    let minute = text::minute(&exact);
    let (day, clock) = minute.split_once(' ').unwrap_or((&minute, ""));
    html! { time datetime=(exact) title=(exact) { span { (day) } " " span { (clock) } } }
}

/// How long ago; the time itself on hovering.
pub fn ago(s: i64, now_s: i64) -> Markup {
    let exact = time::format(s);
    html! { time datetime=(exact) title=(exact) { (text::ago(now_s - s)) } }
}

/// A time as the API writes it.
pub fn instant(exact: &str) -> Markup {
    html! { time datetime=(exact) { (exact) } }
}

/// A section under a heading; `id` is the page's own.
pub fn section(id: &str, title: &str, note: Markup, body: Markup) -> Markup {
    html! {
        section #(format!("{id}-section")) aria-labelledby=(id) {
            h2 #(id) { (title) }
            @if !note.0.is_empty() { p.note { (note) } }
            (body)
        }
    }
}

/// A column's head.
#[derive(Clone, Copy)]
pub struct Column {
    name: &'static str,
    class: &'static str,
}

impl Column {
    /// A column of text.
    pub const fn text(name: &'static str) -> Self {
        Self { name, class: "" }
    }

    /// A column of numbers.
    pub const fn number(name: &'static str) -> Self {
        Self { name, class: "number" }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its head, with how it is sorted, if it is.
    pub fn head(&self, sorted: Option<&'static str>, content: Markup) -> Markup {
        html! { th scope="col" class=[class(self.class)] aria-sort=[sorted] { (content) } }
    }

    /// A column that gives way on small screens.
    pub const fn wide(name: &'static str) -> Self {
        Self { name, class: "wide" }
    }
}

/// A table that scrolls by itself where it is too wide, named by the heading `id`. `rows` are made by [`row`].
pub fn table(id: &str, columns: &[Column], rows: &[Markup]) -> Markup {
    table_with(id, html! { @for column in columns { (column.head(None, html! { (column.name) })) } }, rows)
}

/// A table with heads of its own.
pub fn table_with(id: &str, heads: Markup, rows: &[Markup]) -> Markup {
    html! {
        div.scroll #(format!("{id}-table")) tabindex="0" role="group" aria-labelledby=(id) {
            table {
                thead { tr { (heads) } }
                tbody { @for row in rows { (row) } }
            }
        }
    }
}

/// A row: the first cell names it.
pub fn row(columns: &[Column], cells: Vec<Markup>) -> Markup {
    html! { tr { (cells_of(columns, cells)) } }
}

/// A row with an id, by which a refreshed page finds it again.
pub fn row_with_id(id: &str, columns: &[Column], cells: Vec<Markup>) -> Markup {
    html! { tr #(id) { (cells_of(columns, cells)) } }
}

fn cells_of(columns: &[Column], cells: Vec<Markup>) -> Markup {
    let cells = columns.iter().zip(cells).enumerate();
    html! {
        @for (at, (column, cell)) in cells {
            @if at == 0 { th scope="row" class=[class(column.class)] { (cell) } }
            @else { td class=[class(column.class)] { (cell) } }
        }
    }
}

fn class(class: &'static str) -> Option<&'static str> {
    (!class.is_empty()).then_some(class)
}

/// The first text of a list, and how many more there are.
pub fn first_of(texts: &[String]) -> Markup {
    html! {
        @if let Some(first) = texts.first() { span.first title=(plain(first)) { (shown(first)) } }
        @if texts.len() > 1 { span.more { " +" (texts.len() - 1) } }
    }
}

/// An address within the page, with its parameters; those without a value are left out.
pub fn link(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters.iter().filter(|(_, value)| !value.is_empty()));
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// The address of a caller's own page.
pub fn caller_link(account_id: &str, principal: &str) -> String {
    link("/caller", &[("account_id", account_id), ("principal", principal)])
}
