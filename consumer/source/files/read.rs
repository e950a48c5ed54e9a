//! Reads the files one after the other, on a thread of its own.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::piece::{FilePieces, Next};
use super::{FOLLOW_EVERY, FilesOptions, STDIN, Sender, walk};
use crate::Clock;
use crate::decode::compression::Compression;
use crate::source::{Advance, Batch, FileProgress, Payload, Record, ShardStatus, Units};

pub struct Reader {
    pub options: FilesOptions,
    pub inflight: Arc<Semaphore>,
    pub clock: Clock,
    pub runtime: Handle,
    pub progress: BTreeMap<String, FileProgress>,
    pub status: Arc<ShardStatus>,
    pub batches: Sender,
    pub shutdown: CancellationToken,
    /// Something could not be read in this pass.
    pub has_failed: bool,
}

/// The reader was told to stop.
struct Stopped;

/// A file's size and whether it stood still since the last look.
type Sizes = HashMap<PathBuf, u64>;

impl Reader {
    pub fn run(mut self) {
        let mut sizes = Sizes::new();
        // A compressed file is read at the second look.
        let mut has_looked_before = false;
        loop {
            let looked_ms = (self.clock)();
            self.has_failed = false;
            let files = self.list();
            for file in files {
                if self.read(&file, &mut sizes).is_err() {
                    return;
                }
            }
            if !self.options.follow {
                return;
            }
            let is_all_read = has_looked_before && !self.has_failed;
            let told = if is_all_read { self.tell_all_is_read(looked_ms) } else { Ok(()) };
            if told.and_then(|()| self.wait()).is_err() {
                return;
            }
            has_looked_before = true;
        }
    }

    /// With `follow`: everything that was there at this time was read.
    fn tell_all_is_read(&mut self, looked_ms: u64) -> Result<(), Stopped> {
        self.send(Batch {
            records: Vec::new(),
            advance: None,
            behind_ms: Some(0),
            complete_until_ms: looked_ms,
            gap: false,
            end: false,
            permit: None,
        })
    }

    fn list(&mut self) -> Vec<PathBuf> {
        match walk::list(&self.options.paths) {
            Ok(files) => {
                self.status.set_error(None);
                files
            }
            Err(error) => {
                tracing::error!(source = self.options.name, %error, "files can't be listed");
                self.status.set_error(Some(error));
                self.has_failed = true;
                Vec::new()
            }
        }
    }

    fn wait(&self) -> Result<(), Stopped> {
        let shutdown = self.shutdown.clone();
        let stopped = self
            .runtime
            .block_on(async { tokio::time::timeout(FOLLOW_EVERY, shutdown.cancelled()).await.is_ok() });
        if stopped { Err(Stopped) } else { Ok(()) }
    }

    /// Reads what is new of a file. A file that fails is named in the log and passed over.
    fn read(&mut self, path: &Path, sizes: &mut Sizes) -> Result<(), Stopped> {
        if self.shutdown.is_cancelled() {
            return Err(Stopped);
        }
        if path == Path::new(STDIN) {
            return self.pieces(path, STDIN, std::io::stdin(), None);
        }
        let key = path.display().to_string();
        let size = path.metadata().map_or(0, |metadata| metadata.len());
        let progress = self.progress.get(&key).cloned();
        if !self.is_due(path, size, progress.as_ref(), sizes) {
            return Ok(());
        }
        match File::open(path) {
            Ok(file) => self.pieces(path, &key, file, progress),
            Err(error) => {
                self.fail(path, &error);
                Ok(())
            }
        }
    }

    /// Whether a file has something to read. With `follow`, one that grows is read when it is plain text; a compressed
    /// one once it stands still, for half of it would be torn.
    fn is_due(&self, path: &Path, size: u64, progress: Option<&FileProgress>, sizes: &mut Sizes) -> bool {
        let stands_still = sizes.insert(path.to_owned(), size) == Some(size);
        if !self.options.follow {
            return progress.is_none_or(|progress| !progress.done);
        }
        if is_compressed(path) {
            return stands_still && progress.is_none_or(|progress| !progress.done);
        }
        progress.is_none_or(|progress| !progress.done && progress.offset != size)
    }

    fn pieces(
        &mut self,
        path: &Path,
        key: &str,
        file: impl std::io::Read + Send + 'static,
        progress: Option<FileProgress>,
    ) -> Result<(), Stopped> {
        let seed = xxhash_rust::xxh3::xxh3_64(key.as_bytes());
        let progress = self.not_truncated(path, progress);
        let mut pieces = match FilePieces::open(file, seed, progress.as_ref(), self.options.max_event_bytes) {
            Ok(pieces) => pieces,
            Err(error) => {
                self.fail(path, &error);
                return Ok(());
            }
        };
        let may_grow = self.options.follow && pieces.can_grow() && key != STDIN;
        loop {
            let permit = self.room()?;
            match pieces.next(self.options.piece_bytes, may_grow) {
                Ok(Next::Nothing) => return Ok(()),
                Ok(Next::Piece(units, progress)) => {
                    let done = progress.done;
                    self.hand_over(key, units, progress, permit)?;
                    if done {
                        return Ok(());
                    }
                }
                Err(error) => {
                    self.fail(path, &error);
                    return Ok(());
                }
            }
        }
    }

    /// A plain file that is now shorter than what was read of it was written anew.
    fn not_truncated(&self, path: &Path, progress: Option<FileProgress>) -> Option<FileProgress> {
        let progress = progress?;
        let is_plain = !is_compressed(path);
        let size = path.metadata().map_or(u64::MAX, |metadata| metadata.len());
        if is_plain && size < progress.offset {
            tracing::warn!(file = %path.display(), "the file is shorter than what was read of it: it is read anew");
            return None;
        }
        Some(progress)
    }

    fn room(&self) -> Result<OwnedSemaphorePermit, Stopped> {
        let kib = (self.options.piece_bytes.max(1024) / 1024) as u32;
        if let Ok(permit) = Arc::clone(&self.inflight).try_acquire_many_owned(kib) {
            return Ok(permit);
        }
        self.status.wait_for_room();
        let (inflight, shutdown) = (Arc::clone(&self.inflight), self.shutdown.clone());
        self.runtime.block_on(async move {
            tokio::select! {
                () = shutdown.cancelled() => Err(Stopped),
                permit = inflight.acquire_many_owned(kib) => permit.map_err(|_| Stopped),
            }
        })
    }

    fn hand_over(
        &mut self,
        key: &str,
        units: Units,
        progress: FileProgress,
        permit: OwnedSemaphorePermit,
    ) -> Result<(), Stopped> {
        let arrival_ms = (self.clock)();
        // Standard input cannot be read again: what it held is not remembered.
        let advance = (key != STDIN).then(|| Advance::Files(vec![(key.to_owned(), progress.clone())]));
        self.progress.insert(key.to_owned(), progress);
        self.send(Batch {
            records: vec![Record { payload: Payload::Units(units), arrival_ms }],
            advance,
            behind_ms: None,
            complete_until_ms: arrival_ms,
            gap: false,
            end: false,
            permit: Some(permit),
        })
    }

    fn send(&self, batch: Batch) -> Result<(), Stopped> {
        let (batches, shutdown) = (self.batches.clone(), self.shutdown.clone());
        self.runtime.block_on(async move {
            tokio::select! {
                () = shutdown.cancelled() => Err(Stopped),
                sent = batches.send(batch) => sent.map_err(|_| Stopped),
            }
        })
    }

    fn fail(&mut self, path: &Path, error: &std::io::Error) {
        self.has_failed = true;
        let error = format!("{}: {error}", path.display());
        tracing::error!(source = self.options.name, %error, "a file can't be read and is passed over");
        self.status.set_error(Some(error));
    }
}

fn is_compressed(path: &Path) -> bool {
    let mut head = [0; 4];
    let read = File::open(path).and_then(|mut file| std::io::Read::read(&mut file, &mut head));
    read.is_ok_and(|length| Compression::detect(&head[..length]).is_some())
}
