//! `/api/v1/totals`, `/api/v1/coverage` and `/api/v1/status`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde_json::{Map, Value, json};

use super::Web;
use super::error::ApiError;
use super::parameters::Parameters;
use super::shared::Shared;
use crate::event::time;
use crate::metrics::LIMITS;
use crate::sink::Shown;
use crate::source::Source;

/// The accounting, exact over restarts.
pub async fn totals(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Json<Value>, ApiError> {
    Parameters::read(&uri, &[])?;
    shared.read(|web| Ok(Json(web.views.totals().json()))).await
}

/// How many calls can be judged, and why the rest can't.
pub async fn coverage(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Json<Value>, ApiError> {
    Parameters::read(&uri, &[])?;
    shared.read(|web| Ok(Json(web.views.totals().coverage_json()))).await
}

/// The process, its config, the limits that bit.
pub async fn status(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Json<Value>, ApiError> {
    Parameters::read(&uri, &[])?;
    shared.read(|web| Ok(Json(status_json(web)))).await
}

/// The body of `/api/v1/status`.
pub fn status_json(web: &Web) -> Value {
    let now_ms = (web.clock)();
    let reason = web.readiness.not_ready_because();
    let callers: usize =
        web.views.all().iter().map(|view| view.read(|committed| committed.windows.callers())).sum();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ready": reason.is_none(),
        "not_ready_because": reason,
        "config": web.status.borrow().config,
        "limits_hit": limits_hit(web),
        "callers": callers,
        "learning": learning_json(web, now_ms),
        "sources": web.sources.iter().map(source_json).collect::<Vec<_>>(),
        "sinks": web.shown_sinks().map(|shown| sink_json(&shown)).collect::<Vec<_>>(),
        "quantiles_5m": {
            "event_delay_seconds": web.metrics.event_delay.quantiles(now_ms),
            "processing_seconds": web.metrics.processing.quantiles(now_ms),
        },
        "now": time::format(web.views.now_s(now_ms)),
    })
}

/// Whether new weak callers are remembered without a page, and until when.
fn learning_json(web: &Web, now_ms: u64) -> Value {
    let learn_for_ms = web.settings.borrow().weak_callers.learn_for_ms;
    let is_on = web.learning.is_on(learn_for_ms, now_ms);
    json!({
        "on": is_on,
        "until": is_on.then(|| time::format((web.learning.ends_ms(learn_for_ms) / 1000).cast_signed())),
        "waits_for": web.learning.waits_for().filter(|_| is_on),
    })
}

fn source_json(source: &Arc<dyn Source>) -> Value {
    json!({"source": source.name(), "kind": source.kind(), "error": source.error()})
}

fn sink_json(shown: &Shown) -> Value {
    json!({
        "sink": shown.sink,
        "undelivered": shown.undelivered,
        "error": shown.error,
        "delivered": shown.delivered_ms.map(|ms| time::format((ms / 1000).cast_signed())),
    })
}

fn limits_hit(web: &Web) -> Map<String, Value> {
    let hits = |limit: &str| web.metrics.limit_hits.with_label_values(&[limit]).get();
    LIMITS.iter().map(|limit| ((*limit).to_owned(), json!(hits(limit)))).collect()
}
