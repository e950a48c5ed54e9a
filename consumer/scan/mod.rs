//! History: files counted once, by any fields, without a state.
//!
//! Enters: files with events, and what to count of them. Leaves: an [`Outcome`]: rows, the accounting, weak callers, and
//! what could not be read, with its reason. The same decoder and the same judgement as a stream's, so that the numbers
//! agree. Threads take one file after the other; what they count are sums, so the result is the same for any number of
//! them.

pub mod athena;
mod counting;
pub mod field;
mod groups;
mod ids;
mod matching;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use hashbrown::HashMap;
use parking_lot::Mutex;
use trailmeter_rules::RuleSet;

use crate::callers::{CallerKey, CallerState, Detail, Entry, OwnedKey, Row, keep_newest};
use crate::decode::compression::{Compression, WholeGzip};
use crate::decode::{Decoder, Limits};
use crate::event::judge::Policy;
use crate::source::Payload;
use crate::source::files::{FilePieces, Next, STDIN};
use crate::totals::Totals;
use crate::window::{HOUR_S, Trend, Versions};
use counting::Counting;
use field::Field;
use groups::Groups;
use ids::Ids;
use matching::Matching;

/// Decompressed bytes of a file that are a record: as many as `run` takes by default, so that the numbers agree.
const PIECE_BYTES: usize = 256 << 10;
/// Hours that a chart has room for; from then on its bars are days.
const MOST_HOURS: i32 = 96;
/// Days that a chart has room for; from then on a bar is several of them.
const MOST_DAYS: i32 = 400;
/// Calls by hour since 1970 and [`Versions::code`].
type Hours = HashMap<i32, [u64; Versions::COUNT]>;
/// A file of at most so many bytes is read at once.
const MOST_WHOLE_BYTES: usize = 8 << 20;
/// A text of at most so many bytes is inflated at once: each thread holds one.
const MOST_TEXT_BYTES: usize = 32 << 20;
/// Files of which it is told what was wrong; of the others the number is.
const MOST_NOTES: usize = 1000;

/// What to count.
#[derive(Clone, Debug)]
pub struct Options {
    /// Files, and `-` for standard input.
    pub files: Vec<PathBuf>,
    /// By what calls are told apart.
    pub group_by: Vec<Field>,
    /// Only calls that meet one of these rules; none: all.
    pub only: Option<Arc<RuleSet>>,
    /// Rules whose matches are counted among the calls that are asked for.
    pub rules: Option<Arc<RuleSet>>,
    /// Only calls at or after this second since 1970.
    pub since_s: Option<i64>,
    /// Only calls before this second since 1970.
    pub until_s: Option<i64>,
    /// Which events count.
    pub policy: Policy,
    /// Texts that a list of a weak caller holds (`limits.caller_values`).
    pub caller_values: usize,
    /// What a file may cost.
    pub limits: Limits,
    /// How many threads.
    pub threads: usize,
    /// Now, in seconds since 1970: later events are rejected.
    pub now_s: i64,
}

/// How far a scan is, for whoever watches it; and how to end it early.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of the files that are done, as they lie on the disk.
    pub bytes: AtomicU64,
    /// Events so far.
    pub events: AtomicU64,
    /// Files that are done.
    pub files: AtomicU64,
    /// Set to end it: what was counted by then is the result.
    pub is_stopped: AtomicBool,
}

/// What calls of a group add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub calls: u64,
    /// The least event time, in seconds since 1970.
    pub first_s: i64,
    /// The greatest event time.
    pub last_s: i64,
}

/// A file that could not be read, or not to its end, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Which.
    pub path: PathBuf,
    /// Why it could not be opened.
    pub error: Option<String>,
    /// What was wrong in it, by reason, and how often.
    pub reasons: BTreeMap<&'static str, u64>,
}

impl Note {
    /// All that was wrong, in a line.
    pub fn what(&self) -> String {
        let reasons = self.reasons.iter().map(|(reason, count)| format!("{reason} {count}"));
        self.error.clone().into_iter().chain(reasons).collect::<Vec<_>>().join(", ")
    }
}

/// A weak caller with its lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeakCaller {
    /// Who, and how.
    pub key: OwnedKey,
    /// What it did; its state is `learned`, for nobody was paged.
    pub row: Row,
    /// Its lists.
    pub lists: [Vec<String>; Detail::COUNT],
}

impl WeakCaller {
    /// What advice is given by.
    pub fn advised(&self) -> (CallerKey<'_>, &Row, &[Vec<String>; Detail::COUNT]) {
        (self.key.borrow(), &self.row, &self.lists)
    }
}

/// What was counted.
#[derive(Debug, Default)]
pub struct Outcome {
    /// By the values of the group's fields, in the order of the fields.
    pub rows: Vec<(Vec<String>, Sum)>,
    /// The accounting of all events that were read.
    pub totals: Totals,
    /// The calls that were asked for over time: by hour where that is few, else by day or by several.
    pub trend: Option<Trend>,
    /// Weak callers among the calls that were asked for: the gravest weakness first, of one the busiest.
    pub weak: Vec<WeakCaller>,
    /// How often each rule matched, by their order.
    pub rules: Vec<(String, u64)>,
    /// Calls that came too late to be counted by a rule's threshold.
    pub late_for_rules: u64,
    /// What could not be read, by the order of the files.
    pub notes: Vec<Note>,
    /// Further files of that kind.
    pub more_notes: usize,
    /// It was ended before all files were read.
    pub is_interrupted: bool,
    /// It is of a table: of files, and of what is in them and is no object, nothing is known.
    pub is_of_table: bool,
}

/// Counts the files. Blocks until it is done, or stopped.
pub fn run(options: &Options, progress: &Progress) -> Outcome {
    let (next, ids, notes) = (AtomicUsize::new(0), Ids::default(), Mutex::default());
    let matching = options.rules.clone().map(Matching::new);
    let parts: Vec<Part> = std::thread::scope(|scope| {
        let work = || Worker::new(options, progress, (&ids, matching.as_ref()), &notes).run(&next);
        let threads: Vec<_> = (1..options.threads.max(1)).map(|_| scope.spawn(work)).collect();
        let mut parts = vec![work()];
        // A thread that panicked must not be passed over: its counts are missing.
        parts.extend(threads.into_iter().map(|thread| match thread.join() {
            Ok(part) => part,
            Err(panic) => std::panic::resume_unwind(panic),
        }));
        parts
    });
    let mut outcome = merge(parts, options.caller_values);
    if let Some(matching) = &matching {
        (outcome.rules, outcome.late_for_rules) = matching.matches();
    }
    let mut notes: Vec<(usize, Note)> = notes.into_inner();
    notes.sort_by_key(|(at, _)| *at);
    outcome.more_notes = notes.len().saturating_sub(MOST_NOTES);
    outcome.notes = notes.into_iter().take(MOST_NOTES).map(|(_, note)| note).collect();
    outcome.is_interrupted = progress.is_stopped.load(Ordering::Relaxed);
    outcome
}

/// What one thread counted.
struct Part {
    groups: Groups,
    hours: Hours,
    totals: Totals,
    weak: Vec<Entry>,
}

struct Worker<'a> {
    options: &'a Options,
    progress: &'a Progress,
    notes: &'a Mutex<Vec<(usize, Note)>>,
    decoder: Decoder,
    counting: Counting<'a>,
    matching: Option<&'a Matching>,
    gzip: WholeGzip,
    /// A file as it lies on the disk, and its text: used again for each.
    data: Vec<u8>,
    text: Vec<u8>,
}

impl<'a> Worker<'a> {
    fn new(
        options: &'a Options,
        progress: &'a Progress,
        (ids, matching): (&'a Ids, Option<&'a Matching>),
        notes: &'a Mutex<Vec<(usize, Note)>>,
    ) -> Self {
        let decoder = Decoder::new(options.limits);
        let counting = Counting::new(options, ids, matching.map(Matching::detector));
        let (gzip, data, text) = (WholeGzip::default(), Vec::new(), Vec::new());
        Self { options, progress, notes, decoder, counting, matching, gzip, data, text }
    }

    fn run(mut self, next: &AtomicUsize) -> Part {
        while !self.progress.is_stopped.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = self.options.files.get(at) else { break };
            let error = self.read(path).err().map(|error| error.to_string());
            if let Some(matching) = self.matching {
                matching.take(at, self.counting.take_matches());
            }
            let reasons = self.counting.take_reasons();
            if error.is_some() || !reasons.is_empty() {
                self.notes.lock().push((at, Note { path: path.clone(), error, reasons }));
            }
            let bytes = path.metadata().map_or(0, |metadata| metadata.len());
            self.progress.bytes.fetch_add(bytes, Ordering::Relaxed);
            self.progress.files.fetch_add(1, Ordering::Relaxed);
        }
        self.counting.finish()
    }

    fn read(&mut self, path: &Path) -> std::io::Result<()> {
        let mut pieces = self.open(path)?;
        self.decoder.set_broken_document(None);
        while !self.progress.is_stopped.load(Ordering::Relaxed) {
            let Next::Piece(units, at) = pieces.next(PIECE_BYTES, false)? else { break };
            self.decoder.decode(&Payload::Units(units), &mut self.counting);
            self.progress.events.fetch_add(self.counting.take_events(), Ordering::Relaxed);
            if at.done {
                break;
            }
        }
        self.text = pieces.into_buffer().unwrap_or_default();
        Ok(())
    }

    /// A small file is inflated as a whole, if that goes; any other is read on and on.
    fn open(&mut self, path: &Path) -> std::io::Result<FilePieces> {
        let seed = xxhash_rust::xxh3::xxh3_64(path.as_os_str().as_encoded_bytes());
        let max_event_bytes = self.options.limits.event_bytes;
        if path == Path::new(STDIN) {
            return FilePieces::open(std::io::stdin(), seed, None, max_event_bytes);
        }
        let mut file = File::open(path)?;
        if file.metadata()?.len() > MOST_WHOLE_BYTES as u64 {
            return FilePieces::open(file, seed, None, max_event_bytes);
        }
        self.data.clear();
        // A pipe has no length: what it holds may be more.
        (&mut file).take(MOST_WHOLE_BYTES as u64).read_to_end(&mut self.data)?;
        let is_whole = self.data.len() < MOST_WHOLE_BYTES;
        let inflated =
            is_whole.then(|| self.gzip.inflate(&self.data, MOST_TEXT_BYTES, &mut self.text)).flatten();
        // What is inflated may be compressed once more.
        let is_text = |length: &usize| Compression::detect(&self.text[..*length]).is_none();
        match inflated.filter(is_text) {
            Some(length) => {
                Ok(FilePieces::of_text(std::mem::take(&mut self.text), length, seed, max_event_bytes))
            }
            None => {
                let begun = std::io::Cursor::new(std::mem::take(&mut self.data));
                FilePieces::open(begun.chain(file), seed, None, max_event_bytes)
            }
        }
    }
}

/// Adds up what the threads counted.
fn merge(parts: Vec<Part>, caller_values: usize) -> Outcome {
    let (mut groups, mut hours, mut totals) = (Groups::default(), Hours::default(), Totals::default());
    let mut weak: BTreeMap<OwnedKey, Vec<Entry>> = BTreeMap::new();
    for part in parts {
        groups.add(&part.groups);
        for (hour, calls) in part.hours {
            let sums = hours.entry(hour).or_insert([0; Versions::COUNT]);
            sums.iter_mut().zip(calls).for_each(|(sum, calls)| *sum += calls);
        }
        totals.add(&part.totals);
        for entry in part.weak {
            weak.entry(entry.key.clone()).or_default().push(entry);
        }
    }
    let weak = weak.into_iter().map(|(key, entries)| weak_caller(key, entries, caller_values));
    let mut weak: Vec<WeakCaller> = weak.collect();
    weak.sort_by_key(|caller| (caller.key.weakness, Reverse(caller.row.calls)));
    Outcome { rows: groups.rows(), trend: trend(&hours), totals, weak, ..Outcome::default() }
}

/// Calls over time, in as many bars as a chart has room for.
fn trend(hours: &Hours) -> Option<Trend> {
    let (first, last) = (*hours.keys().min()?, *hours.keys().max()?);
    let days = (last - first) / 24 + 1;
    let per_bucket = if last - first < MOST_HOURS { 1 } else { 24 * ((days - 1) / MOST_DAYS + 1) };
    let bucket = |hour: i32| hour.div_euclid(per_bucket);
    let mut trend = Trend::new(HOUR_S * i64::from(per_bucket), (bucket(first), bucket(last)));
    for (hour, calls) in hours {
        for versions in Versions::all() {
            trend.add(bucket(*hour), versions, calls[usize::from(versions.code())]);
        }
    }
    Some(trend)
}

fn weak_caller(key: OwnedKey, entries: Vec<Entry>, values: usize) -> WeakCaller {
    let is_outside = entries.iter().all(|entry| entry.is_outside);
    let mut row = Row::new(0, if is_outside { CallerState::Outside } else { CallerState::Learned });
    let mut days: [HashMap<Box<str>, i32>; Detail::COUNT] = Default::default();
    for entry in entries {
        row.add(&entry);
        for (list, texts) in days.iter_mut().zip(entry.details) {
            for (text, day) in texts {
                let last = list.entry(text).or_insert(day);
                *last = day.max(*last);
            }
        }
    }
    let lists = days.map(|mut list| {
        keep_newest(&mut list, values);
        let mut texts: Vec<String> = list.into_keys().map(String::from).collect();
        texts.sort_unstable();
        texts
    });
    WeakCaller { key, row, lists }
}

#[cfg(test)]
mod tests;
