//! Every series that trailmeter exposes, declared once.
//!
//! Counters start at 0 with the process and move when what they count is durable; exact numbers that outlive a
//! restart are the API's. Gauges that are computed from the state are set by `web` just before they are read.

mod distribution;

use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

pub use distribution::{Distribution, Observations};

use trailmeter_rules::RuleSet;

use crate::detect::decide::WITHHELD;
use crate::event::judge::Weakness;
use crate::event::{signature, tls};
use crate::totals::{Dropped, EventRejection, NotCall, RecordRejection, Totals, UnknownReason};

/// A limit that may bite, for `trailmeter_limit_hits_total`.
pub const LIMITS: [&str; 14] = [
    "callers",
    "outside_callers",
    "weak_callers",
    "outside_weak_callers",
    "inflight_bytes",
    "max_connections",
    "max_body",
    "request_rate",
    "event_sources",
    "decompressed_bytes",
    "event_bytes",
    "depth",
    "dead_letter",
    "rule_values",
];

/// What becomes of an alert at a sink: taken, taken again while it is held, ended; not taken for
/// now, passed over, over at another replica before it could be sent.
const ALERT_OUTCOMES: [&str; 6] = ["delivered", "resent", "resolved", "failed", "rejected", "expired"];

const CALLER_LABELS: [&str; 3] = ["weakness", "account_id", "principal"];

/// The series of one process.
pub struct Metrics {
    registry: Registry,
    /// Records by source, outcome and reason.
    pub records: IntCounterVec,
    /// Events by outcome and reason.
    pub events: IntCounterVec,
    /// Calls by signature version, TLS version and event source.
    pub calls: IntCounterVec,
    /// Calls whose signature or TLS version is unknown, by dimension and reason.
    pub unknown_calls: IntCounterVec,
    /// Calls older than all that the windows keep.
    pub late_events: IntCounter,
    /// Ids forgotten before their time because there were too many.
    pub duplicates_evicted: IntCounter,
    /// Calls in a window of weak versions.
    pub window_calls: GaugeVec,
    /// Distinct callers in a window.
    pub window_callers: GaugeVec,
    /// Weak callers that the memory did not know, by weakness.
    pub new_callers: IntCounterVec,
    /// The least event time of a weak caller.
    pub caller_first_seen: GaugeVec,
    /// The greatest event time of a weak caller.
    pub caller_last_seen: GaugeVec,
    /// When someone was last paged for a weak caller.
    pub caller_paged: GaugeVec,
    /// Matches by rule and priority.
    pub rule_matches: IntCounterVec,
    /// Matches that were not kept, or of which nobody was told, by rule and reason.
    pub rule_matches_withheld: IntCounterVec,
    /// Whether the rules that were last found could be used.
    pub rules_reload_successful: IntGauge,
    /// Alerts by sink and what became of them.
    pub alerts: IntCounterVec,
    /// Alerts that wait, by sink.
    pub alerts_undelivered: GaugeVec,
    /// Series that a cap left out.
    pub series_dropped: IntCounterVec,
    /// Commits by outcome.
    pub commits: IntCounterVec,
    /// Times that a limit was hit.
    pub limit_hits: IntCounterVec,
    /// How far each shard's reader is behind.
    pub shard_behind: GaugeVec,
    /// When each shard was last committed.
    pub shard_checkpoint: GaugeVec,
    /// Shards read by this process.
    pub leases: IntGauge,
    /// From an event's time until it was counted.
    pub event_delay: Distribution,
    /// Decoding and counting of one batch.
    pub processing: Distribution,
    /// Whether the last re-reading of the config went well.
    pub reload_successful: IntGauge,
    /// When the config was last read with success.
    pub reload_success_timestamp: Gauge,
    /// Whether the web config that was last found could be used.
    pub web_config_reload_successful: IntGauge,
}

impl Metrics {
    /// All series, those of closed sets at 0.
    ///
    /// # Errors
    /// A name is declared twice or is not valid: a broken build.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let gauges = GaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauges.clone()))?;
            Ok::<_, prometheus::Error>(gauges)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let reload_success_timestamp = Gauge::new(
            "trailmeter_config_last_reload_success_timestamp_seconds",
            "When the config was last read with success.",
        )?;
        registry.register(Box::new(reload_success_timestamp.clone()))?;
        let build_info = gauges("trailmeter_build_info", "1, with the version as a label.", &["version"])?;
        build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        let event_delay = Distribution::new(
            "trailmeter_event_delay_seconds",
            "From an event's time until it was counted.",
            &[0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 86400.0],
        )?;
        let processing = Distribution::new(
            "trailmeter_processing_seconds",
            "Decoding and counting of one batch.",
            &[
                0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
                5.0, 10.0,
            ],
        )?;
        registry.register(Box::new(event_delay.clone()))?;
        registry.register(Box::new(processing.clone()))?;
        let metrics = Self {
            records: counters("trailmeter_records_total", "Records.", &["source", "outcome", "reason"])?,
            events: counters("trailmeter_events_total", "Events.", &["outcome", "reason"])?,
            calls: counters(
                "trailmeter_calls_total",
                "Calls.",
                &["signature_version", "tls_version", "event_source"],
            )?,
            unknown_calls: counters(
                "trailmeter_unknown_calls_total",
                "Calls whose signature or TLS version can't be told.",
                &["dimension", "reason"],
            )?,
            late_events: counter(
                "trailmeter_late_events_total",
                "Calls older than all that the windows keep: in the totals, not in the windows.",
            )?,
            duplicates_evicted: counter(
                "trailmeter_duplicate_memory_evicted_total",
                "Event ids forgotten before their time because limits.duplicates.ids was reached.",
            )?,
            window_calls: gauges(
                "trailmeter_window_calls",
                "Calls in the window, of weak signature or TLS versions.",
                &["window", "account_id", "principal", "signature_version", "tls_version"],
            )?,
            window_callers: gauges(
                "trailmeter_window_callers",
                "Distinct callers in the window, in this process.",
                &["window", "signature_version", "tls_version"],
            )?,
            rule_matches: counters(
                "trailmeter_rule_matches_total",
                "Calls that a rule matched.",
                &["rule", "priority"],
            )?,
            rule_matches_withheld: counters(
                "trailmeter_rule_matches_withheld_total",
                "Matches that were not kept (rate), that nobody was told of (repeat), or that came too late to be counted (late).",
                &["rule", "reason"],
            )?,
            rules_reload_successful: gauge(
                "trailmeter_rules_last_reload_successful",
                "1 if the rules that were last found could be used, 0 if the earlier ones stay in force.",
            )?,
            new_callers: counters(
                "trailmeter_new_callers_total",
                "Weak callers of our own that the memory did not know.",
                &["weakness"],
            )?,
            caller_first_seen: gauges(
                "trailmeter_caller_first_seen_timestamp_seconds",
                "When a weak caller first called, by event time.",
                &CALLER_LABELS,
            )?,
            caller_last_seen: gauges(
                "trailmeter_caller_last_seen_timestamp_seconds",
                "When a weak caller last called, by event time.",
                &CALLER_LABELS,
            )?,
            caller_paged: gauges(
                "trailmeter_caller_paged_timestamp_seconds",
                "When someone was last paged for a weak caller.",
                &CALLER_LABELS,
            )?,
            alerts: counters(
                "trailmeter_alerts_total",
                "Alerts by sink and what became of them.",
                &["sink", "outcome"],
            )?,
            alerts_undelivered: gauges(
                "trailmeter_alerts_undelivered",
                "Alerts that are committed and that the sink has not taken.",
                &["sink"],
            )?,
            series_dropped: counters(
                "trailmeter_series_dropped_total",
                "Series that limits.series left out, counted at each scrape.",
                &["metric"],
            )?,
            commits: counters("trailmeter_commits_total", "Commits of the state.", &["outcome"])?,
            limit_hits: counters("trailmeter_limit_hits_total", "Times that a limit was hit.", &["limit"])?,
            shard_behind: gauges(
                "trailmeter_shard_behind_seconds",
                "How far the reader is behind the shard's newest record.",
                &["shard"],
            )?,
            shard_checkpoint: gauges(
                "trailmeter_shard_checkpoint_timestamp_seconds",
                "When the shard's state was last committed.",
                &["shard"],
            )?,
            leases: gauge("trailmeter_leases", "Shards that this process reads.")?,
            reload_successful: gauge(
                "trailmeter_config_last_reload_successful",
                "Whether the config was last read with success.",
            )?,
            web_config_reload_successful: gauge(
                "trailmeter_web_config_last_reload_successful",
                "1 if the web config that was last found could be used, 0 if the earlier one stays in force.",
            )?,
            event_delay,
            processing,
            reload_success_timestamp,
            registry,
        };
        metrics.begin_at_zero();
        Ok(metrics)
    }

    /// Every series of a closed set exists from the start, so that `increase()` sees its first step.
    fn begin_at_zero(&self) {
        self.count_events(&Totals::default());
        self.web_config_reload_successful.set(1);
        for outcome in ["committed", "failed"] {
            self.commits.with_label_values(&[outcome]);
        }
        LIMITS.iter().for_each(|limit| drop(self.limit_hits.with_label_values(&[*limit])));
        for weakness in Weakness::ALL {
            self.new_callers.with_label_values(&[weakness.label()]);
        }
        for metric in [
            "trailmeter_window_calls",
            "trailmeter_caller_first_seen_timestamp_seconds",
            "trailmeter_caller_last_seen_timestamp_seconds",
            "trailmeter_caller_paged_timestamp_seconds",
            "trailmeter_shard_behind_seconds",
            "trailmeter_shard_checkpoint_timestamp_seconds",
        ] {
            self.series_dropped.with_label_values(&[metric]);
        }
        for signature in signature::LABELS {
            for tls in tls::LABELS {
                for window in crate::window::WindowSize::ALL {
                    self.window_callers.with_label_values(&[window.label(), signature, tls]).set(0.0);
                }
            }
        }
    }

    /// Makes the series of a source's records exist.
    pub fn add_source(&self, source: &str) {
        self.count_records(source, &Totals::default());
    }

    /// Makes the series of rules exist.
    pub fn add_rules(&self, rules: &RuleSet) {
        for rule in rules.rules().iter().filter(|rule| rule.enabled) {
            self.rule_matches.with_label_values(&[rule.name.as_str(), rule.priority.label()]);
            for reason in WITHHELD {
                self.rule_matches_withheld.with_label_values(&[rule.name.as_str(), reason]);
            }
        }
    }

    /// Makes the series of a sink's alerts exist.
    pub fn add_sink(&self, sink: &str) {
        for outcome in ALERT_OUTCOMES {
            self.alerts.with_label_values(&[sink, outcome]);
        }
        self.alerts_undelivered.with_label_values(&[sink]).set(0.0);
    }

    /// Adds what a commit made durable.
    pub fn count(&self, source: &str, delta: &Totals) {
        self.count_records(source, delta);
        self.count_events(delta);
    }

    fn count_records(&self, source: &str, delta: &Totals) {
        let records =
            |outcome: &str, reason: &str| self.records.with_label_values(&[source, outcome, reason]);
        records("decoded", "").inc_by(delta.records_decoded);
        records("control", "").inc_by(delta.records_control);
        for (rejection, count) in RecordRejection::ALL.iter().zip(delta.records_rejected) {
            records("rejected", rejection.label()).inc_by(count);
        }
    }

    fn count_events(&self, delta: &Totals) {
        let events = |outcome: &str, reason: &str| self.events.with_label_values(&[outcome, reason]);
        events("call", "").inc_by(delta.calls);
        for (category, count) in NotCall::ALL.iter().zip(delta.not_calls) {
            events("not_call", category.label()).inc_by(count);
        }
        for (dropped, count) in Dropped::ALL.iter().zip(delta.dropped) {
            events("dropped", dropped.label()).inc_by(count);
        }
        for (rejection, count) in EventRejection::ALL.iter().zip(delta.rejected) {
            events("rejected", rejection.label()).inc_by(count);
        }
        for (dimension, coverage) in [("signature", &delta.signature), ("tls", &delta.tls)] {
            for (reason, count) in UnknownReason::ALL.iter().zip(coverage.unknown) {
                self.unknown_calls.with_label_values(&[dimension, reason.label()]).inc_by(count);
            }
        }
        self.late_events.inc_by(delta.late);
    }

    /// Notes how reading the config went.
    pub fn reloaded(&self, is_successful: bool, now_ms: u64) {
        self.reload_successful.set(i64::from(is_successful));
        if is_successful {
            self.reload_success_timestamp.set(now_ms as f64 / 1000.0);
        }
    }

    /// All series in Prometheus' text format.
    ///
    /// # Errors
    /// A series can't be written: a broken build.
    pub fn text(&self) -> prometheus::Result<String> {
        prometheus::TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}
