//! Who may connect, and how: TLS, names and passwords, from a web config file.
//!
//! Enters: the file, in the format that Prometheus' exporters share (prometheus/exporter-toolkit,
//! docs/web-configuration.md). Leaves: [`Access`], what connections and requests are held against. The file, and the
//! certificates that it names, are looked at every second; what can't be used leaves the earlier ones in force.

mod basic_auth;
mod file;
mod tls;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::RwLock;

pub use basic_auth::Login;
use basic_auth::Users;
use file::Loaded;
pub use file::Problem;
pub use tls::{Tls, is_allowed};

/// How many requests may come from one side in a row, and how fast they come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Between two requests.
    pub interval: Duration,
    /// At once.
    pub burst: u32,
}

/// What the file says, ready for use.
#[derive(Default)]
pub struct Rules {
    /// None: connections are not encrypted.
    pub tls: Option<Tls>,
    /// None: everyone may ask.
    users: Option<Arc<Users>>,
    /// Headers for every answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Over all clients.
    pub rate: Option<Rate>,
}

impl Rules {
    /// Whether a client must prove who it is.
    pub fn asks_who(&self) -> bool {
        self.users.is_some() || self.tls.as_ref().is_some_and(|tls| tls.asks_for_certificate)
    }

    /// What to tell whoever starts a server at this address, if it lets strangers in.
    pub fn warning(&self, address: SocketAddr) -> Option<&'static str> {
        if address.ip().is_loopback() {
            None
        } else if !self.asks_who() {
            Some(
                "page and API are open to everyone who reaches this address: they name principals and keys; see web.web_config_file",
            )
        } else if self.tls.is_none() {
            Some("passwords cross the network unencrypted; see web.web_config_file")
        } else {
            None
        }
    }

    /// Whether what a request brings lets it in.
    pub async fn login(&self, headers: &HeaderMap, side: IpAddr) -> Login {
        match &self.users {
            None => Login::Granted,
            Some(users) => Arc::clone(users).login(headers, side).await,
        }
    }
}

/// The rules in force.
#[derive(Default)]
pub struct Access {
    path: Option<PathBuf>,
    rules: RwLock<Arc<Rules>>,
    watched: RwLock<Watched>,
    /// Somebody looks: where that hangs, nobody else does.
    looking: AtomicBool,
}

/// The files that were read, with what tells whether they have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Watched {
    files: Vec<PathBuf>,
    marks: Vec<Option<(SystemTime, u64)>>,
}

impl Watched {
    fn of(files: Vec<PathBuf>) -> Self {
        let marks = files
            .iter()
            .map(|file| {
                let metadata = std::fs::metadata(file).ok()?;
                Some((metadata.modified().ok()?, metadata.len()))
            })
            .collect();
        Self { files, marks }
    }
}

impl Access {
    /// Reads the file; without one everyone may connect, and nothing is encrypted.
    ///
    /// # Errors
    /// All problems, each naming its key and the fix.
    pub fn begin(path: Option<&Path>) -> Result<Self, Vec<Problem>> {
        let Some(path) = path else { return Ok(Self::default()) };
        let Loaded { rules, files } = file::load(path);
        Ok(Self {
            path: Some(path.to_owned()),
            rules: RwLock::new(Arc::new(rules?)),
            watched: RwLock::new(Watched::of(files)),
            looking: AtomicBool::new(false),
        })
    }

    /// The rules in force.
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read())
    }

    /// Reads the files again if one of them has changed. True if others are in force now; none if nothing has changed.
    /// Blocks for as long as reading takes.
    pub fn look(&self) -> Option<bool> {
        if self.looking.swap(true, Ordering::Acquire) {
            return None;
        }
        let looked = self.look_alone();
        self.looking.store(false, Ordering::Release);
        looked
    }

    fn look_alone(&self) -> Option<bool> {
        let path = self.path.as_ref()?;
        let before = self.watched.read().clone();
        let now = Watched::of(before.files.clone());
        if now == before {
            return None;
        }
        let Loaded { rules, files } = file::load(path);
        let rules = rules.and_then(|rules| self.no_less_than_now(rules));
        *self.watched.write() = Watched::of(files);
        match rules {
            Ok(rules) => {
                *self.rules.write() = Arc::new(rules);
                tracing::info!("the web config was read again and is in force");
                Some(true)
            }
            Err(problems) => {
                for problem in problems {
                    tracing::error!(%problem, "the web config can't be used: the earlier one stays in force");
                }
                Some(false)
            }
        }
    }
}

impl Access {
    /// Whoever opens the door does so by a restart: a file may be cut short while it is written.
    fn no_less_than_now(&self, rules: Rules) -> Result<Rules, Vec<Problem>> {
        let now = self.rules();
        let file = self.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let lost = [
            ("tls_server_config", now.tls.is_some() && rules.tls.is_none()),
            ("basic_auth_users", now.users.is_some() && rules.users.is_none()),
        ];
        let problems: Vec<Problem> = lost
            .into_iter()
            .filter(|(_, is_lost)| *is_lost)
            .map(|(key, _)| Problem {
                file: file.clone(),
                key: key.to_owned(),
                why: "is gone: to serve without it, restart".to_owned(),
            })
            .collect();
        if problems.is_empty() { Ok(rules) } else { Err(problems) }
    }
}

/// Who sends a request, as far as limits tell them apart: an IPv6 network of 64 bits is one side.
pub fn side_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address => address,
    }
}

#[cfg(test)]
mod tests;
