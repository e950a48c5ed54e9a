//! Where alerts go: Alertmanager, a webhook, standard output.
//!
//! Enters: alerts that are committed, from the state's outbox. Leaves: requests and lines, at least once each, and
//! the note in the state that they were taken. Each sink has a task, a cursor and counters of its own: one that is
//! down delays no other, and what waits for it waits on disk. Nothing here slows the shards' tasks.

mod alertmanager;
mod http;
mod once;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Clock;
use crate::alert::Alert;
use crate::backoff::Backoff;
use crate::metrics::Metrics;
use crate::state::embedded::{Change, Cursor, Delivered};
use crate::state::{EmbeddedState, StateError};

pub use http::{BasicAuth, Client, HttpTarget, Password, Tls};

/// Alerts that are sent at once: some 100 KB.
const BATCH: usize = 64;

/// Between two tries to note in the state what was delivered.
const NOTE_AGAIN: Duration = Duration::from_secs(1);

/// Where alerts go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkOptions {
    /// A replica of Alertmanager, by its API v2.
    Alertmanager(HttpTarget),
    /// A program that takes what Alertmanager posts to webhooks.
    Webhook(HttpTarget),
    /// Lines of JSON on standard output.
    Stdout,
}

impl SinkOptions {
    /// The name in the metrics and in the state: `alertmanager/HOST:PORT`, `webhook/HOST:PORT`, `stdout`.
    pub fn name(&self) -> String {
        match self {
            Self::Alertmanager(target) => format!("alertmanager/{}", target.place()),
            Self::Webhook(target) => format!("webhook/{}", target.place()),
            Self::Stdout => "stdout".to_owned(),
        }
    }
}

/// How alerts are held at Alertmanager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Between two sendings of what is held, in milliseconds (`alerts.resend`).
    pub resend_ms: u64,
    /// How long an alert is held once one replica took it, in milliseconds (`alerts.hold`).
    pub hold_ms: u64,
}

/// What a sink shows of itself.
#[derive(Default)]
pub struct SinkStatus {
    shown: Mutex<Shown>,
    sent: AtomicU64,
}

/// What a sink shows of itself, as of now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// The name.
    pub sink: String,
    /// Alerts that are committed and not delivered here.
    pub undelivered: u64,
    /// What keeps it from delivering.
    pub error: Option<String>,
    /// When it last took alerts, in milliseconds since 1970.
    pub delivered_ms: Option<u64>,
}

impl SinkStatus {
    /// As of now, when the newest alert has this number.
    pub fn shown(&self, newest: u64) -> Shown {
        let undelivered = newest.saturating_sub(self.sent.load(Ordering::Relaxed));
        Shown { undelivered, ..self.shown.lock().clone() }
    }
}

/// All sinks at work.
pub struct Sinks {
    tasks: JoinSet<()>,
    stop: CancellationToken,
    statuses: Vec<Arc<SinkStatus>>,
}

/// What every sink's task needs.
struct Outbox {
    name: String,
    state: Arc<EmbeddedState>,
    metrics: Arc<Metrics>,
    clock: Clock,
    /// Where the page is served.
    link: Arc<str>,
    status: Arc<SinkStatus>,
    cursor: Cursor,
    failures: u32,
    /// Deliver what there is, then end.
    stop: CancellationToken,
}

/// Why something was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
enum SendError {
    /// Something in it is not as it should be; or what answers is not what it should be.
    Refused(String),
    /// It may be taken later.
    Failed(String),
}

impl Sinks {
    /// Starts a task for each sink.
    ///
    /// # Errors
    /// A client can't be made (in words that name the fix), or the state can't be written.
    pub async fn start(
        options: Vec<SinkOptions>,
        holding: Holding,
        state: &Arc<EmbeddedState>,
        metrics: &Arc<Metrics>,
        clock: &Clock,
        link: &Arc<str>,
    ) -> anyhow::Result<Self> {
        let names: Vec<String> = options.iter().map(SinkOptions::name).collect();
        state.write(Change::Sinks(names.clone())).await?;
        let (mut tasks, mut statuses) = (JoinSet::new(), Vec::new());
        let stop = CancellationToken::new();
        for (options, name) in options.into_iter().zip(names) {
            let (status, cursor) = (Arc::new(SinkStatus::default()), state.cursor(&name)?);
            status.shown.lock().sink.clone_from(&name);
            status.sent.store(cursor.sent, Ordering::Relaxed);
            metrics.add_sink(&name);
            let outbox = Outbox {
                cursor,
                name,
                state: Arc::clone(state),
                metrics: Arc::clone(metrics),
                clock: Arc::clone(clock),
                link: Arc::clone(link),
                status: Arc::clone(&status),
                failures: 0,
                stop: stop.clone(),
            };
            statuses.push(status);
            match options {
                SinkOptions::Alertmanager(target) => {
                    let client = http::Client::new(target)?;
                    tasks.spawn(alertmanager::run(outbox, client, holding));
                }
                SinkOptions::Webhook(target) => {
                    tasks.spawn(once::run(
                        outbox,
                        once::Target::Webhook(Box::new(http::Client::new(target)?)),
                    ));
                }
                SinkOptions::Stdout => {
                    tasks.spawn(once::run(outbox, once::Target::Stdout));
                }
            }
        }
        Ok(Self { tasks, stop, statuses })
    }

    /// What each sink shows of itself.
    pub fn statuses(&self) -> Vec<Arc<SinkStatus>> {
        self.statuses.clone()
    }

    /// Lets each deliver what is committed, once, within `at_most`; the rest waits for the next start.
    pub async fn stop(mut self, at_most: Duration) {
        self.stop.cancel();
        let drained = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(at_most, drained).await.is_err() {
            tracing::warn!("a sink did not answer in time: its alerts are sent at the next start");
        }
    }
}

impl Outbox {
    /// Makes what was done durable. Nothing more is sent before that: it would be sent again after a restart.
    async fn note(&mut self, cursor: Cursor, accepted: Option<(std::ops::RangeInclusive<u64>, u64)>) {
        if cursor == self.cursor && accepted.is_none() {
            return;
        }
        self.cursor = cursor;
        self.status.sent.store(cursor.sent, Ordering::Relaxed);
        let delivered = Delivered { sink: self.name.clone(), cursor, accepted };
        while let Err(error) = self.state.write(Change::Delivered(delivered.clone())).await {
            self.trouble(&error.to_string());
            if self.stop.is_cancelled() {
                return;
            }
            tokio::time::sleep(NOTE_AGAIN).await;
        }
    }

    fn count(&self, outcome: &str, alerts: usize) {
        self.metrics.alerts.with_label_values(&[&self.name, outcome]).inc_by(alerts as u64);
    }

    /// Something was taken.
    fn succeeded(&mut self) {
        self.failures = 0;
        let mut shown = self.status.shown.lock();
        if shown.error.take().is_some() {
            tracing::info!(sink = self.name, "alerts are taken again");
        }
        shown.delivered_ms = Some((self.clock)());
    }

    /// Shows what is wrong, and tells it once.
    fn trouble(&self, error: &str) {
        let is_news = self.status.shown.lock().error.replace(error.to_owned()).is_none();
        if is_news {
            tracing::error!(sink = self.name, error, "alerts are not taken: they wait, and are sent again");
        }
    }

    /// Something was not taken. Waits for a while; no longer than until the process stops.
    async fn failed(&mut self, alerts: usize, error: &str) {
        self.count("failed", alerts);
        self.trouble(error);
        let pause = Backoff::default().delay(self.failures, rand::random());
        self.failures = self.failures.saturating_add(1);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// Of `sent` alerts these were refused one by one. Where others were taken, it is these that are not as they should
    /// be: that is told in the log, and they are passed over. Where none was, it is not the alerts.
    fn pass_over(&self, refusals: Vec<(&Alert, String)>, sent: usize) -> Result<(), String> {
        if let Some((_, why)) = refusals.first().filter(|_| refusals.len() == sent) {
            return Err(why.clone());
        }
        for (alert, why) in refusals {
            self.count("rejected", 1);
            let labels = &alert.labels;
            tracing::error!(sink = self.name, ?labels, why, "an alert is refused and passed over");
        }
        Ok(())
    }

    /// The state can't be read or written just now: the shards' tasks see to that.
    async fn pause(&mut self, error: StateError) {
        self.failed(0, &error.to_string()).await;
    }

    /// Everything is sent and over: whatever was wrong is so no more, as far as anyone can tell.
    fn idle(&self, newest: u64) {
        if self.cursor.over >= newest {
            self.status.shown.lock().error = None;
        }
    }
}

#[cfg(test)]
mod tests;
