//! What to do, as a table.

use maud::{Markup, html};

use super::parts::{Column, plain, row, section, table, weakness_mark};
use super::text::number;
use crate::callers::advice::Shared;

const COLUMNS: [Column; 3] = [Column::text("What to do"), Column::text("About"), Column::number("Callers")];

/// The first `most` pieces under a heading; nothing where there is none.
pub fn section_of(shared: &[Shared], most: usize, note: Markup) -> Markup {
    if shared.is_empty() {
        return html! {};
    }
    let rows: Vec<Markup> = shared.iter().take(most).map(piece).collect();
    let left = shared.len() - rows.len();
    let note = html! { (note) @if left > 0 { " " (left) " more." } };
    section("advice", "What to do", note, table("advice", &COLUMNS, &rows))
}

fn piece(shared: &Shared) -> Markup {
    let about = html! { @for weakness in &shared.weaknesses { (weakness_mark(*weakness)) " " } };
    row(&COLUMNS, vec![plain(&shared.advice), about, html! { (number(shared.callers)) }])
}
