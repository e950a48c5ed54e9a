//! What comes out: an event, and what a reader should make of it.

use super::Broken;

/// What a reader should make of an event, if it knows the accounts of the organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A call.
    Call,
    /// A call seen before, byte for byte.
    Duplicate,
    /// An addendum to a call.
    Correction,
    /// The resource owner's copy of a call.
    SharedCopy,
    /// No call: an Insight event.
    Insight,
    /// No call: an aggregated event.
    Aggregated,
    /// No call: a NetworkActivity event.
    NetworkActivity,
    /// Its time is in the future.
    Future,
    /// Broken.
    Broken(Broken),
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// When it is delivered, in Unix seconds; never falls.
    pub delivered_s: i64,
    /// When it happened, in Unix seconds.
    pub event_time_s: i64,
    /// Compact JSON, or what is left of it, without a line break.
    pub json: Vec<u8>,
    /// Its `eventID`, also where the text is too broken to show it.
    pub event_id: String,
    /// The account it is delivered to; always 12 digits.
    pub account: u64,
    /// The region it is delivered in.
    pub region: &'static str,
    /// What a reader should make of it.
    pub outcome: Outcome,
    /// Delivered a minute or more after its time.
    pub late: bool,
}
