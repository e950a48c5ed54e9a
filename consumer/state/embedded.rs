//! The state in one file on this machine (redb).
//!
//! All shards share the file; one thread writes. Commits that wait for it are made durable together, with one sync
//! for all. Tables: `meta`; `shards`, a header each; `pieces`, by shard and number; `files`, by shard and path;
//! `callers` and `caller_details`; `alerts` and `alert_cursors`.

mod callers;
mod outbox;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc as blocking;

use redb::{
    Builder, Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};
use tokio::sync::{oneshot, watch};

use super::{Commit, Loading, STATE_VERSION, ShardHeader, ShardState, StateError, StateLimits};
use crate::source::{FileProgress, Position, ShardId};

pub use callers::{CallerCounts, ListedCaller, has_room, overflow_key};
pub use outbox::{Cursor, Delivered, StoredAlert};

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
    /// What there was to read at the very first start is read, at this time (milliseconds since 1970).
    BacklogRead(u64),
    /// From now on alerts go to these sinks.
    Sinks(Vec<String>),
    /// A sink was sent alerts, or they are over for it.
    Delivered(Delivered),
    /// Weak callers that last called before this time (seconds since 1970) are forgotten.
    Forget(i64),
}

type Request = (Change, oneshot::Sender<Result<usize, StateError>>);

/// The open state.
pub struct EmbeddedState {
    database: Arc<Database>,
    path: PathBuf,
    requests: Option<blocking::Sender<Request>>,
    writer: Option<std::thread::JoinHandle<()>>,
    created_ms: u64,
    is_backlog_read: bool,
    claims: callers::Claims,
    forgone: Arc<callers::Forgone>,
    newest_alert: watch::Sender<u64>,
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
        let Prepared { created_ms, is_backlog_read, newest_alert } = prepare(&database, path, now_ms)?;
        let database = Arc::new(database);
        let (requests, receiver) = blocking::channel();
        let newest_alert = watch::Sender::new(newest_alert);
        let forgone = Arc::<callers::Forgone>::default();
        let own = Writer {
            database: Arc::clone(&database),
            path: path.to_owned(),
            newest_alert: newest_alert.clone(),
            forgone: Arc::clone(&forgone),
        };
        let writer = std::thread::Builder::new().name("state".into()).spawn(move || own.write_all(&receiver));
        let writer = writer.map_err(|error| storage(path, redb::Error::Io(error)))?;
        Ok(Self {
            database,
            path: path.to_owned(),
            requests: Some(requests),
            writer: Some(writer),
            created_ms,
            is_backlog_read,
            claims: callers::Claims::default(),
            forgone,
            newest_alert,
        })
    }

    /// When the state was made (milliseconds since 1970).
    pub fn created_ms(&self) -> u64 {
        self.created_ms
    }

    /// What there was to read at the very first start was read when the state was opened.
    pub fn is_backlog_read(&self) -> bool {
        self.is_backlog_read
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

    fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StateError> {
        let begun = self.database.begin_read().map_err(redb::Error::from);
        begun.and_then(|begun| read(&begun)).map_err(|error| storage(&self.path, error))
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

/// What stands in a state when it is opened.
struct Prepared {
    created_ms: u64,
    is_backlog_read: bool,
    newest_alert: u64,
}

/// Makes the tables and checks the version. A state of an older version becomes one of this program's: what the newer
/// has more begins empty.
fn prepare(database: &Database, path: &Path, now_ms: u64) -> Result<Prepared, StateError> {
    let known = STATE_VERSION;
    let write = database.begin_write().map_err(|error| storage(path, error.into()))?;
    let tables = || -> Result<(u64, Prepared), redb::Error> {
        write.open_table(SHARDS)?;
        write.open_table(PIECES)?;
        write.open_table(FILES)?;
        write.open_table(callers::CALLERS)?;
        write.open_table(callers::DETAILS)?;
        write.open_table(outbox::ALERTS)?;
        write.open_table(outbox::CURSORS)?;
        let newest_alert = outbox::newest(&write)?;
        let mut meta = write.open_table(META)?;
        let found = meta.get("state_version")?.map(|found| found.value());
        if found.is_none_or(|found| found < known) {
            meta.insert("state_version", known)?;
        }
        let created_ms = meta.get("created_ms")?.map(|found| found.value());
        if created_ms.is_none() {
            meta.insert("created_ms", now_ms)?;
        }
        let is_backlog_read = meta.get(BACKLOG_READ)?.is_some();
        let created_ms = created_ms.unwrap_or(now_ms);
        Ok((found.unwrap_or(known), Prepared { created_ms, is_backlog_read, newest_alert }))
    };
    let (found, prepared) = tables().map_err(|error| storage(path, error))?;
    if found > known {
        return Err(StateError::Newer { path: path.display().to_string(), found, known });
    }
    write.commit().map_err(|error| storage(path, error.into()))?;
    Ok(prepared)
}

/// When all that there was to read at the very first start was read.
const BACKLOG_READ: &str = "backlog_read_ms";

/// What is written is plain data, so this has no way to happen.
fn not_written(error: postcard::Error) -> redb::Error {
    redb::Error::Io(std::io::Error::other(error))
}

fn storage(path: &Path, error: redb::Error) -> StateError {
    StateError::Storage { path: path.display().to_string(), cause: Box::new(error) }
}

/// What the writing thread has.
struct Writer {
    database: Arc<Database>,
    path: PathBuf,
    newest_alert: watch::Sender<u64>,
    forgone: Arc<callers::Forgone>,
}

impl Writer {
    /// Takes what waits, makes it durable with one sync, tells everyone.
    fn write_all(&self, requests: &blocking::Receiver<Request>) {
        while let Ok(first) = requests.recv() {
            let waiting: Vec<Request> =
                std::iter::once(first).chain(requests.try_iter().take(GROUP - 1)).collect();
            let (changes, replies): (Vec<Change>, Vec<_>) = waiting.into_iter().unzip();
            match self.write_group(changes) {
                Ok(Written { bytes, newest }) => {
                    for (reply, bytes) in replies.into_iter().zip(bytes) {
                        // A task that no longer waits has no use for the answer.
                        reply.send(Ok(bytes)).ok();
                    }
                    if let Some(newest) = newest {
                        self.newest_alert.send_replace(newest);
                    }
                }
                Err(error) => {
                    let message = error.to_string();
                    for reply in replies {
                        let error = redb::Error::Io(std::io::Error::other(message.clone()));
                        reply.send(Err(storage(&self.path, error))).ok();
                    }
                }
            }
        }
    }

    fn write_group(&self, changes: Vec<Change>) -> Result<Written, redb::Error> {
        let write = self.database.begin_write()?;
        let mut newest = None;
        let bytes: Result<Vec<usize>, redb::Error> =
            changes.into_iter().map(|change| apply(&write, change, &mut newest, &self.forgone)).collect();
        let bytes = bytes?;
        write.commit()?;
        Ok(Written { bytes, newest })
    }
}

/// What a group of changes wrote.
struct Written {
    /// Of each change, the bytes of counts and ids.
    bytes: Vec<usize>,
    /// The number of the newest alert, if there are new ones.
    newest: Option<u64>,
}

fn apply(
    write: &WriteTransaction,
    change: Change,
    newest: &mut Option<u64>,
    forgone: &callers::Forgone,
) -> Result<usize, redb::Error> {
    match change {
        Change::Commit(commit) => {
            put_header(write, &commit.shard, &commit.header)?;
            put_files(write, &commit.shard, &commit.files)?;
            callers::merge(write, &commit.weak, forgone)?;
            *newest = outbox::append(write, &commit.weak.alerts)?.or(*newest);
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
        Change::BacklogRead(now_ms) => {
            write.open_table(META)?.insert(BACKLOG_READ, now_ms)?;
            Ok(0)
        }
        Change::Sinks(sinks) => outbox::set_sinks(write, &sinks).map(|()| 0),
        Change::Delivered(delivered) => outbox::deliver(write, &delivered).map(|()| 0),
        Change::Forget(before_s) => callers::forget(write, before_s).map(|forgotten| forgotten as usize),
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
