//! The process: whether all is well, the accounting, the limits that bit, the config in force.

use maud::{Markup, html};
use serde_json::Value;

use super::super::{Web, api};
use super::View;
use crate::html::coverage;
use crate::html::parts::{Column, row, section, shown, table};
use crate::html::text::{latency, number};
use crate::totals::{Dropped, EventRejection, NotCall, RecordRejection, Totals};

/// The view.
pub fn view(web: &Web) -> View {
    let status = api::status_json(web);
    let totals = web.views.totals();
    let main = html! {
        (super::troubles(web))
        div.columns {
            (facts(&status))
            (limits(&status["limits_hit"]))
        }
        div.columns {
            (places("sources", "Sources", &status["sources"], &["source", "kind", "error"]))
            (places("sinks", "Where alerts go", &status["sinks"], &["sink", "undelivered", "delivered", "error"]))
        }
        (accounting(&totals))
        (coverage::section_of(&totals, "Of all calls since the state began."))
        (config(&status["config"]))
    };
    View { title: "Status".to_owned(), tools: html! {}, main }
}

const FACTS: [Column; 2] = [Column::text("What"), Column::text("Now")];

fn facts(status: &Value) -> Markup {
    let learning = &status["learning"];
    let delay = &status["quantiles_5m"]["event_delay_seconds"];
    let processing = &status["quantiles_5m"]["processing_seconds"];
    let fact = |name: &str, value: Markup| row(&FACTS, vec![html! { (name) }, value]);
    let quantiles = |of: &Value| {
        let seconds = |name: &str| of[name].as_f64().unwrap_or_default();
        html! {
            @if of["count"].as_u64() == Some(0) { "nothing was measured" }
            @else { "median " (latency(seconds("p50"))) ", 99 % " (latency(seconds("p99"))) ", most " (latency(seconds("max"))) }
        }
    };
    let rows = [
        fact("Version", value(&status["version"])),
        fact(
            "Ready",
            html! { @if status["ready"] == true { "yes" } @else { "no: " (value(&status["not_ready_because"])) } },
        ),
        fact("Callers in windows", value(&status["callers"])),
        fact(
            "Learning",
            html! {
                @if learning["on"] == true { "until " (value(&learning["until"])) ": new weak callers are remembered without a page" }
                @else { "off: new weak callers are paged" }
            },
        ),
        fact("From event to count, last 5 minutes", quantiles(delay)),
        fact("One batch, last 5 minutes", quantiles(processing)),
    ];
    section("facts", "Process", html! {}, table("facts", &FACTS, &rows))
}

const LIMITS: [Column; 2] = [Column::text("Limit"), Column::number("Times it bit")];

fn limits(hits: &Value) -> Markup {
    let hits = hits.as_object().into_iter().flatten().filter(|(_, hits)| hits.as_u64() > Some(0));
    let rows: Vec<Markup> =
        hits.map(|(limit, hits)| row(&LIMITS, vec![html! { (limit) }, value(hits)])).collect();
    let note = html! {
        @if rows.is_empty() { "None since the start: nothing was left out." }
        @else { "Since the start. " a href="/runbooks/TrailmeterLimitHit" { "What each leaves out" } "." }
    };
    let body = if rows.is_empty() {
        html! {}
    } else {
        table("limits", &LIMITS, &rows)
    };
    section("limits", "Limits that bit", note, body)
}

/// A table of a list of the API's status.
fn places(id: &str, title: &str, list: &Value, names: &'static [&'static str]) -> Markup {
    let columns: Vec<Column> = names.iter().map(|name| Column::text(name)).collect();
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<Markup> = list
        .iter()
        .map(|place| row(&columns, names.iter().map(|name| value(&place[*name])).collect()))
        .collect();
    let note = html! { @if rows.is_empty() { "None." } };
    let body = if rows.is_empty() {
        html! {}
    } else {
        table(id, &columns, &rows)
    };
    section(id, title, note, body)
}

fn value(value: &Value) -> Markup {
    match value {
        Value::Null => html! { "–" },
        Value::String(text) => shown(text),
        Value::Number(count) => match count.as_u64() {
            Some(count) => html! { (number(count)) },
            None => html! { (count.to_string()) },
        },
        other => shown(&other.to_string()),
    }
}

const ACCOUNTING: [Column; 3] =
    [Column::text("Since the state began"), Column::number("Number"), Column::text("Of which")];

fn accounting(totals: &Totals) -> Markup {
    let line = |name: &str, count: u64, why: String| {
        row(&ACCOUNTING, vec![html! { (name) }, html! { (number(count)) }, html! { (why) }])
    };
    let reasons = |name: &str, labels: Vec<&str>, counts: &[u64]| {
        line(name, counts.iter().sum(), because(&labels, counts))
    };
    let late = if totals.late > 0 { "calls older than the windows reach" } else { "" };
    let rows = [
        line("Records decoded", totals.records_decoded, String::new()),
        line("Control records", totals.records_control, String::new()),
        reasons(
            "Records rejected",
            RecordRejection::ALL.iter().map(|r| r.label()).collect(),
            &totals.records_rejected,
        ),
        line("Events", totals.events(), "the sum of the next four".to_owned()),
        line("Calls", totals.calls, String::new()),
        reasons("Not calls", NotCall::ALL.iter().map(|r| r.label()).collect(), &totals.not_calls),
        reasons("Dropped", Dropped::ALL.iter().map(|r| r.label()).collect(), &totals.dropped),
        reasons("Rejected", EventRejection::ALL.iter().map(|r| r.label()).collect(), &totals.rejected),
        line("Late", totals.late, late.to_owned()),
    ];
    section("totals", "Accounting", html! {}, table("totals", &ACCOUNTING, &rows))
}

/// `duplicate 3, correction 1`: what there is of a closed set.
fn because(labels: &[&str], counts: &[u64]) -> String {
    let there = labels.iter().zip(counts).filter(|(_, count)| **count > 0);
    there.map(|(label, count)| format!("{label} {}", number(*count))).collect::<Vec<_>>().join(", ")
}

fn config(config: &Value) -> Markup {
    // It came from YAML: it has no way to fail.
    let text = serde_yaml_ng::to_string(config).unwrap_or_default();
    let note = html! { "As `trailmeter config show` prints it: with the defaults, without secrets." };
    section(
        "config",
        "Config in force",
        note,
        html! { pre.config tabindex="0" { (crate::html::parts::lines(&text)) } },
    )
}
