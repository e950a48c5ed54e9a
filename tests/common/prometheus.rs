//! A Prometheus on this machine, and what can be asked of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::PATIENCE;
use super::server::{Server, free_port, is_listening};

/// What a Prometheus does: it looks each second.
#[derive(Clone, Default)]
pub struct Options {
    /// The addresses that are scraped.
    pub targets: Vec<String>,
    /// Files of rules.
    pub rules: Vec<PathBuf>,
    /// HOST:PORT of the Alertmanager that it tells.
    pub alertmanager: Option<String>,
}

/// A running Prometheus.
pub struct Prometheus {
    server: Server,
    port: u16,
}

impl Prometheus {
    /// Starts one that keeps what it keeps in `folder`; one that is started there again goes on with it.
    pub fn start(folder: &Path, options: &Options) -> Self {
        let config = folder.join("prometheus.yml");
        let alertmanagers: Vec<_> = options.alertmanager.iter().collect();
        let text = serde_json::json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "scrape_configs": [
                {"job_name": "trailmeter", "static_configs": [{"targets": options.targets}]}
            ],
            "rule_files": options.rules,
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": alertmanagers}]}]},
        });
        // JSON is YAML.
        std::fs::write(&config, text.to_string()).unwrap();
        let port = free_port();
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        // What it knows of an Alertmanager comes some seconds after the first alerts: it sends them again soon.
        command.arg("--rules.alert.resend-delay=1s");
        let mut server = Server::start(&mut command);
        server.wait_until(|| is_listening(port));
        Self { server, port }
    }

    /// Ends it as a service manager does.
    pub fn stop(self) {
        self.server.stop();
    }

    /// An answer of the API, or nothing: it listens before it answers.
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let mut request = agent.get(format!("http://127.0.0.1:{}/api/v1/{path}", self.port));
        for (name, value) in query {
            request = request.query(name, value);
        }
        let text = request.call().unwrap().body_mut().read_to_string().unwrap();
        let answer: Value = serde_json::from_str(&text).ok()?;
        assert_eq!(answer["status"], "success", "{path} {query:?}: {answer}");
        Some(answer["data"].clone())
    }

    /// The series of an expression, now.
    pub fn series(&self, expression: &str) -> Vec<Value> {
        let data = self.get("query", &[("query", expression)]);
        let Some(data) = data else { return Vec::new() };
        // A scalar is no list of series, but a time and a value.
        if data["resultType"] == "scalar" { vec![data] } else { data["result"].as_array().unwrap().clone() }
    }

    /// The values of an expression, now.
    pub fn query(&self, expression: &str) -> Vec<f64> {
        let value = |row: &Value| row["value"][1].as_str().unwrap().parse().unwrap();
        self.series(expression).iter().map(value).collect()
    }

    /// Asks until the one value of the expression is as wanted.
    pub fn wait_until(&self, expression: &str, is_wanted: impl Fn(f64) -> bool) -> f64 {
        let end = Instant::now() + PATIENCE;
        loop {
            let values = self.query(expression);
            if let &[value] = values.as_slice()
                && is_wanted(value)
            {
                return value;
            }
            assert!(Instant::now() < end, "{expression} stays at {values:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Waits until each group of rules was evaluated, and gives the rules.
    pub fn evaluated_rules(&self) -> Vec<Value> {
        let end = Instant::now() + PATIENCE;
        loop {
            let data = self.get("rules", &[]).unwrap_or_default();
            let groups = data["groups"].as_array().cloned().unwrap_or_default();
            let rules: Vec<Value> =
                groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect();
            if !rules.is_empty() && rules.iter().all(|rule| rule["health"] != "unknown") {
                return rules;
            }
            assert!(Instant::now() < end, "not evaluated: {data}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
