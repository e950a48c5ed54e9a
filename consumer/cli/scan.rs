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
use trailmeter_rules::{Matching, RuleSet, SourceFile};

use self::athena::{AthenaArguments, Plan};
use super::rules::Named;
use super::{Failure, block_on};
use crate::callers::CallerPolicy;
use crate::config::Config;
use crate::decode::Limits;
use crate::event::judge::Policy;
use crate::event::time::{self, DAY_S};
use crate::report::{About, Format, Report};
use crate::scan::field::Field;
use crate::scan::{self, Options, Outcome, Progress};
use crate::source::files::{STDIN, list};
use crate::system_clock;

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct ScanArguments {
    /// Files, folders, globs, or `-` for standard input
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
    /// Accounts and limits as `run` has them
    #[arg(long, env = "TRAILMETER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
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
  trailmeter scan --engine athena s3://my-trail/ --since 365d      by Athena, once the price is agreed to
  trailmeter scan --print-sql s3://my-trail/ --group-by principal  the SQL for it, and nothing else

Fields: account_id principal identity_type session signature_version presigned tls_version key_id key_kind event_source
event_name aws_region source_ip user_agent client client_version likely_sigv2 bucket error_code vpc_endpoint_id
[default: account_id,principal,signature_version,tls_version; a table without --group-by shows weak callers]

Exit codes: 0 fine; 1 failed, interrupted, or --fail-on without a call to judge; 2 wrong usage; 3 --fail-on weak found some.";

pub fn run(arguments: &ScanArguments) -> Result<(), Failure> {
    let now_s = (system_clock()() / 1000).cast_signed();
    let options = options(arguments, now_s)?;
    let plan = arguments.athena.are_used().then(|| Plan::new(arguments, &options)).transpose()?;
    if let Some(plan) = plan.as_ref().filter(|_| arguments.athena.print_sql()) {
        return plan.print_sql();
    }
    if arguments.format == Format::Parquet && arguments.output.is_none() && std::io::stdout().is_terminal() {
        return Err(Failure::Usage("Parquet is not for a terminal: name a file with --output".to_owned()));
    }
    let report = Report {
        format: arguments.format,
        group_by: options.group_by.clone(),
        is_grouped: !arguments.group_by.is_empty(),
        about: About { paths: arguments.paths.clone(), condition: arguments.condition.clone(), now_s },
        top: arguments.top,
    };
    // Opened first: nobody waits an hour to be told that it can't be written.
    let output = arguments.output.as_deref().map(create).transpose()?;
    let outcome = match plan {
        Some(plan) => plan.run()?,
        None => scanned(options)?,
    };
    write(&report, &outcome, output)?;
    if outcome.is_interrupted {
        return Err(Failure::Runtime(anyhow::anyhow!("interrupted: not all files were read")));
    }
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

fn options(arguments: &ScanArguments, now_s: i64) -> Result<Options, Failure> {
    let usage = |option: &str| {
        let option = option.to_owned();
        move |why: String| Failure::Usage(format!("{option}: {why}"))
    };
    // What Athena reads is not here.
    let is_elsewhere = arguments.athena.are_used();
    let files = if is_elsewhere { Vec::new() } else { list(&arguments.paths).map_err(Failure::Usage)? };
    if files.is_empty() && !is_elsewhere {
        return Err(Failure::Usage(format!("{} names no file", arguments.paths.join(" "))));
    }
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
    let config = arguments.config.as_deref().map(Config::load).transpose();
    let config = config.map_err(|problems| Failure::Usage(problems.to_string()))?;
    let (policy, limits, caller_values) = match config {
        Some(Config { settings, .. }) => (settings.policy, settings.decode, settings.weak_callers.values),
        None => (Policy { future_s: 900, ..Policy::default() }, LIMITS, CallerPolicy::default().values),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let options = Options {
        threads: arguments.threads.map_or(cores, usize::from).min(files.len()),
        files,
        group_by,
        only: arguments.condition.as_deref().map(condition).transpose()?,
        rules: rules(arguments)?,
        since_s: time("--since", &arguments.since)?,
        until_s: time("--until", &arguments.until)?,
        policy,
        caller_values,
        limits,
        now_s,
    };
    Ok(options)
}

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
fn scanned(options: Options) -> Result<Outcome, Failure> {
    let progress = Arc::<Progress>::default();
    let bar = bar(&options);
    block_on(async move {
        let mut scan = tokio::task::spawn_blocking({
            let progress = Arc::clone(&progress);
            move || scan::run(&options, &progress)
        });
        let mut ticks = tokio::time::interval(Duration::from_millis(200));
        loop {
            tokio::select! {
                outcome = &mut scan => {
                    bar.finish_and_clear();
                    return Ok(outcome?);
                }
                _ = tokio::signal::ctrl_c() => progress.is_stopped.store(true, Ordering::Relaxed),
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
fn bar(options: &Options) -> ProgressBar {
    let is_stdin = options.files.iter().any(|file| file == Path::new(STDIN));
    let bytes = options.files.iter().filter_map(|file| Some(file.metadata().ok()?.len())).sum();
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
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
