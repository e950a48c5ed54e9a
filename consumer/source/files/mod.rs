//! Files, folders, globs and standard input as one shard.
//!
//! Enters: paths as the config names them, in their order; folders and globs give their files in the order of their
//! names. Leaves: pieces of decompressed text cut into whole values, each with how far its file is then read. A
//! file is known by its path: it is read once, and with `follow` the bytes that are appended to plain text, too.

mod piece;
mod read;
mod walk;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

pub use piece::{FilePieces, Next, Piece};

use super::{
    Announcement, Batch, Batches, Coordination, Position, ShardId, ShardPlan, ShardStatus, Source,
    StoredShard,
};
use crate::Clock;

/// The path that stands for standard input.
pub const STDIN: &str = "-";
/// The name of the one shard.
const SHARD: &str = "files";
/// Between two looks for new files and appended bytes.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// What to read, and how.
#[derive(Clone, Debug)]
pub struct FilesOptions {
    /// The source's name in the config.
    pub name: String,
    /// Files, folders, globs, or `-`.
    pub paths: Vec<String>,
    /// Go on with new files and with bytes appended to plain text.
    pub follow: bool,
    /// Bytes of one event, above which it is too large.
    pub max_event_bytes: usize,
    /// Bytes of decompressed text handed over at once.
    pub piece_bytes: usize,
}

/// Files as a source.
pub struct FilesSource {
    options: FilesOptions,
    inflight: Arc<Semaphore>,
    clock: Clock,
}

impl FilesSource {
    /// A source of these files. `inflight` has a permit for each KiB that may be held at once.
    pub fn new(options: FilesOptions, inflight: Arc<Semaphore>, clock: Clock) -> Self {
        Self { options, inflight, clock }
    }
}

impl Source for FilesSource {
    fn kind(&self) -> &'static str {
        "files"
    }

    fn name(&self) -> &str {
        &self.options.name
    }

    fn coordinate(
        self: Arc<Self>,
        stored: Vec<StoredShard>,
        announce: mpsc::Sender<Announcement>,
        _finished: mpsc::Receiver<ShardId>,
        _shutdown: CancellationToken,
    ) -> Coordination {
        Box::pin(async move {
            let shard = ShardId::new(&self.options.name, SHARD);
            let begin = Position::Files(Default::default());
            let mut announcements = Vec::new();
            if stored.is_empty() {
                announcements.push(Announcement::Initial(vec![(shard.clone(), begin.clone())]));
            }
            announcements.push(Announcement::Start(ShardPlan { shard, begin, parents: Vec::new() }));
            announcements.push(Announcement::Listed);
            for announcement in announcements {
                // Nobody listens any more: the process stops.
                announce.send(announcement).await.ok();
            }
            Ok(())
        })
    }

    fn open(
        self: Arc<Self>,
        _shard: ShardId,
        position: Position,
        status: Arc<ShardStatus>,
        shutdown: CancellationToken,
    ) -> Batches {
        let (sender, receiver) = mpsc::channel(1);
        let progress = match position {
            Position::Files(progress) => progress,
            _ => Default::default(),
        };
        let reader = read::Reader {
            options: self.options.clone(),
            inflight: Arc::clone(&self.inflight),
            clock: Arc::clone(&self.clock),
            runtime: tokio::runtime::Handle::current(),
            progress,
            status,
            batches: sender,
            shutdown,
            has_failed: false,
        };
        // Reading files blocks, and standard input may block for ever.
        tokio::task::spawn_blocking(move || reader.run());
        Box::pin(ReceiverStream::new(receiver))
    }
}

/// The files that the paths name now, in their order.
///
/// # Errors
/// A path that is not there or can't be read, in words that name it.
pub fn list(paths: &[String]) -> Result<Vec<PathBuf>, String> {
    walk::list(paths)
}

type Sender = mpsc::Sender<Batch>;
