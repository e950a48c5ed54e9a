//! A replica of Alertmanager.
//!
//! An alert is sent until the replica takes it, then again every `resend`, so that a replica that lost its memory has
//! it again; and `hold` after any replica first took it, it is over. Its end is told from the start (`endsAt`), so that
//! it neither ends early while trailmeter is down nor stays if trailmeter never comes back; within `hold`, a restart
//! sends the same alert, which Alertmanager knows, and after it only the end.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::http::Client;
use super::{BATCH, Cursor, Holding, Outbox, SendError};
use crate::alert::Alert;
use crate::event::time;
use crate::failpoint;
use crate::state::StateError;
use crate::state::embedded::StoredAlert;

const PATH: &str = "/api/v2/alerts";

struct Replica {
    outbox: Outbox,
    client: Client,
    holding: Holding,
    /// When what is held is sent again.
    resend_at: Instant,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It was taken, there may be more.
    Done,
    /// There was nothing to do.
    Nothing,
    /// It was not taken.
    Failed,
}

/// Delivers until the process stops.
pub(super) async fn run(outbox: Outbox, client: Client, holding: Holding) {
    let mut newest_alert = outbox.state.newest_alert();
    // What is held from before the start is sent again at once: the replica may have started anew, too.
    let mut replica = Replica { outbox, client, holding, resend_at: Instant::now() };
    loop {
        let newest = *newest_alert.borrow_and_update();
        replica.outbox.idle(newest);
        match replica.step(newest).await {
            Ok(Step::Done) => continue,
            Ok(Step::Failed) if replica.outbox.stop.is_cancelled() => return,
            Ok(Step::Failed) => continue,
            Ok(Step::Nothing) => {}
            Err(error) if replica.outbox.stop.is_cancelled() => {
                tracing::error!(%error, "alerts are sent at the next start");
                return;
            }
            Err(error) => {
                replica.outbox.pause(error).await;
                continue;
            }
        }
        let wait = replica.until_next().unwrap_or(Duration::from_secs(1));
        tokio::select! {
            changed = newest_alert.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(wait) => {}
            () = replica.outbox.stop.cancelled() => if !newest_alert.has_changed().unwrap_or(false) { return },
        }
    }
}

impl Replica {
    /// The most urgent thing there is to do: what is new, what is over, what is held.
    async fn step(&mut self, newest: u64) -> Result<Step, StateError> {
        let new = self.send_new(newest).await?;
        if new != Step::Nothing || self.outbox.stop.is_cancelled() {
            return Ok(new);
        }
        let over = self.resolve().await?;
        if over != Step::Nothing {
            return Ok(over);
        }
        if Instant::now() < self.resend_at {
            return Ok(Step::Nothing);
        }
        self.resend().await
    }

    async fn send_new(&mut self, newest: u64) -> Result<Step, StateError> {
        let Cursor { sent, over } = self.outbox.cursor;
        if sent >= newest {
            return Ok(Step::Nothing);
        }
        let alerts = self.outbox.state.alerts(sent, newest, BATCH)?;
        let Some(&(last, _)) = alerts.last() else {
            self.outbox.note(Cursor { sent: newest, over: over.max(newest) }, None).await;
            return Ok(Step::Done);
        };
        let now_ms = (self.outbox.clock)();
        // Another replica held them, and they are over: this one was down all the while.
        let (missed, current): (Vec<_>, Vec<_>) =
            alerts.into_iter().partition(|(_, stored)| self.is_over(stored, now_ms));
        if !missed.is_empty() {
            self.outbox.count("expired", missed.len());
            let (sink, alerts) = (&self.outbox.name, missed.len());
            tracing::warn!(
                sink,
                alerts,
                "another replica held these for the whole of alerts.hold: they are over"
            );
        }
        let Some(&(first, _)) = current.first() else {
            self.outbox.note(Cursor { sent: last, over }, None).await;
            return Ok(Step::Done);
        };
        let alerts: Vec<&StoredAlert> = current.iter().map(|(_, stored)| stored).collect();
        match self.post(&alerts, now_ms).await {
            Ok(()) => {
                self.outbox.count("delivered", alerts.len());
                self.outbox.succeeded();
            }
            Err(SendError::Failed(why)) => {
                self.outbox.failed(alerts.len(), &why).await;
                return Ok(Step::Failed);
            }
            Err(SendError::Refused(_)) => {
                if let Err(why) = self.one_by_one(&alerts, now_ms).await {
                    self.outbox.failed(alerts.len(), &why).await;
                    return Ok(Step::Failed);
                }
            }
        }
        failpoint("deliver_after");
        let at_ms = (self.outbox.clock)();
        self.outbox.note(Cursor { sent: last, over }, Some((first..=last, at_ms))).await;
        Ok(Step::Done)
    }

    /// One of these is refused: the others are not held up by it.
    async fn one_by_one(&mut self, alerts: &[&StoredAlert], now_ms: u64) -> Result<(), String> {
        let mut refusals = Vec::new();
        for stored in alerts {
            match self.post(&[stored], now_ms).await {
                Ok(()) => {
                    self.outbox.count("delivered", 1);
                    self.outbox.succeeded();
                }
                Err(SendError::Refused(why)) => refusals.push((&stored.alert, why)),
                Err(SendError::Failed(why)) => return Err(why),
            }
        }
        self.outbox.pass_over(refusals, alerts.len())
    }

    /// Tells the end of what is over. It is told once: the replica knows the end since it took the alert.
    async fn resolve(&mut self) -> Result<Step, StateError> {
        let Cursor { sent, over } = self.outbox.cursor;
        let now_ms = (self.outbox.clock)();
        let alerts = self.outbox.state.alerts(over, sent, BATCH)?;
        let is_over = |(_, stored): &&(u64, StoredAlert)| self.is_over(stored, now_ms);
        let ended: Vec<_> = alerts.iter().take_while(is_over).collect();
        let Some((last, _)) = ended.last() else {
            if alerts.is_empty() && over < sent {
                self.outbox.note(Cursor { sent, over: sent }, None).await;
            }
            return Ok(Step::Nothing);
        };
        let stored: Vec<&StoredAlert> = ended.iter().map(|(_, stored)| stored).collect();
        let (count, last) = (stored.len(), *last);
        match self.post(&stored, now_ms).await {
            Ok(()) => {
                self.outbox.count("resolved", count);
                self.outbox.succeeded();
            }
            Err(SendError::Refused(why) | SendError::Failed(why)) => {
                tracing::debug!(sink = self.outbox.name, why, "an end was not taken: it was told before");
            }
        }
        self.outbox.note(Cursor { sent, over: last }, None).await;
        Ok(Step::Done)
    }

    async fn resend(&mut self) -> Result<Step, StateError> {
        let (mut after, sent) = (self.outbox.cursor.over, self.outbox.cursor.sent);
        loop {
            let alerts = self.outbox.state.alerts(after, sent, BATCH)?;
            let Some(&(last, _)) = alerts.last() else { break };
            let stored: Vec<&StoredAlert> = alerts.iter().map(|(_, stored)| stored).collect();
            let now_ms = (self.outbox.clock)();
            let mut sent = self.post(&stored, now_ms).await;
            if let Err(SendError::Refused(_)) = sent {
                // One of them was refused when it was new, and is now; the others are not held up by it.
                sent = Ok(());
                for alert in &stored {
                    if let Err(SendError::Failed(why)) = self.post(&[alert], now_ms).await {
                        sent = Err(SendError::Failed(why));
                        break;
                    }
                }
            }
            match sent {
                Ok(()) => {
                    self.outbox.count("resent", stored.len());
                    self.outbox.succeeded();
                }
                Err(SendError::Refused(why) | SendError::Failed(why)) => {
                    self.outbox.failed(stored.len(), &why).await;
                    return Ok(Step::Failed);
                }
            }
            after = last;
        }
        self.resend_at = Instant::now() + Duration::from_millis(self.holding.resend_ms);
        Ok(Step::Nothing)
    }

    async fn post(&self, alerts: &[&StoredAlert], now_ms: u64) -> Result<(), SendError> {
        let body: Vec<Value> = alerts
            .iter()
            .map(|stored| {
                // A clock that was set back makes no alert end before it began.
                let held_ms = stored.accepted_ms.unwrap_or(now_ms).max(stored.alert.starts_at_ms);
                let ends_at_ms = held_ms + self.holding.hold_ms;
                posted(&stored.alert, ends_at_ms, &self.outbox.link)
            })
            .collect();
        self.client.post(PATH, Value::Array(body).to_string().into_bytes()).await
    }

    fn is_over(&self, stored: &StoredAlert, now_ms: u64) -> bool {
        stored.accepted_ms.is_some_and(|accepted_ms| accepted_ms + self.holding.hold_ms <= now_ms)
    }

    /// How long there is nothing to do, unless something new comes.
    fn until_next(&self) -> Option<Duration> {
        let Cursor { sent, over } = self.outbox.cursor;
        let until_resend = self.resend_at.saturating_duration_since(Instant::now());
        let oldest = self.outbox.state.alerts(over, sent, 1).ok()?;
        let Some((_, oldest)) = oldest.first() else { return Some(until_resend.max(Duration::from_secs(1))) };
        let ends_ms = oldest.accepted_ms? + self.holding.hold_ms;
        let until_end = Duration::from_millis(ends_ms.saturating_sub((self.outbox.clock)()));
        Some(until_resend.min(until_end).max(Duration::from_millis(10)))
    }
}

fn posted(alert: &Alert, ends_at_ms: u64, link: &str) -> Value {
    json!({
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": time::format_ms(alert.starts_at_ms),
        "endsAt": time::format_ms(ends_at_ms),
        "generatorURL": alert.page(link),
    })
}
