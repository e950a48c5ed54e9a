//! What rules cost: `cargo bench --bench rules`, on one core.
//!
//! The events are the real ones of the corpus in `TRAILMETER_CORPUS` (default `../shared/corpus`), in EventBridge
//! envelopes; without it, generated ones. The pipeline runs without rules and with them, interleaved, round by round, so
//! that a machine whose speed drifts slows all alike; medians over the rounds are printed.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use serde_json::{Value, json};
use trailmeter::decode::{Decoder, Limits};
use trailmeter::detect::ActiveRules;
use trailmeter::detect::packs::PACKS;
use trailmeter::detect::source::{OtherFiles, read_path};
use trailmeter::duplicates::{DuplicateLimits, Duplicates};
use trailmeter::event::judge::Policy;
use trailmeter::generate::{Generator, Options};
use trailmeter::metrics::Metrics;
use trailmeter::pipeline::{Counter, Settings};
use trailmeter::prefetch::one_ahead;
use trailmeter::source::Payload;
use trailmeter::window::CallerLimits;
use trailmeter_rules::{Matching, RuleSet, SourceFile};

/// Each real event comes so often, under as many ids.
const COPIES: usize = 40;
const ROUNDS: usize = 15;
const LIMITS: Limits = Limits { decompressed_bytes: 64 << 20, event_bytes: 4 << 20, depth: 128 };
const NOW_MS: u64 = 1_800_000_000_000;

fn main() {
    let corpus = std::env::var("TRAILMETER_CORPUS").unwrap_or_else(|_| "../shared/corpus".to_owned());
    let corpus = PathBuf::from(corpus);
    let records = records(&corpus);
    let mut sets = vec![("no rules", ActiveRules::default())];
    let packs = || PACKS.iter().map(|(name, text)| SourceFile::new(*name, *text)).collect::<Vec<_>>();
    sets.push(("our packs", active(packs())));
    if corpus.exists() {
        let falco = read_path(&corpus.join("falco/aws_cloudtrail_rules.yaml"), OtherFiles::Refused).unwrap();
        let sigma = read_path(&corpus.join("sigma-aws-cloudtrail"), OtherFiles::Refused).unwrap();
        sets.push(("the 22 of Falco", active(falco.clone())));
        sets.push(("the 57 of Sigma", active(sigma.clone())));
        sets.push(("all of these", active([falco, sigma, packs()].concat())));
    }
    sets.push(("80 generated", active(vec![generated(80)])));
    sets.push(("2,000 generated", active(vec![generated(2000)])));
    // `cargo bench --bench rules -- NAME…` runs those whose name holds one of these.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    sets.retain(|(name, _)| {
        wanted.is_empty() || *name == "no rules" || wanted.iter().any(|part| name.contains(part))
    });
    let mut times = vec![Vec::new(); sets.len()];
    for _ in 0..ROUNDS {
        for ((_, rules), times) in sets.iter().zip(&mut times) {
            times.push(black_box(count(black_box(&records), rules)).0);
        }
    }
    let medians: Vec<f64> = times.iter_mut().map(|times| median(times)).collect();
    println!("{} events", records.len());
    println!(
        "{:18} {:>6} {:>9} {:>12} {:>13} {:>9}",
        "rules", "number", "ns/event", "rules alone", "min to max", "matches"
    );
    for (((name, rules), median), times) in sets.iter().zip(&medians).zip(&times) {
        let enabled = rules.set.rules().iter().filter(|rule| rule.enabled).count();
        let alone = median - medians[0];
        let spread = format!("{:.0}-{:.0}", times[0], times[times.len() - 1]);
        let (_, matches) = count(&records, rules);
        println!("{name:18} {enabled:>6} {median:>9.0} {alone:>12.0} {spread:>13} {matches:>9}");
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn active(files: Vec<SourceFile>) -> ActiveRules {
    let rules = RuleSet::load(&files, Matching::All).rules.unwrap();
    ActiveRules::of(Arc::new(rules))
}

/// The real events, if they are there, each under many ids.
fn records(corpus: &Path) -> Vec<Payload> {
    let mut events: Vec<Value> = Vec::new();
    match std::fs::read_dir(corpus.join("invictus/CloudTrail")) {
        Ok(entries) => {
            let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
            paths.sort();
            for path in paths {
                let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
                events.extend(file["Records"].as_array().unwrap().iter().cloned());
            }
        }
        Err(_) => {
            println!("SKIPPED: no corpus at {}: the events are generated ones", corpus.display());
            let generated = Generator::new(Options { events: 3000, ..Options::organisation() });
            events.extend(generated.map(|event| serde_json::from_slice::<Value>(&event.json).unwrap()));
        }
    }
    let copies =
        (0..COPIES).flat_map(|copy| events.iter().enumerate().map(move |(at, event)| (copy, at, event)));
    let records = copies.map(|(copy, at, event)| {
        let mut event = event.clone();
        event["eventID"] = format!("{copy:04}{at:08}-0000-0000-0000-000000000000").into();
        let envelope = json!({
            "version": "0", "id": event["eventID"], "detail-type": "AWS API Call via CloudTrail", "source": "aws.s3",
            "account": "111122223333", "time": event["eventTime"], "region": "us-east-1", "resources": [], "detail": event,
        });
        Payload::Bytes(Bytes::from(envelope.to_string()))
    });
    records.collect()
}

/// Rules such as people write: by event name mostly, some by principal, key, address or client.
fn generated(number: usize) -> SourceFile {
    let services = ["iam", "s3", "ec2", "kms", "sts", "lambda", "rds", "logs"];
    let names =
        ["DescribeInstances", "GetObject", "ListBuckets", "AssumeRole", "PutObject", "GetCallerIdentity"];
    let mut text = String::new();
    for at in 0..number {
        let condition = match at % 10 {
            0..=4 => format!("ct.name = Action{at} and not ct.error exists"),
            5 => format!(
                "ct.src = {}.amazonaws.com and ct.name startswith Delete{at}",
                services[at % services.len()]
            ),
            6 => format!(
                "ct.name = {} and ct.user.arn = \"arn:aws:iam::111122223333:user/u{at}\"",
                names[at % names.len()]
            ),
            7 => format!(
                "ct.accesskey.id = AKIA{at:016} and ct.src = {}.amazonaws.com",
                services[at % services.len()]
            ),
            8 => format!("ct.user.arn = \"arn:aws:iam::111122223333:role/r{at}\" and ct.error exists"),
            _ => format!(
                "ct.srcip in (198.51.100.{}, 203.0.113.{}) and not ct.readonly = true",
                at % 250,
                at % 240
            ),
        };
        text += &format!(
            "- rule: Generated {at}\n  desc: d\n  condition: {condition:?}\n  output: \"%ct.name\"\n  priority: NOTICE\n  source: aws_cloudtrail\n"
        );
    }
    SourceFile::new("generated", text)
}

/// Runs the events through the pipeline up to the commit. Returns nanoseconds an event, and the matches.
///
/// The first half is not timed: as in a process that has run for a while, shapes and values are known, and rules that
/// match all the time have told of as many matches as they may in this minute.
fn count(records: &[Payload], rules: &ActiveRules) -> (f64, u64) {
    let settings = Settings {
        policy: Policy { future_s: 900, ..Policy::default() },
        decode: LIMITS,
        duplicates: DuplicateLimits { for_s: 86_400, ids: 1_000_000 },
        callers: CallerLimits { own: 2_000_000, outside: 100_000 },
        weak_callers: Arc::default(),
        rules: rules.clone(),
        series: 1000,
        commit_interval_ms: 1000,
        commit_bytes: 16 << 20,
    };
    let metrics = Arc::new(Metrics::new().unwrap());
    let mut counter = Counter::new(Arc::new(settings), metrics, None, Duplicates::default(), None);
    let mut decoder = Decoder::new(LIMITS);
    let (mut matches, mut began) = (0, Instant::now());
    let (warm, timed) = records.split_at(records.len() / 2);
    for half in [warm, timed] {
        began = Instant::now();
        for batch in half.chunks(10_000) {
            for record in one_ahead(batch, Payload::prefetch) {
                counter.begin_record(NOW_MS, NOW_MS);
                decoder.decode(record, &mut counter);
            }
            for delta in counter.detector.take() {
                matches += delta.met;
                // As the commit answers: these values are known now.
                let known: Vec<(u64, i64)> =
                    delta.seen.iter().map(|(hash, seen)| (*hash, seen.last_s)).collect();
                counter.detector.remember(&known);
                if let Some(threshold) = &delta.rule.threshold {
                    let reached =
                        delta.groups.iter().filter(|(_, group)| group.events.len() as u64 >= threshold.count);
                    let matched =
                        reached.filter_map(|(hash, group)| Some((*hash, group.events.last()?.time_s)));
                    counter.detector.remember(&matched.collect::<Vec<_>>());
                }
            }
            black_box(counter.pending.weak.take());
        }
    }
    (began.elapsed().as_nanos() as f64 / timed.len() as f64, matches)
}
