//! Whether weak callers are remembered without a page: for a while after the state was made, and until what there was
//! to read at the very first start is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Readiness, ShardView, Views};
use crate::state::EmbeddedState;
use crate::state::embedded::Change;

/// One for all shards.
pub struct Learning {
    is_backlog_read: AtomicBool,
    state: Arc<EmbeddedState>,
    views: Arc<Views>,
    readiness: Arc<Readiness>,
}

impl Learning {
    /// As the state has it.
    pub fn new(state: Arc<EmbeddedState>, views: Arc<Views>, readiness: Arc<Readiness>) -> Self {
        Self { is_backlog_read: AtomicBool::new(state.is_backlog_read()), state, views, readiness }
    }

    /// Whether nobody is paged at `now_ms`, when that is so for `learn_for_ms` (0: never).
    pub fn is_on(&self, learn_for_ms: u64, now_ms: u64) -> bool {
        learn_for_ms > 0 && (now_ms < self.ends_ms(learn_for_ms) || self.waits_for_backlog())
    }

    /// Not all is read yet that there was to read at the very first start.
    pub fn waits_for_backlog(&self) -> bool {
        !self.is_backlog_read.load(Ordering::Relaxed)
    }

    /// What learning waits for, for people; none once what there was to read at the very first start is read.
    pub fn waits_for(&self) -> Option<Vec<String>> {
        if !self.waits_for_backlog() {
            return None;
        }
        let behind = self.views.all().into_iter().filter(|view| !view.has_caught_up());
        let shards = behind.map(|view| view.shard().to_string());
        Some(self.readiness.not_ready_because().into_iter().chain(shards).collect())
    }

    /// When learning ends at the earliest, if it is for `learn_for_ms`; milliseconds since 1970.
    pub fn ends_ms(&self, learn_for_ms: u64) -> u64 {
        self.state.created_ms().saturating_add(learn_for_ms)
    }

    /// A shard was read up to its newest record, and all of it is committed.
    pub async fn caught_up(&self, view: &ShardView, now_ms: u64) {
        view.catch_up();
        self.check(now_ms).await;
    }

    /// Notes, once, that every shard has caught up and every source was listed. What can't be written now is noted
    /// when a shard says so again.
    pub async fn check(&self, now_ms: u64) {
        if !self.waits_for_backlog() || self.readiness.is_waiting() {
            return;
        }
        let views = self.views.all();
        if views.is_empty() || !views.iter().all(|view| view.has_caught_up()) {
            return;
        }
        match self.state.write(Change::BacklogRead(now_ms)).await {
            Ok(_) => {
                self.is_backlog_read.store(true, Ordering::Relaxed);
                tracing::info!("what there was to read at the first start is read");
            }
            Err(error) => tracing::error!(%error, "it can't be noted that the first backlog is read"),
        }
    }
}
