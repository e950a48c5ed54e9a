//! What reading events costs by reader and by processor's instructions, and what each `unsafe` is worth.
//!
//! `cargo bench --bench decode`. Bare events as they stand in delivery files, in memory, on one core; ways are interleaved,
//! round by round, and medians are printed.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::time::Instant;

use trailmeter::decode::bits::Kernel;
use trailmeter::decode::json::JsonReader;
use trailmeter::generate::{Generator, Options};
use trailmeter::prefetch;
use trailmeter::scan::ids::Ids;

const EVENTS: u64 = 50_000;
const ROUNDS: usize = 9;
const IDS: usize = 4_000_000;

/// What is measured, and over how many things, for one round.
type Way<'w> = (String, Box<dyn FnMut() + 'w>);

fn main() {
    let generator = Generator::new(Options { events: EVENTS, ..Options::organisation() });
    let events: Vec<Vec<u8>> = generator.map(|event| event.json).collect();
    let bytes: usize = events.iter().map(Vec::len).sum();
    println!("{EVENTS} events, {} bytes each on average", bytes / events.len());
    let mut ways: Vec<Way<'_>> = vec![
        ("ASCII, asked".to_owned(), Box::new(|| asked(&events, <[u8]>::is_ascii))),
        ("UTF-8, asked".to_owned(), Box::new(|| asked(&events, |event| std::str::from_utf8(event).is_ok()))),
    ];
    for kernel in Kernel::available() {
        let events = &events;
        let end = move || asked(events, |event| black_box(kernel.end_of(event)) == kernel.end_of(b"{}"));
        ways.push((format!("ends of values, {kernel:?}"), Box::new(end)));
    }
    let mut parser = JsonReader::parsing(128);
    let parsed: &[Vec<u8>] = &events;
    ways.push(("fields, parsed by simd-json".to_owned(), Box::new(move || read(parsed.iter(), &mut parser))));
    for kernel in Kernel::available() {
        let mut reader = JsonReader::with_kernel(128, kernel);
        let events = &events;
        ways.push((
            format!("fields, by layout, {kernel:?}"),
            Box::new(move || read(events.iter(), &mut reader)),
        ));
    }
    let mut reader = JsonReader::new(128);
    let ahead = || prefetch::one_ahead(&events, |next| prefetch::text(next));
    ways.push(("the same, one event brought near".to_owned(), Box::new(move || read(ahead(), &mut reader))));
    measure(&mut ways, events.len(), bytes);

    println!("\n{IDS} ids in memory");
    let ids: Vec<u128> = (0..IDS as u128).map(id).collect();
    let mut ways: Vec<Way<'_>> = vec![
        ("ids, one by one".to_owned(), Box::new(|| remember(&ids, 0))),
        ("ids, each brought near before".to_owned(), Box::new(|| remember(&ids, 4))),
    ];
    measure(&mut ways, IDS, 0);
}

fn measure(ways: &mut [Way<'_>], things: usize, bytes: usize) {
    let mut nanoseconds = vec![Vec::new(); ways.len()];
    for _ in 0..ROUNDS {
        for ((_, way), times) in ways.iter_mut().zip(&mut nanoseconds) {
            let began = Instant::now();
            way();
            times.push(began.elapsed().as_nanos() as f64);
        }
    }
    for ((name, _), times) in ways.iter().zip(&mut nanoseconds) {
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        let speed = if bytes > 0 { format!("{:6.2} GB/s", bytes as f64 / median) } else { String::new() };
        println!("{name:32} {:7.1} ns each {speed}", median / things as f64);
    }
}

fn asked(events: &[Vec<u8>], ask: impl Fn(&[u8]) -> bool) {
    black_box(events.iter().filter(|event| ask(black_box(event))).count());
}

fn read<'e>(events: impl Iterator<Item = &'e Vec<u8>>, reader: &mut JsonReader) {
    for event in events {
        reader.read(black_box(event), |found| _ = black_box(found)).ok();
    }
}

/// An id.
fn id(number: u128) -> u128 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}

/// Remembers ids, of which those that come so much later are brought near.
fn remember(ids: &[u128], ahead: usize) {
    let memory = Ids::new(ids.len(), 1, 1 << 30, std::env::temp_dir());
    for (at, id) in ids.iter().enumerate() {
        if let Some(next) = ids.get(at + ahead).filter(|_| ahead > 0) {
            memory.prefetch(*next);
        }
        assert!(!memory.is_known(*id));
    }
}
