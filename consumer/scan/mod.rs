//! History: files counted once, by any fields, without a state.
//!
//! Enters: files and objects with events, and what to count of them. Leaves: an [`Outcome`]: rows, the accounting, weak callers, and
//! what could not be read, with its reason. The same decoder and the same judgement as a stream's, so that the numbers
//! agree. Threads take one file after the other, and pieces of large ones from each other; what they count are
//! sums, so the result is the same for any number of them.

pub mod athena;
mod counting;
pub mod field;
mod groups;
pub mod ids;
pub mod input;
pub mod layout;
mod matching;
pub mod s3;
mod share;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use trailmeter_rules::RuleSet;

use crate::callers::{CallerKey, CallerState, Detail, Entry, OwnedKey, Past, Row, keep_newest};
use crate::decode::compression::{Compression, WholeGzip};
use crate::decode::json::Known;
use crate::decode::{Decoder, Limits};
use crate::event::judge::Policy;
use crate::source::Payload;
use crate::source::files::{FilePieces, Piece, STDIN};
use crate::state::Recalled;
use crate::totals::Totals;
use crate::window::{HOUR_S, Trend, Versions};
use counting::Counting;
use field::Field;
use groups::Groups;
use ids::Ids;
use input::Input;
use layout::PassedOver;
use matching::Matching;
use s3::{Fetcher, ObjectReader};
use share::Share;

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
/// What an event takes of a delivery file: 1.3 to 1.9 KB that are compressed to a ninth.
const COMPRESSED_EVENT_BYTES: u64 = 180;
/// Files that a thread takes at once where rules are asked.
const MOST_FILES_AT_ONCE: usize = 16;
/// Files of which it is told what was wrong; of the others the number is.
const MOST_NOTES: usize = 1000;

/// What to count.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is read.
    pub inputs: Arc<Vec<Input>>,
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
    /// What the ids of events may take of memory, in bytes; beyond it they are kept on disk.
    pub memory: u64,
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
    /// Cancelled to end it: what was counted by then is the result.
    pub stop: CancellationToken,
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
    /// The day that each of their texts was last seen on.
    pub days: [Vec<i32>; Detail::COUNT],
}

impl WeakCaller {
    /// With the texts of its lists that were seen last, of each at most `values`, and the day of each.
    fn new(
        key: OwnedKey,
        row: Row,
        mut found: [HashMap<Box<str>, i32>; Detail::COUNT],
        values: usize,
    ) -> Self {
        let mut lists: [Vec<String>; Detail::COUNT] = Default::default();
        let days = std::array::from_fn(|at| {
            keep_newest(&mut found[at], values);
            let mut texts: Vec<(String, i32)> =
                found[at].drain().map(|(text, day)| (text.into_string(), day)).collect();
            texts.sort_unstable();
            let days;
            (lists[at], days) = texts.into_iter().unzip();
            days
        });
        Self { key, row, lists, days }
    }

    /// As it is remembered.
    pub fn past(&self) -> Past {
        let details = std::array::from_fn(|list| {
            let texts = self.lists[list].iter().map(|text| text.as_str().into());
            texts.zip(self.days[list].iter().copied()).collect()
        });
        Past { key: self.key.clone(), row: self.row.clone(), details }
    }

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
    /// Why, if nobody asked for it.
    pub failure: Option<String>,
    /// Files that were read, or that could not be.
    pub files: u64,
    /// Their bytes where they lie.
    pub bytes: u64,
    /// What became of the weak callers in a state's memory, if they were to be remembered.
    pub remembered: Option<Recalled>,
    /// What was not read because its name says that it is not wanted.
    pub passed_over: PassedOver,
    /// It is of a table: of files, and of what is in them and is no object, nothing is known.
    pub is_of_table: bool,
}

/// Counts the files. Blocks until it is done, or stopped.
pub fn run(options: &Options, progress: &Progress) -> Outcome {
    let (feed, notes) = (Feed::new(options, progress), Mutex::default());
    let about = about_events(&options.inputs);
    let ids = Ids::new(about, options.threads.max(1), options.memory, std::env::temp_dir());
    let matching = options.rules.clone().map(Matching::new);
    let share = &Share::new(options.threads.max(1));
    let parts: Vec<Part> = std::thread::scope(|scope| {
        let (feed, ids, notes, matching) = (&feed, &ids, &notes, matching.as_ref());
        let work = move || {
            let common = Common { options, progress, ids, notes, matching, share };
            Worker::new(common).run(feed)
        };
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
    outcome.notes = one_each(notes.into_inner());
    outcome.more_notes = outcome.notes.len().saturating_sub(MOST_NOTES);
    outcome.notes.truncate(MOST_NOTES);
    outcome.is_interrupted = progress.stop.is_cancelled();
    let fetching = feed.fetcher.as_ref().and_then(Fetcher::failure);
    outcome.failure = fetching.or_else(|| ids.failure().map(|error| cannot_spill(&error)));
    outcome.files = progress.files.load(Ordering::Relaxed);
    outcome.bytes = progress.bytes.load(Ordering::Relaxed);
    outcome
}

/// One note a file, in the order of the files.
fn one_each(mut notes: Vec<(usize, Note)>) -> Vec<Note> {
    notes.sort_by_key(|(at, _)| *at);
    let mut merged: Vec<(usize, Note)> = Vec::new();
    for (at, note) in notes {
        match merged.last_mut() {
            // Of one that several threads read.
            Some((before, known)) if *before == at => {
                known.error = known.error.take().or(note.error);
                for (reason, count) in note.reasons {
                    *known.reasons.entry(reason).or_default() += count;
                }
            }
            _ => merged.push((at, note)),
        }
    }
    merged.into_iter().map(|(_, note)| note).collect()
}

/// About how many events inputs hold, by their size. Too many costs nothing: memory is taken when it is written to.
fn about_events(inputs: &[Input]) -> usize {
    let bytes: u64 = inputs.iter().map(Input::bytes).sum();
    usize::try_from(bytes / COMPRESSED_EVENT_BYTES).unwrap_or(usize::MAX)
}

fn cannot_spill(error: &std::io::Error) -> String {
    format!(
        "event ids beyond --memory can't be kept in {}: {error}. Give more --memory, or name another folder in TMPDIR",
        std::env::temp_dir().display()
    )
}

/// Hands out the inputs, one by one, in their order.
struct Feed<'a> {
    inputs: &'a [Input],
    fetcher: Option<Fetcher>,
    next: Mutex<usize>,
    threads: usize,
    /// Files that a thread takes at once.
    most_at_once: usize,
}

/// An input that can be read.
enum Opened<'a> {
    File(&'a Path),
    Object(ObjectReader),
}

impl<'a> Feed<'a> {
    fn new(options: &'a Options, progress: &Progress) -> Self {
        let fetcher = Fetcher::start(&options.inputs, options.threads, &progress.stop);
        // What rules meet is decided file by file, of files that one thread read one after the other all at once: a
        // value comes again in the next files of the same account, and is then decided once.
        let most_at_once = if options.rules.is_some() { MOST_FILES_AT_ONCE } else { 1 };
        Self {
            inputs: &options.inputs,
            fetcher,
            next: Mutex::default(),
            threads: options.threads,
            most_at_once,
        }
    }

    /// The next one and its place among them: of `own`, the files that this thread took, or of more that it takes. None:
    /// there is no more, or it was stopped.
    fn next(&self, own: &mut Range<usize>) -> Option<(usize, Opened<'a>)> {
        if own.start == own.end {
            // Whoever waits for an object holds up the others: theirs come after it.
            let mut next = self.next.lock();
            if let Input::Object(_) = self.inputs.get(*next)? {
                let object = self.fetcher.as_ref()?.next()?;
                *next += 1;
                return Some((*next - 1, Opened::Object(object)));
            }
            // Towards the end fewer, so that all end together.
            let files = self.inputs[*next..].iter().take_while(|input| matches!(input, Input::File { .. }));
            let most = (self.inputs.len() - *next) / (8 * self.threads.max(1));
            *own = *next..*next + files.take(most.clamp(1, self.most_at_once)).count();
            *next = own.end;
        }
        let at = own.next()?;
        match &self.inputs[at] {
            Input::File { path, .. } => Some((at, Opened::File(path))),
            Input::Object(_) => None,
        }
    }
}

/// What one thread counted.
struct Part {
    groups: Groups,
    hours: Hours,
    totals: Totals,
    weak: Vec<Entry>,
}

/// What all threads have.
#[derive(Clone, Copy)]
struct Common<'a> {
    options: &'a Options,
    progress: &'a Progress,
    ids: &'a Ids,
    notes: &'a Mutex<Vec<(usize, Note)>>,
    matching: Option<&'a Matching>,
    share: &'a Share,
}

struct Worker<'a> {
    common: Common<'a>,
    decoder: Decoder,
    counting: Counting<'a>,
    gzip: WholeGzip,
    /// A file as it lies on the disk, and its text: used again for each.
    data: Vec<u8>,
    text: Vec<u8>,
    known: Known,
}

impl<'a> Worker<'a> {
    fn new(common: Common<'a>) -> Self {
        let Common { options, ids, matching, .. } = common;
        let decoder = Decoder::new(options.limits);
        let counting = Counting::new(options, ids, matching.map(Matching::asking));
        let (gzip, data, text, known) = (WholeGzip::default(), Vec::new(), Vec::new(), Known::default());
        Self { common, decoder, counting, gzip, data, text, known }
    }

    fn run(mut self, feed: &Feed<'_>) -> Part {
        let Common { progress, share, .. } = self.common;
        let reading = share.reading();
        // Files that this thread took, and those of them that were read and are not decided.
        let (mut own, mut read) = (0..0, 0..0);
        while !self.is_stopped()
            && let Some((at, opened)) = feed.next(&mut own)
        {
            let input = &feed.inputs[at];
            let error = self.read(at, input, opened).err().map(|error| error.to_string());
            read = if read.start == read.end { at..at + 1 } else { read.start..at + 1 };
            self.counting.end_file();
            if own.start == own.end {
                self.decide(std::mem::take(&mut read));
            }
            // Of one that was being read when it was stopped, nothing is wrong.
            let error = error.filter(|_| !self.is_stopped());
            self.note(at, input, error);
            progress.bytes.fetch_add(input.bytes(), Ordering::Relaxed);
            progress.files.fetch_add(1, Ordering::Relaxed);
        }
        // It was stopped amid them.
        self.decide(read);
        drop(reading);
        // No file is left, but others may be amid large ones.
        while let Some((at, units)) = share.take() {
            self.decoder.set_broken_document(None);
            self.decoder.decode(&Payload::Units(units), &mut self.counting);
            progress.events.fetch_add(self.counting.take_events(), Ordering::Relaxed);
            self.note(at, &feed.inputs[at], None);
        }
        self.counting.finish()
    }

    /// Hands on what rules met in these files.
    fn decide(&mut self, files: Range<usize>) {
        if let (Some(matching), Some(asking)) = (self.common.matching, self.counting.asking())
            && files.start < files.end
        {
            matching.take(files, asking);
        }
    }

    /// Takes down what was wrong with an input, if anything.
    fn note(&mut self, at: usize, input: &Input, error: Option<String>) {
        let reasons = self.counting.take_reasons();
        if error.is_some() || !reasons.is_empty() {
            self.common.notes.lock().push((at, Note { path: input.name(), error, reasons }));
        }
    }

    fn is_stopped(&self) -> bool {
        let Common { progress, ids, .. } = self.common;
        progress.stop.is_cancelled() || ids.has_failed()
    }

    fn read(&mut self, at: usize, input: &Input, opened: Opened<'_>) -> std::io::Result<()> {
        let seed = xxhash_rust::xxh3::xxh3_64(input.name().as_os_str().as_encoded_bytes());
        let (pieces, failed) = match opened {
            Opened::File(path) => (self.open(path, seed)?, None),
            Opened::Object(object) => {
                let failed = object.failed();
                (self.open_object(object, seed)?, Some(failed))
            }
        };
        let mut pieces = pieces.with_room(std::mem::take(&mut self.known));
        self.decoder.set_broken_document(None);
        while !self.is_stopped() {
            let piece = pieces.advance(PIECE_BYTES, false, Some(self.decoder.reader()))?;
            // What was not downloaded was not torn.
            if let Some(why) = failed.as_ref().and_then(|failed| failed.lock().take()) {
                return Err(std::io::Error::other(why));
            }
            let Some(piece) = piece else { break };
            if self.is_shared(&piece) {
                self.common.share.give(at, piece.to_units());
            } else {
                self.decoder.decode_piece(&piece, &mut self.counting);
                self.common.progress.events.fetch_add(self.counting.take_events(), Ordering::Relaxed);
            }
            if piece.progress.done {
                break;
            }
        }
        (self.text, self.known) = pieces.into_room();
        Ok(())
    }

    /// Whether a piece is for another thread. What rules remember and count goes by the order of a file, and so does what
    /// of a broken array counts.
    fn is_shared(&mut self, piece: &Piece<'_>) -> bool {
        let Common { matching, share, .. } = self.common;
        matching.is_none()
            && !piece.spans.is_empty()
            && share.is_wanted()
            && self.decoder.broken_document().is_none()
            && self.decoder.is_sound(piece)
    }

    /// A small file is inflated as a whole, if that goes; any other is read on and on.
    fn open(&mut self, path: &Path, seed: u64) -> std::io::Result<FilePieces> {
        let max_event_bytes = self.common.options.limits.event_bytes;
        if path == Path::new(STDIN) {
            return FilePieces::open(std::io::stdin(), seed, None, max_event_bytes);
        }
        let mut file = File::open(path)?;
        if file.metadata()?.len() > MOST_WHOLE_BYTES as u64 {
            return FilePieces::open(file, seed, None, max_event_bytes);
        }
        let mut data = std::mem::take(&mut self.data);
        data.clear();
        // A pipe has no length: what it holds may be more.
        (&mut file).take(MOST_WHOLE_BYTES as u64).read_to_end(&mut data)?;
        let whole = if data.len() < MOST_WHOLE_BYTES { self.inflated(&data, seed) } else { None };
        if let Some(pieces) = whole {
            self.data = data;
            return Ok(pieces);
        }
        FilePieces::open(std::io::Cursor::new(data).chain(file), seed, None, max_event_bytes)
    }

    /// The same of an object.
    fn open_object(&mut self, mut object: ObjectReader, seed: u64) -> std::io::Result<FilePieces> {
        let max_event_bytes = self.common.options.limits.event_bytes;
        if !object.is_small() {
            return FilePieces::open(object, seed, None, max_event_bytes);
        }
        let Some(part) = object.next_part()? else {
            return FilePieces::open(std::io::empty(), seed, None, max_event_bytes);
        };
        match self.inflated(part.as_ref(), seed) {
            Some(pieces) => Ok(pieces),
            None => FilePieces::open(std::io::Cursor::new(part), seed, None, max_event_bytes),
        }
    }

    /// The text of a compressed file that is all there, if it can be inflated at once.
    fn inflated(&mut self, data: &[u8], seed: u64) -> Option<FilePieces> {
        let length = self.gzip.inflate(data, MOST_TEXT_BYTES, &mut self.text)?;
        // What is inflated may be compressed once more.
        if Compression::detect(&self.text[..length]).is_some() {
            return None;
        }
        let text = std::mem::take(&mut self.text);
        Some(FilePieces::of_text(text, length, seed, self.common.options.limits.event_bytes))
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
    WeakCaller::new(key, row, days, values)
}

#[cfg(test)]
mod tests;
