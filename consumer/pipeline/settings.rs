//! What of the config the tasks heed, and may change while they run.

use std::sync::Arc;

use crate::callers::CallerPolicy;
use crate::decode::Limits;
use crate::detect::ActiveRules;
use crate::duplicates::DuplicateLimits;
use crate::event::judge::Policy;
use crate::state::StateLimits;
use crate::window::CallerLimits;

/// Replaced as a whole when the config is read again; each task takes it up before its next batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which events count.
    pub policy: Policy,
    /// What a record may cost.
    pub decode: Limits,
    /// How long and how many ids are remembered.
    pub duplicates: DuplicateLimits,
    /// How many callers the windows hold.
    pub callers: CallerLimits,
    /// What is made of weak callers.
    pub weak_callers: Arc<CallerPolicy>,
    /// Rules, and the bounds of what they make.
    pub rules: ActiveRules,
    /// Series of one metric.
    pub series: usize,
    /// Milliseconds between two commits of a shard.
    pub commit_interval_ms: u64,
    /// Bytes of pending counts and ids after which a shard commits at once.
    pub commit_bytes: usize,
}

impl Settings {
    /// The bounds that hold while a state is read.
    pub fn state(&self) -> StateLimits {
        StateLimits { callers: self.callers, duplicates: self.duplicates }
    }
}
