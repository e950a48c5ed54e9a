//! What the service can answer instead of data, as far as callers act on it.

use std::fmt;

use thiserror::Error;

/// What a request was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The stream's name or ARN.
    pub stream: String,
    /// The shard, if the request was about one.
    pub shard: Option<String>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shard {
            Some(shard) => write!(f, "shard {shard} of stream {}", self.stream),
            None => write!(f, "stream {}", self.stream),
        }
    }
}

/// What went wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The stream or shard.
    pub target: Target,
    /// The operation as IAM and the service call it, such as `GetRecords`.
    pub operation: &'static str,
    /// The service's error code, or `timeout`, `connection`, `unsent`, `response`, `request` if none of its arrived.
    pub code: String,
    /// What the service says of it, where that can hold no secret; else empty.
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} ({}", self.operation, self.target, self.code)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        f.write_str(")")
    }
}

/// A request that failed. Told apart by the service's error code, never by its text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ApiError {
    /// An iterator lives for five minutes; this one was kept longer.
    #[error("the iterator of {0} expired; reading goes on with a new one")]
    ExpiredIterator(Target),
    /// More requests or bytes than the service allows.
    #[error("too fast: {0}; lower `reads_per_second`, use fewer consumers, or add shards")]
    Throttled(Refusal),
    /// The stream or the shard is not there.
    #[error("{0} does not exist; check the source's `stream`, `region` and `endpoint`")]
    NotFound(Target),
    /// The credentials are missing, wrong, or may not do this.
    #[error("not allowed: {0}; let these credentials do it, and kms:Decrypt if the stream is encrypted")]
    AccessDenied(Refusal),
    /// The network or the service failed; the same request may work later.
    #[error("failed for now: {0}; if it lasts, check the network, the credentials and `endpoint`")]
    Transient(Refusal),
    /// The service does not take the request as it is.
    #[error("refused: {0}; check the source's configuration")]
    Permanent(Refusal),
}

impl ApiError {
    /// Sorts an error by the service's code, or by the HTTP status where the code is not known.
    pub(super) fn classify(refusal: Refusal, status: Option<u16>) -> Self {
        match refusal.code.as_str() {
            "ExpiredIteratorException" => Self::ExpiredIterator(refusal.target),
            "ResourceNotFoundException" => Self::NotFound(refusal.target),
            "ProvisionedThroughputExceededException"
            | "LimitExceededException"
            | "KMSThrottlingException"
            | "ThrottlingException"
            | "Throttling"
            | "RequestLimitExceeded" => Self::Throttled(refusal),
            "AccessDeniedException"
            | "KMSAccessDeniedException"
            | "ExpiredTokenException"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "OptInRequired" => Self::AccessDenied(refusal),
            "InternalFailure"
            | "InternalFailureException"
            | "InternalServerError"
            | "ServiceUnavailable"
            | "ServiceUnavailableException"
            | "ResourceInUseException"
            | "ExpiredNextTokenException"
            | "timeout"
            | "connection"
            | "unsent"
            | "response" => Self::Transient(refusal),
            _ => match status {
                Some(429) => Self::Throttled(refusal),
                Some(401 | 403) => Self::AccessDenied(refusal),
                Some(500..) => Self::Transient(refusal),
                _ => Self::Permanent(refusal),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: &str, status: Option<u16>, expect: &str) {
        let target = Target { stream: "trail".to_owned(), shard: Some("shardId-7".to_owned()) };
        let refusal =
            Refusal { target, operation: "GetRecords", code: code.to_owned(), message: String::new() };
        assert_eq!(ApiError::classify(refusal, status).to_string(), expect);
    }

    #[test]
    fn names_the_shard_and_the_fix() {
        check(
            "ResourceNotFoundException",
            Some(400),
            "shard shardId-7 of stream trail does not exist; check the source's `stream`, `region` and `endpoint`",
        );
        check(
            "ProvisionedThroughputExceededException",
            Some(400),
            "too fast: GetRecords on shard shardId-7 of stream trail (ProvisionedThroughputExceededException); \
             lower `reads_per_second`, use fewer consumers, or add shards",
        );
    }

    #[test]
    fn an_unknown_code_is_judged_by_the_status() {
        let transient = "failed for now: GetRecords on shard shardId-7 of stream trail (Odd); \
                         if it lasts, check the network, the credentials and `endpoint`";
        check("Odd", Some(503), transient);
        let permanent = "refused: GetRecords on shard shardId-7 of stream trail (Odd); \
                         check the source's configuration";
        check("Odd", Some(400), permanent);
        check("Odd", None, permanent);
    }
}
