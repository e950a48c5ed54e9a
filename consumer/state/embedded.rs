//! The state in one file on this machine (redb).
//!
//! All shards share the file; one thread writes. Commits that wait for it are made durable together, with one sync
//! for all. Tables: `meta`; `shards`, a header each; `pieces`, by shard and number; `files`, by shard and path;
//! `callers` and `caller_details`; `rules`, `rule_values` and `rule_matches`; `alerts` and `alert_cursors`.

mod callers;
mod detections;
mod outbox;
mod store;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc as blocking;

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};
use tokio::sync::{oneshot, watch};

use super::{
    Commit, Loading, Recalled, Remembered, STATE_VERSION, ShardHeader, ShardState, StateError, StateLimits,
    Written,
};
use crate::callers::{CallerPolicy, Past};
use crate::source::{FileProgress, Position, ShardId};

pub use callers::{CallerCounts, ListedCaller, has_room};
pub use outbox::{Cursor, Delivered, StoredAlert};
use store::Store;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const SHARDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("shards");
const PIECES: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("pieces");
const FILES: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("files");

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
    /// These weak callers of history are remembered, without a page.
    Recall(Vec<Past>, Arc<CallerPolicy>),
}

type Request = (Change, oneshot::Sender<Result<Written, StateError>>);

/// The open state.
pub struct EmbeddedState {
    store: Arc<Store>,
    requests: Option<blocking::Sender<Request>>,
    writer: Option<std::thread::JoinHandle<()>>,
    created_ms: u64,
    is_backlog_read: bool,
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
        let store = Store::open(path).map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => {
                StateError::InUse { path: path.display().to_string() }
            }
            error => storage(path, error.into()),
        })?;
        let Prepared { created_ms, is_backlog_read, newest_alert } = prepare(&store, now_ms)?;
        let store = Arc::new(store);
        let (requests, receiver) = blocking::channel();
        let newest_alert = watch::Sender::new(newest_alert);
        let own = Writer { store: Arc::clone(&store), newest_alert: newest_alert.clone() };
        let writer = std::thread::Builder::new().name("state".into()).spawn(move || own.write_all(&receiver));
        let writer = writer.map_err(|error| storage(path, redb::Error::Io(error)))?;
        Ok(Self {
            store,
            requests: Some(requests),
            writer: Some(writer),
            created_ms,
            is_backlog_read,
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
        let stored = self.read(|read| {
            let table = read.open_table(SHARDS)?;
            let entries = table.iter()?.map(|entry| {
                let (key, value) = entry?;
                Ok((
                    ShardId::from_stored(key.value()),
                    postcard::from_bytes::<ShardHeader>(value.value()).ok(),
                ))
            });
            entries.collect::<Result<Vec<_>, redb::Error>>()
        })?;
        let mut shards = Vec::new();
        for (shard, header) in stored {
            let mut header = header.ok_or_else(|| self.damaged(&shard, "header"))?;
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
        let name = shard.as_str();
        let loading = self.read(|read| {
            let table = read.open_table(PIECES)?;
            let mut loading = Loading::begin(header.newest_s, limits);
            for entry in table.range((name, 0)..=(name, u64::MAX))? {
                if !loading.add(entry?.1.value()) {
                    return Ok(None);
                }
            }
            Ok(Some(loading))
        })?;
        Ok(loading.ok_or_else(|| self.damaged(shard, "counts"))?.finish(header))
    }

    /// Makes a change durable.
    ///
    /// # Errors
    /// It is not durable; the state is as it was.
    pub async fn write(&self, change: Change) -> Result<Written, StateError> {
        let (reply, answer) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or(StateError::Closed)?;
        requests.send((change, reply)).map_err(|_| StateError::Closed)?;
        answer.await.map_err(|_| StateError::Closed)?
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StateError> {
        let begun = self.store.begin_read();
        begun.and_then(|begun| read(&begun)).map_err(|error| storage(self.store.path(), error))
    }

    fn files(&self, shard: &ShardId) -> Result<BTreeMap<String, FileProgress>, StateError> {
        let files = self.read(|read| {
            let table = read.open_table(FILES)?;
            let mut files = BTreeMap::new();
            for entry in table.range((shard.as_str(), "")..)? {
                let (key, value) = entry?;
                let (owner, file) = key.value();
                if owner != shard.as_str() {
                    break;
                }
                let Ok(progress) = postcard::from_bytes(value.value()) else { return Ok(None) };
                files.insert(file.to_owned(), progress);
            }
            Ok(Some(files))
        })?;
        files.ok_or_else(|| self.damaged(shard, "files"))
    }

    fn damaged(&self, shard: &ShardId, what: &'static str) -> StateError {
        StateError::Damaged { path: self.store.path().display().to_string(), shard: shard.to_string(), what }
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
fn prepare(store: &Store, now_ms: u64) -> Result<Prepared, StateError> {
    let (known, path) = (STATE_VERSION, store.path());
    let prepared = store.write(|write| {
        let found = write.open_table(META)?.get("state_version")?.map(|found| found.value());
        if let Some(found) = found.filter(|found| *found > known) {
            return Ok(Err(found));
        }
        write.open_table(SHARDS)?;
        write.open_table(PIECES)?;
        write.open_table(FILES)?;
        write.open_table(callers::CALLERS)?;
        write.open_table(callers::DETAILS)?;
        write.open_table(detections::RULES)?;
        write.open_table(detections::VALUES)?;
        write.open_table(detections::MATCHES)?;
        write.open_table(outbox::ALERTS)?;
        write.open_table(outbox::CURSORS)?;
        let newest_alert = outbox::newest(write)?;
        let mut meta = write.open_table(META)?;
        meta.insert("state_version", known)?;
        let created_ms = meta.get(CREATED)?.map(|found| found.value());
        if created_ms.is_none() {
            meta.insert(CREATED, now_ms)?;
        }
        let is_backlog_read = meta.get(BACKLOG_READ)?.is_some();
        let created_ms = created_ms.unwrap_or(now_ms);
        Ok(Ok(Prepared { created_ms, is_backlog_read, newest_alert }))
    });
    let prepared = prepared.map_err(|error| storage(path, error))?;
    prepared.map_err(|found| StateError::Newer { path: path.display().to_string(), found, known })
}

/// When the state was made.
const CREATED: &str = "created_ms";
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
    store: Arc<Store>,
    newest_alert: watch::Sender<u64>,
}

impl Writer {
    /// Takes what waits, makes it durable with one sync, tells everyone.
    fn write_all(&self, requests: &blocking::Receiver<Request>) {
        while let Ok(first) = requests.recv() {
            let waiting: Vec<Request> =
                std::iter::once(first).chain(requests.try_iter().take(GROUP - 1)).collect();
            let (changes, replies): (Vec<Change>, Vec<_>) = waiting.into_iter().unzip();
            match self.write_group(changes) {
                Ok((written, newest)) => {
                    if let Some(newest) = newest {
                        self.newest_alert.send_replace(newest);
                    }
                    for (reply, written) in replies.into_iter().zip(written) {
                        // A task that no longer waits has no use for the answer.
                        reply.send(Ok(written)).ok();
                    }
                }
                Err(error) => {
                    let message = error.to_string();
                    for reply in replies {
                        let error = redb::Error::Io(std::io::Error::other(message.clone()));
                        reply.send(Err(storage(self.store.path(), error))).ok();
                    }
                }
            }
        }
    }

    /// What each change wrote, and the number of the newest alert if there are new ones.
    fn write_group(&self, changes: Vec<Change>) -> Result<(Vec<Written>, Option<u64>), redb::Error> {
        let mut newest = None;
        let written = self.store.write(|write| {
            changes.into_iter().map(|change| apply(write, change, &mut newest)).collect::<Result<_, _>>()
        })?;
        Ok((written, newest))
    }
}

fn apply(write: &WriteTransaction, change: Change, newest: &mut Option<u64>) -> Result<Written, redb::Error> {
    let (mut remembered, mut outcomes) = (Remembered::default(), Vec::new());
    let mut recalled = Recalled::default();
    let bytes = match change {
        Change::Commit(commit) => {
            put_header(write, &commit.shard, &commit.header)?;
            put_files(write, &commit.shard, &commit.files)?;
            let (mut alerts, matched);
            (remembered, alerts) = callers::merge(write, &commit.weak)?;
            (outcomes, matched) = detections::merge(write, &commit.detections)?;
            alerts.extend(matched);
            *newest = outbox::append(write, &alerts)?.or(*newest);
            let bytes = commit.piece.len();
            if bytes > 0 {
                let mut pieces = write.open_table(PIECES)?;
                let next = next_number(&pieces, &commit.shard)?;
                pieces.insert((commit.shard.as_str(), next), &commit.piece[..])?;
            }
            bytes
        }
        Change::Snapshot(shard, snapshot) => replace_pieces(write, &shard, snapshot)?,
        Change::Initial(shards) => {
            shards.iter().try_for_each(|(shard, header)| put_header(write, shard, header))?;
            0
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
            bytes
        }
        Change::BacklogRead(now_ms) => {
            write.open_table(META)?.insert(BACKLOG_READ, now_ms)?;
            0
        }
        Change::Sinks(sinks) => {
            outbox::set_sinks(write, &sinks)?;
            0
        }
        Change::Delivered(delivered) => {
            outbox::deliver(write, &delivered)?;
            0
        }
        Change::Forget(before_s) => {
            let forgotten = callers::forget(write, before_s)?;
            tracing::info!(
                forgotten,
                "the memory of weak callers was full: those silent for long are forgotten"
            );
            0
        }
        Change::Recall(past, policy) => {
            recalled = callers::recall(write, &past, &policy)?;
            // A state in which nothing ran begins when something does: `callers.learn_for` counts from then on.
            if write.open_table(SHARDS)?.is_empty()? {
                write.open_table(META)?.remove(CREATED)?;
            }
            0
        }
    };
    Ok(Written { bytes, remembered, outcomes, recalled })
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

#[cfg(test)]
mod tests;
