//! The shards: what is read, how far, and since when without a gap.

use maud::{Markup, html};

use super::super::Web;
use super::super::shards::{self, ShardRow};
use super::View;
use crate::html::parts::{Column, instant, row_with_id, section, shown, table};
use crate::html::text::{duration, number};
use xxhash_rust::xxh3::xxh3_64;

/// Rows of the table: more is the API's.
const ROWS: usize = 500;

const COLUMNS: [Column; 7] = [
    Column::text("Shard"),
    Column::text("State"),
    Column::number("Behind"),
    Column::number("Checkpoint"),
    Column::wide("Newest event"),
    Column::wide("Read without a gap"),
    Column::wide("Position"),
];

/// The view.
pub fn view(web: &Web) -> View {
    let (rows, left) = shards::rows(web, None, ROWS);
    let note = html! {
        @if rows.is_empty() { "No shard yet." }
        @else if left > 0 { "The first " (ROWS) "; " (number(left as u64)) " more are in " a href="/api/v1/shards" { "JSON" } "." }
        @else { a href="/api/v1/shards" { "JSON" } }
    };
    let rows: Vec<Markup> = rows.into_iter().map(shard_row).collect();
    let body = if rows.is_empty() {
        html! {}
    } else {
        table("shards", &COLUMNS, &rows)
    };
    let main = html! { (super::troubles(web)) (section("shards", "Shards", note, body)) };
    View { title: "Shards".to_owned(), tools: html! {}, main }
}

fn shard_row(row: ShardRow) -> Markup {
    let id = format!("s{:016x}", xxh3_64(row.shard.as_bytes()));
    let time = |time: &Option<String>| html! { @if let Some(time) = time { (instant(time)) } @else { "–" } };
    let cells = vec![
        shown(&row.shard),
        html! {
            @match (&row.error, row.reading) {
                (Some(error), _) => { span.bad { "error: " (shown(error)) } }
                (None, true) => { (row.kind) ", reading" }
                (None, false) => { (row.kind) ", not being read" }
            }
            @if row.throttled > 0 { span.account { (number(row.throttled)) " reads were throttled" } }
        },
        html! { @if let Some(behind) = row.behind_seconds { (duration(behind)) } @else { "–" } },
        time(&row.committed),
        time(&row.newest_event),
        html! {
            @if let Some(stretch) = row.complete.last() {
                (instant(&stretch.from)) " to " (instant(&stretch.to))
                @if row.complete.len() > 1 { " (after a gap)" }
            } @else { "–" }
        },
        shown(&row.position),
    ];
    row_with_id(&id, &COLUMNS, cells)
}
