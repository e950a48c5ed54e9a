//! A real Prometheus scrapes a real `trailmeter run`: what docs/numbers.md says of the metrics can be asked for.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use common::Trailmeter;
use common::alertmanager::Place;
use common::prometheus::{Options, Prometheus};
use common::rules::{FILES, metrics_in, names_and_types, recorded_in, rules};
use serde_json::Value;
use tempfile::TempDir;

/// Name, type and labels of each metric of docs/numbers.md.
const METRICS: [(&str, &str, &[&str]); 29] = [
    ("trailmeter_records_total", "counter", &["source", "outcome", "reason"]),
    ("trailmeter_events_total", "counter", &["outcome", "reason"]),
    ("trailmeter_calls_total", "counter", &["signature_version", "tls_version", "event_source"]),
    ("trailmeter_unknown_calls_total", "counter", &["dimension", "reason"]),
    ("trailmeter_late_events_total", "counter", &[]),
    ("trailmeter_duplicate_memory_evicted_total", "counter", &[]),
    (
        "trailmeter_window_calls",
        "gauge",
        &["window", "account_id", "principal", "signature_version", "tls_version"],
    ),
    ("trailmeter_window_callers", "gauge", &["window", "signature_version", "tls_version"]),
    ("trailmeter_new_callers_total", "counter", &["weakness"]),
    ("trailmeter_caller_first_seen_timestamp_seconds", "gauge", CALLER),
    ("trailmeter_caller_last_seen_timestamp_seconds", "gauge", CALLER),
    ("trailmeter_caller_paged_timestamp_seconds", "gauge", CALLER),
    ("trailmeter_rule_matches_total", "counter", &["rule", "priority"]),
    ("trailmeter_rule_matches_withheld_total", "counter", &["rule", "reason"]),
    ("trailmeter_rules_last_reload_successful", "gauge", &[]),
    ("trailmeter_alerts_total", "counter", &["sink", "outcome"]),
    ("trailmeter_alerts_undelivered", "gauge", &["sink"]),
    ("trailmeter_series_dropped_total", "counter", &["metric"]),
    ("trailmeter_commits_total", "counter", &["outcome"]),
    ("trailmeter_limit_hits_total", "counter", &["limit"]),
    ("trailmeter_shard_behind_seconds", "gauge", &["shard"]),
    ("trailmeter_shard_checkpoint_timestamp_seconds", "gauge", &["shard"]),
    ("trailmeter_leases", "gauge", &[]),
    ("trailmeter_event_delay_seconds", "histogram", &[]),
    ("trailmeter_processing_seconds", "histogram", &[]),
    ("trailmeter_config_last_reload_successful", "gauge", &[]),
    ("trailmeter_web_config_last_reload_successful", "gauge", &[]),
    ("trailmeter_config_last_reload_success_timestamp_seconds", "gauge", &[]),
    ("trailmeter_build_info", "gauge", &["version"]),
];

const CALLER: &[&str] = &["weakness", "account_id", "principal"];

/// Each match is told of, up to the cap.
const RULES: &str = "- {rule: Something changed, desc: d, condition: ct.name startswith Put, output: '%ct.name', \
                     priority: INFO, source: aws_cloudtrail, repeat: 0s}\n";

/// A trailmeter over generated events, which has counted the backlog.
fn run() -> (Trailmeter, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (config, state) = (folder.path().join("trailmeter.yaml"), folder.path().join("state"));
    let rules = folder.path().join("rules.yaml");
    std::fs::write(&rules, RULES).unwrap();
    let text = format!(
        "sources: [{{generator: {{rate: 300, backlog: 10000, shards: 2}}}}]\n\
         state: {{embedded: {{path: {state:?}, commit_interval: 200ms}}}}\n\
         sinks: {{stdout: true}}\nrules: {{files: [{rules:?}]}}\n"
    );
    std::fs::write(&config, text).unwrap();
    let run = Trailmeter::run(&["--config", config.to_str().unwrap()]);
    run.wait_until("/api/v1/totals", |totals| totals["events"].as_u64() > Some(10_000));
    (run, folder)
}

#[test]
fn prometheus_sees_what_is_counted() {
    let (run, _folder) = run();
    let place = Place::new();
    let options = Options { targets: vec![run.address().to_owned()], ..Options::default() };
    let prometheus = Prometheus::start(&place.folder("prometheus"), &options);
    prometheus.wait_until("up", |up| up == 1.0);
    let events = prometheus.wait_until("sum(trailmeter_events_total)", |events| events > 10_000.0);
    prometheus.wait_until("sum(trailmeter_events_total)", |later| later > events);
    prometheus.wait_until("sum(increase(trailmeter_events_total[1m]))", |increase| increase > 0.0);
    let build = format!("trailmeter_build_info{{version='{}'}}", env!("CARGO_PKG_VERSION"));
    prometheus.wait_until(&build, |value| value == 1.0);
    prometheus.wait_until("trailmeter_leases", |leases| leases == 2.0);
    prometheus
        .wait_until("time() - max(trailmeter_shard_checkpoint_timestamp_seconds)", |age_s| age_s < 60.0);

    // A scrape may fall between two steps of one commit; the next one does not.
    let is_zero = |difference: f64| difference == 0.0;
    for (sum, whole) in [
        ("trailmeter_calls_total", "trailmeter_events_total{outcome='call'}"),
        (
            "trailmeter_unknown_calls_total{dimension='signature'}",
            "trailmeter_calls_total{signature_version='unknown'}",
        ),
        ("trailmeter_unknown_calls_total{dimension='tls'}", "trailmeter_calls_total{tls_version='unknown'}"),
        ("trailmeter_records_total{source='generator',outcome='decoded'}", "trailmeter_events_total"),
        ("trailmeter_event_delay_seconds_count", "trailmeter_calls_total"),
        ("trailmeter_event_delay_seconds_bucket{le='+Inf'}", "trailmeter_event_delay_seconds_count"),
    ] {
        prometheus.wait_until(&format!("sum({whole}) > 0"), |_| true);
        prometheus.wait_until(&format!("sum({sum}) - sum({whole})"), is_zero);
    }
    for histogram in ["trailmeter_processing_seconds", "trailmeter_event_delay_seconds"] {
        let median = format!("histogram_quantile(0.5, sum by (le) (rate({histogram}_bucket[1m])))");
        prometheus.wait_until(&median, |seconds| seconds > 0.0 && seconds < 60.0);
    }

    for window in ["5m", "1h", "24h"] {
        let callers = format!("sum(trailmeter_window_callers{{window='{window}'}})");
        prometheus.wait_until(&callers, |callers| callers > 0.0);
    }
    prometheus.wait_until("count(trailmeter_window_calls{window='24h'})", |rows| rows > 0.0);
    // Who is shown was seen, and new ones come all the time.
    prometheus.wait_until("count(trailmeter_caller_paged_timestamp_seconds > 0)", |callers| callers > 10.0);
    let seen =
        "trailmeter_caller_last_seen_timestamp_seconds - trailmeter_caller_first_seen_timestamp_seconds";
    prometheus.wait_until(&format!("min({seen})"), |seconds| seconds >= 0.0);
    prometheus.wait_until("sum(trailmeter_new_callers_total)", |callers| callers > 10.0);
    let delivered = "sum(trailmeter_alerts_total{sink='stdout',outcome='delivered'})";
    // Each of these is told of, and nothing else.
    prometheus.wait_until("sum(trailmeter_rule_matches_total)", |matches| matches > 10.0);
    let matches = "sum(trailmeter_rule_matches_total) - sum(trailmeter_rule_matches_withheld_total)";
    prometheus.wait_until(&format!("{delivered} - sum(trailmeter_new_callers_total) - ({matches})"), is_zero);
    let not_weak = "trailmeter_window_calls{signature_version!='SigV2',tls_version!~'TLSv1|TLSv1[.]1'}";
    assert_eq!(prometheus.query(not_weak), [0.0; 0]);
    assert!(run.stop().success());
    prometheus.wait_until("up", |up| up == 0.0);
}

/// A line of the text format: the metric's name and the names of its labels.
fn name_and_labels(line: &str) -> (&str, BTreeSet<&str>) {
    let Some((name, rest)) = line.split_once('{') else {
        return (line.split_once(' ').unwrap().0, BTreeSet::new());
    };
    let mut labels = BTreeSet::new();
    let mut rest = rest;
    while let Some((label, value)) = rest.split_once("=\"") {
        labels.insert(label.trim_start_matches(','));
        let bytes = value.as_bytes();
        let mut end = 0;
        while bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        rest = &value[end + 1..];
        if rest.starts_with('}') {
            break;
        }
    }
    (name, labels)
}

#[test]
fn every_promised_metric_is_there_with_exactly_its_labels() {
    let (run, _folder) = run();
    let (status, text) = run.get("/metrics");
    assert_eq!(status, 200);
    let types: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let lines: Vec<_> =
        text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(name_and_labels).collect();
    for (name, kind, labels) in METRICS {
        assert_eq!(types.get(name), Some(&kind), "{name}");
        let series = match kind {
            "histogram" => ["_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}")).to_vec(),
            _ => vec![name.to_owned()],
        };
        for series in series {
            let mut expected: BTreeSet<&str> = labels.iter().copied().collect();
            expected.extend(series.ends_with("_bucket").then_some("le"));
            let found: Vec<_> = lines.iter().filter(|(name, _)| *name == series).collect();
            assert!(!found.is_empty(), "{series} has no series");
            found.iter().for_each(|(name, labels)| assert_eq!(*labels, expected, "{name}"));
        }
    }
    assert!(types.keys().all(|name| name.starts_with("trailmeter_")), "{types:?}");
    assert!(lines.len() < 3000, "{} series", lines.len());
}

#[test]
fn promtool_has_nothing_to_say_of_the_metrics() {
    let (run, _folder) = run();
    let (_, text) = run.get("/metrics");
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = promtool.unwrap_or_else(|error| panic!("promtool: {error}: run `make tools`"));
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

fn promtool(arguments: &[&str]) -> String {
    let output = Command::new("promtool").args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("promtool: {error}: run `make tools`"));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn alerts_ring_when_they_should_and_shares_are_what_they_are_called() {
    let path = |name: &str| common::repository(name).display().to_string();
    promtool(&[&["check", "rules"][..], &FILES.map(path).each_ref().map(String::as_str)].concat());
    for tests in TESTS {
        promtool(&["test", "rules", &path(tests)]);
    }
}

const TESTS: [&str; 3] = [
    "rules/prometheus/tests/trailmeter_test.yml",
    "rules/prometheus/tests/shares_test.yml",
    "rules/prometheus/tests/new_callers_test.yml",
];

/// A metric that is renamed on one side only, an alert or a recording rule without a test, an alert without a
/// runbook: all fail here.
#[test]
fn rules_name_metrics_that_are_there_and_runbooks_that_are_served() {
    let (run, _folder) = run();
    let (_, metrics) = run.get("/metrics");
    let names: BTreeSet<String> = names_and_types(&metrics).into_iter().map(|(name, _)| name).collect();
    let tests = TESTS.map(|path| std::fs::read_to_string(common::repository(path)).unwrap()).concat();
    let rules: Vec<Value> = FILES.iter().flat_map(|path| rules(path)).collect();
    let recorded: BTreeSet<&str> = rules.iter().filter_map(|rule| rule["record"].as_str()).collect();
    let mut used = BTreeSet::new();
    for rule in &rules {
        let expression = rule["expr"].as_str().unwrap();
        used.extend(metrics_in(expression));
        for name in recorded_in(expression) {
            assert!(recorded.contains(name), "nothing records {name}");
        }
    }
    assert!(used.len() >= 11, "{used:?}");
    used.iter().for_each(|name| assert!(names.contains(*name), "{name} is not in /metrics"));
    for name in recorded.iter().filter(|name| name.starts_with("job")) {
        assert!(tests.contains(name), "{name} has no test");
    }
    let mut alerts = 0;
    for (alert, rule) in rules.iter().filter_map(|rule| Some((rule["alert"].as_str()?, rule))) {
        alerts += 1;
        assert!(tests.contains(&format!("alertname: {alert}\n")), "{alert} has no test");
        assert!(matches!(rule["labels"]["severity"].as_str(), Some("critical" | "warning")), "{alert}");
        for annotation in ["summary", "description"] {
            assert!(rule["annotations"][annotation].is_string(), "{alert} has no {annotation}");
        }
        let (_, name) =
            rule["annotations"]["runbook_url"].as_str().unwrap().split_once("/runbooks/").unwrap();
        let (status, text) = run.get(&format!("/runbooks/{name}"));
        assert!(status == 200 && text.starts_with(&format!("# {name}\n")), "{name}: {status} {text}");
    }
    assert!(alerts >= 17, "{alerts}");
}

/// Labels by which an alert of the optional file differed from the one that trailmeter sends would make two of one.
#[test]
fn optional_alerts_have_the_names_and_severities_of_those_that_are_sent() {
    use trailmeter::alert::name_and_severity;
    use trailmeter::event::judge::Weakness;
    let sent: BTreeSet<(&str, &str)> = Weakness::ALL.into_iter().map(name_and_severity).collect();
    let rules = rules("rules/prometheus/new-callers.yml");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let made: Vec<_> =
        rules.iter().map(|rule| (text(&rule["alert"]), text(&rule["labels"]["severity"]))).collect();
    let made: BTreeSet<_> = made.iter().map(|(name, severity)| (name.as_str(), severity.as_str())).collect();
    assert_eq!(made, sent);
}

/// Over real metrics, every rule is evaluated without an error, and every recording rule records something.
#[test]
fn rules_work_on_real_metrics() {
    let (run, _folder) = run();
    let place = Place::new();
    let options = Options {
        targets: vec![run.address().to_owned()],
        rules: FILES.map(common::repository).to_vec(),
        ..Options::default()
    };
    let prometheus = Prometheus::start(&place.folder("prometheus"), &options);
    for rule in FILES.iter().flat_map(|path| rules(path)) {
        if let Some(name) = rule["record"].as_str() {
            prometheus.wait_until(&format!("count({name}) > 0"), |_| true);
        }
    }
    prometheus.wait_until("count(ALERTS{alertname='NewSigV2Caller', alertstate='firing'}) > 0", |_| true);
    let rules = prometheus.evaluated_rules();
    assert!(rules.len() >= 28, "{rules:?}");
    for rule in rules {
        assert!(rule["health"] == "ok" && rule["lastError"].is_null(), "{rule}");
    }
    // Shares are shares, one for each of the two, and none of an instance.
    for name in ["weak_calls:ratio_rate1h", "weak_calls:ratio_rate1d", "known_calls:ratio_rate1d"] {
        let shares = format!("job_dimension:trailmeter_{name}");
        prometheus.wait_until(&format!("count({shares} > 0 < 1)"), |shares| shares == 2.0);
        assert_eq!(prometheus.query(&format!("count({shares}{{instance!=''}})")), [0.0; 0]);
    }
}
