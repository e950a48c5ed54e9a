//! Weak callers in a state's file: what several shards commit, one after the other.

use std::sync::Arc;

use super::*;
use crate::callers::{Accepted, Call, CallerKey, CallerPolicy, CallerState, Delta, Detail, Past, Row};
use crate::event::judge::Weakness;
use crate::event::time::DAY_S;
use crate::event::{Event, Reported, SignatureVersion, Texts};
use crate::state::Judge;
use crate::window::CallerLimits;

/// A state, and the policy that its commits are judged by.
struct Fixture {
    _folder: tempfile::TempDir,
    state: EmbeddedState,
    policy: CallerPolicy,
}

impl Fixture {
    fn new(policy: CallerPolicy) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = EmbeddedState::open(&folder.path().join("state"), 0).unwrap();
        Self { _folder: folder, state, policy }
    }

    /// What a shard counted of a caller: its calls' days.
    fn counted(&self, delta: &mut Delta, principal: &str, days: &[i64], is_outside: bool) {
        for day in days {
            let event = Event { signature: Reported::Known(SignatureVersion::SigV2), ..Event::default() };
            let hasher = hashbrown::DefaultHashBuilder::default();
            let texts = &Texts::of(&event, "1", principal, &hasher);
            let call =
                Call { event: &event, texts, time_s: day * DAY_S, account_id: "1", principal, is_outside };
            delta.count(&call, &self.policy);
        }
    }

    /// Commits what a shard counted. Returns for how many alerts.
    fn commit(&self, delta: &mut Delta, is_learning: bool) -> u64 {
        let before = *self.state.newest_alert().borrow();
        let judge = Judge {
            policy: Arc::new(self.policy.clone()),
            is_learning,
            now_ms: 7,
            alert_link: Some("http://x".into()),
        };
        let commit = Commit::of_callers(delta.take(), judge);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let written = runtime.block_on(self.state.write(commit)).unwrap();
        delta.remember(&written.remembered.decided);
        *self.state.newest_alert().borrow() - before
    }

    /// A commit of one caller by a shard that knows of nothing yet.
    fn commit_one(&self, principal: &str, days: &[i64], is_outside: bool) -> u64 {
        let mut delta = Delta::default();
        self.counted(&mut delta, principal, days, is_outside);
        self.commit(&mut delta, false)
    }

    /// Remembers callers of history: the days of their calls.
    fn recall(&self, callers: &[(&str, &[i64], CallerState)]) -> Recalled {
        let past = |(principal, days, state): &(&str, &[i64], CallerState)| {
            let mut row = Row::new(0, *state);
            (row.calls, row.first_s, row.last_s) =
                (days.len() as u64, days[0] * DAY_S, days[days.len() - 1] * DAY_S);
            let key = CallerKey { weakness: Weakness::SigV2, account_id: "1", principal }.to_owned();
            let mut details: [hashbrown::HashMap<Box<str>, i32>; Detail::COUNT] = Default::default();
            details[Detail::Session as usize] =
                days.iter().map(|day| (format!("of day {day}").into(), *day as i32)).collect();
            Past { key, row, details }
        };
        let change = Change::Recall(callers.iter().map(past).collect(), Arc::new(self.policy.clone()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(self.state.write(change)).unwrap().recalled
    }

    fn callers(&self) -> Vec<ListedCaller> {
        self.state.list_callers(None, None, 100).unwrap().0
    }

    fn state_of(&self, principal: &str) -> CallerState {
        let (callers, _) = self.state.list_callers(None, None, 100).unwrap();
        callers.iter().find(|caller| &*caller.key.principal == principal).unwrap().row.state
    }

    fn counts(&self) -> CallerCounts {
        self.state.caller_rows(std::iter::empty()).unwrap().1
    }
}

fn policy() -> CallerPolicy {
    CallerPolicy { forget_after_s: 10 * DAY_S, ..CallerPolicy::default() }
}

/// Accepted up to the end of day 2.
fn accepting(principal: &str) -> CallerPolicy {
    let accepted = Accepted {
        principal: glob::Pattern::new(principal).unwrap(),
        account_id: None,
        weaknesses: Weakness::ALL.to_vec(),
        until_s: 3 * DAY_S - 1,
    };
    CallerPolicy { accepted: vec![accepted], ..policy() }
}

#[test]
fn shards_that_met_a_caller_at_once_page_it_once() {
    let fixture = Fixture::new(policy());
    let mut shards = [Delta::default(), Delta::default(), Delta::default()];
    for shard in &mut shards {
        fixture.counted(shard, "p", &[1], false);
        assert_eq!(shard.take_news().len(), 1);
    }
    let alerts = shards.each_mut().map(|shard| fixture.commit(shard, false));
    assert_eq!(alerts, [1, 0, 0]);
}

/// One shard sees the caller after a long silence, another one a call from before it; whoever commits first.
#[test]
fn a_silence_is_seen_by_the_shard_that_meets_its_end() {
    for late_first in [false, true] {
        let fixture = Fixture::new(policy());
        assert_eq!(fixture.commit_one("p", &[1], false), 1);
        let (mut fresh, mut late) = (Delta::default(), Delta::default());
        fixture.counted(&mut fresh, "p", &[20], false);
        fixture.counted(&mut late, "p", &[2], false);
        let order = if late_first { [&mut late, &mut fresh] } else { [&mut fresh, &mut late] };
        let alerts: u64 = order.map(|delta| fixture.commit(delta, false)).iter().sum();
        assert_eq!(alerts, 1, "late first: {late_first}");
    }
}

#[test]
fn a_silence_within_one_commit() {
    let fixture = Fixture::new(policy());
    assert_eq!(fixture.commit_one("p", &[1, 5, 20, 21, 40], false), 3);
    assert_eq!(fixture.commit_one("p", &[41], false), 0);
}

#[test]
fn an_acceptance_ends_with_the_first_call_after_it() {
    let fixture = Fixture::new(accepting("p"));
    assert_eq!(fixture.commit_one("p", &[1, 2], false), 0);
    assert_eq!(fixture.state_of("p"), CallerState::Accepted);
    assert_eq!(fixture.commit_one("p", &[2, 3, 4], false), 1);
    assert_eq!(fixture.state_of("p"), CallerState::Paged);
    assert_eq!(fixture.commit_one("p", &[5], false), 0);
    // In one commit, and by two shards of which the one within the acceptance commits last.
    let fixture = Fixture::new(accepting("p"));
    assert_eq!(fixture.commit_one("p", &[2, 3], false), 1);
    let fixture = Fixture::new(accepting("p"));
    assert_eq!(fixture.commit_one("p", &[3], false), 1);
    assert_eq!(fixture.commit_one("p", &[2], false), 0);
    assert_eq!(fixture.state_of("p"), CallerState::Paged);
}

/// Was paged, was silent for long, and is accepted when it comes back: the end of that pages.
#[test]
fn who_comes_back_while_accepted_is_paged_afterwards() {
    let fixture = Fixture::new(accepting("p"));
    assert_eq!(fixture.commit_one("p", &[-20], false), 0);
    let fixture = Fixture { policy: policy(), ..fixture };
    assert_eq!(fixture.commit_one("q", &[-20], false), 1);
    let fixture = Fixture { policy: accepting("q"), ..fixture };
    assert_eq!(fixture.commit_one("q", &[1], false), 0);
    assert_eq!(fixture.state_of("q"), CallerState::Accepted);
    assert_eq!(fixture.commit_one("q", &[3], false), 1);
}

#[test]
fn what_is_learned_is_known() {
    let fixture = Fixture::new(policy());
    let mut delta = Delta::default();
    fixture.counted(&mut delta, "p", &[1], false);
    assert_eq!(fixture.commit(&mut delta, true), 0);
    assert_eq!(fixture.state_of("p"), CallerState::Learned);
    assert_eq!(fixture.commit_one("p", &[2], false), 0);
    assert_eq!(fixture.commit_one("p", &[20], false), 1);
}

#[test]
fn a_full_memory_pages_once_and_makes_room_for_names_when_it_grows() {
    let room = CallerLimits { own: 2, outside: 1 };
    let fixture = Fixture::new(CallerPolicy { room, ..policy() });
    let mut delta = Delta::default();
    for principal in ["a", "b", "c", "d", "e"] {
        fixture.counted(&mut delta, principal, &[1], false);
    }
    for principal in ["x", "y"] {
        fixture.counted(&mut delta, principal, &[1], true);
    }
    // Two by name, one for all others; strangers have a room of their own.
    assert_eq!(fixture.commit(&mut delta, false), 3);
    assert_eq!(
        (fixture.state_of("(overflow)"), fixture.state_of("(overflow outside)")),
        (CallerState::Paged, CallerState::Outside)
    );
    assert_eq!(fixture.commit_one("c", &[2], false), 0);
    let wide = CallerLimits { own: 20, outside: 20 };
    let fixture = Fixture { policy: CallerPolicy { room: wide, ..policy() }, ..fixture };
    assert_eq!(fixture.commit_one("c", &[3], false), 1);
}

/// Accounts may be added to the organisation later.
#[test]
fn a_stranger_that_becomes_ours_is_counted_as_ours() {
    let fixture = Fixture::new(policy());
    assert_eq!(fixture.commit_one("p", &[1], true), 0);
    assert_eq!(fixture.counts(), CallerCounts { own: 0, outside: 1 });
    assert_eq!(fixture.commit_one("p", &[2], false), 1);
    assert_eq!(fixture.counts(), CallerCounts { own: 1, outside: 0 });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(fixture.state.write(Change::Forget(3 * DAY_S))).unwrap();
    assert_eq!(fixture.counts(), CallerCounts::default());
    assert_eq!(fixture.state.list_callers(None, None, 10).unwrap().0, []);
}

#[test]
fn history_is_remembered_without_a_page_and_once() {
    use CallerState::{Accepted, Learned, Outside, Paged};
    let fixture = Fixture::new(CallerPolicy { values: 3, ..accepting("accepted") });
    assert_eq!(fixture.commit_one("paged", &[3, 4], false), 1);
    assert_eq!(fixture.commit_one("stranger", &[3], true), 0);
    let history: [(&str, &[i64], CallerState); 5] = [
        ("accepted", &[1, 2], Learned),
        ("learned", &[1, 2, 3, 4, 5], Learned),
        ("outside", &[1], Outside),
        ("paged", &[1, 2, 3], Learned),
        ("stranger", &[1, 2], Learned),
    ];
    assert_eq!(fixture.recall(&history), Recalled { new: 3, known: 2, no_room: 0 });
    let callers = fixture.callers();
    let found: Vec<_> = callers
        .iter()
        .map(|caller| {
            let Row { state, calls, first_s, last_s, .. } = caller.row;
            (&*caller.key.principal, state, calls, first_s / DAY_S, last_s / DAY_S)
        })
        .collect();
    assert_eq!(
        found,
        [
            ("accepted", Accepted, 2, 1, 2),
            ("learned", Learned, 5, 1, 5),
            ("outside", Outside, 1, 1, 1),
            ("paged", Paged, 3, 1, 4),
            ("stranger", Learned, 2, 1, 3),
        ]
    );
    assert_eq!(callers[1].details[Detail::Session as usize], ["of day 3", "of day 4", "of day 5"]);
    assert_eq!(fixture.counts(), CallerCounts { own: 4, outside: 1 });
    // The same once more changes nothing.
    assert_eq!(fixture.recall(&history), Recalled { new: 0, known: 5, no_room: 0 });
    assert_eq!((fixture.callers(), fixture.counts()), (callers, CallerCounts { own: 4, outside: 1 }));
    // Who is remembered is no news; nor, when it was accepted, before that ends, and when it does.
    for (principal, days, alerts) in [
        ("learned", &[6][..], 0),
        ("learned", &[17], 1),
        ("accepted", &[2], 0),
        ("accepted", &[3], 1),
        ("stranger", &[5], 0),
        ("newcomer", &[5], 1),
    ] {
        assert_eq!(fixture.commit_one(principal, days, false), alerts, "{principal} {days:?}");
    }
}

#[test]
fn history_beyond_the_room_is_left_out() {
    let room = CallerLimits { own: 2, outside: 1 };
    let fixture = Fixture::new(CallerPolicy { room, ..policy() });
    let learned = CallerState::Learned;
    let history: [(&str, &[i64], CallerState); 3] =
        [("a", &[1], learned), ("b", &[1], learned), ("c", &[1], learned)];
    assert_eq!(fixture.recall(&history), Recalled { new: 2, known: 0, no_room: 1 });
    assert_eq!(fixture.recall(&history), Recalled { new: 0, known: 2, no_room: 1 });
    assert_eq!(fixture.callers().len(), 2);
}

/// `callers.learn_for` counts from when something ran, not from when history was remembered.
#[test]
fn a_state_of_history_alone_begins_with_the_first_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let recall = |state: &EmbeddedState| {
        runtime.block_on(state.write(Change::Recall(Vec::new(), Arc::default()))).unwrap();
    };
    recall(&EmbeddedState::open(&path, 1).unwrap());
    let state = EmbeddedState::open(&path, 2).unwrap();
    assert_eq!(state.created_ms(), 2);
    let initial = vec![(ShardId::new("s", "0"), ShardHeader::begin(Position::TrimHorizon))];
    runtime.block_on(state.write(Change::Initial(initial))).unwrap();
    drop(state);
    recall(&EmbeddedState::open(&path, 3).unwrap());
    assert_eq!(EmbeddedState::open(&path, 4).unwrap().created_ms(), 2);
}
