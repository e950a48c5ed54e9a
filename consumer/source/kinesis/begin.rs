//! Where a reader begins, and what may already be gone there.

use std::time::Duration;

use super::api::IteratorStart;
use super::{Api, KinesisSource};
use crate::source::{Position, ShardId, Source};

/// A start at the newest record that is older than this goes by its time, so that a slow begin loses nothing.
const FRESH_MS: u64 = 10_000;
/// The least retention that a stream can have.
const LEAST_RETENTION: Duration = Duration::from_secs(24 * 3600);

/// Whether records at the position may be trimmed away. After a sequence number nobody here knows: when it was
/// reached is in the state, so the pipeline compares that with the retention and the arrival times.
pub(super) fn trimmed<A: Api>(source: &KinesisSource<A>, position: &Position) -> bool {
    let (Position::AtTimestamp { ms } | Position::Latest { since_ms: ms }) = position else { return false };
    // Where the retention is not known, the least that it can be promises nothing that is not so.
    let retention = source.retention_ms().map_or(LEAST_RETENTION, Duration::from_millis);
    u128::from(source.now_ms().saturating_sub(*ms)) > retention.as_millis()
}

/// Where the first iterator begins; none at the shard's end.
pub(super) fn iterator_start<A: Api>(
    source: &KinesisSource<A>,
    shard: &ShardId,
    position: Position,
) -> Option<IteratorStart> {
    match position {
        // Files are another source's; the state's names keep them apart, so this is the harmless reading of it.
        Position::TrimHorizon | Position::Files(_) => Some(IteratorStart::TrimHorizon),
        Position::AtTimestamp { ms } => Some(IteratorStart::AtTimestamp { ms }),
        Position::AfterSequenceNumber(number) => Some(IteratorStart::AfterSequenceNumber(number)),
        Position::ShardEnd => None,
        Position::Latest { since_ms } => {
            let fresh = since_ms >= source.started_ms && source.now_ms() < since_ms.saturating_add(FRESH_MS);
            let first = source.opened_latest.lock().insert(shard.clone());
            let by_time = IteratorStart::AtTimestamp { ms: since_ms };
            Some(if fresh && first { IteratorStart::Latest } else { by_time })
        }
    }
}
