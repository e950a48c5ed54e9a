//! Sums by the values of fields.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::Sum;

/// Behind each value of a key: no text has this byte.
pub const END: u8 = 0xff;

struct Group {
    start: usize,
    end: usize,
    sum: Sum,
}

/// Sums by key: the values of the fields, each with [`END`] behind it.
#[derive(Default)]
pub struct Groups {
    keys: Vec<u8>,
    groups: Vec<Group>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Groups {
    /// Adds to the sum of a key.
    pub fn count(&mut self, key: &[u8], more: Sum) {
        let hash = self.hasher.hash_one(key);
        let (keys, groups) = (&self.keys, &self.groups);
        let is_it = |&at: &u32| {
            let group = &groups[at as usize];
            &keys[group.start..group.end] == key
        };
        if let Some(&at) = self.table.find(hash, is_it) {
            let sum = &mut self.groups[at as usize].sum;
            sum.calls += more.calls;
            sum.first_s = sum.first_s.min(more.first_s);
            sum.last_s = sum.last_s.max(more.last_s);
            return;
        }
        let start = self.keys.len();
        self.keys.extend_from_slice(key);
        self.groups.push(Group { start, end: self.keys.len(), sum: more });
        let (keys, groups, hasher) = (&self.keys, &self.groups, &self.hasher);
        let hash_of = |&at: &u32| {
            let group = &groups[at as usize];
            hasher.hash_one(&keys[group.start..group.end])
        };
        self.table.insert_unique(hash, (groups.len() - 1) as u32, hash_of);
    }

    /// Adds all sums of another.
    pub fn add(&mut self, other: &Self) {
        for group in &other.groups {
            self.count(&other.keys[group.start..group.end], group.sum);
        }
    }

    /// All sums with the values of their keys, by these.
    pub fn rows(&self) -> Vec<(Vec<String>, Sum)> {
        let values = |group: &Group| {
            let key = &self.keys[group.start..group.end];
            let mut values: Vec<String> = key
                .split(|byte| *byte == END)
                .map(|value| String::from_utf8_lossy(value).into_owned())
                .collect();
            values.pop();
            values
        };
        let mut rows: Vec<_> = self.groups.iter().map(|group| (values(group), group.sum)).collect();
        rows.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        rows
    }
}
