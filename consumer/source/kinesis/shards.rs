//! Which shards may be read now: pure lineage.
//!
//! Enters: a listing of the stream and what is known of each shard. Leaves: the shards whose parents are all read,
//! with those parents and the child that inherits from each. Nothing here waits or fails.

use std::collections::{BTreeMap, BTreeSet};

/// A shard as the service lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its id.
    pub id: String,
    /// The shard it was split from, or one of the two it was merged from.
    pub parent: Option<String>,
    /// The other of the two that it was merged from.
    pub adjacent_parent: Option<String>,
    /// The lowest hash key that it takes.
    pub starting_hash_key: u128,
    /// The highest.
    pub ending_hash_key: u128,
    /// Nothing is written to it any more; there may still be records to read.
    pub closed: bool,
}

impl Shard {
    /// The shards that this one came from.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        self.parent.iter().chain(&self.adjacent_parent).map(String::as_str)
    }
}

/// How far the reading of a shard is. Of a shard that is not known, nothing was read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The state has a position of it; it was not announced yet.
    Stored,
    /// It is being read.
    Started,
    /// It is closed and its end was committed.
    Finished,
}

/// A shard that may be read now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The shard.
    pub shard: String,
    /// Those of its parents of which anything is known.
    pub parents: Vec<Ancestor>,
}

/// A parent, and what becomes of its counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestor {
    /// The parent.
    pub shard: String,
    /// The counts go on in the shard that this is a parent of.
    pub heir: bool,
    /// All listed children, by starting hash key.
    pub children: Vec<String>,
}

/// What is known of every shard of the stream.
#[derive(Debug, Default)]
pub struct Lineage {
    listed: BTreeMap<String, Shard>,
    progress: BTreeMap<String, Progress>,
}

impl Lineage {
    /// Begins with the shards that the state knows.
    pub fn new(stored: impl IntoIterator<Item = (String, Progress)>) -> Self {
        Self { listed: BTreeMap::new(), progress: stored.into_iter().collect() }
    }

    /// Takes a listing in place of the one before.
    ///
    /// A listed shard that is not known although one that came from it is, was finished and its state deleted
    /// since: no child starts before its parents are finished.
    pub fn list(&mut self, shards: impl IntoIterator<Item = Shard>) {
        self.listed = shards.into_iter().map(|shard| (shard.id.clone(), shard)).collect();
        let mut descendants: Vec<String> = self.progress.keys().cloned().collect();
        while let Some(id) = descendants.pop() {
            let Some(shard) = self.listed.get(&id) else { continue };
            for parent in shard.parents() {
                if self.listed.contains_key(parent) && !self.progress.contains_key(parent) {
                    self.progress.insert(parent.to_owned(), Progress::Finished);
                    descendants.push(parent.to_owned());
                }
            }
        }
    }

    /// Notes how far a shard is.
    pub fn set(&mut self, shard: &str, progress: Progress) {
        self.progress.insert(shard.to_owned(), progress);
    }

    /// The shards that may be read now and are not read yet, in lineage order (which is that of their ids).
    pub fn ready(&self) -> Vec<Ready> {
        let stored = self.progress.keys();
        let candidates: BTreeSet<&String> = self.listed.keys().chain(stored).collect();
        let ready = candidates.into_iter().filter(|id| self.may_start(id));
        ready.map(|id| Ready { shard: id.clone(), parents: self.ancestors(id) }).collect()
    }

    /// Whether the shard is listed, while those that take over its hash keys are not, or not all.
    pub fn misses_children(&self, shard: &str) -> bool {
        self.listed.contains_key(shard) && !self.has_all_children(shard)
    }

    fn may_start(&self, id: &str) -> bool {
        let waits = matches!(self.progress.get(id), None | Some(Progress::Stored));
        waits && self.listed.get(id).is_none_or(|shard| shard.parents().all(|parent| self.is_over(parent)))
    }

    /// The parent is read, and all its children are listed, so that its heir is known for good; or it is gone.
    fn is_over(&self, parent: &str) -> bool {
        match self.progress.get(parent) {
            Some(Progress::Finished) => !self.misses_children(parent),
            Some(_) => false,
            None => !self.listed.contains_key(parent),
        }
    }

    /// A listing that was made while the stream was resharded may hold one child of a split without the other.
    fn has_all_children(&self, parent: &str) -> bool {
        let Some(parent) = self.listed.get(parent) else { return true };
        let children = self.children(&parent.id);
        let lowest = children.iter().map(|child| child.starting_hash_key).min();
        let highest = children.iter().map(|child| child.ending_hash_key).max();
        lowest.is_some_and(|key| key <= parent.starting_hash_key)
            && highest.is_some_and(|key| key >= parent.ending_hash_key)
    }

    fn ancestors(&self, id: &str) -> Vec<Ancestor> {
        let parents = self.listed.get(id).into_iter().flat_map(Shard::parents);
        let known =
            parents.filter(|parent| self.listed.contains_key(*parent) || self.progress.contains_key(*parent));
        let ancestor = |parent: &str| {
            let children: Vec<_> = self.children(parent).into_iter().map(|child| child.id.clone()).collect();
            let heir = children.first().is_some_and(|first| first == id);
            Ancestor { shard: parent.to_owned(), heir, children }
        };
        known.map(ancestor).collect()
    }

    fn children(&self, parent: &str) -> Vec<&Shard> {
        let children = self.listed.values().filter(|shard| shard.parents().any(|named| named == parent));
        let mut children: Vec<_> = children.collect();
        children.sort_by_key(|child| child.starting_hash_key);
        children
    }
}

#[cfg(test)]
mod tests;
