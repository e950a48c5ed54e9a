//! An event as rules ask for it.

use trailmeter_rules::event::{Event as Asked, Known, Lookup};

use crate::decode::json::Value;
use crate::event::judge::Weakness;
use crate::event::{Event, KeyKind, Odd, Texts, client, principal, signature, tls};

/// A call, with all that it says and what its judgement says of it.
#[derive(Clone, Copy)]
pub struct Call<'c> {
    /// The event.
    pub event: &'c Event<'c>,
    /// All that it says.
    pub json: Value<'c>,
    /// Its texts side by side.
    pub texts: &'c Texts<'c>,
    /// Its time, in seconds since 1970.
    pub time_s: i64,
    /// The newest event time of its shard up to it, in seconds since 1970.
    pub newest_s: i64,
    /// Its number in the shard since the start.
    pub number: u64,
    /// The minute of wall time (since 1970) in which it is judged.
    pub minute: u64,
}

/// What is not there as a text may be there as something else: which bit says so.
fn odd(known: Known) -> Odd {
    match known {
        Known::EventSource => Odd::EVENT_SOURCE,
        Known::EventName => Odd::EVENT_NAME,
        Known::IdentityType => Odd::IDENTITY_TYPE,
        Known::EventType => Odd::EVENT_TYPE,
        Known::ErrorCode => Odd::ERROR_CODE,
        Known::InvokedBy => Odd::INVOKED_BY,
        Known::IssuerType => Odd::ISSUER_TYPE,
        Known::Arn => Odd::ARN,
        Known::IdentityAccount => Odd::IDENTITY_ACCOUNT,
        Known::RecipientAccount => Odd::RECIPIENT,
        Known::Region => Odd::REGION,
        Known::SourceIp => Odd::SOURCE_IP,
        Known::UserAgent => Odd::USER_AGENT,
        _ => Odd::default(),
    }
}

fn own(text: Option<&str>) -> Lookup<'_> {
    text.map_or(Lookup::Absent, Lookup::Text)
}

impl Asked for Call<'_> {
    type Json<'e>
        = Value<'e>
    where
        Self: 'e;

    fn root(&self) -> Self::Json<'_> {
        self.json
    }

    #[inline]
    fn known(&self, known: Known) -> Lookup<'_> {
        self.texts.get(known).map_or_else(|| self.not_laid_out(known), Lookup::Text)
    }

    #[inline]
    fn hash_of(&self, known: Known) -> Option<u64> {
        match known {
            known if known as u8 > Known::Account as u8 => match self.known(known) {
                Lookup::Text(text) => Some(self.texts.hash_text(text, known)),
                Lookup::Absent => Some(known as u64),
                Lookup::Elsewhere => None,
            },
            known if self.event.odd.has_any(odd(known)) => None,
            known => Some(self.texts.hash(known)),
        }
    }

    fn judged(&self) -> u32 {
        let event = self.event;
        let kind = KeyKind::of(event.identity.access_key_id) as u32;
        let (signature, tls) = (u32::from(event.signature.code()), u32::from(event.tls.code()));
        signature | tls << 4 | kind << 8 | u32::from(event.is_presigned) << 12
    }

    fn any_weakness(&self, visit: &mut dyn FnMut(&str) -> bool) -> bool {
        Weakness::ALL.iter().any(|weakness| weakness.is_of(self.event) && visit(weakness.label()))
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn time_s(&self) -> i64 {
        self.time_s
    }
}

impl Call<'_> {
    /// What has no text beside the others, or none at all.
    fn not_laid_out(&self, known: Known) -> Lookup<'_> {
        let event = self.event;
        let client = || event.user_agent.and_then(client::client);
        match known {
            Known::SignatureVersion => Lookup::Text(signature::LABELS[usize::from(event.signature.code())]),
            Known::Presigned => Lookup::Text(if event.is_presigned { "true" } else { "false" }),
            Known::TlsVersion => Lookup::Text(tls::LABELS[usize::from(event.tls.code())]),
            Known::KeyKind => Lookup::Text(KeyKind::of(event.identity.access_key_id).label()),
            Known::Session => own(principal::session(&event.identity)),
            Known::ClientName => own(client().map(|client| client.name)),
            Known::ClientVersion => {
                own(client().map(|client| client.version).filter(|version| !version.is_empty()))
            }
            Known::ClientSignsWithSigV4 => {
                let signs = event.user_agent.and_then(client::signs_with_sigv4_by_default);
                own(signs.map(|signs| if signs { "true" } else { "false" }))
            }
            Known::Bucket => own(event.bucket()),
            Known::IssuerType if !event.odd.has_any(Odd::ISSUER_TYPE) => own(event.identity.issuer_type),
            known if event.odd.has_any(odd(known)) => Lookup::Elsewhere,
            _ => Lookup::Absent,
        }
    }
}
