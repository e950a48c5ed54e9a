//! What people are told: the alert about a new weak caller, or about a rule's match.
//!
//! Enters: a caller that the memory did not know, and the call by which it was found; or a rule and a call that it
//! matched. Leaves: an [`Alert`], which is committed with the counts that raised it (`state`) and delivered from there (`sink`). Its labels are its identity:
//! delivering it twice makes no second one. Everything in the annotations that came with an event is hostile text and
//! is made [`plain`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use trailmeter_rules::Rule;

use crate::callers::advice::{Known, advice};
use crate::callers::{CallerKey, Sighting, plain};
use crate::detect::{Found, packs};
use crate::event::judge::Weakness;
use crate::event::time;
use crate::window::OVERFLOW;

/// Something that people are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// What it is, and so its identity.
    pub labels: BTreeMap<String, String>,
    /// What people read.
    pub annotations: BTreeMap<String, String>,
    /// When it was found, in milliseconds since 1970.
    pub starts_at_ms: u64,
}

impl Alert {
    /// The address at which people see more of it, when the page is at `link`: the caller, or the rule's matches.
    pub fn page(&self, link: &str) -> String {
        let label = |name: &str| self.labels.get(name).filter(|value| !value.is_empty());
        let query = |pairs: &[(&str, &String)]| {
            form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
        };
        match (label("rule"), label("account_id"), label("principal")) {
            (Some(rule), ..) => format!("{link}/matches?{}", query(&[("rule", rule)])),
            (None, Some(account_id), Some(principal)) => {
                format!("{link}/caller?{}", query(&[("account_id", account_id), ("principal", principal)]))
            }
            _ => format!("{link}/"),
        }
    }
}

/// The name and the severity of the alert about a new caller with this weakness.
pub fn name_and_severity(weakness: Weakness) -> (&'static str, &'static str) {
    match weakness {
        Weakness::SigV2 => ("NewSigV2Caller", "critical"),
        Weakness::Tls10 | Weakness::Tls11 => ("NewOldTlsCaller", "critical"),
        Weakness::LongTermKey => ("NewLongTermKeyCaller", "warning"),
    }
}

/// The alert about a new weak caller, found at `now_ms` by this call. `link` is where the page and the runbooks are
/// served.
pub fn new_caller(key: CallerKey<'_>, sighting: &Sighting, now_ms: u64, link: &str) -> Alert {
    let (name, severity) = name_and_severity(key.weakness);
    let labels = [
        ("alertname", name),
        ("severity", severity),
        ("account_id", key.account_id),
        ("principal", key.principal),
        ("weakness", key.weakness.label()),
    ];
    let known =
        Known { principal: key.principal, client: &sighting.user_agent, is_presigned: sighting.is_presigned };
    let (principal, account_id) = (plain(key.principal), plain(key.account_id));
    let annotations = [
        ("summary", format!("{principal} (account {account_id}) {}", habit(key.weakness))),
        ("description", format!("{} {}", found(key, sighting), advice(key.weakness, known))),
        ("runbook_url", format!("{link}/runbooks/{name}")),
    ];
    Alert {
        labels: labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        annotations: annotations.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        starts_at_ms: now_ms,
    }
}

fn habit(weakness: Weakness) -> &'static str {
    match weakness {
        Weakness::SigV2 => "signs with Signature Version 2",
        Weakness::Tls10 => "connects with TLS 1.0",
        Weakness::Tls11 => "connects with TLS 1.1",
        Weakness::LongTermKey => "calls with a long-lived access key",
    }
}

/// The alert about a rule's match, made at `now_ms`. `count`: the number that a threshold reached.
pub fn of_match(rule: &Rule, found: &Found, count: Option<u64>, now_ms: u64, link: &str) -> Alert {
    let name = rule.alert_name();
    let own = [("alertname", name.as_str()), ("rule", &rule.name), ("severity", rule.priority.severity())];
    let group = found.labels.iter().map(|(label, value)| (label.as_str(), value.as_str()));
    let labels = group.chain(own).map(|(label, value)| (label.to_owned(), value.to_owned())).collect();
    let reached = count.map(|count| format!(" {count} reached.")).unwrap_or_default();
    let event = if found.event_id.is_empty() {
        String::new()
    } else {
        format!(" (event {})", plain(&found.event_id))
    };
    let about = rule.description.trim();
    let separator = if about.is_empty() { "" } else { " " };
    let mut annotations = BTreeMap::from([
        ("summary".to_owned(), format!("{}: {}", rule.name, plain(&found.message))),
        (
            "description".to_owned(),
            format!("{about}{separator}At {}{event}.{reached}", time::format(found.time_s)),
        ),
        ("priority".to_owned(), rule.priority.label().to_owned()),
    ]);
    if !rule.tags.is_empty() {
        annotations.insert("tags".to_owned(), rule.tags.join(", "));
    }
    for (field, value) in &found.fields {
        let value = value.as_deref().unwrap_or(trailmeter_rules::output::NOTHING);
        annotations.insert(format!("field_{}", annotation_name(field)), plain(value));
    }
    if packs::has_runbook(&name) {
        annotations.insert("runbook_url".to_owned(), format!("{link}/runbooks/{name}"));
    }
    Alert { labels, annotations, starts_at_ms: now_ms }
}

/// A field's name as an annotation's may be: letters, digits and `_`.
fn annotation_name(field: &str) -> String {
    let safe: String = field.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    safe.trim_matches('_').to_owned()
}

/// What was seen, in a sentence.
fn found(key: CallerKey<'_>, sighting: &Sighting) -> String {
    let mut parts =
        vec![format!("First seen with {} of {}", plain(&sighting.event_name), plain(&sighting.event_source))];
    let mut add = |words: &str, text: &str| {
        if !text.is_empty() {
            parts.push(format!("{words} {}", plain(text)));
        }
    };
    add("in", &sighting.aws_region);
    add("on bucket", &sighting.bucket);
    add("with key", &sighting.key_id);
    add("in session", &sighting.session);
    let client = match sighting.client() {
        Some(client) if client.version.is_empty() => client.name.to_owned(),
        Some(client) => format!("{} {}", client.name, client.version),
        None => String::new(),
    };
    match (sighting.is_presigned, client.is_empty()) {
        (false, _) => add("by client", &client),
        (true, false) => add("through a presigned link, opened by", &client),
        (true, true) => parts.push("through a presigned link".to_owned()),
    }
    if !sighting.source_ip.is_empty() {
        parts.push(format!("from {}", plain(&sighting.source_ip)));
    }
    parts.push(format!("at {}", sighting.time()));
    if !sighting.event_id.is_empty() {
        parts.push(format!("(event {})", plain(&sighting.event_id)));
    }
    let overflow = if key.account_id == OVERFLOW && key.principal == OVERFLOW {
        " The memory of weak callers is full (limits.weak_callers): further ones share one name and one page."
    } else {
        ""
    };
    format!("{}.{overflow}", parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(weakness: Weakness) -> CallerKey<'static> {
        CallerKey { weakness, account_id: "123456789012", principal: "arn:aws:iam::123456789012:role/r" }
    }

    fn sighting() -> Sighting {
        Sighting {
            time_s: 1_688_990_400,
            event_id: "e-1".to_owned(),
            event_source: "s3.amazonaws.com".to_owned(),
            event_name: "GetObject".to_owned(),
            aws_region: "us-east-1".to_owned(),
            bucket: "b".to_owned(),
            user_agent: "[Boto3/1.4.5 Python/2.7]".to_owned(),
            source_ip: "198.51.100.7".to_owned(),
            key_id: "AKIA1".to_owned(),
            ..Sighting::default()
        }
    }

    #[test]
    fn a_new_sigv2_caller() {
        let alert = new_caller(key(Weakness::SigV2), &sighting(), 1, "http://127.0.0.1:9464");
        insta::assert_snapshot!(serde_json::to_string_pretty(&alert).unwrap());
    }

    #[test]
    fn where_people_see_more() {
        let link = "https://trailmeter.example";
        let alert = new_caller(key(Weakness::SigV2), &sighting(), 1, link);
        let expect = "/caller?account_id=123456789012&principal=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fr";
        assert_eq!(alert.page(link), format!("{link}{expect}"));
        let mut labels = BTreeMap::from([("rule".to_owned(), "Root & co".to_owned())]);
        let of_rule = Alert { labels: labels.clone(), ..alert.clone() };
        assert_eq!(of_rule.page(link), format!("{link}/matches?rule=Root+%26+co"));
        labels.clear();
        assert_eq!(Alert { labels, ..alert }.page(link), format!("{link}/"));
    }

    #[test]
    fn a_presigned_link_is_told_apart() {
        let link = Sighting { is_presigned: true, user_agent: "Mozilla/5.0".to_owned(), ..sighting() };
        let alert = new_caller(key(Weakness::SigV2), &link, 1, "");
        let description = &alert.annotations["description"];
        assert!(
            description.contains("through a presigned link, opened by Mozilla 5.0 from 198.51.100.7"),
            "{description}"
        );
    }

    #[test]
    fn names_are_no_markup() {
        let hostile = Sighting {
            user_agent: "<http://x|click>\n`id`\u{202e}/1".to_owned(),
            bucket: "<!channel>".to_owned(),
            session: "@here [x](http://evil) nadia@example.com **b**".to_owned(),
            ..sighting()
        };
        let alert = new_caller(key(Weakness::LongTermKey), &hostile, 1, "");
        let description = &alert.annotations["description"];
        for mark in ['<', '>', '`', '\n', '\u{202e}'] {
            assert!(!description.contains(mark), "{description}");
        }
        assert!(
            description.contains("in session ＠here (x)(http://evil) nadia@example.com ∗∗b∗∗"),
            "{description}"
        );
        assert_eq!(alert.labels["severity"], "warning");
    }
}
