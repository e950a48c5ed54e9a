//! Servers that a test starts by itself: on loopback, ended by their process id, also when the test fails.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
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
        while !is_there() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "{}: {ended:?}: {}", self.name, self.log());
            std::thread::sleep(Duration::from_millis(20));
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

/// A port of loopback that nobody listens on just now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn is_listening(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}
