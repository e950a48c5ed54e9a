//! `/api/v1/rules` and `/api/v1/matches`: the rules in force, and what they matched.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde_json::{Map, Value, json};
use trailmeter_rules::{Diagnostic, Rule, RuleSet};

use super::Web;
use super::cursor::Cursor;
use super::error::ApiError;
use super::parameters::{Parameters, bad_cursor};
use super::shared::Shared;
use crate::detect::decide::StoredMatch;
use crate::event::time;

/// Rows when `limit` says nothing.
const DEFAULT_LIMIT: usize = 1000;

/// What is shown of the rules in force.
#[derive(Clone, Debug)]
pub struct RulesStatus {
    /// The rules.
    pub set: Arc<RuleSet>,
    /// Since when they are in force, in milliseconds since 1970.
    pub loaded_ms: u64,
    /// What their files have problems with; also of files that could not be taken.
    pub diagnostics: Vec<Diagnostic>,
    /// Why the files that were last found could not be taken.
    pub error: Option<String>,
}

impl Default for RulesStatus {
    fn default() -> Self {
        Self { set: Arc::new(RuleSet::empty()), loaded_ms: 0, diagnostics: Vec::new(), error: None }
    }
}

/// The rules in force, by their order.
pub async fn rules(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Response, ApiError> {
    let parameters = Parameters::read(&uri, &["limit", "cursor"])?;
    let after = match parameters.cursor()? {
        None => 0,
        Some(Cursor::Number(after)) => after as usize,
        Some(_) => return Err(bad_cursor()),
    };
    let limit = parameters.limit_or(DEFAULT_LIMIT)?;
    shared.large(move |web| rules_body(web, after, limit)).await
}

fn rules_body(web: &Web, after: usize, limit: usize) -> Result<Vec<u8>, ApiError> {
    let status = Arc::clone(&web.rules.borrow());
    let matches = web.state.rule_matches().map_err(|error| ApiError::of_state(&error))?;
    let matches: HashMap<String, u64> = matches.into_iter().collect();
    let rules = status.set.rules();
    let rows = rules.iter().skip(after).take(limit).map(|rule| row(rule, &status, &matches));
    let mut body = json!({
        "ruleset": format!("{:016x}", status.set.hash()),
        "loaded": time::format((status.loaded_ms / 1000).cast_signed()),
        "error": status.error,
        "rows": rows.collect::<Vec<_>>(),
    });
    if after + limit < rules.len() {
        body["next_cursor"] = Cursor::Number((after + limit) as u64).text().into();
    }
    Ok(body.to_string().into_bytes())
}

fn row(rule: &Rule, status: &RulesStatus, matches: &HashMap<String, u64>) -> Value {
    let item = format!("rule {:?}", rule.name);
    let of_rule = status.diagnostics.iter().filter(|found| found.item == item);
    json!({
        "name": rule.name,
        "source_file": &*rule.file,
        "line": rule.line,
        "language": rule.language.label(),
        "enabled": rule.enabled,
        "priority": rule.priority.label(),
        "tags": rule.tags,
        "description": rule.description,
        "alertname": rule.alert_name(),
        "matches": matches.get(&rule.name).copied().unwrap_or(0),
        "errors": of_rule.map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// The matches that are kept, the newest first.
pub async fn matches(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Response, ApiError> {
    let parameters = Parameters::read(&uri, &["rule", "limit", "cursor"])?;
    let before = match parameters.cursor()? {
        None => u64::MAX,
        Some(Cursor::Number(before)) => before,
        Some(_) => return Err(bad_cursor()),
    };
    let (rule, limit) = (parameters.text("rule"), parameters.limit_or(DEFAULT_LIMIT)?);
    shared.large(move |web| matches_body(web, rule.as_deref(), before, limit)).await
}

fn matches_body(web: &Web, rule: Option<&str>, before: u64, limit: usize) -> Result<Vec<u8>, ApiError> {
    let found = web
        .state
        .matches(rule, before, limit.saturating_add(1))
        .map_err(|error| ApiError::of_state(&error))?;
    let rows: Vec<Value> =
        found.iter().take(limit).map(|(number, stored)| match_row(*number, stored)).collect();
    let mut body = json!({ "rows": rows });
    if let (true, Some((last, _))) = (found.len() > limit, found.iter().take(limit).next_back()) {
        body["next_cursor"] = Cursor::Number(*last).text().into();
    }
    Ok(body.to_string().into_bytes())
}

fn match_row(number: u64, stored: &StoredMatch) -> Value {
    let (found, priority) = (&stored.found, stored.priority().label());
    let fields: Map<String, Value> =
        found.fields.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let labels: Map<String, Value> =
        found.labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let at = time::format(found.time_s);
    json!({
        "number": number,
        "time": at,
        "rule": stored.rule,
        "priority": priority,
        "source": stored.source,
        "tags": stored.tags,
        "output": format!("{at}: {priority} {}", found.message),
        "output_fields": fields,
        "group": labels,
        "event_id": found.event_id,
        "count": stored.count,
        "ruleset": format!("{:016x}", stored.ruleset),
        "matched": time::format((stored.matched_ms / 1000).cast_signed()),
        "alerted": stored.is_alerted,
        "hostname": hostname(),
    })
}

/// The machine's name, as Falco's lines have it.
fn hostname() -> &'static str {
    static NAME: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    NAME.get_or_init(|| {
        let read = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        read.map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "localhost".to_owned())
    })
}
