//! How long to wait before the next try.
//!
//! Enters: how many tries failed and a random number. Leaves: a duration. Pure; the caller sleeps and draws.

use std::time::Duration;

use thiserror::Error;

/// Exponential waiting times with full jitter between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
}

/// Bounds that make no waiting time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BackoffError {
    /// Waiting for no time at all would be a busy loop.
    #[error("the first backoff is zero; set it to at least a millisecond")]
    ZeroFirst,
    /// The bounds are the wrong way round.
    #[error("the longest backoff ({cap:?}) is below the first ({first:?}); raise the longest")]
    CapBelowFirst {
        /// The bound of the first wait.
        first: Duration,
        /// The bound of every wait.
        cap: Duration,
    },
}

impl Backoff {
    /// Waits of at most `first` after the first failure, twice that after each further one, never above `cap`.
    ///
    /// # Errors
    /// `first` is zero, or `cap` is below it.
    pub fn try_new(first: Duration, cap: Duration) -> Result<Self, BackoffError> {
        if first.is_zero() {
            return Err(BackoffError::ZeroFirst);
        }
        if cap < first {
            return Err(BackoffError::CapBelowFirst { first, cap });
        }
        Ok(Self { first, cap })
    }

    /// The wait after `attempt` earlier failures (0 for the first), with `random` from 0 up to 1.
    ///
    /// Full jitter spreads the shards of a fleet best; a tenth of the first bound is the least, so that a run of
    /// small draws is no busy loop.
    pub fn delay(&self, attempt: u32, random: f64) -> Duration {
        let doublings = 2u32.saturating_pow(attempt);
        let bound = self.first.saturating_mul(doublings).min(self.cap);
        bound.mul_f64(random.clamp(0.0, 1.0)).max(self.first / 10)
    }
}

impl Default for Backoff {
    /// From 100 ms, about one answer of the service, to 10 s, twice the pause that a full answer may bring.
    fn default() -> Self {
        Self { first: Duration::from_millis(100), cap: Duration::from_secs(10) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap() {
        let backoff = Backoff::default();
        let longest: Vec<_> = (0..9).map(|attempt| backoff.delay(attempt, 1.0).as_millis()).collect();
        assert_eq!(longest, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(backoff.delay(u32::MAX, 1.0), Duration::from_secs(10));
    }

    #[test]
    fn jitter_takes_the_whole_range_but_never_nothing() {
        let backoff = Backoff::default();
        assert_eq!(backoff.delay(5, 0.0), Duration::from_millis(10));
        assert_eq!(backoff.delay(5, 0.5), Duration::from_millis(1600));
    }

    #[test]
    fn refuses_bounds_that_make_no_sense() {
        let second = Duration::from_secs(1);
        assert_eq!(Backoff::try_new(Duration::ZERO, second), Err(BackoffError::ZeroFirst));
        let wrong = Backoff::try_new(second, Duration::from_millis(1));
        assert!(matches!(wrong, Err(BackoffError::CapBelowFirst { .. })));
    }
}
