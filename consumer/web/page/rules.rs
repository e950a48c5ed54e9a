//! The rules in force, and what is wrong with those that are not.

use std::collections::HashMap;

use maud::{Markup, html};
use trailmeter_rules::Rule;

use super::super::error::ApiError;
use super::super::{RulesStatus, Web};
use super::View;
use super::matches::priority;
use crate::html::parts::{Column, ago, link, row, section, shown, table};
use crate::html::text::number;

/// The view.
pub fn view(web: &Web, now_ms: u64) -> Result<View, ApiError> {
    let status = std::sync::Arc::clone(&web.rules.borrow());
    let matches = web.state.rule_matches().map_err(|error| ApiError::of_state(&error))?;
    let main = html! {
        (super::troubles(web))
        (problems(&status))
        (list(&status, &matches.into_iter().collect(), (now_ms / 1000).cast_signed()))
    };
    Ok(View { title: "Rules".to_owned(), tools: html! {}, main })
}

fn problems(status: &RulesStatus) -> Markup {
    if status.error.is_none() && status.diagnostics.is_empty() {
        return html! {};
    }
    let (title, note) = match &status.error {
        Some(_) => {
            ("Problems", "The files that were last found can't be used: the earlier rules stay in force.")
        }
        None => ("Warnings", "The rules are in force."),
    };
    let body = html! {
        @match &status.error {
            Some(error) => { pre.problem tabindex="0" { (crate::html::parts::lines(error)) } }
            None => { @for found in &status.diagnostics { pre.problem tabindex="0" { (crate::html::parts::lines(&found.to_string())) } } }
        }
    };
    section("problems", title, html! { (note) }, body)
}

const COLUMNS: [Column; 6] = [
    Column::text("Rule"),
    Column::text("Priority"),
    Column::number("Matches"),
    Column::wide("Language"),
    Column::wide("Where"),
    Column::wide("Tags"),
];

fn list(status: &RulesStatus, matches: &HashMap<String, u64>, now_s: i64) -> Markup {
    let rules = status.set.rules();
    if rules.is_empty() {
        let note = html! { "None. `rules.packs` and `rules.files` in the config say which rules there are." };
        return section("rules", "Rules", note, html! {});
    }
    let enabled = rules.iter().filter(|rule| rule.enabled).count();
    let note = html! {
        (enabled) " of " (rules.len()) " are switched on; in force since "
        (ago((status.loaded_ms / 1000).cast_signed(), now_s)) ". Matches are counted since the state began. "
        a href="/api/v1/rules" { "JSON" }
    };
    let rows: Vec<Markup> = rules.iter().map(|rule| rule_row(rule, matches)).collect();
    section("rules", "Rules", note, table("rules", &COLUMNS, &rows))
}

fn rule_row(rule: &Rule, matches: &HashMap<String, u64>) -> Markup {
    let count = matches.get(&rule.name).copied().unwrap_or(0);
    let cells = vec![
        html! {
            @if count > 0 { a href=(link("/matches", &[("rule", rule.name.as_str())])) { (shown(&rule.name)) } }
            @else { (shown(&rule.name)) }
            @if !rule.enabled { " " span.more { "off" } }
            span.account { (shown(&rule.description)) }
        },
        priority(rule.priority),
        html! { (number(count)) },
        html! { (rule.language.label()) },
        html! { (shown(&rule.file)) ":" (rule.line) },
        html! { (shown(&rule.tags.join(", "))) },
    ];
    row(&COLUMNS, cells)
}
