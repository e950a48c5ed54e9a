//! A real Prometheus scrapes a real `trailmeter run`: what docs/numbers.md says of the metrics can be asked for.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::server::{Server, free_port, is_listening};
use common::{PATIENCE, Trailmeter};
use serde_json::Value;
use tempfile::TempDir;

/// Name, type and labels of each metric of docs/numbers.md.
const METRICS: [(&str, &str, &[&str]); 28] = [
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

struct Prometheus {
    _server: Server,
    _folder: TempDir,
    port: u16,
}

impl Prometheus {
    /// Starts one that scrapes `target` each second.
    fn scraping(target: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s}}\n\
             scrape_configs: [{{job_name: trailmeter, static_configs: [{{targets: ['{target}']}}]}}]\n"
        );
        std::fs::write(&config, text).unwrap();
        let port = free_port();
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let mut server = Server::start(&mut command);
        server.wait_until(|| is_listening(port));
        Self { _server: server, _folder: folder, port }
    }

    /// The values of an expression, now.
    fn query(&self, expression: &str) -> Vec<f64> {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let request = agent.get(format!("http://127.0.0.1:{}/api/v1/query", self.port));
        let text = request.query("query", expression).call().unwrap().body_mut().read_to_string().unwrap();
        // It listens before it answers.
        let Ok(answer) = serde_json::from_str::<Value>(&text) else { return Vec::new() };
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        let rows = answer["data"]["result"].as_array().unwrap();
        rows.iter().map(|row| row["value"][1].as_str().unwrap().parse().unwrap()).collect()
    }

    /// Asks until the one value of the expression is as wanted.
    fn wait_until(&self, expression: &str, is_wanted: impl Fn(f64) -> bool) -> f64 {
        let end = Instant::now() + PATIENCE;
        loop {
            let values = self.query(expression);
            if let &[value] = values.as_slice()
                && is_wanted(value)
            {
                return value;
            }
            assert!(Instant::now() < end, "{expression} stays at {values:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

#[test]
fn prometheus_sees_what_is_counted() {
    let (run, _folder) = run();
    let prometheus = Prometheus::scraping(run.address());
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
fn the_alerts_about_trailmeter_itself_ring_when_they_should() {
    let rules = common::repository("rules/prometheus");
    let path = |name: &str| rules.join(name).display().to_string();
    promtool(&["check", "rules", &path("trailmeter.yml")]);
    promtool(&["test", "rules", &path("tests/trailmeter_test.yml")]);
}

/// A metric that is renamed on one side only, an alert without a test or a runbook: all fail here.
#[test]
fn rules_name_metrics_that_are_there_and_runbooks_that_are_served() {
    let (run, _folder) = run();
    let (_, metrics) = run.get("/metrics");
    let names: BTreeSet<&str> =
        metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let text =
        |name: &str| std::fs::read_to_string(common::repository("rules/prometheus").join(name)).unwrap();
    let (rules, tests) = (text("trailmeter.yml"), text("tests/trailmeter_test.yml"));
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let used: BTreeSet<&str> = rules
        .lines()
        .filter(|line| !line.trim_start().starts_with(['#', 's', 'd']))
        .flat_map(|line| line.split(|c| !is_name(c)))
        .filter(|word| word.starts_with("trailmeter_"))
        .collect();
    assert!(used.len() >= 8, "{used:?}");
    used.iter().for_each(|name| assert!(names.contains(name), "{name} is not in /metrics"));
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    for alert in &alerts {
        assert!(tests.contains(&format!("alertname: {alert}\n")), "{alert} has no test");
    }
    let links = rules.lines().filter_map(|line| line.split_once("/runbooks/"));
    let links: Vec<&str> = links.map(|(_, name)| name.trim()).collect();
    assert_eq!(links.len(), alerts.len());
    for name in links {
        let (status, text) = run.get(&format!("/runbooks/{name}"));
        assert!(status == 200 && text.starts_with(&format!("# {name}\n")), "{name}: {status} {text}");
    }
}
