//! `/api/v1/shards`, and a shard's row as the page shows it, too.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;
use serde_json::{Value, json};

use super::Web;
use super::cursor::Cursor;
use super::error::ApiError;
use super::parameters::{Parameters, bad_cursor};
use super::shared::Shared;
use crate::event::time;
use crate::pipeline::ShardView;
use crate::source::Position;

/// A page of the shards, by name.
pub async fn shards(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Json<Value>, ApiError> {
    let parameters = Parameters::read(&uri, &["limit", "cursor"])?;
    let after = match parameters.cursor()? {
        None => None,
        Some(Cursor::Shard(name)) => Some(name),
        Some(_) => return Err(bad_cursor()),
    };
    let limit = parameters.limit()?;
    let (rows, left) = shared.read(move |web| Ok(rows(web, after.as_deref(), limit))).await?;
    let last = rows.last().filter(|_| left > 0).map(|row| Cursor::Shard(row.shard.clone()).text());
    let mut body = json!({"rows": rows});
    if let Some(cursor) = last {
        body["next_cursor"] = cursor.into();
    }
    Ok(Json(body))
}

/// A shard.
#[derive(Serialize)]
pub struct ShardRow {
    /// Its whole name.
    pub shard: String,
    /// The source's name.
    pub source: String,
    /// What the source is.
    pub kind: &'static str,
    /// How far it is counted, for people.
    pub position: String,
    /// How far the reader is behind the newest record.
    pub behind_seconds: Option<f64>,
    /// When it was last committed.
    pub committed: Option<String>,
    /// What was read without a gap, in arrival time.
    pub complete: Vec<Stretch>,
    /// The newest event's time.
    pub newest_event: Option<String>,
    /// A task reads it now.
    pub reading: bool,
    /// What keeps the reader from reading.
    pub error: Option<String>,
    /// Reads refused for their rate since the start.
    pub throttled: u64,
    /// Whose it is.
    pub owner: &'static str,
}

/// From when to when.
#[derive(Serialize)]
pub struct Stretch {
    /// The beginning.
    pub from: String,
    /// The end.
    pub to: String,
}

/// At most `limit` shards behind `after`, and how many follow.
pub fn rows(web: &Web, after: Option<&str>, limit: usize) -> (Vec<ShardRow>, usize) {
    let mut views = web.views.all();
    views.retain(|view| after.is_none_or(|after| view.shard().as_str() > after));
    let left = views.len().saturating_sub(limit);
    (views.iter().take(limit).map(|view| row(view)).collect(), left)
}

fn row(view: &ShardView) -> ShardRow {
    view.read(|committed| {
        let header = &committed.header;
        let stretch = |&(from, to): &(u64, u64)| Stretch { from: instant(from), to: instant(to) };
        ShardRow {
            shard: view.shard().to_string(),
            source: view.shard().source().to_owned(),
            kind: view.kind(),
            position: position(&header.position),
            behind_seconds: view.behind_ms().map(|ms| ms as f64 / 1000.0),
            committed: (header.committed_ms > 0).then(|| instant(header.committed_ms)),
            complete: header.stretches.iter().map(stretch).collect(),
            newest_event: header.newest_s.map(time::format),
            reading: committed.is_read,
            error: view.status().error(),
            throttled: view.status().throttled(),
            owner: "this process",
        }
    })
}

fn position(position: &Position) -> String {
    match position {
        Position::TrimHorizon => "TRIM_HORIZON".to_owned(),
        Position::Latest { since_ms } => format!("LATEST since {}", instant(*since_ms)),
        Position::AtTimestamp { ms } => format!("AT_TIMESTAMP {}", instant(*ms)),
        Position::AfterSequenceNumber(number) => format!("after {number}"),
        Position::Files(_) => "files".to_owned(),
        Position::ShardEnd => "SHARD_END".to_owned(),
    }
}

fn instant(ms: u64) -> String {
    time::format((ms / 1000).cast_signed())
}
