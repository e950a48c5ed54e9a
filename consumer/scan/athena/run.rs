//! The requests to Athena: the only file that names `aws_sdk_athena`.
//!
//! Credentials, region and endpoint are those of the SDK's defaults; `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_ATHENA` name
//! another service that speaks the same.

use std::error::Error;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_athena::Client;
use aws_sdk_athena::config::Builder;
use aws_sdk_athena::config::retry::RetryConfig;
use aws_sdk_athena::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_athena::types::{QueryExecutionContext, QueryExecutionState, ResultConfiguration, Row};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use trailmeter_rules::diagnostic::visible;

use super::{Known, TableName};

/// A connection is there or it is not.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// An answer holds 1,000 rows at most.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait before a query is asked for first; the time doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// The catalogue of tables that every account has.
const CATALOG: &str = "AwsDataCatalog";

/// Why a query gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum AthenaError {
    /// No region is configured.
    #[error("no region is configured for Athena: set AWS_REGION to the bucket's")]
    NoRegion,
    /// There is no such table.
    #[error("{0}")]
    NoTable(String),
    /// A request failed.
    #[error("Athena: {operation} failed: {code}{message}")]
    Request {
        /// The action, as a policy names it.
        operation: &'static str,
        /// The service's name for what is wrong.
        code: String,
        /// What it says of it.
        message: String,
    },
    /// The query was begun and failed.
    #[error("the query {id} {state}: {reason}")]
    Query {
        /// Its id, by which the console finds it.
        id: String,
        /// What became of it.
        state: &'static str,
        /// What Athena says of it.
        reason: String,
    },
}

/// How to reach Athena.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// The workgroup.
    pub workgroup: String,
    /// Where results are written, as a URL; none: where the workgroup says.
    pub output: Option<String>,
    /// The database in which names are looked up.
    pub database: String,
}

/// How far a query is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// `QUEUED`, `RUNNING`, …
    pub state: &'static str,
    /// Bytes that were read so far.
    pub scanned_bytes: u64,
}

/// Athena.
pub struct Athena {
    client: Client,
    service: Service,
}

impl Athena {
    /// Makes ready to ask. Nothing is asked yet.
    ///
    /// # Errors
    /// No region is configured.
    pub async fn connect(service: Service) -> Result<Self, AthenaError> {
        let tls = Provider::Rustls(CryptoMode::Ring);
        let http = aws_smithy_http_client::Builder::new().tls_provider(tls).build_https();
        let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
        if config.region().is_none() {
            return Err(AthenaError::NoRegion);
        }
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let builder = Builder::from(&config).timeout_config(timeouts).retry_config(RetryConfig::standard());
        Ok(Self { client: Client::from_conf(builder.build()), service })
    }

    /// What is known of a table.
    ///
    /// # Errors
    /// There is none ([`AthenaError::NoTable`]), or the request failed.
    pub async fn table(&self, table: &TableName) -> Result<Known, AthenaError> {
        let request = self.client.get_table_metadata().catalog_name(CATALOG);
        let request = request.database_name(&table.database).table_name(&table.table);
        let request = request.work_group(&self.service.workgroup);
        let answer = request.send().await.map_err(|error| {
            // Whatever the catalogue is at odds with, it is the table.
            let is_of_table = error.as_service_error().is_some_and(|error| error.is_metadata_exception());
            let failed = failed("athena:GetTableMetadata")(error);
            if is_of_table { AthenaError::NoTable(failed.to_string()) } else { failed }
        })?;
        let table = answer.table_metadata;
        let columns = table.as_ref().map(|table| table.columns()).unwrap_or_default();
        let columns = columns.iter().map(|column| column.name().to_owned()).collect();
        Ok(Known { columns, properties: table.and_then(|table| table.parameters).unwrap_or_default() })
    }

    /// Begins a query. Returns its id.
    ///
    /// # Errors
    /// It was not taken.
    pub async fn start(&self, sql: &str) -> Result<String, AthenaError> {
        let context = QueryExecutionContext::builder().catalog(CATALOG).database(&self.service.database);
        let result = self
            .service
            .output
            .as_ref()
            .map(|output| ResultConfiguration::builder().output_location(output).build());
        let request = self.client.start_query_execution().query_string(sql);
        let request = request.work_group(&self.service.workgroup).query_execution_context(context.build());
        let request = request.set_result_configuration(result);
        let answer = request.send().await.map_err(failed("athena:StartQueryExecution"))?;
        Ok(answer.query_execution_id.unwrap_or_default())
    }

    /// Waits until a query has ended; `watch` is told of it meanwhile. Returns the bytes that it read.
    ///
    /// # Errors
    /// It failed or was cancelled.
    pub async fn finish(&self, id: &str, mut watch: impl FnMut(Progress)) -> Result<u64, AthenaError> {
        let mut wait = FIRST_WAIT;
        loop {
            let request = self.client.get_query_execution().query_execution_id(id);
            let answer = request.send().await.map_err(failed("athena:GetQueryExecution"))?;
            let query = answer.query_execution;
            let statistics = query.as_ref().and_then(|query| query.statistics());
            let scanned = statistics.and_then(|statistics| statistics.data_scanned_in_bytes());
            let scanned_bytes = scanned.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
            let status = query.as_ref().and_then(|query| query.status());
            let ended = |state| {
                let reason =
                    status.and_then(|status| status.state_change_reason()).unwrap_or("it says no more");
                // It may quote what files hold.
                let reason = reason.chars().map(visible).collect();
                AthenaError::Query { id: id.to_owned(), state, reason }
            };
            let state = match status.and_then(|status| status.state()) {
                Some(QueryExecutionState::Succeeded) => return Ok(scanned_bytes),
                Some(QueryExecutionState::Failed) => return Err(ended("failed")),
                Some(QueryExecutionState::Cancelled) => return Err(ended("was cancelled")),
                Some(QueryExecutionState::Queued) => "queued",
                _ => "running",
            };
            watch(Progress { state, scanned_bytes });
            tokio::time::sleep(wait).await;
            wait = (2 * wait).min(LONGEST_WAIT);
        }
    }

    /// Hands the rows of a query that has succeeded to `take`, one by one: first the names of its columns.
    ///
    /// # Errors
    /// A request failed, or a row is not taken.
    pub async fn rows<E>(
        &self,
        id: &str,
        mut take: impl FnMut(Vec<Option<String>>) -> Result<(), E>,
    ) -> Result<(), E>
    where
        E: From<AthenaError>,
    {
        let mut pages = self.client.get_query_results().query_execution_id(id).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(failed("athena:GetQueryResults"))?;
            let rows = page.result_set.and_then(|set| set.rows).unwrap_or_default();
            rows.into_iter().map(values).try_for_each(&mut take)?;
        }
        Ok(())
    }

    /// Ends a query before it has ended by itself.
    ///
    /// # Errors
    /// The request failed.
    pub async fn stop(&self, id: &str) -> Result<(), AthenaError> {
        let request = self.client.stop_query_execution().query_execution_id(id);
        request.send().await.map_err(failed("athena:StopQueryExecution"))?;
        Ok(())
    }
}

fn values(row: Row) -> Vec<Option<String>> {
    row.data.unwrap_or_default().into_iter().map(|value| value.var_char_value).collect()
}

/// Sorts what the SDK says of a failed request.
fn failed<E>(operation: &'static str) -> impl FnOnce(SdkError<E>) -> AthenaError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    move |error| {
        let (code, message) = match &error {
            SdkError::ServiceError(context) => {
                let error = context.err();
                let code = error.code().unwrap_or("unknown");
                let message = if tells_no_secret(code) { error.message().unwrap_or_default() } else { "" };
                (code.to_owned(), message.to_owned())
            }
            SdkError::TimeoutError(_) => ("timeout".to_owned(), String::new()),
            error => ("connection".to_owned(), causes(error)),
        };
        let message = if message.is_empty() { message } else { format!(": {message}") };
        AthenaError::Request { operation, code, message }
    }
}

/// What the service says of a signature quotes the signed headers, session token included; so its text is passed on only
/// for codes that are known to be harmless.
fn tells_no_secret(code: &str) -> bool {
    matches!(
        code,
        "AccessDeniedException"
            | "InvalidRequestException"
            | "MetadataException"
            | "TooManyRequestsException"
            | "ValidationException"
    )
}

/// The errors below the SDK's own, which only says that something failed; in one line.
fn causes(error: &dyn Error) -> String {
    let below = std::iter::successors(error.source(), |error| Error::source(*error));
    let text = below.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
