//! An Alertmanager on this machine, a program that takes what is posted to webhooks, and weak calls to tell them of.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use trailmeter::event::time;

use super::PATIENCE;
use super::server::{Server, free_port, is_listening};

/// A running Alertmanager.
pub struct Alertmanager {
    server: Server,
    port: u16,
    scheme: &'static str,
}

impl Alertmanager {
    /// Starts one that keeps what it keeps in `folder` and notifies nobody.
    pub fn start(folder: &Path) -> Self {
        Self::start_at(folder, free_port(), None)
    }

    /// Starts one at a port, with a web config file if there is one.
    pub fn start_at(folder: &Path, port: u16, web_config: Option<&Path>) -> Self {
        let nobody = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n";
        Self::start_with(folder, port, web_config, nobody)
    }

    /// Starts one with this config.
    pub fn start_with(folder: &Path, port: u16, web_config: Option<&Path>, text: &str) -> Self {
        let config = folder.join("alertmanager.yml");
        std::fs::write(&config, text).unwrap();
        let checked = Command::new("amtool").arg("check-config").arg(&config).output();
        let checked = checked.unwrap_or_else(|error| panic!("amtool: {error}; `make tools` installs it"));
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
        let mut command = Command::new("prometheus-alertmanager");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.path={}", folder.join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command.arg("--cluster.listen-address=");
        command.args(web_config.map(|path| format!("--web.config.file={}", path.display())));
        let mut server = Server::start(&mut command);
        server.wait_until(|| is_listening(port));
        let scheme = if web_config.is_some() { "https" } else { "http" };
        Self { server, port, scheme }
    }

    /// Ends it as a service manager does: it notes what it has notified of.
    pub fn stop(self) {
        self.server.stop();
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// The alerts that it holds as active, by their labels.
    pub fn alerts(&self) -> BTreeMap<String, Value> {
        let (status, body) = super::get(&format!("{}/api/v2/alerts", self.url()));
        assert_eq!(status, 200, "{body}");
        let alerts: Vec<Value> = serde_json::from_str(&body).unwrap();
        alerts.into_iter().map(|alert| (alert["labels"].to_string(), alert)).collect()
    }

    /// The principals of the active alerts, once there are so many.
    pub fn wait_for(&self, count: usize) -> Vec<String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let alerts = self.alerts();
            if alerts.len() >= count || Instant::now() > end {
                return alerts.values().map(principal).collect();
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}

/// Whom an alert is about.
pub fn principal(alert: &Value) -> String {
    alert["labels"]["principal"].as_str().unwrap().to_owned()
}

/// Takes what is posted to it.
pub struct Webhook {
    _runtime: Runtime,
    port: u16,
    posts: Arc<Mutex<Vec<Value>>>,
}

impl Webhook {
    pub fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let posts = Arc::<Mutex<Vec<Value>>>::default();
        let router = Router::new().fallback(take).with_state(Arc::clone(&posts));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { _runtime: runtime, port, posts }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// Everything that was posted, in order.
    pub fn posts(&self) -> Vec<Value> {
        self.posts.lock().unwrap().clone()
    }

    /// Every alert that was posted, in order.
    pub fn alerts(&self) -> Vec<Value> {
        let posts = self.posts.lock().unwrap();
        posts.iter().flat_map(|post| post["alerts"].as_array().unwrap().clone()).collect()
    }
}

async fn take(State(posts): State<Arc<Mutex<Vec<Value>>>>, body: String) {
    posts.lock().unwrap().push(serde_json::from_str(&body).unwrap());
}

/// A call by a role, weak in one way.
#[derive(Clone)]
pub struct WeakCall {
    pub role: String,
    pub account: String,
    pub session: String,
    pub id: String,
    pub time: String,
    /// Fields beside those of the identity, and `accessKeyId` of it.
    pub signature: &'static str,
    pub tls: &'static str,
    pub key: String,
}

impl WeakCall {
    /// A SigV2 call by a role of account 111122223333.
    pub fn sigv2(role: &str, id: &str, time: &str) -> Self {
        Self {
            role: role.to_owned(),
            account: "111122223333".to_owned(),
            session: "s".to_owned(),
            id: id.to_owned(),
            time: time.to_owned(),
            signature: "SigV2",
            tls: "TLSv1.2",
            key: "ASIAEXAMPLE".to_owned(),
        }
    }

    pub fn principal(&self) -> String {
        format!("arn:aws:iam::{}:role/{}", self.account, self.role)
    }

    pub fn json(&self) -> Vec<u8> {
        let Self { role, account, session, id, time, signature, tls, key } = self;
        let event = serde_json::json!({
            "eventVersion": "1.09", "eventID": id, "eventTime": time, "eventSource": "s3.amazonaws.com",
            "eventName": "GetObject", "awsRegion": "us-east-1", "sourceIPAddress": "198.51.100.7",
            "userAgent": "[Boto3/1.4.5 Python/2.7.18]", "eventType": "AwsApiCall", "eventCategory": "Data",
            "recipientAccountId": account,
            "requestParameters": {"bucketName": "archive"},
            "userIdentity": {
                "type": "AssumedRole", "accountId": account, "accessKeyId": key,
                "arn": format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"),
                "sessionContext": {"sessionIssuer": {"arn": format!("arn:aws:iam::{account}:role/{role}")}},
            },
            "additionalEventData": {"SignatureVersion": signature, "AuthenticationMethod": "AuthHeader"},
            "tlsDetails": {"tlsVersion": tls},
        });
        event.to_string().into_bytes()
    }
}

/// A folder for a config, a state and what else a test keeps.
pub struct Place {
    folder: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and gives its path.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// A folder within it.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }
}

/// The time, as events have it.
pub fn now() -> String {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    time::format(since_1970.as_secs().cast_signed())
}

/// A config over one file of calls, with more of it.
pub fn over_a_file(place: &Place, calls: &[WeakCall], more: &str) -> String {
    let lines: Vec<u8> = calls.iter().flat_map(|call| [call.json(), b"\n".to_vec()].concat()).collect();
    let file = place.write("calls.ndjson", lines);
    let state = place.path("state");
    place.write(
        "trailmeter.yaml",
        format!("sources: [{{files: {{paths: [{file:?}], follow: true}}}}]\nstate: {{embedded: {{path: {state:?}}}}}\n{more}\n"),
    )
}

/// Appends a call to that file.
pub fn append(place: &Place, call: &WeakCall) {
    let mut file = std::fs::OpenOptions::new().append(true).open(place.path("calls.ndjson")).unwrap();
    file.write_all(&[call.json(), b"\n".to_vec()].concat()).unwrap();
}
