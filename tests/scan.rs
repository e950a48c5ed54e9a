//! `trailmeter scan` held against an independent count (tests/oracle), against `run`, and against what is broken.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use common::alertmanager::{Place, WeakCall};
use common::{Trailmeter, corpus, python, repository, trailmeter};
use serde_json::{Value, json};

/// What `trailmeter scan` counts, as JSON.
fn scan(events: &Path, arguments: &[&str]) -> Value {
    let output = trailmeter(&[&["scan", events.to_str().unwrap(), "--format", "json"], arguments].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What the oracle counts.
fn counted(events: &Path, arguments: &[&str]) -> Value {
    let all = [&[events.to_str().unwrap(), "--zeros", "--rows"], arguments].concat();
    serde_json::from_str(&python("tests/oracle/count.py", &all)).unwrap()
}

/// Holds one against the other, with one thread and with four.
fn check(events: &Path, arguments: &[&str]) -> Value {
    let expected = counted(events, arguments);
    let found = scan(events, arguments);
    assert_eq!(found["rows"], expected["rows"], "{arguments:?}");
    assert!(!found["rows"].as_array().unwrap().is_empty(), "{arguments:?}");
    for (name, value) in expected["totals"].as_object().unwrap().iter().filter(|(name, _)| *name != "late") {
        assert_eq!(&found[name], value, "{name} {arguments:?}");
    }
    for dimension in ["signature", "tls"] {
        assert_eq!(found["coverage"][dimension], expected["coverage"][dimension]);
    }
    for threads in ["1", "4"] {
        let again = scan(events, &[arguments, &["--threads", threads]].concat());
        assert_eq!(again, found, "{arguments:?} with {threads} threads");
    }
    found
}

/// Generated delivery files, with duplicates among them.
fn generated(place: &Place) -> std::path::PathBuf {
    let folder = place.path("events");
    let arguments = ["generate", "--events", "20000", "--seed", "11", "--preset", "organisation", "--output"];
    let output = trailmeter(&[&arguments[..], &[folder.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder
}

const GROUPINGS: [&str; 6] = [
    "account_id,principal,signature_version,tls_version",
    "event_source,event_name,error_code",
    "client,client_version,user_agent",
    "presigned,key_kind,identity_type",
    "bucket,vpc_endpoint_id,aws_region",
    "key_id,session,source_ip",
];

#[test]
fn groupings_and_time_ranges_of_generated_events() {
    let place = Place::new();
    let events = generated(&place);
    for grouping in GROUPINGS {
        let found = check(&events, &["--group-by", grouping]);
        assert!(found["dropped"]["duplicate"].as_u64() > Some(0), "{}", found["dropped"]);
    }
    for range in [
        &["--since", "2025-07-01T12:00:00Z"][..],
        &["--until", "2025-07-01T12:00:00Z"],
        &["--since", "2025-07-01T09:30:00Z", "--until", "2025-07-01T09:31:00Z"],
    ] {
        check(&events, range);
    }
    let whole = scan(&events, &["--since", "2025-07-01", "--until", "2025-07-02"]);
    assert_eq!(whole["rows"], scan(&events, &[])["rows"]);
}

#[test]
fn a_large_file_is_read_by_several_threads_and_counted_alike() {
    let place = Place::new();
    let arguments = ["generate", "--events", "8000", "--seed", "3", "--envelope", "ndjson"];
    let output = trailmeter(&[&arguments[..], &["--broken", "0.01", "--duplicates", "0.01"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.len() > 4 << 20);
    let (plain, gzip) = (place.path("large.ndjson"), place.path("large.ndjson.gz"));
    std::fs::write(&plain, &output.stdout).unwrap();
    std::fs::write(&gzip, gzipped(&output.stdout)).unwrap();
    let found = check(&plain, &[]);
    assert!(found["rejected"]["not_json"].as_u64() > Some(0), "{}", found["rejected"]);
    // One note, whoever read which part of it.
    assert_eq!(found["files_with_problems"].as_array().unwrap().len(), 1, "{}", found["files_with_problems"]);
    check(&gzip, &["--group-by", "event_name,key_id"]);
}

#[test]
fn a_large_array_is_read_by_several_threads_and_counted_alike() {
    let place = Place::new();
    let output = trailmeter(&["generate", "--events", "8000", "--seed", "4", "--envelope", "ndjson"]);
    assert!(output.status.success() && output.stdout.len() > 4 << 20, "{}", output.stdout.len());
    let mut events: Vec<&[u8]> = output.stdout.trim_ascii().split(|byte| *byte == b'\n').collect();
    let array = |events: &[&[u8]]| [b"{\"Records\":[", &events.join(&b',')[..], b"]}\n"].concat();
    let sound = place.path("sound.json");
    std::fs::write(&sound, array(&events)).unwrap();
    let found = check(&sound, &[]);
    assert_eq!(scan(&sound, &["--threads", "1"]), scan(&sound, &["--threads", "4"]));
    // Behind what is no JSON the rest of an array does not count, whoever has it by then.
    events.insert(events.len() / 4, b"{\"eventName\":tru}");
    let broken = place.path("broken.json");
    std::fs::write(&broken, [array(&events), array(&events[..100])].concat()).unwrap();
    let alone = scan(&broken, &["--threads", "1"]);
    assert_eq!(alone["rejected"]["not_json"], 1, "{}", alone["rejected"]);
    assert!(alone["events"].as_u64() < found["events"].as_u64().map(|events| events / 2), "{alone}");
    for _ in 0..5 {
        assert_eq!(scan(&broken, &["--threads", "4"]), alone);
    }
}

#[test]
fn groupings_of_the_corpus() {
    let Some(corpus) = corpus("invictus/CloudTrail") else { return };
    for grouping in GROUPINGS {
        check(&corpus, &["--group-by", grouping]);
    }
    check(&corpus, &["--since", "2023-07-10T12:00:00Z", "--until", "2023-07-10T12:20:00Z"]);
}

#[test]
fn broken_files_are_named_and_the_rest_is_counted() {
    let place = Place::new();
    let events = generated(&place);
    let whole = scan(&events, &[]);
    let some = WeakCall::sigv2("r", "e-1", "2025-07-01T00:00:00Z").json();
    let records = [b"{\"Records\":[".as_slice(), &some, b",", &some[..40]].concat();
    let many =
        (0..400).map(|number| WeakCall::sigv2("r", &format!("t-{number}"), "2025-07-01T00:00:00Z").json());
    let gzip = gzipped(&many.collect::<Vec<_>>().join(&b'\n'));
    let name = |name: &str| events.join(name);
    std::fs::write(name("a-torn.json.gz"), &gzip[..gzip.len() / 2]).unwrap();
    std::fs::write(name("b-broken.json"), records).unwrap();
    std::fs::write(name("c-empty.json"), "").unwrap();
    let digest = json!({"awsAccountId": "1", "digestStartTime": "2025-07-01T00:00:00Z", "digestEndTime": "2025-07-01T01:00:00Z", "logFiles": []});
    std::fs::write(name("e-digest.json"), digest.to_string()).unwrap();
    std::fs::write(name("f-no-time.json"), "{\"Records\":[{\"eventSource\":\"x\",\"eventName\":\"y\"}]}")
        .unwrap();
    let without_table = check(&events, &[]);
    // A text that is no JSON is a record that nothing came of, not an event.
    std::fs::write(name("d-table.csv"), "eventTime,eventName\n2025-07-01,GetObject\n").unwrap();
    let found = scan(&events, &[]);
    assert_eq!((&found["rows"], &found["events"]), (&without_table["rows"], &without_table["events"]));
    let notes: Vec<(String, Value)> = found["files_with_problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|note| {
            let path = Path::new(note["path"].as_str().unwrap());
            (path.file_name().unwrap().to_str().unwrap().to_owned(), note["rejected"].clone())
        })
        .collect();
    let expected = [
        ("a-torn.json.gz", json!({"bad_gzip": 1})),
        ("b-broken.json", json!({"not_json": 1})),
        ("c-empty.json", json!({"empty": 1})),
        ("d-table.csv", json!({"unknown_envelope": 1})),
        ("e-digest.json", json!({"digest": 1})),
        ("f-no-time.json", json!({"no_time": 1})),
    ];
    assert_eq!(notes, expected.map(|(name, reasons)| (name.to_owned(), reasons)));
    // The whole events of the broken files count.
    let more = found["calls"].as_u64().unwrap() - whole["calls"].as_u64().unwrap();
    assert!((100..400).contains(&more), "{more}");
    // A file that can't be opened is named, and is an error; the rest is printed.
    std::os::unix::fs::symlink("/nowhere", name("g-gone.json")).unwrap();
    let output = trailmeter(&["scan", &format!("{}/*", events.display())]);
    let (said, printed) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("1 files could not be read") && printed.contains("g-gone.json: No such file"),
        "{said}{printed}"
    );
}

fn gzipped(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn scan_and_run_give_the_same_numbers() {
    let place = Place::new();
    let events = generated(&place);
    let (path, state) = (events.to_str().unwrap(), place.path("state"));
    let config = place.write(
        "trailmeter.yaml",
        format!(
            "sources: [{{files: {{paths: [{path:?}]}}}}]\nstate: {{embedded: {{path: {state:?}}}}}\norganization: {{accounts: ['990000000001', '990000000002']}}\n"
        ),
    );
    let mut run = Trailmeter::run(&["--config", &config]);
    run.wait_until_all_is_read();
    let found = scan(&events, &["--config", &config]);
    let totals = run.json("/api/v1/totals");
    for name in ["events", "calls", "not_calls", "dropped", "rejected", "records"] {
        assert_eq!(found[name], totals[name], "{name}");
    }
    assert!(found["dropped"]["shared_copy"].is_u64());
    assert_eq!(found["coverage"], run.json("/api/v1/coverage"));
    let weak = run.json("/api/v1/callers")["rows"].as_array().unwrap().len();
    assert_eq!(found["weak_callers"], weak);
    // All of a day's rows are those of its window.
    let window = run.json("/api/v1/windows?window=24h&at=2025-07-01T23:59:59Z");
    let calls = |rows: &Value| -> Vec<(String, u64)> {
        let key = |row: &Value| {
            ["account_id", "principal", "signature_version", "tls_version"]
                .map(|name| row[name].as_str().unwrap().to_owned())
                .join(" ")
        };
        rows.as_array().unwrap().iter().map(|row| (key(row), row["calls"].as_u64().unwrap())).collect()
    };
    assert_eq!(calls(&found["rows"]), calls(&window["rows"]));
    assert!(run.stop().success());
}

#[test]
fn conditions_choose_calls() {
    let place = Place::new();
    let events = generated(&place);
    let all = scan(&events, &["--group-by", "signature_version,event_name"]);
    let some = scan(
        &events,
        &[
            "--group-by",
            "signature_version,event_name",
            "--where",
            "ct.signature.version = SigV2 and ct.name startswith Get",
        ],
    );
    let is_it = |row: &&Value| {
        row["signature_version"] == "SigV2" && row["event_name"].as_str().unwrap().starts_with("Get")
    };
    let expected: Vec<&Value> = all["rows"].as_array().unwrap().iter().filter(is_it).collect();
    assert!(!expected.is_empty());
    assert_eq!(some["rows"].as_array().unwrap().iter().collect::<Vec<_>>(), expected);
    let output = trailmeter(&["scan", events.to_str().unwrap(), "--where", "ct.nam = x"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("unknown field `ct.nam`") && said.contains("did you mean `ct.name`?"), "{said}");
}

const COUNTING: &str = "
- {rule: Busy, desc: d, condition: ct.name exists, output: x, priority: INFO, source: aws_cloudtrail,
   threshold: {count: 5, within: 10m, by: [ct.principal]}, repeat: 1h}
- {rule: First, desc: d, condition: ct.name exists, output: x, priority: INFO, source: aws_cloudtrail,
   first_seen: {by: [ct.principal, ct.name], forget_after: 1d}}
";

/// What `rules test --events` says, for any number of threads; rules that remember and count are among them.
#[test]
fn rules_match_what_they_match_elsewhere() {
    let place = Place::new();
    let events = generated(&place);
    let path = events.to_str().unwrap();
    let rules = place.write("rules.yaml", COUNTING);
    let tested =
        trailmeter(&["rules", "test", "--events", path, "--pack", "all", "--format", "json", &rules]);
    let mut expected: Value = serde_json::from_slice(&tested.stdout).unwrap();
    // Only rules that are switched on are asked.
    let found = scan(&events, &["--pack", "all", "--rules", &rules, "--threads", "1"]);
    let matches = |rules: &Value| -> std::collections::BTreeMap<String, u64> {
        let row =
            |rule: &Value| (rule["rule"].as_str().unwrap().to_owned(), rule["matches"].as_u64().unwrap());
        rules.as_array().unwrap().iter().map(row).collect()
    };
    let (found_matches, mut all) = (matches(&found["rules"]), matches(&expected["rules"].take()));
    all.retain(|rule, _| found_matches.contains_key(rule));
    assert!(
        ["Busy", "First", "SigV2 call to a new bucket"].iter().all(|rule| found_matches[*rule] > 0),
        "{found_matches:?}"
    );
    let with_four = scan(&events, &["--pack", "all", "--rules", &rules, "--threads", "4"]);
    assert_eq!(with_four["rules"], found["rules"]);
    // Files one after the other go back in time, for which a stream would take them as late: a threshold counts less there.
    let [of_scan, of_stream] = [&found_matches, &all].map(|matches| matches["Busy"]);
    assert!(of_scan > of_stream, "{of_scan} {of_stream}");
    let without = |mut matches: std::collections::BTreeMap<String, u64>| {
        matches.remove("Busy");
        matches
    };
    assert_eq!(without(found_matches), without(all));
    // In one file that is in order they are the same.
    let arguments =
        ["generate", "--events", "5000", "--seed", "3", "--preset", "organisation", "--envelope", "ndjson"];
    let ordered = place.write("ordered.ndjson", trailmeter(&arguments).stdout);
    let tested = trailmeter(&["rules", "test", "--events", &ordered, "--format", "json", &rules]);
    let expected: Value = serde_json::from_slice(&tested.stdout).unwrap();
    assert!(expected["rules"][0]["matches"].as_u64() > Some(10), "{expected}");
    assert_eq!(scan(ordered.as_ref(), &["--rules", &rules])["rules"], expected["rules"]);
}

#[test]
fn forms_and_exit_codes() {
    let place = Place::new();
    let hostile = WeakCall::sigv2("=cmd|'/c calc'!A1,\"x\"\u{1b}[31m", "2", "2025-07-01T00:00:02Z");
    let calls = [WeakCall::sigv2("reader", "1", "2025-07-01T00:00:01Z"), hostile];
    let lines: Vec<u8> = calls.iter().flat_map(|call| [call.json(), b"\n".to_vec()].concat()).collect();
    let events = place.write("events.ndjson", &lines);
    let printed = |arguments: &[&str]| {
        let output = trailmeter(&[&["scan", &events], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let table = printed(&[]);
    for part in
        ["WEAKNESS", "sigv2", "role/reader", "Boto3/1.4.5", "What to do:", "Coverage:", "2 events: 2 calls"]
    {
        assert!(table.contains(part), "{part}: {table}");
    }
    assert!(!table.contains('\u{1b}'), "{table}");
    let csv = printed(&["--format", "csv", "--group-by", "session,principal"]);
    let line = "\r\ns,arn:aws:iam::111122223333:role/reader,1,2025-07-01T00:00:01Z,2025-07-01T00:00:01Z\r\n";
    assert!(
        csv.starts_with("session,principal,calls,first_seen,last_seen\r\n") && csv.ends_with(line),
        "{csv}"
    );
    let ndjson = printed(&["--format", "ndjson", "--group-by", "presigned", "--top", "1"]);
    assert_eq!(
        ndjson,
        "{\"calls\":2,\"first_seen\":\"2025-07-01T00:00:01Z\",\"last_seen\":\"2025-07-01T00:00:02Z\",\"presigned\":false}\n"
    );
    let page = printed(&["--format", "html"]);
    for part in [
        "<!DOCTYPE html>",
        "default-src 'none'",
        "role/reader",
        "callers: SigV2",
        "calls an hour",
        "[U+001B][31m",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("<script") && !page.contains("src=") && !page.contains('\u{1b}'), "{page}");
    let output = place.path("out.csv");
    assert_eq!(printed(&["--format", "csv", "--output", output.to_str().unwrap()]), "");
    assert!(std::fs::read_to_string(output).unwrap().starts_with("account_id,principal,"));

    let code = |arguments: &[&str]| trailmeter(&[&["scan"], arguments].concat()).status.code();
    assert_eq!(code(&[&events, "--fail-on", "weak"]), Some(3));
    assert_eq!(code(&[&events, "--fail-on", "weak", "--since", "2026-01-01"]), Some(0));
    // Where nothing was read, nobody is known to be fine.
    let empty = place.write("empty.ndjson", "");
    assert_eq!(code(&[&empty, "--fail-on", "weak"]), Some(1));
    let said = String::from_utf8(trailmeter(&["scan", &empty]).stdout).unwrap();
    assert!(said.starts_with("No call was read") && said.contains("empty.ndjson: empty 1"), "{said}");
    for wrong in [
        &["nowhere"][..],
        &[&events, "--group-by", "bukket"],
        &[&events, "--group-by", "bucket,bucket"],
        &[&events, "--since", "tomorrow"],
        &[&events, "--output", "/nowhere/x"],
        &[&events, "--config", "/nowhere"],
        &[],
    ] {
        assert_eq!(code(wrong), Some(2), "{wrong:?}");
    }
    // Standard input, and two files with the same event.
    let mut child = Command::new(env!("CARGO_BIN_EXE_trailmeter"))
        .args(["scan", "-", &events, "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&lines).unwrap();
    let both: Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!((&both["calls"], &both["dropped"]["duplicate"]), (&json!(2), &json!(2)));
}

/// S3 server access logs: the events that CloudTrail would have written, whatever the files are named.
#[test]
fn access_logs_are_counted_as_events() {
    let logs = repository("tests/access_logs");
    for grouping in GROUPINGS {
        let found = check(&logs, &["--group-by", grouping]);
        assert_eq!((&found["calls"], &found["dropped"]["correction"]), (&json!(24), &json!(2)));
        assert_eq!(found["rejected"]["not_json"], 2);
    }
    check(&logs, &["--since", "2025-07-01T12:05:00Z", "--until", "2025-07-01T12:16:00Z"]);
    let weak = trailmeter(&["scan", logs.to_str().unwrap(), "--top", "20"]);
    let weak = String::from_utf8(weak.stdout).unwrap();
    for (weakness, calls, principal) in [
        ("sigv2", 4, "role/reader"),
        ("sigv2", 2, "user/ops/ann"),
        ("tls10", 1, "user/ops/ann"),
        ("tls11", 1, "role/reader"),
        ("long_term_key", 1, "user/ops/ann"),
    ] {
        let is_it = |line: &&str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            line.starts_with(weakness) && words[1] == calls.to_string() && line.ends_with(principal)
        };
        assert!(weak.lines().any(|line| is_it(&line)), "{weakness} {principal}: {weak}");
    }
    // A link's signature would open it to whoever reads a report.
    let all = scan(&logs, &["--group-by", "user_agent,source_ip,key_id,session"]);
    assert!(!all.to_string().contains("bm90aGluZw") && all.to_string().contains("AKIAIOSFODNN7EXAMPLE"));
    // Rules see what they would see of CloudTrail.
    let place = Place::new();
    let rules = place.write(
        "rules.yaml",
        "- {rule: Batch, desc: d, condition: 'ct.name = DeleteObjects and s3.bucket = orders', output: x, priority: INFO, source: aws_cloudtrail}\n\
         - {rule: Key, desc: d, condition: 's3.key = \"2025/b%20c.json\" and ct.tls.version = TLSv1.2', output: x, priority: INFO, source: aws_cloudtrail}\n\
         - {rule: Denied, desc: d, condition: 'ct.error = AccessDenied and ct.principal = anonymous', output: x, priority: INFO, source: aws_cloudtrail}\n",
    );
    let matched = scan(&logs, &["--rules", &rules]);
    let matched: Vec<&Value> =
        matched["rules"].as_array().unwrap().iter().map(|rule| &rule["matches"]).collect();
    assert_eq!(matched, [1, 1, 1]);
    // Compressed and torn: what is whole counts.
    let lines = std::fs::read(logs.join("2025-07-01-12-34-56-0123456789ABCDEF")).unwrap();
    let gzip = gzipped(&lines);
    let torn = place.folder("torn");
    std::fs::write(torn.join("log.gz"), &gzip[..gzip.len() - 300]).unwrap();
    let found = check(&torn, &["--group-by", "event_name,error_code"]);
    assert_eq!(found["records"]["rejected"]["bad_gzip"], 1);
    assert!((5..22).contains(&found["calls"].as_u64().unwrap()), "{found}");
}

/// The same from a source that follows a log as it grows, wherever a piece of it ends.
#[test]
fn access_logs_are_followed() {
    let (place, logs) = (Place::new(), repository("tests/access_logs"));
    let log = std::fs::read(logs.join("2025-07-01-12-34-56-0123456789ABCDEF")).unwrap();
    let (path, state) = (place.write("access", ""), place.path("state"));
    let config = place.write(
        "trailmeter.yaml",
        format!("sources: [{{files: {{paths: [{path:?}], follow: true}}}}]\nstate: {{embedded: {{path: {state:?}}}}}\n"),
    );
    // As a log is written: what is there stays. A file that is shorter for a moment is taken as another one.
    let grow = |until: usize| {
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        let length = file.metadata().unwrap().len() as usize;
        std::io::Write::write_all(&mut file, &log[length..until]).unwrap();
    };
    // Not yet enough to tell what it is.
    grow(90);
    let run = Trailmeter::run(&["--config", &config]);
    let line_end = log.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    grow(line_end + 40);
    run.wait_until("/api/v1/totals", |totals| totals["calls"] == 1);
    assert!(run.stop().success());
    let run = Trailmeter::run(&["--config", &config]);
    grow(log.len());
    let found = scan(path.as_ref(), &[]);
    let totals = run.wait_until("/api/v1/totals", |totals| totals["events"] == found["events"]);
    for name in ["calls", "not_calls", "dropped", "rejected"] {
        assert_eq!(totals[name], found[name], "{name}");
    }
    assert_eq!(run.json("/api/v1/coverage"), found["coverage"]);
    assert_eq!(run.json("/api/v1/callers")["rows"].as_array().unwrap().len(), found["weak_callers"]);
    assert!(run.stop().success());
}
