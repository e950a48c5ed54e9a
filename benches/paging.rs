//! How long it takes from `PutRecords` until a new weak caller stands in Alertmanager.
//!
//! `cargo bench --bench paging`. Starts kinesis-local, Alertmanager and the real binary on this machine. 200 new callers
//! appear one by one in a stream that is busy with calls of others. Counted is from before the call of `PutRecords` to
//! the time at which Alertmanager says that it got the alert; both are of this machine's clock.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::Trailmeter;
use common::alertmanager::{Alertmanager, Place, WeakCall, principal};
use common::kinesis::{CREDENTIALS, Kinesis, record};
use trailmeter::event::time;
use trailmeter::generate::{Envelope, Generator, Options, WeakShares};
use trailmeter::source::kinesis::NewRecord;

const CALLERS: usize = 200;
const SHARDS: i32 = 4;
/// Calls of others, put 25 at once.
const BUSY_EVERY: Duration = Duration::from_millis(100);
const BETWEEN_CALLERS: Duration = Duration::from_millis(150);

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let (kinesis, place) = (Kinesis::start(), Place::new());
    let stream = kinesis.create("trail", SHARDS);
    let busy = kinesis.connect("trail");
    let alertmanager = Alertmanager::start(&place.folder("alertmanager"));
    let config = place.write(
        "trailmeter.yaml",
        format!(
            "sources: [{{kinesis: {{stream: trail, endpoint: '{}'}}}}]\n\
             state: {{embedded: {{path: {:?}}}}}\n\
             alerts: {{alertmanagers: ['{}'], resend: 1h}}\n",
            kinesis.endpoint(),
            place.path("state"),
            alertmanager.url(),
        ),
    );
    let run = Trailmeter::run_with(&["--config", &config], &CREDENTIALS);
    let (is_over, put) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut sent_ms = BTreeMap::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut calls = others();
            while !is_over.load(Ordering::Relaxed) {
                let began = Instant::now();
                let records: Vec<NewRecord> = calls.by_ref().take(25).collect();
                put.fetch_add(records.len() as u64, Ordering::Relaxed);
                busy.put(&records);
                std::thread::sleep(BUSY_EVERY.saturating_sub(began.elapsed()));
            }
        });
        for nth in 0..CALLERS {
            let now_ms = now_ms();
            let at = time::format((now_ms / 1000).cast_signed());
            let call = WeakCall::sigv2(&format!("new-{nth:03}"), &format!("new-{nth}"), &at);
            sent_ms.insert(call.principal(), now_ms);
            stream.put(&[bridged(&call.json())]);
            std::thread::sleep(BETWEEN_CALLERS);
        }
        assert_eq!(alertmanager.wait_for(CALLERS).len(), CALLERS);
        is_over.store(true, Ordering::Relaxed);
    });
    let mut delays: Vec<i64> = Vec::new();
    for alert in alertmanager.alerts().values() {
        let got = alert["updatedAt"].as_str().unwrap();
        delays.push(milliseconds(got) - sent_ms[&principal(alert)].cast_signed());
    }
    delays.sort_unstable();
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize];
    let calls = run.json("/api/v1/totals")["calls"].as_u64().unwrap();
    println!(
        "{CALLERS} new callers among {calls} calls ({} put by others) on {SHARDS} shards",
        put.into_inner()
    );
    println!(
        "from PutRecords to Alertmanager, ms: median {}, 90 % {}, 99 % {}, most {}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
    assert!(run.stop().success());
}

/// Calls that nobody is paged for.
fn others() -> impl Iterator<Item = NewRecord> {
    let weak = WeakShares { sigv2: 0.0, tls10: 0.0, tls11: 0.0, long_term_key: 0.0, presigned: 0.0 };
    let options = Options { events: 1_000_000, weak, ..Options::organisation() };
    Generator::new(options).map(|event| bridged(&event.json))
}

fn bridged(event: &[u8]) -> NewRecord {
    record(event, Envelope::EventBridge.wrap(&[event]).remove(0))
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Milliseconds since 1970 of a time with a fraction, in UTC.
fn milliseconds(text: &str) -> i64 {
    let (whole, rest) = text.split_at(19);
    let fraction: String = rest
        .trim_start_matches('.')
        .chars()
        .take_while(char::is_ascii_digit)
        .chain("000".chars())
        .take(3)
        .collect();
    time::parse(&format!("{whole}Z")).unwrap() * 1000 + fraction.parse::<i64>().unwrap()
}
