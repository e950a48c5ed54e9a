//! Weak callers, alerts and sinks: what the file says, checked.

use std::path::PathBuf;

use glob::Pattern;
use reqwest::Url;

use super::raw::{RawAccepted, RawAlerts, RawBasicAuth, RawConfig, RawTarget, RawTls};
use super::{Problems, Span, account_id};
use crate::callers::{Accepted, CallerPolicy};
use crate::event::judge::Weakness;
use crate::event::time::{self, DAY_S};
use crate::sink::{BasicAuth, Client, Holding, HttpTarget, Password, SinkOptions, Tls};
use crate::window::CallerLimits;

/// What is made of weak callers.
pub fn callers(raw: &RawConfig, problems: &mut Problems) -> CallerPolicy {
    let (callers, limits) = (&raw.callers, &raw.limits);
    if callers.forget_after < Span(60_000) {
        problems.add(
            "callers.forget_after",
            "is too short: callers would be new again and again, write 1m or more",
        );
    }
    let accepted = callers.accepted.iter().enumerate();
    CallerPolicy {
        forget_after_s: (callers.forget_after.0 / 1000).cast_signed(),
        learn_for_ms: callers.learn_for.0,
        accepted: accepted.filter_map(|(at, accepted)| self::accepted(at, accepted, problems)).collect(),
        values: limits.caller_values as usize,
        room: CallerLimits {
            own: limits.weak_callers as usize,
            outside: limits.outside_weak_callers as usize,
        },
    }
}

fn accepted(at: usize, raw: &RawAccepted, problems: &mut Problems) -> Option<Accepted> {
    let key = format!("callers.accepted[{at}]");
    let before = problems.count();
    let principal = Pattern::new(&one_star(&raw.principal));
    if let Err(error) = &principal {
        let why = format!(
            "{:?} is no pattern ({}): write `*` for any text, `?` for one character",
            raw.principal, error.msg
        );
        problems.add(&format!("{key}.principal"), why);
    }
    if raw.principal.is_empty() {
        problems.add(&format!("{key}.principal"), "is empty: write `*` for every principal");
    }
    let mut weaknesses = Vec::new();
    for name in raw.weakness.iter().flat_map(|names| names.all()) {
        match Weakness::parse(name) {
            Some(weakness) => weaknesses.push(weakness),
            None => problems
                .add(&format!("{key}.weakness"), format!("{name:?} is none: write {}", all_weaknesses())),
        }
    }
    match &raw.weakness {
        None => weaknesses = Weakness::ALL.to_vec(),
        Some(names) if names.all().is_empty() => {
            problems.add(&format!("{key}.weakness"), "is empty: leave it out for all");
        }
        Some(_) => {}
    }
    let until_s = raw.until.as_deref().map_or(Some(i64::MAX), end_of);
    if until_s.is_none() {
        let why = "is no time: write the last day as \"2026-12-31\", or a moment as 2026-12-31T12:00:00Z";
        problems.add(&format!("{key}.until"), why);
    }
    let account_id = raw.account_id.as_ref().map(|id| account_id(&format!("{key}.account_id"), id, problems));
    if problems.count() > before {
        return None;
    }
    Some(Accepted { principal: principal.ok()?, account_id, weaknesses, until_s: until_s? })
}

/// Several stars say no more than one, and the patterns give them a meaning of their own.
fn one_star(pattern: &str) -> String {
    let mut one = String::with_capacity(pattern.len());
    for c in pattern.chars() {
        if c != '*' || !one.ends_with('*') {
            one.push(c);
        }
    }
    one
}

/// The last second of a day, or a moment.
fn end_of(text: &str) -> Option<i64> {
    let day = || time::parse(&format!("{text}T00:00:00Z")).map(|begin_s| begin_s + DAY_S - 1);
    time::parse(text).or_else(day)
}

fn all_weaknesses() -> String {
    Weakness::ALL.map(|weakness| format!("`{}`", weakness.label())).join(", ")
}

/// How alerts are held.
pub fn holding(raw: &RawAlerts, problems: &mut Problems) -> Holding {
    for (key, value) in [("alerts.resend", raw.resend), ("alerts.hold", raw.hold)] {
        if !(Span(1000)..=Span(30 * 86_400_000)).contains(&value) {
            problems.add(key, format!("{value} is out of bounds: write 1s to 30d"));
        }
    }
    Holding { resend_ms: raw.resend.0, hold_ms: raw.hold.0 }
}

const WEBHOOK: &str = "sinks.webhook";

/// Where alerts go.
pub fn sinks(raw: &RawConfig, problems: &mut Problems) -> Vec<SinkOptions> {
    let mut sinks: Vec<SinkOptions> = Vec::new();
    let replicas = raw.alerts.alertmanagers.iter().enumerate();
    let replicas = replicas.map(|(at, target)| (format!("alerts.alertmanagers[{at}]"), target));
    for (key, target) in replicas {
        sinks.extend(self::target(&key, target, problems).map(SinkOptions::Alertmanager));
    }
    if let Some(webhook) = &raw.sinks.webhook {
        sinks.extend(self::target(WEBHOOK, webhook, problems).map(SinkOptions::Webhook));
    }
    if raw.sinks.stdout {
        sinks.push(SinkOptions::Stdout);
    }
    for (at, sink) in sinks.iter().enumerate() {
        if sinks[..at].iter().any(|other| other.name() == sink.name()) {
            let why = format!("{} is there twice: write each replica once", sink.name());
            problems.add("alerts.alertmanagers", why);
        }
    }
    sinks
}

fn target(key: &str, raw: &RawTarget, problems: &mut Problems) -> Option<HttpTarget> {
    let (before, is_alertmanager) = (problems.count(), key != WEBHOOK);
    let url =
        Url::parse(&raw.url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    match &url {
        // What can't be read as a URL may hold a password anywhere.
        None => problems.add(key, "is no URL: write http://HOST:PORT or https://HOST:PORT"),
        Some(url) if !url.username().is_empty() || url.password().is_some() => {
            problems.add(key, "holds credentials: write them as `basic_auth: {username, password_file}`");
        }
        Some(url) if is_alertmanager && (url.query().is_some() || url.fragment().is_some()) => {
            problems.add(key, "has a part behind `?` or `#`: write the address alone");
        }
        Some(url) if is_alertmanager && url.path().contains("/api/v") => {
            problems.add(
                key,
                "names a path of the API: write the address alone, `/api/v2/alerts` is added to it",
            );
        }
        Some(_) => {}
    }
    let basic_auth = raw.basic_auth.as_ref().and_then(|auth| basic_auth(key, auth, problems));
    let tls = raw.tls_config.as_ref().map(|tls| self::tls(key, tls, problems)).unwrap_or_default();
    if problems.count() > before {
        return None;
    }
    let target = HttpTarget { url: url?, basic_auth, tls };
    if let Err(error) = Client::new(target.clone()) {
        problems.add(&format!("{key}.tls_config"), error.to_string());
    }
    Some(target)
}

fn basic_auth(key: &str, raw: &RawBasicAuth, problems: &mut Problems) -> Option<BasicAuth> {
    let password = match (&raw.password, &raw.password_file) {
        (Some(password), None) => Password::Text(password.0.clone()),
        (None, Some(path)) => {
            readable(&format!("{key}.basic_auth.password_file"), path, problems);
            Password::File(PathBuf::from(path))
        }
        _ => {
            problems.add(&format!("{key}.basic_auth"), "needs exactly one of `password` and `password_file`");
            return None;
        }
    };
    Some(BasicAuth { username: raw.username.clone(), password })
}

fn tls(key: &str, raw: &RawTls, problems: &mut Problems) -> Tls {
    let key = format!("{key}.tls_config");
    let paths = [("ca_file", &raw.ca_file), ("cert_file", &raw.cert_file), ("key_file", &raw.key_file)];
    for (name, path) in paths {
        if let Some(path) = path {
            readable(&format!("{key}.{name}"), path, problems);
        }
    }
    let identity = match (&raw.cert_file, &raw.key_file) {
        (Some(certificate), Some(private)) => Some((PathBuf::from(certificate), PathBuf::from(private))),
        (None, None) => None,
        _ => {
            problems.add(&key, "`cert_file` and `key_file` go together: write both or none");
            None
        }
    };
    Tls {
        ca_file: raw.ca_file.as_ref().map(PathBuf::from),
        identity,
        insecure_skip_verify: raw.insecure_skip_verify,
    }
}

fn readable(key: &str, path: &str, problems: &mut Problems) {
    if let Err(error) = std::fs::File::open(path) {
        problems.add(key, format!("{path} can't be read: {error}"));
    }
}
