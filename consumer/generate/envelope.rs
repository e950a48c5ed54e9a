//! Wrapping events the way a source delivers them.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest, Md5};

use super::{kpl, text};

/// How events arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    /// An S3 delivery file, `{"Records":[…]}`. One broken event breaks the file.
    Delivery {
        /// Compressed, as CloudTrail does it.
        gzip: bool,
    },
    /// EventBridge's, one event each.
    EventBridge,
    /// A CloudWatch Logs subscription's gzip'd `DATA_MESSAGE` of all the events.
    CloudWatchLogs,
    /// Lines of events.
    Ndjson,
    /// One JSON array of all the events.
    Array,
    /// The events as they are.
    Bare,
    /// One KPL-aggregated record of all the events, each under its [`partition_key`].
    Kpl,
}

impl Envelope {
    /// The records (or files) that carry these events: one each for EventBridge and Bare, else one of all.
    pub fn wrap(self, events: &[&[u8]]) -> Vec<Vec<u8>> {
        match self {
            Envelope::Delivery { gzip: false } => vec![listed(b"{\"Records\":[", events, b"]}")],
            Envelope::Delivery { gzip: true } => vec![gzipped(&listed(b"{\"Records\":[", events, b"]}"))],
            Envelope::EventBridge => events.iter().map(|event| event_bridge(event)).collect(),
            Envelope::CloudWatchLogs => vec![gzipped(&data_message(events))],
            Envelope::Ndjson => vec![[events.join(&b'\n'), b"\n".to_vec()].concat()],
            Envelope::Array => vec![listed(b"[", events, b"]")],
            Envelope::Bare => events.iter().map(|event| event.to_vec()).collect(),
            Envelope::Kpl => {
                let records: Vec<_> = events.iter().map(|event| (partition_key(event), *event)).collect();
                vec![kpl::aggregate(&records)]
            }
        }
    }
}

/// The event's own id (`eventID`, aggregated: `eventId`), so that a repeated event meets the first on one shard;
/// without one a hash of the event.
pub fn partition_key(event: &[u8]) -> String {
    let known = member(event, "eventID").or_else(|| member(event, "eventId")).filter(|id| !id.is_empty());
    match known.map(String::from_utf8_lossy) {
        Some(id) => id.into_owned(),
        None => hashed(event),
    }
}

/// The probe CloudWatch Logs sends when a subscription begins; it carries no events.
pub fn control_message() -> Vec<u8> {
    gzipped(
        concat!(
            r#"{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"","#,
            r#""subscriptionFilters":[],"logEvents":[{"id":"","timestamp":1751328000000,"#,
            r#""message":"CWL CONTROL MESSAGE: Checking health of destination Kinesis stream."}]}"#
        )
        .as_bytes(),
    )
}

/// Where CloudTrail puts a delivery file: `salt` makes the 16 characters of its name.
pub fn delivery_path(account: u64, region: &str, delivered_s: i64, salt: u64) -> String {
    let mut at = Vec::with_capacity(20);
    text::time(&mut at, delivered_s);
    let at = String::from_utf8_lossy(&at);
    let (day, minute) = (at[..10].replace('-', "/"), at[..16].replace(['-', ':'], ""));
    format!(
        "AWSLogs/{account:012}/CloudTrail/{region}/{day}/{account:012}_CloudTrail_{region}_{minute}Z_{salt:016x}.json.gz"
    )
}

fn listed(before: &[u8], events: &[&[u8]], after: &[u8]) -> Vec<u8> {
    [before, &events.join(&b','), after].concat()
}

#[allow(clippy::expect_used)] // writing into memory
fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 6), Compression::new(6));
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

fn event_bridge(event: &[u8]) -> Vec<u8> {
    let detail_type = match member(event, "eventType") {
        Some(b"AwsConsoleSignIn") => "AWS Console Signin via CloudTrail",
        Some(b"AwsConsoleAction") => "AWS Console Action via CloudTrail",
        Some(b"AwsServiceEvent") => "AWS Service Event via CloudTrail",
        Some(b"AwsCloudTrailInsight") => "AWS Insight via CloudTrail",
        _ => "AWS API Call via CloudTrail",
    };
    let service = member(event, "eventSource").unwrap_or(b"cloudtrail.amazonaws.com");
    let service = service.strip_suffix(b".amazonaws.com").unwrap_or(service);
    let account = member(event, "recipientAccountId").unwrap_or(b"990000000000");
    let time = member(event, "eventTime").unwrap_or(b"2025-07-01T00:00:00Z");
    let region = member(event, "awsRegion").unwrap_or(b"us-east-1");
    let id = hashed(event);
    let parts: [&[u8]; 15] = [
        br#"{"version":"0","id":""#,
        id.as_bytes(),
        br#"","detail-type":""#,
        detail_type.as_bytes(),
        br#"","source":"aws."#,
        service,
        br#"","account":""#,
        account,
        br#"","time":""#,
        time,
        br#"","region":""#,
        region,
        br#"","resources":[],"detail":"#,
        event,
        b"}",
    ];
    parts.concat()
}

fn data_message(events: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(events.iter().map(|event| event.len() * 9 / 8 + 120).sum());
    let owner =
        events.first().and_then(|event| member(event, "recipientAccountId")).unwrap_or(b"990000000000");
    text::text(&mut out, r#"{"messageType":"DATA_MESSAGE","owner":""#);
    out.extend_from_slice(owner);
    text::text(&mut out, r#"","logGroup":"organisation-trail","logStream":""#);
    out.extend_from_slice(owner);
    text::text(&mut out, r#"_CloudTrail","subscriptionFilters":["all"],"logEvents":["#);
    for (index, event) in events.iter().enumerate() {
        out.extend((index > 0).then_some(b','));
        text::text(&mut out, "{\"id\":\"");
        text::padded(&mut out, index as u64, 56);
        text::text(&mut out, "\",\"timestamp\":");
        text::number(
            &mut out,
            member(event, "eventTime").and_then(text::parse_time).unwrap_or(0) as u64 * 1000,
        );
        text::text(&mut out, ",\"message\":\"");
        text::escaped(&mut out, event);
        text::text(&mut out, "\"}");
    }
    text::text(&mut out, "]}");
    out
}

/// The text of the first member of this name, wherever it stands: good enough for our own events.
fn member<'a>(event: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let key = format!("\"{name}\":\"");
    let start = event.windows(key.len()).position(|window| window == key.as_bytes())? + key.len();
    let length = event[start..].iter().position(|byte| *byte == b'"')?;
    Some(&event[start..start + length])
}

/// A UUID made of the event.
fn hashed(event: &[u8]) -> String {
    let digest = Md5::digest(event);
    let word = |at: usize| digest[at..at + 8].iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let mut out = Vec::with_capacity(36);
    text::uuid(&mut out, word(0), word(8));
    String::from_utf8_lossy(&out).into_owned()
}
