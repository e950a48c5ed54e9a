//! The outbox in the state's file: alerts that are committed, and how far each sink has them.
//!
//! Alerts are numbered as they are committed. A sink's cursor tells up to which number it was sent everything, and up
//! to which everything is over for it; an alert that is over for all sinks is removed.

use std::ops::RangeInclusive;

use redb::{ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::callers::count_up;
use super::{EmbeddedState, META, not_written};
use crate::alert::Alert;
use crate::state::StateError;

/// By number, which begins at 1.
pub(super) const ALERTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("alerts");
/// By the sink's name: sent, over.
pub(super) const CURSORS: TableDefinition<'_, &str, (u64, u64)> = TableDefinition::new("alert_cursors");

const ALERTS_MADE: &str = "alerts";

/// An alert that waits to be sent, or to be over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAlert {
    /// What is sent.
    pub alert: Alert,
    /// When a sink that holds alerts first took it, in milliseconds since 1970.
    pub accepted_ms: Option<u64>,
}

/// How far a sink is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Everything up to this number was sent.
    pub sent: u64,
    /// Everything up to this number is over: sent, and resolved where that is to be done.
    pub over: u64,
}

/// What a sink did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The sink's name.
    pub sink: String,
    /// How far it is now.
    pub cursor: Cursor,
    /// These were taken, at this time (milliseconds since 1970), by a sink that holds alerts.
    pub accepted: Option<(RangeInclusive<u64>, u64)>,
}

impl EmbeddedState {
    /// At most `limit` alerts behind number `after`, up to `last`, with their numbers.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn alerts(&self, after: u64, last: u64, limit: usize) -> Result<Vec<(u64, StoredAlert)>, StateError> {
        if after >= last {
            return Ok(Vec::new());
        }
        self.read(|read| {
            let mut alerts = Vec::new();
            for entry in read.open_table(ALERTS)?.range(after + 1..=last)?.take(limit) {
                let (number, value) = entry?;
                // Only a damaged file holds anything else.
                if let Ok(stored) = postcard::from_bytes(value.value()) {
                    alerts.push((number.value(), stored));
                }
            }
            Ok(alerts)
        })
    }

    /// How far a sink is.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn cursor(&self, sink: &str) -> Result<Cursor, StateError> {
        self.read(|read| {
            let cursors = read.open_table(CURSORS)?;
            Ok(cursors.get(sink)?.map(|found| cursor(found.value())).unwrap_or_default())
        })
    }

    /// The number of the newest alert. Moves when alerts are committed.
    pub fn newest_alert(&self) -> tokio::sync::watch::Receiver<u64> {
        self.newest_alert.subscribe()
    }
}

/// Adds alerts. Returns the newest's number if there is one.
pub(super) fn append(write: &WriteTransaction, alerts: &[Alert]) -> Result<Option<u64>, redb::Error> {
    if alerts.is_empty() {
        return Ok(None);
    }
    let (mut table, mut meta) = (write.open_table(ALERTS)?, write.open_table(META)?);
    let mut newest = 0;
    for alert in alerts {
        newest = count_up(&mut meta, ALERTS_MADE)? + 1;
        let stored = StoredAlert { alert: alert.clone(), accepted_ms: None };
        table.insert(newest, postcard::to_stdvec(&stored).map_err(not_written)?.as_slice())?;
    }
    Ok(Some(newest))
}

/// The number of the newest alert that was ever made.
pub(super) fn newest(write: &WriteTransaction) -> Result<u64, redb::Error> {
    Ok(write.open_table(META)?.get(ALERTS_MADE)?.map_or(0, |found| found.value()))
}

/// The place of a kind of sink of which there is none for now, and for which alerts wait.
const PARKED: &str = "parked:";

/// From now on there are these sinks. A new one begins where the furthest behind of its kind was, also if that is gone
/// by now, so that neither a new address nor a start with another config loses anything; the first of a kind begins
/// with what comes.
pub(super) fn set_sinks(write: &WriteTransaction, sinks: &[String]) -> Result<(), redb::Error> {
    let newest = newest(write)?;
    let mut table = write.open_table(CURSORS)?;
    let mut known = Vec::new();
    for entry in table.iter()? {
        let (name, value) = entry?;
        known.push((name.value().to_owned(), cursor(value.value())));
    }
    for sink in sinks {
        if known.iter().any(|(name, _)| name == sink) {
            continue;
        }
        let of_its_kind = known.iter().filter(|(name, _)| kind(name) == kind(sink));
        let begin = of_its_kind.map(|(_, cursor)| cursor.over).min().unwrap_or(newest);
        table.insert(sink.as_str(), (begin, begin))?;
    }
    for (name, cursor) in known.iter().filter(|(name, _)| !sinks.contains(name)) {
        table.remove(name.as_str())?;
        let has_heir = sinks.iter().any(|sink| kind(sink) == kind(name));
        if !has_heir && cursor.sent < newest {
            let waiting = newest - cursor.sent;
            tracing::warn!(sink = kind(name), waiting, "alerts wait for a sink that the config has no more");
            let parked = format!("{PARKED}{}", kind(name));
            let before = table.get(parked.as_str())?.map(|found| found.value());
            let (sent, over) = before.unwrap_or((cursor.sent, cursor.over));
            table.insert(parked.as_str(), (sent.min(cursor.sent), over.min(cursor.over)))?;
        }
    }
    drop(table);
    clean(write)
}

/// Notes what a sink did.
pub(super) fn deliver(write: &WriteTransaction, delivered: &Delivered) -> Result<(), redb::Error> {
    let Cursor { sent, over } = delivered.cursor;
    write.open_table(CURSORS)?.insert(delivered.sink.as_str(), (sent, over))?;
    if let Some((numbers, at_ms)) = &delivered.accepted {
        let mut alerts = write.open_table(ALERTS)?;
        for number in numbers.clone() {
            let stored =
                alerts.get(number)?.and_then(|value| postcard::from_bytes::<StoredAlert>(value.value()).ok());
            let Some(mut stored) = stored.filter(|stored| stored.accepted_ms.is_none()) else { continue };
            stored.accepted_ms = Some(*at_ms);
            alerts.insert(number, postcard::to_stdvec(&stored).map_err(not_written)?.as_slice())?;
        }
    }
    clean(write)
}

/// Removes what is over for all sinks.
fn clean(write: &WriteTransaction) -> Result<(), redb::Error> {
    let mut over = u64::MAX;
    for entry in write.open_table(CURSORS)?.iter()? {
        over = over.min(entry?.1.value().1);
    }
    write.open_table(ALERTS)?.retain_in(..=over, |_, _| false)?;
    Ok(())
}

fn cursor((sent, over): (u64, u64)) -> Cursor {
    Cursor { sent, over }
}

fn kind(sink: &str) -> &str {
    sink.strip_prefix(PARKED).unwrap_or(sink).split('/').next().unwrap_or_default()
}
