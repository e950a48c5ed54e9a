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
    /// Weak callers.
    pub callers: RawCallers,
    /// What people are told, and how Alertmanager holds it.
    pub alerts: RawAlerts,
    /// Where alerts go besides Alertmanager.
    pub sinks: RawSinks,
    /// Detection rules.
    pub rules: RawRules,
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

/// Weak callers.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawCallers {
    /// Without a call for so long (event time to event time), a caller is new again.
    pub forget_after: Span,
    /// For so long after the state was made, weak callers are remembered without a page.
    pub learn_for: Span,
    /// Who is metered and not paged.
    pub accepted: Vec<RawAccepted>,
}

impl Default for RawCallers {
    fn default() -> Self {
        Self { forget_after: Span(400 * 86_400_000), learn_for: Span(0), accepted: Vec::new() }
    }
}

/// A weak caller that is put up with.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawAccepted {
    /// The principal, with `*` and `?`.
    pub principal: String,
    /// Only of this account.
    #[serde(default)]
    pub account_id: Option<RawAccount>,
    /// Only these weaknesses: one, or a list.
    #[serde(default)]
    pub weakness: Option<OneOrMany>,
    /// The last day, or the last moment.
    #[serde(default)]
    pub until: Option<String>,
    /// Why, for people.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A text, or a list of texts.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// What people are told, and how Alertmanager holds it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawAlerts {
    /// Every replica of Alertmanager.
    pub alertmanagers: Vec<RawTarget>,
    /// Between two sendings of what is held.
    pub resend: Span,
    /// How long an alert is held once a replica took it.
    pub hold: Span,
}

impl Default for RawAlerts {
    fn default() -> Self {
        Self { alertmanagers: Vec::new(), resend: Span(60_000), hold: Span(3_600_000) }
    }
}

/// Where alerts go besides Alertmanager.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawSinks {
    /// A line of JSON on standard output for each alert.
    pub stdout: bool,
    /// A program that takes what Alertmanager posts to webhooks.
    #[serde(serialize_with = "without_path")]
    pub webhook: Option<RawTarget>,
}

/// The path of a webhook is its password more often than not.
fn without_path<S: serde::Serializer>(webhook: &Option<RawTarget>, serializer: S) -> Result<S::Ok, S::Error> {
    let shown = webhook.clone().map(|target| {
        let (scheme, rest) = target.url.split_once("://").unwrap_or(("", &target.url));
        match rest.split_once(['/', '?']) {
            Some((place, path)) if !path.is_empty() => {
                RawTarget { url: format!("{scheme}://{place}/<secret>"), ..target.clone() }
            }
            _ => target,
        }
    });
    shown.serialize(serializer)
}

/// Where to post: an address, or an address with authentication and certificates.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RawTarget {
    /// The address.
    pub url: String,
    /// Name and password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<RawBasicAuth>,
    /// Certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<RawTls>,
}

/// Name and password.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RawBasicAuth {
    /// The name.
    pub username: String,
    /// The password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<RawSecret>,
    /// A file that holds the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<String>,
}

impl<'de> Deserialize<'de> for RawBasicAuth {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            username: String,
            password: Option<RawSecret>,
            password_file: Option<String>,
        }
        struct OnlyMap;
        impl<'de> serde::de::Visitor<'de> for OnlyMap {
            type Value = RawBasicAuth;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`username` with `password` or `password_file`")
            }

            /// The usual message would show it, and it may be a password.
            fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<RawBasicAuth, E> {
                Err(E::custom("a text: write `username` with `password` or `password_file`"))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<RawBasicAuth, A::Error> {
                let whole = Whole::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                let Whole { username, password, password_file } = whole;
                Ok(RawBasicAuth { username, password, password_file })
            }
        }
        deserializer.deserialize_any(OnlyMap)
    }
}

/// A text that is never shown.
#[derive(Clone, PartialEq)]
pub struct RawSecret(pub String);

impl<'de> Deserialize<'de> for RawSecret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum TextOrNot {
            Text(String),
            Not(serde::de::IgnoredAny),
        }
        match TextOrNot::deserialize(deserializer)? {
            TextOrNot::Text(text) => Ok(Self(text)),
            // The usual message would show it.
            TextOrNot::Not(_) => Err(serde::de::Error::custom("not a text: write it in quotes")),
        }
    }
}

impl std::fmt::Debug for RawSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<secret>")
    }
}

impl Serialize for RawSecret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("<secret>")
    }
}

/// Certificates, as files in PEM.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawTls {
    /// Whom to trust instead of the system's authorities.
    pub ca_file: Option<String>,
    /// Our own certificate.
    pub cert_file: Option<String>,
    /// Its key.
    pub key_file: Option<String>,
    /// Takes any certificate.
    pub insecure_skip_verify: bool,
}

impl<'de> Deserialize<'de> for RawTarget {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// As a map; a derived choice between text and map would lose what is wrong with the map.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            url: String,
            basic_auth: Option<RawBasicAuth>,
            tls_config: Option<RawTls>,
        }
        struct TextOrMap;
        impl<'de> serde::de::Visitor<'de> for TextOrMap {
            type Value = RawTarget;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a URL, or `url` with `basic_auth` and `tls_config`")
            }

            fn visit_str<E: serde::de::Error>(self, url: &str) -> Result<RawTarget, E> {
                Ok(RawTarget { url: url.to_owned(), basic_auth: None, tls_config: None })
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<RawTarget, A::Error> {
                let whole = Whole::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(RawTarget { url: whole.url, basic_auth: whole.basic_auth, tls_config: whole.tls_config })
            }
        }
        deserializer.deserialize_any(TextOrMap)
    }
}

/// Detection rules.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawRules {
    /// Files, folders, `s3://BUCKET/PREFIX`.
    pub files: Vec<String>,
    /// Packs that come with the program.
    pub packs: Vec<String>,
    /// Which of the rules that an event meets match it.
    pub matching: RawMatching,
    /// Matches of one rule in a minute that are kept and told of.
    pub max_matches_per_minute: u32,
    /// Between two looks whether the files have changed.
    pub check_interval: Span,
}

impl Default for RawRules {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            packs: Vec::new(),
            matching: RawMatching::default(),
            max_matches_per_minute: 100,
            check_interval: Span(10_000),
        }
    }
}

/// Which of the rules that an event meets match it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum RawMatching {
    /// All.
    #[default]
    All,
    /// The first, in the order of their definitions.
    First,
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
    /// Weak callers that are remembered.
    pub weak_callers: u64,
    /// Weak callers outside the organisation that are remembered.
    pub outside_weak_callers: u64,
    /// Texts in each list of a weak caller.
    pub caller_values: u64,
    /// Values and groups that rules remember.
    pub rule_values: u64,
    /// Matches of rules that are kept.
    pub matches: u64,
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
            weak_callers: 1_000_000,
            outside_weak_callers: 10_000,
            caller_values: 1000,
            rule_values: 1_000_000,
            matches: 10_000,
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
    /// Where people reach the page: what alerts link to. Default: `http://` and where it listens.
    pub external_url: Option<String>,
    /// Whether `POST /-/reload` is answered.
    pub enable_reload: bool,
    /// Connections at once.
    pub max_connections: u64,
    /// Bytes of a request's body.
    pub max_body: Size,
    /// Requests of one address a second; 0: without a limit.
    pub max_requests_per_second: u32,
    /// TLS, names and passwords, in the format of Prometheus' exporters.
    pub web_config_file: Option<String>,
}

impl Default for RawWeb {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9464".into(),
            external_url: None,
            enable_reload: false,
            max_connections: 256,
            max_body: Size(64 << 10),
            max_requests_per_second: 50,
            web_config_file: None,
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
