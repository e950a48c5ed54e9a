//! Names and passwords. Passwords are kept and compared as bcrypt keeps them.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::file::Reading;

/// bcrypt takes tens of milliseconds by design: no more than this many are at work at once.
const WORKERS: usize = 1;
/// Comparisons of one side that wait: whoever guesses must not make others wait.
const WAITING: usize = 4;
/// Answers that are remembered. A password is held against its hash once, not with each request.
const REMEMBERED: usize = 256;
/// No password is longer in practice; bcrypt itself heeds 72 bytes.
const MAX_PASSWORD_BYTES: usize = 1024;
/// More than this takes seconds for each login.
const MAX_COST: u32 = 18;

/// What became of a request's name and password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// It may ask.
    Granted,
    /// It brought none.
    Missing,
    /// It brought wrong ones.
    Refused,
    /// Too many from the same side wait to be compared.
    Busy,
}

/// Who may ask.
pub(super) struct Users {
    /// bcrypt hashes by name.
    hashes: BTreeMap<String, String>,
    /// Held against the password of a name that is not there, so that it takes as long as any.
    nobody: String,
    /// By a digest of name and password that is of this process alone.
    remembered: Mutex<HashMap<[u8; 32], bool>>,
    salt: [u8; 32],
    workers: Semaphore,
    /// How many wait, by side.
    waiting: Mutex<HashMap<IpAddr, usize>>,
}

/// A place among those that wait.
struct Place {
    users: Arc<Users>,
    side: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.users.waiting.lock();
        if let Some(count) = waiting.get_mut(&self.side) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.side);
            }
        }
    }
}

impl Users {
    pub fn read(raw: BTreeMap<String, String>, reading: &mut Reading) -> Option<Self> {
        for (name, hash) in &raw {
            let key = format!("basic_auth_users.{name}");
            if name.is_empty() || name.contains(':') {
                reading.problem(&key, "is no name: HTTP allows no empty one and none with a colon");
            }
            match cost(hash) {
                None => reading.problem(&key, "is no bcrypt hash: make one with `htpasswd -nBC 10 NAME`"),
                Some(cost) if cost > MAX_COST => {
                    reading.problem(
                        &key,
                        format!("has cost {cost}: each login would take seconds, write {MAX_COST} or less"),
                    );
                }
                Some(_) => {}
            }
        }
        let nobody = raw.values().max_by_key(|hash| cost(hash))?.clone();
        Some(Self {
            hashes: raw,
            nobody,
            remembered: Mutex::default(),
            salt: rand::random(),
            workers: Semaphore::new(WORKERS),
            waiting: Mutex::default(),
        })
    }

    /// Whether what a request from this side brings lets it in.
    pub async fn login(self: Arc<Self>, headers: &HeaderMap, side: IpAddr) -> Login {
        let Some(header) = headers.get(AUTHORIZATION) else { return Login::Missing };
        let Some((name, password)) = header.to_str().ok().and_then(credentials) else {
            return Login::Refused;
        };
        if password.len() > MAX_PASSWORD_BYTES {
            return Login::Refused;
        }
        let is_right = match self.recall(&name, &password) {
            Some(is_right) => is_right,
            None => {
                let Some(place) = self.place(side) else { return Login::Busy };
                // Goes on where the client has given up: it will be back with the same password.
                let compared = tokio::spawn(async move {
                    let is_right = place.users.compare(name, password).await;
                    drop(place);
                    is_right
                });
                compared.await.unwrap_or(false)
            }
        };
        if is_right { Login::Granted } else { Login::Refused }
    }

    fn place(self: &Arc<Self>, side: IpAddr) -> Option<Place> {
        let mut waiting = self.waiting.lock();
        let count = waiting.entry(side).or_default();
        if *count >= WAITING {
            return None;
        }
        *count += 1;
        Some(Place { users: Arc::clone(self), side })
    }

    fn recall(&self, name: &str, password: &str) -> Option<bool> {
        self.remembered.lock().get(&self.digest(name, password)).copied()
    }

    async fn compare(&self, name: String, password: String) -> bool {
        let Ok(_turn) = self.workers.acquire().await else { return false };
        // Another request with the same may have been before this one.
        if let Some(is_right) = self.recall(&name, &password) {
            return is_right;
        }
        let digest = self.digest(&name, &password);
        let is_known = self.hashes.contains_key(&name);
        let hash = self.hashes.get(&name).unwrap_or(&self.nobody).clone();
        let compared = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false));
        let is_right = compared.await.unwrap_or(false) && is_known;
        let mut remembered = self.remembered.lock();
        if remembered.len() >= REMEMBERED {
            // Whoever guesses makes the others be compared once more, not be locked out.
            remembered.retain(|_, is_right| *is_right);
            if remembered.len() >= REMEMBERED {
                remembered.clear();
            }
        }
        remembered.insert(digest, is_right);
        is_right
    }

    fn digest(&self, name: &str, password: &str) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.salt);
        digest.update((name.len() as u64).to_le_bytes());
        digest.update(name);
        digest.update(password);
        digest.finalize().into()
    }
}

/// The cost of a bcrypt hash; none if it is none.
fn cost(hash: &str) -> Option<u32> {
    let parts: bcrypt::HashParts = hash.parse().ok()?;
    Some(parts.get_cost())
}

/// Name and password of `Basic …`.
fn credentials(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords() {
        let some = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        for (header, expect) in [
            ("Basic YTpi", some("a", "b")),
            ("basic YTpiOmM=", some("a", "b:c")),
            ("Basic YTo=", some("a", "")),
            ("Basic YQ==", None),
            ("Bearer YTpi", None),
            ("Basic", None),
            ("Basic %%%", None),
            ("Basic /w==", None),
        ] {
            assert_eq!(credentials(header), expect, "{header}");
        }
    }

    #[test]
    fn hashes() {
        assert_eq!(cost("$2b$04$/cZZXykckacXj.8FeIRtNuYFe5qQ7lIt/wOPNdNPkttscCPfj8nUy"), Some(4));
        for wrong in ["", "secret", "$2y$10$short", "$1$abc"] {
            assert_eq!(cost(wrong), None, "{wrong}");
        }
    }
}
