//! `trailmeter send`: puts the events of files, or generated ones, onto a Kinesis stream.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use clap::Args;
use indicatif::ProgressBar;

use super::generate::{EnvelopeName, progress};
use super::{Failure, block_on};
use crate::generate::{Generator, Options, partition_key};
use crate::source::files;
use crate::source::kinesis::{Api, ApiError, Backoff, NewRecord, SdkApi};

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct SendArguments {
    /// The stream's name
    #[arg(long, env = "TRAILMETER_STREAM", value_name = "NAME")]
    stream: String,
    /// The stream's region [default: as the AWS SDK finds it]
    #[arg(long, env = "TRAILMETER_REGION")]
    region: Option<String>,
    /// Another endpoint than AWS's [default: as the AWS SDK finds it]
    #[arg(long, env = "TRAILMETER_ENDPOINT", value_name = "URL")]
    endpoint: Option<String>,
    /// Files, folders or globs with a line of JSON each event, or `-` for standard input
    #[arg(value_name = "PATH", conflicts_with = "generate")]
    paths: Vec<String>,
    /// Instead of files: this many generated events
    #[arg(long, env = "TRAILMETER_GENERATE", value_name = "N", required_unless_present = "paths")]
    generate: Option<u64>,
    /// With --generate: the seed
    #[arg(long, env = "TRAILMETER_SEED", default_value_t = 1, value_name = "N")]
    seed: u64,
    /// What the events are wrapped in
    #[arg(long, env = "TRAILMETER_ENVELOPE", default_value = "eventbridge")]
    envelope: EnvelopeName,
    /// Events in one record, of envelopes that hold many
    #[arg(long, env = "TRAILMETER_EVENTS_PER_RECORD", default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=5000))]
    events_per_record: u32,
}

const EXAMPLES: &str = "\
Examples:
  trailmeter send --stream cloudtrail --generate 1000
  trailmeter generate --events 5000 --envelope ndjson | trailmeter send --stream cloudtrail -
  AWS_ENDPOINT_URL_KINESIS=http://127.0.0.1:4567 trailmeter send --stream trail events.ndjson

Records carry the event's id as partition key, so that repeated deliveries of one event meet on one shard.";

/// PutRecords takes this many at once.
const MAX_RECORDS: usize = 500;
/// And this many bytes; its limit is 10 MiB, partition keys included.
const MAX_BYTES: usize = 5 << 20;
/// Tries of a record that the stream refuses.
const MAX_TRIES: u32 = 12;

pub fn run(arguments: SendArguments) -> Result<(), Failure> {
    let events: Box<dyn Iterator<Item = anyhow::Result<Vec<u8>>> + Send> = match arguments.generate {
        Some(events) => {
            let options = Options { events, seed: arguments.seed, ..Options::organisation() };
            Box::new(Generator::new(options).map(|event| Ok(event.json)))
        }
        None => Box::new(lines(files::list(&arguments.paths).map_err(Failure::Usage)?)),
    };
    let bar = arguments.generate.map_or_else(ProgressBar::hidden, progress);
    block_on(send(arguments, events, bar))
}

async fn send(
    arguments: SendArguments,
    events: impl Iterator<Item = anyhow::Result<Vec<u8>>>,
    bar: ProgressBar,
) -> Result<(), Failure> {
    let (region, endpoint) = (arguments.region.as_deref(), arguments.endpoint.as_deref());
    let api = SdkApi::connect(&arguments.stream, region, endpoint).await;
    let api = api.map_err(|error| Failure::Usage(error.to_string()))?;
    let envelope = arguments.envelope.envelope(true);
    let holds_one = matches!(arguments.envelope, EnvelopeName::Eventbridge | EnvelopeName::Bare);
    let at_once = if holds_one { 1 } else { arguments.events_per_record as usize };
    let mut events = events.peekable();
    let (mut waiting, mut sent, mut records) = (Vec::new(), 0u64, 0u64);
    while events.peek().is_some() {
        let chunk = events.by_ref().take(at_once).collect::<anyhow::Result<Vec<_>>>()?;
        let json: Vec<&[u8]> = chunk.iter().map(Vec::as_slice).collect();
        sent += chunk.len() as u64;
        bar.inc(chunk.len() as u64);
        for data in envelope.wrap(&json) {
            records += 1;
            waiting.push(NewRecord { partition_key: partition_key(&chunk[0]), data: Bytes::from(data) });
        }
        let bytes: usize = waiting.iter().map(|record| record.data.len()).sum();
        if waiting.len() >= MAX_RECORDS || bytes >= MAX_BYTES {
            put(&api, std::mem::take(&mut waiting)).await?;
        }
    }
    put(&api, waiting).await?;
    bar.finish_and_clear();
    eprintln!("{sent} events in {records} records sent to {}", arguments.stream);
    Ok(())
}

/// Puts all records, those again that the stream refuses for their rate.
async fn put(api: &SdkApi, records: Vec<NewRecord>) -> Result<(), Failure> {
    let backoff = Backoff::default();
    let mut waiting: VecDeque<NewRecord> = records.into();
    let mut tries = 0;
    while !waiting.is_empty() {
        let batch: Vec<NewRecord> = waiting.drain(..waiting.len().min(MAX_RECORDS)).collect();
        let refused = match api.put_records(batch.clone()).await {
            Ok(outcomes) => {
                let refused = batch
                    .into_iter()
                    .zip(outcomes)
                    .filter_map(|(record, outcome)| outcome.err().map(|why| (record, why)));
                refused.collect::<Vec<_>>()
            }
            Err(error @ (ApiError::Throttled(_) | ApiError::Transient(_))) => {
                batch.into_iter().map(|record| (record, error.to_string())).collect()
            }
            Err(error) => return Err(error.into()),
        };
        let Some((_, why)) = refused.first() else {
            tries = 0;
            continue;
        };
        tries += 1;
        if tries >= MAX_TRIES {
            return Err(anyhow!("{} records are refused again and again: {why}", refused.len()).into());
        }
        tokio::time::sleep(backoff.delay(tries, rand::random()) + Duration::from_millis(20)).await;
        for (record, _) in refused.into_iter().rev() {
            waiting.push_front(record);
        }
    }
    Ok(())
}

/// The lines of files, one event each.
fn lines(paths: Vec<PathBuf>) -> impl Iterator<Item = anyhow::Result<Vec<u8>>> {
    use std::io::{BufRead, BufReader, Read};
    paths.into_iter().flat_map(|path| {
        let open = || -> anyhow::Result<Box<dyn Read + Send>> {
            if path.as_os_str() == files::STDIN {
                return Ok(Box::new(std::io::stdin()));
            }
            Ok(Box::new(
                std::fs::File::open(&path).with_context(|| format!("{} can't be read", path.display()))?,
            ))
        };
        let lines: Box<dyn Iterator<Item = anyhow::Result<Vec<u8>>> + Send> = match open() {
            Ok(file) => Box::new(BufReader::new(file).split(b'\n').map(|line| line.map_err(Into::into))),
            Err(error) => Box::new(std::iter::once(Err(error))),
        };
        lines.filter(|line| line.as_ref().is_ok_and(|line| !line.trim_ascii().is_empty()) || line.is_err())
    })
}
