//! `/runbooks/…`: what to do when an alert rings, served by the program itself, for the hour in which nothing else is
//! reachable.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::error::ApiError;
use crate::detect::packs;

macro_rules! runbooks {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../rules/prometheus/runbooks/", $name, ".md")))),*]
    };
}

/// By the alert's name.
pub const RUNBOOKS: [(&str, &str); 16] = runbooks![
    "NewSigV2Caller",
    "NewOldTlsCaller",
    "NewLongTermKeyCaller",
    "TrailmeterDown",
    "TrailmeterNoEvents",
    "TrailmeterBehind",
    "TrailmeterEventsRejected",
    "TrailmeterCommitsFailing",
    "TrailmeterAlertsNotDelivered",
    "TrailmeterLimitHit",
    "TrailmeterSeriesDropped",
    "TrailmeterReloadFailed",
    "TrailmeterRulesNotLoaded",
    "TrailmeterSigV2ShareRising",
    "TrailmeterOldTlsShareRising",
    "TrailmeterCoverageFalling",
];

/// A runbook as text.
pub async fn runbook(Path(name): Path<String>) -> Result<Response, ApiError> {
    let all = || RUNBOOKS.iter().chain(&packs::RUNBOOKS);
    let found = all().find(|(known, _)| *known == name);
    let (_, text) = found.ok_or_else(|| {
        let names: Vec<&str> = all().map(|(name, _)| *name).collect();
        ApiError::new(StatusCode::NOT_FOUND, format!("no such runbook: there are {}", names.join(", ")))
    })?;
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], *text).into_response())
}
