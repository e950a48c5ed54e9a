//! Where records come from.
//!
//! Enters: a stream's shards or a set of files. Leaves: batches of records, each with the position that is
//! reached once all of its records are counted. A [`Source`] coordinates (which shards exist, which may be read
//! now) and opens readers; the pipeline owns the shards' tasks and their state. A reader repeats what fails for a
//! while by itself and shows it in its [`ShardStatus`]; it never ends because of an error.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;

pub mod files;
pub mod generator;
pub mod kinesis;

/// The durable name of a shard: `SOURCE/SHARD`, unique among all sources of a process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardId(String);

impl ShardId {
    /// The shard `shard` of the source that the config calls `source`.
    pub fn new(source: &str, shard: &str) -> Self {
        Self(format!("{source}/{shard}"))
    }

    /// A name as it was stored.
    pub fn from_stored(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The whole name, `SOURCE/SHARD`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The source's name, without the shard.
    pub fn source(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(source, _)| source)
    }

    /// The shard's own name, without the source.
    pub fn shard(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, shard)| shard)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a reader goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Position {
    /// From the oldest record that the stream still has.
    TrimHorizon,
    /// From the records that arrive after the reader's start, which was at `since_ms`. A reader that goes on from
    /// here after a restart starts at that time, so that nothing between is lost.
    Latest {
        /// Wall time, in milliseconds since 1970.
        since_ms: u64,
    },
    /// From the first record that arrived at or after this time (milliseconds since 1970).
    AtTimestamp {
        /// Wall time, in milliseconds since 1970.
        ms: u64,
    },
    /// After the record with this sequence number.
    AfterSequenceNumber(String),
    /// How far each file was read, by path.
    Files(BTreeMap<String, FileProgress>),
    /// The shard is closed and was read to its end.
    ShardEnd,
}

/// How far one file was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileProgress {
    /// Bytes of the decompressed text that were handed over.
    pub offset: u64,
    /// What stands around the next byte: `0` nothing, else what [`crate::decode::split::Splitter::resume`] takes.
    pub context: u8,
    /// The document that the next byte belongs to, see [`Span::document`].
    pub document: u64,
    /// Nothing follows, or only if the file grows.
    pub done: bool,
}

/// What a batch moves the shard's position to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advance {
    /// To this position.
    To(Position),
    /// These files were read so far; the others stand where they stood.
    Files(Vec<(String, FileProgress)>),
}

/// What a source hands over at once, bounded in bytes.
pub struct Batch {
    /// The records, in the shard's order.
    pub records: Vec<Record>,
    /// The position once every record is counted; none if it did not move.
    pub advance: Option<Advance>,
    /// How far the reader is behind the newest record, in milliseconds; none where that has no meaning.
    pub behind_ms: Option<u64>,
    /// The arrival time up to which the shard is now read without a gap (milliseconds since 1970).
    pub complete_until_ms: u64,
    /// Records before this batch were lost (trimmed before they were read): a new complete stretch begins.
    pub gap: bool,
    /// The shard is closed and this is its last batch.
    pub end: bool,
    /// The room that the batch takes of the bytes in flight; given back when it is dropped.
    pub permit: Option<OwnedSemaphorePermit>,
}

/// Bytes and when they arrived.
pub struct Record {
    /// What the source holds.
    pub payload: Payload,
    /// When the record arrived at the source, or was read from a file (milliseconds since 1970).
    pub arrival_ms: u64,
}

/// A record's bytes, and what its source already knows of them.
pub enum Payload {
    /// Bytes in any envelope, compressed or not.
    Bytes(Bytes),
    /// A piece of a file, cut into whole JSON values.
    Units(Units),
}

impl Payload {
    /// Has it brought near while the record before it is counted.
    pub fn prefetch(&self) {
        if let Self::Bytes(bytes) = self {
            crate::prefetch::text(bytes);
        }
    }
}

/// A bounded piece of a file's decompressed text, cut into whole JSON values.
#[derive(Default)]
pub struct Units {
    /// The text.
    pub text: Vec<u8>,
    /// The values: start and end within `text`, and the document that each is an element of (0: of none).
    pub spans: Vec<Span>,
    /// What is wrong with the file after the last value, if anything.
    pub broken: Vec<crate::decode::Broken>,
}

/// One JSON value of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// Which `Records` array or top-level array the value is an element of; 0 if it stands alone. Once an element
    /// of a document is broken, the rest of that document does not count.
    pub document: u64,
}

/// What a reader shows of itself while it runs.
#[derive(Default)]
pub struct ShardStatus {
    error: Mutex<Option<String>>,
    throttled: AtomicU64,
    waits_for_room: AtomicU64,
}

impl ShardStatus {
    /// What keeps the reader from reading right now, for people.
    pub fn error(&self) -> Option<String> {
        self.error.lock().clone()
    }

    /// Sets or clears what keeps the reader from reading.
    pub fn set_error(&self, error: Option<String>) {
        *self.error.lock() = error;
    }

    /// Counts a read that was refused for its rate.
    pub fn throttle(&self) {
        self.throttled.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a read that waits, for the bytes in flight are used up.
    pub fn wait_for_room(&self) {
        self.waits_for_room.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads that waited for room since this was last asked.
    pub fn take_waits_for_room(&self) -> u64 {
        self.waits_for_room.swap(0, Ordering::Relaxed)
    }

    /// Reads that were refused for their rate since the start.
    pub fn throttled(&self) -> u64 {
        self.throttled.load(Ordering::Relaxed)
    }
}

/// A shard that may be read now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardPlan {
    /// The shard.
    pub shard: ShardId,
    /// Where it begins if the state knows no position of it.
    pub begin: Position,
    /// The shards it came from; all of them are finished or gone.
    pub parents: Vec<Parent>,
}

/// A shard that another one came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The parent.
    pub shard: ShardId,
    /// The parent's counts go on in this child: of a split the one with the lower starting hash key, of a merge the
    /// only one.
    pub heir: bool,
    /// All children that came from the parent; its state may be deleted once each has started.
    pub children: Vec<ShardId>,
}

/// What a coordinating source tells the pipeline.
#[derive(Debug, PartialEq, Eq)]
pub enum Announcement {
    /// The very first start: these shards exist and begin here. Made durable in one step before any is read, so
    /// that a shard that is not among them is known to be younger.
    Initial(Vec<(ShardId, Position)>),
    /// This shard may be read now.
    Start(ShardPlan),
    /// The source was reached and all shards that may be read now are announced.
    Listed,
}

/// A shard as the state has it when the process starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredShard {
    /// The shard.
    pub shard: ShardId,
    /// How far it is read; [`Position::ShardEnd`] if it is finished.
    pub position: Position,
}

/// The batches of one shard.
pub type Batches = Pin<Box<dyn Stream<Item = Batch> + Send>>;

/// A boxed future, so that sources of several kinds stand side by side.
pub type Coordination = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// A place that records come from.
pub trait Source: Send + Sync + 'static {
    /// What it is, as the label `source` of the metrics says: `kinesis`, `files`, `generator`.
    fn kind(&self) -> &'static str;

    /// Its name in the config, the first part of its shards' names.
    fn name(&self) -> &str;

    /// How long records wait to be read before they are lost, in milliseconds; none if not known, or for ever.
    fn retention_ms(&self) -> Option<u64> {
        None
    }

    /// What keeps it from finding its shards right now, for people.
    fn error(&self) -> Option<String> {
        None
    }

    /// Finds shards and announces those that may be read, until `shutdown` or until there can be no more.
    /// `stored` is what the state knows of this source; `finished` brings each shard whose end was committed.
    fn coordinate(
        self: Arc<Self>,
        stored: Vec<StoredShard>,
        announce: mpsc::Sender<Announcement>,
        finished: mpsc::Receiver<ShardId>,
        shutdown: CancellationToken,
    ) -> Coordination;

    /// Reads a shard from `position` on. The stream ends after the batch with `end`, at `shutdown`, or, of a finite
    /// source, when everything was read.
    fn open(
        self: Arc<Self>,
        shard: ShardId,
        position: Position,
        status: Arc<ShardStatus>,
        shutdown: CancellationToken,
    ) -> Batches;
}
