//! From calls to pages: `trailmeter run` with a real Alertmanager and a webhook receiver. Each new weak caller is one
//! alert, whatever happens to either of them.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

use common::alertmanager::{Alertmanager, Place, WeakCall, Webhook, append, now, over_a_file, principal};
use common::kinesis::{CREDENTIALS, Kinesis, record};
use common::server::free_port;
use common::{PATIENCE, Trailmeter};
use serde_json::{Value, json};
use trailmeter::generate::Envelope;
use trailmeter::source::kinesis::NewRecord;

/// A record as EventBridge writes it.
fn bridged(call: &WeakCall) -> NewRecord {
    let json = call.json();
    record(&json, Envelope::EventBridge.wrap(&[&json]).remove(0))
}

/// What is known of the callers, without what depends on when it was asked.
fn known(run: &Trailmeter) -> BTreeMap<String, Value> {
    let rows = run.json("/api/v1/callers")["rows"].as_array().unwrap().clone();
    let of = |row: Value| (row["principal"].as_str().unwrap().to_owned(), row);
    rows.into_iter().map(of).collect()
}

/// Calls of one caller: how many, the least and the greatest time.
type Expected = BTreeMap<String, (u64, String, String)>;

/// 300 new callers by and by, three calls each on different shards, between strangers and accepted ones; kills when a
/// page is decided, after a commit and after a delivery; and an Alertmanager that is stopped twice.
#[test]
fn each_of_300_new_callers_is_one_alert() {
    common::need_failpoints();
    let (kinesis, webhook, place) = (Kinesis::start(), Webhook::start(), Place::new());
    let stream = kinesis.create("trail", 3);
    let (folder, port) = (place.folder("alertmanager"), free_port());
    let mut alertmanager = Some(Alertmanager::start_at(&folder, port, None));
    let config = place.write(
        "trailmeter.yaml",
        format!(
            "sources: [{{kinesis: {{stream: trail, endpoint: '{}', reads_per_second: 5}}}}]\n\
             state: {{embedded: {{path: {:?}, commit_interval: 100ms}}}}\n\
             organization: {{accounts: ['111122223333']}}\n\
             callers: {{accepted: [{{principal: '*:role/accepted-*', until: '2999-01-01', reason: test}}]}}\n\
             alerts: {{alertmanagers: ['http://127.0.0.1:{port}'], resend: 1s}}\n\
             sinks: {{webhook: '{}'}}\n",
            kinesis.endpoint(),
            place.path("state"),
            webhook.url(),
        ),
    );
    let (mut expected, mut unpaged) = (Expected::new(), BTreeSet::new());
    let mut kills = BTreeMap::new();
    for round in 0..15 {
        let mut records = Vec::new();
        for nth in 0..20 {
            let caller = round * 20 + nth;
            let role = format!("new-{caller:03}");
            for repeat in 0..3 {
                let call = WeakCall::sigv2(&role, &format!("{role}-{repeat}"), &now());
                let (time, principal) = (call.time.clone(), call.principal());
                let seen = expected.entry(principal).or_insert((0, time.clone(), time.clone()));
                *seen = (seen.0 + 1, time.clone().min(seen.1.clone()), time.max(seen.2.clone()));
                records.push(bridged(&call));
            }
        }
        let stranger = WeakCall {
            account: "999988887777".to_owned(),
            ..WeakCall::sigv2(&format!("stranger-{round}"), &format!("x-{round}"), &now())
        };
        let accepted = WeakCall::sigv2(&format!("accepted-{round}"), &format!("a-{round}"), &now());
        for call in [stranger, accepted] {
            unpaged.insert(call.principal());
            records.push(bridged(&call));
        }
        stream.put(&records);
        match round {
            4 | 9 => drop(alertmanager.take()),
            6 | 11 => alertmanager = Some(Alertmanager::start_at(&folder, port, None)),
            _ => {}
        }
        let failpoint = ["page_before", "commit_after", "deliver_after"][round % 3];
        let setting = format!("{failpoint}={}*off->return", round / 3 % 2);
        let environment = [&CREDENTIALS[..], &[("FAILPOINTS", &setting)]].concat();
        let mut run = Trailmeter::start(&["--config", &config], &environment);
        // Not every round gets so far: there may be one claim, and the failpoint waits for a second.
        let end = std::time::Instant::now() + Duration::from_secs(3);
        while !run.has_ended() && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        if run.has_ended() {
            assert_eq!(run.wait().signal(), Some(6), "not ended by {setting}");
            *kills.entry(failpoint).or_insert(0) += 1;
        } else {
            run.kill();
        }
    }
    assert!(kills.len() == 3 && kills.values().all(|kills| *kills >= 2), "{kills:?}");

    let alertmanager = alertmanager.unwrap();
    let run = Trailmeter::run_with(&["--config", &config], &CREDENTIALS);
    run.wait_until("/api/v1/totals", |totals| totals["calls"] == 15 * 62);
    let paged: Vec<String> = expected.keys().cloned().collect();
    assert_eq!(sorted(alertmanager.wait_for(300)), paged);
    // The other sink has them, too; each alert is the same one however often it came.
    run.wait_until("/api/v1/status", |status| {
        status["sinks"].as_array().unwrap().iter().all(|sink| sink["undelivered"] == 0)
    });
    let posted = webhook.alerts();
    assert_eq!(sorted(posted.iter().map(principal).collect::<BTreeSet<_>>().into_iter().collect()), paged);
    let fingerprints: BTreeSet<&str> =
        posted.iter().map(|alert| alert["fingerprint"].as_str().unwrap()).collect();
    assert_eq!(fingerprints.len(), 300);
    // However often an alert came, it was found once.
    let found: BTreeSet<String> =
        posted.iter().map(|alert| format!("{} {}", alert["startsAt"], principal(alert))).collect();
    assert_eq!(found.len(), 300);

    let known = known(&run);
    for (principal, (calls, first_seen, last_seen)) in &expected {
        let row = &known[principal];
        assert_eq!(
            (&row["calls"], &row["first_seen"], &row["last_seen"], &row["state"]),
            (&json!(calls), &json!(first_seen), &json!(last_seen), &json!("paged")),
            "{row}"
        );
    }
    for principal in &unpaged {
        assert_ne!(known[principal]["state"], "paged");
    }
    assert_eq!(known.len(), 330);
    // amtool sees what the API says.
    let query = Command::new("amtool")
        .args(["alert", "query", "--output=json", &format!("--alertmanager.url={}", alertmanager.url())])
        .output()
        .unwrap();
    let alerts: Vec<Value> = serde_json::from_slice(&query.stdout).unwrap();
    assert_eq!(alerts.len(), 300);
    let alert = &alerts[0];
    assert_eq!(
        (&alert["labels"]["alertname"], &alert["labels"]["severity"]),
        (&json!("NewSigV2Caller"), &json!("critical"))
    );
    let runbook = alert["annotations"]["runbook_url"].as_str().unwrap();
    let (status, text) = run.get(&runbook[runbook.find("/runbooks/").unwrap()..]);
    assert!(status == 200 && text.starts_with("# NewSigV2Caller"), "{status} {text}");
}

/// The same new callers on many shards at the same moment: one shard pages, the others do not.
#[test]
fn shards_that_meet_a_caller_at_once_page_it_once() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let config = place.write(
        "trailmeter.yaml",
        format!(
            "sources: [{{generator: {{shards: 16, rate: 2000, backlog: 30000}}}}]\n\
             state: {{embedded: {{path: {:?}}}}}\nsinks: {{webhook: '{}'}}\n",
            place.path("state"),
            webhook.url(),
        ),
    );
    let run = Trailmeter::run(&["--config", &config]);
    run.wait_until("/api/v1/totals", |totals| totals["calls"].as_u64() > Some(33_000));
    assert!(run.stop().success());
    let posted = webhook.alerts();
    let identities: BTreeSet<&str> =
        posted.iter().map(|alert| alert["fingerprint"].as_str().unwrap()).collect();
    assert!(identities.len() > 20, "hardly any caller is weak");
    assert_eq!(posted.len(), identities.len());
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

#[test]
fn what_is_over_is_not_paged_again_by_a_restart() {
    let place = Place::new();
    let alertmanager = Alertmanager::start(&place.folder("alertmanager"));
    let alerts = format!("alerts: {{alertmanagers: ['{}'], resend: 1s, hold: 2s}}", alertmanager.url());
    let config = over_a_file(&place, &[WeakCall::sigv2("a", "1", &now())], &alerts);
    let run = Trailmeter::run(&["--config", &config]);
    assert_eq!(alertmanager.wait_for(1).len(), 1);
    // Over after two seconds.
    let end = std::time::Instant::now() + PATIENCE;
    while !alertmanager.alerts().is_empty() {
        assert!(std::time::Instant::now() < end, "it is held for ever");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(run.stop().success());
    let run = Trailmeter::run(&["--config", &config]);
    // What comes after it in the outbox tells that it was passed over.
    append(&place, &WeakCall::sigv2("a", "2", &now()));
    append(&place, &WeakCall::sigv2("b", "3", &now()));
    let paged = alertmanager.wait_for(1);
    assert!(paged.len() == 1 && paged[0].ends_with("role/b"), "{paged:?}");
    assert!(run.stop().success());
}

#[test]
fn an_alertmanager_behind_tls_and_a_password() {
    let place = Place::new();
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = place.write("server.pem", certified.cert.pem());
    let key = place.write("server.key", certified.signing_key.serialize_pem());
    let password = place.write("password", "pager\n");
    // The password `pager`, as bcrypt keeps it.
    let hash = "$2b$04$/cZZXykckacXj.8FeIRtNuYFe5qQ7lIt/wOPNdNPkttscCPfj8nUy";
    let web = place.write(
        "web.yml",
        format!(
            "tls_server_config: {{cert_file: {certificate:?}, key_file: {key:?}}}\nbasic_auth_users: {{trailmeter: '{hash}'}}\n"
        ),
    );
    let port = free_port();
    let server = Alertmanager::start_at(&place.folder("alertmanager"), port, Some(web.as_ref()));
    let config = |auth: &str| {
        let alerts = format!(
            "alerts:\n  alertmanagers: [{{url: '{}', basic_auth: {{username: trailmeter, {auth}}}, tls_config: {{ca_file: {certificate:?}}}}}]",
            server.url()
        );
        over_a_file(&place, &[WeakCall::sigv2("a", "1", &now())], &alerts)
    };
    let run = Trailmeter::run(&["--config", &config("password: wrong-and-secret")]);
    let status = run.wait_until("/api/v1/status", |status| !status["sinks"][0]["error"].is_null());
    assert!(status["sinks"][0]["error"].as_str().unwrap().contains("401"), "{status}");
    assert!(!status.to_string().contains("wrong-and-secret"), "{status}");
    assert_eq!(status["config"]["alerts"]["alertmanagers"][0]["basic_auth"]["password"], "<secret>");
    assert!(run.stop().success());
    // With the right password what waited is delivered.
    let run = Trailmeter::run(&["--config", &config(&format!("password_file: {password:?}"))]);
    let status = run.wait_until("/api/v1/status", |status| status["sinks"][0]["delivered"].is_string());
    assert_eq!((&status["sinks"][0]["undelivered"], &status["sinks"][0]["error"]), (&json!(0), &Value::Null));
    assert!(run.stop().success());
}

#[test]
fn lines_on_standard_output() {
    let place = Place::new();
    let config = over_a_file(&place, &[WeakCall::sigv2("a", "1", &now())], "sinks: {stdout: true}");
    let output = std::fs::File::create(place.path("stdout")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_trailmeter"))
        .args(["run", "--config", &config, "--listen", "127.0.0.1:0"])
        .stdout(output)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let end = std::time::Instant::now() + PATIENCE;
    let line = loop {
        let text = std::fs::read_to_string(place.path("stdout")).unwrap();
        if text.ends_with('\n') || std::time::Instant::now() > end {
            break text;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    child.kill().unwrap();
    child.wait().unwrap();
    let alert: Value = serde_json::from_str(line.trim_end()).unwrap();
    assert_eq!((&alert["status"], &alert["labels"]["weakness"]), (&json!("firing"), &json!("sigv2")));
}

#[test]
fn mistakes_in_the_config_name_the_key_and_the_fix() {
    let place = Place::new();
    let check = |more: &str, expect: &[&str]| {
        let config = over_a_file(&place, &[WeakCall::sigv2("a", "1", &now())], more);
        let output = common::trailmeter(&["config", "check", &config]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{more}: {said}");
        expect.iter().for_each(|words| assert!(said.contains(words), "{words:?} is not in {said:?}"));
    };
    check("alerts: {alertmanagers: [alertmanager]}", &["alerts.alertmanagers[0]", "http://HOST:PORT"]);
    check("alerts: {alertmanagers: ['http://u:secret@h:9093']}", &["alertmanagers[0]", "basic_auth"]);
    check("alerts: {alertmanagers: ['http://h:9093', 'http://h:9093/']}", &["there twice"]);
    check(
        "alerts: {alertmanagers: [{url: 'http://h', pasword: x}]}",
        &["alertmanagers[0]", "pasword", "basic_auth"],
    );
    check("alerts: {alertmanagers: [{url: 'http://h', basic_auth: {username: u}}]}", &["password_file"]);
    check(
        "alerts: {alertmanagers: [{url: 'https://h', tls_config: {ca_file: /nowhere.pem}}]}",
        &["ca_file", "/nowhere.pem"],
    );
    check("alerts: {hold: 1ms}", &["alerts.hold", "1s to 30d"]);
    check(
        "callers: {accepted: [{principal: '[', until: soon, weakness: sigv3}]}",
        &["[0].principal", "[0].until", "[0].weakness", "`sigv2`"],
    );
    check("sinks: {webhook: nowhere}", &["sinks.webhook", "https://HOST:PORT"]);
    let no_certificate = place.write("no.pem", "no certificate");
    check(
        &format!("sinks: {{webhook: {{url: 'https://h', tls_config: {{ca_file: {no_certificate:?}}}}}}}"),
        &["sinks.webhook.tls_config", "no.pem", "holds no certificate"],
    );
    check("alerts: {alertmanagers: ['http://h?token=x']}", &["alertmanagers[0]", "behind `?`"]);
    check("callers: {accepted: ['arn:*']}", &["callers.accepted[0]", "expected keys with values"]);
    check("limits: {weak_callers: many}", &["limits.weak_callers", "expected a whole number"]);
    // Nothing that may be a secret is shown.
    for secret in [
        "sinks: {webhook: hooks.example.com/SECRET}",
        "alerts: {alertmanagers: [{url: 'http://h', basic_auth: 'u:SECRET'}]}",
        "alerts: {alertmanagers: [{url: 'http://h', basic_auth: {username: u, password: [SECRET]}}]}",
        "alerts: {alertmanagers: ['http://u:SECRET@h']}",
    ] {
        let config = over_a_file(&place, &[WeakCall::sigv2("a", "1", &now())], secret);
        let output = common::trailmeter(&["config", "check", &config]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && !said.contains("SECRET"), "{secret}: {said}");
    }
    let several_stars = "callers: {accepted: [{principal: 'arn:**:role/**'}]}";
    let config = over_a_file(&place, &[WeakCall::sigv2("a", "1", &now())], several_stars);
    assert!(common::trailmeter(&["config", "check", &config]).status.success());
    check("web: {external_url: here}", &["web.external_url"]);
}
