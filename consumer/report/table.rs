//! The table: what a person wants to know at a glance.

use std::fmt::Write;

use trailmeter_rules::diagnostic::visible;

use super::{Report, UNSEEN};
use crate::callers::advice::{Shared, gather};
use crate::callers::{CallerState, Detail};
use crate::event::time;
use crate::scan::{Outcome, WeakCaller};
use crate::totals::{Coverage, Dropped, UnknownReason};

/// Weak callers that are shown when nobody says how many.
const WEAK_ROWS: usize = 50;
/// Rows of a grouping.
const ROWS: usize = 100;
/// Pieces of advice.
const ADVICE_ROWS: usize = 10;
/// Files that are named.
const NOTES: usize = 20;

/// An outcome as lines of text.
pub struct Table<'o> {
    report: &'o Report,
    outcome: &'o Outcome,
}

impl<'o> Table<'o> {
    /// Of this outcome.
    pub fn new(report: &'o Report, outcome: &'o Outcome) -> Self {
        Self { report, outcome }
    }

    /// The text.
    pub fn text(&self) -> String {
        let first = if self.report.is_grouped { self.rows() } else { self.weak() };
        [first, self.rules(), self.coverage(), self.accounting(), self.notes()].concat()
    }

    fn rows(&self) -> String {
        let all = self.outcome.rows.len();
        let shown = self.report.top.unwrap_or(ROWS);
        let report = Report { top: Some(shown), ..self.report.clone() };
        let mut lines = vec![
            self.report.group_by.iter().map(|field| field.name().to_uppercase()).chain(heads()).collect(),
        ];
        for (values, sum) in report.rows(self.outcome) {
            let sums = [sum.calls.to_string(), time::format(sum.first_s), time::format(sum.last_s)];
            lines.push(values.iter().cloned().chain(sums).collect::<Vec<_>>());
        }
        let left = all.saturating_sub(shown);
        let more =
            if left > 0 { format!("{left} more rows: --top, or --format csv\n") } else { String::new() };
        if all == 0 { "No call of that kind.\n\n".to_owned() } else { format!("{}{more}\n", columns(&lines)) }
    }

    fn weak(&self) -> String {
        let weak = &self.outcome.weak;
        if weak.is_empty() {
            return format!("{}\n\n", Report::nobody(self.outcome));
        }
        let shown = self.report.top.unwrap_or(WEAK_ROWS).min(weak.len());
        let heads = ["WEAKNESS", "CALLS", "FIRST SEEN", "LAST SEEN", "CLIENT", "ACCOUNT", "PRINCIPAL"];
        let mut lines = vec![heads.map(str::to_owned).to_vec()];
        lines.extend(weak[..shown].iter().map(line));
        let left = weak.len() - shown;
        let more = if left > 0 { format!("{left} more: --top {}\n", weak.len()) } else { String::new() };
        format!("{}{more}\n{}", columns(&lines), what_to_do(weak))
    }

    /// Rules that matched, the busiest first.
    fn rules(&self) -> String {
        if self.outcome.rules.is_empty() {
            return String::new();
        }
        let mut hits: Vec<_> = self.outcome.rules.iter().filter(|(_, matches)| *matches > 0).collect();
        hits.sort_by_key(|(_, matches)| std::cmp::Reverse(*matches));
        let mut lines = vec![vec!["MATCHES".to_owned(), "RULE".to_owned()]];
        lines.extend(hits.iter().map(|(rule, matches)| vec![matches.to_string(), rule.clone()]));
        let others = self.outcome.rules.len() - hits.len();
        let late = match self.outcome.late_for_rules {
            0 => String::new(),
            late => format!("; {late} calls came too late to be counted by a threshold"),
        };
        format!("{}{others} rules matched nothing{late}\n\n", columns(&lines))
    }

    fn coverage(&self) -> String {
        let totals = &self.outcome.totals;
        format!(
            "Coverage: signature known of {}, TLS of {}. Unknown does not mean fine: {} S3 calls of unknown signature came \
             from clients that sign with SigV2 by default.\n",
            known(&totals.signature),
            known(&totals.tls),
            totals.likely_sigv2,
        )
    }

    fn accounting(&self) -> String {
        let totals = &self.outcome.totals;
        let sum = |counts: &[u64]| counts.iter().sum::<u64>();
        let ended = if self.outcome.is_interrupted { "Interrupted: what was read by then. " } else { "" };
        let unseen = if self.outcome.is_of_table { format!(" {UNSEEN}") } else { String::new() };
        format!(
            "{ended}{} events: {} calls, {} not calls, {} dropped ({} of them duplicates), {} rejected.{unseen}\n",
            totals.events(),
            totals.calls,
            sum(&totals.not_calls),
            sum(&totals.dropped),
            totals.dropped[Dropped::Duplicate as usize],
            sum(&totals.rejected),
        ) + &self.passed_over()
    }

    fn passed_over(&self) -> String {
        match self.outcome.passed_over.told().as_str() {
            "" => String::new(),
            told => format!("{} files were read; passed over: {told}.\n", self.outcome.files),
        }
    }

    fn notes(&self) -> String {
        let notes = &self.outcome.notes;
        let mut text = String::new();
        for note in notes.iter().take(NOTES) {
            writeln!(text, "{}: {}", shown(&note.path.display().to_string()), shown(&note.what())).ok();
        }
        let left = notes.len().saturating_sub(NOTES) + self.outcome.more_notes;
        if left > 0 {
            writeln!(text, "{left} more files with problems: --format json names them").ok();
        }
        text
    }
}

fn heads() -> [String; 3] {
    ["CALLS", "FIRST SEEN", "LAST SEEN"].map(str::to_owned)
}

fn line(caller: &WeakCaller) -> Vec<String> {
    let WeakCaller { key, row, lists, .. } = caller;
    let clients = &lists[Detail::Client as usize];
    let client = match clients.as_slice() {
        [] if row.presigned > 0 => "presigned links".to_owned(),
        [] => String::new(),
        [client] => client.clone(),
        [client, others @ ..] => format!("{client} +{}", others.len()),
    };
    let outside = if row.state == CallerState::Outside { " (outside)" } else { "" };
    vec![
        key.weakness.label().to_owned(),
        row.calls.to_string(),
        time::format(row.first_s),
        time::format(row.last_s),
        client,
        key.account_id.to_string(),
        format!("{}{outside}", key.principal),
    ]
}

fn what_to_do(weak: &[WeakCaller]) -> String {
    let shared = gather(weak.iter().map(WeakCaller::advised));
    let left = shared.len().saturating_sub(ADVICE_ROWS);
    let mut text = "What to do:\n".to_owned();
    for Shared { advice, weaknesses, callers } in shared.iter().take(ADVICE_ROWS) {
        let about: Vec<&str> = weaknesses.iter().map(|weakness| weakness.label()).collect();
        let noun = if *callers == 1 { "caller" } else { "callers" };
        // Writing to a text can't fail.
        writeln!(text, "- {} ({callers} {noun}): {}", about.join(", "), shown(advice)).ok();
    }
    if left > 0 {
        writeln!(text, "- {left} more").ok();
    }
    text + "\n"
}

/// `41,347 of 99,586 calls (service 16,883, …)`.
fn known(coverage: &Coverage) -> String {
    let all = coverage.known + coverage.unknown.iter().sum::<u64>();
    let unknown = UnknownReason::ALL.iter().zip(coverage.unknown).filter(|(_, count)| *count > 0);
    let unknown: Vec<String> = unknown.map(|(reason, count)| format!("{} {count}", reason.label())).collect();
    let unknown =
        if unknown.is_empty() { String::new() } else { format!(" (unknown: {})", unknown.join(", ")) };
    format!("{} of {all} calls{unknown}", coverage.known)
}

/// A text as it may stand in a line on a terminal.
pub fn shown(text: &str) -> String {
    text.chars().map(visible).collect()
}

/// Lines of columns, each as wide as its widest cell; the last one is not padded.
pub fn columns(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| shown(cell)).collect()).collect();
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}
