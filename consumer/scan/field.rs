//! The fields by which calls may be told apart.

use crate::event::{Event, KeyKind, client, judge, principal, signature, tls};

/// A field of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The account that called.
    AccountId,
    /// The principal.
    Principal,
    /// `userIdentity.type`.
    IdentityType,
    /// The name behind an assumed role.
    Session,
    /// `SigV2`, `SigV4`, `SigV4A`, `unknown`.
    SignatureVersion,
    /// Whether it came through a presigned link.
    Presigned,
    /// `TLSv1` to `TLSv1.3`, `unknown`.
    TlsVersion,
    /// The id of the access key.
    KeyId,
    /// `long_term`, `temporary`, `other`, `none`.
    KeyKind,
    /// Such as `s3.amazonaws.com`.
    EventSource,
    /// Such as `GetObject`.
    EventName,
    /// Such as `eu-central-1`.
    AwsRegion,
    /// Where it came from.
    SourceIp,
    /// As the caller wrote it.
    UserAgent,
    /// The client's name, such as `Boto3`.
    Client,
    /// Its version.
    ClientVersion,
    /// An S3 call of unknown signature by a client that signs with SigV2 unless told otherwise.
    LikelySigv2,
    /// The S3 bucket.
    Bucket,
    /// `errorCode`.
    ErrorCode,
    /// The VPC endpoint that was called through.
    VpcEndpointId,
}

impl Field {
    /// All of them, with their names.
    pub const ALL: [(Self, &str); 20] = [
        (Self::AccountId, "account_id"),
        (Self::Principal, "principal"),
        (Self::IdentityType, "identity_type"),
        (Self::Session, "session"),
        (Self::SignatureVersion, "signature_version"),
        (Self::Presigned, "presigned"),
        (Self::TlsVersion, "tls_version"),
        (Self::KeyId, "key_id"),
        (Self::KeyKind, "key_kind"),
        (Self::EventSource, "event_source"),
        (Self::EventName, "event_name"),
        (Self::AwsRegion, "aws_region"),
        (Self::SourceIp, "source_ip"),
        (Self::UserAgent, "user_agent"),
        (Self::Client, "client"),
        (Self::ClientVersion, "client_version"),
        (Self::LikelySigv2, "likely_sigv2"),
        (Self::Bucket, "bucket"),
        (Self::ErrorCode, "error_code"),
        (Self::VpcEndpointId, "vpc_endpoint_id"),
    ];

    /// What is told apart by default.
    pub const DEFAULT: [Self; 4] =
        [Self::AccountId, Self::Principal, Self::SignatureVersion, Self::TlsVersion];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// Reads a name.
    ///
    /// # Errors
    /// It is none; the message has all of them.
    pub fn parse(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, known)| *known == name);
        found.map(|(field, _)| *field).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|(_, name)| *name).collect();
            format!("{name:?} is no field: there are {}", names.join(", "))
        })
    }

    /// Whether its values are `true` and `false`.
    pub fn is_boolean(self) -> bool {
        matches!(self, Self::Presigned | Self::LikelySigv2)
    }

    /// Its value in a call; empty if it is missing. `principal` is the call's.
    pub fn value<'v>(self, event: &'v Event<'_>, principal: &'v str) -> &'v str {
        let text = |text: Option<&'v str>| text.unwrap_or_default();
        let boolean = |is_so: bool| if is_so { "true" } else { "false" };
        let client = || event.user_agent.and_then(client::client);
        match self {
            Self::AccountId => event.account_id(),
            Self::Principal => principal,
            Self::IdentityType => text(event.identity.kind),
            Self::Session => text(principal::session(&event.identity)),
            Self::SignatureVersion => signature::LABELS[usize::from(event.signature.code())],
            Self::Presigned => boolean(event.is_presigned),
            Self::TlsVersion => tls::LABELS[usize::from(event.tls.code())],
            Self::KeyId => text(event.identity.access_key_id),
            Self::KeyKind => KeyKind::of(event.identity.access_key_id).label(),
            Self::EventSource => text(event.source),
            Self::EventName => text(event.name),
            Self::AwsRegion => text(event.region),
            Self::SourceIp => text(event.source_ip),
            Self::UserAgent => text(event.user_agent),
            Self::Client => client().map_or("", |client| client.name),
            Self::ClientVersion => client().map_or("", |client| client.version),
            Self::LikelySigv2 => boolean(judge::is_likely_sigv2(event)),
            Self::Bucket => text(event.bucket()),
            Self::ErrorCode => text(event.error_code),
            Self::VpcEndpointId => text(event.vpc_endpoint_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (at, (field, name)) in Field::ALL.iter().enumerate() {
            assert_eq!((*field as usize, field.name(), Field::parse(name)), (at, *name, Ok(*field)));
        }
        assert!(Field::parse("bukket").unwrap_err().contains("bucket, error_code"));
    }
}
