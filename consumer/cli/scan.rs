//! `trailmeter scan`: history, once.

mod athena;

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};
use trailmeter_rules::{Matching, RuleSet, SourceFile};

use self::athena::{AthenaArguments, Plan};
use super::rules::Named;
use super::{Failure, block_on};
use crate::callers::CallerPolicy;
use crate::config::Config;
use crate::config::units::Size;
use crate::decode::Limits;
use crate::event::judge::Policy;
use crate::event::time::{self, DAY_S};
use crate::report::{About, Format, Report};
use crate::s3::Location;
use crate::scan::field::Field;
use crate::scan::input::{self, Input};
use crate::scan::layout::{PassedOver, Reason, Wanted};
use crate::scan::{self, Options, Outcome, Progress, WeakCaller, s3};
use crate::state::embedded::Change;
use crate::state::{EmbeddedState, Recalled, StateError};
use crate::system_clock;

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct ScanArguments {
    /// Files, folders, globs, s3://BUCKET/PREFIX, or `-` for standard input: of CloudTrail, or access logs of S3
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<String>,
    /// Count by these fields
    #[arg(long, env = "TRAILMETER_GROUP_BY", value_name = "FIELD,…", value_delimiter = ',')]
    group_by: Vec<String>,
    /// Only calls that meet this condition, in the rule language
    #[arg(long = "where", env = "TRAILMETER_WHERE", value_name = "CONDITION")]
    condition: Option<String>,
    /// Count what rules match: files or folders in Falco's language or Sigma's; may be given several times
    #[arg(long, env = "TRAILMETER_RULES", value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// The same of a pack that comes with trailmeter, or of `all` of them
    #[arg(long, env = "TRAILMETER_RULES_PACK", value_name = "NAME", value_delimiter = ',')]
    pack: Vec<String>,
    /// Only calls from then on: 2025-07-01, 2025-07-01T12:00:00Z, or 90d for so long back from now
    #[arg(long, env = "TRAILMETER_SINCE", value_name = "TIME")]
    since: Option<String>,
    /// Only calls before then
    #[arg(long, env = "TRAILMETER_UNTIL", value_name = "TIME")]
    until: Option<String>,
    /// Of CloudTrail's folders, only those of these accounts: the ones that were delivered to
    #[arg(long, env = "TRAILMETER_ACCOUNTS", value_name = "ID,…", value_delimiter = ',')]
    account: Vec<String>,
    /// Of CloudTrail's folders, only those of these regions: the ones that were delivered in
    #[arg(long, env = "TRAILMETER_REGIONS", value_name = "NAME,…", value_delimiter = ',')]
    region: Vec<String>,
    /// With --until: folders of so many days after it are read, too, for events that were delivered late
    #[arg(long, env = "TRAILMETER_DELIVERED_WITHIN", value_name = "DAYS", default_value = "2d", value_parser = days)]
    delivered_within: i64,
    /// How the result is printed
    #[arg(long, env = "TRAILMETER_FORMAT", value_enum, default_value = "table")]
    format: Format,
    /// Write the result there instead of printing it
    #[arg(long, env = "TRAILMETER_OUTPUT", value_name = "FILE")]
    output: Option<PathBuf>,
    /// So many rows, those with most calls [default: of a table the first, of other formats all]
    #[arg(long, env = "TRAILMETER_TOP", value_name = "N")]
    top: Option<usize>,
    /// How many threads [default: one a core]
    #[arg(long, env = "TRAILMETER_THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// What the ids of events may take of memory, 16 bytes each; beyond it they are kept on disk, in TMPDIR
    #[arg(long, env = "TRAILMETER_MEMORY", value_name = "BYTES", default_value = "2GiB", value_parser = bytes)]
    memory: u64,
    /// Accounts and limits as `run` has them
    #[arg(long, env = "TRAILMETER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Put the weak callers into the memory of this state, so that `run` pages nobody for them; made if it is not there
    #[arg(long, env = "TRAILMETER_REMEMBER", value_name = "STATE")]
    remember: Option<PathBuf>,
    /// Exit with 3 if there is a weak caller
    #[arg(long, env = "TRAILMETER_FAIL_ON", value_enum)]
    fail_on: Option<FailOn>,
    #[command(flatten)]
    athena: AthenaArguments,
}

/// What makes the command fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FailOn {
    /// A caller with SigV2, old TLS or a long-lived key, among the calls that were asked for.
    Weak,
}

const EXAMPLES: &str = "\
Examples:
  trailmeter scan ./AWSLogs                                        who is weak, since when, what to do
  trailmeter scan ./AWSLogs --since 90d --where 'ct.signature.version = SigV2' --group-by principal,bucket
  trailmeter scan ./AWSLogs --format html --output report.html     for those who decide
  trailmeter scan ./AWSLogs --pack all --rules sigma/              what rules would have matched
  trailmeter scan ./AWSLogs --group-by aws_region,tls_version --format csv --output tls.csv
  trailmeter scan ./AWSLogs --group-by principal,bucket --format parquet --output rows.parquet
  zcat events.ndjson.gz | trailmeter scan - --fail-on weak
  trailmeter scan s3://my-trail --since 90d --config trailmeter.yaml --remember /var/lib/trailmeter/state
                                                                   before the first `run`: it pages for newcomers only
  trailmeter scan s3://my-trail/AWSLogs --since 30d --account 111122223333 --region eu-central-1,us-east-1

  trailmeter scan --engine athena s3://my-trail/ --since 365d      by Athena, once the price is agreed to
  trailmeter scan --print-sql s3://my-trail/ --group-by principal  the SQL for it, and nothing else

S3: credentials, region and endpoint are those of the AWS SDKs (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL_S3, …); it takes
s3:ListBucket and s3:GetObject. Of CloudTrail's layout, […/]AWSLogs/[o-ID/]ACCOUNT/CloudTrail/REGION/YEAR/MONTH/DAY/, only
the folders are listed that are asked for; digests, insights and other services' logs are passed over unless they are
named. Days are those of delivery: --since leaves out earlier ones, --until those more than --delivered-within after it.
--account and --region go by the folders' names, --where 'ct.account = …' by what the events say: a call from one account
to another is delivered to both, and one of a global service, such as IAM, in us-east-1.

Fields: account_id principal identity_type session signature_version presigned tls_version key_id key_kind event_source
event_name aws_region source_ip user_agent client client_version likely_sigv2 bucket error_code vpc_endpoint_id
[default: account_id,principal,signature_version,tls_version; a table without --group-by shows weak callers]

Exit codes: 0 fine; 1 failed, interrupted, or --fail-on without a call to judge; 2 wrong usage; 3 --fail-on weak found some.";

pub fn run(arguments: &ScanArguments) -> Result<(), Failure> {
    let now_s = (system_clock()() / 1000).cast_signed();
    let config = arguments.config.as_deref().map(Config::load).transpose();
    let config = config.map_err(|problems| Failure::Usage(problems.to_string()))?;
    let options = options(arguments, config.as_ref(), now_s)?;
    let plan = arguments.athena.are_used().then(|| Plan::new(arguments, &options)).transpose()?;
    if let Some(plan) = plan.as_ref().filter(|_| arguments.athena.print_sql()) {
        return plan.print_sql();
    }
    if arguments.format == Format::Parquet && arguments.output.is_none() && std::io::stdout().is_terminal() {
        return Err(Failure::Usage("Parquet is not for a terminal: name a file with --output".to_owned()));
    }
    let places = if plan.is_none() { Some(Places::named(arguments, &options)?) } else { None };
    let report = Report {
        format: arguments.format,
        group_by: options.group_by.clone(),
        is_grouped: !arguments.group_by.is_empty(),
        about: About { paths: arguments.paths.clone(), condition: arguments.condition.clone(), now_s },
        top: arguments.top,
    };
    // Opened first: nobody waits an hour to be told that it can't be written.
    let output = arguments.output.as_deref().map(create).transpose()?;
    let memory = arguments.remember.as_deref().map(|path| Memory::open(path, config.as_ref())).transpose()?;
    let mut outcome = match (plan, places) {
        (Some(plan), _) => plan.run()?,
        (None, Some(places)) => scanned(options, places)?,
        (None, None) => return Ok(()),
    };
    if let (Some(failure), 0) = (&outcome.failure, outcome.totals.events()) {
        return Err(Failure::Runtime(anyhow::anyhow!("{failure}")));
    }
    let remembered = match memory {
        // What was not read to its end by one's own will would be remembered in part, which nobody could tell.
        Some(memory) if !outcome.is_interrupted => memory.remember(&mut outcome),
        Some(_) => Err(Failure::Runtime(anyhow::anyhow!("interrupted: nothing was remembered"))),
        None => Ok(()),
    };
    write(&report, &outcome, output)?;
    if let Some(failure) = &outcome.failure {
        return Err(Failure::Runtime(anyhow::anyhow!("{failure}; what was read by then is counted")));
    }
    if outcome.is_interrupted {
        return Err(Failure::Runtime(anyhow::anyhow!("interrupted: not all files were read")));
    }
    remembered?;
    let unread = outcome.notes.iter().filter(|note| note.error.is_some()).count();
    if unread > 0 {
        return Err(Failure::Runtime(anyhow::anyhow!(
            "{unread} files could not be read: the rest is counted"
        )));
    }
    if arguments.fail_on.is_some() && outcome.totals.calls == 0 {
        return Err(Failure::Runtime(anyhow::anyhow!(
            "no call was read: whether anyone is weak is not known"
        )));
    }
    if arguments.fail_on == Some(FailOn::Weak) && !outcome.weak.is_empty() {
        return Err(Failure::Found(format!("{} weak callers", outcome.weak.len())));
    }
    Ok(())
}

fn options(arguments: &ScanArguments, config: Option<&Config>, now_s: i64) -> Result<Options, Failure> {
    let usage = |option: &str| {
        let option = option.to_owned();
        move |why: String| Failure::Usage(format!("{option}: {why}"))
    };
    let group_by: Result<Vec<Field>, String> =
        arguments.group_by.iter().map(|name| Field::parse(name.trim())).collect();
    let mut group_by = group_by.map_err(usage("--group-by"))?;
    if group_by.is_empty() {
        group_by = Field::DEFAULT.to_vec();
    }
    if let Some(at) = (1..group_by.len()).find(|at| group_by[..*at].contains(&group_by[*at])) {
        return Err(Failure::Usage(format!("--group-by: {} is named twice", group_by[at].name())));
    }
    let time = |option: &str, text: &Option<String>| {
        text.as_deref().map(|text| moment(text, now_s)).transpose().map_err(usage(option))
    };
    let (policy, limits, caller_values) = match config.map(|config| &config.settings) {
        Some(settings) => (settings.policy.clone(), settings.decode, settings.weak_callers.values),
        None => (Policy { future_s: 900, ..Policy::default() }, LIMITS, CallerPolicy::default().values),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let options = Options {
        inputs: Arc::default(),
        threads: arguments.threads.map_or(cores, usize::from),
        group_by,
        only: arguments.condition.as_deref().map(condition).transpose()?,
        rules: rules(arguments)?,
        since_s: time("--since", &arguments.since)?,
        until_s: time("--until", &arguments.until)?,
        policy,
        caller_values,
        limits,
        memory: arguments.memory,
        now_s,
    };
    Ok(options)
}

/// A state whose memory weak callers are put into. It is held while files are read: nothing may run on it meanwhile.
struct Memory {
    path: PathBuf,
    state: EmbeddedState,
    policy: Arc<CallerPolicy>,
}

/// Callers that are made durable at once.
const CALLERS_AT_ONCE: usize = 10_000;

impl Memory {
    fn open(path: &Path, config: Option<&Config>) -> Result<Self, Failure> {
        let opened = EmbeddedState::open(path, system_clock()());
        let state = opened.map_err(|error| match error {
            StateError::InUse { .. } | StateError::Newer { .. } => {
                Failure::Usage(format!("--remember: {error}"))
            }
            error => Failure::Runtime(anyhow::anyhow!("--remember: {error}")),
        })?;
        let policy = config.map(|config| Arc::clone(&config.settings.weak_callers)).unwrap_or_default();
        let memory = Self { path: path.to_owned(), state, policy };
        // One that was made for this is then, whatever becomes of the scan, one in which nothing ran.
        block_on(memory.recall(&[]))?;
        Ok(memory)
    }

    fn remember(self, outcome: &mut Outcome) -> Result<(), Failure> {
        let mut sum = Recalled::default();
        for part in outcome.weak.chunks(CALLERS_AT_ONCE) {
            let Recalled { new, known, no_room } = block_on(self.recall(part))?;
            sum = Recalled { new: sum.new + new, known: sum.known + known, no_room: sum.no_room + no_room };
        }
        let Recalled { new, known, no_room } = sum;
        eprintln!("{}: {new} weak callers are remembered that were not, {known} were", self.path.display());
        if no_room > 0 {
            eprintln!("{no_room} weak callers found no room: raise limits.weak_callers in the config");
        }
        outcome.remembered = Some(sum);
        Ok(())
    }

    async fn recall(&self, callers: &[WeakCaller]) -> Result<Recalled, Failure> {
        let past = callers.iter().map(WeakCaller::past).collect();
        let written = self.state.write(Change::Recall(past, Arc::clone(&self.policy))).await;
        Ok(written.map_err(|error| anyhow::anyhow!("--remember: {error}"))?.recalled)
    }
}

/// Bytes: `512MiB`, or a number.
fn bytes(text: &str) -> Result<u64, String> {
    let size = Size::parse(text).ok_or_else(|| format!("{text:?} is no size: write 512MiB or 4GiB"))?;
    Ok(size.0)
}

/// Days: `2d`.
fn days(text: &str) -> Result<i64, String> {
    let days = text.strip_suffix('d').unwrap_or(text).parse::<i64>().ok();
    days.filter(|days| (0..=4000).contains(days))
        .ok_or_else(|| format!("{text:?} is no number of days: write 2d"))
}

/// What the paths name.
struct Places {
    paths: Vec<String>,
    wanted: Wanted,
    /// In the order of the paths.
    found: Vec<Place>,
    passed: PassedOver,
}

enum Place {
    /// What was found.
    Here(Vec<Input>),
    /// To be listed.
    S3(Location),
}

impl Places {
    /// Lists what is on this machine.
    fn named(arguments: &ScanArguments, options: &Options) -> Result<Self, Failure> {
        let names = |names: &[String]| -> Vec<String> {
            names.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
        };
        let (accounts, regions) = (names(&arguments.account), names(&arguments.region));
        let wanted = Wanted { accounts, regions, ..Wanted::default() }.within(
            options.since_s,
            options.until_s,
            arguments.delivered_within * DAY_S,
        );
        let (mut found, mut passed) = (Vec::new(), PassedOver::default());
        for path in &arguments.paths {
            found.push(match Location::parse(path) {
                Some(location) => Place::S3(location.map_err(Failure::Usage)?),
                None => Place::Here(input::local(path, &wanted, &mut passed).map_err(Failure::Usage)?),
            });
        }
        let places = Self { paths: arguments.paths.clone(), wanted, found, passed };
        if places.found.iter().all(|place| matches!(place, Place::Here(inputs) if inputs.is_empty())) {
            places.are_some(0)?;
        }
        Ok(places)
    }

    /// Lists what is elsewhere, too.
    async fn listed(mut self, bar: &ProgressBar) -> Result<(Vec<Input>, PassedOver), Failure> {
        let mut inputs = Vec::new();
        for place in std::mem::take(&mut self.found) {
            match place {
                Place::Here(files) => inputs.extend(files),
                Place::S3(location) => {
                    let told = |objects| bar.set_message(format!("listing {location}: {objects} objects"));
                    let objects = s3::list(&location, &self.wanted, &mut self.passed, told).await;
                    let objects = objects.map_err(|error| Failure::Runtime(anyhow::anyhow!("{error}")))?;
                    inputs.extend(objects.into_iter().map(Input::Object));
                }
            }
        }
        self.are_some(inputs.len())?;
        Ok((inputs, self.passed))
    }

    /// Whether there is something to read, or was but for the time that is asked for.
    fn are_some(&self, inputs: usize) -> Result<(), Failure> {
        let passed = &self.passed;
        let is_in_time = |reason: &Reason| *reason == Reason::Day;
        if inputs > 0 || passed.files.keys().chain(passed.folders.keys()).any(is_in_time) {
            return Ok(());
        }
        let paths = self.paths.join(" ");
        let told = passed.told();
        Err(Failure::Usage(match told.as_str() {
            "" => format!("{paths} names no file"),
            _ => format!(
                "{paths} names no file that is wanted; passed over: {told}. Name a folder itself to have it read; --account \
                 and --region go by CloudTrail's folders, AWSLogs/ACCOUNT/CloudTrail/REGION"
            ),
        }))
    }
}

/// A file of more bytes is worth being read by several threads.
const LARGE_BYTES: u64 = 1 << 20;
/// As `run` has them by default.
const LIMITS: Limits = Limits { decompressed_bytes: 64 << 20, event_bytes: 16 << 20, depth: 128 };

/// A time, a day, or so long back from now; in seconds since 1970.
fn moment(text: &str, now_s: i64) -> Result<i64, String> {
    let day = || time::parse(&format!("{text}T00:00:00Z"));
    if let Some(at_s) = time::parse(text).or_else(day) {
        return Ok(at_s);
    }
    let back = text
        .strip_suffix('d')
        .and_then(|days| days.parse::<i64>().ok())
        .filter(|days| (0..100_000).contains(days));
    back.map(|days| now_s - days * DAY_S)
        .ok_or_else(|| format!("{text:?} is no time: write 2025-07-01, 2025-07-01T12:00:00Z, or 90d"))
}

/// The rules that are named; none if none are.
fn rules(arguments: &ScanArguments) -> Result<Option<Arc<RuleSet>>, Failure> {
    if arguments.rules.is_empty() && arguments.pack.is_empty() {
        return Ok(None);
    }
    let named = Named::of(arguments.rules.clone(), arguments.pack.clone());
    Ok(Some(Arc::new(named.load()?)))
}

/// A condition as a rule that nobody is told of.
fn condition(text: &str) -> Result<Arc<RuleSet>, Failure> {
    // JSON's texts are YAML's, too.
    let quoted = serde_json::to_string(text)?;
    let rule = format!(
        "- rule: where\n  desc: calls that are asked for\n  output: x\n  priority: DEBUG\n  source: aws_cloudtrail\n  \
         condition: {quoted}\n"
    );
    let loaded = RuleSet::load(&[SourceFile::new("--where", rule)], Matching::All);
    loaded.rules.map(Arc::new).ok_or_else(|| {
        let problems: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
        Failure::Usage(problems.join("\n\n"))
    })
}

fn create(path: &Path) -> Result<File, Failure> {
    File::create(path)
        .map_err(|error| Failure::Usage(format!("--output: {} can't be written: {error}", path.display())))
}

/// Scans beside a task that waits for Ctrl-C, and another that shows how far it is.
fn scanned(mut options: Options, places: Places) -> Result<Outcome, Failure> {
    let progress = Arc::<Progress>::default();
    block_on(async move {
        let listing = listing_bar();
        let (inputs, passed_over) = places.listed(&listing).await?;
        listing.finish_and_clear();
        // A large file is read by several, of small ones each by one.
        let is_large = |input: &Input| input.is_stdin() || input.bytes() > LARGE_BYTES;
        if !inputs.iter().any(is_large) {
            options.threads = options.threads.min(inputs.len()).max(1);
        }
        options.inputs = Arc::new(inputs);
        let bar = bar(&options);
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut scan = tokio::task::spawn_blocking({
            let progress = Arc::clone(&progress);
            move || scan::run(&options, &progress)
        });
        let mut ticks = tokio::time::interval(Duration::from_millis(200));
        loop {
            tokio::select! {
                outcome = &mut scan => {
                    bar.finish_and_clear();
                    return Ok(Outcome { passed_over, ..outcome? });
                }
                _ = interrupt.recv() => progress.stop.cancel(),
                _ = ticks.tick() => show(&bar, &progress),
            }
        }
    })
}

fn show(bar: &ProgressBar, progress: &Progress) {
    let (events, seconds) = (progress.events.load(Ordering::Relaxed), bar.elapsed().as_secs_f64());
    bar.set_position(progress.bytes.load(Ordering::Relaxed));
    bar.set_message(format!("{events} events, {:.0}/s", events as f64 / seconds.max(0.001)));
}

/// Shown on a terminal only.
fn listing_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Shown on a terminal only.
fn bar(options: &Options) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let is_stdin = options.inputs.iter().any(Input::is_stdin);
    let bytes = options.inputs.iter().map(Input::bytes).sum();
    let bar = if is_stdin { ProgressBar::no_length() } else { ProgressBar::new(bytes) };
    let template = if is_stdin {
        "{spinner} {msg} {elapsed}"
    } else {
        "{bar:30} {bytes}/{total_bytes}  {msg}  {eta} left"
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn write(report: &Report, outcome: &Outcome, output: Option<File>) -> Result<(), Failure> {
    let written = match output {
        Some(file) => {
            let mut file = BufWriter::new(file);
            report.write(outcome, &mut file).and_then(|()| file.flush())
        }
        None => {
            let mut stdout = BufWriter::new(std::io::stdout().lock());
            report.write(outcome, &mut stdout).and_then(|()| stdout.flush())
        }
    };
    match written {
        // Whoever reads it may have read enough, as `head` has: that is no failure.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        for (text, expect) in [
            ("2023-07-10T11:42:18Z", Some(1_688_989_338)),
            ("2023-07-10", Some(1_688_947_200)),
            ("90d", Some(1_700_000_000 - 90 * DAY_S)),
            ("0d", Some(1_700_000_000)),
            ("yesterday", None),
            ("-1d", None),
            ("2023-13-10", None),
        ] {
            assert_eq!(moment(text, 1_700_000_000).ok(), expect, "{text}");
        }
    }
}
