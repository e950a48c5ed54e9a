//! The figures of a window: one pass over its rows, without copying a name.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashSet};

use crate::pipeline::Views;
use crate::window::{Versions, WindowSize};

/// What a window adds up to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// All calls.
    pub calls: u64,
    /// Calls with a weak signature or TLS version.
    pub weak_calls: u64,
    /// Callers with at least one of those.
    pub weak_callers: usize,
    /// Calls whose signature version is known.
    pub signature_known: u64,
    /// Calls whose TLS version is known.
    pub tls_known: u64,
    /// Rows, added up over the shards.
    pub rows: usize,
}

impl Summary {
    /// Of a window at `at_s`.
    pub fn of(views: &Views, window: WindowSize, at_s: i64) -> Self {
        let mut summary = Self::default();
        let hasher = DefaultHashBuilder::default();
        let (mut rows_seen, mut weak_seen) = (HashSet::new(), HashSet::new());
        let views = views.all();
        for view in &views {
            view.read(|committed| {
                for row in committed.windows.rows(window, at_s, |_| true) {
                    summary.add(row.versions, row.calls);
                    let caller = (row.account_id, row.principal);
                    if row.versions.is_weak() {
                        weak_seen.insert(hasher.hash_one(caller));
                    }
                    // One shard has each row once; only several need to be held against each other.
                    if views.len() == 1 || rows_seen.insert(hasher.hash_one((caller, row.versions))) {
                        summary.rows += 1;
                    }
                }
            });
        }
        Self { weak_callers: weak_seen.len(), ..summary }
    }

    fn add(&mut self, versions: Versions, calls: u64) {
        let if_so = |is_so: bool| if is_so { calls } else { 0 };
        self.calls += calls;
        self.weak_calls += if_so(versions.is_weak());
        self.signature_known += if_so(versions.signature() != crate::event::UNKNOWN);
        self.tls_known += if_so(versions.tls() != crate::event::UNKNOWN);
    }
}
