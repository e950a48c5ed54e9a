//! Synthetic CloudTrail events, by seed.
//!
//! Options go in, events come out in the order of their delivery: the same options give the same bytes on
//! every machine. Nothing here reads a clock, a file or the network, and nothing can fail. [`Generator`] makes
//! a set of events over a stretch of time, [`LiveOrganisation`] follows a wall clock it is handed, and
//! [`Envelope`] wraps events the way a source would deliver them. The shares follow the published
//! `invictus-ir/aws_dataset`, of which nothing but statistics was used; `docs/generate.md` compares the two.

mod action;
mod agent;
mod body;
mod broken;
mod burst;
mod call;
mod caller;
mod catalogue;
mod draw;
mod envelope;
mod event;
mod generator;
mod identity;
mod kpl;
mod live;
mod mix;
mod name;
mod not_call;
mod options;
mod outcome;
mod outside;
mod rhythm;
mod template;
#[cfg(test)]
mod tests;
mod text;
mod wire;

pub use broken::Broken;
pub use envelope::{Envelope, control_message, delivery_path, partition_key};
pub use generator::Generator;
pub use live::LiveOrganisation;
pub use mix::Mix;
pub use options::{Options, WeakShares};
pub use outcome::{Generated, Outcome};
