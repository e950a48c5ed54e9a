//! What a user types wrongly is answered with the key or the option, the fix, and the exit code.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;

use common::{Trailmeter, repository, trailmeter};

/// The exit code, and that standard error has all these parts.
fn check(arguments: &[&str], code: i32, parts: &[&str]) {
    let output = trailmeter(arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    for part in parts {
        assert!(text.contains(part), "{arguments:?}: {part:?} is not in\n{text}");
    }
}

/// Writes a config and checks it.
fn check_config(config: &str, parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.yaml");
    fs::write(&path, config).unwrap();
    let path = path.to_str().unwrap();
    check(&["config", "check", path], 2, parts);
    check(&["run", "--config", path], 2, parts);
}

#[test]
fn wrong_usage() {
    check(&[], 2, &["Usage"]);
    check(&["rum"], 2, &["run"]);
    check(&["run", "--confg", "x"], 2, &["--config"]);
    check(&["run", "--config", "x", "--stream", "y"], 2, &["cannot be used with"]);
    check(&["run", "--config", "/nowhere/c.yaml"], 2, &["/nowhere/c.yaml", "can't be read"]);
    check(&["run", "--files", "/nowhere"], 2, &["sources[0].files.paths", "/nowhere: no such file"]);
    check(&["run", "--files", "x", "--listen", "here"], 2, &["web.listen", "127.0.0.1:9464"]);
    check(&["generate", "--weak-sigv2", "2"], 2, &["--weak-sigv2", "from 0 to 1"]);
    check(&["generate", "--start", "now"], 2, &["--start", "2023-07-10T11:42:18Z"]);
    check(&["generate", "--envelope", "kpl"], 2, &["--output", "--envelope ndjson"]);
    check(&["send", "--stream", "s"], 2, &["--generate"]);
    check(
        &["healthcheck", "--address", "127.0.0.1:1"],
        1,
        &["127.0.0.1:1/-/healthy", "is trailmeter running there?"],
    );
}

#[test]
fn no_config_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_trailmeter"));
    let output = command.arg("run").current_dir(folder.path()).env_clear().output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(text.contains("--config FILE") && text.contains("trailmeter demo"), "{text}");
}

#[test]
fn wrong_configs() {
    check_config("sources: [{kinesis: {strem: x}}]", &["sources[0].kinesis.strem", "did you mean `stream`?"]);
    check_config(
        "sources: []\nlimits: {depth: 2}",
        &["c.yaml: sources: there is none", "c.yaml: limits.depth: 2"],
    );
    check_config("sources: [{kinesis: {stream: a, start: at_timestamp}}]", &["timestamp", "is missing"]);
    check_config("sources: [{files: {paths: [x]}, kinesis: {stream: y}}]", &["sources[0]", "exactly one"]);
    check_config(
        "sources: [{files: {paths: [x]}}]\nrules: {packs: [exposure, visability]}",
        &["rules.packs[1]", "did you mean `visibility`?"],
    );
    check_config(
        "sources: [{files: {paths: ['-']}}]\nrules: {files: [/nowhere/rules.yaml]}",
        &["/nowhere/rules.yaml can't be read"],
    );
    check_config("sources: {", &["c.yaml", "line"]);
    check_config(
        "sources: [{files: {paths: [x]}}]\nlimits: {event_bytes: 1TB}",
        &["limits.event_bytes", "64MiB"],
    );
}

#[test]
fn a_stream_without_a_region_names_the_ways_to_give_one() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    check(
        &["run", "--stream", "trail", "--listen", "127.0.0.1:0", "--state", state.to_str().unwrap()],
        2,
        &["sources[0].kinesis", "region"],
    );
}

#[test]
fn an_address_or_a_state_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (state, files) = (folder.path().join("state"), folder.path().join("events"));
    fs::create_dir(&files).unwrap();
    let (state, files) = (state.to_str().unwrap(), files.to_str().unwrap());
    let run = Trailmeter::run(&["--files", files, "--state", state]);
    check(
        &["run", "--files", files, "--listen", run.address(), "--state", "x"],
        1,
        &[run.address(), "--listen"],
    );
    let in_use = ["run", "--files", files, "--listen", "127.0.0.1:0", "--state", state];
    check(&in_use, 2, &["in use by another trailmeter", "state.embedded.path"]);
    let health = trailmeter(&["healthcheck", "--address", run.address()]);
    assert!(health.status.success() && health.stdout == b"ok\n");
    assert!(run.stop().success());
}

#[test]
fn show_prints_the_whole_config_and_completions_a_script() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.yaml");
    fs::write(&path, "sources: [{kinesis: {stream: a}}]").unwrap();
    let shown = trailmeter(&["config", "show", path.to_str().unwrap()]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("reads_per_second: 4.0") && text.contains("future: 15m"), "{text}");
    fs::write(&path, &text).unwrap();
    assert_eq!(
        String::from_utf8(trailmeter(&["config", "show", path.to_str().unwrap()]).stdout).unwrap(),
        text
    );
    for shell in ["bash", "zsh", "fish"] {
        assert!(trailmeter(&["completions", shell]).stdout.starts_with(if shell == "zsh" {
            b"#compdef"
        } else {
            b""
        }));
    }
}

#[test]
fn generate_gives_the_same_bytes_for_the_same_seed() {
    let made = |seed: &str| {
        trailmeter(&["generate", "--events", "200", "--seed", seed, "--envelope", "ndjson"]).stdout
    };
    assert_eq!(made("7"), made("7"));
    assert_ne!(made("7"), made("8"));
    assert_eq!(made("7").iter().filter(|byte| **byte == b'\n').count(), 200);
}

#[test]
fn every_key_of_the_config_is_in_its_document() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.yaml");
    let sources = "sources: [{kinesis: {stream: a}}, {files: {paths: [x]}}, {generator: {}}]";
    fs::write(&path, sources).unwrap();
    let shown = String::from_utf8(trailmeter(&["config", "show", path.to_str().unwrap()]).stdout).unwrap();
    let document = fs::read_to_string(repository("docs/configuration.md")).unwrap();
    let keys: Vec<&str> = shown
        .lines()
        .filter_map(|line| line.trim_start_matches([' ', '-']).split_once(':'))
        .map(|(key, _)| key)
        .collect();
    assert!(keys.len() > 30);
    for key in keys {
        assert!(document.contains(key), "{key} is not in docs/configuration.md");
    }
}
