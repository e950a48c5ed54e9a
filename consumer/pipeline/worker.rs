//! The task that owns one shard: reads its batches in order, counts, commits.
//!
//! A commit is due an interval after the last one (at once, if nothing was counted for so long), when what is
//! pending grows large, and at the shard's end. A commit that fails is repeated until it succeeds or the process
//! is told to stop; reading waits meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;

use super::learning::Learning;
use super::{Counter, Settings, ShardView, Views};
use crate::callers::verdict::Verdict;
use crate::callers::{OwnedKey, Row};
use crate::decode::Decoder;
use crate::detect::decide::{Deciding, Outcome, WITHHELD};
use crate::event::judge::Weakness;
use crate::metrics::{Metrics, Observations};
use crate::prefetch::one_ahead;
use crate::source::{Advance, Batch, Batches, FileProgress, Payload};
use crate::state::embedded::Change;
use crate::state::{
    Commit, DetectionCommit, EmbeddedState, IDS_PER_PART, Judge, Remembered, ShardHeader, StateError,
    StoredBytes,
};
use crate::state::{WeakCommit, Written, encode_delta, encode_snapshot};
use crate::window::{HOUR_S, MINUTE_S, PieceReader, bucket};
use crate::{Clock, failpoint};

/// Decoding gives way to other tasks after this many bytes.
const SLICE_BYTES: usize = 1 << 20;
/// Between two tries of a commit that fails.
const RETRY: Duration = Duration::from_secs(1);
/// That a shard is complete up to now is worth a commit of its own only so often.
const IDLE_COMMIT: Duration = Duration::from_secs(30);

/// People are told of a match at once, unless they were told of others just before: a noisy rule makes no commit of every
/// batch.
const MATCHES_COMMIT: Duration = Duration::from_millis(100);

/// How a shard's task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The shard was read to its end.
    Finished,
    /// There is nothing more to read, or the process stops.
    Stopped,
}

/// A shard's task.
pub struct Worker {
    pub view: Arc<ShardView>,
    pub state: Arc<EmbeddedState>,
    pub counter: Counter,
    pub decoder: Decoder,
    pub settings: watch::Receiver<Arc<Settings>>,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
    pub stored: StoredBytes,
    pub shutdown: CancellationToken,
    /// The header as the next commit will write it.
    pub header: ShardHeader,
    /// Records were lost before the first batch: the shard stood still for longer than the stream keeps them.
    pub stood_still: bool,
    /// How far files were read since the last commit.
    pub files: BTreeMap<String, FileProgress>,
    pub unsaved: Unsaved,
    pub processing: Observations,
    pub learning: Arc<Learning>,
    /// Where the page is served, if alerts go anywhere.
    pub alert_link: Option<Arc<str>>,
    /// All shards' views.
    pub views: Arc<Views>,
    /// Rules found something of which people may be told.
    pub has_matches: bool,
}

/// What the next commit would be for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unsaved {
    /// Nothing changed.
    #[default]
    Nothing,
    /// Only how far the shard is complete.
    Completeness,
    /// The position moved, or something was counted.
    Position,
}

impl Worker {
    /// Reads `batches` to their end.
    ///
    /// # Errors
    /// The state could not be written until the process was told to stop.
    pub async fn run(mut self, mut batches: Batches) -> Result<End, StateError> {
        self.view.write(|committed| committed.is_read = true);
        let mut committed_at: Option<Instant> = None;
        loop {
            let due = committed_at.map_or_else(Instant::now, |at| at + self.commit_after());
            let batch = match self.unsaved {
                Unsaved::Nothing => batches.next().await,
                _ => tokio::select! {
                    biased;
                    () = sleep_until(due) => {
                        self.commit().await?;
                        committed_at = Some(Instant::now());
                        continue;
                    }
                    batch = batches.next() => batch,
                },
            };
            let Some(batch) = batch else { break };
            let (is_end, is_newest) = (batch.end, batch.behind_ms == Some(0));
            self.count(batch).await;
            let is_news = self.is_news();
            if is_end || is_news || self.pending_bytes() > self.settings.borrow().commit_bytes {
                self.commit().await?;
                committed_at = Some(Instant::now());
            }
            if is_newest && self.learning.waits_for_backlog() {
                // What was there at the start is judged before learning may end.
                if !self.view.has_caught_up() && self.unsaved != Unsaved::Nothing {
                    self.commit().await?;
                    committed_at = Some(Instant::now());
                }
                self.learning.caught_up(&self.view, (self.clock)()).await;
            }
            if is_end {
                self.view.write(|committed| committed.is_read = false);
                return Ok(End::Finished);
            }
        }
        if self.unsaved != Unsaved::Nothing {
            self.commit().await?;
        }
        self.view.write(|committed| committed.is_read = false);
        if !self.shutdown.is_cancelled() {
            self.learning.caught_up(&self.view, (self.clock)()).await;
        }
        Ok(End::Stopped)
    }

    /// Whether people are told of a caller that was met since this was last asked: then the commit that decides it, and
    /// tells, does not wait. Only a look ahead: another shard may be first.
    fn is_news(&mut self) -> bool {
        let news = self.counter.pending.weak.take_news();
        if news.is_empty() {
            return false;
        }
        let rows = match self.state.caller_rows(news.iter().map(|(key, _)| key.borrow())) {
            Ok((rows, _)) => rows,
            // Nothing depends on it; the commit meets the same trouble, and waits.
            Err(_) => return true,
        };
        let judge = self.judge();
        let is_paged = |((key, time_s), row): (&(OwnedKey, i64), &Option<Row>)| {
            let known = row.as_ref().map(Row::known);
            judge.policy.judge(known, key.borrow(), *time_s, judge.is_learning) == Verdict::Page
        };
        let is_news = news.iter().zip(&rows).any(is_paged);
        if is_news {
            failpoint("page_before");
        }
        is_news
    }

    /// By what the next commit judges who is new.
    fn judge(&self) -> Judge {
        let (policy, now_ms) = (Arc::clone(&self.settings.borrow().weak_callers), (self.clock)());
        let is_learning = self.learning.is_on(policy.learn_for_ms, now_ms);
        Judge { policy, is_learning, now_ms, alert_link: self.alert_link.clone() }
    }

    fn commit_after(&self) -> Duration {
        let interval = Duration::from_millis(self.settings.borrow().commit_interval_ms);
        match self.unsaved {
            _ if self.has_matches => interval.min(MATCHES_COMMIT),
            Unsaved::Completeness => IDLE_COMMIT,
            _ => interval,
        }
    }

    fn pending_bytes(&self) -> usize {
        let pending = &self.counter.pending;
        let counted = pending.delta.bytes() + pending.weak.bytes() + self.counter.detector.bytes();
        counted + self.counter.duplicates.uncommitted() * 16
    }

    async fn count(&mut self, batch: Batch) {
        let (began_ms, began) = ((self.clock)(), Instant::now());
        self.take_up_settings();
        let mut slice_bytes = 0;
        for record in one_ahead(&batch.records, |next| next.payload.prefetch()) {
            self.counter.begin_record(record.arrival_ms, began_ms);
            self.decoder.decode(&record.payload, &mut self.counter);
            slice_bytes += payload_bytes(&record.payload);
            if slice_bytes > SLICE_BYTES {
                slice_bytes = 0;
                tokio::task::yield_now().await;
            }
        }
        self.has_matches |= self.counter.detector.take_news() && self.alert_link.is_some();
        self.processing.observe(began.elapsed());
        self.view.set_behind_ms(batch.behind_ms);
        self.note(batch, began_ms);
    }

    fn take_up_settings(&mut self) {
        if self.settings.has_changed().unwrap_or(false) {
            let settings = Arc::clone(&self.settings.borrow_and_update());
            self.decoder.set_limits(settings.decode);
            self.counter.set_settings(settings);
        }
    }

    /// Notes what the next commit will say of the position.
    fn note(&mut self, batch: Batch, now_ms: u64) {
        let first_arrival_ms =
            batch.records.first().map_or(batch.complete_until_ms, |record| record.arrival_ms);
        self.header.extend_stretch(
            first_arrival_ms.min(now_ms),
            batch.complete_until_ms,
            batch.gap || self.stood_still,
        );
        self.stood_still = false;
        self.unsaved = self.unsaved.max(Unsaved::Completeness);
        if batch.advance.is_some() || !batch.records.is_empty() {
            self.unsaved = Unsaved::Position;
        }
        match batch.advance {
            Some(Advance::To(position)) => self.header.position = position,
            Some(Advance::Files(files)) => self.files.extend(files),
            None => {}
        }
    }

    /// Makes everything so far durable, then shows it.
    async fn commit(&mut self) -> Result<(), StateError> {
        let now_ms = (self.clock)();
        let counter = &mut self.counter;
        let is_newer = counter.newest_s > self.header.newest_s;
        self.header.newest_s = counter.newest_s;
        if is_newer {
            self.header.newest_committed_ms = now_ms;
        }
        self.header.committed_ms = now_ms;
        self.header.broken_document = self.decoder.broken_document();
        self.header.totals.add(&counter.pending.totals);
        let ids = counter.duplicates.take_uncommitted();
        let is_empty = counter.pending.delta.is_empty() && ids.ids.is_empty();
        let piece =
            if is_empty { Bytes::new() } else { encode_delta(counter.pending.delta.piece(), ids).into() };
        let callers = counter.pending.weak.take();
        let judge = self.judge();
        let detections = Arc::new(self.detections(&judge, now_ms));
        let weak = Arc::new(WeakCommit { callers, judge });
        failpoint("commit_before");
        let Written { bytes, remembered, outcomes, .. } = self.write(piece, weak, detections).await?;
        failpoint("commit_after");
        self.stored.since += bytes;
        self.show(&remembered, now_ms);
        self.show_matches(&outcomes);
        self.unsaved = Unsaved::Nothing;
        self.has_matches = false;
        self.files.clear();
        if self.stored.wants_snapshot() {
            self.snapshot().await;
        }
        Ok(())
    }

    /// What rules matched since the last commit.
    fn detections(&mut self, judge: &Judge, now_ms: u64) -> DetectionCommit {
        let settings = Arc::clone(&self.settings.borrow());
        DetectionCommit {
            deltas: self.counter.detector.take(),
            deciding: Deciding {
                now_ms,
                is_learning: judge.is_learning,
                alert_link: judge.alert_link.clone(),
                per_minute: settings.rules.per_minute,
                slowest_s: self.views.slowest_but_s(self.view.shard()),
            },
            newest_s: self.header.newest_s.unwrap_or_default(),
            state_ids: Arc::clone(&settings.rules.state_ids),
            values: settings.rules.values,
            matches: settings.rules.matches,
        }
    }

    async fn write(
        &self,
        piece: Bytes,
        weak: Arc<WeakCommit>,
        detections: Arc<DetectionCommit>,
    ) -> Result<Written, StateError> {
        loop {
            let commit = Commit {
                shard: self.view.shard().clone(),
                header: self.header.clone(),
                piece: piece.clone(),
                files: self.files.iter().map(|(file, progress)| (file.clone(), progress.clone())).collect(),
                weak: Arc::clone(&weak),
                detections: Arc::clone(&detections),
            };
            let error = match self.state.write(Change::Commit(Box::new(commit))).await {
                Ok(written) => {
                    self.metrics.commits.with_label_values(&["committed"]).inc();
                    return Ok(written);
                }
                Err(error) => error,
            };
            self.metrics.commits.with_label_values(&["failed"]).inc();
            tracing::error!(shard = %self.view.shard(), %error, "commit failed, reading waits");
            if self.shutdown.is_cancelled() {
                return Err(error);
            }
            // Either way it is tried again: a last time if the process stops.
            timeout(RETRY, self.shutdown.cancelled()).await.ok();
        }
    }

    /// Moves the view and the metrics on to what is now durable.
    fn show(&mut self, remembered: &Remembered, now_ms: u64) {
        let pending = &mut self.counter.pending;
        let (header, callers) = (&self.header, self.settings.borrow().callers);
        let overflow = self.view.write(|committed| {
            committed.header = header.clone();
            if let Some(newest_s) = header.newest_s {
                committed.windows.advance(bucket(newest_s, MINUTE_S), bucket(newest_s, HOUR_S));
            }
            PieceReader::default().merge(&pending.delta.piece(), &mut committed.windows, callers)
        });
        let limit_hits = &self.metrics.limit_hits;
        limit_hits.with_label_values(&["callers"]).inc_by(overflow.own);
        limit_hits.with_label_values(&["outside_callers"]).inc_by(overflow.outside);
        limit_hits.with_label_values(&["inflight_bytes"]).inc_by(self.view.status().take_waits_for_room());
        limit_hits.with_label_values(&["weak_callers"]).inc_by(remembered.overflow.own);
        limit_hits.with_label_values(&["outside_weak_callers"]).inc_by(remembered.overflow.outside);
        pending.weak.remember(&remembered.decided);
        for (weakness, count) in Weakness::ALL.iter().zip(remembered.new_callers) {
            self.metrics.new_callers.with_label_values(&[weakness.label()]).inc_by(count);
        }
        pending.count_into(&self.metrics, self.view.kind(), now_ms);
        self.metrics.processing.add(&mut self.processing, now_ms);
        self.metrics.duplicates_evicted.inc_by(self.counter.duplicates.take_evicted());
    }

    /// Counts what became of rules' matches.
    fn show_matches(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            let (rule, priority) = (outcome.rule.name.as_str(), outcome.rule.priority.label());
            self.metrics.rule_matches.with_label_values(&[rule, priority]).inc_by(outcome.matches);
            for (reason, count) in WITHHELD.iter().zip(outcome.withheld) {
                self.metrics.rule_matches_withheld.with_label_values(&[rule, reason]).inc_by(count);
            }
            self.metrics.limit_hits.with_label_values(&["rule_values"]).inc_by(outcome.overflow);
            self.counter.detector.remember(&outcome.known);
        }
    }

    /// Replaces the pieces by what they add up to. Failing costs nothing but room.
    async fn snapshot(&mut self) {
        let view = Arc::clone(&self.view);
        // Lent to the thread that writes, not copied: the ids are the larger part of a small state.
        let lent = Arc::new(std::mem::take(&mut self.counter.duplicates));
        let duplicates = Arc::clone(&lent);
        let change = Change::Snapshot(
            self.view.shard().clone(),
            Box::new(move |write| {
                let ids = duplicates.pieces(IDS_PER_PART);
                view.read(|committed| encode_snapshot(&committed.windows, ids, write));
            }),
        );
        let written = self.state.write(change).await;
        self.counter.duplicates =
            Arc::try_unwrap(lent).unwrap_or_else(|_| unreachable!("the change is done with"));
        match written {
            Ok(Written { bytes, .. }) => self.stored = StoredBytes { snapshot: bytes, since: 0 },
            Err(error) => {
                tracing::error!(shard = %self.view.shard(), %error, "snapshot failed, the state's file grows");
                self.stored.snapshot = self.stored.since;
            }
        }
    }
}

fn payload_bytes(payload: &Payload) -> usize {
    match payload {
        Payload::Bytes(bytes) => bytes.len(),
        Payload::Units(units) => units.text.len(),
    }
}
