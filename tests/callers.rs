//! `/api/v1/callers` of the real binary: who is remembered, since when, and who is new. (That every number agrees with
//! an independent count is tests/files.rs.)
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeMap;

use common::Trailmeter;
use common::alertmanager::{Place, WeakCall};
use serde_json::{Value, json};
use trailmeter::event::time;

/// Starts over these calls in their order, with more of the config, and waits for the end of the file.
fn start(place: &Place, calls: &[WeakCall], config: &str) -> Trailmeter {
    let lines: Vec<u8> = calls.iter().flat_map(|call| [call.json(), b"\n".to_vec()].concat()).collect();
    // A file is known by its name: each run has one of its own.
    let file = place.write(&format!("{}.ndjson", calls[0].id), lines);
    let state = place.path("state");
    let text = format!(
        "sources: [{{files: {{paths: [{file:?}]}}}}]\nstate: {{embedded: {{path: {state:?}}}}}\n{config}\n"
    );
    let config = place.write("trailmeter.yaml", text);
    let mut run = Trailmeter::run(&["--config", &config]);
    run.wait_until_all_is_read();
    run
}

/// The weak callers after a run over these calls.
fn callers(place: &Place, calls: &[WeakCall], config: &str) -> Vec<Value> {
    let run = start(place, calls, config);
    let rows = run.json("/api/v1/callers")["rows"].as_array().unwrap().clone();
    assert!(run.stop().success());
    rows
}

fn call(role: &str, id: usize, time: &str) -> WeakCall {
    WeakCall::sigv2(role, &format!("{role}-{id}"), time)
}

/// The states by principal.
fn states(rows: &[Value]) -> BTreeMap<&str, &str> {
    let state = |row: &Value| row["state"].as_str().unwrap().to_owned();
    rows.iter().map(|row| (row["principal"].as_str().unwrap(), &*state(row).leak())).collect()
}

#[test]
fn ten_thousand_sessions_of_a_role_are_one_caller() {
    let sessions = (0..10_000).map(|nth| WeakCall {
        session: format!("i-{nth:05}"),
        ..call("fleet", nth, &format!("2025-07-01T{:02}:00:00Z", nth % 24))
    });
    let rows = callers(&Place::new(), &sessions.collect::<Vec<_>>(), "limits: {caller_values: 50}");
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!((&row["calls"], &row["state"]), (&json!(10_000), &json!("paged")));
    assert_eq!(
        (&row["first_seen"], &row["last_seen"]),
        (&json!("2025-07-01T00:00:00Z"), &json!("2025-07-01T23:00:00Z"))
    );
    let sessions = row["sessions"].as_array().unwrap();
    assert_eq!((sessions.len(), &sessions[0], &sessions[49]), (50, &json!("i-00000"), &json!("i-00049")));
    assert_eq!(row["clients"], json!(["Boto3/1.4.5"]));
    assert!(row["advice"].as_str().unwrap().contains("Upgrade Boto3 1.4.5"), "{row}");
}

#[test]
fn lists_keep_the_newest_in_whatever_order_the_calls_come() {
    let calls: Vec<WeakCall> = (0..40)
        .map(|nth| WeakCall {
            session: format!("s{:02}", nth * 7 % 40),
            ..call("r", nth, &format!("2025-07-{:02}T00:00:00Z", nth * 7 % 40 / 2 + 1))
        })
        .collect();
    let backwards: Vec<WeakCall> = calls.iter().rev().cloned().collect();
    let limits = "limits: {caller_values: 3}";
    let rows = callers(&Place::new(), &calls, limits);
    assert_eq!(rows[0]["sessions"], json!(["s36", "s38", "s39"]));
    assert_eq!(callers(&Place::new(), &backwards, limits), rows);
}

#[test]
fn a_caller_that_was_silent_for_long_is_new_again() {
    let place = Place::new();
    let config = "callers: {forget_after: 10d}\nsinks: {stdout: true}";
    let told = |id: &str, time: &str| {
        let run = start(&place, &[WeakCall { id: id.to_owned(), ..call("r", 0, time) }], config);
        run.wait_until("/api/v1/status", |status| status["sinks"][0]["undelivered"] == 0);
        let metrics = run.get("/metrics").1;
        assert!(run.stop().success());
        let value = |series: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(series)).unwrap();
            line.trim().parse::<u64>().unwrap()
        };
        let alerts = value("trailmeter_alerts_total{outcome=\"delivered\",sink=\"stdout\"}");
        assert_eq!(value("trailmeter_new_callers_total{weakness=\"sigv2\"}"), alerts);
        alerts == 1
    };
    assert!(told("a", "2025-01-01T00:00:00Z"));
    assert!(!told("b", "2025-01-11T00:00:00Z"), "exactly ten days");
    assert!(!told("c", "2025-01-02T00:00:00Z"), "late");
    assert!(told("d", "2025-01-21T00:00:01Z"));
    assert!(!told("e", "2025-01-21T00:00:02Z"));
}

#[test]
fn learned_accepted_and_outside() {
    let place = Place::new();
    let organization = "organization: {accounts: ['111122223333']}";
    let accepted = "callers:\n  accepted: [{principal: '*:role/old-*', weakness: sigv2, until: '2025-07-02', reason: moving}]";
    let config = format!("{organization}\n{accepted}\n");
    let stranger = WeakCall { account: "999988887777".to_owned(), ..call("s", 0, "2025-07-01T00:00:00Z") };
    let calls =
        [call("old-1", 0, "2025-07-01T00:00:00Z"), call("new", 0, "2025-07-01T00:00:00Z"), stranger.clone()];
    let rows = callers(&place, &calls, &config);
    let of = |call: &WeakCall| call.principal().leak() as &str;
    let [old, new] = [of(&calls[0]), of(&calls[1])];
    let expected = BTreeMap::from([(old, "accepted"), (new, "paged"), (of(&stranger), "outside")]);
    assert_eq!(states(&rows), expected);
    // On the last day still, after it no more.
    let rows = callers(&place, &[call("old-1", 1, "2025-07-02T23:59:59Z")], &config);
    assert_eq!(states(&rows)[old], "accepted");
    let rows = callers(&place, &[call("old-1", 2, "2025-07-03T00:00:00Z")], &config);
    assert_eq!(states(&rows)[old], "paged");

    let learning = "callers: {learn_for: 1h}";
    let rows = callers(&Place::new(), &[call("a", 0, "2025-07-01T00:00:00Z")], learning);
    assert_eq!(rows[0]["state"], "learned");
    // Learning ends, but not before the first backlog is read: then what was learned stays known, and the next is new.
    let place = Place::new();
    let learning = "callers: {learn_for: 1ms}";
    let rows = callers(&place, &[call("a", 0, "2025-07-01T00:00:00Z")], learning);
    assert_eq!(rows[0]["state"], "learned");
    let next = [call("a", 1, "2025-07-01T00:00:01Z"), call("b", 0, "2025-07-01T00:00:02Z")];
    let rows = callers(&place, &next, learning);
    assert_eq!(states(&rows).into_values().collect::<Vec<_>>(), ["learned", "paged"]);
}

/// Several shards that reach their newest records one after the other, each with counts that are not committed then.
#[test]
fn all_of_the_first_backlog_is_learned() {
    let place = Place::new();
    let config = place.write(
        "trailmeter.yaml",
        format!(
            "sources: [{{generator: {{backlog: 20000, rate: 20, shards: 8}}}}]\n\
             state: {{embedded: {{path: {:?}, commit_interval: 10m, commit_bytes: 1GiB}}}}\ncallers: {{learn_for: 1ms}}\n",
            place.path("state")
        ),
    );
    let started = time::format((trailmeter::system_clock()() / 1000).cast_signed());
    let run = Trailmeter::run(&["--config", &config]);
    let status = run.wait_until("/api/v1/status", |status| status["learning"]["on"] == false);
    assert_eq!(status["learning"]["waits_for"], Value::Null);
    let rows = run.json("/api/v1/callers")["rows"].as_array().unwrap().clone();
    let backlog: Vec<_> = rows.iter().filter(|row| row["first_seen"].as_str().unwrap() < &*started).collect();
    assert!(backlog.len() > 20, "{} callers", backlog.len());
    for row in backlog {
        assert!(row["state"] == "learned" || row["state"] == "outside", "{row}");
    }
    assert!(run.json("/api/v1/totals")["events"].as_u64() >= Some(20_000));
    assert!(run.stop().success());
}

#[test]
fn further_callers_than_there_is_room_for_share_a_row() {
    let calls: Vec<WeakCall> =
        (0..9).map(|nth| call(&format!("r{nth}"), nth, "2025-07-01T00:00:00Z")).collect();
    let place = Place::new();
    let rows = callers(&place, &calls, "limits: {weak_callers: 4}");
    let overflow = rows.iter().find(|row| row["principal"] == "(overflow)").unwrap();
    let named: u64 = rows
        .iter()
        .filter(|row| row["principal"] != "(overflow)")
        .map(|row| row["calls"].as_u64().unwrap())
        .sum();
    assert_eq!(overflow["calls"].as_u64().unwrap() + named, 9);
    assert_eq!((rows.len(), named, &overflow["state"]), (5, 4, &json!("paged")));
}

#[test]
fn where_there_is_no_room_those_silent_for_long_make_some() {
    let place = Place::new();
    let config = "limits: {weak_callers: 2}\ncallers: {forget_after: 10d}";
    let old = [call("old", 0, "2025-01-01T00:00:00Z"), call("kept", 0, "2025-01-20T00:00:00Z")];
    callers(&place, &old, config);
    let rows = callers(&place, &[call("new", 0, "2025-01-21T00:00:00Z")], config);
    let names: Vec<_> =
        rows.iter().map(|row| row["principal"].as_str().unwrap().rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["kept", "new"]);
}

#[test]
fn pages_and_weaknesses() {
    let place = Place::new();
    let mut calls: Vec<WeakCall> =
        (0..5).map(|nth| call(&format!("r{nth}"), nth, "2025-07-01T00:00:00Z")).collect();
    calls.extend((5..8).map(|nth| WeakCall {
        tls: "TLSv1.1",
        key: "AKIAEXAMPLE".to_owned(),
        ..call(&format!("r{nth}"), nth, "2025-07-01T00:00:00Z")
    }));
    let rows = callers(&place, &calls, "");
    let config = place.path("trailmeter.yaml");
    let run = Trailmeter::run(&["--config", config.to_str().unwrap()]);
    let mut pages = Vec::new();
    let mut path = "/api/v1/callers?limit=3".to_owned();
    loop {
        let page = run.wait_until(&path, |page| page["rows"].as_array().is_some());
        pages.extend(page["rows"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/v1/callers?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(pages, rows);
    let order: Vec<_> = rows.iter().map(|row| row["weakness"].as_str().unwrap()).collect();
    assert_eq!((order.len(), order[0], order[8], order[11]), (14, "sigv2", "tls11", "long_term_key"));
    let of = |weakness: &str| {
        run.json(&format!("/api/v1/callers?weakness={weakness}"))["rows"].as_array().unwrap().len()
    };
    assert_eq!(["sigv2", "tls10", "tls11", "long_term_key"].map(of), [8, 0, 3, 3]);
    let (status, body) = run.get("/api/v1/callers?weakness=sigv4");
    assert!(status == 400 && body.contains("`sigv2`"), "{status} {body}");
}
