//! The page of the real binary in a real browser. The scenarios are in tests/browser, and say what they look at.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use common::alertmanager::{Place, WeakCall};
use common::{Trailmeter, repository, trailmeter};

/// A scenario at work in a browser.
struct Scenario {
    child: Child,
    said: BufReader<ChildStdout>,
    lines: Vec<String>,
}

impl Scenario {
    fn start(name: &str, run: &Trailmeter) -> Self {
        Self::at(name, &format!("http://{}", run.address()))
    }

    fn at(name: &str, address: &str) -> Self {
        let script = repository("tests/browser").join(format!("{name}.mjs"));
        let child = Command::new("node")
            .arg(script)
            .arg(address)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn();
        let mut child =
            child.unwrap_or_else(|error| panic!("node: {error}: `make tools` says what is needed"));
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, said, lines: Vec::new() }
    }

    /// Waits until it says that it waits.
    fn wait_for(&mut self, word: &str) {
        loop {
            let mut line = String::new();
            let read = self.said.read_line(&mut line).unwrap();
            assert!(read > 0, "it ended before {word:?}: {:?}; {:?}", self.child.wait(), self.lines);
            self.lines.push(line.trim().to_owned());
            if line.trim() == word {
                return;
            }
        }
    }

    fn succeed(mut self) {
        let rest: Vec<String> = (&mut self.said).lines().map_while(Result::ok).collect();
        rest.iter().for_each(|line| println!("{line}"));
        assert!(self.child.wait().unwrap().success(), "the scenario failed: its errors are above");
    }
}

impl Drop for Scenario {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

const NOW: &str = "2026-01-01T12:00:00Z";

/// Each match is told of.
const RULES: &str = "- {rule: Something was read, desc: What is read is shown., condition: ct.name = GetObject, output: 'read by %ct.principal', priority: INFO, source: aws_cloudtrail}\n";

fn run(place: &Place, calls: &[WeakCall]) -> Trailmeter {
    let lines: Vec<u8> = calls.iter().flat_map(|call| [call.json(), b"\n".to_vec()].concat()).collect();
    let events = place.write("events.ndjson", lines);
    let (state, rules) = (place.path("state"), place.write("rules.yaml", RULES));
    let config = place.write(
        "trailmeter.yaml",
        format!(
            "sources: [{{files: {{paths: [{events:?}], follow: true}}}}]\nstate: {{embedded: {{path: {state:?}, commit_interval: 100ms}}}}\n\
             rules: {{files: [{rules:?}], packs: [signatures, credentials]}}\n"
        ),
    );
    let run = Trailmeter::run(&["--config", &config]);
    run.wait_until("/api/v1/totals", |totals| totals["calls"] == calls.len());
    run
}

fn append(events: &Path, call: &WeakCall) {
    let mut file = OpenOptions::new().append(true).open(events).unwrap();
    file.write_all(&[call.json(), b"\n".to_vec()].concat()).unwrap();
}

fn some_calls() -> Vec<WeakCall> {
    let mut calls: Vec<_> = (0..60)
        .map(|number| WeakCall::sigv2(&format!("reader-{number}"), &format!("e{number}"), NOW))
        .collect();
    for (number, call) in calls.iter_mut().enumerate() {
        match number % 4 {
            0 => call.key = format!("AKIAEXAMPLE{number}"),
            1 => (call.signature, call.tls) = ("SigV4", "TLSv1"),
            2 => (call.signature, call.tls) = ("SigV4", "TLSv1.1"),
            _ => {}
        }
    }
    calls
}

#[test]
fn every_view_in_light_dark_and_on_a_phone() {
    let place = Place::new();
    let run = run(&place, &some_calls());
    Scenario::start("views", &run).succeed();
}

#[test]
fn five_thousand_callers_some_of_them_hostile() {
    let place = Place::new();
    let mut calls: Vec<_> = (0..5000)
        .map(|number| WeakCall::sigv2(&format!("role-{number:05}"), &format!("e{number}"), NOW))
        .collect();
    let hostile = [
        "<img src=x onerror=\"window.pwned=1\"><script>window.pwned=1</script>\u{202e}gnp.exe",
        "\"><svg onload=alert(1)>",
        "&lt;b&gt;javascript:alert(1)",
    ];
    calls.extend(hostile.iter().enumerate().map(|(at, role)| WeakCall::sigv2(role, &format!("h{at}"), NOW)));
    calls.extend((0..9).map(|number| WeakCall::sigv2("busiest", &format!("b{number}"), NOW)));
    let run = run(&place, &calls);
    Scenario::start("callers", &run).succeed();
}

#[test]
fn the_report_of_a_scan() {
    let place = Place::new();
    let mut calls = some_calls();
    calls.push(WeakCall::sigv2("<img src=x onerror=\"window.pwned=1\">", "hostile", NOW));
    let lines: Vec<u8> = calls.iter().flat_map(|call| [call.json(), b"\n".to_vec()].concat()).collect();
    let (events, report) = (place.write("events.ndjson", lines), place.path("report.html"));
    let scanned = trailmeter(&["scan", &events, "--format", "html", "--output", report.to_str().unwrap()]);
    assert!(scanned.status.success(), "{}", String::from_utf8_lossy(&scanned.stderr));
    Scenario::at("report", &format!("file://{}", report.display())).succeed();
}

#[test]
fn a_newcomer_appears_by_itself() {
    let place = Place::new();
    let run = run(&place, &some_calls());
    let mut scenario = Scenario::start("live", &run);
    scenario.wait_for("waiting for a newcomer");
    append(&place.path("events.ndjson"), &WeakCall::sigv2("newcomer", "new", "2026-01-01T12:00:01Z"));
    scenario.wait_for("waiting for the end");
    assert!(run.stop().success());
    scenario.succeed();
}
