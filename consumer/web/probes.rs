//! `/-/…`: for whoever watches over the process.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::error::ApiError;
use super::routes::too_large;
use super::shared::Shared;

/// The process is alive.
pub async fn healthy() -> &'static str {
    "ok"
}

/// The process may be sent traffic.
pub async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    match shared.web.readiness.not_ready_because() {
        None => (StatusCode::OK, "ok".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason),
    }
}

/// Reads the config again.
pub async fn reload(
    State(shared): State<Arc<Shared>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            shared.web.metrics.limit_hits.with_label_values(&["max_body"]).inc();
            too_large(shared.bounds.max_body)
        }
        status => ApiError::new(status, "the body broke off: send none"),
    })?;
    if !shared.web.status.borrow().reload_enabled {
        let message = "reloading over HTTP is off: set `web.enable_reload: true`, or send the process SIGHUP";
        return Err(ApiError::new(StatusCode::FORBIDDEN, message));
    }
    let Some(requests) = &shared.web.reload else {
        return Err(ApiError::bad_request("there is nothing to reload: start with `--config FILE`"));
    };
    let (request, answer) = oneshot::channel();
    requests.send(request).await.map_err(|_| stopping())?;
    match answer.await.map_err(|_| stopping())? {
        Ok(()) => Ok(Json(json!({"reloaded": true}))),
        Err(reason) => Err(ApiError::bad_request(format!("the old config stays in force: {reason}"))),
    }
}

fn stopping() -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the process is stopping: nothing was reloaded")
}
