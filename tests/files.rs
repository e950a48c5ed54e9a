//! `trailmeter run` over files, held against an independent count (tests/oracle) in every number that the API gives.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::path::Path;

use common::{Trailmeter, corpus, python, trailmeter};
use serde_json::Value;

/// The accounts that the corpus' edits take for ours.
const ACCOUNTS: &str = "111122223333,444455556666";

/// Runs over `files` and compares totals, coverage, and every window at several times.
fn check(files: &Path, accounts: &str) {
    let path = files.to_str().unwrap();
    let mut arguments = vec![path, "--suggest-at", "6", "--zeros"];
    if !accounts.is_empty() {
        arguments.extend(["--accounts", accounts]);
    }
    let expected: Value = serde_json::from_str(&python("tests/oracle/count.py", &arguments)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("trailmeter.yaml");
    let accounts: Vec<String> =
        accounts.split(',').filter(|id| !id.is_empty()).map(|id| format!("'{id}'")).collect();
    let state = folder.path().join("state");
    let text = format!(
        "sources: [{{files: {{paths: [{path:?}]}}}}]\nstate: {{embedded: {{path: {state:?}}}}}\norganization: {{accounts: [{}]}}\n",
        accounts.join(",")
    );
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let mut run = Trailmeter::run(&["--config", config]);
    run.wait_until_all_is_read();
    compare(&run, &expected);
    assert!(run.stop().success());
    // A second start reads nothing again and says the same.
    let mut run = Trailmeter::run(&["--config", config]);
    run.wait_until_all_is_read();
    compare(&run, &expected);
}

fn compare(run: &Trailmeter, expected: &Value) {
    let mut totals = run.json("/api/v1/totals");
    totals.as_object_mut().unwrap().remove("records");
    assert_eq!(totals, expected["totals"]);
    let coverage = run.json("/api/v1/coverage");
    assert_eq!(coverage["signature"], expected["coverage"]["signature"]);
    assert_eq!(coverage["tls"], expected["coverage"]["tls"]);
    let windows = expected["windows"].as_array().unwrap();
    assert!(windows.iter().any(|window| !window["rows"].as_array().unwrap().is_empty()));
    for window in windows {
        let (size, at) = (window["window"].as_str().unwrap(), window["at"].as_str().unwrap());
        let got = run.json(&format!("/api/v1/windows?window={size}&at={at}"));
        assert_eq!((&got["window"], &got["at"]), (&window["window"], &window["at"]));
        assert_eq!(got["rows"], window["rows"], "window {size} at {at}");
    }
    for refused in expected["refused_at"].as_array().unwrap() {
        let (size, at) = (refused["window"].as_str().unwrap(), refused["at"].as_str().unwrap());
        let (status, body) = run.get(&format!("/api/v1/windows?window={size}&at={at}"));
        let earliest = expected["earliest_at"][size].as_str().unwrap();
        assert!(status == 400 && body.contains(earliest), "window {size} at {at}: {status} {body}");
    }
}

/// The corpus, rewritten by tests/oracle/transform.py.
fn check_corpus(transform: &[&str], accounts: &str) {
    let Some(corpus) = corpus("invictus/CloudTrail") else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("events");
    let mut arguments = vec![corpus.to_str().unwrap(), output.to_str().unwrap()];
    arguments.extend(transform);
    python("tests/oracle/transform.py", &arguments);
    check(&output, accounts);
}

#[test]
fn corpus_as_it_is() {
    if let Some(corpus) = corpus("invictus/CloudTrail") {
        check(&corpus, "");
    }
}

#[test]
fn corpus_twice_and_compressed() {
    check_corpus(&["--twice", "--gzip"], "");
}

#[test]
fn corpus_in_random_order_in_nested_gzip() {
    check_corpus(&["--shuffle", "7", "--envelope", "records", "--gzip", "--gzip"], "");
}

#[test]
fn corpus_edited_so_that_every_rule_of_the_design_occurs() {
    check_corpus(&["--edit"], ACCOUNTS);
}

#[test]
fn corpus_edited_in_log_subscriptions() {
    check_corpus(&["--edit", "--envelope", "cloudwatch"], ACCOUNTS);
}

#[test]
fn corpus_edited_in_eventbridge_envelopes() {
    check_corpus(&["--edit", "--envelope", "eventbridge", "--gzip"], ACCOUNTS);
}

#[test]
fn corpus_edited_as_lines_arrays_and_loose_values() {
    for envelope in ["ndjson", "array", "bare-concatenated", "pretty"] {
        check_corpus(&["--edit", "--envelope", envelope], ACCOUNTS);
    }
}

#[test]
fn corpus_spread_over_three_days_late_future_and_repeated() {
    check_corpus(&["--edit", "--spread-days", "3", "--seed", "5", "--envelope", "ndjson"], ACCOUNTS);
    check_corpus(&["--spread-days", "3", "--seed", "6", "--gzip"], ACCOUNTS);
}

#[test]
fn corpus_with_files_cut_off() {
    check_corpus(&["--cut", "3"], "");
    check_corpus(&["--cut", "4", "--gzip"], "");
    check_corpus(&["--cut", "5", "--envelope", "ndjson", "--gzip"], "");
}

/// Generated events: needs no corpus.
fn check_generated(options: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("events");
    let mut arguments = vec!["generate", "--output", output.to_str().unwrap()];
    arguments.extend(options);
    let made = trailmeter(&arguments);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    check(&output, "990000000000,990000000001,990000000002,990000000003");
}

#[test]
fn generated_organisation() {
    check_generated(&[
        "--events",
        "8000",
        "--preset",
        "organisation",
        "--duration",
        "3d",
        "--late",
        "0.2",
        "--duplicates",
        "0.05",
    ]);
}

#[test]
fn generated_and_broken_lines() {
    let broken = ["--broken", "0.05", "--future", "0.01", "--future-from", "2999-01-01T00:00:00Z"];
    check_generated(
        &[&["--events", "6000", "--envelope", "ndjson", "--duration", "3d"][..], &broken].concat(),
    );
}

#[test]
fn generated_in_log_subscriptions() {
    check_generated(&[
        "--events",
        "5000",
        "--envelope",
        "cloudwatch-logs",
        "--late",
        "0.1",
        "--duplicates",
        "0.1",
    ]);
}
