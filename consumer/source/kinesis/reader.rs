//! Polls one shard.
//!
//! Enters: a position. Leaves: batches in the shard's order, until its end. Owns its iterator, its pace and the
//! room that its answers take. Whatever fails is tried again, and shown in the shard's status meanwhile.

use std::ops::ControlFlow;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

use super::api::{Answer, IteratorStart, StoredRecord};
use super::begin::{iterator_start, trimmed};
use super::pace::Pace;
use super::{Api, ApiError, KinesisSource};
use crate::source::{Advance, Batch, Payload, Position, Record, ShardId, ShardStatus};

/// An answer of GetRecords holds at most 10 MiB.
pub(super) const ROOM_KIB: u32 = 10 * 1024;
/// How often a quiet shard says that it is still read.
const QUIET_BATCH_MS: u64 = 1_000;
/// Refusals in a row that are worth showing to people: one or two are the service's daily business.
const SHOWN_REFUSALS: u32 = 3;
/// A shard that was just made may be unknown for a moment; it is gone only if it still is after so many tries.
const SURE_AFTER: u32 = 4;

/// The reading of one shard.
pub(super) struct Reader<A> {
    source: Arc<KinesisSource<A>>,
    shard: ShardId,
    status: Arc<ShardStatus>,
    batches: mpsc::Sender<Batch>,
    /// Where the next iterator begins; none at the shard's end.
    resume: Option<IteratorStart>,
    iterator: Option<String>,
    pace: Pace,
    /// Failures since the last answer.
    failures: u32,
    gap: bool,
    complete_until_ms: u64,
    told: Option<Told>,
}

/// What the last batch said.
#[derive(Clone, Copy)]
struct Told {
    behind_ms: Option<u64>,
    complete_until_ms: u64,
}

impl<A: Api> Reader<A> {
    /// Begins at `position`.
    pub(super) fn new(
        source: Arc<KinesisSource<A>>,
        shard: ShardId,
        position: Position,
        status: Arc<ShardStatus>,
        batches: mpsc::Sender<Batch>,
    ) -> Self {
        let complete_until_ms = match position {
            Position::Latest { since_ms: ms } | Position::AtTimestamp { ms } => ms,
            _ => 0,
        };
        Self {
            gap: trimmed(&source, &position),
            resume: iterator_start(&source, &shard, position),
            pace: Pace::new(source.options.reads_per_second),
            source,
            shard,
            status,
            batches,
            iterator: None,
            failures: 0,
            complete_until_ms,
            told: None,
        }
    }

    /// Reads until the shard's end, until `shutdown`, or until nobody takes the batches any more.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let batches = self.batches.clone();
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            () = batches.closed() => {}
            () = async { while self.step().await.is_continue() {} } => {}
        }
    }

    async fn step(&mut self) -> ControlFlow<()> {
        let Some(resume) = self.resume.clone() else { return self.end(false, None).await };
        self.pace.wait().await;
        let inflight = Arc::clone(&self.source.inflight);
        let room = match Arc::clone(&inflight).try_acquire_many_owned(ROOM_KIB) {
            Ok(room) => room,
            Err(_) => {
                self.status.wait_for_room();
                let Ok(room) = inflight.acquire_many_owned(ROOM_KIB).await else {
                    return ControlFlow::Break(());
                };
                room
            }
        };
        match self.ask(resume).await {
            Ok((answer, asked_ms)) => {
                self.failures = 0;
                self.status.set_error(None);
                self.hand_over(answer, asked_ms, room).await
            }
            Err(error) => {
                drop(room);
                self.recover(error).await
            }
        }
    }

    /// Asks once, and says when. All waiting was done before, so that a new iterator is used while it is young.
    async fn ask(&mut self, resume: IteratorStart) -> Result<(Answer, u64), ApiError> {
        let api = &self.source.api;
        let shard = self.shard.shard();
        if resume == IteratorStart::Latest {
            // The next iterator would begin at another newest record; by time, it misses nothing between.
            self.resume = Some(IteratorStart::AtTimestamp { ms: self.complete_until_ms });
        }
        let iterator = match self.iterator.take() {
            Some(iterator) => iterator,
            None => api.shard_iterator(shard, &resume).await?,
        };
        let asked_ms = self.source.now_ms();
        self.pace.sent();
        let answer = api.get_records(shard, &iterator, self.source.options.max_records).await;
        match answer {
            Ok(mut answer) => {
                self.iterator = answer.next_iterator.take();
                self.pace.answered(answer.records.iter().map(|record| record.data.len()).sum());
                Ok((answer, asked_ms))
            }
            Err(error) => {
                self.iterator = Some(iterator);
                Err(error)
            }
        }
    }

    async fn hand_over(
        &mut self,
        answer: Answer,
        asked_ms: u64,
        room: OwnedSemaphorePermit,
    ) -> ControlFlow<()> {
        let Answer { records, behind_ms, .. } = answer;
        let at_end = self.iterator.is_none();
        let last = records.last().map(|record| record.sequence_number.clone());
        let records: Vec<_> = records.into_iter().map(|record| with_arrival(record, asked_ms)).collect();
        // What arrived before the request was answered, if nothing is left behind; else what came so far.
        let reached_ms = match behind_ms {
            _ if at_end => asked_ms,
            Some(0) => asked_ms,
            _ => records.last().map_or(0, |record| record.arrival_ms),
        };
        self.complete_until_ms = self.complete_until_ms.max(reached_ms);
        let permit = keep_used(room, &records);
        if at_end {
            return self.end(false, Some((records, permit))).await;
        }
        if records.is_empty() && !self.worth_telling(behind_ms) {
            return ControlFlow::Continue(());
        }
        let advance = last.map(|number| {
            self.resume = Some(IteratorStart::AfterSequenceNumber(number.clone()));
            Advance::To(Position::AfterSequenceNumber(number))
        });
        let batch = self.batch(records, advance, behind_ms, permit);
        self.send(batch).await
    }

    fn worth_telling(&self, behind_ms: Option<u64>) -> bool {
        let Some(told) = self.told else { return true };
        let quiet_ms = self.complete_until_ms.saturating_sub(told.complete_until_ms);
        behind_ms != told.behind_ms || quiet_ms >= QUIET_BATCH_MS
    }

    /// Tells the shard's end, with its last records if there are any.
    async fn end(
        &mut self,
        gap: bool,
        last: Option<(Vec<Record>, Option<OwnedSemaphorePermit>)>,
    ) -> ControlFlow<()> {
        self.gap |= gap;
        let (records, permit) = last.unwrap_or_default();
        let mut batch = self.batch(records, Some(Advance::To(Position::ShardEnd)), Some(0), permit);
        batch.end = true;
        self.send(batch).await?;
        ControlFlow::Break(())
    }

    fn batch(
        &mut self,
        records: Vec<Record>,
        advance: Option<Advance>,
        behind_ms: Option<u64>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Batch {
        let complete_until_ms = self.complete_until_ms;
        self.told = Some(Told { behind_ms, complete_until_ms });
        let gap = std::mem::take(&mut self.gap);
        Batch { records, advance, behind_ms, complete_until_ms, gap, end: false, permit }
    }

    async fn send(&mut self, batch: Batch) -> ControlFlow<()> {
        match self.batches.send(batch).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    async fn recover(&mut self, error: ApiError) -> ControlFlow<()> {
        let delay = self.source.delay(self.failures);
        match &error {
            ApiError::ExpiredIterator(_) => {
                self.iterator = None;
                return ControlFlow::Continue(());
            }
            ApiError::Throttled(_) => {
                self.status.throttle();
                self.pace.refused(delay);
            }
            ApiError::NotFound(_) => {
                if self.failures >= SURE_AFTER && self.is_gone().await {
                    self.status.set_error(None);
                    return self.end(true, None).await;
                }
                self.iterator = None;
            }
            ApiError::AccessDenied(_) | ApiError::Permanent(_) => self.iterator = None,
            ApiError::Transient(_) => {}
        }
        self.failures = self.failures.saturating_add(1);
        if !matches!(error, ApiError::Throttled(_)) || self.failures >= SHOWN_REFUSALS {
            self.status.set_error(Some(error.to_string()));
        }
        tokio::time::sleep(delay).await;
        ControlFlow::Continue(())
    }

    /// Whether the stream is there without the shard. The service says the same of a missing stream, and a wrong
    /// region must not end all shards for good.
    async fn is_gone(&self) -> bool {
        let shards = self.source.api.list_shards().await;
        shards.is_ok_and(|shards| {
            !shards.is_empty() && shards.iter().all(|shard| shard.id != self.shard.shard())
        })
    }
}

fn with_arrival(record: StoredRecord, asked_ms: u64) -> Record {
    Record { payload: Payload::Bytes(record.data), arrival_ms: record.arrival_ms.unwrap_or(asked_ms) }
}

/// Gives back the room that the records do not take.
fn keep_used(mut room: OwnedSemaphorePermit, records: &[Record]) -> Option<OwnedSemaphorePermit> {
    let bytes = records.iter().map(|record| match &record.payload {
        Payload::Bytes(bytes) => bytes.len() + size_of::<Record>(),
        Payload::Units(units) => units.text.len(),
    });
    let used_kib = bytes.sum::<usize>().div_ceil(1024).clamp(1, ROOM_KIB as usize);
    room.split(used_kib)
}

#[cfg(test)]
mod tests;
