//! The main job: from a source's shards to durable counts.
//!
//! `bytes →(source) Record →(decode) Event →(count) pending →(commit) state → views`. One task owns one shard. What
//! it counts is pending until it is committed together with the position; only then does it show in the views and
//! in the metrics. The supervisor starts and ends the tasks as its source says which shards may be read.

mod count;
mod dead_letter;
mod learning;
mod settings;
mod supervise;
mod trend;
mod views;
mod worker;

pub use count::{Counter, Pending};
pub use dead_letter::DeadLetter;
pub use learning::Learning;
pub use settings::Settings;
pub use supervise::{Pipeline, Readiness, THE_STATE};
pub use views::{ShardView, Views, WindowError, WindowRows};
