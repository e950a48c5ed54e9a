//! `/api/v1/windows`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use super::Web;
use super::cursor::Cursor;
use super::error::ApiError;
use super::parameters::{Parameters, bad_cursor};
use super::shared::Shared;
use crate::event::time;
use crate::pipeline::WindowError;
use crate::window::{Versions, WindowSize};

/// A page of a window's rows.
pub async fn windows(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Response, ApiError> {
    let asked = Asked::read(&Parameters::read(&uri, &["window", "at", "limit", "cursor"])?)?;
    shared.large(move |web| body(web, asked)).await
}

/// Which rows are asked for.
struct Asked {
    window: WindowSize,
    /// Now if not said.
    at_s: Option<i64>,
    after: Option<(String, String, Versions)>,
    limit: usize,
}

impl Asked {
    fn read(parameters: &Parameters) -> Result<Self, ApiError> {
        let (window, at_s) = (parameters.window()?, parameters.at_s()?);
        let (limit, cursor) = (parameters.limit()?, parameters.cursor()?);
        let Some(cursor) = cursor else { return Ok(Self { window, at_s, after: None, limit }) };
        let Cursor::Window { window: cursor_window, at_s: cursor_at_s, account_id, principal, versions } =
            cursor
        else {
            return Err(bad_cursor());
        };
        let is_same = cursor_window == window.label() && at_s.is_none_or(|at_s| at_s == cursor_at_s);
        let Some(versions) = Versions::from_code(versions).filter(|_| is_same) else {
            return Err(bad_cursor());
        };
        Ok(Self { window, at_s: Some(cursor_at_s), after: Some((account_id, principal, versions)), limit })
    }
}

#[derive(Serialize)]
struct Body<'a> {
    window: &'static str,
    at: String,
    rows: Vec<Row<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct Row<'a> {
    account_id: &'a str,
    principal: &'a str,
    signature_version: &'static str,
    tls_version: &'static str,
    calls: u64,
}

fn body(web: &Web, asked: Asked) -> Result<Vec<u8>, ApiError> {
    let Asked { window, at_s, after, limit } = asked;
    let at_s = at_s.unwrap_or_else(|| web.views.now_s((web.clock)()));
    let page = web
        .views
        .window(window, at_s, after.as_ref(), limit)
        .map_err(|error| too_early(window, at_s, error))?;
    let next_cursor = page.rows.last().filter(|_| page.has_more).map(|row| {
        let (account_id, principal) = (row.account_id.clone(), row.principal.clone());
        Cursor::Window {
            window: window.label().to_owned(),
            at_s,
            account_id,
            principal,
            versions: row.versions.code(),
        }
    });
    let rows = page.rows.iter().map(|row| Row {
        account_id: &row.account_id,
        principal: &row.principal,
        signature_version: row.versions.signature(),
        tls_version: row.versions.tls(),
        calls: row.calls,
    });
    let next_cursor = next_cursor.map(|cursor| cursor.text());
    let body = Body { window: window.label(), at: time::format(at_s), rows: rows.collect(), next_cursor };
    // Plain text and numbers have no way to fail.
    Ok(serde_json::to_vec(&body).unwrap_or_default())
}

/// The window begins before what is kept.
pub fn too_early(window: WindowSize, at_s: i64, error: WindowError) -> ApiError {
    let WindowError::TooEarly { earliest_at_s } = error;
    let message = format!(
        "the {} window at {} begins before what is kept: the earliest `at` is {}",
        window.label(),
        time::format(at_s),
        time::format(earliest_at_s),
    );
    ApiError::too_early(message, earliest_at_s)
}
