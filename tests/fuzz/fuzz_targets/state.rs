//! A damaged state is told, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trailmeter::config::Config;
use trailmeter::state::Loading;

fuzz_target!(|data: &[u8]| {
    let config = Config::parse("sources: [{files: {paths: [x]}}]", "c").unwrap();
    Loading::begin(Some(1_700_000_000), config.settings.state()).add(data);
});
