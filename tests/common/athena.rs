//! A server on this machine that speaks Athena and S3, and trails of which it and the local engine count the same files.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::server::{Server, free_port, is_listening};
use super::{PYTHON, repository, trailmeter};

/// A running server, and a trail that lies in a folder and in its bucket `trail`.
pub struct Athena {
    _server: Server,
    port: u16,
    folder: TempDir,
}

impl Athena {
    /// Starts one, with an empty bucket.
    pub fn start() -> Self {
        let port = free_port();
        let mut command = Command::new("python3");
        command.arg(repository("tests/oracle/athena_server.py")).arg(port.to_string());
        command.env("PYTHONPATH", repository(PYTHON)).env("PYTHONDONTWRITEBYTECODE", "1");
        let mut server = Server::start(&mut command);
        server.wait_until(|| is_listening(port));
        let athena = Self { _server: server, port, folder: tempfile::tempdir().unwrap() };
        athena.put("trail", b"");
        athena
    }

    /// The folder of the trail.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("trail")
    }

    /// Puts a delivery file into the folder and into the bucket.
    pub fn deliver(&self, key: &str, data: &[u8]) {
        let path = self.folder().join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, data).unwrap();
        self.put(&format!("trail/{key}"), data);
    }

    /// Delivers all files that lie below a folder, under their paths in it.
    pub fn deliver_all(&self, below: &Path) {
        let mut folders = vec![below.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let key = path.strip_prefix(below).unwrap().display().to_string();
                    self.deliver(&key, &std::fs::read(&path).unwrap());
                }
            }
        }
    }

    /// Makes a bucket, or puts an object into one.
    pub fn put(&self, path: &str, data: &[u8]) {
        let request = super::agent().put(format!("http://127.0.0.1:{}/{path}", self.port));
        let answer = request.header("content-type", "application/octet-stream").send(data).unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    /// Asks it as an SDK does.
    pub fn ask(&self, action: &str, body: &Value) -> Value {
        let request = super::agent().post(format!("http://127.0.0.1:{}/", self.port));
        let request = request
            .header("x-amz-target", format!("AmazonAthena.{action}"))
            .header("content-type", "application/x-amz-json-1.1")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=test/20250701/us-east-1/athena/aws4_request, SignedHeaders=host, Signature=0",
            );
        let mut answer = request.send(body.to_string()).unwrap();
        assert!(answer.status().is_success(), "{action}: {}", answer.status());
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    }

    /// A scan of the bucket `elsewhere` by the trail's table.
    pub fn elsewhere(&self) -> Command {
        self.command("s3://elsewhere", &["--yes"])
    }

    fn command(&self, place: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trailmeter"));
        command.args(["scan", "--engine", "athena", place]).args(arguments).env_clear();
        command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port));
        command.envs([
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", "us-east-1"),
        ]);
        command.stdin(Stdio::null());
        command
    }

    /// Runs a scan by Athena to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command("s3://trail", arguments).output().unwrap()
    }

    /// Begins a scan.
    pub fn begin(&self, arguments: &[&str]) -> Child {
        self.command("s3://trail", arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// What Athena counts, in this form.
    pub fn printed(&self, arguments: &[&str]) -> String {
        let output = self.run(&[&["--yes", "--create-table"], arguments].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What the local engine counts of the same files, in this form.
    pub fn printed_locally(&self, arguments: &[&str]) -> String {
        let output = trailmeter(&[&["scan", self.folder().to_str().unwrap()], arguments].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Holds what Athena counts against what the local engine does. Returns it.
    pub fn check(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--format", "json"]].concat();
        let found: Value = serde_json::from_str(&self.printed(&arguments)).unwrap();
        let mut expected: Value = serde_json::from_str(&self.printed_locally(&arguments)).unwrap();
        // What a table does not tell is not said to be none.
        expected["records"] = Value::Null;
        expected["not_calls"]["digest"] = Value::Null;
        for reason in ["not_json", "not_object", "too_large", "too_deep"] {
            expected["rejected"][reason] = Value::Null;
        }
        for name in ["files", "bytes", "passed_over"] {
            expected[name] = Value::Null;
        }
        expected["files_with_problems"] = json!([]);
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&found[name], value, "{name} {arguments:?}");
        }
        assert_eq!(found.as_object().unwrap().len(), expected.as_object().unwrap().len());
        found
    }
}
