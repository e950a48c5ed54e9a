//! A server on this machine that speaks S3.

use std::process::Command;

use super::server::{Server, free_port, is_listening};
use super::{PYTHON, repository};

/// A running server.
pub struct S3 {
    _server: Server,
    port: u16,
}

impl S3 {
    pub fn start() -> Self {
        let port = free_port();
        let mut command = Command::new("python3");
        command.args(["-m", "ministack"]).env("PYTHONPATH", repository(PYTHON));
        command.env("GATEWAY_PORT", port.to_string()).env("BIND_HOST", "127.0.0.1");
        let mut server = Server::start(&mut command);
        server.wait_until(|| is_listening(port));
        Self { _server: server, port }
    }

    /// What a program needs to know to reach it.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let known =
            [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_REGION", "us-east-1")];
        let mut environment: Vec<_> =
            known.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        environment.push(("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port)));
        environment
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes a bucket, or puts an object into one.
    pub fn put(&self, path: &str, text: &str) {
        self.put_all([(path.to_owned(), text.as_bytes().to_vec())]);
    }

    /// The same of many.
    pub fn put_all(&self, objects: impl IntoIterator<Item = (String, Vec<u8>)>) {
        let agent = super::agent();
        for (path, bytes) in objects {
            let url = format!("http://127.0.0.1:{}/{path}", self.port);
            let answer = agent.put(&url).send(&bytes[..]).unwrap();
            assert!(answer.status().is_success(), "{path}: {}", answer.status());
        }
    }

    /// Removes an object.
    pub fn delete(&self, path: &str) {
        let url = format!("http://127.0.0.1:{}/{path}", self.port);
        assert!(super::agent().delete(&url).call().unwrap().status().is_success());
    }
}
