//! How fast gzip comes off, by library: the limit of whatever reads gzip'd files.
//!
//! `cargo bench --bench inflate` inflates generated delivery files in memory, on one core, interleaved, round by round.
//! `cargo bench --bench inflate -- --library NAME --threads N PATH…` inflates files, and those of folders, once: they are
//! read into one buffer and inflated into another, and nothing else is done. `benches/peers` compares with that.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use flate2::bufread::GzDecoder;
use libdeflater::Decompressor;
use trailmeter::generate::{Envelope, Generated, Generator, Options};

const EVENTS: u64 = 50_000;
const EVENTS_PER_FILE: usize = 1000;
const ROUNDS: usize = 9;

/// Inflates a member into a buffer that has room for it; returns how many bytes came out.
type Inflate = Box<dyn FnMut(&[u8], &mut [u8]) -> usize>;

/// A library by name, and what makes a decoder of it.
type Library = (&'static str, fn() -> Inflate);

/// A decoder is made once and used for every file where the library lets it.
const LIBRARIES: [Library; 2] = [("libdeflater", libdeflater), ("zlib-rs", zlib_rs)];

fn libdeflater() -> Inflate {
    let mut decompressor = Decompressor::new();
    Box::new(move |data, text| decompressor.gzip_decompress(data, text).unwrap())
}

fn zlib_rs() -> Inflate {
    Box::new(|data, text| {
        let mut decoder = GzDecoder::new(data);
        decoder.read_exact(text).unwrap();
        // Behind the last byte stands the checksum: only who reads on has it checked.
        assert_eq!(decoder.read(&mut [0]).unwrap(), 0);
        text.len()
    })
}

fn main() {
    // Cargo says `--bench` to every bench.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (mut library, mut threads, mut files) = (LIBRARIES[0], 1, Vec::new());
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--library" => library = named(&arguments.next().unwrap()),
            "--threads" => threads = arguments.next().unwrap().parse().unwrap(),
            path => walk(Path::new(path), &mut files),
        }
    }
    if files.is_empty() {
        return compare();
    }
    let began = Instant::now();
    let bytes = inflate_files(&files, threads, library.1);
    tell(library.0, threads, bytes, began.elapsed().as_secs_f64());
}

fn named(name: &str) -> Library {
    let names = LIBRARIES.map(|(name, _)| name).join(", ");
    *LIBRARIES
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap_or_else(|| panic!("{name:?} is no library: there are {names}"))
}

fn tell(name: &str, threads: usize, bytes: usize, seconds: f64) {
    let gigabytes = bytes as f64 / 1e9;
    println!(
        "{name:12} {threads} threads {bytes:>12} bytes {seconds:>8.3} s {:>6.2} GB/s",
        gigabytes / seconds
    );
}

/// The gzip'd files of a folder, and of those in it; or the file itself.
fn walk(path: &Path, files: &mut Vec<PathBuf>) {
    if !path.is_dir() {
        return files.push(path.to_owned());
    }
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() || path.extension().is_some_and(|extension| extension == "gz") {
            walk(&path, files);
        }
    }
}

/// Threads take one file after the other. Returns how many bytes came out.
fn inflate_files(files: &[PathBuf], threads: usize, library: fn() -> Inflate) -> usize {
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut inflate, mut data, mut text, mut bytes) = (library(), Vec::new(), Vec::new(), 0);
        while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            data.clear();
            File::open(path).unwrap().read_to_end(&mut data).unwrap();
            bytes += inflate_one(&mut inflate, &data, &mut text);
        }
        bytes
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        work() + others.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
    })
}

fn inflate_one(inflate: &mut Inflate, data: &[u8], text: &mut Vec<u8>) -> usize {
    // The last four bytes of a member are the size of what it holds (RFC 1952).
    let size = u32::from_le_bytes(*data.last_chunk().unwrap()) as usize;
    if text.len() < size {
        text.resize(size, 0);
    }
    let inflated = inflate(data, &mut text[..size]);
    assert_eq!(inflated, size);
    black_box(&text[..size]);
    inflated
}

/// All libraries over the same generated files, in memory.
fn compare() {
    let files = files();
    let mut seconds = LIBRARIES.map(|_| Vec::new());
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        for ((_, library), seconds) in LIBRARIES.iter().zip(&mut seconds) {
            let (mut inflate, mut text) = (library(), Vec::new());
            let began = Instant::now();
            bytes = files.iter().map(|data| inflate_one(&mut inflate, data, &mut text)).sum();
            seconds.push(began.elapsed().as_secs_f64());
        }
    }
    let packed: usize = files.iter().map(Vec::len).sum();
    println!(
        "{} files, gzip ratio {:.1}; medians of {ROUNDS} rounds",
        files.len(),
        bytes as f64 / packed as f64
    );
    for ((name, _), seconds) in LIBRARIES.iter().zip(&mut seconds) {
        seconds.sort_by(f64::total_cmp);
        tell(name, 1, bytes, seconds[ROUNDS / 2]);
    }
}

fn files() -> Vec<Vec<u8>> {
    let events: Vec<Generated> =
        Generator::new(Options { events: EVENTS, ..Options::organisation() }).collect();
    let gzip = |events: &[Generated]| {
        let json: Vec<&[u8]> = events.iter().map(|event| event.json.as_slice()).collect();
        Envelope::Delivery { gzip: true }.wrap(&json).concat()
    };
    events.chunks(EVENTS_PER_FILE).map(gzip).collect()
}
