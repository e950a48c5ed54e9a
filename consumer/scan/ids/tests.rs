use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

const FIRST_BYTES: u64 = (Table::FIRST * PLACE_BYTES) as u64;

fn ids(threads: usize, memory: u64) -> Ids {
    Ids::new(0, threads, memory, std::env::temp_dir())
}

/// An id; some share their upper or their lower half with others.
fn id(number: u64) -> u128 {
    match number % 5 {
        0 => u128::from(number),
        1 => u128::from(number) << 64,
        _ => u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
    }
}

proptest! {
    #[test]
    fn as_a_set_has_them_in_memory_and_on_disk(
        numbers in proptest::collection::vec(0u64..6_000, 0..8_000), tables in 0u64..40
    ) {
        let (ids, mut set) = (ids(1, tables * FIRST_BYTES), HashSet::new());
        for number in numbers {
            prop_assert_eq!(ids.is_known(id(number)), !set.insert(number), "{}", number);
        }
        prop_assert!(ids.failure().is_none());
    }
}

#[test]
fn the_number_zero_is_an_id_too() {
    let ids = ids(1, 1 << 20);
    for id in [0, 1, u128::MAX] {
        assert!(!ids.is_known(id) && ids.is_known(id), "{id}");
    }
}

#[test]
fn tables_stay_within_their_memory_and_the_rest_is_on_disk() {
    let memory = 64 * FIRST_BYTES;
    let ids = ids(1, memory);
    for number in 0..100_000 {
        assert!(!ids.is_known(id(number)), "{number}");
    }
    assert!(ids.taken.load(Ordering::Relaxed) <= memory);
    let runs = |part: &Mutex<Part>| part.lock().spilled.len();
    assert!(ids.parts.iter().all(|part| (1..=8).contains(&runs(part))));
    for number in 0..100_000 {
        assert!(ids.is_known(id(number)), "{number}");
    }
}

#[test]
fn a_disk_that_fails_is_told() {
    let ids = Ids::new(0, 1, 0, "/nowhere/at/all".into());
    for number in 0..10_000 {
        ids.is_known(id(number));
    }
    assert_eq!(ids.failure().map(|error| error.kind()), Some(io::ErrorKind::NotFound));
}

#[test]
fn threads_count_each_id_once() {
    let ids = ids(4, 256 * FIRST_BYTES);
    let new: usize = std::thread::scope(|scope| {
        let count = || (0..50_000).filter(|number| !ids.is_known(id(*number))).count();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(new, 50_000);
}
