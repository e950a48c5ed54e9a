use std::collections::BTreeMap;

use hashbrown::DefaultHashBuilder;
use proptest::prelude::*;

use super::verdict::{Known, Verdict};
use super::*;
use crate::event::{Event, Identity, Reported, SignatureVersion, Texts, TlsVersion};
use crate::window::CallerLimits;

fn policy() -> CallerPolicy {
    CallerPolicy {
        forget_after_s: 1000,
        learn_for_ms: 0,
        accepted: Vec::new(),
        values: 3,
        room: CallerLimits { own: 100, outside: 10 },
    }
}

fn key() -> CallerKey<'static> {
    CallerKey { weakness: Weakness::SigV2, account_id: "1", principal: "arn:aws:iam::1:role/ci-1" }
}

#[test]
fn who_is_new() {
    let check = |known: Option<(CallerState, i64)>, time_s, is_learning, expect| {
        let known = known.map(|(state, last_s)| Known { state, last_s });
        assert_eq!(policy().judge(known, key(), time_s, is_learning), expect, "{known:?} at {time_s}");
    };
    check(None, 0, false, Verdict::Page);
    check(None, 0, true, Verdict::Learned);
    for state in [CallerState::Paged, CallerState::Learned] {
        check(Some((state, 5000)), 6000, false, Verdict::Known);
        check(Some((state, 5000)), 6001, false, Verdict::Page);
        // An old event that comes late says nothing of silence.
        check(Some((state, 5000)), 1, false, Verdict::Known);
    }
    // Was outside when it was seen, and is ours now; was accepted, and no longer is.
    check(Some((CallerState::Outside, 5000)), 5001, false, Verdict::Page);
    check(Some((CallerState::Accepted, 5000)), 5001, false, Verdict::Page);
}

#[test]
fn who_is_accepted() {
    let check = |accepted, time_s, expect| {
        let policy = CallerPolicy { accepted: vec![accepted], ..policy() };
        assert_eq!(policy.judge(None, key(), time_s, true), expect, "{policy:?}");
    };
    check(accepted("*:role/ci-*", None, &Weakness::ALL), 100, Verdict::Accepted);
    check(accepted("*:role/ci-*", Some("1"), &[Weakness::SigV2]), 100, Verdict::Accepted);
    check(accepted("*:role/ci-*", None, &Weakness::ALL), 101, Verdict::Learned);
    check(accepted("*:role/cd-*", None, &Weakness::ALL), 100, Verdict::Learned);
    check(accepted("*:role/ci-*", Some("2"), &Weakness::ALL), 100, Verdict::Learned);
    check(accepted("*:role/ci-*", None, &[Weakness::Tls10]), 100, Verdict::Learned);
}

/// Accepted until second 100.
fn accepted(principal: &str, account_id: Option<&str>, weaknesses: &[Weakness]) -> Accepted {
    Accepted {
        principal: glob::Pattern::new(principal).unwrap(),
        account_id: account_id.map(str::to_owned),
        weaknesses: weaknesses.to_vec(),
        until_s: 100,
    }
}

/// A SigV2 call of the principal, in this session.
fn event<'a>(arn: &'a str, name: &'a str) -> Event<'a> {
    Event {
        signature: Reported::Known(SignatureVersion::SigV2),
        identity: Identity { arn: Some(arn), access_key_id: Some("ASIA1"), ..Identity::default() },
        source: Some("s3.amazonaws.com"),
        name: Some(name),
        user_agent: Some("[Boto3/1.4.5 Python/2]"),
        source_ip: Some("198.51.100.7"),
        ..Event::default()
    }
}

thread_local! {
    /// One for all calls, as a shard has it.
    static HASHER: DefaultHashBuilder = DefaultHashBuilder::default();
}

fn count(delta: &mut Delta, event: &Event<'_>, principal: &str, time_s: i64, is_outside: bool) {
    let hasher = HASHER.with(Clone::clone);
    let texts = &Texts::of(event, "1", principal, &hasher);
    delta.count(&Call { event, texts, time_s, account_id: "1", principal, is_outside }, &policy());
}

/// Event times of the calls by which callers may be new.
fn news(delta: &mut Delta) -> Vec<i64> {
    delta.take_news().into_iter().map(|(_, time_s)| time_s).collect()
}

#[test]
fn sessions_of_a_role_are_one_caller_and_asked_for_once() {
    let mut delta = Delta::default();
    for session in 0..100 {
        let arn = format!("arn:aws:sts::1:assumed-role/r/s{session:03}");
        count(&mut delta, &event(&arn, "Get"), "r", 10, false);
    }
    assert_eq!(news(&mut delta), [10]);
    let entries = delta.take();
    assert_eq!((entries.len(), entries[0].calls, entries[0].sightings.len()), (1, 100, 1));
    let mut sessions: Vec<&str> = entries[0].details[Detail::Session as usize].keys().map(|s| &**s).collect();
    sessions.sort_unstable();
    assert_eq!(&sessions[..3], ["s000", "s001", "s002"]);
    assert!(sessions.len() <= 6, "{sessions:?}");
    // Known once it is decided; and what is listed is not listed again.
    delta.remember(&[(entries[0].hash, 10)]);
    count(&mut delta, &event("arn:aws:sts::1:assumed-role/r/s000", "Get"), "r", 20, false);
    assert!(news(&mut delta).is_empty());
    let entries = delta.take();
    assert_eq!(entries[0].details.iter().map(|list| list.len()).sum::<usize>(), 0);
    // Until it is silent for too long, or the config changes.
    delta.remember(&[(entries[0].hash, 20)]);
    count(&mut delta, &event("arn:aws:sts::1:assumed-role/r/s000", "Get"), "r", 1021, false);
    assert_eq!(news(&mut delta), [1021]);
    delta.take();
    delta.ask_again();
    count(&mut delta, &event("arn:aws:sts::1:assumed-role/r/s000", "Get"), "r", 1022, false);
    assert_eq!(news(&mut delta), [1022]);
}

#[test]
fn silence_is_seen_within_a_commit_too() {
    let mut delta = Delta::default();
    for time_s in [10, 1010, 2011, 2012] {
        count(&mut delta, &event("a", "Get"), "p", time_s, false);
    }
    assert_eq!(news(&mut delta), [10, 2011]);
    assert_eq!(
        delta.take()[0].sightings.iter().map(|sighting| sighting.time_s).collect::<Vec<_>>(),
        [10, 2011]
    );
}

#[test]
fn an_acceptance_ends_within_a_commit_too() {
    let mut delta = Delta::default();
    let policy = CallerPolicy { accepted: vec![accepted("p", None, &Weakness::ALL)], ..policy() };
    for time_s in [10, 100, 101, 102] {
        let event = event("a", "Get");
        let hasher = HASHER.with(Clone::clone);
        let texts = &Texts::of(&event, "1", "p", &hasher);
        let call = Call { event: &event, texts, time_s, account_id: "1", principal: "p", is_outside: false };
        delta.count(&call, &policy);
    }
    assert_eq!(news(&mut delta), [10, 101]);
}

#[test]
fn outsiders_are_never_asked_for() {
    let mut delta = Delta::default();
    count(&mut delta, &event("a", "Get"), "p", 10, true);
    assert!(news(&mut delta).is_empty());
    assert!(delta.take()[0].sightings.is_empty());
}

#[test]
fn a_stranger_that_becomes_ours_within_a_commit_is_asked_for() {
    let mut delta = Delta::default();
    count(&mut delta, &event("a", "Get"), "p", 10, true);
    count(&mut delta, &event("a", "Get"), "p", 11, false);
    assert_eq!(news(&mut delta), [11]);
    assert!(!delta.take()[0].is_outside);
}

#[test]
fn who_opens_a_link_is_not_the_client() {
    let mut delta = Delta::default();
    let tls = Reported::Known(TlsVersion::V1_0);
    count(&mut delta, &Event { is_presigned: true, tls, ..event("a", "Get") }, "p", 10, false);
    let entries = delta.take();
    assert_eq!(entries.len(), 1, "a link's TLS is not the signer's");
    let list =
        |detail: Detail| entries[0].details[detail as usize].keys().cloned().collect::<Vec<_>>().join(",");
    assert_eq!(list(Detail::OpenedBy), "198.51.100.7 Boto3/1.4.5");
    assert_eq!(
        (list(Detail::Client), list(Detail::SourceIp), list(Detail::KeyId)),
        ("".into(), "".into(), "ASIA1".into())
    );
    assert_eq!(entries[0].presigned, 1);
}

proptest! {
    /// Whatever the order and the commits: counts and times are those of a plain list, and each list keeps the texts
    /// of the newest days.
    #[test]
    fn as_a_plain_list(calls in proptest::collection::vec((0u8..3, 0u8..6, 0i64..5, any::<bool>()), 1..80)) {
        let mut delta = Delta::default();
        let mut rows = Rows::new();
        let mut plain: BTreeMap<String, (u64, i64, i64, Listed)> = BTreeMap::new();
        for (caller, name, day, commits) in calls {
            let (principal, name, time_s) = (format!("p{caller}"), format!("n{name}"), day * DAY_S + 5);
            count(&mut delta, &event("a", &name), &principal, time_s, false);
            let expect = plain.entry(principal).or_insert((0, i64::MAX, i64::MIN, Listed::new()));
            (expect.0, expect.1, expect.2) = (expect.0 + 1, expect.1.min(time_s), expect.2.max(time_s));
            let last = expect.3.entry(name.into()).or_insert(day as i32);
            *last = day.max(i64::from(*last)) as i32;
            if commits {
                merge(&mut delta, &mut rows);
            }
        }
        merge(&mut delta, &mut rows);
        for (principal, (calls, first_s, last_s, names)) in plain {
            let (row, listed) = &rows[&principal];
            prop_assert_eq!((row.calls, row.first_s, row.last_s), (calls, first_s, last_s));
            prop_assert_eq!(newest(listed.clone()), newest(names));
        }
    }
}

/// Texts of a list, and the day that each was last seen on.
type Listed = BTreeMap<Box<str>, i32>;
/// Rows with their names of events, by principal.
type Rows = BTreeMap<String, (Row, Listed)>;

/// What the state does with a commit, with maps in the place of tables.
fn merge(delta: &mut Delta, rows: &mut Rows) {
    for entry in delta.take() {
        let (row, listed) = rows
            .entry(entry.key.principal.to_string())
            .or_insert((Row::new(0, CallerState::Paged), Listed::new()));
        row.add(&entry);
        for (name, day) in &entry.details[Detail::EventName as usize] {
            let last = listed.entry(name.clone()).or_insert(*day);
            *last = (*last).max(*day);
        }
        *listed = newest(std::mem::take(listed));
    }
}

fn newest(listed: Listed) -> Listed {
    let mut texts: Vec<_> = listed.into_iter().collect();
    texts.sort_by(|left, right| (right.1, &left.0).cmp(&(left.1, &right.0)));
    texts.truncate(policy().values);
    texts.into_iter().collect()
}
