//! A page that stands by itself: no script, nothing from elsewhere, to be sent to someone.

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Report, UNSEEN};
use crate::callers::advice::gather;
use crate::callers::{CallerState, Detail};
use crate::event::judge::Weakness;
use crate::html::parts::{Column, first_of, row, section, shown, stamp, table, weakness_mark, weakness_name};
use crate::html::text::{number, share};
use crate::html::{CSS, advice, chart, coverage};
use crate::scan::{Outcome, WeakCaller};

/// Weak callers that are shown when nobody says how many.
const WEAK_ROWS: usize = 500;
/// Rows of a grouping.
const ROWS: usize = 500;
/// Clients, and files with problems.
const LINES: usize = 100;

/// The page.
pub fn document(report: &Report, outcome: &Outcome) -> String {
    let whole = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // It was made of hostile texts: whatever slips through loads and runs nothing.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { "Weak callers of AWS · trailmeter" }
                style { (PreEscaped(CSS)) }
            }
            body {
                header { h1 { "Who calls AWS with SigV2, old TLS or a long-lived key" } }
                main {
                    (about(report, outcome))
                    (figures(outcome))
                    (trend(outcome))
                    (advice::section_of(&gather(outcome.weak.iter().map(WeakCaller::advised)), LINES, html! {}))
                    (weak_callers(report, outcome))
                    @if report.is_grouped { (rows(report, outcome)) }
                    (clients(&outcome.weak))
                    (rules(outcome))
                    (coverage::section_of(&outcome.totals, "Of all calls that were read."))
                    (problems(outcome))
                }
            }
        }
    };
    whole.into_string()
}

fn about(report: &Report, outcome: &Outcome) -> Markup {
    let about = &report.about;
    let seen = outcome.rows.iter().map(|(_, sum)| sum);
    let (first, last) = (seen.clone().map(|sum| sum.first_s).min(), seen.map(|sum| sum.last_s).max());
    html! {
        p.note {
            "Calls "
            @if let (Some(first), Some(last)) = (first, last) { "from " (stamp(first)) " to " (stamp(last)) " UTC, " }
            "found in " (shown(&about.paths.join(" "))) " at " (stamp(about.now_s)) " UTC."
            @if let Some(condition) = &about.condition { " Only those that meet: " code { (shown(condition)) } }
        }
        @if outcome.is_interrupted { p.alarm { "Interrupted: not all files were read." } }
    }
}

fn figures(outcome: &Outcome) -> Markup {
    let totals = &outcome.totals;
    let callers = |weakness: Weakness| {
        outcome.weak.iter().filter(|caller| caller.key.weakness == weakness).count() as u64
    };
    html! {
        dl.figures {
            div.figure { dt { "calls in all" } dd { (number(totals.calls)) } }
            @for weakness in Weakness::ALL {
                div.figure.bad[callers(weakness) > 0 && weakness != Weakness::LongTermKey] {
                    dt { "callers: " (weakness_name(weakness)) }
                    dd { (number(callers(weakness))) }
                }
            }
            div.figure {
                dt { "signature / TLS known" }
                dd { (share(totals.signature.known, totals.calls)) " " small { "/ " (share(totals.tls.known, totals.calls)) } }
            }
        }
    }
}

fn trend(outcome: &Outcome) -> Markup {
    let Some(trend) = &outcome.trend else { return html! {} };
    let note = html! { "By event time, in UTC; each trend on a scale of its own." };
    section("trend", "Calls over time", note, chart::both(trend))
}

const WEAK: [Column; 8] = [
    Column::text("Principal"),
    Column::text("Weakness"),
    Column::number("Calls"),
    Column::number("Failed"),
    Column::number("First seen"),
    Column::number("Last seen"),
    Column::wide("Clients, source IPs"),
    Column::wide("Buckets, key ids"),
];

fn weak_callers(report: &Report, outcome: &Outcome) -> Markup {
    let weak = &outcome.weak;
    let shown_rows = report.top.unwrap_or(WEAK_ROWS).min(weak.len());
    let note = html! {
        @if weak.is_empty() { (Report::nobody(outcome)) }
        @else if shown_rows < weak.len() { "The gravest " (shown_rows) " of " (number(weak.len() as u64)) "." }
        @else { "The gravest weakness first, of one the busiest." }
    };
    let rows: Vec<Markup> = weak[..shown_rows].iter().map(weak_row).collect();
    let body = if rows.is_empty() {
        html! {}
    } else {
        table("weak", &WEAK, &rows)
    };
    section("weak", "Weak callers", note, body)
}

fn weak_row(caller: &WeakCaller) -> Markup {
    let WeakCaller { key, row: found, lists, .. } = caller;
    let first = |detail: Detail| first_of(&lists[detail as usize]);
    row(
        &WEAK,
        vec![
            html! {
                (shown(&key.principal))
                span.account { (shown(&key.account_id)) @if found.state == CallerState::Outside { " (outside)" } }
            },
            weakness_mark(key.weakness),
            html! { (number(found.calls)) },
            html! { (share(found.errors, found.calls)) },
            stamp(found.first_s),
            stamp(found.last_s),
            html! { (first(Detail::Client)) br; (first(Detail::SourceIp)) },
            html! { (first(Detail::Bucket)) br; (first(Detail::KeyId)) },
        ],
    )
}

/// The rows of the grouping that was asked for.
fn rows(report: &Report, outcome: &Outcome) -> Markup {
    let names = report.group_by.iter().map(|field| Column::text(field.name()));
    let columns: Vec<Column> = names
        .chain([Column::number("Calls"), Column::number("First seen"), Column::number("Last seen")])
        .collect();
    let top = Report { top: Some(report.top.unwrap_or(ROWS)), ..report.clone() };
    let rows = top.rows(outcome);
    let left = outcome.rows.len() - rows.len();
    let rows: Vec<Markup> = rows
        .into_iter()
        .map(|(values, sum)| {
            let sums = [html! { (number(sum.calls)) }, stamp(sum.first_s), stamp(sum.last_s)];
            row(&columns, values.iter().map(|value| shown(value)).chain(sums).collect())
        })
        .collect();
    let note = html! { "Those with most calls." @if left > 0 { " " (number(left as u64)) " more." } };
    section("rows", "Calls by what was asked for", note, table("rows", &columns, &rows))
}

const CLIENTS: [Column; 2] = [Column::text("Client"), Column::number("Weak callers")];

fn clients(weak: &[WeakCaller]) -> Markup {
    let mut clients: BTreeMap<&str, u64> = BTreeMap::new();
    for client in weak.iter().flat_map(|caller| &caller.lists[Detail::Client as usize]) {
        *clients.entry(client).or_default() += 1;
    }
    let mut clients: Vec<_> = clients.into_iter().collect();
    clients.sort_by_key(|(client, callers)| (std::cmp::Reverse(*callers), *client));
    let rows: Vec<Markup> = clients
        .iter()
        .take(LINES)
        .map(|(client, callers)| row(&CLIENTS, vec![shown(client), html! { (number(*callers)) }]))
        .collect();
    if rows.is_empty() {
        return html! {};
    }
    section("clients", "Clients of weak callers", html! {}, table("clients", &CLIENTS, &rows))
}

const RULES: [Column; 2] = [Column::text("Rule"), Column::number("Matches")];

fn rules(outcome: &Outcome) -> Markup {
    let mut hits: Vec<_> = outcome.rules.iter().filter(|(_, matches)| *matches > 0).collect();
    if outcome.rules.is_empty() {
        return html! {};
    }
    hits.sort_by_key(|(_, matches)| std::cmp::Reverse(*matches));
    let rows: Vec<Markup> = hits
        .iter()
        .map(|(rule, matches)| row(&RULES, vec![shown(rule), html! { (number(*matches)) }]))
        .collect();
    let note = html! { (outcome.rules.len() - rows.len()) " rules matched nothing." };
    let body = if rows.is_empty() {
        html! {}
    } else {
        table("rules", &RULES, &rows)
    };
    section("rules", "Rules that matched", note, body)
}

const PROBLEMS: [Column; 2] = [Column::text("File"), Column::text("What was wrong")];

fn problems(outcome: &Outcome) -> Markup {
    let totals = &outcome.totals;
    let sum = |counts: &[u64]| number(counts.iter().sum());
    let rows: Vec<Markup> = outcome
        .notes
        .iter()
        .take(LINES)
        .map(|note| row(&PROBLEMS, vec![shown(&note.path.display().to_string()), shown(&note.what())]))
        .collect();
    let left = outcome.notes.len().saturating_sub(LINES) + outcome.more_notes;
    let passed = outcome.passed_over.told();
    let note = html! {
        (number(totals.events())) " events: " (number(totals.calls)) " calls, " (sum(&totals.not_calls)) " not calls, "
        (sum(&totals.dropped)) " dropped, " (sum(&totals.rejected)) " rejected. "
        @if outcome.is_of_table { (UNSEEN) } @else {
            (number(outcome.files)) " files were read" @if passed.is_empty() { ". " } @else { "; passed over: " (passed) ". " }
            @if rows.is_empty() && !outcome.is_interrupted { "Each to its end." }
        }
        @if left > 0 { (number(left as u64)) " more files had problems." }
    };
    let body = if rows.is_empty() {
        html! {}
    } else {
        table("problems", &PROBLEMS, &rows)
    };
    section("problems", "What was read", note, body)
}
