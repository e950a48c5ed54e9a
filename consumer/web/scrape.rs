//! `/metrics`: what is counted anyway, and the gauges that are computed when someone looks.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus::GaugeVec;
use tracing::error;

use super::Web;
use super::error::ApiError;
use super::shared::Shared;
use crate::callers::{CallerState, OwnedKey};
use crate::metrics::Metrics;
use crate::window::{Versions, WindowSize};

/// All series in Prometheus' text format.
pub async fn metrics(State(shared): State<Arc<Shared>>) -> Result<Response, ApiError> {
    let text = shared.kept(&shared.metrics, scrape).await?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text.to_string()).into_response())
}

fn scrape(web: &Web, now_ms: u64) -> Result<String, ApiError> {
    let series = web.settings.borrow().series;
    let at_s = web.views.now_s(now_ms);
    set_window_calls(web, at_s, series);
    set_window_callers(web, at_s);
    set_callers(web, series)?;
    for sink in web.shown_sinks() {
        web.metrics.alerts_undelivered.with_label_values(&[&sink.sink]).set(sink.undelivered as f64);
    }
    set_shards(web, series);
    web.metrics.text().map_err(|broken| {
        error!(error = %broken, "the metrics can't be written");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics can't be written: the log says why")
    })
}

/// The weak rows of all windows, no more than `series` of them.
fn set_window_calls(web: &Web, at_s: i64, series: usize) {
    let gauges = &web.metrics.window_calls;
    gauges.reset();
    let windows = WindowSize::ALL.map(|window| (window, web.views.weak_rows(window, at_s, series)));
    let wanted = [0, 1, 2].map(|at: usize| windows[at].1.0.len() + windows[at].1.1);
    let shares = fair_shares(wanted, series);
    for ((window, (rows, _)), share) in windows.iter().zip(shares) {
        for row in rows.iter().take(share) {
            let (signature, tls) = (row.versions.signature(), row.versions.tls());
            let labels = [window.label(), row.account_id.as_str(), row.principal.as_str(), signature, tls];
            gauges.with_label_values(&labels).set(row.calls as f64);
        }
    }
    let left_out = wanted.iter().sum::<usize>() - shares.iter().sum::<usize>();
    note_left_out(&web.metrics, "trailmeter_window_calls", left_out);
}

/// Shares `room` out: nobody gets more than wanted, and what one leaves goes to the others in equal parts.
fn fair_shares(wanted: [usize; 3], room: usize) -> [usize; 3] {
    let mut smallest_first = [0, 1, 2];
    smallest_first.sort_by_key(|at| wanted[*at]);
    let (mut shares, mut room) = ([0; 3], room);
    for (nth, at) in smallest_first.into_iter().enumerate() {
        shares[at] = wanted[at].min(room / (smallest_first.len() - nth));
        room -= shares[at];
    }
    shares
}

fn set_window_callers(web: &Web, at_s: i64) {
    for window in WindowSize::ALL {
        let counts = web.views.distinct_callers(window, at_s);
        for versions in Versions::all() {
            let count = counts.get(&versions).copied().unwrap_or_default();
            let labels = [window.label(), versions.signature(), versions.tls()];
            web.metrics.window_callers.with_label_values(&labels).set(count as f64);
        }
    }
}

/// A weak caller as the gauges show it, the one that gives way to others first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct ShownCaller {
    is_own: bool,
    last_s: i64,
    key: OwnedKey,
    first_s: i64,
    paged_ms: Option<u64>,
}

/// The weak callers that called last, our own first, no more than `series` of them.
fn set_callers(web: &Web, series: usize) -> Result<(), ApiError> {
    let mut shown: BinaryHeap<Reverse<ShownCaller>> = BinaryHeap::new();
    let (mut callers, mut paged) = (0, 0);
    let visited = web.state.visit_callers(|key, row| {
        callers += 1;
        paged += usize::from(row.paged_ms.is_some());
        let (is_own, last_s) = (row.state != CallerState::Outside, row.last_s);
        let gives_way = |least: &Reverse<ShownCaller>| (is_own, last_s) > (least.0.is_own, least.0.last_s);
        if shown.len() < series || shown.peek().is_some_and(gives_way) {
            let (first_s, paged_ms) = (row.first_s, row.paged_ms);
            shown.push(Reverse(ShownCaller { is_own, last_s, key: key.to_owned(), first_s, paged_ms }));
            if shown.len() > series {
                shown.pop();
            }
        }
    });
    visited.map_err(|error| ApiError::of_state(&error))?;
    let metrics = &web.metrics;
    let gauges = [&metrics.caller_first_seen, &metrics.caller_last_seen, &metrics.caller_paged];
    gauges.iter().for_each(|gauges| gauges.reset());
    let mut shown_paged = 0;
    for Reverse(caller) in &shown {
        let labels = [caller.key.weakness.label(), &caller.key.account_id, &caller.key.principal];
        metrics.caller_first_seen.with_label_values(&labels).set(caller.first_s as f64);
        metrics.caller_last_seen.with_label_values(&labels).set(caller.last_s as f64);
        if let Some(paged_ms) = caller.paged_ms {
            shown_paged += 1;
            metrics.caller_paged.with_label_values(&labels).set(paged_ms as f64 / 1000.0);
        }
    }
    let left_out = callers - shown.len();
    note_left_out(metrics, "trailmeter_caller_first_seen_timestamp_seconds", left_out);
    note_left_out(metrics, "trailmeter_caller_last_seen_timestamp_seconds", left_out);
    note_left_out(metrics, "trailmeter_caller_paged_timestamp_seconds", paged - shown_paged);
    Ok(())
}

fn set_shards(web: &Web, series: usize) {
    let views = web.views.all();
    let committed_s = |ms: u64| (ms > 0).then(|| ms as f64 / 1000.0);
    let behind =
        views.iter().filter_map(|view| Some((view.shard().as_str(), view.behind_ms()? as f64 / 1000.0)));
    let committed = views.iter().filter_map(|view| {
        Some((view.shard().as_str(), view.read(|committed| committed_s(committed.header.committed_ms))?))
    });
    let metrics = &web.metrics;
    let left_out = set_by_shard(&metrics.shard_behind, behind, series);
    note_left_out(metrics, "trailmeter_shard_behind_seconds", left_out);
    let left_out = set_by_shard(&metrics.shard_checkpoint, committed, series);
    note_left_out(metrics, "trailmeter_shard_checkpoint_timestamp_seconds", left_out);
}

/// Sets the first `series` values; how many were left out.
fn set_by_shard<'a>(gauges: &GaugeVec, values: impl Iterator<Item = (&'a str, f64)>, series: usize) -> usize {
    gauges.reset();
    let mut left_out = 0;
    for (nth, (shard, value)) in values.enumerate() {
        if nth < series {
            gauges.with_label_values(&[shard]).set(value);
        } else {
            left_out += 1;
        }
    }
    left_out
}

fn note_left_out(metrics: &Metrics, metric: &str, left_out: usize) {
    metrics.series_dropped.with_label_values(&[metric]).inc_by(left_out as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_fair() {
        let check = |wanted, room, expect| assert_eq!(fair_shares(wanted, room), expect);
        check([1, 2, 3], 10, [1, 2, 3]);
        check([100, 100, 100], 9, [3, 3, 3]);
        check([1, 100, 100], 9, [1, 4, 4]);
        check([100, 2, 100], 10, [4, 2, 4]);
        check([5, 5, 5], 0, [0, 0, 0]);
        check([5, 5, 5], 1, [0, 0, 1]);
    }
}
