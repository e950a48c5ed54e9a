//! Rule files in S3.
//!
//! Credentials, region and endpoint are those of the SDK's defaults, as for Kinesis; `AWS_ENDPOINT_URL` and
//! `AWS_ENDPOINT_URL_S3` name another service that speaks the same.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredential};
use object_store::path::Path;
use object_store::{ClientOptions, CredentialProvider, ObjectStore, ObjectStoreExt, RetryConfig};
use trailmeter_rules::SourceFile;

/// A connection is there or it is not.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Rules that can't be read are looked for again soon.
const GIVE_UP: Duration = Duration::from_secs(10);
/// More objects than this under a prefix are no rules.
const MAX_OBJECTS: usize = 10_000;

/// Reads the objects under a prefix whose keys end in `.yaml` or `.yml`, by key; or the one object of that key.
pub(super) async fn read(bucket: &str, prefix: &str) -> Result<Vec<SourceFile>, String> {
    let failed =
        |error: object_store::Error| format!("s3://{bucket}/{prefix} can't be read: {}", causes(&error));
    let store = connect(bucket).await.map_err(failed)?;
    let is_rules = |key: &str| key.ends_with(".yaml") || key.ends_with(".yml");
    let mut keys = Vec::new();
    if is_rules(prefix) {
        keys.push(Path::from(prefix));
    } else {
        let folder = (!prefix.is_empty()).then(|| Path::from(prefix));
        let mut listed = store.list(folder.as_ref());
        while let Some(object) = listed.try_next().await.map_err(failed)? {
            if is_rules(object.location.as_ref()) {
                keys.push(object.location);
            }
            if keys.len() > MAX_OBJECTS {
                return Err(format!(
                    "s3://{bucket}/{prefix} holds more than {MAX_OBJECTS} objects: name a narrower prefix"
                ));
            }
        }
        keys.sort();
    }
    let mut files = Vec::new();
    for key in keys {
        let name = format!("s3://{bucket}/{key}");
        let bytes = store.get(&key).await.map_err(failed)?.bytes().await.map_err(failed)?;
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| format!("{name} is no text (UTF-8)"))?;
        files.push(SourceFile::new(name, text));
    }
    Ok(files)
}

/// Makes ready to ask a bucket. Nothing is asked of it yet.
///
/// # Errors
/// The environment has something that can't be used.
pub async fn connect(bucket: &str) -> Result<AmazonS3, object_store::Error> {
    // There may be one already.
    rustls::crypto::ring::default_provider().install_default().ok();
    let http =
        aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
    let retry = RetryConfig { max_retries: 3, retry_timeout: GIVE_UP, ..RetryConfig::default() };
    let timeouts = ClientOptions::new().with_connect_timeout(CONNECT_TIMEOUT).with_timeout(GIVE_UP);
    let mut builder = AmazonS3Builder::new()
        .with_retry(retry)
        .with_client_options(timeouts)
        .with_bucket_name(bucket)
        .with_credentials(Arc::new(Credentials::of(&config)));
    if let Some(region) = config.region() {
        builder = builder.with_region(region.as_ref());
    }
    let endpoint = std::env::var("AWS_ENDPOINT_URL_S3").ok();
    if let Some(endpoint) = endpoint.or_else(|| config.endpoint_url().map(str::to_owned)) {
        builder = builder.with_allow_http(endpoint.starts_with("http://")).with_endpoint(endpoint);
    }
    builder.build()
}

/// The SDK's credentials, for requests that are not made by it.
#[derive(Debug)]
struct Credentials(Option<SharedCredentialsProvider>);

impl Credentials {
    fn of(config: &SdkConfig) -> Self {
        Self(config.credentials_provider())
    }
}

#[async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let failed = |source| object_store::Error::Generic { store: "S3", source };
        let provider = self.0.as_ref().ok_or_else(|| failed("there are no credentials".into()))?;
        let found = provider.provide_credentials().await.map_err(|error| failed(error.into()))?;
        Ok(Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        }))
    }
}

/// An error with what it is due to at last. It names no secret.
pub fn causes(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let below = std::iter::successors(error.source(), |cause| cause.source());
    match below.last().map(ToString::to_string).filter(|cause| !text.contains(cause.as_str())) {
        Some(cause) => format!("{text}: {cause}"),
        None => text,
    }
}
