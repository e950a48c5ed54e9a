//! Buckets of S3: how they are named and reached, for all that reads objects.
//!
//! Credentials, region and endpoint are those of the SDK's defaults, as for Kinesis; `AWS_ENDPOINT_URL` and
//! `AWS_ENDPOINT_URL_S3` name another service that speaks the same.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredential, resolve_bucket_region};
use object_store::{ClientOptions, CredentialProvider, Error, RetryConfig};
use tokio::sync::Mutex;

/// A connection is there or it is not.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longer than a request is repeated with the credentials that it began with.
const RENEW_BEFORE: Duration = Duration::from_secs(300);

/// A bucket, and the beginning of keys in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The bucket.
    pub bucket: String,
    /// The beginning of the keys; empty for all.
    pub prefix: String,
}

impl Location {
    /// Reads `s3://BUCKET/PREFIX`. None: the text names something else.
    ///
    /// # Errors
    /// It names no bucket, with what to write.
    pub fn parse(text: &str) -> Option<Result<Self, String>> {
        let rest = text.strip_prefix("s3://")?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Some(Err(format!("{text:?} names no bucket: write s3://BUCKET/PREFIX")));
        }
        Some(Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() }))
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

/// How long to wait for an answer.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Attempts after the first.
    pub retries: usize,
    /// For one answer with its body.
    pub answer: Duration,
    /// For all attempts together; credentials are asked for once in it.
    pub give_up: Duration,
    /// Ask first in which region the bucket is, where the endpoint is AWS' own.
    pub find_region: bool,
}

/// Makes ready to ask a bucket. Nothing is asked of it yet, unless the region is to be found.
///
/// # Errors
/// The environment has something that can't be used.
pub async fn connect(bucket: &str, patience: Patience) -> Result<AmazonS3, Error> {
    // There may be one already.
    rustls::crypto::ring::default_provider().install_default().ok();
    let http =
        aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
    let Patience { retries: max_retries, answer, give_up: retry_timeout, find_region } = patience;
    let retry = RetryConfig { max_retries, retry_timeout, ..RetryConfig::default() };
    let timeouts = ClientOptions::new().with_connect_timeout(CONNECT_TIMEOUT).with_timeout(answer);
    let endpoint = std::env::var("AWS_ENDPOINT_URL_S3").ok();
    let endpoint = endpoint.or_else(|| config.endpoint_url().map(str::to_owned));
    let found = match &endpoint {
        // Where it can't be found, the configured one is tried.
        None if find_region => resolve_bucket_region(bucket, &timeouts).await.ok(),
        _ => None,
    };
    let mut builder = AmazonS3Builder::new()
        .with_retry(retry)
        .with_client_options(timeouts)
        .with_bucket_name(bucket)
        .with_credentials(Arc::new(Credentials::of(&config)));
    if let Some(region) = found.or_else(|| Some(config.region()?.to_string())) {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = endpoint {
        builder = builder.with_allow_http(endpoint.starts_with("http://")).with_endpoint(endpoint);
    }
    builder.build()
}

/// The SDK's credentials, for requests that are not made by it. They are kept for as long as they last: to ask for them
/// may be a request by itself.
#[derive(Debug)]
struct Credentials {
    provider: Option<SharedCredentialsProvider>,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    credential: Arc<AwsCredential>,
    expires: Option<SystemTime>,
}

impl Credentials {
    fn of(config: &SdkConfig) -> Self {
        Self { provider: config.credentials_provider(), kept: Mutex::default() }
    }
}

impl Kept {
    /// For a request that may be repeated for a while.
    fn lasts(&self) -> bool {
        self.expires.is_none_or(|expires| expires > SystemTime::now() + RENEW_BEFORE)
    }
}

#[async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let failed = |source| Error::Unauthenticated { path: "credentials".to_owned(), source };
        let mut kept = self.kept.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.lasts()) {
            return Ok(Arc::clone(&kept.credential));
        }
        let provider = self.provider.as_ref().ok_or_else(|| failed("there are none".into()))?;
        let found = provider.provide_credentials().await.map_err(|error| failed(error.into()))?;
        let credential = Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        });
        *kept = Some(Kept { credential: Arc::clone(&credential), expires: found.expiry() });
        Ok(credential)
    }
}

/// An error in a line: what S3 says, or what it is due to at last. It names no secret.
pub fn why(error: &Error) -> String {
    let text = error.to_string();
    if let Some(code) = code(&text) {
        let message = between(&text, "<Message>", "</Message>").unwrap_or_default();
        return format!("{code}: {message}").trim_end_matches([':', ' ']).to_owned();
    }
    let below = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    match below.last().map(ToString::to_string).filter(|cause| !text.contains(cause.as_str())) {
        Some(cause) => format!("{text}: {cause}"),
        None => text,
    }
}

/// What to do about an error, to be put behind it; empty where nothing is known.
pub fn advice(error: &Error) -> &'static str {
    let text = error.to_string();
    let code = code(&text);
    match code.unwrap_or_default() {
        "AccessDenied" => ACCESS,
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken" => CREDENTIALS,
        "NoSuchBucket" => ": name a bucket that is there",
        "PermanentRedirect" | "AuthorizationHeaderMalformed" => ": set AWS_REGION to the bucket's region",
        "InvalidObjectState" => ": it is archived: restore it first",
        _ if matches!(error, Error::Unauthenticated { .. }) => CREDENTIALS,
        // An answer without a text, as to HEAD.
        _ if code.is_none() && matches!(error, Error::PermissionDenied { .. }) => ACCESS,
        _ => "",
    }
}

const ACCESS: &str = ": allow s3:ListBucket on the bucket, and s3:GetObject (and kms:Decrypt, if it is encrypted with a \
                      key of yours) on its objects";
const CREDENTIALS: &str =
    ": set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run it under a role";

/// S3's own name of an error ("Error responses"). The store keeps the answer to itself, but for its text.
fn code(text: &str) -> Option<&str> {
    between(text, "<Code>", "</Code>")
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(found, _)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        let location = |bucket: &str, prefix: &str| {
            Some(Ok(Location { bucket: bucket.to_owned(), prefix: prefix.to_owned() }))
        };
        for (text, expect) in [
            ("s3://logs", location("logs", "")),
            ("s3://logs/", location("logs", "")),
            ("s3://logs/AWSLogs/1/", location("logs", "AWSLogs/1/")),
            ("./s3", None),
        ] {
            assert_eq!(Location::parse(text), expect, "{text}");
        }
        assert!(Location::parse("s3:///x").unwrap().unwrap_err().contains("write s3://BUCKET/PREFIX"));
    }

    #[test]
    fn what_s3_says_is_told() {
        let failed = |text: &str| Error::Generic { store: "S3", source: text.to_owned().into() };
        for (text, expect, fix) in [
            (
                "403: <Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
                "AccessDenied: Access Denied",
                "s3:GetObject",
            ),
            ("404: <Error><Code>NoSuchBucket</Code></Error>", "NoSuchBucket", "a bucket that is there"),
            ("400: <Error><Code>ExpiredToken</Code></Error>", "ExpiredToken", "AWS_PROFILE"),
            ("connection refused", "Generic S3 error: connection refused", ""),
        ] {
            let error = failed(text);
            assert_eq!(why(&error), expect);
            assert!(advice(&error).contains(fix) && advice(&error).is_empty() == fix.is_empty(), "{text}");
        }
    }
}
