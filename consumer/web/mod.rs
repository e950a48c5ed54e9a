//! What people and Prometheus ask: `/metrics`, `/-/…`, `/api/v1`, the page.
//!
//! Enters: HTTP requests and what the shards have committed. Leaves: text, JSON and HTML. Nothing is written
//! here but the computed gauges, just before they are read. Texts that came with events are hostile: JSON and the
//! metrics' format escape them by themselves, the page through `page::html`. Reads run beside the async tasks,
//! and few large answers are in memory at once. A request fails alone: with a message that names the fix, never
//! with a panic.

pub mod access;
mod api;
mod callers;
mod cursor;
mod error;
mod guard;
mod inventory;
mod page;
mod parameters;
mod probes;
mod room;
mod routes;
mod rules;
mod runbooks;
mod scrape;
mod serve;
mod shards;
mod shared;
mod stall;
mod summary;
#[cfg(test)]
mod tests;
mod windows;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::Clock;
use crate::metrics::Metrics;
use crate::pipeline::{Learning, Readiness, Settings, Views};
use crate::sink::{Shown, SinkStatus};
use crate::source::Source;
use crate::state::EmbeddedState;

pub use rules::RulesStatus;
pub use serve::serve;

/// Asks for the config to be read again; takes the answer, with the reason if the old one stays in force.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// What the answers are drawn from.
pub struct Web {
    /// What is committed.
    pub views: Arc<Views>,
    /// The weak callers.
    pub state: Arc<EmbeddedState>,
    /// Whether weak callers are remembered without a page.
    pub learning: Arc<Learning>,
    /// Where records come from.
    pub sources: Vec<Arc<dyn Source>>,
    /// What each sink of alerts shows of itself.
    pub sinks: Vec<Arc<SinkStatus>>,
    /// Whether traffic may come.
    pub readiness: Arc<Readiness>,
    /// The series.
    pub metrics: Arc<Metrics>,
    /// What of the config may change while the process runs; `series` bounds `/metrics`.
    pub settings: watch::Receiver<Arc<Settings>>,
    /// The rules in force.
    pub rules: watch::Receiver<Arc<RulesStatus>>,
    /// Who may ask.
    pub access: Arc<access::Access>,
    /// The wall clock.
    pub clock: Clock,
    /// The config in force.
    pub status: watch::Receiver<Arc<Status>>,
    /// Takes what `POST /-/reload` asks for; none where there is no config file to read again.
    pub reload: Option<mpsc::Sender<ReloadRequest>>,
}

impl Web {
    /// What the sinks show of themselves.
    fn shown_sinks(&self) -> impl Iterator<Item = Shown> {
        let newest = *self.state.newest_alert().borrow();
        self.sinks.iter().map(move |sink| sink.shown(newest))
    }
}

/// The config in force, as far as it is shown or heeded here.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// As `config show` prints it, without secrets.
    pub config: serde_json::Value,
    /// `POST /-/reload` is allowed (`web.enable_reload`).
    pub reload_enabled: bool,
}

/// What clients may cost.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at once (`web.max_connections`); further ones wait until one ends.
    pub max_connections: usize,
    /// Bytes of a request's body (`web.max_body`).
    pub max_body: usize,
    /// Requests of one side a second (`web.max_requests_per_second`); 0: without a limit.
    pub requests_per_second: u32,
    /// For each of these: the head of a request to arrive, the answer to be ready, the client to take some of
    /// it, the connections to end at shutdown.
    pub timeout: Duration,
}
