//! What was counted of weak callers since the last commit, by one shard's task.
//!
//! Budget: a call without a weakness costs a few comparisons; one with a weakness two table look-ups and a hash over
//! its details, and nothing is allocated while caller and details were seen before (measured in
//! benches/pipeline.rs).

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashMap, HashSet, HashTable};
use trailmeter_rules::event::Known;

use super::{CallerKey, CallerPolicy, Detail, OwnedKey, Sighting, advice, day_of};
use crate::event::judge::Weakness;
use crate::event::{Event, Texts, client, principal};
use crate::window::cut_name;

/// Combinations of caller and details that are known to be listed already, and callers that are decided. Beyond
/// this many the table begins anew, which costs time and nothing else.
const KEPT: usize = 32_768;
/// Sightings of a caller in one commit: one is usual, a second comes with the end of an acceptance or of a silence.
const MOST_SIGHTINGS: usize = 8;
/// Bytes of a text in a list.
pub const MAX_VALUE_BYTES: usize = 512;

/// A call, and who made it.
#[derive(Clone, Copy)]
pub struct Call<'c, 'a> {
    /// The event.
    pub event: &'c Event<'a>,
    /// Its texts side by side.
    pub texts: &'c Texts<'c>,
    /// Its time, in seconds since 1970.
    pub time_s: i64,
    /// The account that called.
    pub account_id: &'c str,
    /// The principal.
    pub principal: &'c str,
    /// The caller is outside the organisation.
    pub is_outside: bool,
}

/// What one weak caller did since the last commit.
pub struct Entry {
    /// Who.
    pub key: OwnedKey,
    /// The caller is outside the organisation.
    pub is_outside: bool,
    /// Calls with the weakness.
    pub calls: u64,
    /// Those that failed.
    pub errors: u64,
    /// Those through a presigned link.
    pub presigned: u64,
    /// The least event time.
    pub first_s: i64,
    /// The greatest event time.
    pub last_s: i64,
    /// Calls by which it may be new, in the order in which they came: the first, unless the caller is known to be
    /// decided; and each that comes after an acceptance or a long silence.
    pub sightings: Vec<Sighting>,
    /// For each list its new texts, and the day that each was last seen on.
    pub details: [HashMap<Box<str>, i32>; Detail::COUNT],
    /// The key's number for [`Delta::remember`].
    pub hash: u64,
    /// The greatest event time of the caller that is known here, from before the last commit, too.
    known_s: i64,
    /// Until when the caller is accepted; the end of time if it is not.
    accepted_until_s: i64,
}

/// Weak callers since the last commit.
#[derive(Default)]
pub struct Delta {
    entries: Vec<Entry>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// Callers that are paged or learned, by the hash of their key, with the greatest event time known.
    decided: HashMap<u64, i64>,
    /// Callers and details that are listed.
    listed: HashSet<u64>,
    /// Sightings since this was last asked for: entry, and which of its sightings.
    news: Vec<(u32, u32)>,
    bytes: usize,
}

impl Delta {
    /// Counts a call under each of its weaknesses.
    pub fn count(&mut self, call: &Call<'_, '_>, policy: &CallerPolicy) {
        let mut details = None;
        for weakness in Weakness::ALL {
            if weakness.is_of(call.event) {
                let details = *details.get_or_insert_with(|| self.hash_details(call));
                self.count_one(weakness, call, details, policy);
            }
        }
    }

    /// Roughly the bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Calls by which a caller may be new, since this was last asked: key and event time.
    pub fn take_news(&mut self) -> Vec<(OwnedKey, i64)> {
        let news = std::mem::take(&mut self.news).into_iter();
        news.filter_map(|(at, nth)| {
            let entry = &self.entries[at as usize];
            Some((entry.key.clone(), entry.sightings.get(nth as usize)?.time_s))
        })
        .collect()
    }

    /// Everything since the last commit, which makes it durable.
    pub fn take(&mut self) -> Vec<Entry> {
        self.table.clear();
        self.news.clear();
        self.bytes = 0;
        std::mem::take(&mut self.entries)
    }

    /// These callers, by the hash of their key, are decided and were seen up to this event time: nobody needs to ask
    /// for them until they are silent for too long.
    pub fn remember(&mut self, decided: &[(u64, i64)]) {
        if self.decided.len() > KEPT {
            self.decided.clear();
        }
        for (hash, last_s) in decided {
            let known_s = self.decided.entry(*hash).or_insert(*last_s);
            *known_s = (*known_s).max(*last_s);
        }
    }

    /// Forgets what is decided and listed: the config changed.
    pub fn ask_again(&mut self) {
        self.decided.clear();
        self.listed.clear();
    }

    fn count_one(&mut self, weakness: Weakness, call: &Call<'_, '_>, details: Hashes, policy: &CallerPolicy) {
        let key = CallerKey {
            weakness,
            account_id: cut_name(call.account_id),
            principal: cut_name(call.principal),
        };
        let hash = self.hasher.hash_one(key);
        let at = self.find(key, hash).unwrap_or_else(|| self.insert(key, hash, call, policy));
        let (event, time_s) = (call.event, call.time_s);
        let entry = &mut self.entries[at as usize];
        let is_silent = time_s.saturating_sub(entry.known_s) > policy.forget_after_s;
        // The config may have made it ours since the last commit.
        let became_ours = entry.is_outside && !call.is_outside;
        entry.is_outside &= call.is_outside;
        if !call.is_outside && (became_ours || is_silent || time_s > entry.accepted_until_s) {
            self.sight(at, call, policy);
        }
        let entry = &mut self.entries[at as usize];
        entry.calls += 1;
        entry.errors += u64::from(event.is_failed);
        entry.presigned += u64::from(event.is_presigned);
        entry.first_s = entry.first_s.min(time_s);
        entry.last_s = entry.last_s.max(time_s);
        entry.known_s = entry.known_s.max(time_s);
        let of_caller = hash.rotate_left(17);
        if self.is_listed(details.all ^ of_caller) {
            return;
        }
        // To take a user agent apart costs more than all the rest, and it is seldom a new one.
        let has_agent = event.is_presigned || !self.is_listed(details.user_agent ^ of_caller);
        let agent = event.user_agent.filter(|_| has_agent);
        self.bytes += self.entries[at as usize].list(event, agent, time_s, policy.values);
    }

    /// Whether this was listed; it is from now on.
    fn is_listed(&mut self, listed: u64) -> bool {
        if self.listed.len() >= KEPT {
            self.listed.clear();
        }
        !self.listed.insert(listed)
    }

    fn find(&self, key: CallerKey<'_>, hash: u64) -> Option<u32> {
        let is_key = |&at: &u32| self.entries[at as usize].key.borrow() == key;
        self.table.find(hash, is_key).copied()
    }

    fn insert(&mut self, key: CallerKey<'_>, hash: u64, call: &Call<'_, '_>, policy: &CallerPolicy) -> u32 {
        let at = self.entries.len() as u32;
        let decided_s = self.decided.get(&hash).copied();
        let is_known =
            decided_s.is_some_and(|known_s| call.time_s.saturating_sub(known_s) <= policy.forget_after_s);
        self.entries.push(Entry {
            key: key.to_owned(),
            is_outside: call.is_outside,
            calls: 0,
            errors: 0,
            presigned: 0,
            first_s: i64::MAX,
            last_s: i64::MIN,
            sightings: Vec::new(),
            details: Default::default(),
            hash,
            known_s: decided_s.unwrap_or(call.time_s).max(call.time_s),
            accepted_until_s: i64::MAX,
        });
        if !call.is_outside && !is_known {
            self.sight(at, call, policy);
        }
        self.bytes += key.account_id.len() + key.principal.len() + size_of::<Entry>();
        let entries = &self.entries;
        self.table.insert_unique(hash, at, |&other| entries[other as usize].hash);
        at
    }

    /// Keeps a call by which the caller may be new.
    fn sight(&mut self, at: u32, call: &Call<'_, '_>, policy: &CallerPolicy) {
        let entry = &mut self.entries[at as usize];
        let until_s = policy.accepted_until_s(entry.key.borrow(), call.time_s);
        entry.accepted_until_s = until_s.unwrap_or(i64::MAX);
        if entry.sightings.len() < MOST_SIGHTINGS {
            self.news.push((at, entry.sightings.len() as u32));
            entry.sightings.push(Sighting::of(call.event, call.time_s));
            self.bytes += size_of::<Sighting>() + 512;
        }
    }

    fn hash_details(&self, call: &Call<'_, '_>) -> Hashes {
        let (event, texts) = (call.event, call.texts);
        let user_agent =
            self.hasher.hash_one((texts.hash(Known::UserAgent), day_of(call.time_s), event.is_presigned));
        let listed =
            [Known::SourceIp, Known::Arn, Known::EventSource, Known::EventName, Known::Region, Known::KeyId];
        let sum = listed.iter().fold(user_agent, |sum, known| sum.wrapping_add(texts.hash(*known)));
        Hashes { all: self.hasher.hash_one((sum, event.vpc_endpoint_id, event.bucket())), user_agent }
    }
}

/// What a call would add to the lists, as numbers; the day is in both.
#[derive(Clone, Copy)]
struct Hashes {
    /// Everything.
    all: u64,
    /// The user agent alone.
    user_agent: u64,
}

impl Entry {
    /// Notes the texts of a call; of the user agent only if it is given. Returns roughly the bytes that they take.
    fn list(&mut self, event: &Event<'_>, agent: Option<&str>, time_s: i64, values: usize) -> usize {
        let day = day_of(time_s);
        let client = agent.and_then(client::client).map(|client| match client.version {
            "" => client.name.to_owned(),
            version => format!("{}/{version}", client.name),
        });
        let (client, source_ip, opened_by) = if event.is_presigned {
            let parts = [event.source_ip, client.as_deref()];
            (None, None, Some(parts.into_iter().flatten().collect::<Vec<_>>().join(" ")))
        } else {
            (client, event.source_ip, None)
        };
        let texts = [
            (Detail::Client, client.as_deref()),
            (Detail::SourceIp, source_ip),
            (Detail::Session, principal::session(&event.identity)),
            (Detail::EventSource, event.source),
            (Detail::EventName, event.name),
            (Detail::Region, event.region),
            (Detail::VpcEndpoint, event.vpc_endpoint_id),
            (Detail::Bucket, event.bucket()),
            (Detail::KeyId, event.identity.access_key_id),
            (Detail::OpenedBy, opened_by.as_deref()),
            (Detail::Hint, agent.filter(|_| !event.is_presigned).and_then(advice::hint)),
        ];
        let mut bytes = 0;
        for (detail, text) in texts {
            let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
            let text = &text[..text.floor_char_boundary(MAX_VALUE_BYTES)];
            let list = &mut self.details[detail as usize];
            match list.get_mut(text) {
                Some(last) => *last = day.max(*last),
                None => {
                    list.insert(text.into(), day);
                    bytes += text.len() + 32;
                    if list.len() > 2 * values {
                        keep_newest(list, values);
                    }
                }
            }
        }
        bytes
    }
}

/// Keeps the texts of the newest days, of one day the first by name: whatever the order in which they came.
pub fn keep_newest(list: &mut HashMap<Box<str>, i32>, values: usize) {
    let mut texts: Vec<(Box<str>, i32)> = list.drain().collect();
    texts.sort_unstable_by(|left, right| (right.1, &left.0).cmp(&(left.1, &right.0)));
    texts.truncate(values);
    list.extend(texts);
}
