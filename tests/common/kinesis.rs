//! A Kinesis stream on this machine (kinesis-local), and what a test does to it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::types::StreamStatus;
use bytes::Bytes;
use tokio::runtime::Runtime;
use trailmeter::generate::partition_key;
use trailmeter::source::kinesis::shards::Shard;
use trailmeter::source::kinesis::{Api, NewRecord, SdkApi};

use super::server::{Server, free_port, is_listening};
use super::{PATIENCE, repository};

/// What the SDK of a started trailmeter finds; kinesis-local takes any.
pub const CREDENTIALS: [(&str, &str); 4] = [
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
    ("AWS_REGION", "us-east-1"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
];
/// PutRecords takes this many at once.
const MAX_RECORDS: usize = 500;

/// A running kinesis-local.
pub struct Kinesis {
    _server: Server,
    endpoint: String,
}

impl Kinesis {
    pub fn start() -> Self {
        Self::start_at(free_port())
    }

    pub fn start_at(port: u16) -> Self {
        let package = repository("tests/servers/node_modules/kinesis-local");
        assert!(package.join("main.js").exists(), "{} is missing: run `make tools`", package.display());
        let mut command = Command::new("node");
        command.arg("--require").arg(repository("tests/servers/loopback.cjs")).arg("main.js");
        command.current_dir(package).stdin(Stdio::piped());
        command.env("KINESIS_MOCK_PLAIN_PORT", port.to_string());
        command.env("KINESIS_MOCK_TLS_PORT", free_port().to_string());
        command.env("SHARD_LIMIT", "100").env("LOG_LEVEL", "ERROR");
        let mut server = Server::start(&mut command);
        server.wait_until(|| is_listening(port));
        Self { _server: server, endpoint: endpoint(port) }
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Another way to a stream that is there.
    pub fn connect(&self, name: &str) -> Stream {
        Stream::connect(&self.endpoint, name)
    }

    /// Makes a stream of so many shards.
    pub fn create(&self, name: &str, shards: i32) -> Stream {
        let stream = Stream::connect(&self.endpoint, name);
        stream.create(shards);
        stream
    }
}

pub fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// A way to one stream.
pub struct Stream {
    runtime: Runtime,
    client: Client,
    api: SdkApi,
    name: String,
}

impl Stream {
    fn connect(endpoint: &str, name: &str) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let http = aws_smithy_http_client::Builder::new().build_http();
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .region(Region::new("us-east-1"))
            .endpoint_url(endpoint);
        let config = runtime.block_on(config.load());
        let api = SdkApi::from_config(name, &config).unwrap();
        Self { runtime, client: Client::new(&config), api, name: name.to_owned() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    fn create(&self, shards: i32) {
        let request = self.client.create_stream().stream_name(&self.name).shard_count(shards);
        self.runtime.block_on(request.send()).unwrap();
        self.wait_until_active();
    }

    /// Puts all records, in their order.
    pub fn put(&self, records: &[NewRecord]) {
        for some in records.chunks(MAX_RECORDS) {
            let outcomes = self.runtime.block_on(self.api.put_records(some.to_vec())).unwrap();
            assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        }
    }

    /// The shards that are written to, by their hash keys.
    pub fn open_shards(&self) -> Vec<Shard> {
        let mut shards = self.runtime.block_on(self.api.list_shards()).unwrap();
        shards.retain(|shard| !shard.closed);
        shards.sort_by_key(|shard| shard.starting_hash_key);
        shards
    }

    /// Splits a shard in the middle.
    pub fn split(&self, shard: &Shard) {
        let middle = shard.starting_hash_key + (shard.ending_hash_key - shard.starting_hash_key) / 2;
        let request = self.client.split_shard().stream_name(&self.name).shard_to_split(&shard.id);
        self.runtime.block_on(request.new_starting_hash_key(middle.to_string()).send()).unwrap();
        self.wait_until_active();
    }

    /// Merges two shards that lie side by side.
    pub fn merge(&self, lower: &Shard, higher: &Shard) {
        let request = self.client.merge_shards().stream_name(&self.name).shard_to_merge(&lower.id);
        self.runtime.block_on(request.adjacent_shard_to_merge(&higher.id).send()).unwrap();
        self.wait_until_active();
    }

    fn wait_until_active(&self) {
        let end = Instant::now() + PATIENCE;
        let status = || {
            let request = self.client.describe_stream_summary().stream_name(&self.name);
            let summary = self.runtime.block_on(request.send()).unwrap().stream_description_summary;
            summary.unwrap().stream_status
        };
        while status() != StreamStatus::Active {
            assert!(Instant::now() < end, "stream {} does not become active", self.name);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A record with the id of its first event as partition key.
pub fn record(first_event: &[u8], data: Vec<u8>) -> NewRecord {
    NewRecord { partition_key: partition_key(first_event), data: Bytes::from(data) }
}
