//! How fast a shard is read.
//!
//! GetRecords allows five calls and 2 MiB a second on a shard, shared by everyone who polls it. Refused, the pace
//! halves; each answer brings back a little.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Never slower than this, so that a shard is not given up.
const LEAST_READS_PER_SECOND: f64 = 0.5;
/// What an answer adds to the rate after a refusal.
const RECOVERY: f64 = 0.1;
/// What the service lets be read from a shard in a second.
const BYTES_PER_SECOND: f64 = 2.0 * 1024.0 * 1024.0;

/// The rate of one reader, and when it may read next.
#[derive(Debug)]
pub struct Pace {
    most: f64,
    reads_per_second: f64,
    sent: Instant,
    next: Instant,
}

impl Pace {
    /// At most `reads_per_second`; the first read may come at once.
    pub fn new(reads_per_second: f64) -> Self {
        Self { most: reads_per_second, reads_per_second, sent: Instant::now(), next: Instant::now() }
    }

    /// Waits until the next read may come.
    pub async fn wait(&self) {
        sleep_until(self.next).await;
    }

    /// A read was sent now.
    pub fn sent(&mut self) {
        self.sent = Instant::now();
        self.next = self.sent + Duration::from_secs_f64(1.0 / self.reads_per_second);
    }

    /// It was answered with so many bytes. A large answer uses up the throughput of the seconds that follow it.
    pub fn answered(&mut self, bytes: usize) {
        self.reads_per_second = (self.reads_per_second + RECOVERY).min(self.most);
        let busy = Duration::from_secs_f64(bytes as f64 / BYTES_PER_SECOND);
        self.next = self.next.max(self.sent + busy);
    }

    /// It was refused for its rate; the next one comes `delay` later than the lower rate alone would have it, so
    /// that consumers which were refused together do not come back together.
    pub fn refused(&mut self, delay: Duration) {
        self.reads_per_second = (self.reads_per_second / 2.0).max(LEAST_READS_PER_SECOND.min(self.most));
        self.sent();
        self.next += delay;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn refusals_halve_the_rate_and_answers_bring_it_back() {
        let mut pace = Pace::new(4.0);
        let mut rates = Vec::new();
        for _ in 0..4 {
            pace.refused(Duration::ZERO);
            rates.push(pace.reads_per_second);
        }
        assert_eq!(rates, [2.0, 1.0, 0.5, 0.5]);
        for _ in 0..100 {
            pace.answered(0);
        }
        assert_eq!(pace.reads_per_second, 4.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_answer_is_followed_by_a_pause() {
        let start = Instant::now();
        let mut pace = Pace::new(4.0);
        pace.sent();
        pace.answered(10 * 1024 * 1024);
        pace.wait().await;
        assert_eq!(start.elapsed(), Duration::from_secs(5));
    }
}
