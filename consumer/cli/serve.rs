//! The service: builds everything from a config, runs until told to stop, drains.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::rules_in_force::RulesInForce;
use super::{Failure, log};
use crate::config::{Config, SourceConfig, WebConfig};
use crate::detect::source::RulesError;
use crate::metrics::Metrics;
use crate::pipeline::{DeadLetter, Learning, Pipeline, Readiness, Settings, Views};
use crate::sink::Sinks;
use crate::source::Source;
use crate::source::files::FilesSource;
use crate::source::generator::GeneratorSource;
use crate::source::kinesis::KinesisSource;
use crate::state::{EmbeddedState, StateError};
use crate::web::access::Access;
use crate::web::{self, Bounds, ReloadRequest, Status, Web};
use crate::{Clock, system_clock};

/// A client slower than this is let go.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

/// At the end, sinks may take so long to be told what was committed last; the rest waits for the next start.
const LAST_DELIVERY: Duration = Duration::from_secs(3);

/// More open files than this are not asked for.
const MOST_OPEN_FILES: u64 = 65_536;

/// What to do when the address is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Say so and end.
    Exactly,
    /// Take a free port.
    OrElsewhere,
}

/// Reads the config again.
pub type Reload = Box<dyn Fn() -> Result<Config, String> + Send>;

/// Runs the service until SIGTERM or SIGINT. `listening` is told the address once it is served.
pub async fn serve(
    config: Config,
    listen: Listen,
    reload: Reload,
    listening: impl FnOnce(SocketAddr),
) -> Result<(), Failure> {
    let clock = system_clock();
    // Connections, shards and files all take one; a shell's default is often 1,024.
    if let Err(error) = rlimit::increase_nofile_limit(MOST_OPEN_FILES) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
    let shutdown = CancellationToken::new();
    let metrics = Arc::new(Metrics::new()?);
    metrics.reloaded(true, clock());
    let rules = RulesInForce::begin(config.rules.clone(), &metrics, clock()).await.map_err(of_rules)?;
    let access = Access::begin(config.web.web_config_file.as_deref()).map_err(of_access)?;
    let sources = self::sources(&config, &clock).await?;
    let listener = bind(config.web.listen, listen).await?;
    let address = listener.local_addr()?;
    if let Some(warning) = access.rules().warning(address) {
        tracing::warn!(%address, "{warning}");
    }
    let state = open_state(config.state_path.clone(), &clock)?;
    let (settings_sender, settings) = watch::channel(Arc::new(settings_of(&config, &rules)));
    let (status_sender, status) = watch::channel(Arc::new(status_of(&config)));
    let (reload_sender, reload_requests) = mpsc::channel(16);
    let (state, views, readiness) = (Arc::new(state), Arc::<Views>::default(), Arc::<Readiness>::default());
    let link: Arc<str> = config
        .web
        .external_url
        .clone()
        .unwrap_or_else(|| format!("{}://{address}", scheme(&access.rules())))
        .into();
    if !config.sinks.is_empty() && config.web.external_url.is_none() && address.ip().is_unspecified() {
        tracing::warn!(%link, "alerts link to an address that nobody can open: set `web.external_url`");
    }
    let sinks = Sinks::start(config.sinks.clone(), config.holding, &state, &metrics, &clock, &link).await;
    let sinks = sinks.map_err(|error| Failure::Usage(format!("alerts: {error}")))?;
    let pipeline = Arc::new(Pipeline {
        learning: Arc::new(Learning::new(Arc::clone(&state), Arc::clone(&views), Arc::clone(&readiness))),
        alert_link: (!config.sinks.is_empty()).then_some(link),
        state,
        views,
        readiness,
        metrics: Arc::clone(&metrics),
        settings: settings.clone(),
        dead_letter: Some(Arc::new(dead_letter(&config)?)),
        clock: Arc::clone(&clock),
        shutdown: shutdown.clone(),
    });
    let web = Arc::new(Web {
        views: Arc::clone(&pipeline.views),
        state: Arc::clone(&pipeline.state),
        learning: Arc::clone(&pipeline.learning),
        sinks: sinks.statuses(),
        sources: sources.clone(),
        readiness: Arc::clone(&pipeline.readiness),
        metrics: Arc::clone(&metrics),
        settings,
        access: Arc::new(access),
        clock: Arc::clone(&clock),
        rules: rules.status(),
        status,
        reload: Some(reload_sender),
    });
    let web_shutdown = CancellationToken::new();
    let served = tokio::spawn(web::serve(listener, web, bounds(&config.web), web_shutdown.clone()));
    let grace = config.grace;
    let reloader =
        Reloader { config, reload, rules, settings: settings_sender, status: status_sender, metrics, clock };
    tokio::spawn(reloader.run(reload_requests));
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
    listening(address);
    let result = until_stopped(&pipeline, sources, &shutdown, grace).await;
    sinks.stop(LAST_DELIVERY).await;
    web_shutdown.cancel();
    served.await.context("the web server panicked")??;
    result
}

/// Runs the pipeline. Once its sources have ended, what was counted is served until the process is told to stop.
async fn until_stopped(
    pipeline: &Arc<Pipeline>,
    sources: Vec<Arc<dyn Source>>,
    shutdown: &CancellationToken,
    grace: Duration,
) -> Result<(), Failure> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut running = tokio::spawn(Arc::clone(pipeline).run(sources));
    let ended = tokio::select! {
        ended = &mut running => Some(ended),
        () = either(&mut terminate, &mut interrupt) => None,
    };
    match ended {
        Some(ended) => {
            ended.context("the pipeline panicked")??;
            tracing::info!("all sources have ended; what was counted is served");
            either(&mut terminate, &mut interrupt).await;
            pipeline.readiness.stop();
            Ok(())
        }
        None => {
            pipeline.readiness.stop();
            shutdown.cancel();
            tracing::info!("stopping: what was read is committed");
            tokio::select! {
                ended = running => Ok(ended.context("the pipeline panicked")??),
                () = tokio::time::sleep(grace) => {
                    let why = "not everything was committed within shutdown.grace; it is read again at the next start";
                    Err(Failure::Runtime(anyhow::anyhow!(why)))
                }
                () = either(&mut terminate, &mut interrupt) => {
                    Err(Failure::Runtime(anyhow::anyhow!("stopped at once by a second signal")))
                }
            }
        }
    }
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

async fn bind(address: SocketAddr, listen: Listen) -> Result<TcpListener, Failure> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if listen == Listen::OrElsewhere && error.kind() == std::io::ErrorKind::AddrInUse => {
            Ok(TcpListener::bind(SocketAddr::new(address.ip(), 0)).await?)
        }
        Err(error) => {
            let why = format!(
                "can't listen on {address} ({error}): set `web.listen` or --listen to a free address"
            );
            Err(Failure::Runtime(anyhow::anyhow!(why)))
        }
    }
}

fn scheme(rules: &web::access::Rules) -> &'static str {
    if rules.tls.is_some() { "https" } else { "http" }
}

/// All problems of a web config.
pub fn of_access(problems: Vec<web::access::Problem>) -> Failure {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Failure::Usage(format!("web.web_config_file: {}", lines.join("\n")))
}

fn open_state(path: PathBuf, clock: &Clock) -> Result<EmbeddedState, Failure> {
    EmbeddedState::open(&path, clock()).map_err(|error| match error {
        StateError::InUse { .. } | StateError::Newer { .. } => Failure::Usage(error.to_string()),
        error => Failure::Runtime(error.into()),
    })
}

fn dead_letter(config: &Config) -> Result<DeadLetter, Failure> {
    let file = config.dead_letter.as_ref().map(|(path, max_bytes)| (path.as_path(), *max_bytes));
    DeadLetter::open(file).map_err(|error| {
        let path =
            config.dead_letter.as_ref().map(|(path, _)| path.display().to_string()).unwrap_or_default();
        Failure::Usage(format!("dead_letter.path: {path} can't be written: {error}"))
    })
}

async fn sources(config: &Config, clock: &Clock) -> Result<Vec<Arc<dyn Source>>, Failure> {
    let inflight = Arc::new(Semaphore::new((config.inflight_bytes / 1024) as usize));
    let mut sources: Vec<Arc<dyn Source>> = Vec::new();
    for (at, source) in config.sources.iter().enumerate() {
        let (inflight, clock) = (Arc::clone(&inflight), Arc::clone(clock));
        sources.push(match source {
            SourceConfig::Kinesis(options) => {
                let random = Arc::new(rand::random::<f64>);
                let source = KinesisSource::connect(options.clone(), inflight, clock, random).await;
                Arc::new(source.map_err(|error| Failure::Usage(format!("sources[{at}].kinesis: {error}")))?)
            }
            SourceConfig::Files(options) => {
                crate::source::files::list(&options.paths)
                    .map_err(|error| Failure::Usage(format!("sources[{at}].files.paths: {error}")))?;
                Arc::new(FilesSource::new(options.clone(), inflight, clock))
            }
            SourceConfig::Generator(options) => Arc::new(GeneratorSource::new(options.clone(), clock)),
        });
    }
    Ok(sources)
}

fn bounds(web: &WebConfig) -> Bounds {
    Bounds {
        max_connections: web.max_connections,
        max_body: web.max_body,
        requests_per_second: web.max_requests_per_second,
        timeout: CLIENT_TIMEOUT,
    }
}

/// What the tasks heed: the config's settings with the rules in force.
fn settings_of(config: &Config, rules: &RulesInForce) -> Settings {
    let mut settings = config.settings.clone();
    settings.rules = settings.rules.with(rules.set());
    settings
}

/// Rules that can't be used at the start: broken ones are a matter of the config, unreadable ones may be none of ours.
fn of_rules(error: RulesError) -> Failure {
    match error {
        RulesError::Broken(_) => Failure::Usage(format!("rules: {error}")),
        RulesError::Unreadable(why) if why.contains("s3://") => {
            Failure::Runtime(anyhow::anyhow!("rules: {why}"))
        }
        error => Failure::Usage(format!("rules: {error}")),
    }
}

fn status_of(config: &Config) -> Status {
    // The config holds plain data only: it has no way to fail.
    let raw = serde_json::to_value(&config.raw).unwrap_or_default();
    Status { config: raw, reload_enabled: config.web.enable_reload }
}

/// Reads the config again, at SIGHUP and when the API asks.
struct Reloader {
    config: Config,
    reload: Reload,
    rules: RulesInForce,
    settings: watch::Sender<Arc<Settings>>,
    status: watch::Sender<Arc<Status>>,
    metrics: Arc<Metrics>,
    clock: Clock,
}

impl Reloader {
    async fn run(mut self, mut requests: mpsc::Receiver<ReloadRequest>) {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => return tracing::error!(%error, "SIGHUP can't be heeded"),
        };
        let mut looks = tokio::time::interval(self.config.rules_check_interval);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let answer: Option<oneshot::Sender<Result<(), String>>> = tokio::select! {
                _ = hangup.recv() => None,
                Some(request) = requests.recv() => Some(request),
                _ = looks.tick() => {
                    if self.rules.look((self.clock)()).await {
                        self.settings.send_replace(Arc::new(settings_of(&self.config, &self.rules)));
                    }
                    continue;
                }
            };
            let result = self.read_again().await;
            self.metrics.reloaded(result.is_ok(), (self.clock)());
            match &result {
                Ok(()) => tracing::info!("the config was read again and is in force"),
                Err(why) => {
                    tracing::error!(%why, "the config was read again and refused: the old one stays in force")
                }
            }
            if let Some(answer) = answer {
                // Whoever asked may be gone.
                answer.send(result).ok();
            }
        }
    }

    /// All that can fail comes before anything is changed.
    async fn read_again(&mut self) -> Result<(), String> {
        let config = (self.reload)()?;
        let fixed = self.config.needs_restart(&config);
        if !fixed.is_empty() {
            let verb = if fixed.len() == 1 { "changed and needs" } else { "changed and need" };
            return Err(format!("{} {verb} a restart: nothing was changed", fixed.join(", ")));
        }
        let read = self.rules.read_again(config.rules.clone(), (self.clock)()).await;
        read.map_err(|error| error.to_string())?;
        self.settings.send_replace(Arc::new(settings_of(&config, &self.rules)));
        self.status.send_replace(Arc::new(status_of(&config)));
        log::set_level(config.raw.log.level);
        self.config = config;
        Ok(())
    }
}
