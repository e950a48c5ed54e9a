//! What stands on the page.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};

use super::super::Web;
use super::super::callers::advice_for;
use super::super::error::ApiError;
use super::super::shards::{self, ShardRow};
use super::super::summary::Summary;
use super::escape;
use super::tables::{Cell, numbers, section, table, text};
use super::text::{duration, instant, number, share};
use crate::callers::{Detail, OwnedKey, Row};
use crate::event::judge::Weakness;
use crate::event::time;
use crate::pipeline::{WindowError, WindowRows};
use crate::totals::{Coverage, Dropped, EventRejection, NotCall, RecordRejection, Totals, UnknownReason};
use crate::window::WindowSize;

/// Rows of one table: more is the API's.
const ROWS: usize = 500;
/// Pieces of advice.
const ADVICE_ROWS: usize = 20;

/// Figures, weak calls and all calls of a window, with the weak callers between them.
pub fn window(web: &Web, window: WindowSize, at_s: i64) -> Result<String, ApiError> {
    let callers = callers(web)?;
    let rows = match web.views.window(window, at_s, None, ROWS) {
        Ok(rows) => rows,
        Err(WindowError::TooEarly { earliest_at_s }) => {
            return Ok([no_window(earliest_at_s), callers].join("\n"));
        }
    };
    let summary = Summary::of(&web.views, window, at_s);
    let (weak_rows, weak_left) = web.views.weak_rows(window, at_s, ROWS);
    let weak = WindowRows { rows: weak_rows, has_more: weak_left > 0 };
    let left = summary.rows.saturating_sub(rows.rows.len());
    let sections = [
        figures(&summary, window),
        section("weak", "Weak calls", &weak_note(&weak, weak_left), &window_table("weak", &weak)),
        callers,
        section("all", "All calls", &all_note(&rows, window, left), &window_table("all", &rows)),
    ];
    Ok(sections.join("\n"))
}

fn no_window(earliest_at_s: i64) -> String {
    let earliest = instant(&time::format(earliest_at_s));
    format!(
        "<p class=\"bad\">This machine's clock is behind the events: windows begin at {earliest}. Set it.</p>"
    )
}

fn figures(summary: &Summary, window: WindowSize) -> String {
    let known = |known: u64| share(known, summary.calls);
    let weak = if summary.weak_calls > 0 { " weak" } else { "" };
    let figures = [
        ("", format!("calls in {}", window.label()), number(summary.calls)),
        (weak, "weak calls (SigV2, TLS 1.0, TLS 1.1)".to_owned(), number(summary.weak_calls)),
        (weak, "callers with weak calls".to_owned(), number(summary.weak_callers as u64)),
        (
            "",
            "of calls with known signature / TLS".to_owned(),
            format!("{} / {}", known(summary.signature_known), known(summary.tls_known)),
        ),
    ];
    let figures = figures.map(|(class, name, value)| {
        format!("<div class=\"figure{class}\"><dt>{name}</dt><dd>{value}</dd></div>\n")
    });
    format!("<dl class=\"figures\">\n{}</dl>", figures.concat())
}

fn weak_note(weak: &WindowRows, left: usize) -> String {
    match (weak.rows.is_empty(), left) {
        (true, _) => "No call with SigV2, TLS 1.0 or TLS 1.1 in this window.".to_owned(),
        (false, 0) => "The busiest first, callers outside the organisation last.".to_owned(),
        (false, left) => {
            format!(
                "The busiest {ROWS}; {} more rows are in <code>/api/v1/windows</code>.",
                number(left as u64)
            )
        }
    }
}

fn all_note(rows: &WindowRows, window: WindowSize, left: usize) -> String {
    let link = format!("<a id=\"all-json\" href=\"/api/v1/windows?window={}\">JSON</a>", window.label());
    match (rows.rows.is_empty(), left) {
        (true, _) => "No call in this window.".to_owned(),
        (false, 0) => format!("By account and principal. {link}"),
        (false, left) => {
            format!(
                "The first {ROWS} by account and principal; {} more rows are in the {link}.",
                number(left as u64)
            )
        }
    }
}

fn window_table(id: &str, rows: &WindowRows) -> String {
    if rows.rows.is_empty() {
        return String::new();
    }
    let columns = [text("Principal"), text("Account"), text("Signature"), text("TLS"), numbers("Calls")];
    let cells = rows.rows.iter().map(|row| {
        vec![
            Cell::Text(row.principal.clone()),
            Cell::Text(row.account_id.clone()),
            version(row.versions.signature()),
            version(row.versions.tls()),
            Cell::Number(row.calls),
        ]
    });
    table(id, &columns, &cells.collect::<Vec<_>>())
}

fn version(version: &'static str) -> Cell {
    match version {
        "SigV2" | "TLSv1" | "TLSv1.1" => Cell::Weak(version),
        _ => Cell::Version(version),
    }
}

/// The weak callers that appeared last, and where alerts about them wait.
fn callers(web: &Web) -> Result<String, ApiError> {
    let mut newest: BinaryHeap<Reverse<NewestCaller>> = BinaryHeap::new();
    let mut callers = 0;
    let visited = web.state.visit_callers(|key, row| {
        callers += 1;
        let is_newer = newest.peek().is_none_or(|oldest| row.first_s >= oldest.0.first_s);
        if newest.len() < ROWS || is_newer {
            newest.push(Reverse(NewestCaller { first_s: row.first_s, key: key.to_owned(), row }));
            if newest.len() > ROWS {
                newest.pop();
            }
        }
    });
    visited.map_err(|error| ApiError::of_state(&error))?;
    let left = callers - newest.len();
    let more = match (callers, left) {
        (0, _) => "None so far. Callers are listed once they called with SigV2, old TLS or a long-lived key."
            .to_owned(),
        (_, 0) => "Those that appeared last come first.".to_owned(),
        _ => format!("The newest {ROWS} of {}.", number(callers as u64)),
    };
    let json = "Clients, addresses, keys and what to do are in the <a id=\"callers-json\" href=\"/api/v1/callers\">JSON</a>.";
    let note = format!("{more} {json}{}", waiting(web));
    let columns = [
        text("Principal"),
        text("Account"),
        text("Weakness"),
        text("First seen"),
        text("Last seen"),
        numbers("Calls"),
        text("State"),
    ];
    // Of what is reversed the least comes first: that which appeared last.
    let newest: Vec<NewestCaller> =
        newest.into_sorted_vec().into_iter().map(|Reverse(caller)| caller).collect();
    let advice = what_to_do(web, &newest)?;
    let rows: Vec<Vec<Cell>> = newest.into_iter().map(NewestCaller::cells).collect();
    if rows.is_empty() {
        return Ok(section("callers", "Weak callers", &note, ""));
    }
    Ok([section("callers", "Weak callers", &note, &table("callers", &columns, &rows)), advice].join("\n"))
}

/// What to do, each piece of advice once, that which serves most callers first.
fn what_to_do(web: &Web, callers: &[NewestCaller]) -> Result<String, ApiError> {
    let of_callers = callers.iter().map(|caller| caller.row.number);
    let texts = web.state.caller_texts(of_callers, [Detail::Client, Detail::Hint]);
    let texts = texts.map_err(|error| ApiError::of_state(&error))?;
    let mut served: BTreeMap<(Weakness, String), u64> = BTreeMap::new();
    for (caller, [clients, hints]) in callers.iter().zip(&texts) {
        for piece in advice_for(caller.key.borrow(), &caller.row, clients, hints) {
            *served.entry((caller.key.weakness, piece)).or_default() += 1;
        }
    }
    let mut served: Vec<_> = served.into_iter().collect();
    served.sort_by_key(|(_, callers)| Reverse(*callers));
    served.truncate(ADVICE_ROWS);
    let rows = served.into_iter().map(|((weakness, advice), callers)| {
        vec![Cell::Text(advice), Cell::Weak(in_words(weakness)), Cell::Number(callers)]
    });
    let columns = [text("What to do"), text("About"), numbers("Callers")];
    let note = "For the callers above, by their clients.";
    Ok(section("advice", "What to do", note, &table("advice", &columns, &rows.collect::<Vec<_>>())))
}

/// A weak caller, by when it appeared.
#[derive(PartialEq, Eq)]
struct NewestCaller {
    first_s: i64,
    key: OwnedKey,
    row: Row,
}

impl Ord for NewestCaller {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.first_s, &other.key).cmp(&(other.first_s, &self.key))
    }
}

impl PartialOrd for NewestCaller {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl NewestCaller {
    fn cells(self) -> Vec<Cell> {
        let Self { first_s, key, row } = self;
        vec![
            Cell::Text(key.principal.into()),
            Cell::Text(key.account_id.into()),
            Cell::Weak(in_words(key.weakness)),
            Cell::Html(instant(&time::format(first_s))),
            Cell::Html(instant(&time::format(row.last_s))),
            Cell::Number(row.calls),
            Cell::Html(row.state.label().to_owned()),
        ]
    }
}

fn in_words(weakness: Weakness) -> &'static str {
    match weakness {
        Weakness::SigV2 => "SigV2",
        Weakness::Tls10 => "TLS 1.0",
        Weakness::Tls11 => "TLS 1.1",
        Weakness::LongTermKey => "long-lived key",
    }
}

/// Sinks that do not take alerts.
fn waiting(web: &Web) -> String {
    let troubled = web.shown_sinks().filter(|shown| shown.error.is_some());
    let lines = troubled.map(|shown| {
        format!(
            "</p>\n<p class=\"bad\">{} alerts wait for {}: {}",
            number(shown.undelivered),
            escape(&shown.sink),
            escape(shown.error.as_deref().unwrap_or_default())
        )
    });
    lines.collect()
}

/// How many calls can be judged, and why the rest can't.
pub fn coverage(totals: &Totals) -> String {
    let (signature, tls) = (&totals.signature, &totals.tls);
    let columns = [
        text("Calls whose version is"),
        numbers("Signature"),
        numbers("Share"),
        numbers("TLS"),
        numbers("Share"),
    ];
    let mut rows = vec![coverage_row("known", signature, tls, |coverage| coverage.known)];
    for (at, reason) in UnknownReason::ALL.iter().enumerate() {
        rows.push(coverage_row(in_plain_words(*reason), signature, tls, |coverage| coverage.unknown[at]));
    }
    let note = format!(
        "Of all calls since the state began. Unknown does not mean fine: {} S3 calls with unknown signature \
         came from clients that sign with SigV2 by default.",
        number(totals.likely_sigv2),
    );
    section("coverage", "Coverage", &note, &table("coverage", &columns, &rows))
}

fn coverage_row(
    name: &str,
    signature: &Coverage,
    tls: &Coverage,
    pick: impl Fn(&Coverage) -> u64,
) -> Vec<Cell> {
    let all = |coverage: &Coverage| coverage.known + coverage.unknown.iter().sum::<u64>();
    let mut cells = vec![Cell::Html(name.to_owned())];
    for coverage in [signature, tls] {
        cells.push(Cell::Number(pick(coverage)));
        cells.push(Cell::Figure(share(pick(coverage), all(coverage))));
    }
    cells
}

fn in_plain_words(reason: UnknownReason) -> &'static str {
    match reason {
        UnknownReason::Service => "unknown: an AWS service made the call itself",
        UnknownReason::Console => "unknown: the console made the call for someone signed in",
        UnknownReason::Other => "unknown: a version that trailmeter does not know",
        UnknownReason::NotReported => "unknown: the called service does not report it",
    }
}

/// The accounting.
pub fn totals(totals: &Totals) -> String {
    let row = |name: &str, count: u64, why: String| {
        vec![Cell::Html(name.to_owned()), Cell::Number(count), Cell::Html(why)]
    };
    let reasons =
        |name: &str, labels: &[&str], counts: &[u64]| row(name, counts.iter().sum(), because(labels, counts));
    let record = RecordRejection::ALL.iter().map(|r| r.label()).collect::<Vec<_>>();
    let not_calls = NotCall::ALL.iter().map(|r| r.label()).collect::<Vec<_>>();
    let dropped = Dropped::ALL.iter().map(|r| r.label()).collect::<Vec<_>>();
    let rejected = EventRejection::ALL.iter().map(|r| r.label()).collect::<Vec<_>>();
    let late = if totals.late > 0 { "calls older than the windows reach" } else { "" };
    let rows = [
        row("Records decoded", totals.records_decoded, String::new()),
        row("Control records", totals.records_control, String::new()),
        reasons("Records rejected", &record, &totals.records_rejected),
        row("Events", totals.events(), "the sum of the next four".to_owned()),
        row("Calls", totals.calls, String::new()),
        reasons("Not calls", &not_calls, &totals.not_calls),
        reasons("Dropped", &dropped, &totals.dropped),
        reasons("Rejected", &rejected, &totals.rejected),
        row("Late", totals.late, late.to_owned()),
    ];
    let columns = [text("Since the state began"), numbers("Number"), text("Of which")];
    section("totals", "Totals", "", &table("totals", &columns, &rows))
}

/// `duplicate 3, correction 1`: what there is of a closed set.
fn because(labels: &[&str], counts: &[u64]) -> String {
    let there = labels.iter().zip(counts).filter(|(_, count)| **count > 0);
    there.map(|(label, count)| format!("{label} {}", number(*count))).collect::<Vec<_>>().join(", ")
}

/// The shards.
pub fn shards(web: &Web) -> String {
    let (rows, left) = shards::rows(web, None, ROWS);
    let note = match (rows.is_empty(), left) {
        (true, _) => "No shard yet.".to_owned(),
        (false, 0) => String::new(),
        (false, left) => format!("The first {ROWS}; {left} more are in <code>/api/v1/shards</code>."),
    };
    let columns = [
        text("Shard"),
        text("State"),
        numbers("Behind"),
        text("Committed"),
        text("Newest event"),
        text("Read without a gap"),
        text("Position"),
    ];
    let rows: Vec<Vec<Cell>> = rows.into_iter().map(shard_cells).collect();
    let table = if rows.is_empty() { String::new() } else { table("shards", &columns, &rows) };
    section("shards", "Shards", &note, &table)
}

fn shard_cells(row: ShardRow) -> Vec<Cell> {
    let time = |time: Option<&String>| Cell::Html(time.map_or("–".to_owned(), |time| instant(time)));
    let complete = row.complete.last().map_or("–".to_owned(), |stretch| {
        let gaps = if row.complete.len() > 1 { " (after a gap)" } else { "" };
        format!("{} to {}{gaps}", instant(&stretch.from), instant(&stretch.to))
    });
    let state = match (&row.error, row.reading) {
        (Some(error), _) => Cell::Text(format!("error: {error}")),
        (None, true) => Cell::Html(format!("{}, reading", row.kind)),
        (None, false) => Cell::Html(format!("{}, not being read", row.kind)),
    };
    vec![
        Cell::Text(row.shard),
        state,
        Cell::Figure(row.behind_seconds.map_or("–".to_owned(), duration)),
        time(row.committed.as_ref()),
        time(row.newest_event.as_ref()),
        Cell::Html(complete),
        Cell::Text(row.position),
    ]
}
