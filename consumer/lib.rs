//! trailmeter meters CloudTrail: who still calls AWS with Signature Version 2, with old TLS or with a long-lived
//! key, since when, and how much of the traffic can't be judged.
//!
//! The modules stand in the order in which data flows.

use std::sync::Arc;

pub mod cli;
pub mod config;
pub mod generate;
pub mod source;

pub mod decode;
pub mod event;

pub mod duplicates;
pub mod totals;
pub mod window;

pub mod callers;
pub mod detect;

pub mod pipeline;
pub mod state;

pub mod alert;
pub mod sink;

pub mod html;
pub mod report;
pub mod scan;

pub mod metrics;
pub mod web;

pub mod backoff;
pub mod prefetch;
pub mod s3;

/// Wall time in milliseconds since 1970; an argument to all that needs it, so that tests can set it.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The machine's clock.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since_1970.map_or(0, |duration| duration.as_millis() as u64)
    })
}

/// A place where tests end the process as `kill -9` would. Nothing in a build without the feature `failpoints`.
fn failpoint(_name: &str) {
    fail::fail_point!(_name, |_| std::process::abort());
}
