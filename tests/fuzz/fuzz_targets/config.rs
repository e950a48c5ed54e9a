//! Any text is a config or a list of problems.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trailmeter::config::Config;

fuzz_target!(|data: &str| {
    if let Err(problems) = Config::parse(data, "c.yaml") {
        assert!(problems.to_string().starts_with("c.yaml"));
    }
});
