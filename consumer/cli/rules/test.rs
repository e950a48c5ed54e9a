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

use super::{Format, Named};
use crate::cli::{Failure, block_on, print};
use crate::decode::Limits;
use crate::detect::trial::Trial;
use crate::event::judge::Policy;
use crate::event::time;
use crate::report::{columns, shown};
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
            results.push(Tried::of(rules.all_enabled(), rule, test));
        }
    }
    let untested = all.iter().filter(|rule| rule.tests.is_empty()).count();
    let failed = results.iter().filter(|tried| !tried.passes()).count();
    match arguments.format {
        Format::Json => {
            let rows = results.iter().map(Tried::json);
            let tried =
                json!({"tests": rows.collect::<Vec<_>>(), "failed": failed, "rules_without_tests": untested});
            print(&format!("{tried}\n"))?;
        }
        Format::Table => {
            let lines: String = results.iter().map(Tried::line).collect();
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

/// What became of a test.
struct Tried<'t> {
    rule: &'t Rule,
    test: &'t Test,
    matches: u64,
    /// Why rules were not asked about one of its events.
    passed_over: Option<&'static str>,
}

impl<'t> Tried<'t> {
    /// A test that rules, all switched on, are put to.
    fn of(rules: RuleSet, rule: &'t Rule, test: &'t Test) -> Self {
        let policy = Policy { future_s: i64::MAX / 4, ..Policy::default() };
        let mut trial = Trial::new(rules, LIMITS, policy, system_clock()());
        let events = test.events.iter().flat_map(|event| std::iter::repeat_n(event, test.times as usize));
        for (number, event) in events.enumerate() {
            let event = filled_in(event, number as i64);
            trial.take(&Payload::Bytes(Bytes::from(event.to_string())));
        }
        let passed_over = trial.passed_over().keys().next().copied();
        Self { rule, test, matches: trial.matches(&rule.name), passed_over }
    }

    /// A test of which an event is no call shows nothing, whatever it wants.
    fn passes(&self) -> bool {
        let is_as_wanted = self.test.matches.map_or(self.matches > 0, |wanted| self.matches == wanted);
        is_as_wanted && self.passed_over.is_none()
    }

    fn line(&self) -> String {
        let passed = if self.passes() { "ok    " } else { "FAILED" };
        let detail = match (self.passed_over, self.test.matches) {
            _ if self.passes() => String::new(),
            (Some(reason), _) => format!(" (an event is no call that counts: {reason})"),
            (None, None) => format!(" (wanted at least one match, got {})", self.matches),
            (None, Some(wanted)) => format!(" (wanted {wanted} matches, got {})", self.matches),
        };
        format!("{passed}  {}: {}{detail}\n", shown(&self.rule.name), shown(&self.test.name))
    }

    fn json(&self) -> Value {
        let expected = self.test.matches.map_or(json!("at least 1"), |matches| json!(matches));
        json!({
            "rule": self.rule.name, "test": self.test.name, "passed": self.passes(), "matches": self.matches,
            "expected": expected, "passed_over": self.passed_over,
        })
    }
}

/// The first event's time, if it says none: 2024-01-01T00:00:00Z.
const BEGIN_S: i64 = 1_704_067_200;

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
    let names: Vec<(String, bool)> =
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
            let rows = names.iter().map(|(rule, _)| json!({"rule": rule, "matches": trial.matches(rule)}));
            let counted = json!({
                "events": trial.events(), "passed_over": trial.passed_over(), "rules": rows.collect::<Vec<_>>(),
            });
            print(&format!("{counted}\n"))
        }
        Format::Table => {
            let mut hits: Vec<&(String, bool)> = names.iter().collect();
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
            let passed_over: Vec<String> =
                trial.passed_over().iter().map(|(reason, count)| format!("{reason} {count}")).collect();
            let passed_over = match passed_over.as_slice() {
                [] => String::new(),
                reasons => format!("not asked about: {}\n", reasons.join(", ")),
            };
            let (events, rules) = (trial.events(), names.len());
            print(&format!("{}{events} events, {rules} rules\n{passed_over}{late}", columns(&rows)))
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
