//! Hostile and broken input through the decoder and the counter: only the rejections move, and all adds up.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use trailmeter::config::Config;
use trailmeter::decode::Decoder;
use trailmeter::duplicates::Duplicates;
use trailmeter::generate::{Envelope, Generator, Options};
use trailmeter::metrics::Metrics;
use trailmeter::pipeline::Counter;
use trailmeter::source::Payload;
use trailmeter::totals::Totals;

const NOW_MS: u64 = 1_800_000_000_000;

/// Counts records, each as it would arrive in a stream.
fn count(records: &[Vec<u8>]) -> Totals {
    let text = "sources: [{files: {paths: [x]}}]\nlimits: {decompressed_bytes: 1MiB, event_bytes: 64KiB}";
    let config = Config::parse(text, "c").unwrap();
    let mut decoder = Decoder::new(config.settings.decode);
    let metrics = Arc::new(Metrics::new().unwrap());
    let mut counter = Counter::new(Arc::new(config.settings), metrics, None, Duplicates::default(), None);
    for record in records {
        counter.begin_record(NOW_MS, NOW_MS);
        decoder.decode(&Payload::Bytes(Bytes::copy_from_slice(record)), &mut counter);
    }
    std::mem::take(&mut counter.pending.totals)
}

fn add_up(totals: &Totals) {
    let coverage =
        |coverage: &trailmeter::totals::Coverage| coverage.known + coverage.unknown.iter().sum::<u64>();
    assert_eq!(coverage(&totals.signature), totals.calls);
    assert_eq!(coverage(&totals.tls), totals.calls);
}

fn events(count: u64, seed: u64) -> Vec<Vec<u8>> {
    let options = Options { events: count, seed, duplicates: 0.0, ..Options::organisation() };
    Generator::new(options).map(|event| event.json).collect()
}

fn envelopes() -> [Envelope; 8] {
    [
        Envelope::Delivery { gzip: true },
        Envelope::Delivery { gzip: false },
        Envelope::EventBridge,
        Envelope::CloudWatchLogs,
        Envelope::Ndjson,
        Envelope::Array,
        Envelope::Bare,
        Envelope::Kpl,
    ]
}

#[test]
fn every_envelope_counts_the_same() {
    let events = events(200, 3);
    let json: Vec<&[u8]> = events.iter().map(Vec::as_slice).collect();
    let counted = envelopes().map(|envelope| {
        let Totals { calls, not_calls, dropped, rejected, signature, tls, .. } = count(&envelope.wrap(&json));
        (calls, not_calls, dropped, rejected, signature, tls)
    });
    assert!(counted[0].0 > 150);
    for (envelope, counts) in envelopes().iter().zip(&counted) {
        assert_eq!(*counts, counted[0], "{envelope:?}");
    }
}

#[test]
fn bombs_and_giants_cost_one_rejection_each_and_the_next_record_counts() {
    let good = Envelope::EventBridge.wrap(&[&events(1, 5)[0]]);
    let gzip = |bytes: &[u8]| {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let bomb = gzip(&gzip(&vec![b' '; 50 << 20]));
    let deep = [b"{\"a\":".repeat(100_000), b"1".to_vec(), b"}".repeat(100_000)].concat();
    let giant = [b"{\"a\":\"".to_vec(), vec![b'x'; 100 << 10], b"\"}".to_vec()].concat();
    let hostile =
        [bomb, gzip(b"\xff\xfe{}"), deep, giant, vec![b'['; 1 << 20], vec![0xf3, 0x89, 0x9a, 0xc2, 1]];
    for record in hostile {
        let totals = count(&[good.concat(), record.clone(), good.concat()]);
        add_up(&totals);
        let rejected = totals.rejected.iter().sum::<u64>() + totals.records_rejected.iter().sum::<u64>();
        assert_eq!(
            (totals.calls, totals.dropped[0], rejected),
            (1, 1, 1),
            "{:?}",
            &record[..8.min(record.len())]
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A record that is cut off counts its whole events and at most one rejection.
    #[test]
    fn truncated(kind in 0usize..8, seed in 0u64..20, cut in 0.0f64..1.0) {
        let events = events(20, seed);
        let json: Vec<&[u8]> = events.iter().map(Vec::as_slice).collect();
        let mut record = envelopes()[kind].wrap(&json).swap_remove(0);
        let whole = count(std::slice::from_ref(&record));
        record.truncate((record.len() as f64 * cut) as usize);
        let totals = count(&[record]);
        add_up(&totals);
        let rejected = totals.rejected.iter().sum::<u64>() + totals.records_rejected.iter().sum::<u64>();
        prop_assert!(rejected <= 1 + whole.rejected.iter().sum::<u64>(), "{:?}", totals);
        prop_assert!(totals.calls <= whole.calls && totals.events() <= whole.events() + 1);
    }

    /// Bytes that flip change only what they stand in: nothing panics, and what is counted adds up.
    #[test]
    fn flipped(kind in 0usize..8, seed in 0u64..20, flips in proptest::collection::vec((0.0f64..1.0, any::<u8>()), 1..8)) {
        let events = events(20, seed);
        let json: Vec<&[u8]> = events.iter().map(Vec::as_slice).collect();
        let mut record = envelopes()[kind].wrap(&json).swap_remove(0);
        for (at, byte) in flips {
            let at = (record.len() as f64 * at) as usize;
            record[at] = byte;
        }
        add_up(&count(&[record]));
    }

    /// Any bytes at all.
    #[test]
    fn noise(bytes in proptest::collection::vec(any::<u8>(), 0..400), magic in 0usize..5) {
        let magics: [&[u8]; 5] = [b"", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\xf3\x89\x9a\xc2", b"{\"Records\":["];
        let totals = count(&[[magics[magic], &bytes].concat()]);
        add_up(&totals);
        let records = totals.records_decoded + totals.records_control + totals.records_rejected.iter().sum::<u64>();
        prop_assert!(records >= 1);
    }
}
