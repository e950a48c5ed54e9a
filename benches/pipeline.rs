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
use trailmeter::callers::CallerPolicy;
use trailmeter::decode::json::{Found, JsonReader};
use trailmeter::decode::{Decoder, EventRejection, Limits, RecordOutcome, Sink};
use trailmeter::duplicates::{DuplicateLimits, Duplicates};
use trailmeter::event::judge::{self, Policy};
use trailmeter::event::{Event, principal};
use trailmeter::generate::{Envelope, Generator, Options};
use trailmeter::metrics::Metrics;
use trailmeter::pipeline::{Counter, Settings};
use trailmeter::source::Payload;
use trailmeter::window::{CallerLimits, HOUR_S, MINUTE_S, PieceReader, Windows, bucket};

const EVENTS: u64 = 100_000;
const ROUNDS: usize = 9;
/// A shard's task merges what it counted about once a second.
const COMMIT_EVERY: usize = 50_000;

/// A part of the pipeline, over all records.
type Stage = fn(&[Payload]) -> u64;

fn main() {
    let records = records();
    let bytes: usize = records.iter().map(record_bytes).sum();
    println!("{} records, {} bytes each on average", records.len(), bytes / records.len());
    let stages: [(&str, Stage); 5] = [
        ("copy and parse (simd-json tape)", parse),
        ("  + envelope and fields (decode)", decode),
        ("  + judgement, principal, versions (event)", classify),
        ("  + duplicates", deduplicate),
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
        before = *median;
    }
}

fn records() -> Vec<Payload> {
    let options = Options { events: EVENTS, bytes_per_event: Some(1600), ..Options::organisation() };
    let wrap = |event: trailmeter::generate::Generated| Envelope::EventBridge.wrap(&[&event.json]).concat();
    Generator::new(options).map(|event| Payload::Bytes(Bytes::from(wrap(event)))).collect()
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
    for record in records {
        let Payload::Bytes(bytes) = record else { continue };
        sound += u64::from(reader.parse_only(bytes).is_ok());
    }
    sound
}

fn decode(records: &[Payload]) -> u64 {
    let mut reader = JsonReader::new(LIMITS.depth);
    let mut known = 0;
    for record in records {
        let Payload::Bytes(bytes) = record else { continue };
        let found = reader.read(bytes, |found| {
            if let Found::Event(event) = found {
                known += u64::from(event.id.is_some());
            }
        });
        black_box(found.is_ok());
    }
    known
}

/// A sink that goes up to the classification, or on to the duplicates.
struct Upto {
    policy: Policy,
    duplicates: Option<Duplicates>,
    scratch: String,
    sum: u64,
}

impl Sink for Upto {
    fn event(&mut self, event: &Event<'_>, _: &[u8]) {
        let duplicates = &mut self.duplicates;
        let is_known =
            |id: &str| duplicates.as_mut().is_some_and(|ids| ids.is_duplicate(id, 1_800_000_000, DUPLICATES));
        let verdict = judge::judge(event, &self.policy, 1_800_000_000, is_known);
        black_box(verdict);
        self.sum += principal::principal(event, &mut self.scratch).len() as u64;
        self.sum += u64::from(event.signature.code()) + u64::from(event.tls.code());
        black_box((judge::signature_unknown_because(event), judge::tls_unknown_because(event)));
        black_box((judge::is_outside(event, &self.policy), judge::is_likely_sigv2(event)));
    }

    fn rejected(&mut self, _: EventRejection, _: &[u8]) {}

    fn record(&mut self, _: RecordOutcome, _: &[u8]) {}
}

fn upto(records: &[Payload], duplicates: Option<Duplicates>) -> u64 {
    let mut decoder = Decoder::new(LIMITS);
    let mut sink = Upto { policy: policy(), duplicates, scratch: String::new(), sum: 0 };
    records.iter().for_each(|record| decoder.decode(record, &mut sink));
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
        weak_callers: CallerPolicy::default(),
        series: 1000,
        commit_interval_ms: 1000,
        commit_bytes: 16 << 20,
    };
    let metrics = Arc::new(Metrics::new().unwrap());
    let mut counter =
        Counter::new(Arc::new(settings), Arc::clone(&metrics), None, Duplicates::default(), None);
    let (mut decoder, mut windows) = (Decoder::new(LIMITS), Windows::default());
    for records in records.chunks(COMMIT_EVERY) {
        for record in records {
            counter.begin_record(NOW_MS, NOW_MS);
            decoder.decode(record, &mut counter);
        }
        let newest_s = counter.newest_s.unwrap_or_default();
        windows.advance(bucket(newest_s, MINUTE_S), bucket(newest_s, HOUR_S));
        PieceReader::default().merge(&counter.pending.delta.piece(), &mut windows, CALLERS);
        counter.pending.count_into(&metrics, "bench", NOW_MS);
        black_box(counter.duplicates.take_uncommitted());
    }
    windows.callers() as u64
}
