//! An event as rules ask for it.

use std::cell::Cell;
use std::hash::{BuildHasher, Hasher};

use hashbrown::DefaultHashBuilder;
use trailmeter_rules::event::{Event as Asked, Known, Lookup};

use crate::decode::json::Value;
use crate::event::judge::Weakness;
use crate::event::{Event, KeyKind, Odd, client, principal, signature, tls};

/// Texts that are laid out side by side for each call: those of [`Known`] up to here cost nothing to find.
const LAID_OUT: usize = Known::Account as usize + 1;
/// The hash of what is not there.
const ABSENT: u64 = 0x5851_f42d_4c95_7f2d;

/// A call, with all that it says and what its judgement says of it.
pub struct Call<'c> {
    /// The event.
    pub event: &'c Event<'c>,
    /// All that it says.
    pub json: Value<'c, 'c>,
    /// Its time, in seconds since 1970.
    pub time_s: i64,
    /// The account that called.
    pub account_id: &'c str,
    /// The principal.
    pub principal: &'c str,
    /// Its number in the shard since the start.
    pub number: u64,
    /// The minute of wall time (since 1970) in which it is judged.
    pub minute: u64,
    texts: [Option<&'c str>; LAID_OUT],
    hasher: &'c DefaultHashBuilder,
    hashes: [Cell<u64>; LAID_OUT],
}

/// What a call is, besides its event.
#[derive(Clone, Copy)]
pub struct Judged<'c> {
    /// Its time, in seconds since 1970.
    pub time_s: i64,
    /// The account that called.
    pub account_id: &'c str,
    /// The principal.
    pub principal: &'c str,
    /// The minute of wall time (since 1970) in which it is judged.
    pub minute: u64,
}

impl<'c> Call<'c> {
    /// A call, of this number; hashes are made by `hasher`.
    pub fn new(
        event: &'c Event<'c>,
        json: Value<'c, 'c>,
        judged: Judged<'c>,
        number: u64,
        hasher: &'c DefaultHashBuilder,
    ) -> Self {
        let Judged { time_s, account_id, principal, minute } = judged;
        let identity = &event.identity;
        // In the order of `Known`; four of them are not said but judged.
        let texts = [
            event.source,
            event.name,
            identity.kind,
            event.event_type,
            event.error_code,
            identity.invoked_by,
            None,
            None,
            None,
            None,
            identity.arn,
            identity.account_id,
            event.recipient_account_id,
            event.region,
            event.source_ip,
            event.user_agent,
            identity.access_key_id,
            Some(principal),
            Some(account_id),
        ];
        let hashes = [const { Cell::new(0) }; LAID_OUT];
        Self { event, json, time_s, account_id, principal, number, minute, texts, hasher, hashes }
    }

    fn hash(&self, text: &str, known: Known) -> u64 {
        let mut state = self.hasher.build_hasher();
        state.write(text.as_bytes());
        // Texts of two kinds may change places.
        state.finish().wrapping_mul((known as u64) << 1 | 1) | 1
    }
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
        = Value<'e, 'e>
    where
        Self: 'e;

    fn root(&self) -> Self::Json<'_> {
        self.json
    }

    #[inline]
    fn known(&self, known: Known) -> Lookup<'_> {
        match self.texts.get(known as usize) {
            Some(Some(text)) => Lookup::Text(text),
            _ => self.not_laid_out(known),
        }
    }

    #[inline]
    fn hash_of(&self, known: Known) -> Option<u64> {
        let Some(cell) = self.hashes.get(known as usize) else {
            return match self.known(known) {
                Lookup::Text(text) => Some(self.hash(text, known)),
                Lookup::Absent => Some(ABSENT),
                Lookup::Elsewhere => None,
            };
        };
        // No hash is 0.
        if cell.get() == 0 {
            cell.set(match self.known(known) {
                Lookup::Text(text) => self.hash(text, known),
                Lookup::Absent => ABSENT.wrapping_mul((known as u64) << 1 | 1),
                Lookup::Elsewhere => return None,
            });
        }
        Some(cell.get())
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
            known if event.odd != Odd::default() && event.odd.has_any(odd(known)) => Lookup::Elsewhere,
            _ => Lookup::Absent,
        }
    }
}
