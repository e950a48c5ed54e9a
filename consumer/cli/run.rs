//! `trailmeter run`: the service.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Failure, block_on, log, serve};
use crate::config::Config;
use crate::config::raw::{RawConfig, RawFiles, RawFormat, RawKinesis, RawLevel, RawSource};

/// Looked for when no config is named.
const DEFAULT_PATHS: [&str; 2] = ["trailmeter.yaml", "/etc/trailmeter/trailmeter.yaml"];

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArguments {
    /// The config [default: trailmeter.yaml here, else /etc/trailmeter/trailmeter.yaml]
    #[arg(long, env = "TRAILMETER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Without a config: count this Kinesis stream from its oldest record on
    #[arg(long, env = "TRAILMETER_STREAM", value_name = "NAME", conflicts_with = "config")]
    stream: Option<String>,
    /// Without a config: count these files, folders or globs, or `-` for standard input
    #[arg(long, env = "TRAILMETER_FILES", value_name = "PATH", conflicts_with = "config", num_args = 1..)]
    files: Vec<String>,
    /// With --files: go on with new files, and with bytes appended to plain text
    #[arg(long, env = "TRAILMETER_FOLLOW", requires = "files", value_parser = clap::builder::FalseyValueParser::new())]
    follow: bool,
    /// Where the state is kept (overrides the config) [default: trailmeter.state]
    #[arg(long, env = "TRAILMETER_STATE", value_name = "FILE")]
    state: Option<String>,
    /// Where page, API and metrics are served (overrides the config) [default: 127.0.0.1:9464]
    #[arg(long, env = "TRAILMETER_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// TLS, names and passwords for all that is served (overrides the config)
    #[arg(long, env = "TRAILMETER_WEB_CONFIG_FILE", value_name = "FILE")]
    web_config_file: Option<String>,
    /// The least level of the log (overrides the config)
    #[arg(long, env = "TRAILMETER_LOG_LEVEL")]
    log_level: Option<RawLevel>,
    /// How the log's lines look (overrides the config)
    #[arg(long, env = "TRAILMETER_LOG_FORMAT")]
    log_format: Option<RawFormat>,
}

const EXAMPLES: &str = "\
Examples:
  trailmeter run --config trailmeter.yaml
  trailmeter run --stream cloudtrail --state /var/lib/trailmeter/state
  trailmeter run --files ./AWSLogs --listen 127.0.0.1:9464
  zcat events.ndjson.gz | trailmeter run --files -

A least config:
  sources: [{kinesis: {stream: cloudtrail}}]
  state: {embedded: {path: /var/lib/trailmeter/state}}

SIGHUP reads the config again; SIGTERM commits and leaves.";

pub fn run(arguments: RunArguments) -> Result<(), Failure> {
    let config = load(&arguments)?;
    log::begin(config.raw.log.level, config.raw.log.format);
    let reload = move || load(&arguments).map_err(|failure| failure.to_string());
    block_on(serve::serve(config, serve::Listen::Exactly, Box::new(reload), |_| {}))
}

fn load(arguments: &RunArguments) -> Result<Config, Failure> {
    let (mut raw, name) = match quick(arguments) {
        Some(raw) => (raw, "the command line".to_owned()),
        None => {
            let path = config_path(arguments.config.as_deref())?;
            let config = Config::load(&path).map_err(|problems| Failure::Usage(problems.to_string()))?;
            (config.raw, path.display().to_string())
        }
    };
    if let Some(state) = &arguments.state {
        raw.state.embedded.path.clone_from(state);
    }
    if let Some(listen) = &arguments.listen {
        raw.web.listen.clone_from(listen);
    }
    if let Some(file) = &arguments.web_config_file {
        raw.web.web_config_file = Some(file.clone());
    }
    raw.log.level = arguments.log_level.unwrap_or(raw.log.level);
    raw.log.format = arguments.log_format.unwrap_or(raw.log.format);
    Config::check(raw, &name).map_err(|problems| Failure::Usage(problems.to_string()))
}

/// The config that the arguments stand for; none if they name none.
fn quick(arguments: &RunArguments) -> Option<RawConfig> {
    let mut sources = Vec::new();
    if let Some(stream) = &arguments.stream {
        sources.push(RawSource { kinesis: Some(RawKinesis::of_stream(stream)), ..RawSource::default() });
    }
    if !arguments.files.is_empty() {
        let files = RawFiles { follow: arguments.follow, ..RawFiles::of_paths(arguments.files.clone()) };
        sources.push(RawSource { files: Some(files), ..RawSource::default() });
    }
    (!sources.is_empty()).then(|| RawConfig { sources, ..RawConfig::default() })
}

/// The config that is named, else the first that is where configs are.
pub fn config_path(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    let found = DEFAULT_PATHS.iter().map(PathBuf::from).find(|path| path.exists());
    found.ok_or_else(|| {
        Failure::Usage(format!(
            "no config: name one with --config FILE, or put it at {}; without one, try `trailmeter demo`, \
             `trailmeter run --stream NAME` or `trailmeter run --files PATH`",
            DEFAULT_PATHS.join(" or ")
        ))
    })
}
