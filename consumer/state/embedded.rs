//! The state in one file on this machine (redb).
//!
//! All shards share the file; one thread writes. Commits that wait for it are made durable together, with one sync
//! for all. Tables: `meta`; `shards`, a header each; `pieces`, by shard and number; `files`, by shard and path.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc as blocking;

use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use tokio::sync::oneshot;

use super::{Commit, Loading, STATE_VERSION, ShardHeader, ShardState, StateError, StateLimits};
use crate::source::{FileProgress, Position, ShardId};

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const SHARDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("shards");
const PIECES: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("pieces");
const FILES: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("files");

/// The store reads whole shards at the start and only writes from then on: a large cache would be wasted.
const CACHE_BYTES: usize = 8 << 20;

/// Commits that are made durable together, at most.
const GROUP: usize = 256;

/// Writes the parts of a snapshot, one after the other.
pub type Snapshot = Box<dyn FnOnce(&mut dyn FnMut(Vec<u8>)) + Send>;

/// A change that is durable as a whole or not at all.
pub enum Change {
    /// What a shard's task counted.
    Commit(Box<Commit>),
    /// A shard's pieces are replaced by a snapshot of the same content.
    Snapshot(ShardId, Snapshot),
    /// These shards exist and begin so.
    Initial(Vec<(ShardId, ShardHeader)>),
    /// A shard begins with what it inherits; these of its parents gave their counts to it.
    Start {
        /// The shard.
        shard: ShardId,
        /// How it begins.
        header: Box<ShardHeader>,
        /// Its counts and ids.
        snapshot: Snapshot,
        /// The parents that are inherited with it.
        inherited: Vec<ShardId>,
        /// The parents all of whose children have started: nobody needs their ids any more.
        forgotten: Vec<ShardId>,
    },
}

type Request = (Change, oneshot::Sender<Result<usize, StateError>>);

/// The open state.
pub struct EmbeddedState {
    database: Arc<Database>,
    path: PathBuf,
    requests: Option<blocking::Sender<Request>>,
    writer: Option<std::thread::JoinHandle<()>>,
    created_ms: u64,
}

impl EmbeddedState {
    /// Opens the file, or makes it (at wall time `now_ms`).
    ///
    /// # Errors
    /// It is in use, newer than this program, or can't be read or made.
    pub fn open(path: &Path, now_ms: u64) -> Result<Self, StateError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| storage(path, redb::Error::Io(error)))?;
        }
        let database =
            Builder::new().set_cache_size(CACHE_BYTES).create(path).map_err(|error| match error {
                redb::DatabaseError::DatabaseAlreadyOpen => {
                    StateError::InUse { path: path.display().to_string() }
                }
                error => storage(path, error.into()),
            })?;
        let created_ms = prepare(&database, path, now_ms)?;
        let database = Arc::new(database);
        let (requests, receiver) = blocking::channel();
        let (own_database, own_path) = (Arc::clone(&database), path.to_owned());
        let writer = std::thread::Builder::new().name("state".into()).spawn(move || {
            write_all(&own_database, &own_path, &receiver);
        });
        let writer = writer.map_err(|error| storage(path, redb::Error::Io(error)))?;
        Ok(Self {
            database,
            path: path.to_owned(),
            requests: Some(requests),
            writer: Some(writer),
            created_ms,
        })
    }

    /// When the state was made (milliseconds since 1970).
    pub fn created_ms(&self) -> u64 {
        self.created_ms
    }

    /// All shards that are known, with their headers; of files also how far each was read.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn shards(&self) -> Result<Vec<(ShardId, ShardHeader)>, StateError> {
        let path = &self.path;
        let read = self.database.begin_read().map_err(|error| storage(path, error.into()))?;
        let table = read.open_table(SHARDS).map_err(|error| storage(path, error.into()))?;
        let mut shards = Vec::new();
        for entry in table.iter().map_err(|error| storage(path, error.into()))? {
            let (key, value) = entry.map_err(|error| storage(path, error.into()))?;
            let shard = ShardId::from_stored(key.value());
            let mut header: ShardHeader =
                postcard::from_bytes(value.value()).map_err(|_| self.damaged(&shard, "header"))?;
            if let Position::Files(files) = &mut header.position {
                *files = self.files(&shard)?;
            }
            shards.push((shard, header));
        }
        Ok(shards)
    }

    /// Reads a shard's counts and ids.
    ///
    /// # Errors
    /// The file can't be read, or is damaged.
    pub fn load(
        &self,
        shard: &ShardId,
        header: ShardHeader,
        limits: StateLimits,
    ) -> Result<ShardState, StateError> {
        let path = &self.path;
        let read = self.database.begin_read().map_err(|error| storage(path, error.into()))?;
        let table = read.open_table(PIECES).map_err(|error| storage(path, error.into()))?;
        let mut loading = Loading::begin(header.newest_s, limits);
        let name = shard.as_str();
        for entry in table.range((name, 0)..=(name, u64::MAX)).map_err(|error| storage(path, error.into()))? {
            let (_, value) = entry.map_err(|error| storage(path, error.into()))?;
            if !loading.add(value.value()) {
                return Err(self.damaged(shard, "counts"));
            }
        }
        Ok(loading.finish(header))
    }

    /// Makes a change durable. Returns the bytes of counts and ids that it wrote.
    ///
    /// # Errors
    /// It is not durable; the state is as it was.
    pub async fn write(&self, change: Change) -> Result<usize, StateError> {
        let (reply, answer) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or(StateError::Closed)?;
        requests.send((change, reply)).map_err(|_| StateError::Closed)?;
        answer.await.map_err(|_| StateError::Closed)?
    }

    fn files(&self, shard: &ShardId) -> Result<BTreeMap<String, FileProgress>, StateError> {
        let path = &self.path;
        let read = self.database.begin_read().map_err(|error| storage(path, error.into()))?;
        let table = read.open_table(FILES).map_err(|error| storage(path, error.into()))?;
        let mut files = BTreeMap::new();
        for entry in table.range((shard.as_str(), "")..).map_err(|error| storage(path, error.into()))? {
            let (key, value) = entry.map_err(|error| storage(path, error.into()))?;
            let (owner, file) = key.value();
            if owner != shard.as_str() {
                break;
            }
            let progress = postcard::from_bytes(value.value()).map_err(|_| self.damaged(shard, "files"))?;
            files.insert(file.to_owned(), progress);
        }
        Ok(files)
    }

    fn damaged(&self, shard: &ShardId, what: &'static str) -> StateError {
        StateError::Damaged { path: self.path.display().to_string(), shard: shard.to_string(), what }
    }
}

impl Drop for EmbeddedState {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the thread that writes the state panicked");
        }
    }
}

/// Makes the tables, checks the version, and tells when the state was made.
fn prepare(database: &Database, path: &Path, now_ms: u64) -> Result<u64, StateError> {
    let known = STATE_VERSION;
    let write = database.begin_write().map_err(|error| storage(path, error.into()))?;
    let tables = || -> Result<(u64, u64), redb::Error> {
        write.open_table(SHARDS)?;
        write.open_table(PIECES)?;
        write.open_table(FILES)?;
        let mut meta = write.open_table(META)?;
        let mut get_or_set = |key, value| -> Result<u64, redb::Error> {
            if let Some(found) = meta.get(key)? {
                return Ok(found.value());
            }
            meta.insert(key, value)?;
            Ok(value)
        };
        Ok((get_or_set("state_version", known)?, get_or_set("created_ms", now_ms)?))
    };
    let (found, created_ms) = tables().map_err(|error| storage(path, error))?;
    if found > known {
        return Err(StateError::Newer { path: path.display().to_string(), found, known });
    }
    write.commit().map_err(|error| storage(path, error.into()))?;
    Ok(created_ms)
}

fn storage(path: &Path, error: redb::Error) -> StateError {
    StateError::Storage { path: path.display().to_string(), cause: Box::new(error) }
}

/// The writing thread: takes what waits, makes it durable with one sync, tells everyone.
fn write_all(database: &Database, path: &Path, requests: &blocking::Receiver<Request>) {
    while let Ok(first) = requests.recv() {
        let waiting: Vec<Request> =
            std::iter::once(first).chain(requests.try_iter().take(GROUP - 1)).collect();
        let (changes, replies): (Vec<Change>, Vec<_>) = waiting.into_iter().unzip();
        match write_group(database, changes) {
            Ok(written) => {
                for (reply, bytes) in replies.into_iter().zip(written) {
                    // A task that no longer waits has no use for the answer.
                    reply.send(Ok(bytes)).ok();
                }
            }
            Err(error) => {
                let message = error.to_string();
                for reply in replies {
                    let error = redb::Error::Io(std::io::Error::other(message.clone()));
                    reply.send(Err(storage(path, error))).ok();
                }
            }
        }
    }
}

fn write_group(database: &Database, changes: Vec<Change>) -> Result<Vec<usize>, redb::Error> {
    let write = database.begin_write()?;
    let written: Result<Vec<usize>, redb::Error> =
        changes.into_iter().map(|change| apply(&write, change)).collect();
    let written = written?;
    write.commit()?;
    Ok(written)
}

fn apply(write: &WriteTransaction, change: Change) -> Result<usize, redb::Error> {
    match change {
        Change::Commit(commit) => {
            put_header(write, &commit.shard, &commit.header)?;
            put_files(write, &commit.shard, &commit.files)?;
            let bytes = commit.piece.len();
            if bytes > 0 {
                let mut pieces = write.open_table(PIECES)?;
                let next = next_number(&pieces, &commit.shard)?;
                pieces.insert((commit.shard.as_str(), next), &commit.piece[..])?;
            }
            Ok(bytes)
        }
        Change::Snapshot(shard, snapshot) => replace_pieces(write, &shard, snapshot),
        Change::Initial(shards) => {
            shards.iter().try_for_each(|(shard, header)| put_header(write, shard, header))?;
            Ok(0)
        }
        Change::Start { shard, header, snapshot, inherited, forgotten } => {
            put_header(write, &shard, &header)?;
            let bytes = replace_pieces(write, &shard, snapshot)?;
            for parent in inherited {
                let mut header = ShardHeader::begin(Position::ShardEnd);
                header.is_inherited = true;
                header.newest_s = stored_newest(write, &parent)?;
                put_header(write, &parent, &header)?;
            }
            for parent in forgotten {
                remove_pieces(write, &parent)?;
            }
            Ok(bytes)
        }
    }
}

fn stored_newest(write: &WriteTransaction, shard: &ShardId) -> Result<Option<i64>, redb::Error> {
    let shards = write.open_table(SHARDS)?;
    let header = shards.get(shard.as_str())?;
    Ok(header.and_then(|value| postcard::from_bytes::<ShardHeader>(value.value()).ok()?.newest_s))
}

fn put_header(write: &WriteTransaction, shard: &ShardId, header: &ShardHeader) -> Result<(), redb::Error> {
    let mut stored = header.clone();
    if let Position::Files(files) = &mut stored.position {
        files.clear();
    }
    let bytes =
        postcard::to_stdvec(&stored).map_err(|error| redb::Error::Io(std::io::Error::other(error)))?;
    write.open_table(SHARDS)?.insert(shard.as_str(), bytes.as_slice())?;
    Ok(())
}

fn put_files(
    write: &WriteTransaction,
    shard: &ShardId,
    files: &[(String, FileProgress)],
) -> Result<(), redb::Error> {
    let mut table = write.open_table(FILES)?;
    for (file, progress) in files {
        let bytes =
            postcard::to_stdvec(progress).map_err(|error| redb::Error::Io(std::io::Error::other(error)))?;
        table.insert((shard.as_str(), file.as_str()), bytes.as_slice())?;
    }
    Ok(())
}

fn next_number(pieces: &redb::Table<'_, (&str, u64), &[u8]>, shard: &ShardId) -> Result<u64, redb::Error> {
    let name = shard.as_str();
    let last = pieces.range((name, 0)..=(name, u64::MAX))?.next_back().transpose()?;
    Ok(last.map_or(0, |(key, _)| key.value().1 + 1))
}

fn remove_pieces(write: &WriteTransaction, shard: &ShardId) -> Result<(), redb::Error> {
    let name = shard.as_str();
    write.open_table(PIECES)?.retain_in((name, 0)..=(name, u64::MAX), |_, _| false)?;
    Ok(())
}

fn replace_pieces(
    write: &WriteTransaction,
    shard: &ShardId,
    snapshot: Snapshot,
) -> Result<usize, redb::Error> {
    remove_pieces(write, shard)?;
    let mut pieces = write.open_table(PIECES)?;
    let (mut number, mut bytes, mut result) = (0, 0, Ok(()));
    snapshot(&mut |part| {
        if result.is_ok() {
            result = pieces.insert((shard.as_str(), number), part.as_slice()).map(|_| ());
            number += 1;
            bytes += part.len();
        }
    });
    result?;
    Ok(bytes)
}
