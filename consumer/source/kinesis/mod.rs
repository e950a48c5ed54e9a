//! Records from a Kinesis stream, by polling.
//!
//! Enters: a stream's name and where to begin. Leaves: batches of its shards, children after all their parents.
//! The coordinator lists the shards and announces them; each shard that the pipeline opens has a reader of its own.
//! Both repeat what fails for as long as it takes: after [`KinesisSource::connect`] nothing here ends with an error.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::{Announcement, Batches, Coordination, Position, ShardId, ShardStatus, Source, StoredShard};

pub mod api;
mod begin;
mod coordinator;
pub mod error;
#[cfg(test)]
mod fake;
pub mod options;
pub mod pace;
mod reader;
pub mod sdk;
pub mod shards;

pub use crate::backoff::{Backoff, BackoffError};
pub use api::{Api, NewRecord};
pub use error::ApiError;
pub use options::{ConnectError, KinesisOptions, StartAt};
pub use sdk::SdkApi;

/// Wall time in milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// A random number from 0 up to 1, anew with each call.
pub type Random = Arc<dyn Fn() -> f64 + Send + Sync>;

/// A stream as a source.
pub struct KinesisSource<A = SdkApi> {
    options: KinesisOptions,
    api: A,
    /// Permits of a KiB each, shared with all other sources.
    inflight: Arc<Semaphore>,
    clock: Clock,
    random: Random,
    started_ms: u64,
    /// The shards that were already opened at their newest record in this process.
    opened_latest: Mutex<BTreeSet<ShardId>>,
    /// In milliseconds; 0 until the service said it.
    retention_ms: AtomicU64,
    listing: ShardStatus,
}

impl KinesisSource {
    /// Prepares to read through the AWS SDK; asks nothing of Kinesis yet. `inflight` has a permit for each KiB that
    /// may be in memory, and is still whole.
    ///
    /// # Errors
    /// An option is out of bounds, or no region is configured.
    pub async fn connect(
        options: KinesisOptions,
        inflight: Arc<Semaphore>,
        clock: Clock,
        random: Random,
    ) -> Result<Self, ConnectError> {
        let (region, endpoint) = (options.region.as_deref(), options.endpoint.as_deref());
        let api = SdkApi::connect(&options.stream, region, endpoint).await?;
        Self::with_api(options, api, inflight, clock, random)
    }
}

impl<A: Api> KinesisSource<A> {
    /// Prepares to read through `api`.
    ///
    /// # Errors
    /// An option is out of bounds.
    pub fn with_api(
        options: KinesisOptions,
        api: A,
        inflight: Arc<Semaphore>,
        clock: Clock,
        random: Random,
    ) -> Result<Self, ConnectError> {
        options.check(inflight.available_permits())?;
        Ok(Self {
            started_ms: clock(),
            options,
            api,
            inflight,
            clock,
            random,
            opened_latest: Mutex::default(),
            retention_ms: AtomicU64::new(0),
            listing: ShardStatus::default(),
        })
    }

    /// What keeps the shards from being listed right now, for people.
    pub fn listing_error(&self) -> Option<String> {
        self.listing.error()
    }

    fn now_ms(&self) -> u64 {
        (self.clock)()
    }

    fn delay(&self, attempt: u32) -> Duration {
        self.options.backoff.delay(attempt, (self.random)())
    }

    fn shard_id(&self, shard: &str) -> ShardId {
        ShardId::new(&self.options.name, shard)
    }
}

impl<A: Api> Source for KinesisSource<A> {
    fn kind(&self) -> &'static str {
        "kinesis"
    }

    fn name(&self) -> &str {
        &self.options.name
    }

    fn retention_ms(&self) -> Option<u64> {
        Some(self.retention_ms.load(Ordering::Relaxed)).filter(|ms| *ms > 0)
    }

    fn error(&self) -> Option<String> {
        self.listing.error()
    }

    fn coordinate(
        self: Arc<Self>,
        stored: Vec<StoredShard>,
        announce: mpsc::Sender<Announcement>,
        finished: mpsc::Receiver<ShardId>,
        shutdown: CancellationToken,
    ) -> Coordination {
        Box::pin(async move {
            let coordinator = coordinator::Coordinator::new(self, stored, announce, finished);
            // Nothing in the coordinator needs an end of its own, so it may stop at any point.
            shutdown.run_until_cancelled(coordinator.run()).await;
            Ok(())
        })
    }

    fn open(
        self: Arc<Self>,
        shard: ShardId,
        position: Position,
        status: Arc<ShardStatus>,
        shutdown: CancellationToken,
    ) -> Batches {
        // One batch waits here while the one before it is counted and the next one is asked for.
        let (sender, receiver) = mpsc::channel(1);
        let reader = reader::Reader::new(self, shard, position, status, sender);
        drop(tokio::spawn(reader.run(shutdown.clone())));
        Box::pin(ReceiverStream::new(receiver).take_until(shutdown.cancelled_owned()))
    }
}
