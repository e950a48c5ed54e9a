//! Any bytes are a record: nothing panics, and what is counted adds up.
#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use trailmeter::config::Config;
use trailmeter::decode::Decoder;
use trailmeter::duplicates::Duplicates;
use trailmeter::metrics::Metrics;
use trailmeter::pipeline::Counter;
use trailmeter::source::Payload;

fuzz_target!(|data: &[u8]| {
    let config =
        Config::parse("sources: [{files: {paths: [x]}}]\nlimits: {decompressed_bytes: 1MiB}", "c").unwrap();
    let metrics = Arc::new(Metrics::new().unwrap());
    let mut decoder = Decoder::new(config.settings.decode);
    let mut counter = Counter::new(Arc::new(config.settings), metrics, None, Duplicates::default(), None);
    counter.begin_record(1_700_000_000_000, 1_700_000_000_000);
    decoder.decode(&Payload::Bytes(Bytes::copy_from_slice(data)), &mut counter);
    let totals = &counter.pending.totals;
    assert_eq!(totals.signature.known + totals.signature.unknown.iter().sum::<u64>(), totals.calls);
    assert_eq!(totals.tls.known + totals.tls.unknown.iter().sum::<u64>(), totals.calls);
    let records =
        totals.records_decoded + totals.records_control + totals.records_rejected.iter().sum::<u64>();
    assert!(records >= 1);
});
