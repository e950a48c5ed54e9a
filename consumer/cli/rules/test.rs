//! `trailmeter rules test`.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use trailmeter_rules::rule::Test;
use trailmeter_rules::{Rule, RuleSet};

use super::{Format, Named, table};
use crate::cli::{Failure, block_on, print};
use crate::decode::Limits;
use crate::detect::trial::Trial;
use crate::event::judge::Policy;
use crate::event::time;
use crate::source::files::{FilesOptions, FilesSource, list};
use crate::source::{Payload, Position, ShardId, ShardStatus, Source};
use crate::system_clock;

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct TestArguments {
    #[command(flatten)]
    rules: Named,
    /// Count what the rules match in these events (files, folders, globs, or `-`) instead of running their tests; may be
    /// given several times
    #[arg(long, env = "TRAILMETER_EVENTS", value_name = "PATH")]
    events: Vec<String>,
    /// How the result is printed
    #[arg(long, env = "TRAILMETER_FORMAT", value_enum, default_value = "table")]
    format: Format,
}

const EXAMPLES: &str = "\
Examples:
  trailmeter rules test                                        the tests of all packs
  trailmeter rules test my-rules.yaml                          the tests that stand beside my rules
  trailmeter rules test --events ./AWSLogs my-rules.yaml       what they would have matched
  trailmeter rules test --events - --format json sigma/ < events.ndjson

Exit codes: 0 fine; 1 a test failed; 2 wrong usage, or rules with errors.";

const LIMITS: Limits = Limits { decompressed_bytes: 64 << 20, event_bytes: 16 << 20, depth: 128 };

pub fn run(arguments: TestArguments) -> Result<(), Failure> {
    let rules = arguments.rules.load()?;
    if !arguments.events.is_empty() {
        return over_events(rules, arguments.events, arguments.format);
    }
    let all: Vec<Arc<Rule>> = rules.rules().to_vec();
    let sources = arguments.rules.read()?;
    let mut results = Vec::new();
    for rule in &all {
        for test in &rule.tests {
            // Each test has rules and a memory of its own.
            let loaded = RuleSet::load(&sources.0, sources.1).rules;
            let Some(rules) = loaded else { continue };
            results.push((rule, test, tried(rules.all_enabled(), rule, test)));
        }
    }
    let untested = all.iter().filter(|rule| rule.tests.is_empty()).count();
    let failed = results.iter().filter(|(_, test, matches)| !passes(test, *matches)).count();
    match arguments.format {
        Format::Json => {
            let rows = results.iter().map(|(rule, test, matches)| {
                json!({"rule": rule.name, "test": test.name, "passed": passes(test, *matches), "matches": matches, "expected": expected(test)})
            });
            let tried =
                json!({"tests": rows.collect::<Vec<_>>(), "failed": failed, "rules_without_tests": untested});
            print(&format!("{tried}\n"))?;
        }
        Format::Table => {
            let line = |(rule, test, matches): &(&Arc<Rule>, &Test, u64)| {
                let passed = if passes(test, *matches) { "ok    " } else { "FAILED" };
                format!("{passed}  {}: {}{}\n", rule.name, test.name, detail(test, *matches))
            };
            let lines: String = results.iter().map(line).collect();
            let (tests, rules) = (results.len(), all.len());
            print(&format!(
                "{lines}{tests} tests, {failed} failed; {untested} of {rules} rules have none\n"
            ))?;
        }
    }
    if failed > 0 {
        return Err(Failure::Runtime(anyhow::anyhow!("{failed} of {} tests failed", results.len())));
    }
    Ok(())
}

fn passes(test: &Test, matches: u64) -> bool {
    test.matches.map_or(matches > 0, |expected| matches == expected)
}

fn expected(test: &Test) -> Value {
    test.matches.map_or(json!("at least 1"), |matches| json!(matches))
}

fn detail(test: &Test, matches: u64) -> String {
    if passes(test, matches) {
        return String::new();
    }
    let wanted = test.matches.map_or("at least one match".to_owned(), |matches| format!("{matches} matches"));
    format!(" (wanted {wanted}, got {matches})")
}

/// The first event's time, if it says none: 2024-01-01T00:00:00Z.
const BEGIN_S: i64 = 1_704_067_200;

/// How often a rule matches a test's events.
fn tried(rules: RuleSet, rule: &Rule, test: &Test) -> u64 {
    let mut trial =
        Trial::new(rules, LIMITS, Policy { future_s: i64::MAX / 4, ..Policy::default() }, system_clock()());
    let mut number = 0;
    for event in &test.events {
        for _ in 0..test.times {
            let event = filled_in(event, number);
            trial.take(&Payload::Bytes(Bytes::from(event.to_string())));
            number += 1;
        }
    }
    trial.matches(&rule.name)
}

/// The event with what every event has, where the test leaves it out.
fn filled_in(event: &Value, number: i64) -> Value {
    let mut event = event.clone();
    if let Value::Object(members) = &mut event {
        let defaults = [
            ("eventVersion", "1.08".to_owned()),
            ("eventTime", time::format(BEGIN_S + number)),
            ("eventSource", "example.amazonaws.com".to_owned()),
            ("eventName", "Example".to_owned()),
            ("recipientAccountId", "111122223333".to_owned()),
        ];
        for (key, value) in defaults {
            members.entry(key).or_insert_with(|| value.into());
        }
        // One that comes several times is as many events.
        members.insert("eventID".to_owned(), format!("test-{number}").into());
    }
    event
}

fn over_events(rules: RuleSet, paths: Vec<String>, format: Format) -> Result<(), Failure> {
    list(&paths).map_err(|error| Failure::Usage(format!("--events: {error}")))?;
    let shown: Vec<(String, bool)> =
        rules.rules().iter().map(|rule| (rule.name.clone(), rule.enabled)).collect();
    let (clock, bar) = (system_clock(), progress());
    let mut trial = Trial::new(rules, LIMITS, Policy { future_s: 900, ..Policy::default() }, clock());
    let trial = block_on(async move {
        let options = FilesOptions {
            name: "events".into(),
            paths,
            follow: false,
            max_event_bytes: LIMITS.event_bytes,
            piece_bytes: 1 << 20,
        };
        let source = Arc::new(FilesSource::new(options, Arc::new(Semaphore::new(64 << 10)), clock));
        let (shard, status) = (ShardId::new("events", "files"), Arc::<ShardStatus>::default());
        let mut batches =
            source.open(shard, Position::Files(Default::default()), status, CancellationToken::new());
        while let Some(batch) = batches.next().await {
            for record in &batch.records {
                trial.take(&record.payload);
            }
            bar.set_message(format!("{} events", trial.events()));
            bar.tick();
        }
        bar.finish_and_clear();
        Ok(trial)
    })?;
    match format {
        Format::Json => {
            let rows = shown.iter().map(|(rule, _)| json!({"rule": rule, "matches": trial.matches(rule)}));
            print(&format!("{}\n", json!({"events": trial.events(), "rules": rows.collect::<Vec<_>>()})))
        }
        Format::Table => {
            let mut hits: Vec<&(String, bool)> = shown.iter().collect();
            hits.sort_by_key(|(rule, _)| std::cmp::Reverse(trial.matches(rule)));
            let mut rows = vec![vec!["MATCHES".to_owned(), "RULE".to_owned()]];
            for (rule, enabled) in hits {
                let note = if *enabled { "" } else { " (disabled)" };
                rows.push(vec![trial.matches(rule).to_string(), format!("{rule}{note}")]);
            }
            let late = match trial.late() {
                0 => String::new(),
                late => format!(
                    "{late} calls came too late to be counted by a threshold: events should come about in their order\n"
                ),
            };
            let (events, rules) = (trial.events(), shown.len());
            print(&format!("{}{events} events, {rules} rules\n{late}", table(&rows)))
        }
    }
}

/// Shown on a terminal only.
fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
