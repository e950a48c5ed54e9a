//! One CloudTrail event and what it tells.
//!
//! Enters: the fields that the decoder read, borrowed from its buffers. Leaves: who called (principal), how the
//! call was signed and carried, and whether it counts at all. Nothing here allocates for an event that counts, and
//! nothing here does I/O or knows the time.

pub mod access_key;
pub mod client;
pub mod judge;
pub mod principal;
pub mod signature;
pub mod texts;
pub mod time;
pub mod tls;

pub use access_key::KeyKind;
pub use signature::SignatureVersion;
pub use texts::Texts;
pub use tls::TlsVersion;

/// A value that an event may report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reported<T> {
    /// Not there, empty, or of the wrong JSON type.
    #[default]
    Missing,
    /// There and understood.
    Known(T),
    /// There and not understood.
    Other,
}

/// The fields of an event that are read. A field is none if it is missing, empty, hidden or of the wrong JSON type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event<'a> {
    /// `eventID`.
    pub id: Option<&'a str>,
    /// `eventId`, as aggregated events spell it.
    pub aggregated_id: Option<&'a str>,
    /// `eventTime`.
    pub time: Option<&'a str>,
    /// `eventSource`, such as `s3.amazonaws.com`.
    pub source: Option<&'a str>,
    /// `eventName`.
    pub name: Option<&'a str>,
    /// `awsRegion`.
    pub region: Option<&'a str>,
    /// `sourceIPAddress`.
    pub source_ip: Option<&'a str>,
    /// `userAgent`, as the caller wrote it: hostile text.
    pub user_agent: Option<&'a str>,
    /// `errorCode`.
    pub error_code: Option<&'a str>,
    /// There is an `errorCode`, or a `responseElements.errorCode`.
    pub is_failed: bool,
    /// `eventType`.
    pub event_type: Option<&'a str>,
    /// `eventCategory`.
    pub category: Option<&'a str>,
    /// `recipientAccountId`.
    pub recipient_account_id: Option<&'a str>,
    /// `vpcEndpointId`.
    pub vpc_endpoint_id: Option<&'a str>,
    /// `requestParameters.bucketName`; see [`Event::bucket`].
    pub bucket: Option<&'a str>,
    /// The first ARN among `resources`.
    pub resource_arn: Option<&'a str>,
    /// `sessionCredentialFromConsole`.
    pub from_console: bool,
    /// `addendum.originalEventID` is there.
    pub is_correction: bool,
    /// The fields of a digest file are there.
    pub is_digest: bool,
    /// `insightDetails` is there.
    pub has_insight: bool,
    /// `userIdentity`.
    pub identity: Identity<'a>,
    /// `additionalEventData.SignatureVersion`.
    pub signature: Reported<SignatureVersion>,
    /// `additionalEventData.AuthenticationMethod` is `QueryString`.
    pub is_presigned: bool,
    /// `tlsDetails.tlsVersion`.
    pub tls: Reported<TlsVersion>,
    /// What is there and is none as a field: empty, hidden, or of another JSON type.
    pub odd: Odd,
}

/// A set of fields, or one of them: what is there in an event and is none as a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Odd(u16);

impl Odd {
    /// `eventSource`.
    pub const EVENT_SOURCE: Self = Self(1);
    /// `eventName`.
    pub const EVENT_NAME: Self = Self(1 << 1);
    /// `eventType`.
    pub const EVENT_TYPE: Self = Self(1 << 2);
    /// `errorCode`.
    pub const ERROR_CODE: Self = Self(1 << 3);
    /// `userIdentity.type`.
    pub const IDENTITY_TYPE: Self = Self(1 << 4);
    /// `recipientAccountId`.
    pub const RECIPIENT: Self = Self(1 << 5);
    /// `awsRegion`.
    pub const REGION: Self = Self(1 << 6);
    /// `sourceIPAddress`.
    pub const SOURCE_IP: Self = Self(1 << 7);
    /// `userAgent`.
    pub const USER_AGENT: Self = Self(1 << 8);
    /// `userIdentity.arn`.
    pub const ARN: Self = Self(1 << 9);
    /// `userIdentity.accountId`.
    pub const IDENTITY_ACCOUNT: Self = Self(1 << 10);
    /// `userIdentity.invokedBy`.
    pub const INVOKED_BY: Self = Self(1 << 11);
    /// `userIdentity.sessionContext.sessionIssuer.type`.
    pub const ISSUER_TYPE: Self = Self(1 << 12);
    /// All of `userIdentity`.
    pub const IDENTITY: Self = Self(
        Self::IDENTITY_TYPE.0
            | Self::ARN.0
            | Self::IDENTITY_ACCOUNT.0
            | Self::INVOKED_BY.0
            | Self::ISSUER_TYPE.0,
    );

    /// Whether one of these is in it.
    pub fn has_any(self, odd: Self) -> bool {
        self.0 & odd.0 != 0
    }

    /// Adds these.
    pub fn add(&mut self, odd: Self) {
        self.0 |= odd.0;
    }
}

/// The fields of `userIdentity` that are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity<'a> {
    /// `type`.
    pub kind: Option<&'a str>,
    /// `principalId`.
    pub principal_id: Option<&'a str>,
    /// `arn`.
    pub arn: Option<&'a str>,
    /// `accountId`.
    pub account_id: Option<&'a str>,
    /// `accessKeyId`.
    pub access_key_id: Option<&'a str>,
    /// `userName`.
    pub user_name: Option<&'a str>,
    /// `invokedBy`.
    pub invoked_by: Option<&'a str>,
    /// `identityProvider`.
    pub identity_provider: Option<&'a str>,
    /// `onBehalfOf.userId`.
    pub on_behalf_of: Option<&'a str>,
    /// `sessionContext.sessionIssuer.arn`.
    pub issuer_arn: Option<&'a str>,
    /// `sessionContext.sessionIssuer.type`.
    pub issuer_type: Option<&'a str>,
}

/// The place of a value when an event does not say it.
pub const UNKNOWN: &str = "unknown";

impl<'a> Event<'a> {
    /// The account that called: of the identity, else the recipient's, else `unknown`.
    pub fn account_id(&self) -> &'a str {
        self.identity.account_id.or(self.recipient_account_id).unwrap_or(UNKNOWN)
    }

    /// The S3 bucket: as the request names it, else as the first of the resources does.
    pub fn bucket(&self) -> Option<&'a str> {
        let of_resource = || {
            let (_, name) = self.resource_arn?.split_once(":s3:::")?;
            name.split('/').next().filter(|bucket| !bucket.is_empty())
        };
        self.bucket.or_else(of_resource)
    }

    /// Whether an AWS service made the call on its own or on someone's behalf.
    pub fn is_made_by_service(&self) -> bool {
        self.identity.invoked_by.is_some()
    }
}
