use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn shard(id: &str, parents: &[&str], keys: (u128, u128)) -> Shard {
    Shard {
        id: id.to_owned(),
        parent: parents.first().map(|id| (*id).to_owned()),
        adjacent_parent: parents.get(1).map(|id| (*id).to_owned()),
        starting_hash_key: keys.0,
        ending_hash_key: keys.1,
        closed: false,
    }
}

/// What is ready after `listed`, each as `shard<parent(*: is heir)[children]`.
fn check(listed: &[Shard], known: &[(&str, Progress)], expect: &[&str]) {
    let mut lineage = Lineage::new(known.iter().map(|(id, progress)| ((*id).to_owned(), *progress)));
    lineage.list(listed.to_vec());
    let ready: Vec<_> = lineage.ready().iter().map(text).collect();
    assert_eq!(ready, expect);
}

fn text(ready: &Ready) -> String {
    let mut text = ready.shard.clone();
    for parent in &ready.parents {
        let star = if parent.heir { "*" } else { "" };
        text += &format!("<{}{star}{:?}", parent.shard, parent.children).replace('"', "");
    }
    text
}

#[test]
fn a_child_waits_for_its_parent() {
    let listed = [shard("0", &[], (0, 9)), shard("1", &["0"], (5, 9)), shard("2", &["0"], (0, 4))];
    check(&listed, &[], &["0"]);
    check(&listed, &[("0", Progress::Stored)], &["0"]);
    check(&listed, &[("0", Progress::Started)], &[]);
    check(&listed, &[("0", Progress::Finished)], &["1<0[2, 1]", "2<0*[2, 1]"]);
}

#[test]
fn a_merged_shard_waits_for_both_parents() {
    let listed = [shard("0", &[], (0, 4)), shard("1", &[], (5, 9)), shard("2", &["0", "1"], (0, 9))];
    check(&listed, &[("0", Progress::Finished), ("1", Progress::Started)], &[]);
    check(&listed, &[("0", Progress::Finished), ("1", Progress::Finished)], &["2<0*[2]<1*[2]"]);
}

#[test]
fn a_parent_that_is_gone_holds_nobody_up() {
    let listed = [shard("2", &["0", "1"], (0, 9))];
    check(&listed, &[], &["2"]);
    check(&listed, &[("0", Progress::Finished)], &["2<0*[2]"]);
}

#[test]
fn a_stored_shard_that_is_gone_is_still_read_to_its_end() {
    let listed = [shard("1", &["0"], (0, 4)), shard("2", &["0"], (5, 9))];
    check(&listed, &[("0", Progress::Stored)], &["0"]);
    check(&listed, &[("0", Progress::Started)], &[]);
}

#[test]
fn one_child_alone_waits_for_the_other_to_be_listed() {
    let listed = [shard("0", &[], (0, 9)), shard("1", &["0"], (5, 9))];
    check(&listed, &[("0", Progress::Finished)], &[]);
}

#[test]
fn a_parent_whose_state_was_deleted_is_not_read_again() {
    let listed = [
        shard("0", &[], (0, 9)),
        shard("1", &["0"], (0, 4)),
        shard("2", &["0"], (5, 9)),
        shard("3", &["1"], (0, 1)),
        shard("4", &["1"], (2, 4)),
    ];
    let known = [("3", Progress::Stored), ("2", Progress::Started)];
    check(&listed, &known, &["3<1*[3, 4]", "4<1[3, 4]"]);
}

/// One change of a stream: which open shard is split, or merged with its neighbour.
#[derive(Clone, Debug)]
enum Reshard {
    Split(prop::sample::Index),
    Merge(prop::sample::Index),
}

fn reshard() -> impl Strategy<Value = Reshard> {
    let index = any::<prop::sample::Index>;
    prop_oneof![index().prop_map(Reshard::Split), index().prop_map(Reshard::Merge)]
}

/// The stream after all changes: every shard, in the order of creation.
fn stream(first: u32, changes: &[Reshard]) -> Vec<Shard> {
    let width = u128::MAX / u128::from(first);
    let mut all: Vec<Shard> = (0..first)
        .map(|n| shard(&format!("{n:04}"), &[], (u128::from(n) * width, u128::from(n + 1) * width - 1)))
        .collect();
    for change in changes {
        let mut open: Vec<usize> = (0..all.len()).filter(|n| !all[*n].closed).collect();
        open.sort_by_key(|n| all[*n].starting_hash_key);
        let id = |n: usize| format!("{:04}", all.len() + n);
        let (parents, children) = match change {
            Reshard::Split(index) => {
                let parent = &all[open[index.index(open.len())]];
                let (low, high) = (parent.starting_hash_key, parent.ending_hash_key);
                let middle = low + (high - low) / 2;
                // The upper child first, so that ids and hash keys are in different orders.
                let upper = shard(&id(0), &[&parent.id], (middle + 1, high));
                (vec![parent.id.clone()], vec![upper, shard(&id(1), &[&parent.id], (low, middle))])
            }
            Reshard::Merge(index) if open.len() > 1 => {
                let at = index.index(open.len() - 1);
                let (low, high) = (&all[open[at]], &all[open[at + 1]]);
                let keys = (low.starting_hash_key, high.ending_hash_key);
                let merged = shard(&id(0), &[&low.id, &high.id], keys);
                (vec![low.id.clone(), high.id.clone()], vec![merged])
            }
            Reshard::Merge(_) => continue,
        };
        for shard in all.iter_mut().filter(|shard| parents.contains(&shard.id)) {
            shard.closed = true;
        }
        all.extend(children);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against the naive model: a shard may start exactly when it did not start yet and all its parents ended.
    /// Between steps the process may restart, keeping only what is stored; then states of parents whose children
    /// all started are deleted.
    #[test]
    fn follows_the_naive_model(
        first in 1u32..4,
        changes in vec(reshard(), 0..12),
        order in vec((any::<prop::sample::Index>(), 0u8..8), 200),
    ) {
        let all = stream(first, &changes);
        let mut lineage = Lineage::default();
        lineage.list(all.clone());
        let (mut started, mut finished) = (BTreeSet::new(), BTreeSet::new());
        let mut heirs: BTreeMap<String, String> = BTreeMap::new();
        let mut order = order.into_iter();
        loop {
            for ready in lineage.ready() {
                let shard = all.iter().find(|shard| shard.id == ready.shard).unwrap();
                prop_assert!(shard.parents().all(|parent| finished.contains(parent)));
                prop_assert!(started.insert(ready.shard.clone()), "{} starts twice", ready.shard);
                prop_assert_eq!(ready.parents.len(), shard.parents().count());
                for parent in ready.parents.iter().filter(|parent| parent.heir) {
                    prop_assert_eq!(heirs.insert(parent.shard.clone(), ready.shard.clone()), None);
                }
                lineage.set(&ready.shard, Progress::Started);
            }
            let may = |shard: &&Shard| shard.parents().all(|parent| finished.contains(parent));
            let model: BTreeSet<_> = all.iter().filter(may).map(|shard| shard.id.clone()).collect();
            prop_assert_eq!(&started, &model);
            let closed = |id: &&String| all.iter().any(|shard| shard.id == **id && shard.closed);
            let reading: Vec<_> = started.difference(&finished).filter(closed).cloned().collect();
            let Some((pick, chance)) = order.next().filter(|_| !reading.is_empty()) else { break };
            let ended = &reading[pick.index(reading.len())];
            finished.insert(ended.clone());
            lineage.set(ended, Progress::Finished);
            if chance == 0 {
                lineage = restarted(&all, &started, &finished);
                for id in started.difference(&finished) {
                    let again = lineage.ready().iter().any(|ready| ready.shard == *id);
                    prop_assert!(again, "{} does not go on after a restart", id);
                    lineage.set(id, Progress::Started);
                }
            }
        }
        prop_assert_eq!(started.len(), all.len(), "every shard starts");
        let parents: BTreeSet<_> = all.iter().flat_map(Shard::parents).map(str::to_owned).collect();
        prop_assert_eq!(heirs.keys().cloned().collect::<BTreeSet<_>>(), parents);
        for (parent, heir) in &heirs {
            let children = all.iter().filter(|shard| shard.parents().any(|named| named == parent));
            let lowest = children.min_by_key(|child| child.starting_hash_key).unwrap();
            prop_assert_eq!(&lowest.id, heir);
        }
    }
}

fn restarted(all: &[Shard], started: &BTreeSet<String>, finished: &BTreeSet<String>) -> Lineage {
    let deleted = |id: &String| {
        let mut children = all.iter().filter(|shard| shard.parents().any(|parent| parent == id)).peekable();
        children.peek().is_some() && children.all(|child| started.contains(&child.id))
    };
    let kept = started.iter().filter(|id| !(finished.contains(*id) && deleted(id)));
    let mut lineage =
        Lineage::new(kept.map(|id| {
            (id.clone(), if finished.contains(id) { Progress::Finished } else { Progress::Stored })
        }));
    lineage.list(all.to_vec());
    lineage
}
