//! A stream within the process: generated events as EventBridge puts them onto Kinesis, spread over several shards.
//!
//! Enters: a seed and the wall clock. Leaves: the last day's events at once, then new ones as time goes. Nothing is
//! kept: after a restart the events go on, with those of the time between missing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::{
    Advance, Announcement, Batch, Batches, Coordination, Payload, Position, Record, ShardId, ShardPlan,
    ShardStatus, Source, StoredShard,
};
use crate::Clock;
use crate::generate::{Envelope, Generated, LiveOrganisation, partition_key};

/// Between two batches of new events.
const TICK: Duration = Duration::from_millis(200);
/// Events of the backlog in one batch.
const BACKLOG_BATCH: usize = 1000;

/// What is generated.
#[derive(Clone, Debug)]
pub struct GeneratorOptions {
    /// The source's name.
    pub name: String,
    /// The same seed gives the same organisation.
    pub seed: u64,
    /// Events per second.
    pub rate: u32,
    /// Events of the day before the start.
    pub backlog: u32,
    /// Shards that the events are spread over by their ids.
    pub shards: u32,
}

/// Generated events as a source.
pub struct GeneratorSource {
    options: GeneratorOptions,
    clock: Clock,
    /// Where each shard's batches go; taken by the one task that generates for all.
    channels: Mutex<Vec<Channel>>,
}

/// The way from the generating task to a shard's, until that takes its end.
type Channel = (mpsc::Sender<Batch>, Option<mpsc::Receiver<Batch>>);

impl GeneratorSource {
    /// A source of generated events.
    pub fn new(options: GeneratorOptions, clock: Clock) -> Self {
        let channel = |_| {
            let (sender, receiver) = mpsc::channel(2);
            (sender, Some(receiver))
        };
        let channels = Mutex::new((0..options.shards).map(channel).collect());
        Self { options, clock, channels }
    }

    fn shard(&self, number: usize) -> ShardId {
        ShardId::new(&self.options.name, &format!("shardId-{number:012}"))
    }

    async fn generate(&self, is_first_start: bool, shutdown: &CancellationToken) -> Result<(), Stopped> {
        let senders: Vec<_> = self.channels.lock().iter().map(|(sender, _)| sender.clone()).collect();
        let started_ms = (self.clock)();
        // The name of the organisation stays; what happens in it differs from start to start.
        let mut organisation = LiveOrganisation::with_rate(self.options.seed, u64::from(self.options.rate));
        if is_first_start {
            let backlog =
                organisation.backlog((started_ms / 1000).cast_signed(), u64::from(self.options.backlog));
            let backlog: Vec<Generated> = backlog.collect();
            for events in backlog.chunks(BACKLOG_BATCH) {
                // How far in time this is from now has no meaning; that it is behind has.
                self.put(events, None, &senders, shutdown).await?;
            }
        }
        let mut from_ms = started_ms.cast_signed();
        let mut ticks = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Err(Stopped),
                _ = ticks.tick() => {}
            }
            let to_ms = (self.clock)().cast_signed();
            if to_ms > from_ms {
                let events = organisation.events_until(from_ms, to_ms);
                self.put(&events, Some(0), &senders, shutdown).await?;
                from_ms = to_ms;
            }
        }
    }

    async fn put(
        &self,
        events: &[Generated],
        behind_ms: Option<u64>,
        senders: &[mpsc::Sender<Batch>],
        shutdown: &CancellationToken,
    ) -> Result<(), Stopped> {
        let arrival_ms = (self.clock)();
        let mut records: Vec<Vec<Record>> = senders.iter().map(|_| Vec::new()).collect();
        for event in events {
            let key = partition_key(&event.json);
            let shard = xxhash_rust::xxh3::xxh3_64(key.as_bytes()) % senders.len() as u64;
            for wrapped in Envelope::EventBridge.wrap(&[&event.json]) {
                let record = Record { payload: Payload::Bytes(Bytes::from(wrapped)), arrival_ms };
                records[shard as usize].push(record);
            }
        }
        for (sender, records) in senders.iter().zip(records) {
            if records.is_empty() {
                continue;
            }
            let batch = Batch {
                records,
                advance: Some(Advance::To(Position::Latest { since_ms: arrival_ms })),
                behind_ms,
                complete_until_ms: arrival_ms,
                gap: false,
                end: false,
                permit: None,
            };
            tokio::select! {
                () = shutdown.cancelled() => return Err(Stopped),
                sent = sender.send(batch) => sent.map_err(|_| Stopped)?,
            }
        }
        Ok(())
    }
}

/// The process stops.
struct Stopped;

impl Source for GeneratorSource {
    fn kind(&self) -> &'static str {
        "generator"
    }

    fn name(&self) -> &str {
        &self.options.name
    }

    fn coordinate(
        self: Arc<Self>,
        stored: Vec<StoredShard>,
        announce: mpsc::Sender<Announcement>,
        _finished: mpsc::Receiver<ShardId>,
        shutdown: CancellationToken,
    ) -> Coordination {
        Box::pin(async move {
            let shards: Vec<ShardId> =
                (0..self.options.shards as usize).map(|number| self.shard(number)).collect();
            let begin = Position::Latest { since_ms: (self.clock)() };
            let mut announcements = Vec::new();
            if stored.is_empty() {
                let initial = shards.iter().map(|shard| (shard.clone(), begin.clone()));
                announcements.push(Announcement::Initial(initial.collect()));
            }
            let plan = |shard| ShardPlan { shard, begin: begin.clone(), parents: Vec::new() };
            announcements.extend(shards.into_iter().map(|shard| Announcement::Start(plan(shard))));
            announcements.push(Announcement::Listed);
            for announcement in announcements {
                // Nobody listens any more: the process stops.
                announce.send(announcement).await.ok();
            }
            // It ends when the process does, and that is no failure.
            self.generate(stored.is_empty(), &shutdown).await.ok();
            self.channels.lock().clear();
            Ok(())
        })
    }

    fn open(
        self: Arc<Self>,
        shard: ShardId,
        _position: Position,
        _status: Arc<ShardStatus>,
        _shutdown: CancellationToken,
    ) -> Batches {
        let number = (0..self.options.shards as usize).find(|number| self.shard(*number) == shard);
        let mut channels = self.channels.lock();
        let receiver = number.and_then(|number| channels.get_mut(number)?.1.take());
        match receiver {
            Some(receiver) => Box::pin(ReceiverStream::new(receiver)),
            None => Box::pin(tokio_stream::empty()),
        }
    }
}
