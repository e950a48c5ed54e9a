//! What a request is told when it can't be answered: JSON with a message that names the fix.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::event::time;
use crate::state::StateError;

/// A request that can't be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    message: String,
    /// The earliest time that can be asked for, in seconds since 1970.
    earliest_at_s: Option<i64>,
}

impl ApiError {
    /// An error with this status and message.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), earliest_at_s: None }
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong, and the fix.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The request is wrong.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The state can't be read.
    pub fn of_state(error: &StateError) -> Self {
        tracing::error!(%error, "an answer can't be read from the state");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the state can't be read: the log says why")
    }

    /// The request asks for a time before what is kept.
    pub fn too_early(message: impl Into<String>, earliest_at_s: i64) -> Self {
        Self { earliest_at_s: Some(earliest_at_s), ..Self::bad_request(message) }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut body = json!({"error": self.message});
        if let Some(earliest_at_s) = self.earliest_at_s {
            body["earliest"] = time::format(earliest_at_s).into();
        }
        (self.status, Json(body)).into_response()
    }
}
