//! Whether weak callers are remembered without a page: for a while after the state was made, and until what there was
//! to read at the very first start is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Readiness, ShardView, Views};
use crate::state::embedded::Change;
use crate::state::{EmbeddedState, StateError};

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
        let ends_ms = self.state.created_ms().saturating_add(learn_for_ms);
        learn_for_ms > 0 && (now_ms < ends_ms || !self.is_backlog_read.load(Ordering::Relaxed))
    }

    /// A shard was read up to its newest record, and all of it is committed.
    ///
    /// # Errors
    /// The state can't be written.
    pub async fn caught_up(&self, view: &ShardView, now_ms: u64) -> Result<(), StateError> {
        view.catch_up();
        self.check(now_ms).await
    }

    /// Notes, once, that every shard has caught up and every source was listed.
    ///
    /// # Errors
    /// The state can't be written.
    pub async fn check(&self, now_ms: u64) -> Result<(), StateError> {
        if self.is_backlog_read.load(Ordering::Relaxed) || self.readiness.is_waiting() {
            return Ok(());
        }
        let views = self.views.all();
        if !views.is_empty() && views.iter().all(|view| view.has_caught_up()) {
            self.state.write(Change::BacklogRead(now_ms)).await?;
            self.is_backlog_read.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}
