//! A disk that is full for a while: reading waits, and goes on by itself once there is room, with nothing lost.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::alertmanager::{Place, WeakCall, Webhook};
use common::{PATIENCE, get};
use serde_json::Value;

/// The process may write files up to this size, in KiB: enough for an empty state, not for what comes.
const LIMIT_KIB: u64 = 1600;

#[test]
fn a_full_disk_is_waited_for() {
    let (place, webhook) = (Place::new(), Webhook::start());
    let made = common::trailmeter(&[
        "generate",
        "--events",
        "60000",
        "--envelope",
        "ndjson",
        "--output",
        place.path("events").to_str().unwrap(),
    ]);
    assert!(made.status.success());
    let call = WeakCall::sigv2("late", "1", "2025-07-01T00:00:00Z");
    std::fs::write(place.path("events").join("z.ndjson"), call.json()).unwrap();
    let (events, state) = (place.path("events"), place.path("state"));
    let config = place.write(
        "trailmeter.yaml",
        format!(
            "sources: [{{files: {{paths: [{events:?}]}}}}]\nstate: {{embedded: {{path: {state:?}, commit_bytes: 64KiB}}}}\nsinks: {{webhook: '{}'}}\n",
            webhook.url()
        ),
    );
    // Writing beyond the limit fails as on a full disk does; without `trap` it would end the process.
    let script = format!("trap '' XFSZ; ulimit -S -f {}; exec \"$0\" \"$@\"", LIMIT_KIB);
    let mut child = Command::new("bash")
        .args(["-c", &script, env!("CARGO_BIN_EXE_trailmeter"), "run", "--config", &config])
        .args(["--listen", "127.0.0.1:0", "--log-format", "json"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let began = Instant::now();
    let mut wait_for = |message: &str| -> Value {
        for line in log.by_ref() {
            assert!(began.elapsed() < PATIENCE, "{message:?} is not said; but {line}");
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            if line["fields"]["message"].as_str().is_some_and(|said| said.starts_with(message)) {
                return line;
            }
        }
        panic!("it ended before {message:?}")
    };
    let address = wait_for("listening")["fields"]["address"].as_str().unwrap().to_owned();
    wait_for("commit failed, reading waits");
    let totals =
        || -> Value { serde_json::from_str(&get(&format!("http://{address}/api/v1/totals")).1).unwrap() };
    assert!(totals()["calls"].as_u64().unwrap() < 50_000);
    let raised =
        Command::new("prlimit").args(["--pid", &child.id().to_string(), "--fsize=unlimited"]).status();
    assert!(raised.unwrap().success());
    wait_for("all sources have ended");
    let after = totals();
    assert_eq!(after["events"], 60_001, "{after}");
    // The sink went on, too.
    let end = Instant::now() + PATIENCE;
    while !webhook.alerts().iter().any(|alert| alert["labels"]["principal"] == call.principal()) {
        assert!(Instant::now() < end, "{} alerts", webhook.alerts().len());
        std::thread::sleep(Duration::from_millis(20));
    }
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(child.wait().unwrap().success());
}
