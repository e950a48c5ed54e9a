//! Rules at work in the real binary: over the corpus, live, over crashes, and while they are replaced.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use common::alertmanager::{Alertmanager, Place, Webhook};
use common::s3::S3;
use common::{PATIENCE, Trailmeter, corpus, python, trailmeter};
use serde_json::{Value, json};

/// What `trailmeter rules test --events` counts.
fn counted(events: &Path, rules: &[&Path]) -> Value {
    let mut arguments = vec!["rules", "test", "--format", "json", "--events", events.to_str().unwrap()];
    arguments.extend(rules.iter().map(|path| path.to_str().unwrap()));
    let output = trailmeter(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn public_rules_over_real_events_match_what_another_evaluator_counts() {
    let (Some(events), Some(falco), Some(sigma)) = (
        corpus("invictus/CloudTrail"),
        corpus("falco/aws_cloudtrail_rules.yaml"),
        corpus("sigma-aws-cloudtrail"),
    ) else {
        return;
    };
    let counted = counted(&events, &[&falco, &sigma]);
    let paths = [&falco, &sigma].map(|path| path.to_str().unwrap());
    let expected =
        python("tests/oracle/rules.py", &["--events", events.to_str().unwrap(), paths[0], paths[1]]);
    let expected: Value = serde_json::from_str(&expected).unwrap();
    assert_eq!(counted["events"], 2900);
    assert_eq!(counted["events"], expected["events"]);
    let by_name = |counts: &Value| -> BTreeMap<String, u64> {
        let rows = counts["rules"].as_array().unwrap().iter();
        rows.map(|row| (row["rule"].as_str().unwrap().to_owned(), row["matches"].as_u64().unwrap())).collect()
    };
    let (counted, expected) = (by_name(&counted), by_name(&expected));
    assert_eq!(counted.len(), 79);
    assert_eq!(counted, expected);
    assert_eq!(counted["Create AWS user"], 4);
    assert_eq!(counted["AWS STS AssumeRole Misuse"], 76);
}

#[test]
fn the_tests_beside_our_rules_pass() {
    let output = trailmeter(&["rules", "test"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains(" 0 failed; 0 of "), "{text}");
    let place = Place::new();
    let wrong = place.write(
        "wrong.yaml",
        "- rule: R\n  desc: d\n  condition: ct.name = A\n  output: o\n  priority: INFO\n  source: aws_cloudtrail\n  \
         tests: [{name: n, event: {eventName: B}, match: true}]\n",
    );
    let output = trailmeter(&["rules", "test", &wrong]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("FAILED  R: n (wanted at least one match, got 0)")
    );
}

#[test]
fn commands_say_what_is_wrong() {
    let place = Place::new();
    let broken = place.write(
        "broken.yaml",
        "- rule: R\n  desc: d\n  condition: ct.nam = a and ct.src\n  output: \"%ct.regio\"\n  priority: LOUD\n  source: aws_cloudtrail\n",
    );
    let output = trailmeter(&["rules", "check", &broken]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    for part in [
        "error: `LOUD` is no priority",
        "broken.yaml:5:13",
        "error: unknown field `ct.nam`",
        "broken.yaml:3:14, rule \"R\", condition",
        "^^^^^^ did you mean `ct.name`?",
        "expected an operator before the end",
        "error: unknown field `ct.regio`",
        "4 errors, 0 warnings",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let unknown = trailmeter(&["rules", "explain", "Root account use"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("did you mean \"Root account used\"?"));
    let explained = trailmeter(&["rules", "explain", "Root account used"]);
    let text = String::from_utf8_lossy(&explained.stdout);
    assert!(explained.status.success() && text.contains("asked about every call"), "{text}");
    let listed = trailmeter(&["rules", "list", "--format", "json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert!(listed["rules"].as_array().unwrap().len() >= 20);
}

/// A call by a user.
fn call(id: &str, name: &str, user: &str, time: &str) -> Value {
    json!({
        "eventVersion": "1.08", "eventID": id, "eventTime": time, "eventSource": "iam.amazonaws.com",
        "eventName": name, "awsRegion": "us-east-1", "sourceIPAddress": "198.51.100.7", "userAgent": "t/1",
        "eventType": "AwsApiCall", "eventCategory": "Management", "recipientAccountId": "111122223333",
        "userIdentity": {"type": "IAMUser", "accountId": "111122223333", "accessKeyId": "ASIAEXAMPLE",
            "arn": format!("arn:aws:iam::111122223333:user/{user}"), "userName": user},
    })
}

fn lines(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}

const THREE: &str = "
- rule: key made
  desc: Somebody made a key.
  condition: ct.name = CreateAccessKey
  output: key by %ct.user in %ct.region for %ct.request.username
  priority: CRITICAL
  source: aws_cloudtrail
  tags: [attack.t1098]
- rule: Busy user
  desc: Many calls.
  condition: ct.name startswith Get
  output: '%ct.user is busy'
  priority: WARNING
  source: aws_cloudtrail
  threshold: {count: 3, within: 5m, by: [ct.principal]}
- rule: New user
  desc: A user that never called.
  condition: ct.user exists
  output: '%ct.user is new'
  priority: INFO
  source: aws_cloudtrail
  first_seen: {by: [ct.user], forget_after: 1h}
";

#[test]
fn matches_are_kept_counted_and_told() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let rules = place.write("rules.yaml", THREE);
    let at = |minute: usize| format!("2025-07-01T12:{minute:02}:00Z");
    let events = [
        call("1", "CreateAccessKey", "ann", &at(0)),
        call("2", "CreateAccessKey", "ann", &at(1)),
        call("3", "GetUser", "bob", &at(2)),
        call("4", "GetUser", "bob", &at(3)),
        call("5", "GetUser", "bob", &at(4)),
        call("6", "GetUser", "bob", &at(5)),
        call("7", "CreateAccessKey", "bob", &at(6)),
    ];
    let files = place.write("events.ndjson", lines(&events));
    let state = place.path("state");
    let config = place.write(
        "c.yaml",
        format!(
            "sources: [{{files: {{paths: [{files:?}]}}}}]\nstate: {{embedded: {{path: {state:?}}}}}\n\
             rules: {{files: [{rules:?}]}}\nsinks: {{webhook: {{url: '{}'}}}}\n",
            webhook.url()
        ),
    );
    let mut run = Trailmeter::run(&["--config", &config]);
    run.wait_until_all_is_read();
    let end = Instant::now() + PATIENCE;
    while webhook.alerts().len() < 5 && Instant::now() < end {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // Two of ann's keys within an hour are one alert; a busy user is one; two new users are two.
    let mut told: Vec<String> = webhook
        .alerts()
        .iter()
        .map(|alert| {
            format!("{} {}", alert["labels"]["alertname"], alert["labels"]["principal"]).replace('"', "")
        })
        .collect();
    told.sort();
    let (ann, bob) = ("arn:aws:iam::111122223333:user/ann", "arn:aws:iam::111122223333:user/bob");
    assert_eq!(
        told,
        [
            format!("BusyUser {bob}"),
            format!("KeyMade {ann}"),
            format!("KeyMade {bob}"),
            format!("NewUser {ann}"),
            format!("NewUser {bob}")
        ]
    );
    let key = webhook.alerts().into_iter().find(|alert| alert["labels"]["alertname"] == "KeyMade").unwrap();
    assert_eq!(
        key["labels"],
        json!({"alertname": "KeyMade", "rule": "key made", "severity": "critical", "account_id": "111122223333", "principal": ann})
    );
    assert_eq!(
        key["annotations"]["summary"],
        "key made: key by ann in us-east-1 for <NA>".replace('<', "‹").replace('>', "›")
    );
    assert_eq!(key["annotations"]["tags"], "attack.t1098");
    let matches = run.json("/api/v1/matches?rule=key%20made");
    let rows = matches["rows"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["event_id"].as_str().unwrap()).collect::<Vec<_>>(), ["7", "2", "1"]);
    assert_eq!(rows[1]["output"], "2025-07-01T12:01:00Z: Critical key by ann in us-east-1 for <NA>");
    assert_eq!(
        rows[1]["output_fields"],
        json!({"ct.user": "ann", "ct.region": "us-east-1", "ct.request.username": null})
    );
    assert_eq!((&rows[1]["alerted"], &rows[2]["alerted"]), (&json!(false), &json!(true)));
    let busy = run.json("/api/v1/matches?rule=Busy%20user");
    assert_eq!((&busy["rows"][0]["event_id"], &busy["rows"][0]["count"]), (&json!("5"), &json!(3)));
    assert_eq!(busy["rows"].as_array().unwrap().len(), 1);
    let first = run.json("/api/v1/matches?limit=2");
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = run.json(&format!("/api/v1/matches?limit=100&cursor={cursor}"));
    assert_eq!(first["rows"].as_array().unwrap().len() + second["rows"].as_array().unwrap().len(), 6);
    let (_, metrics) = run.get("/metrics");
    for line in [
        "trailmeter_rule_matches_total{priority=\"Critical\",rule=\"key made\"} 3",
        "trailmeter_rule_matches_total{priority=\"Warning\",rule=\"Busy user\"} 1",
        "trailmeter_rule_matches_total{priority=\"Informational\",rule=\"New user\"} 2",
        "trailmeter_rule_matches_withheld_total{reason=\"repeat\",rule=\"key made\"} 1",
        "trailmeter_rule_matches_withheld_total{reason=\"repeat\",rule=\"Busy user\"} 1",
        "trailmeter_rules_last_reload_successful 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    let listed = run.json("/api/v1/rules");
    let counts: Vec<u64> =
        listed["rows"].as_array().unwrap().iter().map(|row| row["matches"].as_u64().unwrap()).collect();
    assert_eq!(counts, [3, 1, 2]);
    assert!(rows.iter().all(|row| row["ruleset"] == listed["ruleset"]));
    // Everything is there again after a restart, and nobody is told twice.
    assert!(run.stop().success());
    let run = Trailmeter::run(&["--config", &config]);
    assert_eq!(run.json("/api/v1/rules")["rows"][0]["matches"], 3);
    assert_eq!(run.json("/api/v1/matches?rule=key%20made"), matches);
    assert_eq!(webhook.alerts().len(), 5);
}

#[test]
fn a_match_reaches_alertmanager_with_its_labels() {
    let place = Place::new();
    let alertmanager = Alertmanager::start(&place.folder("alertmanager"));
    let rules = place.write("rules.yaml", THREE);
    let files =
        place.write("e.ndjson", lines(&[call("1", "CreateAccessKey", "ann", "2025-07-01T12:00:00Z")]));
    let state = place.path("state");
    let config = place.write(
        "c.yaml",
        format!(
            "sources: [{{files: {{paths: [{files:?}]}}}}]\nstate: {{embedded: {{path: {state:?}}}}}\n\
             rules: {{files: [{rules:?}]}}\nalerts: {{alertmanagers: ['{}']}}\n",
            alertmanager.url()
        ),
    );
    let mut run = Trailmeter::run(&["--config", &config]);
    run.wait_until_all_is_read();
    assert_eq!(alertmanager.wait_for(2).len(), 2);
    let names: BTreeSet<String> = alertmanager
        .alerts()
        .values()
        .map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["KeyMade", "NewUser"].map(str::to_owned).into());
}

#[test]
fn a_noisy_rule_is_capped_and_counted() {
    let place = Place::new();
    let rules = place.write(
        "rules.yaml",
        "- {rule: All, desc: d, condition: evt.num > 0, output: '%ct.id', priority: DEBUG, source: aws_cloudtrail}\n",
    );
    let events: Vec<Value> =
        (0..500).map(|at| call(&format!("{at}"), "GetUser", "ann", "2025-07-01T12:00:00Z")).collect();
    let files = place.write("e.ndjson", lines(&events));
    let state = place.path("state");
    let config = place.write(
        "c.yaml",
        format!(
            "sources: [{{files: {{paths: [{files:?}], piece_bytes: 4KiB}}}}]\nstate: {{embedded: {{path: {state:?}}}}}\n\
             rules: {{files: [{rules:?}], max_matches_per_minute: 20}}\n"
        ),
    );
    let mut run = Trailmeter::run(&["--config", &config]);
    run.wait_until_all_is_read();
    assert_eq!(run.json("/api/v1/rules")["rows"][0]["matches"], 500);
    let kept = run.json("/api/v1/matches")["rows"].as_array().unwrap().len();
    // A minute may have ended meanwhile.
    assert!(kept == 20 || kept == 40, "{kept}");
    let (_, metrics) = run.get("/metrics");
    let withheld =
        format!("trailmeter_rule_matches_withheld_total{{reason=\"rate\",rule=\"All\"}} {}", 500 - kept);
    assert!(metrics.contains(&withheld), "{withheld} is not in\n{metrics}");
}

/// Rules of each kind, over generated events.
const KINDS: &str = "
- {rule: Plain, desc: d, condition: ct.name startswith Delete, output: '%ct.id %ct.principal', priority: INFO,
   source: aws_cloudtrail, repeat: 0s}
- {rule: Counted, desc: d, condition: ct.error exists, output: '%ct.id', priority: INFO, source: aws_cloudtrail,
   threshold: {count: 4, within: 30m, by: [ct.principal]}, repeat: 10m}
- {rule: Different, desc: d, condition: ct.src exists, output: '%ct.id', priority: INFO, source: aws_cloudtrail,
   threshold: {count: 3, within: 10m, by: [ct.principal], distinct: ct.name}, repeat: 0s}
- {rule: Seen, desc: d, condition: ct.name exists, output: '%ct.id', priority: INFO, source: aws_cloudtrail,
   first_seen: {by: [ct.principal, ct.region], forget_after: 1h}}
";

#[test]
fn killed_again_and_again_rules_count_as_if_undisturbed() {
    common::need_failpoints();
    let place = Place::new();
    let output = place.path("events");
    let made = trailmeter(&[
        "generate",
        "--events",
        "40000",
        "--envelope",
        "ndjson",
        "--events-per-file",
        "5000",
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
    let rules = place.write("rules.yaml", KINDS);
    let config = |name: &str| {
        let state = place.path(name);
        place.write(
            &format!("{name}.yaml"),
            format!(
                "sources: [{{files: {{paths: [{output:?}], piece_bytes: 16KiB}}}}]\n\
                 state: {{embedded: {{path: {state:?}, commit_interval: 10m, commit_bytes: 64KiB}}}}\n\
                 rules: {{files: [{rules:?}], max_matches_per_minute: 1000000}}\nlimits: {{matches: 1000000}}\n"
            ),
        )
    };
    let mut run = Trailmeter::run(&["--config", &config("undisturbed")]);
    run.wait_until_all_is_read();
    let disturbed = config("disturbed");
    let mut kills = 0;
    for round in 0..20 {
        let failpoint = format!("commit_{}={}*off->return", ["before", "after"][round % 2], round / 2 % 3);
        let mut killed = Trailmeter::start(&["--config", &disturbed], &[("FAILPOINTS", &failpoint)]);
        kills += usize::from(killed.wait_until_read_or_dead());
    }
    assert_eq!(kills, 20);
    let mut again = Trailmeter::run(&["--config", &disturbed]);
    again.wait_until_all_is_read();
    assert_eq!(again.json("/api/v1/totals"), run.json("/api/v1/totals"));
    let counts = |run: &Trailmeter| -> Vec<u64> {
        let rows = run.json("/api/v1/rules")["rows"].as_array().unwrap().clone();
        rows.iter().map(|row| row["matches"].as_u64().unwrap()).collect()
    };
    let expected = counts(&run);
    assert!(expected.iter().all(|matches| *matches > 10), "{expected:?}");
    assert_eq!(counts(&again), expected);
    // Not only how many, but which.
    let matched = |run: &Trailmeter| -> BTreeSet<String> {
        let rows = run.json("/api/v1/matches?limit=1000000")["rows"].as_array().unwrap().clone();
        rows.iter()
            .map(|row| format!("{} {} {} {}", row["rule"], row["event_id"], row["count"], row["output"]))
            .collect()
    };
    let expected = matched(&run);
    assert_eq!(matched(&again), expected);
    // Independently: each of Plain's matches is a call of that name, and there are as many as a plain count gives.
    let plain = expected.iter().filter(|row| row.starts_with("\"Plain\"")).count() as u64;
    assert_eq!(plain, counts(&run)[0]);
}

#[test]
fn a_thousand_reloads_lose_nothing_and_each_batch_has_one_set() {
    let place = Place::new();
    let folder = place.folder("events");
    let text = |version: usize| {
        format!(
            "- {{rule: All, desc: version {version}, condition: evt.num > 0, output: '%ct.id', priority: INFO, source: aws_cloudtrail, repeat: 0s}}\n\
             - {{rule: Ten, desc: d, condition: evt.num > 0, output: '%ct.id', priority: INFO, source: aws_cloudtrail,\n    threshold: {{count: 1000, within: 1h}}, repeat: 1d}}\n"
        )
    };
    let rules = place.write("rules.yaml", text(0));
    let state = place.path("state");
    let config = place.write(
        "c.yaml",
        format!(
            "sources: [{{files: {{paths: [{folder:?}], follow: true}}}}]\nstate: {{embedded: {{path: {state:?}, commit_interval: 50ms}}}}\n\
             rules: {{files: [{rules:?}], max_matches_per_minute: 1000000}}\nlimits: {{matches: 1000000}}\nweb: {{enable_reload: true, max_requests_per_second: 0}}\n"
        ),
    );
    let run = Trailmeter::run(&["--config", &config]);
    // Each file is one batch of ten events.
    let mut files = 0;
    for version in 1..=1000 {
        // One in ten is broken: it changes nothing.
        let is_broken = version % 10 == 0;
        place.write("rules.yaml", if is_broken { "- {rule: }".to_owned() } else { text(version) });
        if version % 4 == 0 {
            let events: Vec<Value> = (0..10)
                .map(|at| call(&format!("{files}-{at}"), "GetUser", "ann", "2025-07-01T12:00:00Z"))
                .collect();
            // It appears whole, or not at all.
            let written = place.write("next", lines(&events));
            std::fs::rename(written, folder.join(format!("{files:05}.ndjson"))).unwrap();
            files += 1;
        }
        let (status, body) = run.post("/-/reload");
        assert_eq!(status, if is_broken { 400 } else { 200 }, "{body}");
    }
    let events = files * 10;
    run.wait_until("/api/v1/totals", |totals| totals["calls"] == events);
    let listed = run.wait_until("/api/v1/rules", |listed| listed["rows"][0]["matches"] == events);
    assert!(listed["error"].as_str().is_some_and(|error| error.contains("expected")), "{listed}");
    // The threshold counted on over all of them.
    assert_eq!(listed["rows"][1]["matches"], 1);
    let rows = run.json("/api/v1/matches?rule=All&limit=1000000")["rows"].as_array().unwrap().clone();
    assert_eq!(rows.len(), events);
    let mut sets: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in &rows {
        let (file, _) = row["event_id"].as_str().unwrap().split_once('-').unwrap();
        sets.entry(file.to_owned()).or_default().insert(row["ruleset"].as_str().unwrap().to_owned());
    }
    assert!(sets.values().all(|sets| sets.len() == 1), "{sets:?}");
    let different: BTreeSet<&String> = sets.values().flatten().collect();
    assert!(different.len() > 1, "all files met the same set: the test shows nothing");
    let (_, metrics) = run.get("/metrics");
    assert!(metrics.contains("trailmeter_rules_last_reload_successful 0"), "{metrics}");
    // The files are sound again, and are found without being asked for.
    place.write("rules.yaml", text(1));
    run.post("/-/reload");
    assert_eq!(run.json("/api/v1/rules")["error"], Value::Null);
}

#[test]
fn changed_files_are_found_and_broken_ones_change_nothing() {
    let place = Place::new();
    let folder = place.folder("rules");
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("a.yaml", THREE);
    let (state, events) = (place.path("state"), place.folder("events"));
    let config = place.write(
        "c.yaml",
        format!(
            "sources: [{{files: {{paths: [{events:?}], follow: true}}}}]\nstate: {{embedded: {{path: {state:?}}}}}\n\
             rules: {{files: [{folder:?}], check_interval: 100ms}}\n"
        ),
    );
    let mut run = Trailmeter::run(&["--config", &config]);
    let rules = |listed: &Value| listed["rows"].as_array().unwrap().len();
    let first = run.json("/api/v1/rules");
    assert_eq!((rules(&first), &first["error"]), (3, &Value::Null));
    write(
        "b.yml",
        "- {rule: One more, desc: d, condition: ct.name = x, output: o, priority: INFO, source: aws_cloudtrail}\n",
    );
    let second = run.wait_until("/api/v1/rules", |listed| rules(listed) == 4);
    assert_ne!(first["ruleset"], second["ruleset"]);
    write(
        "b.yml",
        "- {rule: One more, desc: d, condition: ct.nam = x, output: o, priority: INFO, source: aws_cloudtrail}\n",
    );
    let refused = run.wait_until("/api/v1/rules", |listed| listed["error"] != Value::Null);
    assert_eq!((rules(&refused), &refused["ruleset"]), (4, &second["ruleset"]));
    assert!(
        refused["rows"][3]["errors"][0].as_str().unwrap().contains("did you mean `ct.name`?"),
        "{refused}"
    );
    run.wait_for("rules can't be used");
    std::fs::remove_file(folder.join("b.yml")).unwrap();
    let third = run.wait_until("/api/v1/rules", |listed| rules(listed) == 3);
    assert_eq!((&third["ruleset"], &third["error"]), (&first["ruleset"], &Value::Null));
    // A pipe that nobody writes to is refused, and stops nothing.
    let pipe = folder.join("b.yml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    run.wait_until("/api/v1/rules", |listed| {
        listed["error"].as_str().is_some_and(|error| error.contains("a pipe or a device"))
    });
    std::fs::remove_file(&pipe).unwrap();
    run.wait_until("/api/v1/rules", |listed| listed["error"] == Value::Null);
    std::fs::remove_file(folder.join("a.yaml")).unwrap();
    run.wait_until("/api/v1/rules", |listed| rules(listed) == 0);
    run.wait_for("warning: there are no rules here");
}

#[test]
fn what_rules_and_events_say_is_harmless_and_what_is_passed_over_is_told() {
    let place = Place::new();
    let rules = place.write(
        "rules.yaml",
        "- rule: \"red \\e[31m\\nforged\"\n  desc: d\n  condition: ct.name exists\n  output: o\n  priority: INFO\n  \
         source: aws_cloudtrail\n  tests:\n  - {event: {eventTime: soon}, match: false}\n  - {event: {}, match: true}\n",
    );
    for arguments in [
        &["rules", "list", &rules][..],
        &["rules", "test", &rules],
        &["rules", "explain", "red \u{1b}[31m\nforged", &rules],
    ] {
        let output = trailmeter(arguments);
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("red \u{fffd}[31m\u{fffd}forged") && !text.contains('\u{1b}'), "{text}");
    }
    let tested = trailmeter(&["rules", "test", &rules]);
    let text = String::from_utf8_lossy(&tested.stdout);
    assert!(text.contains("no call that counts: bad_time") && text.contains("2 tests, 1 failed"), "{text}");
    assert_eq!(tested.status.code(), Some(1));
    let events = place.write("events.ndjson", "{\"eventName\":\"X\"}\ngarbage\n");
    let counted = trailmeter(&["rules", "test", "--events", &events, &rules]);
    let text = String::from_utf8_lossy(&counted.stdout);
    assert!(text.contains("not asked about: no_time 1, not_json 1"), "{text}");
}

#[test]
fn rules_in_s3_are_read_and_read_again() {
    let (place, s3) = (Place::new(), S3::start());
    let rule = |name: &str| {
        format!(
            "- {{rule: {name}, desc: d, condition: ct.name = x, output: o, priority: INFO, source: aws_cloudtrail}}\n"
        )
    };
    s3.put("rules", "");
    s3.put("rules/team/b.yml", &rule("Second"));
    s3.put("rules/team/a.yaml", &rule("First"));
    s3.put("rules/team/notes.txt", "no rules");
    s3.put("rules/other/c.yaml", &rule("Elsewhere"));
    let (state, events) = (place.path("state"), place.folder("events"));
    let config = place.write(
        "c.yaml",
        format!(
            "sources: [{{files: {{paths: [{events:?}], follow: true}}}}]\nstate: {{embedded: {{path: {state:?}}}}}\n\
             rules: {{files: ['s3://rules/team'], check_interval: 100ms}}\n"
        ),
    );
    let environment = s3.environment();
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let run = Trailmeter::run_with(&["--config", &config], &environment);
    let names = |listed: &Value| -> Vec<String> {
        listed["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = run.json("/api/v1/rules");
    assert_eq!(names(&first), ["First", "Second"]);
    assert_eq!(first["rows"][0]["source_file"], "s3://rules/team/a.yaml");
    s3.put("rules/team/deep/d.yaml", &rule("Third"));
    run.wait_until("/api/v1/rules", |listed| names(listed) == ["First", "Second", "Third"]);
    s3.put("rules/team/a.yaml", "- {rule: First}");
    let refused = run.wait_until("/api/v1/rules", |listed| listed["error"] != Value::Null);
    assert_eq!(names(&refused), ["First", "Second", "Third"]);
    s3.delete("rules/team/a.yaml");
    run.wait_until("/api/v1/rules", |listed| {
        names(listed) == ["Second", "Third"] && listed["error"] == Value::Null
    });
    // A bucket that can't be reached at the start is a failure while running, and says where.
    let gone = [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
        ("AWS_REGION", "us-east-1"),
    ];
    let state = place.path("another").display().to_string();
    let mut gone = Trailmeter::start(&["--config", &config, "--state", &state], &gone);
    assert_eq!(gone.wait().code(), Some(1));
}
