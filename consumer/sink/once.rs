//! Sinks that are told each alert once: a webhook, standard output.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::http::Client;
use super::{BATCH, Cursor, Outbox, SendError};
use crate::alert::Alert;
use crate::event::time;
use crate::failpoint;
use crate::state::StateError;

/// Where to.
pub(super) enum Target {
    /// A program that takes what Alertmanager posts to webhooks.
    Webhook(Box<Client>),
    /// Lines of JSON.
    Stdout,
}

/// Delivers until the process stops.
pub(super) async fn run(mut outbox: Outbox, target: Target) {
    let mut newest_alert = outbox.state.newest_alert();
    loop {
        let newest = *newest_alert.borrow_and_update();
        outbox.idle(newest);
        if outbox.cursor.sent < newest {
            let was_sent = match send_some(&mut outbox, &target, newest).await {
                Ok(was_sent) => was_sent,
                Err(error) => {
                    outbox.pause(error).await;
                    false
                }
            };
            if !was_sent && outbox.stop.is_cancelled() {
                return;
            }
            continue;
        }
        tokio::select! {
            changed = newest_alert.changed() => if changed.is_err() { return },
            () = outbox.stop.cancelled() => if !newest_alert.has_changed().unwrap_or(false) { return },
        }
    }
}

/// Sends the next alerts. False if they were not taken.
async fn send_some(outbox: &mut Outbox, target: &Target, newest: u64) -> Result<bool, StateError> {
    let alerts = outbox.state.alerts(outbox.cursor.sent, newest, BATCH)?;
    let Some(&(last, _)) = alerts.last() else {
        // Removed, for they were over for all sinks.
        outbox.note(Cursor { sent: newest, over: newest }, None).await;
        return Ok(true);
    };
    let alerts: Vec<Alert> = alerts.into_iter().map(|(_, stored)| stored.alert).collect();
    if let Err(why) = send_all(outbox, target, &alerts).await {
        outbox.failed(alerts.len(), &why).await;
        return Ok(false);
    }
    failpoint("deliver_after");
    outbox.note(Cursor { sent: last, over: last }, None).await;
    Ok(true)
}

/// Sends all at once or, if that is refused, one by one.
async fn send_all(outbox: &mut Outbox, target: &Target, alerts: &[Alert]) -> Result<(), String> {
    let link = outbox.link.clone();
    match target.send(alerts, &link).await {
        Ok(()) => {
            outbox.count("delivered", alerts.len());
            outbox.succeeded();
            return Ok(());
        }
        Err(SendError::Failed(why)) => return Err(why),
        Err(SendError::Refused(_)) => {}
    }
    let mut refusals = Vec::new();
    for alert in alerts {
        match target.send(std::slice::from_ref(alert), &link).await {
            Ok(()) => {
                outbox.count("delivered", 1);
                outbox.succeeded();
            }
            Err(SendError::Refused(why)) => refusals.push((alert, why)),
            Err(SendError::Failed(why)) => return Err(why),
        }
    }
    outbox.pass_over(refusals, alerts.len())
}

impl Target {
    async fn send(&self, alerts: &[Alert], link: &str) -> Result<(), SendError> {
        match self {
            Self::Webhook(client) => client.post("", webhook_body(alerts, link)).await,
            Self::Stdout => {
                let lines: String = alerts.iter().map(|alert| format!("{}\n", firing(alert, link))).collect();
                let mut stdout = tokio::io::stdout();
                let written = async {
                    stdout.write_all(lines.as_bytes()).await?;
                    stdout.flush().await
                };
                written.await.map_err(|error| SendError::Failed(error.to_string()))
            }
        }
    }
}

/// The body that Alertmanager posts to webhooks, so that whatever takes those takes these.
fn webhook_body(alerts: &[Alert], link: &str) -> Vec<u8> {
    let firing: Vec<Value> = alerts.iter().map(|alert| firing(alert, link)).collect();
    let body = json!({
        "version": "4",
        "receiver": "trailmeter",
        "status": "firing",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": link,
        "alerts": firing,
    });
    body.to_string().into_bytes()
}

fn firing(alert: &Alert, link: &str) -> Value {
    // The same alert has the same fingerprint, however often it comes.
    let mut identity = Vec::new();
    for (name, value) in &alert.labels {
        identity.extend([name.as_bytes(), &[0], value.as_bytes(), &[0]].concat());
    }
    json!({
        "status": "firing",
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": time::format((alert.starts_at_ms / 1000).cast_signed()),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": alert.page(link),
        "fingerprint": format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&identity)),
    })
}
