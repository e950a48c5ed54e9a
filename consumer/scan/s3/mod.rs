//! Objects of S3 as a scan's input.
//!
//! Enters: a [`Location`]. Leaves: the objects under it that are wanted, in the order in which files of the same names
//! would be read; then what is in them, downloaded ahead of the threads that decode.

mod fetch;
mod list;

use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use object_store::{Error, ObjectStore};
use tokio::runtime::Handle;

pub use fetch::{Fetcher, ObjectReader};
pub use list::list;

use crate::s3::{Location, Patience, advice, connect, why};

/// A history is long, and a hiccup should not leave a hole in it. A part of 8 MiB comes in time over 1 Mbit/s.
const PATIENCE: Patience = Patience {
    retries: 8,
    answer: Duration::from_secs(90),
    give_up: Duration::from_secs(180),
    find_region: true,
};

/// A bucket that can be asked.
#[derive(Debug)]
pub struct Bucket {
    name: String,
    store: Arc<dyn ObjectStore>,
    runtime: Handle,
}

impl Bucket {
    /// Makes ready to ask it. To be called where tasks can be spawned.
    ///
    /// # Errors
    /// The environment has something that can't be used.
    pub async fn connect(location: &Location) -> Result<Arc<Self>, String> {
        let store = connect(&location.bucket, PATIENCE).await;
        let store = store.map_err(|error| format!("{location} can't be read: {}", why(&error)))?;
        Ok(Self::of(&location.bucket, Arc::new(store)))
    }

    fn of(name: &str, store: Arc<dyn ObjectStore>) -> Arc<Self> {
        Arc::new(Self { name: name.to_owned(), store, runtime: Handle::current() })
    }

    /// An error with what to do about it.
    fn told(&self, key: &str, error: &Error) -> String {
        format!("s3://{}/{key}: {}{}", self.name, why(error), advice(error))
    }
}

/// An object.
#[derive(Clone, Debug)]
pub struct Object {
    bucket: Arc<Bucket>,
    key: Path,
    /// Its bytes, when it was listed.
    pub size: u64,
    /// What tells it from another of the same key, where it is read in several parts.
    tag: Option<Box<str>>,
}

impl Object {
    /// Its name as people write it.
    pub fn name(&self) -> String {
        format!("s3://{}/{}", self.bucket.name, self.key)
    }
}
