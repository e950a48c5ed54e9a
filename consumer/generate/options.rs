//! What to generate: sizes, shares and the two presets.

use super::Mix;

/// Shares of the callers that are weak, each between 0 and 1. A share above 0 makes at least one caller weak.
#[derive(Debug, Clone, PartialEq)]
pub struct WeakShares {
    /// Callers that sign with SigV2: every second one signs all its S3 calls so, the others only their
    /// presigned links.
    pub sigv2: f64,
    /// Callers that connect with TLSv1.
    pub tls10: f64,
    /// Callers that connect with TLSv1.1.
    pub tls11: f64,
    /// Callers that are IAM users with an `AKIA…` key.
    pub long_term_key: f64,
    /// S3 object calls (not callers) that arrive through a presigned link, whatever their signature.
    pub presigned: f64,
}

/// All there is to choose. [`Options::default`] is [`Options::corpus`].
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Same seed and options, same bytes.
    pub seed: u64,
    /// How many events, whatever their outcome.
    pub events: u64,
    /// Unix seconds of the first event.
    pub start_s: i64,
    /// Seconds the deliveries are spread over, following the hours of the day.
    pub duration_s: u64,
    /// Accounts of the organisation, numbered from 990000000000.
    pub accounts: u32,
    /// Distinct callers (account and principal), not counting services, roots and anonymous. All of them
    /// appear when there are at least twice as many events.
    pub callers: u32,
    /// Sessions a role has at a time.
    pub sessions_per_role: u32,
    /// Regions in use, 1 to 8, us-east-1 first.
    pub regions: u32,
    /// Who is weak.
    pub weak: WeakShares,
    /// What the calls are made of.
    pub mix: Mix,
    /// Share of events that repeat an earlier one, byte for byte.
    pub duplicates: f64,
    /// Share of events delivered 1 minute to 6 hours after their time.
    pub late: f64,
    /// Share of events whose time is `future_s` or up to a day after it; 0 without `future_s`.
    pub future: f64,
    /// The least time of such an event, in Unix seconds: more than 15 minutes after the reader's clock to
    /// have it rejected.
    pub future_s: Option<i64>,
    /// Share of events that are an addendum to an earlier one.
    pub corrections: f64,
    /// Share of events that are the resource owner's copy of a call (`sharedEventID`); needs two accounts.
    pub shared_copies: f64,
    /// Share of Insight events.
    pub insights: f64,
    /// Share of aggregated events.
    pub aggregated: f64,
    /// Share of NetworkActivity events; one in ten is denied by the endpoint, and so a call.
    pub network_activity: f64,
    /// Share of broken events, all kinds alike.
    pub broken: f64,
    /// The mean size wanted, in bytes of compact JSON: requests grow until it is met. What is generated
    /// without it is the least.
    pub bytes_per_event: Option<u32>,
}

impl Options {
    /// Resembles the published corpus: one team at work with Terraform and long-lived keys.
    pub fn corpus() -> Options {
        Options {
            seed: 1,
            events: 10_000,
            start_s: 1_751_328_000, // 2025-07-01T00:00:00Z
            duration_s: 24 * 3600,
            accounts: 10,
            callers: 200,
            sessions_per_role: 3,
            regions: 1,
            weak: WeakShares { sigv2: 0.01, tls10: 0.01, tls11: 0.01, long_term_key: 0.95, presigned: 0.05 },
            mix: Mix::corpus(),
            duplicates: 0.002,
            late: 0.01,
            future: 0.0,
            future_s: None,
            corrections: 0.0005,
            shared_copies: 0.001,
            insights: 0.0005,
            aggregated: 0.0005,
            network_activity: 0.001,
            broken: 0.0,
            bytes_per_event: None,
        }
    }

    /// A lively organisation: mostly roles, many S3 data events, so that a good part of the signatures is known.
    pub fn organisation() -> Options {
        Options {
            accounts: 24,
            callers: 600,
            sessions_per_role: 6,
            regions: 5,
            weak: WeakShares { sigv2: 0.02, tls10: 0.01, tls11: 0.015, long_term_key: 0.05, presigned: 0.04 },
            mix: Mix::organisation(),
            ..Options::corpus()
        }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options::corpus()
    }
}
