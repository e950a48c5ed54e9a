//! What a Kinesis source is told, and what it refuses to be told.

use std::time::Duration;

use thiserror::Error;

use super::reader::ROOM_KIB;
use crate::backoff::Backoff;

/// GetRecords allows five calls a second on a shard, shared by all consumers.
const MOST_READS_PER_SECOND: f64 = 5.0;
/// GetRecords gives at most this many records.
const MOST_RECORDS: i32 = 10_000;

/// Where the very first start begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// With the oldest record that the stream still has.
    TrimHorizon,
    /// With what arrives from now on.
    Latest,
    /// With what arrived then or later.
    AtTimestamp {
        /// Milliseconds since 1970.
        ms: u64,
    },
}

/// How to read a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct KinesisOptions {
    /// The source's name, the first part of its shards' names.
    pub name: String,
    /// The stream's name or ARN.
    pub stream: String,
    /// The region; none takes the SDK's.
    pub region: Option<String>,
    /// The endpoint's URL; none takes the SDK's.
    pub endpoint: Option<String>,
    /// Where to begin when nothing is stored.
    pub start: StartAt,
    /// GetRecords calls a second on each shard: above 0, at most 5, which all consumers of a shard share.
    pub reads_per_second: f64,
    /// Records in an answer, 1 to 10,000.
    pub max_records: i32,
    /// Time between two listings of the shards. A shard's end lists at once.
    pub list_interval: Duration,
    /// Waits after failures.
    pub backoff: Backoff,
}

impl KinesisOptions {
    /// The defaults for a stream: from the oldest record on; four reads a second, which leaves the fifth to another
    /// consumer; whole answers; a listing a minute.
    pub fn new(name: &str, stream: &str) -> Self {
        Self {
            name: name.to_owned(),
            stream: stream.to_owned(),
            region: None,
            endpoint: None,
            start: StartAt::TrimHorizon,
            reads_per_second: 4.0,
            max_records: MOST_RECORDS,
            list_interval: Duration::from_secs(60),
            backoff: Backoff::default(),
        }
    }

    /// Refuses values that cannot work; `inflight_kib` is the room for all bytes in flight.
    pub(super) fn check(&self, inflight_kib: usize) -> Result<(), ConnectError> {
        let name = || self.name.clone();
        if self.name.is_empty() {
            return Err(ConnectError::NoName { stream: self.stream.clone() });
        }
        if self.stream.is_empty() {
            return Err(ConnectError::NoStream { name: name() });
        }
        if !(self.reads_per_second > 0.0 && self.reads_per_second <= MOST_READS_PER_SECOND) {
            return Err(ConnectError::ReadsPerSecond { name: name(), given: self.reads_per_second });
        }
        if !(1..=MOST_RECORDS).contains(&self.max_records) {
            return Err(ConnectError::MaxRecords { name: name(), given: self.max_records });
        }
        if self.list_interval.is_zero() {
            return Err(ConnectError::ListInterval { name: name() });
        }
        if inflight_kib < ROOM_KIB as usize {
            return Err(ConnectError::Inflight { name: name(), kib: inflight_kib });
        }
        Ok(())
    }
}

/// Why a source cannot be built. None of these comes from the service: that is asked later, and again and again.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ConnectError {
    /// The source has no name.
    #[error("the source of stream {stream} has no name; set `name`")]
    NoName {
        /// The stream.
        stream: String,
    },
    /// The source has no stream.
    #[error("source {name} names no stream; set `stream`")]
    NoStream {
        /// The source.
        name: String,
    },
    /// No region, neither here nor in the environment or a profile.
    #[error("no region for stream {stream}; set the source's `region`, or AWS_REGION")]
    NoRegion {
        /// The stream.
        stream: String,
    },
    /// A rate that the service never allows, or none.
    #[error("source {name} has `reads_per_second` {given}; set it above 0 and to at most 5")]
    ReadsPerSecond {
        /// The source.
        name: String,
        /// The rate.
        given: f64,
    },
    /// An answer cannot hold so many records.
    #[error("source {name} has `max_records` {given}; set it from 1 to 10000")]
    MaxRecords {
        /// The source.
        name: String,
        /// The number.
        given: i32,
    },
    /// Listing without a pause.
    #[error("source {name} has a `list_interval` of zero; set it to 60s")]
    ListInterval {
        /// The source.
        name: String,
    },
    /// One answer alone would not fit.
    #[error("source {name} needs 10 MiB for one answer, `limits.inflight_bytes` leaves {kib} KiB; raise it")]
    Inflight {
        /// The source.
        name: String,
        /// The room.
        kib: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut KinesisOptions), expect: &str) {
        let mut options = KinesisOptions::new("trail", "cloudtrail");
        change(&mut options);
        let said = options.check(64 * 1024).map_or_else(|error| error.to_string(), |()| "fine".to_owned());
        assert_eq!(said, expect);
    }

    #[test]
    fn refuses_what_cannot_work() {
        check(|_| {}, "fine");
        check(
            |options| options.reads_per_second = 5.5,
            "source trail has `reads_per_second` 5.5; set it above 0 and to at most 5",
        );
        check(
            |options| options.reads_per_second = f64::NAN,
            "source trail has `reads_per_second` NaN; set it above 0 and to at most 5",
        );
        check(|options| options.max_records = 0, "source trail has `max_records` 0; set it from 1 to 10000");
        check(|options| options.name.clear(), "the source of stream cloudtrail has no name; set `name`");
    }

    #[test]
    fn refuses_less_room_than_one_answer_takes() {
        let options = KinesisOptions::new("trail", "cloudtrail");
        assert!(matches!(options.check(1024), Err(ConnectError::Inflight { kib: 1024, .. })));
    }
}
