//! How fast bytes in memory become counts, on one core, and what share each stage takes.
//!
//! `cargo bench --bench pipeline`. EventBridge envelopes of about 1.9 KB, as they lie in a stream's records. The
//! stages are measured by running the pipeline up to each of them, interleaved, round by round, so that a machine
//! whose speed drifts slows all alike; medians over the rounds are printed.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hashbrown::DefaultHashBuilder;
use trailmeter::callers::{Call, CallerPolicy, Delta};
use trailmeter::decode::json::{Found, JsonReader, Value};
use trailmeter::decode::{Decoder, EventRejection, Limits, RecordOutcome, Sink};
use trailmeter::detect::ActiveRules;
use trailmeter::duplicates::{DuplicateLimits, Duplicates};
use trailmeter::event::judge::{self, Policy, Verdict};
use trailmeter::event::{Event, Texts, principal};
use trailmeter::generate::{Envelope, Generator, Options};
use trailmeter::metrics::Metrics;
use trailmeter::pipeline::{Counter, Settings};
use trailmeter::prefetch::one_ahead;
use trailmeter::source::{Payload, Position, ShardId};
use trailmeter::state::embedded::Change;
use trailmeter::state::{Commit, EmbeddedState, Judge, ShardHeader, WeakCommit};
use trailmeter::window::{CallerLimits, HOUR_S, MINUTE_S, PieceReader, Windows, bucket};

const EVENTS: u64 = 100_000;
const ROUNDS: usize = 9;
/// A shard's task merges what it counted about once a second.
const COMMIT_EVERY: usize = 50_000;
/// Records of a batch: an answer of GetRecords holds up to 10 MiB.
const BATCH: usize = 5_000;

/// A part of the pipeline, over all records.
type Stage = fn(&[Payload]) -> u64;

fn main() {
    let records = records();
    let bytes: usize = records.iter().map(record_bytes).sum();
    println!("{} records, {} bytes each on average", records.len(), bytes / records.len());
    let stages: [(&str, Stage); 7] = [
        ("(simd-json alone, for comparison)", parse),
        ("layout, envelope and fields (decode)", decode),
        ("  + judgement, principal, versions (event)", classify),
        ("  + duplicates", deduplicate),
        ("  + commits: two syncs of the disk, no counts", commit),
        ("  + weak callers: counts, verdicts, rows on disk", remember),
        ("  + windows, totals, merge (the whole pipeline)", count),
    ];
    let mut nanoseconds = vec![Vec::new(); stages.len()];
    for _ in 0..ROUNDS {
        for ((_, stage), times) in stages.iter().zip(&mut nanoseconds) {
            let began = Instant::now();
            black_box(stage(black_box(&records)));
            times.push(began.elapsed().as_nanos() as f64 / records.len() as f64);
        }
    }
    let medians: Vec<f64> = nanoseconds.iter_mut().map(|times| median(times)).collect();
    let whole = medians[stages.len() - 1];
    println!(
        "{:50} {:>9} {:>7} {:>8} {:>11} {:>13}",
        "up to this stage", "ns/event", "share", "GB/s", "events/s", "min to max"
    );
    let mut before = 0.0;
    for (((name, _), median), times) in stages.iter().zip(&medians).zip(&nanoseconds) {
        let share = (median - before) / whole * 100.0;
        let gigabytes = bytes as f64 / records.len() as f64 / median;
        let spread = format!("{:.0}-{:.0}", times[0], times[times.len() - 1]);
        println!(
            "{name:50} {median:>9.0} {share:>6.0}% {gigabytes:>8.2} {:>11.0} {spread:>13}",
            1e9 / median
        );
        // The first is no part of the others.
        before = if name.starts_with('(') { 0.0 } else { *median };
    }
}

fn records() -> Vec<Payload> {
    let options = Options { events: EVENTS, bytes_per_event: Some(1600), ..Options::organisation() };
    let wrap = |event: trailmeter::generate::Generated| Envelope::EventBridge.wrap(&[&event.json]).concat();
    Generator::new(options).map(|event| Payload::Bytes(Bytes::from(wrap(event)))).collect()
}

/// Records as a shard's task takes them.
fn each(records: &[Payload]) -> impl Iterator<Item = &Payload> {
    one_ahead(records, Payload::prefetch)
}

fn record_bytes(record: &Payload) -> usize {
    match record {
        Payload::Bytes(bytes) => bytes.len(),
        Payload::Units(units) => units.text.len(),
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

const LIMITS: Limits = Limits { decompressed_bytes: 64 << 20, event_bytes: 4 << 20, depth: 128 };
const DUPLICATES: DuplicateLimits = DuplicateLimits { for_s: 86_400, ids: 1_000_000 };
const CALLERS: CallerLimits = CallerLimits { own: 2_000_000, outside: 100_000 };
const NOW_MS: u64 = 1_800_000_000_000;

fn parse(records: &[Payload]) -> u64 {
    let mut reader = JsonReader::new(LIMITS.depth);
    let mut sound = 0;
    for record in each(records) {
        let Payload::Bytes(bytes) = record else { continue };
        sound += u64::from(reader.parse_only(bytes).is_ok());
    }
    sound
}

fn decode(records: &[Payload]) -> u64 {
    let mut reader = JsonReader::new(LIMITS.depth);
    let mut known = 0;
    for record in each(records) {
        let Payload::Bytes(bytes) = record else { continue };
        let found = reader.read(bytes, |found| {
            if let Found::Event(event, _) = found {
                known += u64::from(event.id.is_some());
            }
        });
        black_box(found.is_ok());
    }
    known
}

/// The memory of weak callers, with a state on this machine's disk.
struct Memory {
    state: EmbeddedState,
    runtime: tokio::runtime::Runtime,
    shard: ShardId,
    policy: Arc<CallerPolicy>,
    _folder: tempfile::TempDir,
}

impl Memory {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            state: EmbeddedState::open(&folder.path().join("state"), NOW_MS).unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
            shard: ShardId::new("bench", "0"),
            policy: Arc::default(),
            _folder: folder,
        }
    }

    /// What a shard's task does behind each batch.
    fn look_ahead(&self, weak: &mut Delta) {
        let news = weak.take_news();
        let (rows, _) = self.state.caller_rows(news.iter().map(|(key, _)| key.borrow())).unwrap();
        for ((key, time_s), row) in news.iter().zip(rows) {
            black_box(self.policy.judge(row.map(|row| row.known()), key.borrow(), *time_s, false));
        }
    }

    /// What a commit adds for weak callers.
    fn commit(&self, weak: &mut Delta) {
        let alert_link = Some("http://127.0.0.1:9464".into());
        let judge =
            Judge { policy: Arc::clone(&self.policy), is_learning: false, now_ms: NOW_MS, alert_link };
        let commit = Commit {
            shard: self.shard.clone(),
            header: ShardHeader::begin(Position::TrimHorizon),
            piece: Bytes::new(),
            files: Vec::new(),
            weak: Arc::new(WeakCommit { callers: weak.take(), judge }),
            detections: Arc::default(),
        };
        let written = self.runtime.block_on(self.state.write(Change::Commit(Box::new(commit)))).unwrap();
        weak.remember(&written.remembered.decided);
    }
}

/// A sink that goes up to the classification, or on to the duplicates, or on to the weak callers.
struct Upto {
    policy: Policy,
    duplicates: Option<Duplicates>,
    weak: Option<Delta>,
    callers: CallerPolicy,
    scratch: String,
    hasher: DefaultHashBuilder,
    sum: u64,
}

impl Sink for Upto {
    fn event(&mut self, event: &Event<'_>, _: Value<'_>, _: &[u8]) {
        let duplicates = &mut self.duplicates;
        let is_known =
            |id: &str| duplicates.as_mut().is_some_and(|ids| ids.is_duplicate(id, 1_800_000_000, DUPLICATES));
        let verdict = judge::judge(event, &self.policy, 1_800_000_000, is_known);
        let principal = principal::principal(event, &mut self.scratch);
        if let (Some(weak), Verdict::Call { time_s }) = (&mut self.weak, verdict) {
            let is_outside = judge::is_outside(event, &self.policy);
            let account_id = event.account_id();
            let texts = &Texts::of(event, account_id, principal, &self.hasher);
            let call = Call { event, texts, time_s, account_id, principal, is_outside };
            weak.count(&call, &self.callers);
        }
        self.sum += principal.len() as u64;
        self.sum += u64::from(event.signature.code()) + u64::from(event.tls.code());
        black_box((judge::signature_unknown_because(event), judge::tls_unknown_because(event)));
        black_box((judge::is_outside(event, &self.policy), judge::is_likely_sigv2(event)));
    }

    fn rejected(&mut self, _: EventRejection, _: &[u8]) {}

    fn record(&mut self, _: RecordOutcome, _: &[u8]) {}
}

impl Upto {
    fn new(duplicates: Option<Duplicates>, weak: Option<Delta>) -> Self {
        let (policy, callers) = (policy(), CallerPolicy::default());
        Self {
            policy,
            duplicates,
            weak,
            callers,
            scratch: String::new(),
            hasher: DefaultHashBuilder::default(),
            sum: 0,
        }
    }
}

fn upto(records: &[Payload], duplicates: Option<Duplicates>) -> u64 {
    let (mut decoder, mut sink) = (Decoder::new(LIMITS), Upto::new(duplicates, None));
    each(records).for_each(|record| decoder.decode(record, &mut sink));
    sink.sum
}

fn commit(records: &[Payload]) -> u64 {
    upto_disk(records, None)
}

fn remember(records: &[Payload]) -> u64 {
    upto_disk(records, Some(Delta::default()))
}

/// Up to a commit, with weak callers or without.
fn upto_disk(records: &[Payload], weak: Option<Delta>) -> u64 {
    let (memory, mut nobody) = (Memory::new(), Delta::default());
    let mut decoder = Decoder::new(LIMITS);
    let mut sink = Upto::new(Some(Duplicates::default()), weak);
    for records in records.chunks(COMMIT_EVERY) {
        for batch in records.chunks(BATCH) {
            each(batch).for_each(|record| decoder.decode(record, &mut sink));
            memory.look_ahead(sink.weak.as_mut().unwrap_or(&mut nobody));
        }
        memory.commit(sink.weak.as_mut().unwrap_or(&mut nobody));
    }
    sink.sum
}

fn classify(records: &[Payload]) -> u64 {
    upto(records, None)
}

fn deduplicate(records: &[Payload]) -> u64 {
    upto(records, Some(Duplicates::default()))
}

fn policy() -> Policy {
    Policy { future_s: 900, accounts: (0..24u64).map(|n| (990_000_000_000 + n).to_string()).collect() }
}

fn count(records: &[Payload]) -> u64 {
    let settings = Settings {
        policy: policy(),
        decode: LIMITS,
        duplicates: DUPLICATES,
        callers: CALLERS,
        weak_callers: Arc::default(),
        rules: ActiveRules::default(),
        series: 1000,
        commit_interval_ms: 1000,
        commit_bytes: 16 << 20,
    };
    let metrics = Arc::new(Metrics::new().unwrap());
    let mut counter =
        Counter::new(Arc::new(settings), Arc::clone(&metrics), None, Duplicates::default(), None);
    let (mut decoder, mut windows, memory) = (Decoder::new(LIMITS), Windows::default(), Memory::new());
    for records in records.chunks(COMMIT_EVERY) {
        for batch in records.chunks(BATCH) {
            for record in each(batch) {
                counter.begin_record(NOW_MS, NOW_MS);
                decoder.decode(record, &mut counter);
            }
            memory.look_ahead(&mut counter.pending.weak);
        }
        memory.commit(&mut counter.pending.weak);
        let newest_s = counter.newest_s.unwrap_or_default();
        windows.advance(bucket(newest_s, MINUTE_S), bucket(newest_s, HOUR_S));
        PieceReader::default().merge(&counter.pending.delta.piece(), &mut windows, CALLERS);
        counter.pending.count_into(&metrics, "bench", NOW_MS);
        black_box(counter.duplicates.take_uncommitted());
    }
    windows.callers() as u64
}
