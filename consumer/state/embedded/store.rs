//! The state's file, opened anew after a failure: the store refuses everything after its first failed write, also once
//! the disk has room again.

use std::path::{Path, PathBuf};

use parking_lot::RwLock;
use redb::{Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase, WriteTransaction};

/// The store reads whole shards at the start and only writes from then on: a large cache would be wasted.
const CACHE_BYTES: usize = 4 << 20;

/// The open file.
pub(super) struct Store {
    path: PathBuf,
    /// None after a failure, until it could be opened anew.
    database: RwLock<Option<Database>>,
}

impl Store {
    /// Opens the file, or makes it.
    pub(super) fn open(path: &Path) -> Result<Self, DatabaseError> {
        Ok(Self { path: path.to_owned(), database: RwLock::new(Some(create(path)?)) })
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Begins to read.
    pub(super) fn begin_read(&self) -> Result<ReadTransaction, redb::Error> {
        Ok(self.database.read().as_ref().ok_or_else(closed)?.begin_read()?)
    }

    /// Runs a change as a whole or not at all. After a failure the file is opened anew, at once or by the next change.
    pub(super) fn write<T>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        if self.database.read().is_none() {
            *self.database.write() = Some(create(&self.path)?);
        }
        let result = self.try_write(change);
        if result.is_err() {
            let mut database = self.database.write();
            // The old one holds the lock on the file.
            *database = None;
            *database = create(&self.path).ok();
        }
        result
    }

    fn try_write<T>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        let database = self.database.read();
        let write = database.as_ref().ok_or_else(closed)?.begin_write()?;
        let result = change(&write)?;
        write.commit()?;
        Ok(result)
    }
}

fn create(path: &Path) -> Result<Database, DatabaseError> {
    Builder::new().set_cache_size(CACHE_BYTES).create(path)
}

fn closed() -> redb::Error {
    redb::Error::Io(std::io::Error::other("it failed before, and is to be opened anew"))
}
