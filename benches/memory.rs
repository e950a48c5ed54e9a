//! What the state of many callers takes: resident memory, and time from start to ready.
//!
//! `cargo bench --bench memory`. Starts the real binary over generated files: first 2,000,000 with 1,000,000 distinct
//! callers, then 10,000,000 more over the same state; each time it is then started again on that state. The same
//! with 5,000 callers. Memory is as the kernel accounts it.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let binary = env!("CARGO_BIN_EXE_trailmeter");
    println!(
        "{:>10} {:>12} {:>10} {:>10} {:>16} {:>16}",
        "callers", "events", "peak MiB", "then MiB", "restart peak MiB", "start to ready"
    );
    measure(binary, 5_000, 500_000, 2_000_000);
    measure(binary, 1_000_000, 2_000_000, 10_000_000);
}

fn measure(binary: &str, callers: u64, first: u64, more: u64) {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    for (start, events) in [("2025-07-01T00:00:00Z", first), ("2025-07-01T02:00:00Z", more)] {
        let mut events_made = generate(binary, callers, start, events);
        let mut run = Run::start(binary, events_made.stdout.take().unwrap().into(), &state);
        run.wait_for("all sources have ended");
        assert!(events_made.wait().unwrap().success());
        let (peak, resident) = (run.memory("VmHWM"), run.memory("VmRSS"));
        run.stop();
        let began = Instant::now();
        let mut again = Run::start(binary, Stdio::null(), &state);
        again.wait_for("all sources have ended");
        let ready_s = began.elapsed().as_secs_f64();
        let restarted = again.memory("VmHWM");
        again.stop();
        println!("{callers:>10} {events:>12} {peak:>10} {resident:>10} {restarted:>16} {ready_s:>14.2} s");
    }
    let bytes = std::fs::metadata(&state).unwrap().len();
    println!("{callers:>10} callers: state file of {} MiB", bytes >> 20);
}

/// Events as lines on a pipe.
fn generate(binary: &str, callers: u64, start: &str, events: u64) -> Child {
    let mut command = Command::new(binary);
    command.args(["generate", "--preset", "organisation", "--envelope", "ndjson", "--duration", "2h"]);
    command.args(["--callers", &callers.to_string(), "--start", start, "--events", &events.to_string()]);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

struct Run {
    child: Child,
    log: std::io::Lines<BufReader<std::process::ChildStderr>>,
}

impl Run {
    fn start(binary: &str, events: Stdio, state: &Path) -> Self {
        let mut command = Command::new(binary);
        command.args(["run", "--files", "-", "--listen", "127.0.0.1:0", "--state"]).arg(state).stdin(events);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, log }
    }

    fn wait_for(&mut self, message: &str) {
        let found = self.log.by_ref().map_while(Result::ok).any(|line| line.contains(message));
        assert!(found, "it ended before {message:?}");
    }

    /// In MiB, as the kernel accounts it.
    fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }

    fn stop(mut self) {
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        self.child.wait().unwrap();
    }
}
