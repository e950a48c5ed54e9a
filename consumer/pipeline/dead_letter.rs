//! What was rejected: sampled to the log, and written to a file if the config names one.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde_json::json;

use crate::event::time;
use crate::metrics::Metrics;

/// At most one line in this time goes to the log.
const LOG_EVERY_MS: u64 = 10_000;
/// Bytes of a rejected text that the log shows.
const LOG_BYTES: usize = 200;
/// Bytes of a rejected text that the file keeps.
const FILE_BYTES: usize = 64 << 10;

/// Takes what was rejected. One for all shards.
pub struct DeadLetter {
    file: Option<Mutex<Letters>>,
    logged_ms: AtomicU64,
    unlogged: AtomicU64,
}

struct Letters {
    file: File,
    room_bytes: u64,
}

impl DeadLetter {
    /// To the log alone, or also to a file of at most `max_bytes`.
    ///
    /// # Errors
    /// The file can't be opened.
    pub fn open(file: Option<(&Path, u64)>) -> std::io::Result<Self> {
        let file = match file {
            None => None,
            Some((path, max_bytes)) => {
                let file = OpenOptions::new().create(true).append(true).open(path)?;
                let room_bytes = max_bytes.saturating_sub(file.metadata()?.len());
                Some(Mutex::new(Letters { file, room_bytes }))
            }
        };
        Ok(Self { file, logged_ms: AtomicU64::new(0), unlogged: AtomicU64::new(0) })
    }

    /// Takes a text that was rejected. It is hostile: debug formatting escapes it for the log, JSON for the file.
    pub fn take(&self, reason: &'static str, text: &[u8], now_ms: u64, metrics: &Metrics) {
        self.log(reason, text, now_ms);
        let Some(letters) = &self.file else { return };
        let shown = String::from_utf8_lossy(&text[..text.len().min(FILE_BYTES)]);
        let time = time::format((now_ms / 1000).cast_signed());
        let line =
            format!("{}\n", json!({"time": time, "reason": reason, "bytes": text.len(), "text": shown}));
        let mut letters = letters.lock();
        let is_written =
            letters.room_bytes >= line.len() as u64 && letters.file.write_all(line.as_bytes()).is_ok();
        if is_written {
            letters.room_bytes -= line.len() as u64;
        } else {
            metrics.limit_hits.with_label_values(&["dead_letter"]).inc();
        }
    }

    fn log(&self, reason: &'static str, text: &[u8], now_ms: u64) {
        let last = self.logged_ms.load(Ordering::Relaxed);
        if now_ms < last.saturating_add(LOG_EVERY_MS) && last != 0 {
            self.unlogged.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.logged_ms.store(now_ms, Ordering::Relaxed);
        let unlogged = self.unlogged.swap(0, Ordering::Relaxed);
        let shown = String::from_utf8_lossy(&text[..text.len().min(LOG_BYTES)]);
        tracing::warn!(reason, text = ?shown, bytes = text.len(), not_shown = unlogged, "rejected");
    }
}
