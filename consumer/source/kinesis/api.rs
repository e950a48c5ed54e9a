//! What this source asks of Kinesis.
//!
//! [`Api`] is the seam: [`super::sdk::SdkApi`] asks the service, tests ask a script. A call here is one try; who
//! calls decides whether and when to try again.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;

use super::error::ApiError;
use super::shards::Shard;

/// Where an iterator begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IteratorStart {
    /// At the oldest record that the shard still has.
    TrimHorizon,
    /// After the newest record.
    Latest,
    /// At the first record that arrived then or later (milliseconds since 1970).
    AtTimestamp {
        /// The time.
        ms: u64,
    },
    /// After the record with this sequence number.
    AfterSequenceNumber(String),
}

/// One record as the service holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its place in the shard.
    pub sequence_number: String,
    /// Its bytes.
    pub data: Bytes,
    /// When it arrived (milliseconds since 1970), where the service says it.
    pub arrival_ms: Option<u64>,
}

/// An answer of GetRecords: at most 10,000 records or 10 MiB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The records, in the shard's order; may be empty although more follow.
    pub records: Vec<StoredRecord>,
    /// The iterator for what follows; none at the end of a closed shard.
    pub next_iterator: Option<String>,
    /// How far the answer is behind the shard's newest record.
    pub behind_ms: Option<u64>,
}

/// A record to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// Decides the shard; 1 to 256 characters.
    pub partition_key: String,
    /// At most 1 MiB with the key, unless the stream allows more.
    pub data: Bytes,
}

/// The requests, all about one stream.
///
/// # Errors
/// Every request fails with an [`ApiError`] that names the stream or shard.
pub trait Api: Send + Sync + 'static {
    /// All shards that the stream still has, closed ones too, over all pages.
    fn list_shards(&self) -> impl Future<Output = Result<Vec<Shard>, ApiError>> + Send;

    /// An iterator on a shard.
    fn shard_iterator(
        &self,
        shard: &str,
        start: &IteratorStart,
    ) -> impl Future<Output = Result<String, ApiError>> + Send;

    /// What follows `iterator`, which is one of `shard`, in at most `limit` records.
    fn get_records(
        &self,
        shard: &str,
        iterator: &str,
        limit: i32,
    ) -> impl Future<Output = Result<Answer, ApiError>> + Send;

    /// How long the stream keeps its records.
    fn retention(&self) -> impl Future<Output = Result<Duration, ApiError>> + Send;

    /// Writes up to 500 records or 10 MiB. Answers for each record, in their order, nothing or the error code
    /// that it was refused with; some may be taken and others not.
    fn put_records(
        &self,
        records: Vec<NewRecord>,
    ) -> impl Future<Output = Result<Vec<Result<(), String>>, ApiError>> + Send;
}
