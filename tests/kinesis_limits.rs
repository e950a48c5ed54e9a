//! A stream that is resharded while it is read, on a server that enforces the service's write limits and lets
//! iterators expire: every record arrives exactly once, and those of a child after all of its parents'.

// A test stops at whatever it did not expect.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::types::StreamStatus;
use bytes::Bytes;
use ferrokinesis::create_app;
use ferrokinesis::store::StoreOptions;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use trailmeter::source::kinesis::api::{Answer, IteratorStart};
use trailmeter::source::kinesis::shards::Shard;
use trailmeter::source::kinesis::{Api, ApiError, KinesisOptions, KinesisSource, NewRecord, SdkApi};
use trailmeter::source::{Announcement, Payload, ShardId, ShardPlan, ShardStatus, Source};

const STREAM: &str = "cloudtrail";
/// How many records are written before the split, after it, and after the merge: more than the 1,000 a second that
/// the one shard takes at first.
const GENERATIONS: [usize; 3] = [1500, 600, 300];
/// How long a sink is down; long enough for the iterator of the reader behind it, which lives a second here.
const STALL: Duration = Duration::from_millis(1800);

/// The requests through the SDK, counting the iterators that expired.
struct Counting {
    api: SdkApi,
    expired: Arc<AtomicUsize>,
}

impl Api for Counting {
    async fn list_shards(&self) -> Result<Vec<Shard>, ApiError> {
        self.api.list_shards().await
    }

    async fn shard_iterator(&self, shard: &str, start: &IteratorStart) -> Result<String, ApiError> {
        self.api.shard_iterator(shard, start).await
    }

    async fn get_records(&self, shard: &str, iterator: &str, limit: i32) -> Result<Answer, ApiError> {
        let answer = self.api.get_records(shard, iterator, limit).await;
        if matches!(answer, Err(ApiError::ExpiredIterator(_))) {
            self.expired.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    async fn retention(&self) -> Result<Duration, ApiError> {
        self.api.retention().await
    }

    async fn put_records(&self, records: Vec<NewRecord>) -> Result<Vec<Result<(), String>>, ApiError> {
        self.api.put_records(records).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_each_record_once_across_a_split_and_a_merge() {
    let (client, api) = served().await;
    let expired = Arc::new(AtomicUsize::new(0));
    let counting = Counting { api: api.clone(), expired: expired.clone() };
    let mut options = KinesisOptions::new("trail", STREAM);
    options.max_records = 300;
    options.reads_per_second = 5.0;
    let inflight = Arc::new(Semaphore::new(64 * 1024));
    let source =
        KinesisSource::with_api(options, counting, inflight.clone(), Arc::new(now_ms), Arc::new(|| 0.5));
    let source = Arc::new(source.unwrap());

    let shutdown = CancellationToken::new();
    let (seen, mut records) = mpsc::channel(16);
    let consumer = tokio::spawn(consume(source.clone(), seen, shutdown.clone()));
    let writer = tokio::spawn(async move { write_and_reshard(&client, &api).await });

    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut generations = Vec::new();
    while counts.len() < GENERATIONS.iter().sum() {
        let record: String = tokio::time::timeout(Duration::from_secs(60), records.recv())
            .await
            .unwrap_or_else(|_| panic!("only {} records within a minute", counts.len()))
            .unwrap();
        generations.push(record[..1].to_owned());
        *counts.entry(record).or_default() += 1;
    }
    let throttled = writer.await.unwrap();
    // What comes now would come twice.
    let more = tokio::time::timeout(Duration::from_secs(1), records.recv()).await;
    assert!(more.is_err(), "a record came again: {more:?}");
    shutdown.cancel();
    let plans = consumer.await.unwrap();

    assert!(counts.values().all(|count| *count == 1));
    assert!(generations.is_sorted(), "a child was read before its parents");
    assert!(throttled > 0, "the server did not enforce its limits");
    assert!(expired.load(Ordering::Relaxed) > 0, "no iterator expired");
    assert_eq!(source.retention_ms(), Some(24 * 3_600_000));
    assert_eq!(lineage(&plans), ["0", "1<0*", "2<0", "3<1*<2*"]);
    drop(records);
    assert_eq!(inflight.available_permits(), 64 * 1024);
}

#[tokio::test]
async fn sorts_what_the_service_refuses() {
    let (_, api) = served().await;
    let shard = "shardId-000000000000";
    let starts = [
        IteratorStart::TrimHorizon,
        IteratorStart::Latest,
        IteratorStart::AtTimestamp { ms: now_ms() - 1000 },
    ];
    for start in starts {
        let iterator = api.shard_iterator(shard, &start).await.unwrap();
        assert_eq!(api.get_records(shard, &iterator, 10).await.unwrap().records, []);
    }
    let missing = api.shard_iterator("shardId-000000000007", &IteratorStart::Latest).await;
    assert_eq!(
        missing.unwrap_err().to_string(),
        "shard shardId-000000000007 of stream cloudtrail does not exist; \
         check the source's `stream`, `region` and `endpoint`"
    );
    let foreign = IteratorStart::AfterSequenceNumber("7".to_owned());
    let error = api.shard_iterator(shard, &foreign).await.unwrap_err();
    assert!(matches!(&error, ApiError::Permanent(refusal) if refusal.code == "InvalidArgumentException"));
    let iterator = api.shard_iterator(shard, &IteratorStart::TrimHorizon).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let expired = api.get_records(shard, &iterator, 10).await.unwrap_err();
    assert!(matches!(expired, ApiError::ExpiredIterator(_)));

    // Nothing listens on the port that was just given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nowhere = configured(format!("http://127.0.0.1:{port}")).await;
    let error = SdkApi::from_config(STREAM, &nowhere).unwrap().list_shards().await.unwrap_err();
    assert!(matches!(&error, ApiError::Transient(refusal) if refusal.code == "connection"), "{error}");
}

/// What the pipeline does with a source: opens what may be read, and says what ended.
async fn consume(
    source: Arc<KinesisSource<Counting>>,
    seen: mpsc::Sender<String>,
    shutdown: CancellationToken,
) -> Vec<ShardPlan> {
    let (announce, mut announced) = mpsc::channel(1);
    let (finished, ended) = mpsc::channel(1);
    let coordination = tokio::spawn(source.clone().coordinate(Vec::new(), announce, ended, shutdown.clone()));
    let mut plans: Vec<ShardPlan> = Vec::new();
    let mut readers = Vec::new();
    while let Some(announcement) = announced.recv().await {
        let Announcement::Start(plan) = announcement else { continue };
        let reader = read(source.clone(), plan.clone(), seen.clone(), finished.clone(), shutdown.clone());
        readers.push(tokio::spawn(reader));
        plans.push(plan);
    }
    coordination.await.unwrap().unwrap();
    for reader in readers {
        reader.await.unwrap();
    }
    plans
}

async fn read(
    source: Arc<KinesisSource<Counting>>,
    plan: ShardPlan,
    seen: mpsc::Sender<String>,
    finished: mpsc::Sender<ShardId>,
    shutdown: CancellationToken,
) {
    let status = Arc::new(ShardStatus::default());
    let mut batches = source.open(plan.shard.clone(), plan.begin, status, shutdown);
    let mut stalled = 0;
    while let Some(batch) = batches.next().await {
        for record in batch.records {
            let Payload::Bytes(bytes) = record.payload else { panic!("not bytes") };
            seen.send(String::from_utf8(bytes.to_vec()).unwrap()).await.unwrap();
        }
        stalled += 1;
        if stalled <= 2 {
            tokio::time::sleep(STALL).await;
        }
        if batch.end {
            finished.send(plan.shard.clone()).await.unwrap();
        }
    }
}

/// A server with a stream of one shard, and two ways to it.
async fn served() -> (Client, SdkApi) {
    let options = StoreOptions {
        create_stream_ms: 0,
        update_stream_ms: 0,
        iterator_ttl_seconds: 1,
        enforce_limits: true,
        ..StoreOptions::default()
    };
    let (app, _store) = create_app(options);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let config = configured(endpoint).await;
    let client = Client::new(&config);
    client.create_stream().stream_name(STREAM).shard_count(1).send().await.unwrap();
    active(&client).await;
    (client, SdkApi::from_config(STREAM, &config).unwrap())
}

async fn configured(endpoint: String) -> SdkConfig {
    let tls = aws_smithy_http_client::tls::Provider::Rustls(
        aws_smithy_http_client::tls::rustls_provider::CryptoMode::Ring,
    );
    let http = aws_smithy_http_client::Builder::new().tls_provider(tls).build_https();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .load()
        .await
}

/// Answers how many records were refused on the way.
async fn write_and_reshard(client: &Client, api: &SdkApi) -> usize {
    let mut throttled = write(api, 0).await;
    let middle = (u128::MAX / 2).to_string();
    let split = client.split_shard().stream_name(STREAM).shard_to_split("shardId-000000000000");
    split.new_starting_hash_key(middle).send().await.unwrap();
    active(client).await;
    throttled += write(api, 1).await;
    let merge = client.merge_shards().stream_name(STREAM).shard_to_merge("shardId-000000000001");
    merge.adjacent_shard_to_merge("shardId-000000000002").send().await.unwrap();
    active(client).await;
    throttled + write(api, 2).await
}

async fn write(api: &SdkApi, generation: usize) -> usize {
    let mut refused = 0;
    let mut left: BTreeSet<usize> = (0..GENERATIONS[generation]).collect();
    while !left.is_empty() {
        let some: Vec<usize> = left.iter().copied().take(500).collect();
        let record = |n: &usize| NewRecord {
            partition_key: format!("key-{n}"),
            data: Bytes::from(format!("{generation}-{n:05}")),
        };
        let outcomes = api.put_records(some.iter().map(record).collect()).await.unwrap();
        assert_eq!(outcomes.len(), some.len());
        for (n, outcome) in some.iter().zip(outcomes) {
            match outcome {
                Ok(()) => assert!(left.remove(n)),
                Err(code) => {
                    assert_eq!(code, "ProvisionedThroughputExceededException");
                    refused += 1;
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    refused
}

async fn active(client: &Client) {
    loop {
        let summary = client.describe_stream_summary().stream_name(STREAM).send().await.unwrap();
        if *summary.stream_description_summary().unwrap().stream_status() == StreamStatus::Active {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Each shard's number with its parents', a star where it inherits.
fn lineage(plans: &[ShardPlan]) -> Vec<String> {
    let number = |shard: &ShardId| shard.shard().trim_start_matches("shardId-00000000000").to_owned();
    let parents = |plan: &ShardPlan| {
        let parents = plan.parents.iter();
        parents
            .map(|parent| format!("<{}{}", number(&parent.shard), if parent.heir { "*" } else { "" }))
            .collect()
    };
    let text = |plan: &ShardPlan| {
        let parents: String = parents(plan);
        number(&plan.shard) + &parents
    };
    plans.iter().map(text).collect()
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}
