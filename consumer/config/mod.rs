//! The config: what the file says, lowered to what was checked.
//!
//! Enters: a YAML file. Leaves: a [`Config`] in which every value is sound, or all problems at once, each naming its
//! key and the fix.

mod alerting;
mod problems;
pub mod raw;
mod rules;
pub mod units;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use problems::Problems;
use raw::{
    RawAccount, RawConfig, RawEmbedded, RawFiles, RawGenerator, RawKinesis, RawLimits, RawSource, RawStart,
};
use units::{Size, Span};

use crate::decode::Limits;
use crate::detect::source::RuleSources;
use crate::duplicates::DuplicateLimits;
use crate::event::judge::Policy;
use crate::event::time;
use crate::pipeline::Settings;
use crate::sink::{Holding, SinkOptions};
use crate::source::files::FilesOptions;
use crate::source::generator::GeneratorOptions;
use crate::source::kinesis::{Backoff, KinesisOptions, StartAt};
use crate::window::CallerLimits;

/// A checked config.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where records come from.
    pub sources: Vec<SourceConfig>,
    /// The state's file.
    pub state_path: PathBuf,
    /// What the shards' tasks heed, and a re-reading may change.
    pub settings: Settings,
    /// Bytes read and not yet counted, over all shards.
    pub inflight_bytes: u64,
    /// Where detection rules come from.
    pub rules: RuleSources,
    /// Between two looks whether their files have changed.
    pub rules_check_interval: Duration,
    /// Where alerts go.
    pub sinks: Vec<SinkOptions>,
    /// How Alertmanager holds them.
    pub holding: Holding,
    /// The web server.
    pub web: WebConfig,
    /// Where rejected events go, and how large it may grow.
    pub dead_letter: Option<(PathBuf, u64)>,
    /// How long the end may take.
    pub grace: Duration,
    /// What the file says, with the defaults.
    pub raw: RawConfig,
}

/// One source.
#[derive(Clone, Debug)]
pub enum SourceConfig {
    /// A Kinesis stream.
    Kinesis(KinesisOptions),
    /// Files.
    Files(FilesOptions),
    /// Generated events.
    Generator(GeneratorOptions),
}

impl SourceConfig {
    fn name(&self) -> &str {
        match self {
            Self::Kinesis(options) => &options.name,
            Self::Files(options) => &options.name,
            Self::Generator(options) => &options.name,
        }
    }
}

/// The web server.
#[derive(Clone, Debug)]
pub struct WebConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where people reach the page, if the config says so; without a slash at the end.
    pub external_url: Option<String>,
    /// Whether `POST /-/reload` is answered.
    pub enable_reload: bool,
    /// Connections at once.
    pub max_connections: usize,
    /// Bytes of a request's body.
    pub max_body: usize,
    /// Requests of one address a second; 0: without a limit.
    pub max_requests_per_second: u32,
    /// TLS, names and passwords.
    pub web_config_file: Option<PathBuf>,
}

/// A GetRecords answer holds up to 10 MiB (facts of the Kinesis API), and room for one is taken before it is asked.
const LEAST_INFLIGHT: u64 = 16 << 20;

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// All problems, each naming its key and the fix.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Problems::one(&shown, "", format!("can't be read: {error}")))?;
        Self::parse(&text, &shown)
    }

    /// Reads and checks a text; `name` is what problems call it.
    ///
    /// # Errors
    /// All problems, each naming its key and the fix.
    pub fn parse(text: &str, name: &str) -> Result<Self, Problems> {
        let deserializer = serde_yaml_ng::Deserializer::from_str(text);
        let raw = serde_path_to_error::deserialize(deserializer);
        let raw = raw.map_err(|error| problems::of_reading(name, &error))?;
        Self::check(raw, name)
    }

    /// Checks what a file says.
    ///
    /// # Errors
    /// All problems, each naming its key and the fix.
    pub fn check(raw: RawConfig, name: &str) -> Result<Self, Problems> {
        let mut problems = Problems::new(name);
        let sources = sources(&raw, &mut problems);
        let web = web(&raw, &mut problems);
        let settings = settings(&raw, &mut problems);
        let (rules, rules_check_interval) =
            (rules::sources(&raw, &mut problems), rules::check_interval(&raw, &mut problems));
        let sinks = alerting::sinks(&raw, &mut problems);
        let holding = alerting::holding(&raw.alerts, &mut problems);
        let inflight = raw.limits.inflight_bytes;
        if inflight.0 < LEAST_INFLIGHT {
            let why =
                format!("{inflight} is too small: one answer of Kinesis takes 10MiB, write 16MiB or more");
            problems.add("limits.inflight_bytes", why);
        }
        let config = Self {
            sources,
            state_path: PathBuf::from(&raw.state.embedded.path),
            settings,
            inflight_bytes: inflight.0,
            rules,
            rules_check_interval,
            sinks,
            holding,
            web,
            dead_letter: raw
                .dead_letter
                .path
                .as_ref()
                .map(|path| (PathBuf::from(path), raw.dead_letter.max_bytes.0)),
            grace: Duration::from_millis(raw.shutdown.grace.0),
            raw,
        };
        problems.none_or(config)
    }

    /// The keys that differ from `newer`'s and can only be changed by a restart.
    pub fn needs_restart(&self, newer: &Self) -> Vec<&'static str> {
        let (old, new) = (&self.raw, &newer.raw);
        let mut keys = Vec::new();
        let mut compare = |key, differs| {
            if differs {
                keys.push(key)
            }
        };
        compare("sources", old.sources != new.sources);
        compare("state.embedded.path", old.state.embedded.path != new.state.embedded.path);
        compare("limits.inflight_bytes", old.limits.inflight_bytes != new.limits.inflight_bytes);
        compare("web.listen", old.web.listen != new.web.listen);
        compare("web.external_url", old.web.external_url != new.web.external_url);
        compare("rules.check_interval", old.rules.check_interval != new.rules.check_interval);
        compare("alerts", old.alerts != new.alerts);
        compare("sinks", old.sinks != new.sinks);
        compare("web.max_connections", old.web.max_connections != new.web.max_connections);
        compare("web.max_body", old.web.max_body != new.web.max_body);
        let rates = [&old.web, &new.web].map(|web| web.max_requests_per_second);
        compare("web.max_requests_per_second", rates[0] != rates[1]);
        compare("web.web_config_file", old.web.web_config_file != new.web.web_config_file);
        compare("limits.event_bytes", old.limits.event_bytes != new.limits.event_bytes);
        compare("shutdown.grace", old.shutdown.grace != new.shutdown.grace);
        compare("dead_letter", old.dead_letter != new.dead_letter);
        compare("log.format", old.log.format != new.log.format);
        keys
    }
}

fn sources(raw: &RawConfig, problems: &mut Problems) -> Vec<SourceConfig> {
    if raw.sources.is_empty() {
        problems.add(
            "sources",
            "there is none: write at least one, such as `sources: [{kinesis: {stream: cloudtrail}}]`",
        );
    }
    let mut sources: Vec<SourceConfig> = Vec::new();
    for (at, source) in raw.sources.iter().enumerate() {
        let key = format!("sources[{at}]");
        let Some(source) = source_of(&key, source, raw, problems) else { continue };
        let name = source.name();
        if name.is_empty() || name.contains('/') || name.chars().any(char::is_control) {
            problems.add(&format!("{key}.name"), format!("{name:?} is no name: write one without `/`"));
        }
        if sources.iter().any(|other| other.name() == name) {
            problems.add(
                &format!("{key}.name"),
                format!("two sources are called `{name}`: give each its own `name`"),
            );
        }
        sources.push(source);
    }
    sources
}

fn source_of(
    key: &str,
    source: &RawSource,
    raw: &RawConfig,
    problems: &mut Problems,
) -> Option<SourceConfig> {
    match (&source.kinesis, &source.files, &source.generator) {
        (Some(stream), None, None) => {
            kinesis(&format!("{key}.kinesis"), stream, problems).map(SourceConfig::Kinesis)
        }
        (None, Some(files), None) => {
            Some(SourceConfig::Files(file_options(key, files, &raw.limits, problems)))
        }
        (None, None, Some(generator)) => Some(SourceConfig::Generator(generated(key, generator, problems))),
        _ => {
            problems.add(key, "write exactly one of `kinesis`, `files` and `generator`");
            None
        }
    }
}

fn kinesis(key: &str, raw: &RawKinesis, problems: &mut Problems) -> Option<KinesisOptions> {
    let before = problems.count();
    let is_valid = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if raw.stream.is_empty() || raw.stream.len() > 128 || !raw.stream.chars().all(is_valid) {
        let why = format!(
            "{:?} is no stream's name: letters, digits, `_`, `.`, `-`, at most 128; not the ARN",
            raw.stream
        );
        problems.add(&format!("{key}.stream"), why);
    }
    let start = match (raw.start, raw.timestamp.as_deref()) {
        (RawStart::TrimHorizon, None) => StartAt::TrimHorizon,
        (RawStart::Latest, None) => StartAt::Latest,
        (RawStart::AtTimestamp, Some(text)) => match time::parse(text).and_then(|s| u64::try_from(s).ok()) {
            Some(seconds) => StartAt::AtTimestamp { ms: seconds * 1000 },
            None => {
                problems.add(
                    &format!("{key}.timestamp"),
                    format!("{text:?} is no time: write it as 2023-07-10T11:42:18Z"),
                );
                StartAt::TrimHorizon
            }
        },
        (RawStart::AtTimestamp, None) => {
            problems.add(
                &format!("{key}.timestamp"),
                "is missing: `start: at_timestamp` needs the time to begin at",
            );
            StartAt::TrimHorizon
        }
        (_, Some(_)) => {
            problems.add(
                &format!("{key}.timestamp"),
                "goes with `start: at_timestamp` only: remove it or change `start`",
            );
            StartAt::TrimHorizon
        }
    };
    if !(0.1..=5.0).contains(&raw.reads_per_second) {
        let why = format!(
            "{} is out of bounds: the service allows 5 reads per second and shard, write 0.1 to 5",
            raw.reads_per_second
        );
        problems.add(&format!("{key}.reads_per_second"), why);
    }
    if !(1..=10_000).contains(&raw.max_records) {
        problems.add(
            &format!("{key}.max_records"),
            format!("{} is out of bounds: write 1 to 10000", raw.max_records),
        );
    }
    if raw.list_interval < Span(1000) {
        problems.add(&format!("{key}.list_interval"), "is too short: write 1s or more");
    }
    if let Some(endpoint) = &raw.endpoint
        && !(endpoint.starts_with("http://") || endpoint.starts_with("https://"))
    {
        problems
            .add(&format!("{key}.endpoint"), format!("{endpoint:?} is no URL: write http://… or https://…"));
    }
    if problems.count() > before {
        return None;
    }
    Some(KinesisOptions {
        name: raw.name.clone().unwrap_or_else(|| raw.stream.clone()),
        stream: raw.stream.clone(),
        region: raw.region.clone(),
        endpoint: raw.endpoint.clone(),
        start,
        reads_per_second: raw.reads_per_second,
        max_records: i32::try_from(raw.max_records).unwrap_or(i32::MAX),
        list_interval: Duration::from_millis(raw.list_interval.0),
        backoff: Backoff::default(),
    })
}

fn file_options(key: &str, raw: &RawFiles, limits: &RawLimits, problems: &mut Problems) -> FilesOptions {
    if raw.paths.is_empty() {
        problems.add(&format!("{key}.files.paths"), "is empty: name files, folders, globs, or `-`");
    }
    if !(Size(1 << 10)..=Size(64 << 20)).contains(&raw.piece_bytes) {
        problems.add(
            &format!("{key}.files.piece_bytes"),
            format!("{} is out of bounds: write 1KiB to 64MiB", raw.piece_bytes),
        );
    }
    FilesOptions {
        name: raw.name.clone(),
        paths: raw.paths.clone(),
        follow: raw.follow,
        max_event_bytes: limits.event_bytes.0 as usize,
        piece_bytes: raw.piece_bytes.0.min(limits.inflight_bytes.0) as usize,
    }
}

fn generated(key: &str, raw: &RawGenerator, problems: &mut Problems) -> GeneratorOptions {
    if !(1..=100_000).contains(&raw.rate) {
        problems.add(
            &format!("{key}.generator.rate"),
            format!("{} is out of bounds: write 1 to 100000", raw.rate),
        );
    }
    if !(1..=256).contains(&raw.shards) {
        problems.add(
            &format!("{key}.generator.shards"),
            format!("{} is out of bounds: write 1 to 256", raw.shards),
        );
    }
    GeneratorOptions {
        name: raw.name.clone(),
        seed: raw.seed,
        rate: raw.rate,
        backlog: raw.backlog,
        shards: raw.shards,
    }
}

fn web(raw: &RawConfig, problems: &mut Problems) -> WebConfig {
    let listen = raw.web.listen.replace("localhost:", "127.0.0.1:").parse().unwrap_or_else(|_| {
        let why = format!(
            "{:?} is no address: write ADDRESS:PORT, such as 127.0.0.1:9464 or 0.0.0.0:9464",
            raw.web.listen
        );
        problems.add("web.listen", why);
        SocketAddr::from(([127, 0, 0, 1], 0))
    });
    if raw.web.max_connections == 0 {
        problems.add("web.max_connections", "is 0: nobody could connect, write 1 or more");
    }
    WebConfig {
        listen,
        external_url: raw.web.external_url.as_deref().map(|url| external_url(url, problems)),
        enable_reload: raw.web.enable_reload,
        max_connections: raw.web.max_connections as usize,
        max_body: raw.web.max_body.0 as usize,
        max_requests_per_second: raw.web.max_requests_per_second,
        web_config_file: raw.web.web_config_file.as_ref().map(PathBuf::from),
    }
}

fn external_url(url: &str, problems: &mut Problems) -> String {
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        problems.add("web.external_url", format!("{url:?} is no URL: write http://… or https://…"));
    }
    url.trim_end_matches('/').to_owned()
}

fn settings(raw: &RawConfig, problems: &mut Problems) -> Settings {
    let weak_callers = Arc::new(alerting::callers(raw, problems));
    let rules = rules::bounds(raw, problems);
    let limits = &raw.limits;
    let RawEmbedded { path, commit_interval, commit_bytes } = &raw.state.embedded;
    let mut at_least = |key: &str, value: u64, least: u64, most: u64| {
        if !(least..=most).contains(&value) {
            problems.add(key, format!("{value} is out of bounds: write {least} to {most}"));
        }
    };
    at_least("limits.duplicates.ids", limits.duplicates.ids, 1, 1 << 31);
    at_least("limits.callers", limits.callers, 1, 100_000_000);
    at_least("limits.outside_callers", limits.outside_callers, 1, 30_000_000);
    at_least("limits.weak_callers", limits.weak_callers, 1, 100_000_000);
    at_least("limits.outside_weak_callers", limits.outside_weak_callers, 1, 30_000_000);
    at_least("limits.caller_values", limits.caller_values, 1, 10_000);
    at_least("limits.depth", limits.depth, 8, 1024);
    let mut size_within = |key: &str, value: u64, least: u64, most: u64| {
        if !(least..=most).contains(&value) {
            let (value, least, most) = (Size(value), Size(least), Size(most));
            problems.add(key, format!("{value} is out of bounds: write {least} to {most}"));
        }
    };
    size_within("limits.event_bytes", limits.event_bytes.0, 1 << 10, 64 << 20);
    size_within("limits.decompressed_bytes", limits.decompressed_bytes.0, 1 << 20, 1 << 30);
    size_within("state.embedded.commit_bytes", commit_bytes.0, 1 << 16, 1 << 30);
    if path.is_empty() {
        problems.add("state.embedded.path", "is empty: name a file");
    }
    if !(Span(10)..=Span(600_000)).contains(commit_interval) {
        problems.add(
            "state.embedded.commit_interval",
            format!("{commit_interval} is out of bounds: write 10ms to 10m"),
        );
    }
    Settings {
        policy: Policy {
            future_s: (limits.future.0 / 1000).cast_signed(),
            accounts: accounts(raw, problems),
        },
        decode: Limits {
            decompressed_bytes: limits.decompressed_bytes.0 as usize,
            event_bytes: limits.event_bytes.0 as usize,
            depth: limits.depth as usize,
        },
        duplicates: DuplicateLimits {
            for_s: (limits.duplicates.remember.0 / 1000).cast_signed(),
            ids: limits.duplicates.ids as usize,
        },
        callers: CallerLimits { own: limits.callers as usize, outside: limits.outside_callers as usize },
        weak_callers,
        rules,
        series: limits.series as usize,
        commit_interval_ms: commit_interval.0,
        commit_bytes: commit_bytes.0 as usize,
    }
}

fn accounts(raw: &RawConfig, problems: &mut Problems) -> HashSet<String> {
    let accounts = raw.organization.accounts.iter().enumerate();
    accounts
        .map(|(at, account)| account_id(&format!("organization.accounts[{at}]"), account, problems))
        .collect()
}

fn account_id(key: &str, account: &RawAccount, problems: &mut Problems) -> String {
    let id = match account {
        RawAccount::Text(id) => id.clone(),
        // YAML reads 012345678901 as a number, without its zero.
        RawAccount::Number(number) => format!("{number:012}"),
    };
    if id.len() != 12 || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        problems.add(key, format!("{id:?} is no account id: write 12 digits in quotes"));
    }
    id
}

#[cfg(test)]
mod tests;
