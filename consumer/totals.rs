//! The accounting: what became of every record and every event.
//!
//! Always `events = calls + not calls + dropped + rejected`. All of it is sums, so totals of shards, of batches and
//! of deltas add up in any order.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Declares a closed set of outcomes with their names in the API and in the metrics' labels.
macro_rules! outcomes {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $label:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// All of them, in their stored order: new ones are added at the end.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name in the API and in labels.
            pub fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }
        }
    };
}

outcomes! {
    /// Why a record gave nothing, or not all it should have.
    RecordRejection {
        /// gzip that is torn or wrong.
        BadGzip = "bad_gzip",
        /// Zstandard that is torn or wrong.
        BadZstd = "bad_zstd",
        /// A KPL aggregate whose checksum or message is wrong.
        BadAggregate = "bad_aggregate",
        /// Not text.
        BadEncoding = "bad_encoding",
        /// More bytes than `limits.decompressed_bytes`.
        TooLarge = "too_large",
        /// Text or JSON, but nothing that carries CloudTrail events.
        UnknownEnvelope = "unknown_envelope",
        /// Nothing in it.
        Empty = "empty",
    }
}

outcomes! {
    /// Why an event does not count.
    EventRejection {
        /// Not JSON, or broken off.
        NotJson = "not_json",
        /// JSON, but no object.
        NotObject = "not_object",
        /// No `eventTime`.
        NoTime = "no_time",
        /// An `eventTime` that is not RFC 3339 in UTC.
        BadTime = "bad_time",
        /// Further in the future than `limits.future`.
        FutureTime = "future_time",
        /// No `eventSource`.
        NoSource = "no_source",
        /// No `eventName`.
        NoName = "no_name",
        /// More bytes than `limits.event_bytes`.
        TooLarge = "too_large",
        /// Deeper nested than `limits.depth`.
        TooDeep = "too_deep",
    }
}

outcomes! {
    /// Why an event is not a call.
    NotCall {
        /// An Insights event.
        Insight = "insight",
        /// An aggregated event.
        Aggregated = "aggregated",
        /// A digest file.
        Digest = "digest",
        /// A network activity event: the call has its own event.
        NetworkActivity = "network_activity",
    }
}

outcomes! {
    /// Why an event that is a call is not counted.
    Dropped {
        /// Its id was counted before.
        Duplicate = "duplicate",
        /// It corrects an event that was counted.
        Correction = "correction",
        /// The resource owner's copy of a call that has its own event.
        SharedCopy = "shared_copy",
    }
}

outcomes! {
    /// Why a call's signature or TLS version can't be told.
    UnknownReason {
        /// A service made the call.
        Service = "service",
        /// The console made the call on someone's behalf.
        Console = "console",
        /// A value that is not known here.
        Other = "other",
        /// The service does not say.
        NotReported = "not_reported",
    }
}

/// How many calls are known in one dimension, and why the rest is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Calls whose value is known.
    pub known: u64,
    /// Calls whose value is unknown, by [`UnknownReason`].
    pub unknown: [u64; UnknownReason::COUNT],
}

impl Coverage {
    /// Counts a call whose value is known, or for this reason is not.
    pub fn count(&mut self, unknown: Option<UnknownReason>) {
        match unknown {
            None => self.known += 1,
            Some(reason) => self.unknown[reason as usize] += 1,
        }
    }

    fn add(&mut self, other: &Self) {
        self.known += other.known;
        add_each(&mut self.unknown, &other.unknown);
    }

    fn json(&self) -> Value {
        json!({"known": self.known, "unknown": by_label(UnknownReason::ALL.iter().map(|r| r.label()), &self.unknown)})
    }
}

/// The accounting of records and events, and the coverage of calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Records that were decoded.
    pub records_decoded: u64,
    /// Records that only probe the way.
    pub records_control: u64,
    /// Records rejected, by [`RecordRejection`].
    pub records_rejected: [u64; RecordRejection::COUNT],
    /// Events that count.
    pub calls: u64,
    /// Events that are not calls, by [`NotCall`].
    pub not_calls: [u64; NotCall::COUNT],
    /// Events dropped, by [`Dropped`].
    pub dropped: [u64; Dropped::COUNT],
    /// Events rejected, by [`EventRejection`].
    pub rejected: [u64; EventRejection::COUNT],
    /// Calls that are older than all that the windows keep.
    pub late: u64,
    /// S3 calls with unknown signature by a client that signs with SigV2 by default.
    pub likely_sigv2: u64,
    /// Coverage of the signature version.
    pub signature: Coverage,
    /// Coverage of the TLS version.
    pub tls: Coverage,
}

impl Totals {
    /// All events, whatever became of them.
    pub fn events(&self) -> u64 {
        let sum = |counts: &[u64]| counts.iter().sum::<u64>();
        self.calls + sum(&self.not_calls) + sum(&self.dropped) + sum(&self.rejected)
    }

    /// Adds what another shard, or a delta, counted.
    pub fn add(&mut self, other: &Self) {
        self.records_decoded += other.records_decoded;
        self.records_control += other.records_control;
        add_each(&mut self.records_rejected, &other.records_rejected);
        self.calls += other.calls;
        add_each(&mut self.not_calls, &other.not_calls);
        add_each(&mut self.dropped, &other.dropped);
        add_each(&mut self.rejected, &other.rejected);
        self.late += other.late;
        self.likely_sigv2 += other.likely_sigv2;
        self.signature.add(&other.signature);
        self.tls.add(&other.tls);
    }

    /// The body of `/api/v1/totals`.
    pub fn json(&self) -> Value {
        json!({
            "records": {
                "decoded": self.records_decoded,
                "control": self.records_control,
                "rejected": by_label(RecordRejection::ALL.iter().map(|r| r.label()), &self.records_rejected),
            },
            "events": self.events(),
            "calls": self.calls,
            "not_calls": by_label(NotCall::ALL.iter().map(|r| r.label()), &self.not_calls),
            "dropped": by_label(Dropped::ALL.iter().map(|r| r.label()), &self.dropped),
            "rejected": by_label(EventRejection::ALL.iter().map(|r| r.label()), &self.rejected),
            "late": self.late,
        })
    }

    /// The body of `/api/v1/coverage`.
    pub fn coverage_json(&self) -> Value {
        json!({
            "signature": self.signature.json(),
            "tls": self.tls.json(),
            "likely_sigv2": self.likely_sigv2,
        })
    }
}

fn add_each(counts: &mut [u64], others: &[u64]) {
    for (count, other) in counts.iter_mut().zip(others) {
        *count += other;
    }
}

fn by_label<'a>(labels: impl Iterator<Item = &'a str>, counts: &[u64]) -> Value {
    Value::Object(
        labels.zip(counts).map(|(label, count)| (label.to_owned(), json!(count))).collect::<Map<_, _>>(),
    )
}
