//! Whether an event counts, and what a call tells of its signature, TLS and weakness.

use std::collections::HashSet;

use super::{Event, KeyKind, Reported, SignatureVersion, TlsVersion, client, principal, time};
use crate::totals::{Dropped, EventRejection, NotCall, Totals, UnknownReason};

/// What the config says about which events count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// How far in the future an event's time may be, in seconds (`limits.future`).
    pub future_s: i64,
    /// The organisation's accounts (`organization.accounts`); empty if not said.
    pub accounts: HashSet<String>,
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not sound.
    Rejected(EventRejection),
    /// It was or will be counted elsewhere.
    Dropped(Dropped),
    /// It is none.
    NotCall(NotCall),
    /// It counts, at this time (seconds since 1970).
    Call {
        /// Event time.
        time_s: i64,
    },
}

/// Judges an event that arrived at `now_s`. `is_duplicate` remembers the id that it is given and says whether it was
/// known; it is asked at most once, and not for events that are rejected.
///
/// The order is: rejected, duplicate, correction, not a call, shared copy, call.
pub fn judge(
    event: &Event<'_>,
    policy: &Policy,
    now_s: i64,
    is_duplicate: impl FnOnce(&str) -> bool,
) -> Verdict {
    let not_call = category(event);
    let time_s = match not_call {
        Some(_) => Ok(0),
        None => sound_call(event, policy, now_s),
    };
    let time_s = match time_s {
        Ok(time_s) => time_s,
        Err(reason) => return Verdict::Rejected(reason),
    };
    let id = if not_call == Some(NotCall::Aggregated) { event.aggregated_id.or(event.id) } else { event.id };
    if id.is_some_and(is_duplicate) {
        return Verdict::Dropped(Dropped::Duplicate);
    }
    if event.is_correction {
        return Verdict::Dropped(Dropped::Correction);
    }
    if let Some(category) = not_call {
        return Verdict::NotCall(category);
    }
    if is_shared_copy(event, policy) {
        return Verdict::Dropped(Dropped::SharedCopy);
    }
    Verdict::Call { time_s }
}

/// What an event is that is not a call.
fn category(event: &Event<'_>) -> Option<NotCall> {
    match event.category {
        Some("Insight") => return Some(NotCall::Insight),
        Some("Aggregated") => return Some(NotCall::Aggregated),
        Some("NetworkActivity") if event.error_code != Some("VpceAccessDenied") => {
            return Some(NotCall::NetworkActivity);
        }
        _ => {}
    }
    match event.event_type {
        Some("AwsCloudTrailInsight") => return Some(NotCall::Insight),
        Some("AwsAggregatedEvent") => return Some(NotCall::Aggregated),
        _ if event.has_insight => return Some(NotCall::Insight),
        _ => {}
    }
    event.is_digest.then_some(NotCall::Digest)
}

fn sound_call(event: &Event<'_>, policy: &Policy, now_s: i64) -> Result<i64, EventRejection> {
    let text = event.time.ok_or(EventRejection::NoTime)?;
    let time_s = time::parse(text).ok_or(EventRejection::BadTime)?;
    if time_s > now_s.saturating_add(policy.future_s) {
        return Err(EventRejection::FutureTime);
    }
    event.source.ok_or(EventRejection::NoSource)?;
    event.name.ok_or(EventRejection::NoName)?;
    Ok(time_s)
}

/// The resource owner's copy of a call by one of our own accounts, which has its own event there.
fn is_shared_copy(event: &Event<'_>, policy: &Policy) -> bool {
    if policy.accounts.is_empty() {
        return false;
    }
    match (event.identity.account_id, event.recipient_account_id) {
        (Some(caller), Some(recipient)) => caller != recipient && policy.accounts.contains(caller),
        _ => false,
    }
}

/// Whether the caller is outside the organisation: metered, never paged, and under caps of its own.
pub fn is_outside(event: &Event<'_>, policy: &Policy) -> bool {
    principal::is_anonymous(&event.identity)
        || (!policy.accounts.is_empty() && !policy.accounts.contains(event.account_id()))
}

/// Adds a call to the accounting and the coverage.
pub fn count_call(event: &Event<'_>, totals: &mut Totals) {
    totals.calls += 1;
    totals.signature.count(signature_unknown_because(event));
    totals.tls.count(tls_unknown_because(event));
    totals.likely_sigv2 += u64::from(is_likely_sigv2(event));
}

/// Why the signature version is unknown; none if it is known.
pub fn signature_unknown_because(event: &Event<'_>) -> Option<UnknownReason> {
    unknown_because(event, event.signature)
}

/// Why the TLS version is unknown; none if it is known.
pub fn tls_unknown_because(event: &Event<'_>) -> Option<UnknownReason> {
    unknown_because(event, event.tls)
}

fn unknown_because<T>(event: &Event<'_>, reported: Reported<T>) -> Option<UnknownReason> {
    let by_service = || {
        event.is_made_by_service()
            || event.event_type == Some("AwsServiceEvent")
            || event.identity.kind == Some("AWSService")
    };
    match reported {
        Reported::Known(_) => None,
        _ if by_service() => Some(UnknownReason::Service),
        _ if event.from_console => Some(UnknownReason::Console),
        Reported::Other => Some(UnknownReason::Other),
        Reported::Missing => Some(UnknownReason::NotReported),
    }
}

/// A way in which a call is weak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weakness {
    /// Signed with Signature Version 2.
    SigV2,
    /// Carried by TLS 1.0.
    Tls10,
    /// Carried by TLS 1.1.
    Tls11,
    /// Signed with a long-term access key.
    LongTermKey,
}

impl Weakness {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::SigV2, Self::Tls10, Self::Tls11, Self::LongTermKey];

    /// The weakness of this number in [`Self::ALL`]; none if there is none.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Reads the name.
    pub fn parse(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|weakness| weakness.label() == label)
    }

    /// The name in the API and in labels.
    pub fn label(self) -> &'static str {
        match self {
            Self::SigV2 => "sigv2",
            Self::Tls10 => "tls10",
            Self::Tls11 => "tls11",
            Self::LongTermKey => "long_term_key",
        }
    }

    /// Whether the call has any.
    pub fn is_any_of(event: &Event<'_>) -> bool {
        Self::ALL.iter().any(|weakness| weakness.is_of(event))
    }

    /// Whether the call has this weakness. A call made by a service has none; the TLS of a presigned call belongs to
    /// whoever opened the link.
    pub fn is_of(self, event: &Event<'_>) -> bool {
        let own_tls = |version| !event.is_presigned && event.tls == Reported::Known(version);
        !event.is_made_by_service()
            && match self {
                Self::SigV2 => event.signature == Reported::Known(SignatureVersion::SigV2),
                Self::Tls10 => own_tls(TlsVersion::V1_0),
                Self::Tls11 => own_tls(TlsVersion::V1_1),
                Self::LongTermKey => KeyKind::of(event.identity.access_key_id) == KeyKind::LongTerm,
            }
    }
}

/// Whether this is an S3 call that does not say its signature, by a client that signs with SigV2 unless told
/// otherwise. A guess: reported apart, never a weakness.
pub fn is_likely_sigv2(event: &Event<'_>) -> bool {
    event.source == Some("s3.amazonaws.com")
        && !matches!(event.signature, Reported::Known(_))
        && event.user_agent.and_then(client::signs_with_sigv4_by_default) == Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Identity;

    const NOON: i64 = 1_688_990_400;

    fn sound() -> Event<'static> {
        Event {
            id: Some("id"),
            time: Some("2023-07-10T12:00:00Z"),
            source: Some("s3.amazonaws.com"),
            name: Some("GetObject"),
            ..Event::default()
        }
    }

    fn check(event: Event<'_>, expect: Verdict) {
        let policy = Policy { future_s: 900, accounts: ["1".to_owned()].into() };
        assert_eq!(judge(&event, &policy, NOON, |id| id == "known"), expect, "{event:?}");
    }

    #[test]
    fn rejections_in_their_order() {
        let rejected = |event, reason| check(event, Verdict::Rejected(reason));
        check(sound(), Verdict::Call { time_s: NOON });
        rejected(Event { time: None, source: None, id: Some("known"), ..sound() }, EventRejection::NoTime);
        rejected(Event { time: Some("yesterday"), source: None, ..sound() }, EventRejection::BadTime);
        rejected(
            Event { time: Some("2023-07-10T12:15:01Z"), source: None, ..sound() },
            EventRejection::FutureTime,
        );
        check(Event { time: Some("2023-07-10T12:15:00Z"), ..sound() }, Verdict::Call { time_s: NOON + 900 });
        rejected(Event { source: None, name: None, ..sound() }, EventRejection::NoSource);
        rejected(Event { name: None, id: Some("known"), ..sound() }, EventRejection::NoName);
    }

    #[test]
    fn dropped_before_not_calls() {
        let known = Event { id: Some("known"), ..sound() };
        check(known, Verdict::Dropped(Dropped::Duplicate));
        check(Event { category: Some("Insight"), time: None, ..known }, Verdict::Dropped(Dropped::Duplicate));
        check(Event { is_correction: true, ..known }, Verdict::Dropped(Dropped::Duplicate));
        let correction = Event { is_correction: true, ..sound() };
        check(correction, Verdict::Dropped(Dropped::Correction));
        check(Event { category: Some("Insight"), ..correction }, Verdict::Dropped(Dropped::Correction));
        let aggregated = Event { id: None, aggregated_id: Some("known"), time: None, ..sound() };
        check(Event { category: Some("Aggregated"), ..aggregated }, Verdict::Dropped(Dropped::Duplicate));
    }

    #[test]
    fn not_calls_need_no_source_or_time() {
        let bare = Event::default();
        let not_call = |event, category| check(event, Verdict::NotCall(category));
        not_call(Event { category: Some("Insight"), ..bare }, NotCall::Insight);
        not_call(Event { has_insight: true, ..bare }, NotCall::Insight);
        not_call(Event { category: Some("Aggregated"), ..bare }, NotCall::Aggregated);
        not_call(Event { category: Some("NetworkActivity"), ..bare }, NotCall::NetworkActivity);
        not_call(Event { is_digest: true, ..bare }, NotCall::Digest);
        let denied =
            Event { category: Some("NetworkActivity"), error_code: Some("VpceAccessDenied"), ..sound() };
        check(denied, Verdict::Call { time_s: NOON });
    }

    #[test]
    fn shared_copies_of_our_own_calls() {
        let call = |caller, recipient| Event {
            identity: Identity { account_id: caller, ..Identity::default() },
            recipient_account_id: recipient,
            ..sound()
        };
        check(call(Some("1"), Some("2")), Verdict::Dropped(Dropped::SharedCopy));
        for (caller, recipient) in
            [(Some("2"), Some("1")), (Some("1"), Some("1")), (None, Some("2")), (Some("1"), None)]
        {
            check(call(caller, recipient), Verdict::Call { time_s: NOON });
        }
    }

    #[test]
    fn why_unknown() {
        let because = |event: Event<'_>| signature_unknown_because(&event).map(UnknownReason::label);
        let service = Identity { invoked_by: Some("x"), ..Identity::default() };
        let other = Event { signature: Reported::Other, ..sound() };
        assert_eq!(because(Event { signature: Reported::Known(SignatureVersion::SigV4), ..sound() }), None);
        assert_eq!(because(sound()), Some("not_reported"));
        assert_eq!(because(other), Some("other"));
        assert_eq!(because(Event { from_console: true, ..other }), Some("console"));
        assert_eq!(because(Event { from_console: true, identity: service, ..other }), Some("service"));
        assert_eq!(because(Event { event_type: Some("AwsServiceEvent"), ..sound() }), Some("service"));
    }

    #[test]
    fn weaknesses() {
        let of = |event: Event<'_>| {
            Weakness::ALL.into_iter().filter(|w| w.is_of(&event)).map(Weakness::label).collect::<Vec<_>>()
        };
        let key = Identity { access_key_id: Some("AKIA1"), ..Identity::default() };
        let weak = Event {
            signature: Reported::Known(SignatureVersion::SigV2),
            tls: Reported::Known(TlsVersion::V1_0),
            identity: key,
            ..sound()
        };
        assert_eq!(of(weak), ["sigv2", "tls10", "long_term_key"]);
        assert_eq!(of(Event { is_presigned: true, ..weak }), ["sigv2", "long_term_key"]);
        assert_eq!(of(Event { tls: Reported::Known(TlsVersion::V1_1), ..sound() }), ["tls11"]);
        assert!(of(Event { identity: Identity { invoked_by: Some("x"), ..key }, ..weak }).is_empty());
        assert!(of(sound()).is_empty());
    }
}
