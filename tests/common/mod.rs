//! What the end-to-end tests share: the real binary, on a free loopback port, ended by its process id.
#![allow(dead_code, clippy::unwrap_used, missing_docs)]

pub mod alertmanager;
pub mod athena;
pub mod kinesis;
pub mod prometheus;
pub mod proxy;
pub mod rules;
pub mod s3;
pub mod server;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Nothing that a test waits for takes so long on a machine that works.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running trailmeter.
pub struct Trailmeter {
    child: Child,
    address: String,
    log: Receiver<Value>,
    pub lines: Vec<Value>,
}

impl Trailmeter {
    /// Starts `trailmeter run` with these arguments and waits until it listens.
    pub fn run(arguments: &[&str]) -> Self {
        Self::run_with(arguments, &[])
    }

    /// The same with environment variables.
    pub fn run_with(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut started = Self::start(arguments, environment);
        let line = started.wait_for("listening");
        started.address = line["fields"]["address"].as_str().unwrap().to_owned();
        started
    }

    /// Starts it and does not wait: it may end before it listens. A free port is taken unless one is named.
    pub fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let elsewhere: &[&str] =
            if arguments.contains(&"--listen") { &[] } else { &["--listen", "127.0.0.1:0"] };
        let mut child = Command::new(env!("CARGO_BIN_EXE_trailmeter"))
            .arg("run")
            .args(arguments)
            .args(elsewhere)
            .args(["--log-format", "json"])
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, log) = channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        Self { child, address: String::new(), log, lines: Vec::new() }
    }

    /// Waits for a line of the log whose message begins so.
    pub fn wait_for(&mut self, message: &str) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.log.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.lines.push(line.clone());
                    if line["fields"]["message"].as_str().is_some_and(|text| text.starts_with(message)) {
                        return line;
                    }
                }
                Err(error) => {
                    let why =
                        if error == RecvTimeoutError::Timeout { "not said in time" } else { "it ended" };
                    panic!("{message:?}: {why}; the log: {:#?}", self.lines);
                }
            }
        }
    }

    /// Waits until all files were read and counted.
    pub fn wait_until_all_is_read(&mut self) {
        self.wait_for("all sources have ended");
    }

    /// Waits until all files were read, or the process died before; whether it died.
    pub fn wait_until_read_or_dead(&mut self) -> bool {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            match self.log.recv_timeout(Duration::from_millis(10)) {
                Ok(line)
                    if line["fields"]["message"].as_str().is_some_and(|m| m.starts_with("all sources")) =>
                {
                    return false;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.wait();
                    return true;
                }
                _ => {}
            }
        }
        panic!("neither read nor dead; the log: {:#?}", self.lines);
    }

    /// The answer's status and body.
    pub fn get(&self, path: &str) -> (u16, String) {
        get(&format!("http://{}{path}", self.address))
    }

    /// The body of an answer that is fine.
    pub fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Asks until the answer is as wanted.
    pub fn wait_until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.json(path);
            if wanted(&answer) {
                return answer;
            }
            assert!(Instant::now() < end, "{path} stays at {answer}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The same where some requests are refused.
    pub fn wait_until_answered(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let (status, body) = self.get(path);
            if let Some(answer) =
                serde_json::from_str(&body).ok().filter(|answer| status == 200 && wanted(answer))
            {
                return answer;
            }
            assert!(Instant::now() < end, "{path} stays at {status} {body}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn post(&self, path: &str) -> (u16, String) {
        let mut answer = agent().post(format!("http://{}{path}", self.address)).send_empty().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Tells it to stop and waits until it has.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Trailmeter {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into()
}

pub fn get(url: &str) -> (u16, String) {
    let mut answer = agent().get(url).call().unwrap();
    let body = answer.body_mut().with_config().limit(1 << 30).read_to_string().unwrap();
    (answer.status().as_u16(), body)
}

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The corpus of real events, if it is on this machine. Tests that need it say loudly that they are skipped.
pub fn corpus(part: &str) -> Option<PathBuf> {
    let root =
        std::env::var("TRAILMETER_CORPUS").map_or_else(|_| repository("../shared/corpus"), PathBuf::from);
    let folder = root.join(part);
    if folder.exists() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no corpus at {}; name its folder in TRAILMETER_CORPUS", folder.display());
    None
}

/// Where `make tools` puts what the tests need of Python.
pub const PYTHON: &str = "tests/servers/python";

/// Runs a Python tool of the tests and gives what it prints.
pub fn python(script: &str, arguments: &[&str]) -> String {
    let output = Command::new("python3")
        .env("PYTHONPATH", repository(PYTHON))
        .arg(repository(script))
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{script} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `trailmeter` with these arguments to its end.
pub fn trailmeter(arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trailmeter"));
    command.args(arguments).env_clear().stdin(Stdio::null()).output().unwrap()
}

/// Tests that stop the process at named points need a build that has them.
pub fn need_failpoints() {
    if !cfg!(feature = "failpoints") {
        panic!("run it with `--features failpoints`, or by `make test`");
    }
}
