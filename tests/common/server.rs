//! Servers that a test starts by itself: on loopback, ended by their process id, also when the test fails.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::PATIENCE;

/// A server's process.
pub struct Server {
    child: Child,
    name: String,
    folder: TempDir,
}

impl Server {
    /// Starts it. What it says is kept for the message if it fails.
    pub fn start(command: &mut Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn();
        let child =
            child.unwrap_or_else(|error| panic!("{name}: {error}; `make tools` installs what is missing"));
        Self { child, name, folder }
    }

    /// Waits until `is_there`; fails if the server ends before.
    pub fn wait_until(&mut self, is_there: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            // First: what is there of a server that has ended is another one.
            let is_there = is_there();
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "{}: {ended:?}: {}", self.name, self.log());
            if is_there {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it as a service manager does, and waits until it has.
    pub fn stop(mut self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        let end = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "{} does not end: {}", self.name, self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Ports that the system gives to nobody who does not name them, so that what is free stays free.
const PORTS: Range<u16> = 15_000..30_000;

/// A port of loopback that nobody listens on, and that no other test of this process is given.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    // Processes that run side by side begin far apart.
    let first = std::process::id().wrapping_mul(997);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let next = || first.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % count;
    let mut ports = (0..count).map(|_| PORTS.start + u16::try_from(next()).unwrap());
    ports.find(is_free).unwrap()
}

pub fn is_listening(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}
