//! `trailmeter generate`: synthetic events, as files or on standard output.

use std::collections::BTreeMap;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use super::Failure;
use crate::config::units::Span;
use crate::event::time;
use crate::generate::{Envelope, Generated, Generator, Options, delivery_path};

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct GenerateArguments {
    /// Events, whatever becomes of them
    #[arg(long, env = "TRAILMETER_EVENTS", default_value_t = 10_000, value_name = "N")]
    events: u64,
    /// The same seed and options give the same bytes
    #[arg(long, env = "TRAILMETER_SEED", default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Which shares the events have where no option says otherwise
    #[arg(long, env = "TRAILMETER_PRESET", default_value = "corpus")]
    preset: Preset,
    /// Time of the first event [default: 2025-07-01T00:00:00Z]
    #[arg(long, env = "TRAILMETER_START", value_name = "TIME")]
    start: Option<String>,
    /// What the deliveries are spread over [default: 24h]
    #[arg(long, env = "TRAILMETER_DURATION", value_name = "DURATION")]
    duration: Option<String>,
    /// Accounts of the organisation
    #[arg(long, env = "TRAILMETER_ACCOUNTS", value_name = "N")]
    accounts: Option<u32>,
    /// Distinct callers
    #[arg(long, env = "TRAILMETER_CALLERS", value_name = "N")]
    callers: Option<u32>,
    /// Sessions a role has at a time
    #[arg(long, env = "TRAILMETER_SESSIONS_PER_ROLE", value_name = "N")]
    sessions_per_role: Option<u32>,
    /// Share of the callers that sign with SigV2
    #[arg(long, env = "TRAILMETER_WEAK_SIGV2", value_name = "SHARE", value_parser = share)]
    weak_sigv2: Option<f64>,
    /// Share of the callers that connect with TLS 1.0
    #[arg(long, env = "TRAILMETER_WEAK_TLS10", value_name = "SHARE", value_parser = share)]
    weak_tls10: Option<f64>,
    /// Share of the callers that connect with TLS 1.1
    #[arg(long, env = "TRAILMETER_WEAK_TLS11", value_name = "SHARE", value_parser = share)]
    weak_tls11: Option<f64>,
    /// Share of the callers that are users with a long-term key
    #[arg(long, env = "TRAILMETER_WEAK_LONG_TERM_KEY", value_name = "SHARE", value_parser = share)]
    weak_long_term_key: Option<f64>,
    /// Share of the S3 object calls that come through a presigned link
    #[arg(long, env = "TRAILMETER_WEAK_PRESIGNED", value_name = "SHARE", value_parser = share)]
    weak_presigned: Option<f64>,
    /// Share of events that repeat an earlier one
    #[arg(long, env = "TRAILMETER_DUPLICATES", value_name = "SHARE", value_parser = share)]
    duplicates: Option<f64>,
    /// Share of events delivered late, up to 6 hours
    #[arg(long, env = "TRAILMETER_LATE", value_name = "SHARE", value_parser = share)]
    late: Option<f64>,
    /// Share of events with a time from --future-from on
    #[arg(long, env = "TRAILMETER_FUTURE", value_name = "SHARE", value_parser = share, requires = "future_from")]
    future: Option<f64>,
    /// The least time of the events in the future
    #[arg(long, env = "TRAILMETER_FUTURE_FROM", value_name = "TIME")]
    future_from: Option<String>,
    /// Share of events that correct an earlier one
    #[arg(long, env = "TRAILMETER_CORRECTIONS", value_name = "SHARE", value_parser = share)]
    corrections: Option<f64>,
    /// Share of events that are the resource owner's copy of a call
    #[arg(long, env = "TRAILMETER_SHARED_COPIES", value_name = "SHARE", value_parser = share)]
    shared_copies: Option<f64>,
    /// Share of Insights events
    #[arg(long, env = "TRAILMETER_INSIGHTS", value_name = "SHARE", value_parser = share)]
    insights: Option<f64>,
    /// Share of aggregated events
    #[arg(long, env = "TRAILMETER_AGGREGATED", value_name = "SHARE", value_parser = share)]
    aggregated: Option<f64>,
    /// Share of network activity events
    #[arg(long, env = "TRAILMETER_NETWORK_ACTIVITY", value_name = "SHARE", value_parser = share)]
    network_activity: Option<f64>,
    /// Share of broken events
    #[arg(long, env = "TRAILMETER_BROKEN", value_name = "SHARE", value_parser = share)]
    broken: Option<f64>,
    /// Requests grow until an event has this mean size
    #[arg(long, env = "TRAILMETER_BYTES_PER_EVENT", value_name = "N")]
    bytes_per_event: Option<u32>,
    /// What the events are wrapped in
    #[arg(long, env = "TRAILMETER_ENVELOPE", default_value = "delivery")]
    envelope: EnvelopeName,
    /// Whether files are gzip'd [default: yes for delivery files, else no]
    #[arg(long, env = "TRAILMETER_GZIP", num_args = 0..=1, default_missing_value = "true")]
    gzip: Option<bool>,
    /// Events in one file
    #[arg(long, env = "TRAILMETER_EVENTS_PER_FILE", default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    events_per_file: u32,
    /// A folder for the files [default: standard output]
    #[arg(long, env = "TRAILMETER_OUTPUT", value_name = "DIR")]
    output: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  trailmeter generate --events 100000 --output events
  trailmeter generate --preset organisation --weak-sigv2 0.05 --envelope ndjson > events.ndjson
  trailmeter generate --events 5000 --broken 0.01 --duplicates 0.05 --late 0.1 --output hostile";

#[derive(Clone, Copy, ValueEnum)]
enum Preset {
    /// As a published set of real events
    Corpus,
    /// A lively organisation with many S3 object calls
    Organisation,
}

/// What events are wrapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EnvelopeName {
    /// `{"Records":[…]}`
    Delivery,
    /// EventBridge, one event each
    Eventbridge,
    /// A CloudWatch Logs subscription, gzip'd, many events each
    CloudwatchLogs,
    /// A line each
    Ndjson,
    /// A JSON array
    Array,
    /// The event alone
    Bare,
    /// Aggregated by the Kinesis Producer Library
    Kpl,
}

impl EnvelopeName {
    /// The envelope; `gzip` matters to delivery files.
    pub fn envelope(self, gzip: bool) -> Envelope {
        match self {
            Self::Delivery => Envelope::Delivery { gzip },
            Self::Eventbridge => Envelope::EventBridge,
            Self::CloudwatchLogs => Envelope::CloudWatchLogs,
            Self::Ndjson => Envelope::Ndjson,
            Self::Array => Envelope::Array,
            Self::Bare => Envelope::Bare,
            Self::Kpl => Envelope::Kpl,
        }
    }

    /// Whether its records are lines that may follow each other in a file.
    fn is_text(self) -> bool {
        !matches!(self, Self::CloudwatchLogs | Self::Kpl)
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "not a share: write a number from 0 to 1, such as 0.05".to_owned())
}

pub fn run(arguments: GenerateArguments) -> Result<(), Failure> {
    let options = options(&arguments)?;
    let events = Generator::new(options);
    let gzip = arguments.gzip.unwrap_or(arguments.envelope == EnvelopeName::Delivery);
    match &arguments.output {
        Some(folder) => write_files(&arguments, events, gzip, folder),
        None => write_out(&arguments, events, gzip),
    }
}

fn options(arguments: &GenerateArguments) -> Result<Options, Failure> {
    let mut options = match arguments.preset {
        Preset::Corpus => Options::corpus(),
        Preset::Organisation => Options::organisation(),
    };
    options.seed = arguments.seed;
    options.events = arguments.events;
    options.bytes_per_event = arguments.bytes_per_event;
    let instant = |option: &str, text: &Option<String>| {
        text.as_deref().map(|text| {
            time::parse(text).ok_or_else(|| {
                Failure::Usage(format!("--{option}: {text:?} is no time: write it as 2023-07-10T11:42:18Z"))
            })
        })
    };
    options.start_s = instant("start", &arguments.start).transpose()?.unwrap_or(options.start_s);
    options.future_s = instant("future-from", &arguments.future_from).transpose()?;
    if let Some(text) = &arguments.duration {
        let duration = Span::parse(text).filter(|span| span.0 >= 1000);
        let why = || {
            Failure::Usage(format!(
                "--duration: {text:?} is no duration: write one such as 90s, 5m, 24h or 3d"
            ))
        };
        options.duration_s = duration.ok_or_else(why)?.0 / 1000;
    }
    let set = |target: &mut f64, share: Option<f64>| *target = share.unwrap_or(*target);
    set(&mut options.weak.sigv2, arguments.weak_sigv2);
    set(&mut options.weak.tls10, arguments.weak_tls10);
    set(&mut options.weak.tls11, arguments.weak_tls11);
    set(&mut options.weak.long_term_key, arguments.weak_long_term_key);
    set(&mut options.weak.presigned, arguments.weak_presigned);
    set(&mut options.duplicates, arguments.duplicates);
    set(&mut options.late, arguments.late);
    set(&mut options.future, arguments.future);
    set(&mut options.corrections, arguments.corrections);
    set(&mut options.shared_copies, arguments.shared_copies);
    set(&mut options.insights, arguments.insights);
    set(&mut options.aggregated, arguments.aggregated);
    set(&mut options.network_activity, arguments.network_activity);
    set(&mut options.broken, arguments.broken);
    options.accounts = arguments.accounts.unwrap_or(options.accounts).max(1);
    options.callers = arguments.callers.unwrap_or(options.callers).max(1);
    options.sessions_per_role = arguments.sessions_per_role.unwrap_or(options.sessions_per_role).max(1);
    Ok(options)
}

fn write_files(
    arguments: &GenerateArguments,
    events: Generator,
    gzip: bool,
    folder: &Path,
) -> Result<(), Failure> {
    let progress = progress(arguments.events);
    let mut files = Files { folder, arguments, gzip, written: 0 };
    // Delivery files hold the events of one account and region, as CloudTrail's do.
    let mut waiting: BTreeMap<(u64, &'static str), Vec<Generated>> = BTreeMap::new();
    for event in events {
        progress.inc(1);
        let place = if arguments.envelope == EnvelopeName::Delivery {
            (event.account, event.region)
        } else {
            (0, "")
        };
        let full = waiting.entry(place).or_default();
        full.push(event);
        if full.len() >= arguments.events_per_file as usize {
            let full = std::mem::take(full);
            files.write(&full)?;
        }
    }
    for rest in waiting.values().filter(|rest| !rest.is_empty()) {
        files.write(rest)?;
    }
    progress.finish_and_clear();
    eprintln!("{} events in {} files in {}", arguments.events, files.written, folder.display());
    Ok(())
}

struct Files<'a> {
    folder: &'a Path,
    arguments: &'a GenerateArguments,
    gzip: bool,
    written: u64,
}

impl Files<'_> {
    fn write(&mut self, events: &[Generated]) -> Result<(), Failure> {
        let Some(last) = events.last() else { return Ok(()) };
        let json: Vec<&[u8]> = events.iter().map(|event| event.json.as_slice()).collect();
        let name = self.arguments.envelope;
        let records = name.envelope(self.gzip).wrap(&json);
        if name == EnvelopeName::Delivery {
            let path = delivery_path(last.account, last.region, last.delivered_s, self.written);
            let path = if self.gzip { path } else { path.trim_end_matches(".gz").to_owned() };
            return self.put(&path, &records.concat());
        }
        if name.is_text() {
            let mut text = Vec::new();
            records.iter().for_each(|record| {
                text.extend_from_slice(record);
                text.push(b'\n');
            });
            let path = format!("events-{:06}.json", self.written);
            return if self.gzip {
                self.put(&format!("{path}.gz"), &compressed(&text)?)
            } else {
                self.put(&path, &text)
            };
        }
        let ending = if name == EnvelopeName::Kpl { "kpl" } else { "json.gz" };
        records
            .iter()
            .try_for_each(|record| self.put(&format!("events-{:06}.{ending}", self.written), record))
    }

    fn put(&mut self, path: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.folder.join(path);
        let parent = path.parent().unwrap_or(self.folder);
        std::fs::create_dir_all(parent).with_context(|| format!("{} can't be made", parent.display()))?;
        std::fs::write(&path, bytes).with_context(|| format!("{} can't be written", path.display()))?;
        self.written += 1;
        Ok(())
    }
}

fn compressed(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn write_out(arguments: &GenerateArguments, events: Generator, gzip: bool) -> Result<(), Failure> {
    let name = arguments.envelope;
    if !name.is_text() || gzip && arguments.gzip.is_none() && std::io::stdout().is_terminal() {
        let why = "these records are not text: name a folder with --output, or choose --envelope ndjson";
        return Err(Failure::Usage(why.to_owned()));
    }
    let output: Box<dyn Write> = match gzip {
        true => {
            Box::new(flate2::write::GzEncoder::new(std::io::stdout().lock(), flate2::Compression::default()))
        }
        false => Box::new(std::io::stdout().lock()),
    };
    let mut output = BufWriter::with_capacity(1 << 20, output);
    let result = write_lines(name, events, arguments.events_per_file as usize, &mut output)
        .and_then(|()| output.flush());
    match result {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

fn write_lines(
    name: EnvelopeName,
    events: Generator,
    at_once: usize,
    output: &mut impl Write,
) -> std::io::Result<()> {
    let mut events = events.peekable();
    while events.peek().is_some() {
        let chunk: Vec<Generated> = events.by_ref().take(at_once).collect();
        let json: Vec<&[u8]> = chunk.iter().map(|event| event.json.as_slice()).collect();
        for record in name.envelope(false).wrap(&json) {
            output.write_all(record.trim_ascii_end())?;
            output.write_all(b"\n")?;
        }
    }
    Ok(())
}

/// A bar on a terminal, nothing in a pipe.
pub fn progress(total: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{bar:30} {human_pos} of {human_len} events, {per_sec}, {eta} left";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_from_0_to_1() {
        assert_eq!((share("0"), share("0.25"), share("1")), (Ok(0.0), Ok(0.25), Ok(1.0)));
        for text in ["1.1", "-0.1", "NaN", "inf", "half", ""] {
            assert!(share(text).is_err(), "{text}");
        }
    }
}
