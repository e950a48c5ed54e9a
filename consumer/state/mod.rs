//! A shard's state and its position, made durable as one.
//!
//! Enters: what a shard's task counted since its last commit, and the position that is reached with it. Leaves, at
//! the next start: exactly that. A commit is a piece that holds what changed; when the pieces outgrow the state they
//! add up to, they are replaced by a snapshot, so a commit costs what changed and a start what is there.

pub mod embedded;

use std::collections::HashSet;
use std::sync::Arc;

use ::bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::callers::{CallerPolicy, Entry};
use crate::detect::RuleDelta;
use crate::detect::decide::{Deciding, Outcome};
use crate::duplicates::{DuplicateLimits, Duplicates, IdsPiece};
use crate::event::judge::Weakness;
use crate::source::{FileProgress, Position, ShardId};
use crate::totals::Totals;
use crate::window::{CallerLimits, HOUR_S, MINUTE_S, Overflow, Windows, bucket};
use crate::window::{Piece, PieceReader};

#[cfg(test)]
use embedded::Change;
pub use embedded::EmbeddedState;

/// The version of what is stored. A newer program reads older states; an older one refuses newer ones.
pub const STATE_VERSION: u64 = 3;

/// Why the state can't be used or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process has it open.
    #[error(
        "{path} is in use by another trailmeter: stop it, or give this one its own `state.embedded.path`"
    )]
    InUse {
        /// The file.
        path: String,
    },
    /// It was written by a newer program.
    #[error(
        "{path} has state version {found}, this program knows {known}: start a newer trailmeter, or give this one \
         its own `state.embedded.path`"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its version.
        found: u64,
        /// Ours.
        known: u64,
    },
    /// The disk or the file fails.
    #[error(
        "the state {path} can't be used ({cause}): see to the disk's room and the file's rights, or name another file in `state.embedded.path`"
    )]
    Storage {
        /// The file.
        path: String,
        /// What the store says.
        cause: Box<redb::Error>,
    },
    /// What is stored is not what was written.
    #[error(
        "{path}: the state of shard {shard} is damaged ({what}): restore the file, or remove it to begin anew"
    )]
    Damaged {
        /// The file.
        path: String,
        /// The shard.
        shard: String,
        /// Which part.
        what: &'static str,
    },
    /// The store's thread is gone.
    #[error("the state is closed")]
    Closed,
}

/// What a commit writes of a shard besides its counts. Small, and written whole each time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardHeader {
    /// How far the shard is counted. Of files, what each was read to is stored apart.
    pub position: Position,
    /// The newest event time of the lineage (seconds since 1970).
    pub newest_s: Option<i64>,
    /// Wall time at which the newest event was first committed (milliseconds since 1970).
    pub newest_committed_ms: u64,
    /// Wall time of the last commit (milliseconds since 1970).
    pub committed_ms: u64,
    /// Stretches of arrival time that were read without a gap, from and to (milliseconds since 1970).
    pub stretches: Vec<(u64, u64)>,
    /// The document whose rest does not count, see [`crate::decode::Decoder::broken_document`].
    pub broken_document: Option<u64>,
    /// The accounting.
    pub totals: Totals,
    /// Counts and totals went on in the shard's heir; what is left here is that the shard was finished.
    pub is_inherited: bool,
}

impl ShardHeader {
    /// A shard of which nothing is read.
    pub fn begin(position: Position) -> Self {
        Self {
            position,
            newest_s: None,
            newest_committed_ms: 0,
            committed_ms: 0,
            stretches: Vec::new(),
            broken_document: None,
            totals: Totals::default(),
            is_inherited: false,
        }
    }

    /// Whether the shard was read to its end.
    pub fn is_finished(&self) -> bool {
        self.position == Position::ShardEnd
    }

    /// Notes that the shard is read without a gap up to `until_ms`, from `from_ms` on if this begins a stretch.
    pub fn extend_stretch(&mut self, from_ms: u64, until_ms: u64, is_gap: bool) {
        if until_ms == 0 {
            // A shard of which nothing was read yet, and which is behind.
            return;
        }
        match self.stretches.last_mut() {
            Some((_, until)) if !is_gap => *until = until_ms.max(*until),
            _ => self.stretches.push((from_ms.min(until_ms), until_ms)),
        }
        let surplus = self.stretches.len().saturating_sub(STRETCHES_KEPT);
        self.stretches.drain(..surplus);
    }
}

/// Gaps are rare; the newest are kept.
const STRETCHES_KEPT: usize = 100;

/// Stretches that lie in both.
pub fn intersect(left: &[(u64, u64)], right: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let pairs = left.iter().flat_map(|l| right.iter().map(move |r| (l.0.max(r.0), l.1.min(r.1))));
    pairs.filter(|(from, to)| from <= to).collect()
}

/// All that a shard's task needs to go on.
pub struct ShardState {
    /// Position, totals and so on.
    pub header: ShardHeader,
    /// The counts.
    pub windows: Windows,
    /// The memory of duplicates.
    pub duplicates: Duplicates,
    /// Bytes of the snapshot and of the pieces since.
    pub stored: StoredBytes,
}

/// How much of a shard is stored, which decides when a snapshot pays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredBytes {
    /// Bytes of the last snapshot.
    pub snapshot: usize,
    /// Bytes of the pieces since.
    pub since: usize,
}

/// Below this a snapshot would save nothing worth the writing.
const SNAPSHOT_AT_LEAST_BYTES: usize = 16 << 20;

impl StoredBytes {
    /// Whether the pieces have outgrown what they add up to.
    pub fn wants_snapshot(self) -> bool {
        self.since > self.snapshot.max(SNAPSHOT_AT_LEAST_BYTES)
    }
}

/// Bounds that hold while a state is read.
#[derive(Clone, Copy, Debug)]
pub struct StateLimits {
    /// Of the windows.
    pub callers: CallerLimits,
    /// Of the memory of duplicates.
    pub duplicates: DuplicateLimits,
}

/// What one commit makes durable.
pub struct Commit {
    /// The shard.
    pub shard: ShardId,
    /// Its header, with the new position.
    pub header: ShardHeader,
    /// The encoded piece; empty if nothing was counted.
    pub piece: Bytes,
    /// How far files were read, of those that moved.
    pub files: Vec<(String, FileProgress)>,
    /// What was counted of weak callers.
    pub weak: Arc<WeakCommit>,
    /// What rules matched.
    pub detections: Arc<DetectionCommit>,
}

/// What rules matched in one commit.
#[derive(Default)]
pub struct DetectionCommit {
    /// By rule.
    pub deltas: Vec<RuleDelta>,
    /// By what it is decided what becomes of it.
    pub deciding: Deciding,
    /// The newest event time of the shard, in seconds since 1970.
    pub newest_s: i64,
    /// What the rules in force remember by.
    pub state_ids: Arc<HashSet<u64>>,
    /// Values and groups that rules remember.
    pub values: u64,
    /// Matches that are kept.
    pub matches: u64,
}

/// What one commit adds to the memory of weak callers.
pub struct WeakCommit {
    /// What the callers did.
    pub callers: Vec<Entry>,
    /// By what it is judged who is new.
    pub judge: Judge,
}

#[cfg(test)]
impl Commit {
    /// Of weak callers and nothing else.
    pub fn of_callers(callers: Vec<Entry>, judge: Judge) -> Change {
        Change::Commit(Box::new(Self {
            shard: ShardId::new("s", "0"),
            header: ShardHeader::begin(Position::TrimHorizon),
            piece: Bytes::new(),
            files: Vec::new(),
            weak: Arc::new(WeakCommit { callers, judge }),
            detections: Arc::default(),
        }))
    }
}

/// By what it is judged who is new.
#[derive(Clone)]
pub struct Judge {
    /// What the config says of weak callers.
    pub policy: Arc<CallerPolicy>,
    /// Nobody is paged: new callers are remembered.
    pub is_learning: bool,
    /// Wall time, in milliseconds since 1970.
    pub now_ms: u64,
    /// Where the page is served; none if alerts go nowhere.
    pub alert_link: Option<Arc<str>>,
}

/// What a commit made of weak callers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Callers of our own that were new, by weakness.
    pub new_callers: [u64; Weakness::ALL.len()],
    /// Callers that are decided, by the hash of their key, and the greatest event time that is known of them.
    pub decided: Vec<(u64, i64)>,
    /// Callers that found no room.
    pub overflow: Overflow,
}

/// What became of weak callers of history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recalled {
    /// They are remembered from now on.
    pub new: u64,
    /// They were before.
    pub known: u64,
    /// They found no room.
    pub no_room: u64,
}

/// What a change wrote.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// Bytes of counts and ids.
    pub bytes: usize,
    /// What became of weak callers.
    pub remembered: Remembered,
    /// What became of rules' matches.
    pub outcomes: Vec<Outcome>,
    /// What became of weak callers of history.
    pub recalled: Recalled,
}

/// A piece as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredPiece<'a> {
    /// It is part of a snapshot: its callers' numbers go on in the next part.
    is_snapshot: bool,
    #[serde(borrow)]
    counts: Piece<'a>,
    ids: IdsPiece,
}

/// Encodes what a commit adds.
pub fn encode_delta(counts: Piece<'_>, ids: IdsPiece) -> Vec<u8> {
    encode(&StoredPiece { is_snapshot: false, counts, ids })
}

/// Encodes the whole of a shard's counts and ids, part by part.
pub fn encode_snapshot(
    windows: &Windows,
    duplicates: impl Iterator<Item = IdsPiece>,
    mut write: impl FnMut(Vec<u8>),
) {
    let part = |counts, ids| encode(&StoredPiece { is_snapshot: true, counts, ids });
    windows.pieces(PART_BYTES, |piece| {
        write(encode(&StoredPieceRef { is_snapshot: true, counts: piece, ids: &IdsPiece::default() }));
    });
    duplicates.for_each(|ids| write(part(Piece::default(), ids)));
}

#[derive(Serialize)]
struct StoredPieceRef<'a> {
    is_snapshot: bool,
    counts: &'a Piece<'a>,
    ids: &'a IdsPiece,
}

/// Bytes of a snapshot's part: small enough to be held beside the state, large enough to be few; and, encoded, below
/// the power of two that the store rounds a large value up to.
const PART_BYTES: usize = 900 << 10;

/// Ids in a snapshot's part.
pub const IDS_PER_PART: usize = PART_BYTES / 16;

fn encode(value: &impl Serialize) -> Vec<u8> {
    // Serialising plain numbers and text into memory has no way to fail.
    postcard::to_stdvec(value).unwrap_or_default()
}

/// Adds stored pieces up, in their order, to what they describe.
pub struct Loading {
    windows: Windows,
    duplicates: Duplicates,
    stored: StoredBytes,
    snapshot: PieceReader,
    limits: StateLimits,
}

impl Loading {
    /// Begins a shard whose newest event is at `newest_s`.
    pub fn begin(newest_s: Option<i64>, limits: StateLimits) -> Self {
        let mut windows = Windows::default();
        if let Some(newest_s) = newest_s {
            windows.advance(bucket(newest_s, MINUTE_S), bucket(newest_s, HOUR_S));
        }
        Self {
            windows,
            duplicates: Duplicates::default(),
            stored: StoredBytes::default(),
            snapshot: PieceReader::default(),
            limits,
        }
    }

    /// Adds a piece; false if it is not one.
    pub fn add(&mut self, bytes: &[u8]) -> bool {
        let Ok(piece) = postcard::from_bytes::<StoredPiece<'_>>(bytes) else { return false };
        if piece.is_snapshot {
            self.stored.snapshot += bytes.len();
            // What a snapshot holds was within the bounds when it was counted.
            let unbounded = CallerLimits { own: usize::MAX, outside: usize::MAX };
            self.snapshot.merge(&piece.counts, &mut self.windows, unbounded);
        } else {
            self.stored.since += bytes.len();
            PieceReader::default().merge(&piece.counts, &mut self.windows, self.limits.callers);
        }
        self.duplicates.load(&piece.ids, self.limits.duplicates);
        true
    }

    /// What the pieces add up to.
    pub fn finish(self, header: ShardHeader) -> ShardState {
        ShardState { header, windows: self.windows, duplicates: self.duplicates, stored: self.stored }
    }
}

/// The state that a child begins with: the counts of the parents whose heir it is, the memory of all.
/// That is its first commit, at `now_ms`.
pub fn inherit(
    position: Position,
    parents: Vec<(ShardState, bool)>,
    limits: StateLimits,
    now_ms: u64,
) -> ShardState {
    let mut header = ShardHeader::begin(position);
    header.committed_ms = now_ms;
    let heirlooms = || parents.iter().filter(|(parent, is_heir)| *is_heir && !parent.header.is_inherited);
    header.newest_s = parents.iter().filter_map(|(parent, _)| parent.header.newest_s).max();
    for (parent, _) in parents.iter() {
        if parent.header.newest_s == header.newest_s {
            header.newest_committed_ms = header.newest_committed_ms.max(parent.header.newest_committed_ms);
        }
    }
    let stretches = parents.iter().map(|(parent, _)| parent.header.stretches.clone());
    header.stretches = stretches.reduce(|left, right| intersect(&left, &right)).unwrap_or_default();
    let mut loading = Loading::begin(header.newest_s, limits);
    for (parent, _) in heirlooms() {
        header.totals.add(&parent.header.totals);
        let mut reader = PieceReader::default();
        parent.windows.pieces(PART_BYTES, |piece| {
            reader.merge(piece, &mut loading.windows, limits.callers);
        });
    }
    let memories: Vec<Duplicates> = parents.into_iter().map(|(parent, _)| parent.duplicates).collect();
    loading.duplicates = Duplicates::merge(&memories, limits.duplicates);
    loading.finish(header)
}

/// Stores bytes as bytes, not as a sequence of numbers.
pub mod bytes {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes bytes.
    ///
    /// # Errors
    /// As the serializer's.
    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// As the deserializer's.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        <&[u8]>::deserialize(deserializer).map(<[u8]>::to_vec)
    }
}
