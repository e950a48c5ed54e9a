//! What rules matched, the newest first.

use maud::{Markup, html};
use trailmeter_rules::Priority;

use super::super::Web;
use super::super::error::ApiError;
use super::super::parameters::Parameters;
use super::View;
use crate::detect::decide::StoredMatch;
use crate::event::time;
use crate::html::parts::{Column, ago, caller_link, link, plain, row_with_id, section, shown, table};
use crate::html::text::number;

/// Rows at once.
const ROWS: usize = 30;

/// The view.
pub fn view(web: &Web, parameters: &Parameters, now_ms: u64) -> Result<View, ApiError> {
    let rule = parameters.text("rule").filter(|rule| !rule.is_empty());
    let before = match parameters.text("before") {
        None => u64::MAX,
        Some(text) => text.parse().map_err(|_| {
            ApiError::bad_request("`before` is no match's number: leave it out for the newest")
        })?,
    };
    let mut found =
        web.state.matches(rule.as_deref(), before, ROWS + 1).map_err(|error| ApiError::of_state(&error))?;
    let has_more = found.len() > ROWS;
    found.truncate(ROWS);
    let names: Vec<String> = web
        .rules
        .borrow()
        .set
        .rules()
        .iter()
        .filter(|rule| rule.enabled)
        .map(|rule| rule.name.clone())
        .collect();
    let at_s = web.views.now_s(now_ms);
    let main = html! {
        (super::troubles(web))
        (choices(rule.as_deref(), names))
        (list(rule.as_deref(), &found, has_more, before, at_s))
    };
    Ok(View { title: "Matches".to_owned(), tools: html! {}, main })
}

/// Which rule's matches are shown.
fn choices(rule: Option<&str>, mut names: Vec<String>) -> Markup {
    names.sort_unstable();
    // A rule that is no longer there may still have matches.
    names.extend(rule.filter(|rule| !names.iter().any(|name| name == rule)).map(str::to_owned));
    html! {
        form.search id="search" action="/matches" data-live {
            label for="rule" { "Rule" }
            select id="rule" name="rule" {
                option value="" selected[rule.is_none()] { "All rules" }
                @for name in &names {
                    option value=(plain(name)) selected[rule == Some(name)] { (plain(name)) }
                }
            }
            button.quiet type="submit" { "Show" }
        }
    }
}

fn list(rule: Option<&str>, found: &[(u64, StoredMatch)], has_more: bool, before: u64, at_s: i64) -> Markup {
    let rule = rule.unwrap_or_default();
    if found.is_empty() {
        let note = html! {
            @if before < u64::MAX { "There are no older ones. " a href=(link("/matches", &[("rule", rule)])) { "The newest" } }
            @else { "None so far." }
        };
        return section("matches", "Matches", note, html! {});
    }
    let last = found.last().map(|(number, _)| number.to_string()).unwrap_or_default();
    let note = html! { "The latest found first; of a backlog, these are not the latest calls. Under a rule's cap of matches a minute all are kept; of those beyond it only the number is. " a href="/api/v1/matches" { "JSON" } };
    let body = html! {
        (table_of(found, at_s))
        nav.pages aria-label="Pages" {
            @if before < u64::MAX { a id="page-newest" href=(link("/matches", &[("rule", rule)])) { "← Newest" } }
            @if has_more { a id="page-older" rel="next" href=(link("/matches", &[("rule", rule), ("before", &last)])) { "Older →" } }
        }
    };
    section("matches", "Matches", note, body)
}

const COLUMNS: [Column; 4] =
    [Column::text("Rule"), Column::text("Priority"), Column::number("Event time"), Column::text("What")];

/// Matches as a table named by the heading `matches`.
pub fn table_of(found: &[(u64, StoredMatch)], at_s: i64) -> Markup {
    let rows: Vec<Markup> = found
        .iter()
        .map(|(number, stored)| row_with_id(&format!("m{number}"), &COLUMNS, cells(stored, at_s)))
        .collect();
    table("matches", &COLUMNS, &rows)
}

fn cells(stored: &StoredMatch, at_s: i64) -> Vec<Markup> {
    let found = &stored.found;
    vec![
        html! { a href=(link("/matches", &[("rule", stored.rule.as_str())])) { (shown(&stored.rule)) } },
        priority(stored.priority()),
        ago(found.time_s, at_s),
        html! {
            details {
                summary { (shown(&found.message)) }
                dl.fields {
                    @if let Some(count) = stored.count { dt { "count" } dd { (number(count)) } }
                    @for (name, value) in &found.labels { (field(name, value, &found.labels)) }
                    @for (name, value) in &found.fields {
                        dt { (shown(name)) } dd { @if let Some(value) = value { (shown(value)) } @else { "–" } }
                    }
                    dt { "event id" } dd { (shown(&found.event_id)) }
                    dt { "event time" } dd { (time::format(found.time_s)) }
                    dt { "found" } dd { (time::format((stored.matched_ms / 1000).cast_signed())) }
                    dt { "told of" } dd { @if stored.is_alerted { "yes" } @else { "no: its group was told of within `repeat`" } }
                    dt { "rules" } dd { (format!("{:016x}", stored.ruleset)) }
                }
            }
        },
    ]
}

/// A label of the group; a principal leads to its page.
fn field(name: &str, value: &str, labels: &[(String, String)]) -> Markup {
    let account = labels.iter().find(|(name, _)| name == "account_id").map(|(_, value)| value.as_str());
    html! {
        dt { (shown(name)) }
        dd {
            @match account {
                Some(account) if name == "principal" => { a href=(caller_link(account, value)) { (shown(value)) } }
                _ => { (shown(value)) }
            }
        }
    }
}

/// A priority as a mark, coloured by how much it matters.
pub fn priority(priority: Priority) -> Markup {
    let class = match priority {
        Priority::Emergency | Priority::Alert | Priority::Critical => "critical",
        Priority::Error | Priority::Warning => "warning",
        _ => "info",
    };
    html! { span.mark.(class) { (priority.label()) } }
}
