//! `trailmeter scan --format parquet` read by DuckDB, beside the rows of `--format json`.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::path::Path;
use std::process::Command;

use common::alertmanager::Place;
use common::{python, trailmeter};
use serde_json::{Value, json};

fn scan(events: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = trailmeter(&[&["scan", events.to_str().unwrap()], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn rows(events: &Path, arguments: &[&str]) -> Value {
    let printed = scan(events, &[arguments, &["--format", "json"]].concat());
    serde_json::from_slice::<Value>(&printed).unwrap()["rows"].take()
}

fn read(file: &Path) -> Value {
    serde_json::from_str(&python("tests/oracle/read_parquet.py", &[file.to_str().unwrap()])).unwrap()
}

fn generated(place: &Place) -> std::path::PathBuf {
    let folder = place.path("events");
    let arguments = ["generate", "--events", "6000", "--seed", "3", "--preset", "organisation", "--output"];
    let output = trailmeter(&[&arguments[..], &[folder.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder
}

#[test]
fn rows_are_those_of_json_with_types() {
    let place = Place::new();
    let (events, file) = (generated(&place), place.path("rows.parquet"));
    let output = ["--format", "parquet", "--output", file.to_str().unwrap()];
    for arguments in [
        &["--group-by", "principal,presigned,likely_sigv2,bucket,error_code"][..],
        &["--group-by", "user_agent,session", "--top", "7"],
        &["--where", "ct.name = NobodyCallsThis"],
        &[],
    ] {
        scan(&events, &[arguments, &output].concat());
        let (found, expected) = (read(&file), rows(&events, arguments));
        assert_eq!(found["rows"], expected, "{arguments:?}");
        let types = found["types"].as_object().unwrap();
        for (name, kind) in types {
            let expected = match name.as_str() {
                "presigned" | "likely_sigv2" => "BOOLEAN",
                "calls" => "BIGINT",
                "first_seen" | "last_seen" => "TIMESTAMP WITH TIME ZONE",
                _ => "VARCHAR",
            };
            assert_eq!(kind, expected, "{name}");
        }
        let stored = found["stored"].as_array().unwrap();
        for column in stored.iter().filter(|column| types[column["column"].as_str().unwrap()] == "VARCHAR") {
            let encodings = column["encodings"].as_str().unwrap();
            assert!(encodings.contains("DICTIONARY") && column["compression"] == "ZSTD", "{column}");
        }
    }
    // The same bytes for any number of threads; and into a pipe.
    let printed = |threads: &str| scan(&events, &["--format", "parquet", "--threads", threads]);
    assert_eq!(printed("1"), printed("4"));
    assert_eq!(printed("1"), std::fs::read(&file).unwrap());
}

#[test]
fn any_text_is_kept() {
    let place = Place::new();
    let agent = "ü\u{0}\n\"'\u{1f600} ";
    let mut events = Vec::new();
    for (number, agent) in ["", agent, "=1+1"].iter().enumerate() {
        events.push(
            json!({"eventID": number.to_string(), "eventTime": "1969-12-31T23:59:59Z", "eventSource": "s",
            "eventName": "n", "userAgent": agent}),
        );
    }
    place.write("events.json", json!({ "Records": events }).to_string());
    let (events, file) = (place.path("events.json"), place.path("rows.parquet"));
    let by = ["--group-by", "user_agent"];
    scan(&events, &[&by[..], &["--format", "parquet", "--output", file.to_str().unwrap()]].concat());
    let (found, expected) = (read(&file), rows(&events, &by));
    assert_eq!(found["rows"], expected);
    assert!(expected.as_array().unwrap().iter().any(|row| row["user_agent"] == agent), "{expected}");
}

#[test]
fn a_terminal_gets_none() {
    let place = Place::new();
    place.write("events.json", "{\"Records\":[]}");
    let events = place.path("events.json");
    let spawned = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let arguments = ["scan", events.to_str().unwrap(), "--format", "parquet"];
    let mut command = Command::new("python3");
    command.args(["-c", spawned, env!("CARGO_BIN_EXE_trailmeter")]).args(arguments);
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("name a file with --output") && !said.contains("PAR1"), "{said}");
}
