//! A stream in memory that fails as it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::api::{Answer, Api, IteratorStart, NewRecord, StoredRecord};
use super::error::{ApiError, Refusal, Target};
use super::shards::Shard;
use super::{KinesisOptions, KinesisSource};

/// The wall time at which every test starts.
pub(super) const START_MS: u64 = 1_700_000_000_000;

/// What GetRecords does instead of answering.
pub(super) enum Fault {
    Error(ApiError),
    /// An answer without records, although there are some.
    Empty,
}

#[derive(Default)]
pub(super) struct State {
    pub shards: Vec<Shard>,
    pub records: BTreeMap<String, Vec<StoredRecord>>,
    pub list_faults: VecDeque<ApiError>,
    pub iterator_faults: VecDeque<ApiError>,
    pub read_faults: VecDeque<Fault>,
    pub retention: Option<Duration>,
    /// The time of each GetRecords.
    pub reads: Vec<Instant>,
    pub lists: Vec<Instant>,
    pub iterators: Vec<IteratorStart>,
    /// How many iterators were given out, and how many of these expired.
    issued: usize,
    expired: usize,
}

impl State {
    /// A new iterator, as `SERIAL:INDEX`.
    fn issue(&mut self, index: usize) -> String {
        self.issued += 1;
        format!("{}:{index}", self.issued)
    }
}

#[derive(Default)]
pub(super) struct Fake(pub Mutex<State>);

impl Fake {
    /// Adds a shard with `records` records of 1 KiB, one a second up to the start.
    pub(super) fn with_shard(self, shard: Shard, records: usize) -> Self {
        let mut state = self.0.lock();
        state.records.insert(shard.id.clone(), Vec::new());
        for n in 0..records {
            put(&mut state, &shard.id, START_MS - 1000 * (records - n) as u64);
        }
        state.shards.push(shard);
        drop(state);
        self
    }

    pub(super) fn put(&self, shard: &str, arrival_ms: u64) {
        put(&mut self.0.lock(), shard, arrival_ms);
    }
}

fn put(state: &mut State, shard: &str, arrival_ms: u64) {
    let records = state.records.entry(shard.to_owned()).or_default();
    let sequence_number = format!("{shard}-{:04}", records.len());
    let data = Bytes::from(format!("{sequence_number:<1024}"));
    records.push(StoredRecord { sequence_number, data, arrival_ms: Some(arrival_ms) });
}

pub(super) fn shard(id: &str, parents: &[&str], keys: (u128, u128), closed: bool) -> Shard {
    Shard {
        id: id.to_owned(),
        parent: parents.first().map(|id| (*id).to_owned()),
        adjacent_parent: parents.get(1).map(|id| (*id).to_owned()),
        starting_hash_key: keys.0,
        ending_hash_key: keys.1,
        closed,
    }
}

pub(super) fn target() -> Target {
    Target { stream: "cloudtrail".to_owned(), shard: None }
}

pub(super) fn refusal(code: &str) -> Refusal {
    Refusal { target: target(), operation: "GetRecords", code: code.to_owned(), message: String::new() }
}

/// A source over `fake`, whose wall time runs with tokio's and whose randomness is always 1.
pub(super) fn source(
    fake: Fake,
    change: impl FnOnce(&mut KinesisOptions),
) -> (Arc<KinesisSource<Fake>>, Arc<Semaphore>) {
    let mut options = KinesisOptions::new("trail", "cloudtrail");
    change(&mut options);
    let inflight = Arc::new(Semaphore::new(32 * 1024));
    let start = Instant::now();
    let clock = Arc::new(move || START_MS + start.elapsed().as_millis() as u64);
    let source = KinesisSource::with_api(options, fake, inflight.clone(), clock, Arc::new(|| 1.0));
    (Arc::new(source.unwrap()), inflight)
}

impl Api for Fake {
    async fn list_shards(&self) -> Result<Vec<Shard>, ApiError> {
        let mut state = self.0.lock();
        state.lists.push(Instant::now());
        state.list_faults.pop_front().map_or_else(|| Ok(state.shards.clone()), Err)
    }

    async fn shard_iterator(&self, shard: &str, start: &IteratorStart) -> Result<String, ApiError> {
        let mut state = self.0.lock();
        state.iterators.push(start.clone());
        if let Some(error) = state.iterator_faults.pop_front() {
            return Err(error);
        }
        let records = state.records.get(shard).ok_or_else(|| ApiError::NotFound(target()))?;
        let index = match start {
            IteratorStart::TrimHorizon => 0,
            IteratorStart::Latest => records.len(),
            IteratorStart::AtTimestamp { ms } => {
                records.iter().take_while(|record| record.arrival_ms < Some(*ms)).count()
            }
            IteratorStart::AfterSequenceNumber(number) => {
                records.iter().take_while(|record| record.sequence_number <= *number).count()
            }
        };
        Ok(state.issue(index))
    }

    async fn get_records(&self, shard: &str, iterator: &str, limit: i32) -> Result<Answer, ApiError> {
        let mut state = self.0.lock();
        state.reads.push(Instant::now());
        let (serial, from) = iterator.split_once(':').unwrap();
        let (serial, from): (usize, usize) = (serial.parse().unwrap(), from.parse().unwrap());
        match state.read_faults.pop_front() {
            Some(Fault::Error(error)) => {
                if matches!(error, ApiError::ExpiredIterator(_)) {
                    state.expired = state.issued;
                }
                return Err(error);
            }
            _ if serial <= state.expired => return Err(ApiError::ExpiredIterator(target())),
            Some(Fault::Empty) => {
                let next_iterator = Some(iterator.to_owned());
                return Ok(Answer { records: Vec::new(), next_iterator, behind_ms: Some(1000) });
            }
            None => {}
        }
        let all = state.records.get(shard).ok_or_else(|| ApiError::NotFound(target()))?;
        let to = all.len().min(from + usize::try_from(limit).unwrap());
        let closed = state.shards.iter().any(|listed| listed.id == shard && listed.closed);
        let at_tip = to == all.len();
        let records = all[from..to].to_vec();
        let next_iterator = (!(closed && at_tip)).then(|| state.issue(to));
        Ok(Answer { records, next_iterator, behind_ms: Some(if at_tip { 0 } else { 1000 }) })
    }

    async fn retention(&self) -> Result<Duration, ApiError> {
        let retention = self.0.lock().retention;
        retention.ok_or_else(|| ApiError::AccessDenied(refusal("AccessDeniedException")))
    }

    async fn put_records(&self, records: Vec<NewRecord>) -> Result<Vec<Result<(), String>>, ApiError> {
        Ok(records.iter().map(|_| Err("InternalFailure".to_owned())).collect())
    }
}
