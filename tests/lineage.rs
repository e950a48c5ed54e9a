//! Splits and merges through the whole pipeline and the state: what children inherit, with crashes in between.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use redb::{ReadableDatabase, TableHandle};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use trailmeter::config::Config;
use trailmeter::metrics::Metrics;
use trailmeter::pipeline::{Learning, Pipeline, Readiness, Views};
use trailmeter::source::{
    Advance, Announcement, Batch, Batches, Coordination, Parent, Payload, Position, Record, ShardId,
    ShardPlan, ShardStatus, Source, StoredShard,
};
use trailmeter::state::{EmbeddedState, STATE_VERSION};
use trailmeter::window::WindowSize;

/// Shards with their parents, in the order of their starting hash keys among siblings:
/// `a` splits into `b` and `c`; `c` and `d` merge into `e`; `e` splits into `f` and `g`.
const SHARDS: [(&str, &[&str]); 7] =
    [("a", &[]), ("d", &[]), ("b", &["a"]), ("c", &["a"]), ("e", &["c", "d"]), ("f", &["e"]), ("g", &["e"])];
const OPEN: [&str; 3] = ["b", "f", "g"];
/// Nothing that a test waits for takes so long on a machine that works.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
const NOW_MS: u64 = 1_700_000_000_000;

fn children(shard: &str) -> Vec<&'static str> {
    SHARDS.iter().filter(|(_, parents)| parents.contains(&shard)).map(|(child, _)| *child).collect()
}

/// A stream that lies in memory.
#[derive(Debug)]
struct Stream {
    events: BTreeMap<&'static str, Vec<u32>>,
    initial: usize,
}

fn id(shard: &str) -> ShardId {
    ShardId::new("stream", shard)
}

fn event(number: u32) -> Vec<u8> {
    let minute = number % 50;
    format!(
        r#"{{"eventID":"{number}","eventTime":"2023-11-14T21:{minute:02}:00Z","eventSource":"s3.amazonaws.com","eventName":"Get","userIdentity":{{"type":"IAMUser","accountId":"1","arn":"u{}"}}}}"#,
        number % 7
    )
    .into_bytes()
}

impl Source for Stream {
    fn kind(&self) -> &'static str {
        "kinesis"
    }

    fn name(&self) -> &str {
        "stream"
    }

    fn coordinate(
        self: Arc<Self>,
        stored: Vec<StoredShard>,
        announce: mpsc::Sender<Announcement>,
        mut finished_shards: mpsc::Receiver<ShardId>,
        shutdown: CancellationToken,
    ) -> Coordination {
        Box::pin(async move {
            if stored.is_empty() {
                // The first so many shards exist when the stream is first read.
                let initial =
                    SHARDS.iter().take(self.initial).map(|(shard, _)| (id(shard), Position::TrimHorizon));
                let initial = initial.collect();
                announce.send(Announcement::Initial(initial)).await?;
            }
            let is_finished = |shard: &&StoredShard| shard.position == Position::ShardEnd;
            let mut finished: BTreeSet<ShardId> =
                stored.iter().filter(is_finished).map(|s| s.shard.clone()).collect();
            let mut started = finished.clone();
            announce.send(Announcement::Listed).await?;
            loop {
                for (shard, parents) in SHARDS.into_iter().rev() {
                    if parents.iter().all(|parent| finished.contains(&id(parent)))
                        && started.insert(id(shard))
                    {
                        announce.send(Announcement::Start(plan(shard, parents))).await?;
                    }
                }
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(()),
                    Some(shard) = finished_shards.recv() => { finished.insert(shard); }
                }
            }
        })
    }

    fn open(
        self: Arc<Self>,
        shard: ShardId,
        position: Position,
        _status: Arc<ShardStatus>,
        shutdown: CancellationToken,
    ) -> Batches {
        let done = match position {
            Position::AfterSequenceNumber(number) => number.parse::<usize>().unwrap() + 1,
            _ => 0,
        };
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let events = &self.events[shard.shard()];
            let is_open = OPEN.contains(&shard.shard());
            for (at, number) in events.iter().enumerate().skip(done) {
                let position = Position::AfterSequenceNumber(at.to_string());
                if sender.send(batch(Some(*number), position, false)).await.is_err() {
                    return;
                }
            }
            if is_open {
                shutdown.cancelled().await;
            } else {
                sender.send(batch(None, Position::ShardEnd, true)).await.ok();
            }
        });
        Box::pin(tokio_stream::wrappers::ReceiverStream::new(receiver))
    }
}

fn plan(shard: &str, parents: &[&str]) -> ShardPlan {
    let parents = parents.iter().map(|parent| Parent {
        shard: id(parent),
        heir: children(parent)[0] == shard,
        children: children(parent).into_iter().map(id).collect(),
    });
    ShardPlan { shard: id(shard), begin: Position::TrimHorizon, parents: parents.collect() }
}

fn batch(number: Option<u32>, position: Position, end: bool) -> Batch {
    let record = |number| Record { payload: Payload::Bytes(Bytes::from(event(number))), arrival_ms: NOW_MS };
    Batch {
        records: number.map(record).into_iter().collect(),
        advance: Some(Advance::To(position)),
        behind_ms: Some(0),
        complete_until_ms: NOW_MS,
        gap: false,
        end,
        permit: None,
    }
}

/// Runs until all is committed, or until so many commits were made: then it breaks off without a goodbye.
async fn run(stream: Arc<Stream>, state: &Path, break_after: Option<u64>) -> Arc<Views> {
    let text = "sources: [{files: {paths: [x]}}]\nstate: {embedded: {path: x, commit_interval: 10ms}}";
    let settings = Config::parse(text, "test").unwrap().settings;
    let (_keep, settings) = watch::channel(Arc::new(settings));
    let expected: u64 = stream.events.values().map(|events| events.len() as u64).sum();
    let state = Arc::new(EmbeddedState::open(state, NOW_MS).unwrap());
    let (views, readiness) = (Arc::<Views>::default(), Arc::<Readiness>::default());
    let pipeline = Arc::new(Pipeline {
        learning: Arc::new(Learning::new(Arc::clone(&state), Arc::clone(&views), Arc::clone(&readiness))),
        alert_link: None,
        state,
        views,
        readiness,
        metrics: Arc::new(Metrics::new().unwrap()),
        settings,
        dead_letter: None,
        clock: Arc::new(|| NOW_MS),
        shutdown: CancellationToken::new(),
    });
    let began = std::time::Instant::now();
    let running = tokio::spawn(Arc::clone(&pipeline).run(vec![stream]));
    loop {
        let commits = pipeline.metrics.commits.with_label_values(&["committed"]).get();
        let events = pipeline.views.totals().events();
        assert!(events <= expected, "{events} of {expected}");
        if break_after.is_some_and(|after| commits >= after) {
            running.abort();
            running.await.ok();
            return Arc::clone(&pipeline.views);
        }
        if events == expected {
            pipeline.shutdown.cancel();
            running.await.unwrap().unwrap();
            return Arc::clone(&pipeline.views);
        }
        assert!(!running.is_finished() && began.elapsed() < PATIENCE, "{events} of {expected} events");
        tokio::task::yield_now().await;
    }
}

/// The calls that count: an event counts unless its lineage counted it before.
fn expected_calls(stream: &Stream) -> u64 {
    let mut memories: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    let mut calls = 0;
    for (shard, parents) in SHARDS {
        let mut memory: BTreeSet<u32> = parents.iter().flat_map(|parent| memories[parent].clone()).collect();
        calls += stream.events[shard].iter().filter(|number| memory.insert(**number)).count() as u64;
        memories.insert(shard, memory);
    }
    calls
}

fn streams() -> impl Strategy<Value = Stream> {
    // Few numbers, so that many events are repeated, within a lineage and across.
    let events = proptest::collection::vec(proptest::collection::vec(0u32..40, 1..12), SHARDS.len());
    (events, 2..=SHARDS.len()).prop_map(|(events, initial)| Stream {
        events: SHARDS.iter().map(|(shard, _)| *shard).zip(events).collect(),
        initial,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn children_inherit_and_nothing_is_lost_or_counted_twice(
        stream in streams(), breaks in proptest::collection::vec(0u64..6, 0..5)
    ) {
        let stream = Arc::new(stream);
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        for after in breaks {
            let broken_off = runtime();
            broken_off.block_on(run(Arc::clone(&stream), &state, Some(after)));
            drop(broken_off);
        }
        let views = runtime().block_on(run(Arc::clone(&stream), &state, None));
        let calls = expected_calls(&stream);
        let totals = views.totals();
        prop_assert_eq!(totals.calls, calls);
        let newest = views.now_s(NOW_MS);
        let window = views.window(WindowSize::Day, newest, None, 1000).unwrap();
        prop_assert_eq!(window.rows.iter().map(|row| row.calls).sum::<u64>(), calls);
        // Counts follow exactly one child: `b` has `a`'s, `f` has those of `c`, `d` and `e`.
        let left: Vec<String> = views.all().iter().map(|view| view.shard().shard().to_owned()).collect();
        prop_assert_eq!(left, OPEN);
        // And the same again after one more start.
        let again = runtime().block_on(run(Arc::clone(&stream), &state, None));
        prop_assert_eq!(again.totals(), totals);
    }
}

#[test]
fn a_newer_state_and_one_in_use_are_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let open = || EmbeddedState::open(&path, 0).map(|_| ()).unwrap_err().to_string();
    let held = EmbeddedState::open(&path, 0).unwrap();
    assert!(open().contains("in use by another trailmeter"));
    drop(held);
    set_version(&path, 99);
    assert!(open().contains(&format!("state version 99, this program knows {STATE_VERSION}")));
    std::fs::write(&path, "no database").unwrap();
    assert!(open().contains(path.to_str().unwrap()));
}

const META: redb::TableDefinition<'_, &str, u64> = redb::TableDefinition::new("meta");

fn set_version(path: &Path, version: u64) {
    let database = redb::Database::open(path).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(META).unwrap().insert("state_version", version).unwrap();
    write.commit().unwrap();
}

/// Version 1 had neither weak callers nor alerts.
#[test]
fn an_older_state_is_read_and_becomes_one_of_this_version() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    drop(EmbeddedState::open(&path, 7).unwrap());
    let database = redb::Database::open(&path).unwrap();
    let write = database.begin_write().unwrap();
    for table in ["callers", "caller_details", "alerts", "alert_cursors"] {
        let table = write.list_tables().unwrap().find(|found| found.name() == table).unwrap();
        assert!(write.delete_table(table).unwrap());
    }
    write.commit().unwrap();
    drop(database);
    set_version(&path, 1);
    let state = EmbeddedState::open(&path, 8).unwrap();
    assert_eq!(state.created_ms(), 7);
    assert_eq!(state.list_callers(None, None, 10).unwrap(), (Vec::new(), false));
    drop(state);
    let database = redb::Database::open(&path).unwrap();
    let meta = database.begin_read().unwrap().open_table(META).unwrap();
    assert_eq!(meta.get("state_version").unwrap().unwrap().value(), STATE_VERSION);
}
