//! How many calls can be judged, and why the rest can't.

use maud::{Markup, html};

use super::parts::{Column, row, section, table};
use super::text::{number, share};
use crate::totals::{Coverage, Totals, UnknownReason};

const COLUMNS: [Column; 5] = [
    Column::text("Calls whose version is"),
    Column::number("Signature"),
    Column::number("Share"),
    Column::number("TLS"),
    Column::number("Share"),
];

/// The table under a heading, with what must not be taken from it; `of_what` says which calls these are.
pub fn section_of(totals: &Totals, of_what: &str) -> Markup {
    let note = html! {
        (of_what) " Unknown does not mean fine: " (number(totals.likely_sigv2))
        " S3 calls with unknown signature came from clients that sign with SigV2 by default."
    };
    section("coverage", "Coverage", note, table_of(totals))
}

/// A row for what is known, and one for each reason why something is not.
fn table_of(totals: &Totals) -> Markup {
    let known = coverage_row("known", totals, |coverage| coverage.known);
    let unknown = UnknownReason::ALL.iter().enumerate();
    let unknown = unknown
        .map(|(at, reason)| coverage_row(in_plain_words(*reason), totals, |coverage| coverage.unknown[at]));
    table("coverage", &COLUMNS, &[known].into_iter().chain(unknown).collect::<Vec<_>>())
}

fn coverage_row(name: &str, totals: &Totals, pick: impl Fn(&Coverage) -> u64) -> Markup {
    let mut cells = vec![html! { (name) }];
    for coverage in [&totals.signature, &totals.tls] {
        let all = coverage.known + coverage.unknown.iter().sum::<u64>();
        cells.push(html! { (number(pick(coverage))) });
        cells.push(html! { (share(pick(coverage), all)) });
    }
    row(&COLUMNS, cells)
}

fn in_plain_words(reason: UnknownReason) -> &'static str {
    match reason {
        UnknownReason::Service => "unknown: an AWS service made the call itself",
        UnknownReason::Console => "unknown: the console made the call for someone signed in",
        UnknownReason::Other => "unknown: a version that trailmeter does not know",
        UnknownReason::NotReported => "unknown: the called service does not report it",
    }
}
