//! `/api/v1/callers`: the inventory of weak callers.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Web;
use super::cursor::Cursor;
use super::error::ApiError;
use super::parameters::{Parameters, bad_cursor};
use super::shared::Shared;
use crate::callers::{CallerKey, Detail, OwnedKey, advice};
use crate::event::judge::Weakness;
use crate::event::time;
use crate::state::embedded::ListedCaller;

/// Rows when `limit` says nothing: each may hold hundreds of texts.
const DEFAULT_LIMIT: usize = 10_000;

/// A page of the weak callers, by weakness, account and principal.
pub async fn callers(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Response, ApiError> {
    let parameters = Parameters::read(&uri, &["weakness", "limit", "cursor"])?;
    let weakness = parameters.weakness()?;
    let after = match parameters.cursor()? {
        None => None,
        Some(Cursor::Caller { weakness: code, account_id, principal }) => {
            let of_cursor =
                Weakness::from_code(code).filter(|found| weakness.is_none_or(|asked| asked == *found));
            let weakness = of_cursor.ok_or_else(bad_cursor)?;
            Some(OwnedKey { weakness, account_id: account_id.into(), principal: principal.into() })
        }
        Some(_) => return Err(bad_cursor()),
    };
    let limit = parameters.limit_or(DEFAULT_LIMIT)?;
    shared.large(move |web| body(web, weakness, after.as_ref().map(OwnedKey::borrow), limit)).await
}

#[derive(Serialize)]
struct Body {
    rows: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

fn body(
    web: &Web,
    weakness: Option<Weakness>,
    after: Option<CallerKey<'_>>,
    limit: usize,
) -> Result<Vec<u8>, ApiError> {
    let listed = web.state.list_callers(weakness, after, limit);
    let (callers, has_more) = listed.map_err(|error| ApiError::of_state(&error))?;
    let next_cursor = callers.last().filter(|_| has_more).map(|last| {
        let OwnedKey { weakness, account_id, principal } = &last.key;
        let (account_id, principal) = (account_id.to_string(), principal.to_string());
        Cursor::Caller { weakness: *weakness as u8, account_id, principal }.text()
    });
    let body = Body { rows: callers.iter().map(row).collect(), next_cursor };
    // Plain text and numbers have no way to fail.
    Ok(serde_json::to_vec(&body).unwrap_or_default())
}

fn row(caller: &ListedCaller) -> Value {
    let ListedCaller { key, row, details } = caller;
    let mut shown = Map::new();
    shown.insert("weakness".into(), key.weakness.label().into());
    shown.insert("account_id".into(), (*key.account_id).into());
    shown.insert("principal".into(), (*key.principal).into());
    shown.insert("calls".into(), row.calls.into());
    shown.insert("errors".into(), row.errors.into());
    shown.insert("first_seen".into(), time::format(row.first_s).into());
    shown.insert("last_seen".into(), time::format(row.last_s).into());
    for (detail, name) in Detail::SHOWN {
        shown.insert(name.into(), json!(details[detail as usize]));
    }
    shown.insert("presigned".into(), json!(row.presigned as f64 / row.calls.max(1) as f64));
    shown.insert("state".into(), row.state.label().into());
    shown.insert("advice".into(), advice::of_caller(key.borrow(), row, details).join(" ").into());
    Value::Object(shown)
}
