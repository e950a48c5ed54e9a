//! The web config file: what it says, and what that means.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::basic_auth::Users;
use super::{Rate, Rules, tls};
use crate::config::units::Span;

/// One thing that is wrong, with its key and the fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// The key; empty for the file itself.
    pub key: String,
    /// What is wrong, and the fix. No secret.
    pub why: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, key, why } = self;
        if key.is_empty() { write!(f, "{file}: {why}") } else { write!(f, "{file}: {key}: {why}") }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawFile {
    tls_server_config: Option<RawTls>,
    http_server_config: RawHttp,
    basic_auth_users: BTreeMap<String, String>,
    rate_limit: Option<RawRate>,
}

/// `tls_server_config`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTls {
    pub cert: Option<String>,
    pub key: Option<String>,
    pub client_ca: Option<String>,
    pub cert_file: Option<String>,
    pub key_file: Option<String>,
    pub client_ca_file: Option<String>,
    pub client_auth_type: Option<String>,
    pub client_allowed_sans: Vec<String>,
    pub min_version: Option<String>,
    pub max_version: Option<String>,
    pub cipher_suites: Vec<String>,
    pub prefer_server_cipher_suites: Option<bool>,
    pub curve_preferences: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawHttp {
    // Read so that files of others can be used; HTTP/1.1 is all that is spoken.
    #[serde(rename = "http2")]
    _http2: Option<bool>,
    headers: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRate {
    interval: Span,
    burst: u32,
}

/// The headers that the format has.
const HEADERS: [&str; 5] = [
    "Content-Security-Policy",
    "X-Frame-Options",
    "X-Content-Type-Options",
    "X-XSS-Protection",
    "Strict-Transport-Security",
];

/// What is wrong with one file, while it is read.
pub(super) struct Reading {
    folder: PathBuf,
    file: String,
    problems: Vec<Problem>,
    /// All files that were looked for.
    files: Vec<PathBuf>,
}

impl Reading {
    pub fn problem(&mut self, key: &str, why: impl Into<String>) {
        self.problems.push(Problem { file: self.file.clone(), key: key.to_owned(), why: why.into() });
    }

    /// The bytes of a text of the file itself, or of a file that it names, beside which paths begin.
    pub fn bytes(&mut self, key: &str, inline: Option<&str>, named: Option<&str>) -> Option<Vec<u8>> {
        match (inline, named) {
            (Some(_), Some(_)) => {
                self.problem(key, format!("is given together with {key}_file: write one of them"));
                None
            }
            (Some(text), None) => Some(text.as_bytes().to_vec()),
            (None, Some(path)) => {
                let path = self.folder.join(path);
                self.files.push(path.clone());
                match read_file(&path) {
                    Ok(bytes) => Some(bytes),
                    Err(error) => {
                        self.problem(
                            &format!("{key}_file"),
                            format!("{} can't be read: {error}", path.display()),
                        );
                        None
                    }
                }
            }
            (None, None) => None,
        }
    }
}

/// What was read, and from which files; those are known also where something is wrong.
pub(super) struct Loaded {
    pub rules: Result<Rules, Vec<Problem>>,
    pub files: Vec<PathBuf>,
}

/// The bytes of a file, if it is one: the end of a pipe may never come.
fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is no file but a folder, a pipe or a device"));
    }
    std::fs::read(path)
}

/// Reads a file, and those that it names.
pub(super) fn load(path: &Path) -> Loaded {
    let mut reading = Reading {
        folder: path.parent().map(Path::to_owned).unwrap_or_default(),
        file: path.display().to_string(),
        problems: Vec::new(),
        files: vec![path.to_owned()],
    };
    let Some(raw) = read(path, &mut reading) else {
        return Loaded { rules: Err(reading.problems), files: reading.files };
    };
    let tls = raw.tls_server_config.and_then(|raw| tls::Tls::read(&raw, &mut reading));
    let users = Users::read(raw.basic_auth_users, &mut reading).map(Arc::new);
    let headers = headers(raw.http_server_config, &mut reading);
    let rate = raw.rate_limit.and_then(|raw| rate(&raw, &mut reading));
    let rules = Rules { tls, users, headers, rate };
    let rules = if reading.problems.is_empty() { Ok(rules) } else { Err(reading.problems) };
    Loaded { rules, files: reading.files }
}

fn read(path: &Path, reading: &mut Reading) -> Option<RawFile> {
    let text = match read_file(path).and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other))
    {
        Ok(text) => text,
        Err(error) => {
            reading.problem("", format!("can't be read: {error}"));
            return None;
        }
    };
    // What is cut short while it is written must not open the door.
    match serde_yaml_ng::from_str::<serde_yaml_ng::Value>(&text) {
        Ok(serde_yaml_ng::Value::Null) => {
            reading.problem("", "is empty: to serve without it, leave web.web_config_file out");
            return None;
        }
        Ok(serde_yaml_ng::Value::Mapping(keys)) => {
            for (key, _) in keys.iter().filter(|(_, value)| value.is_null()) {
                reading.problem(
                    key.as_str().unwrap_or_default(),
                    "has no value: write one, or leave the key out",
                );
            }
        }
        _ => {}
    }
    match serde_path_to_error::deserialize(serde_yaml_ng::Deserializer::from_str(&text)) {
        Ok(raw) => Some(raw),
        Err(error) => {
            let key = error.path().to_string();
            // A value may be a secret: a message that would quote it is told by its key alone.
            let why = error.inner().to_string();
            let is_quoting = why.contains("invalid type") || why.contains("invalid value");
            let why = if is_quoting { "has a value of the wrong type".to_owned() } else { why };
            reading.problem(if key == "." { "" } else { &key }, why);
            None
        }
    }
}

fn headers(raw: RawHttp, reading: &mut Reading) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (name, value) in raw.headers {
        let key = format!("http_server_config.headers.{name}");
        if !HEADERS.contains(&name.as_str()) {
            reading.problem(&key, format!("can't be set: there are {}", HEADERS.join(", ")));
            continue;
        }
        if value.is_empty() {
            continue;
        }
        match (name.parse(), HeaderValue::from_str(&value)) {
            (Ok(name), Ok(value)) => headers.push((name, value)),
            _ => reading.problem(&key, "is no value of a header: write plain characters on one line"),
        }
    }
    headers
}

fn rate(raw: &RawRate, reading: &mut Reading) -> Option<Rate> {
    // As the format has it: no interval, no limit.
    if raw.interval == Span(0) {
        return None;
    }
    if raw.burst == 0 {
        reading.problem("rate_limit.burst", "is 0: nobody could ask, write 1 or more");
    }
    Some(Rate { interval: Duration::from_millis(raw.interval.0), burst: raw.burst })
}
