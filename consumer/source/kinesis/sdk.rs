//! The requests through the AWS SDK: the only file that names `aws_sdk_kinesis`.
//!
//! Credentials, region and endpoint come from the SDK's defaults (environment, profiles, web identity, container,
//! instance), with the config's own region and endpoint before them.

use std::error::Error;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::{Builder, http::HttpResponse};
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::{Blob, DateTime};
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, Record, ShardIteratorType};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use super::api::{Answer, Api, IteratorStart, NewRecord, StoredRecord};
use super::error::{ApiError, Refusal, Target};
use super::options::ConnectError;
use super::shards::Shard;

/// A connection is there or it is not.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// GetRecords answers within a second; ten leave room for a slow one.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// A whole answer of 10 MiB over a slow line.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// One stream of the service.
#[derive(Clone, Debug)]
pub struct SdkApi {
    /// Without retries: the reader and the coordinator repeat by themselves, at their own pace.
    once: Client,
    /// With the SDK's standard retries, for writes.
    patient: Client,
    stream: String,
}

impl SdkApi {
    /// Reads the SDK's own configuration; asks nothing of Kinesis yet. `stream` is a name or an ARN.
    ///
    /// # Errors
    /// No region is configured anywhere.
    pub async fn connect(
        stream: &str,
        region: Option<&str>,
        endpoint: Option<&str>,
    ) -> Result<Self, ConnectError> {
        let tls = Provider::Rustls(CryptoMode::Ring);
        let http = aws_smithy_http_client::Builder::new().tls_provider(tls).build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
        if let Some(region) = region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        if let Some(endpoint) = endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        Self::from_config(stream, &loader.load().await)
    }

    /// The stream as an SDK configuration reaches it that is already there. The configuration brings its HTTP
    /// client; timeouts and retries are ours.
    ///
    /// # Errors
    /// The configuration has no region.
    pub fn from_config(stream: &str, config: &SdkConfig) -> Result<Self, ConnectError> {
        if config.region().is_none() {
            return Err(ConnectError::NoRegion { stream: stream.to_owned() });
        }
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let builder = Builder::from(config).timeout_config(timeouts);
        let once = builder.clone().retry_config(RetryConfig::disabled()).build();
        let patient = builder.retry_config(RetryConfig::standard()).build();
        Ok(Self {
            once: Client::from_conf(once),
            patient: Client::from_conf(patient),
            stream: stream.to_owned(),
        })
    }

    fn stream_name(&self) -> Option<String> {
        (!self.stream.starts_with("arn:")).then(|| self.stream.clone())
    }

    fn stream_arn(&self) -> Option<String> {
        self.stream.starts_with("arn:").then(|| self.stream.clone())
    }

    /// Sorts what the SDK says of a failed request.
    fn failed<E>(&self, operation: &'static str, shard: Option<&str>) -> impl FnOnce(SdkError<E>) -> ApiError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let target = Target { stream: self.stream.clone(), shard: shard.map(str::to_owned) };
        move |error| {
            let status = error.raw_response().map(|response: &HttpResponse| response.status().as_u16());
            let (code, message) = code_and_message(&error);
            ApiError::classify(Refusal { target, operation, code, message }, status)
        }
    }
}

impl Api for SdkApi {
    async fn list_shards(&self) -> Result<Vec<Shard>, ApiError> {
        let mut shards = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let request = self.once.list_shards();
            // The service refuses a request that has both the stream and a token.
            let request = match token.take() {
                Some(token) => request.next_token(token),
                None => request.set_stream_name(self.stream_name()).set_stream_arn(self.stream_arn()),
            };
            let page = request.send().await.map_err(self.failed("ListShards", None))?;
            shards.extend(page.shards().iter().map(shard));
            token = page.next_token;
            if token.is_none() {
                return Ok(shards);
            }
        }
    }

    async fn shard_iterator(&self, shard: &str, start: &IteratorStart) -> Result<String, ApiError> {
        let request = self.once.get_shard_iterator().shard_id(shard);
        let request = request.set_stream_name(self.stream_name()).set_stream_arn(self.stream_arn());
        let request = match start {
            IteratorStart::TrimHorizon => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
            IteratorStart::Latest => request.shard_iterator_type(ShardIteratorType::Latest),
            IteratorStart::AtTimestamp { ms } => request
                .shard_iterator_type(ShardIteratorType::AtTimestamp)
                .timestamp(DateTime::from_millis(i64::try_from(*ms).unwrap_or(i64::MAX))),
            IteratorStart::AfterSequenceNumber(number) => request
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .starting_sequence_number(number),
        };
        let answer = request.send().await.map_err(self.failed("GetShardIterator", Some(shard)))?;
        answer.shard_iterator.ok_or_else(|| {
            ApiError::Transient(Refusal {
                target: Target { stream: self.stream.clone(), shard: Some(shard.to_owned()) },
                operation: "GetShardIterator",
                code: "response".to_owned(),
                message: "the answer has no iterator".to_owned(),
            })
        })
    }

    async fn get_records(&self, shard: &str, iterator: &str, limit: i32) -> Result<Answer, ApiError> {
        let request = self.once.get_records().shard_iterator(iterator).limit(limit);
        let request = request.set_stream_arn(self.stream_arn());
        let answer = request.send().await.map_err(self.failed("GetRecords", Some(shard)))?;
        Ok(Answer {
            records: answer.records.into_iter().map(stored_record).collect(),
            next_iterator: answer.next_shard_iterator,
            behind_ms: answer.millis_behind_latest.and_then(|ms| u64::try_from(ms).ok()),
        })
    }

    async fn retention(&self) -> Result<Duration, ApiError> {
        let request = self.once.describe_stream_summary();
        let request = request.set_stream_name(self.stream_name()).set_stream_arn(self.stream_arn());
        let answer = request.send().await.map_err(self.failed("DescribeStreamSummary", None))?;
        let hours = answer.stream_description_summary.map_or(0, |summary| summary.retention_period_hours);
        // No stream keeps less than a day.
        Ok(Duration::from_secs(3600 * u64::try_from(hours).unwrap_or(0).max(24)))
    }

    async fn put_records(&self, records: Vec<NewRecord>) -> Result<Vec<Result<(), String>>, ApiError> {
        let mut request = self.patient.put_records();
        request = request.set_stream_name(self.stream_name()).set_stream_arn(self.stream_arn());
        for NewRecord { partition_key, data } in records {
            let entry = PutRecordsRequestEntry::builder().data(Blob::new(data)).partition_key(partition_key);
            let entry = entry.build().map_err(SdkError::construction_failure);
            request = request.records(entry.map_err(
                self.failed::<aws_sdk_kinesis::operation::put_records::PutRecordsError>("PutRecords", None),
            )?);
        }
        let answer = request.send().await.map_err(self.failed("PutRecords", None))?;
        Ok(answer.records.into_iter().map(|entry| entry.error_code.map_or(Ok(()), Err)).collect())
    }
}

fn shard(shard: &aws_sdk_kinesis::types::Shard) -> Shard {
    let hash_keys = shard.hash_key_range();
    Shard {
        id: shard.shard_id().to_owned(),
        parent: shard.parent_shard_id().map(str::to_owned),
        adjacent_parent: shard.adjacent_parent_shard_id().map(str::to_owned),
        starting_hash_key: hash_keys.and_then(|keys| keys.starting_hash_key().parse().ok()).unwrap_or(0),
        ending_hash_key: hash_keys.and_then(|keys| keys.ending_hash_key().parse().ok()).unwrap_or(u128::MAX),
        closed: shard.sequence_number_range().is_some_and(|range| range.ending_sequence_number().is_some()),
    }
}

fn stored_record(record: Record) -> StoredRecord {
    let arrival = record.approximate_arrival_timestamp.and_then(|time| time.to_millis().ok());
    StoredRecord {
        sequence_number: record.sequence_number,
        data: record.data.into_inner().into(),
        arrival_ms: arrival.and_then(|ms| u64::try_from(ms).ok()),
    }
}

fn code_and_message<E>(error: &SdkError<E>) -> (String, String)
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let code = match error {
        SdkError::ServiceError(context) => {
            let error = context.err();
            let code = error.code().unwrap_or("unknown").to_owned();
            let message = if tells_no_secret(&code) { error.message().unwrap_or_default() } else { "" };
            return (code, message.to_owned());
        }
        SdkError::TimeoutError(_) => "timeout",
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "timeout",
        // Neither the network nor a timeout: above all, there are no credentials.
        SdkError::DispatchFailure(failure) if failure.is_other() => "unsent",
        SdkError::DispatchFailure(_) => "connection",
        SdkError::ResponseError(_) => "response",
        _ => "request",
    };
    (code.to_owned(), causes(error))
}

/// What the service says of a signature quotes the signed headers, session token included; so its text is passed
/// on only for codes that are known to be harmless.
fn tells_no_secret(code: &str) -> bool {
    code.starts_with("KMS")
        || matches!(code, "AccessDeniedException" | "InvalidArgumentException" | "ValidationException")
}

/// The errors below the SDK's own, which only says that something failed; in one line, as some have many.
fn causes(error: &dyn Error) -> String {
    let below = std::iter::successors(error.source(), |error| Error::source(*error));
    let text = below.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
