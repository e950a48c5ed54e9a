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
    compare_callers(run, &expected["callers"]);
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

/// Weak callers one by one, so that a difference shows itself. Advice is for people, and not counted.
fn compare_callers(run: &Trailmeter, expected: &Value) {
    let mut rows = run.json("/api/v1/callers")["rows"].as_array().unwrap().clone();
    let expected = expected.as_array().unwrap();
    for (row, expected) in rows.iter_mut().zip(expected) {
        let advice = row.as_object_mut().unwrap().remove("advice");
        assert!(advice.is_some_and(|advice| advice.as_str().is_some_and(|text| !text.is_empty())));
        let presigned = [&row["presigned"], &expected["presigned"]].map(|share| share.as_f64().unwrap());
        assert!((presigned[0] - presigned[1]).abs() < 1e-9, "{row}");
        row["presigned"] = expected["presigned"].clone();
        assert_eq!(row, expected);
    }
    assert_eq!(rows.len(), expected.len());
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

#[test]
fn an_unreadable_event_in_a_file_costs_no_more_than_itself_or_its_document() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events");
    std::fs::create_dir(&events).unwrap();
    let event = |id: usize| {
        format!(
            r#"{{"eventID":"{id}","eventTime":"2023-07-10T12:00:00Z","eventSource":"s3.amazonaws.com","eventName":"Get"}}"#
        )
    };
    let large = format!(r#"{{"eventID":"l","x":"{}"}}"#, "}".repeat(17 << 20));
    let all = |ids: std::ops::Range<usize>| ids.map(event).collect::<Vec<_>>().join(",");
    let records = format!(r#"{{"Records":[{},{large},{}]}}"#, all(0..3000), all(3000..9000));
    std::fs::write(events.join("1-large.json"), records).unwrap();
    std::fs::write(
        events.join("2-broken.json"),
        format!(r#"[{},{{"a":tru}},{}]"#, all(9000..12000), all(0..9)),
    )
    .unwrap();
    std::fs::write(events.join("3-empty.json"), "").unwrap();
    std::fs::write(events.join("4-table.csv"), "time,name\n1,2\n").unwrap();
    std::fs::write(
        events.join("5-digest.json"),
        r#"{"digestStartTime":"x","digestS3Object":"y","logFiles":[]}"#,
    )
    .unwrap();
    let state = folder.path().join("state");
    let arguments = ["--files", events.to_str().unwrap(), "--state", state.to_str().unwrap()];
    let mut run = Trailmeter::run(&arguments);
    run.wait_until_all_is_read();
    let totals = run.json("/api/v1/totals");
    let rejected = |reason: &str| totals["rejected"][reason].as_u64().unwrap();
    assert_eq!(
        (&totals["calls"], rejected("too_large"), rejected("not_json")),
        (&Value::from(12_000), 1, 1),
        "{totals}"
    );
    assert_eq!(totals["records"]["rejected"]["empty"], 1);
    assert_eq!(totals["records"]["rejected"]["unknown_envelope"], 1);
    assert_eq!(totals["not_calls"]["digest"], 1);
}

#[test]
fn follow_reads_what_is_appended_and_new_files_and_goes_on_after_a_kill() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events");
    std::fs::create_dir(&events).unwrap();
    let path = events.join("live.ndjson");
    let mut file = std::fs::File::create(&path).unwrap();
    let event = |id: u32| {
        format!(
            r#"{{"eventID":"{id}","eventTime":"2023-07-10T12:00:00Z","eventSource":"s3.amazonaws.com","eventName":"Get"}}"#
        )
    };
    let state = folder.path().join("state");
    let arguments = ["--files", events.to_str().unwrap(), "--follow", "--state", state.to_str().unwrap()];
    let calls =
        |run: &Trailmeter, expect: u64| run.wait_until("/api/v1/totals", |totals| totals["calls"] == expect);
    let run = Trailmeter::run(&arguments);
    writeln!(file, "{}", event(1)).unwrap();
    calls(&run, 1);
    let half = event(2);
    write!(file, "{}", &half[..30]).unwrap();
    std::fs::write(events.join("new.json"), format!("[{}]", event(3))).unwrap();
    calls(&run, 2);
    writeln!(file, "{}", &half[30..]).unwrap();
    calls(&run, 3);
    run.kill();
    writeln!(file, "{}", event(4)).unwrap();
    let run = Trailmeter::run(&arguments);
    let totals = calls(&run, 4);
    assert_eq!(
        (&totals["events"], &totals["dropped"]["duplicate"]),
        (&Value::from(4), &Value::from(0)),
        "{totals}"
    );
}

/// Kills at failpoints before and after commits, and at any moment: the numbers are those of an undisturbed run.
#[test]
fn killed_again_and_again() {
    common::need_failpoints();
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("events");
    let made = trailmeter(&[
        "generate",
        "--events",
        "150000",
        "--envelope",
        "ndjson",
        "--events-per-file",
        "7000",
        "--broken",
        "0.01",
        "--duplicates",
        "0.02",
        "--late",
        "0.1",
        "--output",
        output.to_str().unwrap(),
    ]);
    assert!(made.status.success());
    let config = |name: &str| {
        let path = folder.path().join(format!("{name}.yaml"));
        let state = folder.path().join(name);
        let text = format!(
            "sources: [{{files: {{paths: [{output:?}], piece_bytes: 16KiB}}}}]\n\
             state: {{embedded: {{path: {state:?}, commit_interval: 10m, commit_bytes: 64KiB}}}}\n"
        );
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let undisturbed = config("undisturbed");
    let mut run = Trailmeter::run(&["--config", &undisturbed]);
    run.wait_until_all_is_read();
    let disturbed = config("disturbed");
    let mut kills = 0;
    for round in 0..20 {
        let failpoint = format!("commit_{}={}*off->return", ["before", "after"][round % 2], round / 2 % 3);
        let mut killed = Trailmeter::start(&["--config", &disturbed], &[("FAILPOINTS", &failpoint)]);
        if round % 12 == 11 {
            killed.wait_for("listening");
            killed.kill();
            kills += 1;
        } else {
            kills += usize::from(killed.wait_until_read_or_dead());
        }
    }
    // Commits come by what is pending, not by the clock: there are more of them than the rounds take, on any machine.
    assert_eq!(kills, 20);
    let mut again = Trailmeter::run(&["--config", &disturbed]);
    again.wait_until_all_is_read();
    for path in ["/api/v1/totals", "/api/v1/coverage"] {
        assert_eq!(again.json(path), run.json(path));
    }
    for (window, at) in
        [("5m", "2025-07-01T23:10:00Z"), ("1h", "2025-07-01T23:50:00Z"), ("24h", "2025-07-02T00:10:00Z")]
    {
        let path = format!("/api/v1/windows?window={window}&at={at}");
        let rows = run.json(&path);
        assert!(!rows["rows"].as_array().unwrap().is_empty());
        assert_eq!(again.json(&path), rows);
    }
}
