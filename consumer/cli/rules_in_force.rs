//! The rules in force: read at the start, and again when their files change.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use trailmeter_rules::{Diagnostic, RuleSet};

use crate::detect::source::{RuleSources, RulesError};
use crate::metrics::Metrics;
use crate::web::RulesStatus;

/// Files that were changed are taken once they have not changed for so long.
const SETTLED_AFTER: Duration = Duration::from_millis(250);
/// Files that change all the time are taken as they are after so many looks.
const MOST_LOOKS: usize = 8;

/// Reads rules, and keeps what became of it for people.
pub struct RulesInForce {
    /// Where they come from.
    sources: RuleSources,
    /// The hash of the files that were last tried, whatever became of it.
    tried: Option<u64>,
    /// Where those came from that were refused last, until they or others are taken.
    refused: Option<RuleSources>,
    set: Arc<RuleSet>,
    status: watch::Sender<Arc<RulesStatus>>,
    metrics: Arc<Metrics>,
}

impl RulesInForce {
    /// Reads the first rules.
    ///
    /// # Errors
    /// They can't be read, or have errors.
    pub async fn begin(
        sources: RuleSources,
        metrics: &Arc<Metrics>,
        now_ms: u64,
    ) -> Result<Self, RulesError> {
        let files = sources.read().await?;
        let tried = Some(trailmeter_rules::hash(&files, sources.matching));
        let (set, warnings) = sources.compile(&files)?;
        let mut rules = Self {
            sources,
            tried,
            refused: None,
            set: Arc::new(RuleSet::empty()),
            status: watch::Sender::default(),
            metrics: Arc::clone(metrics),
        };
        rules.take(set, warnings, now_ms);
        Ok(rules)
    }

    /// The rules.
    pub fn set(&self) -> Arc<RuleSet> {
        Arc::clone(&self.set)
    }

    /// What is shown of them.
    pub fn status(&self) -> watch::Receiver<Arc<RulesStatus>> {
        self.status.subscribe()
    }

    /// Reads them again from these places. True if others are in force now. What can't be used leaves the earlier ones
    /// in force, and is told once.
    ///
    /// # Errors
    /// They can't be read, or have errors.
    pub async fn read_again(&mut self, sources: RuleSources, now_ms: u64) -> Result<bool, RulesError> {
        let is_moved = sources != self.sources;
        let files = match sources.read().await {
            Ok(files) => files,
            Err(error) => return Err(self.refuse(error, sources, now_ms)),
        };
        let hash = trailmeter_rules::hash(&files, sources.matching);
        let is_in_force = hash == self.set.hash() || (files.is_empty() && self.set.rules().is_empty());
        if is_in_force {
            // What a config names that was refused is not mended by the files of the one in force.
            if self.refused.as_ref().is_none_or(|refused| *refused == sources) {
                self.mended();
            }
            self.sources = sources;
            self.tried = Some(hash);
            return Ok(false);
        }
        if self.tried == Some(hash) && !is_moved {
            let error = self.status.borrow().error.clone();
            return Err(RulesError::Unreadable(error.unwrap_or_default()));
        }
        self.tried = Some(hash);
        let compiling = sources.clone();
        let compiled = tokio::task::spawn_blocking(move || compiling.compile(&files)).await;
        let compiled = compiled.unwrap_or_else(|error| Err(RulesError::Unreadable(error.to_string())));
        match compiled {
            Ok((set, warnings)) => {
                self.sources = sources;
                self.take(set, warnings, now_ms);
                Ok(true)
            }
            Err(error) => Err(self.refuse(error, sources, now_ms)),
        }
    }

    /// Looks whether the files have changed. True if other rules are in force now.
    pub async fn look(&mut self, now_ms: u64) -> bool {
        if self.sources.places.is_empty() {
            return false;
        }
        // What is wrong was told.
        let Some(mut hash) = self.read_hash().await else {
            return self.read_again(self.sources.clone(), now_ms).await.unwrap_or(false);
        };
        if hash == self.set.hash() && self.refused.is_none() {
            return false;
        }
        if self.tried != Some(hash) {
            // Whoever writes may not be done: a file that is cut short may well be rules, too.
            for _ in 0..MOST_LOOKS {
                tokio::time::sleep(SETTLED_AFTER).await;
                let again = self.read_hash().await.unwrap_or_default();
                if std::mem::replace(&mut hash, again) == again {
                    break;
                }
            }
        }
        self.read_again(self.sources.clone(), now_ms).await.unwrap_or(false)
    }

    async fn read_hash(&self) -> Option<u64> {
        let files = self.sources.read().await.ok()?;
        Some(trailmeter_rules::hash(&files, self.sources.matching))
    }

    fn take(&mut self, set: RuleSet, warnings: Vec<Diagnostic>, now_ms: u64) {
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        self.refused = None;
        let enabled = set.rules().iter().filter(|rule| rule.enabled).count();
        self.set = Arc::new(set);
        if enabled > 0 || self.status.borrow().loaded_ms > 0 {
            let ruleset = format!("{:016x}", self.set.hash());
            tracing::info!(rules = enabled, ruleset, warnings = warnings.len(), "rules are in force");
        }
        self.metrics.add_rules(&self.set);
        self.metrics.rules_reload_successful.set(1);
        let set = Arc::clone(&self.set);
        self.status.send_replace(Arc::new(RulesStatus {
            set,
            loaded_ms: now_ms,
            diagnostics: warnings,
            error: None,
        }));
    }

    /// Notes that rules can't be used; tells it, unless that is what was told last.
    fn refuse(&mut self, error: RulesError, sources: RuleSources, now_ms: u64) -> RulesError {
        self.refused = Some(sources);
        self.metrics.rules_reload_successful.set(0);
        let before = Arc::clone(&self.status.borrow());
        let text = error.to_string();
        if before.error.as_deref() != Some(text.as_str()) {
            tracing::error!(%error, "rules can't be used: the earlier ones stay in force");
        }
        let diagnostics = match &error {
            RulesError::Broken(diagnostics) => diagnostics.clone(),
            RulesError::Unreadable(_) => before.diagnostics.clone(),
        };
        let status = RulesStatus {
            error: Some(text),
            diagnostics,
            loaded_ms: before.loaded_ms.min(now_ms),
            set: Arc::clone(&before.set),
        };
        self.status.send_replace(Arc::new(status));
        error
    }

    /// The files are again those of the rules in force.
    fn mended(&mut self) {
        self.refused = None;
        self.metrics.rules_reload_successful.set(1);
        let before = Arc::clone(&self.status.borrow());
        if before.error.is_some() {
            tracing::info!("the rules' files are again those in force");
            let warnings = before.diagnostics.iter().filter(|found| !found.is_error()).cloned().collect();
            self.status.send_replace(Arc::new(RulesStatus {
                error: None,
                diagnostics: warnings,
                ..(*before).clone()
            }));
        }
    }
}
