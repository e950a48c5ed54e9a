//! `trailmeter run` over a Kinesis stream (kinesis-local): what is sent is counted, once, whatever happens to the
//! process and to the stream's shards.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::kinesis::{CREDENTIALS, Kinesis, Stream, endpoint, record};
use common::server::free_port;
use common::{PATIENCE, Trailmeter};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use tempfile::TempDir;
use trailmeter::event::time;
use trailmeter::generate::{Broken, Envelope, Generated, Generator, Options, Outcome, control_message};
use trailmeter::source::kinesis::NewRecord;

/// A config and a state in a folder of their own.
struct Setup {
    folder: TempDir,
    endpoint: String,
    stream: String,
}

impl Setup {
    fn new(endpoint: &str, stream: &str) -> Self {
        let setup = Self {
            folder: tempfile::tempdir().unwrap(),
            endpoint: endpoint.to_owned(),
            stream: stream.to_owned(),
        };
        setup.write("", "");
        setup
    }

    /// Writes the config, with further keys of the source (`start: latest`) and lines at the top level.
    fn write(&self, source: &str, rest: &str) {
        let Self { endpoint, stream, .. } = self;
        let state = self.folder.path().join("state");
        let text = format!(
            "sources:\n- kinesis: {{stream: {stream}, endpoint: '{endpoint}', list_interval: 1s, {source}}}\n\
             state: {{embedded: {{path: {state:?}, commit_interval: 50ms}}}}\nshutdown: {{grace: 5s}}\n{rest}\n"
        );
        std::fs::write(self.config(), text).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("trailmeter.yaml")
    }

    fn run(&self) -> Trailmeter {
        Trailmeter::run_with(&["--config", self.config().to_str().unwrap()], &CREDENTIALS)
    }

    /// Starts it without waiting; it ends itself at `failpoints`.
    fn start(&self, failpoints: &str) -> Trailmeter {
        let environment = [&CREDENTIALS[..], &[("FAILPOINTS", failpoints)]].concat();
        Trailmeter::start(&["--config", self.config().to_str().unwrap()], &environment)
    }
}

/// Calls and nothing else.
fn calls(events: u64, seed: u64) -> Vec<Generated> {
    let options = Options {
        events,
        seed,
        duplicates: 0.0,
        corrections: 0.0,
        shared_copies: 0.0,
        insights: 0.0,
        aggregated: 0.0,
        network_activity: 0.0,
        ..Options::organisation()
    };
    Generator::new(options).collect()
}

/// A record each, as EventBridge writes them.
fn bridged(events: &[Generated]) -> Vec<NewRecord> {
    let wrap = |event: &Generated| Envelope::EventBridge.wrap(&[&event.json]).remove(0);
    events.iter().map(|event| record(&event.json, wrap(event))).collect()
}

/// One record of all, as a CloudWatch Logs subscription writes it.
fn logged(events: &[Generated]) -> NewRecord {
    let json: Vec<&[u8]> = events.iter().map(|event| event.json.as_slice()).collect();
    record(json[0], Envelope::CloudWatchLogs.wrap(&json).remove(0))
}

fn sum(counts: impl IntoIterator<Item = u64>) -> u64 {
    counts.into_iter().sum()
}

/// Records counted, whatever became of them.
fn records(run: &Trailmeter) -> u64 {
    let records = &run.json("/api/v1/totals")["records"];
    let rejected = records["rejected"].as_object().unwrap().values();
    records["decoded"].as_u64().unwrap()
        + records["control"].as_u64().unwrap()
        + sum(rejected.map(|count| count.as_u64().unwrap()))
}

/// Waits until so many records are counted, or more; fails when the number does not move for a while.
fn wait_for_records(run: &Trailmeter, wanted: u64) {
    let (mut seen, mut end) = (0, Instant::now() + PATIENCE);
    loop {
        let now = records(run);
        if now >= wanted {
            return;
        }
        if now > seen {
            (seen, end) = (now, Instant::now() + PATIENCE);
        }
        assert!(Instant::now() < end, "{seen} of {wanted} records: {}", run.json("/api/v1/shards"));
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn wait_for_calls(run: &Trailmeter, wanted: u64) {
    run.wait_until("/api/v1/totals", |totals| totals["calls"].as_u64() >= Some(wanted));
    assert_eq!(run.json("/api/v1/totals")["calls"], wanted);
}

fn wait_until_ready(run: &Trailmeter) {
    let end = Instant::now() + PATIENCE;
    while run.get("/-/ready").0 != 200 {
        assert!(Instant::now() < end, "not ready: {}", run.get("/-/ready").1);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until every shard was read up to its newest record.
fn wait_until_read(run: &Trailmeter) {
    wait_until_ready(run);
    run.wait_until("/api/v1/shards", |shards| {
        shards["rows"].as_array().unwrap().iter().all(|row| row["behind_seconds"] == 0.0)
    });
}

/// What can be asked at times that do not move: the totals, the coverage, all windows, and how far each shard is.
fn answers(run: &Trailmeter, newest_s: i64) -> BTreeMap<String, Value> {
    let mut paths = vec!["/api/v1/totals".to_owned(), "/api/v1/coverage".to_owned()];
    for before_s in [-600, 0, 61, 1800, 4000, 6 * 3600, 20 * 3600, 40 * 3600] {
        let at = time::format(newest_s - before_s);
        paths.extend(["5m", "1h", "24h"].map(|window| format!("/api/v1/windows?window={window}&at={at}")));
    }
    let answer = |path: String| {
        let (status, body) = run.get(&path);
        assert!(status == 200 || (status == 400 && body.contains("earliest")), "{path}: {status} {body}");
        (path, serde_json::from_str(&body).unwrap())
    };
    let mut answers: BTreeMap<String, Value> = paths.into_iter().map(answer).collect();
    let rows: Vec<_> = answers.values().filter_map(|answer| answer["rows"].as_array()).collect();
    assert!(rows.iter().filter(|rows| !rows.is_empty()).count() > 8, "hardly any window has rows");
    answers.insert("callers".to_owned(), run.json("/api/v1/callers"));
    let mut shards = run.json("/api/v1/shards")["rows"].take();
    for row in shards.as_array_mut().unwrap() {
        row.as_object_mut()
            .unwrap()
            .retain(|name, _| ["shard", "position", "newest_event"].contains(&&**name));
    }
    answers.insert("shards".to_owned(), shards);
    answers
}

fn newest_s(events: &[Generated]) -> i64 {
    events.iter().map(|event| event.event_time_s).max().unwrap()
}

#[test]
fn a_stream_is_counted_within_a_second_or_so_and_survives_sigterm() {
    let kinesis = Kinesis::start();
    let stream = kinesis.create("cloudtrail", 2);
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let arguments = ["--stream", "cloudtrail", "--state", state.to_str().unwrap()];
    let environment = [&CREDENTIALS[..], &[("AWS_ENDPOINT_URL_KINESIS", kinesis.endpoint())]].concat();
    let run = Trailmeter::run_with(&arguments, &environment);
    wait_until_ready(&run);
    let sent = Command::new(env!("CARGO_BIN_EXE_trailmeter"))
        .args(["send", "--stream", "cloudtrail", "--generate", "2000"])
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    wait_for_records(&run, 2000);
    let events: Vec<_> = Generator::new(Options { events: 2000, ..Options::organisation() }).collect();
    let is_call = |event: &&Generated| matches!(event.outcome, Outcome::Call | Outcome::SharedCopy);
    let totals = run.json("/api/v1/totals");
    assert_eq!(
        (&totals["events"], &totals["calls"]),
        (&2000.into(), &events.iter().filter(is_call).count().into())
    );

    let put = Instant::now();
    stream.put(&bridged(&calls(1, 7)));
    wait_for_records(&run, 2001);
    assert!(put.elapsed() < Duration::from_secs(5), "counted after {:?}", put.elapsed());

    let newest_s = newest_s(&events);
    let before = answers(&run, newest_s);
    assert!(run.stop().success());
    let run = Trailmeter::run_with(&arguments, &environment);
    wait_until_read(&run);
    assert_eq!(answers(&run, newest_s), before);
}

/// Times that a soak's trailmeter is ended in the midst.
const KILLS: usize = 20;
/// What is sent comes in so many parts.
const PARTS: usize = 120;
/// Parts that are sent at the begin of each of its lives; more follow while it lives on.
const PARTS_A_LIFE: usize = 3;
/// The part before which a shard is split, and the one before which two are merged.
const RESHARDED: [usize; 2] = [25, 45];

/// What a soak sends.
struct Delivery {
    parts: Vec<Vec<NewRecord>>,
    records: u64,
    /// Distinct events that are calls.
    calls: u64,
    newest_s: i64,
}

/// Events that come in records of their own, as EventBridge writes them, at the most: the server becomes slow with the
/// records that it holds, a put of 500 takes longer than a client waits once there are some 50,000.
const BRIDGED: usize = 10_000;

/// Up to half the events in records of EventBridge, the rest in those of CloudWatch Logs; broken records and control
/// messages between them; and one record in 20 again, up to half the delivery later.
fn delivery(events: u64, random: &mut SmallRng) -> Delivery {
    let options = Options {
        events,
        duration_s: 2 * 86_400,
        duplicates: 0.0,
        late: 0.05,
        broken: 0.01,
        corrections: 0.005,
        shared_copies: 0.01,
        insights: 0.002,
        aggregated: 0.002,
        network_activity: 0.005,
        ..Options::organisation()
    };
    let events: Vec<Generated> = Generator::new(options).collect();
    let is_call =
        |event: &&Generated| matches!(event.outcome, Outcome::Call | Outcome::Broken(Broken::WrongTypes));
    let mut records = Vec::new();
    let bridged_of_200 = (BRIDGED * 200 / events.len()).clamp(1, 100);
    for hundreds in events.chunks(200) {
        let (bridge, logs) = hundreds.split_at((hundreds.len() * bridged_of_200 / 200).max(1));
        // What a log holds is always UTF-8.
        let is_text = |event: &&Generated| event.outcome != Outcome::Broken(Broken::InvalidUtf8);
        let logs: Vec<Generated> = logs.iter().filter(is_text).cloned().collect();
        records.extend(bridged(bridge));
        records.push(logged(&logs));
        records.push(record(&bridge[0].json, broken_record(&logs[0], random)));
    }
    let sent = records.len();
    let mut parts: Vec<Vec<NewRecord>> = vec![Vec::new(); PARTS];
    for (at, record) in records.into_iter().enumerate() {
        let part = at * PARTS / sent;
        if random.random_ratio(1, 20) {
            parts[random.random_range(part..PARTS.min(part + PARTS / 2))].push(record.clone());
        }
        parts[part].push(record);
    }
    Delivery {
        records: sum(parts.iter().map(|part| part.len() as u64)),
        parts,
        calls: events.iter().filter(is_call).count() as u64,
        newest_s: newest_s(&events),
    }
}

/// A record that is not as it should be, or holds no events.
fn broken_record(event: &Generated, random: &mut SmallRng) -> Vec<u8> {
    let good = Envelope::CloudWatchLogs.wrap(&[&event.json]).remove(0);
    let kinds: [&dyn Fn() -> Vec<u8>; 6] = [
        &control_message,
        &|| good[..good.len() / 2].to_vec(),
        &|| b"{\"no\":\"events\"}".to_vec(),
        &|| b"not JSON".to_vec(),
        &|| vec![0xFF, 0xFE, 0x00],
        &|| b" ".to_vec(),
    ];
    kinds.choose(random).unwrap()()
}

/// Sends a part each time it is told to, and reshards on the way.
fn feed(stream: &Stream, parts: &[Vec<NewRecord>], go: &Receiver<()>) {
    for (at, part) in parts.iter().enumerate() {
        let Ok(()) = go.recv() else { return };
        let shards = || stream.open_shards();
        match RESHARDED.iter().position(|before| *before == at) {
            Some(0) => stream.split(&shards()[1]),
            // The higher child and its neighbour.
            Some(_) => stream.merge(&shards()[2], &shards()[3]),
            None => {}
        }
        stream.put(part);
    }
}

/// One life of a soak's trailmeter, ended in the `nth` way.
fn live_and_be_killed(setup: &Setup, nth: usize, random: &mut SmallRng, send_part: &dyn Fn() -> bool) {
    for _ in 0..PARTS_A_LIFE {
        send_part();
    }
    if nth.is_multiple_of(2) {
        let mut run = setup.start("");
        std::thread::sleep(Duration::from_millis(random.random_range(0..1500)));
        assert!(!run.has_ended(), "it ended by itself: {:?}", run.wait());
        return run.kill();
    }
    let place = if nth % 4 == 1 { "commit_before" } else { "commit_after" };
    let mut run = setup.start(&format!("{place}={}*off->return", random.random_range(0..12)));
    let mut since = Instant::now();
    while !run.has_ended() {
        if since.elapsed() > Duration::from_millis(500) {
            assert!(send_part(), "everything is sent, and the {nth}th life goes on");
            since = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(run.wait().signal(), Some(6), "not ended by the failpoint");
}

fn environment<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn soak() {
    common::need_failpoints();
    let seed = environment("TRAILMETER_SOAK_SEED", 1);
    eprintln!("TRAILMETER_SOAK_SEED={seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let delivery = delivery(environment("TRAILMETER_SOAK_EVENTS", 20_000), &mut random);
    let kinesis = Kinesis::start();
    let stream = kinesis.create("soak", 3);
    let accounts: String = (0..24).map(|nth| format!("'{}',", 990_000_000_000_u64 + nth)).collect();
    let accounts = format!("organization: {{accounts: [{accounts}]}}");
    let disturbed = Setup::new(kinesis.endpoint(), "soak");
    disturbed.write("reads_per_second: 5", &accounts);
    std::thread::scope(|scope| {
        let (sender, go) = channel();
        scope.spawn(|| feed(&stream, &delivery.parts, &{ go }));
        for nth in 0..KILLS {
            live_and_be_killed(&disturbed, nth, &mut random, &|| sender.send(()).is_ok());
        }
        // Whatever is still to be sent: once too often does no harm, an endless queue of tellings would.
        (0..PARTS).all(|_| sender.send(()).is_ok());
    });
    let run = disturbed.run();
    wait_for_records(&run, delivery.records);
    wait_until_read(&run);

    let undisturbed = Setup::new(kinesis.endpoint(), "soak");
    undisturbed.write("reads_per_second: 5", &accounts);
    let reference = undisturbed.run();
    wait_for_records(&reference, delivery.records);
    wait_until_read(&reference);
    let expected = answers(&reference, delivery.newest_s);
    assert_eq!(records(&reference), delivery.records);
    assert_eq!(expected["/api/v1/totals"]["calls"], delivery.calls);
    assert_eq!(expected["shards"].as_array().unwrap().len(), 3);

    assert_eq!(answers(&run, delivery.newest_s), expected);
    assert!(run.stop().success());
    let run = disturbed.run();
    wait_until_read(&run);
    assert_eq!(answers(&run, delivery.newest_s), expected);
}

#[test]
fn latest_ignores_older_records_also_after_a_restart() {
    let kinesis = Kinesis::start();
    let stream = kinesis.create("trail", 2);
    let events = bridged(&calls(60, 1));
    stream.put(&events[..30]);
    let setup = Setup::new(kinesis.endpoint(), "trail");
    setup.write("start: latest", "");
    // Nothing arrives in its first life: the second goes on where the first began.
    let run = setup.run();
    wait_until_read(&run);
    assert!(run.stop().success());
    stream.put(&events[30..40]);
    let run = setup.run();
    wait_for_calls(&run, 10);
    stream.put(&events[40..50]);
    wait_for_calls(&run, 20);
    assert!(run.stop().success());
    stream.put(&events[50..]);
    let run = setup.run();
    wait_for_calls(&run, 30);
    wait_until_read(&run);
    assert_eq!(records(&run), 30);
}

#[test]
fn at_timestamp_ignores_older_records_also_after_a_restart() {
    let kinesis = Kinesis::start();
    let stream = kinesis.create("trail", 2);
    let events = bridged(&calls(50, 2));
    stream.put(&events[..30]);
    let now_s = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let begin_s = now_s() + 1;
    while now_s() < begin_s {
        std::thread::sleep(Duration::from_millis(10));
    }
    let setup = Setup::new(kinesis.endpoint(), "trail");
    let begin = time::format(begin_s.cast_signed());
    setup.write(&format!("start: at_timestamp, timestamp: '{begin}'"), "");
    let run = setup.run();
    wait_until_read(&run);
    assert!(run.stop().success());
    stream.put(&events[30..40]);
    let run = setup.run();
    wait_for_calls(&run, 10);
    assert!(run.stop().success());
    stream.put(&events[40..]);
    let run = setup.run();
    wait_for_calls(&run, 20);
    wait_until_read(&run);
    assert_eq!(records(&run), 20);
}

#[test]
fn a_shard_that_closed_with_unread_records_is_read_after_a_restart() {
    for start in ["trim_horizon", "latest"] {
        let kinesis = Kinesis::start();
        let stream = kinesis.create("trail", 1);
        let events = bridged(&calls(120, 3));
        let setup = Setup::new(kinesis.endpoint(), "trail");
        setup.write(&format!("start: {start}"), "");
        let run = setup.run();
        wait_until_read(&run);
        stream.put(&events[..40]);
        wait_for_calls(&run, 40);
        assert!(run.stop().success());
        stream.put(&events[40..80]);
        stream.split(&stream.open_shards()[0]);
        stream.put(&events[80..]);
        // Again what the closed shard has: its children know that it was counted.
        stream.put(&events[30..50]);
        let run = setup.run();
        wait_for_records(&run, 140);
        wait_until_read(&run);
        assert_eq!(records(&run), 140);
        let totals = run.json("/api/v1/totals");
        assert_eq!((&totals["calls"], &totals["dropped"]["duplicate"]), (&120.into(), &20.into()));
        // The closed shard's counts went on in the lower child.
        assert_eq!(run.json("/api/v1/shards")["rows"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn a_first_start_after_a_reshard_knows_in_the_children_what_their_parents_counted() {
    for start in ["start: trim_horizon", "start: at_timestamp, timestamp: '2020-01-01T00:00:00Z'"] {
        let kinesis = Kinesis::start();
        let stream = kinesis.create("trail", 1);
        let events = bridged(&calls(60, 8));
        stream.put(&events[..40]);
        stream.split(&stream.open_shards()[0]);
        stream.put(&events[20..]);
        let setup = Setup::new(kinesis.endpoint(), "trail");
        setup.write(start, "");
        let run = setup.run();
        wait_for_records(&run, 80);
        let totals = run.json("/api/v1/totals");
        assert_eq!((&totals["calls"], &totals["dropped"]["duplicate"]), (&60.into(), &20.into()), "{start}");
    }
}

/// It stays up, says why it is not ready, and names the stream in the log.
fn check_not_ready(run: &mut Trailmeter, why: &str) {
    let line = run.wait_for("shards cannot be listed");
    let message = line["fields"]["message"].as_str().unwrap();
    assert!(message.contains("trail") && message.contains(why), "{message}");
    assert_eq!(run.get("/-/healthy").0, 200);
    let (status, reason) = run.get("/-/ready");
    assert!(status == 503 && reason.contains("trail"), "{status} {reason}");
}

#[test]
fn a_stream_that_is_not_there_yet_is_waited_for() {
    let kinesis = Kinesis::start();
    let setup = Setup::new(kinesis.endpoint(), "trail");
    let mut run = setup.run();
    check_not_ready(&mut run, "does not exist");
    let stream = kinesis.create("trail", 1);
    wait_until_ready(&run);
    stream.put(&bridged(&calls(10, 4)));
    wait_for_calls(&run, 10);
    assert!(run.stop().success());
}

#[test]
fn an_endpoint_that_is_not_there_yet_is_waited_for() {
    let port = free_port();
    let setup = Setup::new(&endpoint(port), "trail");
    let mut run = setup.run();
    check_not_ready(&mut run, "connection");
    let kinesis = Kinesis::start_at(port);
    let stream = kinesis.create("trail", 1);
    wait_until_ready(&run);
    stream.put(&bridged(&calls(10, 4)));
    wait_for_calls(&run, 10);
    assert!(run.stop().success());
}

#[test]
fn sigterm_while_reading_ends_in_time_and_nothing_counts_twice() {
    let kinesis = Kinesis::start();
    let stream = kinesis.create("trail", 1);
    let events = calls(3000, 5);
    stream.put(&bridged(&events));
    let setup = Setup::new(kinesis.endpoint(), "trail");
    // 100 records a second: too slow to be done soon.
    setup.write("max_records: 50, reads_per_second: 2", "");
    let mut seen = 0;
    for life in 1..=3 {
        let run = setup.run();
        wait_for_records(&run, life * 150);
        assert!(records(&run) >= seen);
        seen = records(&run);
        assert!(seen < 3000);
        let told = Instant::now();
        assert!(run.stop().success());
        assert!(told.elapsed() < Duration::from_secs(5), "it took {:?}", told.elapsed());
    }
    setup.write("", "");
    let run = setup.run();
    wait_for_records(&run, 3000);
    wait_until_read(&run);
    let totals = run.json("/api/v1/totals");
    assert_eq!((records(&run), &totals["calls"]), (3000, &3000.into()));
    assert_eq!(totals["dropped"]["duplicate"], 0);
}

fn wait_for_metric(run: &Trailmeter, line: &str) {
    let end = Instant::now() + PATIENCE;
    while !run.get("/metrics").1.lines().any(|shown| shown == line) {
        assert!(Instant::now() < end, "no {line:?} among the metrics");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const RELOADED: &str = "trailmeter_config_last_reload_successful 1";
const NOT_RELOADED: &str = "trailmeter_config_last_reload_successful 0";

#[test]
fn a_config_is_read_again() {
    let options = Options { events: 8000, seed: 6, shared_copies: 0.05, ..Options::organisation() };
    let copies: Vec<_> =
        Generator::new(options).filter(|event| event.outcome == Outcome::SharedCopy).collect();
    let copies = bridged(&copies[..200]);
    let kinesis = Kinesis::start();
    let stream = kinesis.create("trail", 1);
    let setup = Setup::new(kinesis.endpoint(), "trail");
    let reloadable = "web: {enable_reload: true}\norganization: {accounts: [ACCOUNTS]}";
    let with_accounts = |accounts: &str| setup.write("", &reloadable.replace("ACCOUNTS", accounts));
    with_accounts("");
    let mut run = setup.run();
    wait_for_metric(&run, RELOADED);
    // Of no known organisation, each copy is a call.
    stream.put(&copies[..50]);
    wait_for_calls(&run, 50);
    let check = |run: &Trailmeter, from: usize, dropped: u64| {
        stream.put(&copies[from..from + 50]);
        wait_for_records(run, from as u64 + 50);
        let totals = run.json("/api/v1/totals");
        assert_eq!((&totals["dropped"]["shared_copy"], &totals["calls"]), (&dropped.into(), &50.into()));
    };
    let ours: Vec<String> = (0..24).map(|nth| format!("'{}'", 990_000_000_000_u64 + nth)).collect();
    with_accounts(&ours.join(","));
    run.signal("HUP");
    run.wait_for("the config was read again and is in force");
    check(&run, 50, 50);

    std::fs::write(setup.config(), "sources: {").unwrap();
    run.signal("HUP");
    run.wait_for("the config was read again and refused");
    wait_for_metric(&run, NOT_RELOADED);
    let (status, body) = run.post("/-/reload");
    assert!(status == 400 && body.contains("trailmeter.yaml"), "{status} {body}");
    check(&run, 100, 100);

    with_accounts(&ours.join(","));
    let (status, body) = run.post("/-/reload");
    assert_eq!(status, 200, "{body}");
    wait_for_metric(&run, RELOADED);
    setup.write("max_records: 77", &reloadable.replace("ACCOUNTS", ""));
    let (status, body) = run.post("/-/reload");
    assert!(status == 400 && body.contains("sources") && body.contains("restart"), "{status} {body}");
    wait_for_metric(&run, NOT_RELOADED);
    // Of the refused change nothing is in force.
    check(&run, 150, 150);
    assert!(run.stop().success());
}
