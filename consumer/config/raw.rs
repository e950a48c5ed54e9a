//! The config as the file says it. Every key has a default but `sources`; unknown keys are refused.

use serde::{Deserialize, Serialize};

use super::units::{Size, Span};

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    /// Where records come from; at least one.
    pub sources: Vec<RawSource>,
    /// Where the state is kept.
    pub state: RawState,
    /// The organisation.
    pub organization: RawOrganization,
    /// Bounds.
    pub limits: RawLimits,
    /// The web server.
    pub web: RawWeb,
    /// Where rejected events go.
    pub dead_letter: RawDeadLetter,
    /// The log.
    pub log: RawLog,
    /// The end.
    pub shutdown: RawShutdown,
}

/// One source: exactly one of the keys.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawSource {
    /// A Kinesis stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinesis: Option<RawKinesis>,
    /// Files, folders, globs, standard input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<RawFiles>,
    /// Generated events, as `trailmeter demo` has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generator: Option<RawGenerator>,
}

/// A Kinesis stream.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawKinesis {
    /// The source's name, part of its shards' names in the state; default: the stream's.
    pub name: Option<String>,
    /// The stream's name.
    pub stream: String,
    /// The stream's region; default: as the AWS SDK finds it.
    pub region: Option<String>,
    /// Another endpoint than AWS's; default: as the AWS SDK finds it.
    pub endpoint: Option<String>,
    /// Where the very first start begins.
    #[serde(default)]
    pub start: RawStart,
    /// With `start: at_timestamp`: the time of arrival to begin at.
    pub timestamp: Option<String>,
    /// GetRecords calls per second and shard.
    #[serde(default = "reads_per_second")]
    pub reads_per_second: f64,
    /// Records asked for at once.
    #[serde(default = "max_records")]
    pub max_records: u32,
    /// Between two listings of the stream's shards.
    #[serde(default = "list_interval")]
    pub list_interval: Span,
}

fn reads_per_second() -> f64 {
    4.0
}

fn max_records() -> u32 {
    10_000
}

fn list_interval() -> Span {
    Span(60_000)
}

/// Where the very first start begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RawStart {
    /// At the oldest record.
    #[default]
    TrimHorizon,
    /// At the records that arrive from then on.
    Latest,
    /// At `timestamp`.
    AtTimestamp,
}

/// Files.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawFiles {
    /// The source's name; default `files`.
    #[serde(default = "files_name")]
    pub name: String,
    /// Files, folders, globs, or `-` for standard input.
    pub paths: Vec<String>,
    /// Go on with new files, and with bytes appended to plain text.
    #[serde(default)]
    pub follow: bool,
    /// Bytes of text handed over at once.
    #[serde(default = "piece_bytes")]
    pub piece_bytes: Size,
}

fn files_name() -> String {
    "files".to_owned()
}

fn piece_bytes() -> Size {
    Size(256 << 10)
}

/// Generated events.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawGenerator {
    /// The source's name.
    pub name: String,
    /// What is generated, and in which order.
    pub seed: u64,
    /// Events per second.
    pub rate: u32,
    /// Events of the last day that are there from the start.
    pub backlog: u32,
    /// Shards that the events are spread over.
    pub shards: u32,
}

impl Default for RawGenerator {
    fn default() -> Self {
        Self { name: "generator".into(), seed: 1, rate: 200, backlog: 20_000, shards: 4 }
    }
}

/// Where the state is kept.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawState {
    /// In a file on this machine.
    pub embedded: RawEmbedded,
}

/// The state in a file.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawEmbedded {
    /// The file.
    pub path: String,
    /// Between two commits of a shard.
    pub commit_interval: Span,
    /// Bytes of pending counts after which a shard commits at once.
    pub commit_bytes: Size,
}

impl Default for RawEmbedded {
    fn default() -> Self {
        Self { path: "trailmeter.state".into(), commit_interval: Span(1000), commit_bytes: Size(2 << 20) }
    }
}

/// The organisation.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawOrganization {
    /// Its accounts; empty: not said.
    pub accounts: Vec<RawAccount>,
}

/// An account's id: text, or the number that YAML reads if nobody quotes it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum RawAccount {
    /// As text.
    Text(String),
    /// As a number, which loses leading zeros.
    Number(u64),
}

/// Bounds. Each says in the metrics when it bites.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawLimits {
    /// The memory of event ids.
    pub duplicates: RawDuplicates,
    /// Callers in the windows of one shard.
    pub callers: u64,
    /// Callers outside the organisation in the windows of one shard.
    pub outside_callers: u64,
    /// Series of one metric.
    pub series: u64,
    /// Bytes read and not yet counted, over all shards.
    pub inflight_bytes: Size,
    /// Bytes of a record once its compression is off.
    pub decompressed_bytes: Size,
    /// Bytes of one JSON value of a file or a line: an event, or an envelope around many.
    pub event_bytes: Size,
    /// Nesting of objects and arrays.
    pub depth: u64,
    /// How far in the future an event's time may be.
    pub future: Span,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            duplicates: RawDuplicates::default(),
            callers: 2_000_000,
            outside_callers: 100_000,
            series: 1000,
            inflight_bytes: Size(128 << 20),
            decompressed_bytes: Size(64 << 20),
            event_bytes: Size(16 << 20),
            depth: 128,
            future: Span(15 * 60_000),
        }
    }
}

/// The memory of event ids.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawDuplicates {
    /// How long an id is remembered.
    #[serde(rename = "for")]
    pub remember: Span,
    /// How many ids a shard remembers.
    pub ids: u64,
}

impl Default for RawDuplicates {
    fn default() -> Self {
        Self { remember: Span(86_400_000), ids: 1_000_000 }
    }
}

/// The web server.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawWeb {
    /// Address and port.
    pub listen: String,
    /// Whether `POST /-/reload` is answered.
    pub enable_reload: bool,
    /// Connections at once.
    pub max_connections: u64,
    /// Bytes of a request's body.
    pub max_body: Size,
}

impl Default for RawWeb {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9464".into(),
            enable_reload: false,
            max_connections: 256,
            max_body: Size(64 << 10),
        }
    }
}

/// Where rejected events go.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawDeadLetter {
    /// A file; none: only samples in the log.
    pub path: Option<String>,
    /// How large it may grow.
    pub max_bytes: Size,
}

impl Default for RawDeadLetter {
    fn default() -> Self {
        Self { path: None, max_bytes: Size(100 << 20) }
    }
}

/// The log.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawLog {
    /// The least level.
    pub level: RawLevel,
    /// How lines look.
    pub format: RawFormat,
}

/// The least level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum RawLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum RawFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

/// The end.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawShutdown {
    /// How long the last commits may take after SIGTERM.
    pub grace: Span,
}

impl Default for RawShutdown {
    fn default() -> Self {
        Self { grace: Span(25_000) }
    }
}

impl RawKinesis {
    /// A stream with the defaults.
    pub fn of_stream(stream: &str) -> Self {
        Self {
            name: None,
            stream: stream.to_owned(),
            region: None,
            endpoint: None,
            start: RawStart::default(),
            timestamp: None,
            reads_per_second: reads_per_second(),
            max_records: max_records(),
            list_interval: list_interval(),
        }
    }
}

impl RawFiles {
    /// Paths with the defaults.
    pub fn of_paths(paths: Vec<String>) -> Self {
        Self { name: files_name(), paths, follow: false, piece_bytes: piece_bytes() }
    }
}
