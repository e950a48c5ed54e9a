//! What is committed, as everyone but the shards' tasks sees it.
//!
//! Each shard has a view that its task writes at each commit and only then; readers add the views up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hashbrown::{DefaultHashBuilder, HashMap, HashSet};
use parking_lot::RwLock;

use crate::source::{ShardId, ShardStatus};
use crate::state::ShardHeader;
use crate::totals::Totals;
use crate::window::{Row, Versions, WindowSize, Windows};

/// No behind is known.
const NOT_BEHIND: u64 = u64::MAX;

/// What is committed of one shard.
pub struct ShardView {
    shard: ShardId,
    kind: &'static str,
    status: Arc<ShardStatus>,
    committed: RwLock<Committed>,
    behind_ms: AtomicU64,
    has_caught_up: AtomicBool,
}

/// The state of a shard as of its last commit.
pub struct Committed {
    /// Position, totals and so on.
    pub header: ShardHeader,
    /// The counts.
    pub windows: Windows,
    /// A task reads the shard now.
    pub is_read: bool,
}

impl ShardView {
    /// The view of a shard that nobody reads yet.
    pub fn new(shard: ShardId, kind: &'static str, header: ShardHeader, windows: Windows) -> Self {
        Self {
            shard,
            kind,
            status: Arc::default(),
            committed: RwLock::new(Committed { header, windows, is_read: false }),
            behind_ms: AtomicU64::new(NOT_BEHIND),
            has_caught_up: AtomicBool::new(false),
        }
    }

    /// The shard.
    pub fn shard(&self) -> &ShardId {
        &self.shard
    }

    /// What its source is: `kinesis`, `files`, ….
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// What its reader shows of itself.
    pub fn status(&self) -> &Arc<ShardStatus> {
        &self.status
    }

    /// How far the reader is behind the newest record.
    pub fn behind_ms(&self) -> Option<u64> {
        Some(self.behind_ms.load(Ordering::Relaxed)).filter(|ms| *ms != NOT_BEHIND)
    }

    /// Notes how far the reader is behind.
    pub fn set_behind_ms(&self, behind_ms: Option<u64>) {
        self.behind_ms.store(behind_ms.unwrap_or(NOT_BEHIND), Ordering::Relaxed);
    }

    /// Notes that everything was read that there was.
    pub fn catch_up(&self) {
        self.has_caught_up.store(true, Ordering::Relaxed);
    }

    /// Everything was read that there was, at least once; or nobody reads the shard any more.
    pub fn has_caught_up(&self) -> bool {
        self.has_caught_up.load(Ordering::Relaxed)
            || self.kind == "none"
            || self.read(|committed| committed.header.is_finished())
    }

    /// Reads what is committed.
    pub fn read<T>(&self, read: impl FnOnce(&Committed) -> T) -> T {
        read(&self.committed.read())
    }

    /// Writes what was committed.
    pub fn write<T>(&self, write: impl FnOnce(&mut Committed) -> T) -> T {
        write(&mut self.committed.write())
    }
}

/// Why a window can't be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowError {
    /// It begins before what is kept; this is the earliest time it can be asked for.
    TooEarly {
        /// Seconds since 1970.
        earliest_at_s: i64,
    },
}

/// A row of a window, added up over the shards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnedRow {
    /// The account that called.
    pub account_id: String,
    /// The principal.
    pub principal: String,
    /// Signature and TLS version.
    pub versions: Versions,
    /// Calls in the window.
    pub calls: u64,
}

/// Rows of a window in their order, and whether there are more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowRows {
    /// By account, principal, signature version, TLS version.
    pub rows: Vec<OwnedRow>,
    /// More rows follow the last.
    pub has_more: bool,
}

/// All shards' views.
#[derive(Default)]
pub struct Views {
    shards: RwLock<BTreeMap<ShardId, Arc<ShardView>>>,
    hasher: DefaultHashBuilder,
}

/// The key by which rows are ordered and pages follow each other.
pub type RowKey = (String, String, Versions);

/// A shard this far behind has caught up: what is on its way is not late.
const NEARLY_MS: u64 = 60_000;

impl ShardView {
    /// The newest event time of a shard that is being read and has not caught up; the beginning of time before its first
    /// event.
    fn behind_at_s(&self) -> Option<i64> {
        let is_behind = self.behind_ms().is_none_or(|behind_ms| behind_ms > NEARLY_MS);
        let newest_s = |committed: &Committed| {
            (is_behind && committed.is_read).then(|| committed.header.newest_s.unwrap_or(i64::MIN))
        };
        self.read(newest_s)
    }
}

impl Views {
    /// The newest event time of the shard that is furthest behind, in seconds since 1970, of all but this one; none if
    /// they have caught up.
    pub fn slowest_but_s(&self, shard: &ShardId) -> Option<i64> {
        let shards = self.shards.read();
        shards.values().filter(|view| view.shard != *shard).filter_map(|view| view.behind_at_s()).min()
    }

    /// Adds a view, and takes those away that it inherits, in one step: no reader sees a count twice or not at all.
    pub fn insert(&self, view: Arc<ShardView>, inherited: &[ShardId]) {
        let mut shards = self.shards.write();
        inherited.iter().for_each(|parent| drop(shards.remove(parent)));
        shards.insert(view.shard.clone(), view);
    }

    /// One shard's view.
    pub fn get(&self, shard: &ShardId) -> Option<Arc<ShardView>> {
        self.shards.read().get(shard).cloned()
    }

    /// All views, in the order of their names.
    pub fn all(&self) -> Vec<Arc<ShardView>> {
        self.shards.read().values().cloned().collect()
    }

    /// The time that windows are answered for when nobody asks for another, in seconds since 1970: the newest event
    /// time, moving on with the wall clock since that event was committed, and never ahead of it.
    pub fn now_s(&self, now_ms: u64) -> i64 {
        let newest = self.all().into_iter().filter_map(|view| {
            view.read(|committed| Some((committed.header.newest_s?, committed.header.newest_committed_ms)))
        });
        let wall_s = (now_ms / 1000).cast_signed();
        newest.max().map_or(wall_s, |(newest_s, committed_ms)| {
            wall_s.min(newest_s + (now_ms.saturating_sub(committed_ms) / 1000).cast_signed())
        })
    }

    /// The accounting of all shards.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.all().iter().for_each(|view| view.read(|committed| totals.add(&committed.header.totals)));
        totals
    }

    /// The earliest time that a window can be asked for: all shards keep the whole of it. None before the first event.
    pub fn earliest_at_s(&self, window: WindowSize) -> Option<i64> {
        let newest =
            self.all().into_iter().filter_map(|view| view.read(|committed| committed.header.newest_s));
        newest.map(|newest_s| window.earliest_at_s(newest_s)).max()
    }

    /// At most `limit` rows of a window at `at_s` that follow `after`.
    ///
    /// # Errors
    /// The window begins before what a shard keeps.
    pub fn window(
        &self,
        window: WindowSize,
        at_s: i64,
        after: Option<&RowKey>,
        limit: usize,
    ) -> Result<WindowRows, WindowError> {
        if let Some(earliest_at_s) = self.earliest_at_s(window).filter(|earliest_at_s| at_s < *earliest_at_s)
        {
            return Err(WindowError::TooEarly { earliest_at_s });
        }
        let views = self.all();
        // The first `limit` rows of the sum are among the first `limit + 1` of each shard.
        let mut sums: BTreeMap<RowKey, u64> = BTreeMap::new();
        for view in &views {
            view.read(|committed| {
                for row in first_rows(committed.windows.rows(window, at_s, |_| true), after, limit + 1) {
                    let key = (row.account_id.to_owned(), row.principal.to_owned(), row.versions);
                    *sums.entry(key).or_default() += row.calls;
                }
            });
        }
        let has_more = sums.len() > limit;
        let rows = sums.into_iter().take(limit).map(|((account_id, principal, versions), calls)| OwnedRow {
            account_id,
            principal,
            versions,
            calls,
        });
        Ok(WindowRows { rows: rows.collect(), has_more })
    }

    /// The rows of weak versions in a window at `at_s`: at most `limit`, our own callers before those outside, the
    /// busiest first; and how many were left out.
    pub fn weak_rows(&self, window: WindowSize, at_s: i64, limit: usize) -> (Vec<OwnedRow>, usize) {
        let mut sums: HashMap<RowKey, (bool, u64)> = HashMap::new();
        for view in self.all() {
            view.read(|committed| {
                for row in committed.windows.rows(window, at_s, Versions::is_weak) {
                    let key = (row.account_id.to_owned(), row.principal.to_owned(), row.versions);
                    let sum = sums.entry(key).or_insert((row.is_outside, 0));
                    sum.1 += row.calls;
                }
            });
        }
        let mut rows: Vec<_> = sums.into_iter().collect();
        rows.sort_by(|(left_key, left), (right_key, right)| {
            (left.0, right.1, left_key).cmp(&(right.0, left.1, right_key))
        });
        let left_out = rows.len().saturating_sub(limit);
        rows.truncate(limit);
        let rows = rows.into_iter().map(|((account_id, principal, versions), (_, calls))| OwnedRow {
            account_id,
            principal,
            versions,
            calls,
        });
        (rows.collect(), left_out)
    }

    /// Distinct callers in a window at `at_s`, by versions.
    pub fn distinct_callers(&self, window: WindowSize, at_s: i64) -> HashMap<Versions, u64> {
        let views = self.all();
        let mut seen: HashSet<(Versions, u64)> = HashSet::new();
        let mut counts = HashMap::new();
        for view in &views {
            for key in view.read(|committed| committed.windows.caller_hashes(window, at_s, &self.hasher)) {
                // One shard has each caller once; only several need to be held against each other.
                if views.len() == 1 || seen.insert(key) {
                    *counts.entry(key.0).or_default() += 1;
                }
            }
        }
        counts
    }
}

/// The first `limit` rows behind `after`, without sorting more than those.
fn first_rows<'a>(mut rows: Vec<Row<'a>>, after: Option<&RowKey>, limit: usize) -> Vec<Row<'a>> {
    if let Some((account_id, principal, versions)) = after {
        let last = (account_id.as_str(), principal.as_str(), *versions);
        rows.retain(|row| (row.account_id, row.principal, row.versions) > last);
    }
    if rows.len() > limit {
        rows.select_nth_unstable(limit);
        rows.truncate(limit);
    }
    rows
}
