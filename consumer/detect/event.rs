//! An event as rules ask for it.

use trailmeter_rules::event::{AtHand, Event as Asked, Own};

use crate::decode::json::Value;
use crate::event::judge::Weakness;
use crate::event::{Event, KeyKind, client, principal, signature, tls};

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
}

impl Asked for Call<'_> {
    type Json<'e>
        = Value<'e, 'e>
    where
        Self: 'e;

    fn root(&self) -> Self::Json<'_> {
        self.json
    }

    fn at_hand(&self, text: AtHand) -> Option<&str> {
        let event = self.event;
        match text {
            AtHand::EventName => event.name,
            AtHand::EventSource => event.source,
            AtHand::ErrorCode => event.error_code,
            AtHand::IdentityType => event.identity.kind,
            AtHand::Arn => event.identity.arn,
            AtHand::AccountId => event.identity.account_id,
            AtHand::Region => event.region,
            AtHand::SourceIp => event.source_ip,
            AtHand::UserAgent => event.user_agent,
        }
    }

    fn any_own(&self, own: Own, visit: &mut dyn FnMut(&str) -> bool) -> bool {
        if own == Own::Weakness {
            return Weakness::ALL
                .iter()
                .any(|weakness| weakness.is_of(self.event) && visit(weakness.label()));
        }
        self.own(own).is_some_and(visit)
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn time_s(&self) -> i64 {
        self.time_s
    }
}

impl Call<'_> {
    /// The value of one of our own fields that has one at most.
    fn own(&self, own: Own) -> Option<&str> {
        let event = self.event;
        let client = || event.user_agent.and_then(client::client);
        match own {
            Own::Principal => Some(self.principal),
            Own::Account => Some(self.account_id),
            Own::Session => principal::session(&event.identity),
            Own::SignatureVersion => Some(signature::LABELS[usize::from(event.signature.code())]),
            Own::Presigned => Some(if event.is_presigned { "true" } else { "false" }),
            Own::TlsVersion => Some(tls::LABELS[usize::from(event.tls.code())]),
            Own::KeyId => event.identity.access_key_id,
            Own::KeyKind => Some(KeyKind::of(event.identity.access_key_id).label()),
            Own::ClientName => client().map(|client| client.name),
            Own::ClientVersion => client().map(|client| client.version).filter(|version| !version.is_empty()),
            Own::ClientSignsWithSigV4 => {
                let signs = event.user_agent.and_then(client::signs_with_sigv4_by_default);
                signs.map(|signs| if signs { "true" } else { "false" })
            }
            Own::Bucket => event.bucket(),
            Own::SourceNetwork => event.source_ip,
            Own::Weakness => None,
        }
    }
}
