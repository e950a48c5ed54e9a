//! `trailmeter scan --remember`: what a run makes of a state that history was put into.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::alertmanager::{Place, WeakCall, Webhook, append, over_a_file};
use common::{Trailmeter, trailmeter};
use redb::{Database, TableDefinition};
use serde_json::{Value, json};
use trailmeter::state::STATE_VERSION;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// Calls of three callers over ten days, one of whom has two weaknesses.
fn history() -> Vec<WeakCall> {
    let call = |role: &str, number: u32| {
        WeakCall::sigv2(
            role,
            &format!("{role} {number}"),
            &format!("2025-06-{:02}T12:00:00Z", 1 + number % 10),
        )
    };
    let mut calls: Vec<WeakCall> = (0..30).map(|number| call("reader", number)).collect();
    calls.extend((0..20).map(|number| WeakCall { tls: "TLSv1", ..call("writer", number) }));
    calls.push(WeakCall { account: "444455556666".to_owned(), ..call("reader", 31) });
    calls
}

/// What a scan that remembers says of it.
fn remember(events: &str, state: &str, more: &[&str]) -> Value {
    let arguments = ["scan", events, "--remember", state, "--format", "json"];
    let output = trailmeter(&[&arguments[..], more].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("weak callers are remembered that were not"), "{said}");
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["remembered"].take()
}

/// What a refused one says.
fn refused(events: &str, state: &str) -> String {
    let output = trailmeter(&["scan", events, "--remember", state]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn who_is_known_from_history_pages_nobody() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let lines: Vec<u8> = history().iter().flat_map(|call| [call.json(), b"\n".to_vec()].concat()).collect();
    let events = place.write("history.ndjson", lines);
    let state = place.path("state").display().to_string();
    assert_eq!(remember(&events, &state, &[]), json!({"new": 4, "known": 0, "no_room": 0}));

    let config = over_a_file(&place, &[], &format!("sinks: {{webhook: {{url: {:?}}}}}", webhook.url()));
    let callers = |run: &Trailmeter| run.json("/api/v1/callers")["rows"].as_array().unwrap().clone();
    let run = Trailmeter::run(&["--config", &config]);
    let before = callers(&run);
    let row = |row: &Value| {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        (
            text("weakness"),
            text("account_id"),
            row["calls"].as_u64().unwrap(),
            text("first_seen"),
            text("last_seen"),
        )
    };
    let expected = [
        ("sigv2", "111122223333", 30, "2025-06-01T12:00:00Z", "2025-06-10T12:00:00Z"),
        ("sigv2", "111122223333", 20, "2025-06-01T12:00:00Z", "2025-06-10T12:00:00Z"),
        ("sigv2", "444455556666", 1, "2025-06-02T12:00:00Z", "2025-06-02T12:00:00Z"),
        ("tls10", "111122223333", 20, "2025-06-01T12:00:00Z", "2025-06-10T12:00:00Z"),
    ]
    .map(|(weakness, account, calls, first, last)| {
        (weakness.to_owned(), account.to_owned(), calls, first.to_owned(), last.to_owned())
    });
    assert_eq!(before.iter().map(row).collect::<Vec<_>>(), expected);
    assert!(before.iter().all(|row| row["state"] == "learned" && row["clients"] == json!(["Boto3/1.4.5"])));
    // A state that is in use is left alone.
    let said = refused(&events, &state);
    assert!(
        said.contains("--remember: ") && said.contains("is in use by another trailmeter: stop it"),
        "{said}"
    );
    assert!(run.stop().success());

    // The same once more, and a part of it, change nothing.
    assert_eq!(remember(&events, &state, &[]), json!({"new": 0, "known": 4, "no_room": 0}));
    assert_eq!(
        remember(&events, &state, &["--since", "2025-06-05"]),
        json!({"new": 0, "known": 3, "no_room": 0})
    );
    let mut run = Trailmeter::run(&["--config", &config]);
    assert_eq!(callers(&run), before);

    // Those who are known call again, and one who is not.
    for (number, call) in history().iter().enumerate() {
        append(
            &place,
            &WeakCall {
                id: format!("again {number}"),
                time: "2025-07-01T00:00:00Z".to_owned(),
                ..call.clone()
            },
        );
    }
    let newcomer = WeakCall::sigv2("newcomer", "n", "2025-07-01T00:00:01Z");
    append(&place, &newcomer);
    append(&place, &WeakCall { id: "n 2".to_owned(), ..newcomer.clone() });
    run.wait_until("/api/v1/totals", |totals| totals["calls"] == 53);
    let status = run.wait_until("/api/v1/status", |status| status["sinks"][0]["undelivered"] == 0);
    assert!(status["sinks"][0].is_object(), "{status}");
    run.wait_until("/api/v1/callers", |found| found["rows"].as_array().unwrap().len() == 5);
    let alerts = webhook.alerts();
    let paged: Vec<&Value> = alerts.iter().map(|alert| &alert["labels"]["principal"]).collect();
    assert_eq!(paged, [&json!(newcomer.principal())], "{alerts:#?}");
    let after = callers(&run);
    let states: Vec<&str> = after.iter().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(states.iter().filter(|state| **state == "learned").count(), 4, "{states:?}");
    assert_eq!(after.iter().map(|row| row["calls"].as_u64().unwrap()).sum::<u64>(), 2 * 71 + 2);
    assert!(!run.has_ended());
    assert!(run.stop().success());
}

#[test]
fn what_is_accepted_and_what_cannot_be_remembered() {
    let place = Place::new();
    let lines: Vec<u8> = history().iter().flat_map(|call| [call.json(), b"\n".to_vec()].concat()).collect();
    let events = place.write("history.ndjson", lines);
    let state = place.path("state").display().to_string();
    // By the config that `run` has: an acceptance, of which the end pages, and strangers.
    let config = over_a_file(
        &place,
        &[],
        "organization: {accounts: ['111122223333']}\nsinks: {stdout: true}\n\
         callers:\n  accepted: [{principal: '*:role/writer', weakness: sigv2, until: '2025-06-30', reason: moving}]",
    );
    assert_eq!(
        remember(&events, &state, &["--config", &config]),
        json!({"new": 4, "known": 0, "no_room": 0})
    );
    append(&place, &WeakCall::sigv2("reader", "later", "2025-07-01T00:00:00Z"));
    append(&place, &WeakCall::sigv2("writer", "later 2", "2025-07-01T00:00:00Z"));
    let run = Trailmeter::run(&["--config", &config]);
    run.wait_until("/api/v1/totals", |totals| totals["calls"] == 2);
    let rows = run.wait_until("/api/v1/callers", |found| {
        found["rows"].as_array().unwrap().iter().any(|row| row["state"] == "paged")
    });
    let states: Vec<(&str, &str)> = rows["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (row["principal"].as_str().unwrap().rsplit('/').next().unwrap(), row["state"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        states,
        [("reader", "learned"), ("writer", "paged"), ("reader", "outside"), ("writer", "learned")]
    );
    assert!(run.stop().success());

    // One of a newer version is left as it is.
    let database = Database::create(&state).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(META).unwrap().insert("state_version", STATE_VERSION + 1).unwrap();
    write.commit().unwrap();
    drop(database);
    let said = refused(&events, &state);
    assert!(said.contains("--remember: ") && said.contains("start a newer trailmeter"), "{said}");
    let output = trailmeter(&["scan", &events, "--remember", &events]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("--remember: the state"), "{said}");
}
