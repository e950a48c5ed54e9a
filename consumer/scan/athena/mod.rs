//! History that is too large to read from one place: the same counts by Amazon Athena.
//!
//! Enters: a place in S3, what to count, a condition and a range of time. Leaves: SQL for Athena (Trino's) that judges
//! events as the decoder and [`crate::event`] do, in one pass over the files; and, from the rows that it answers, an
//! [`super::Outcome`]. What SQL can't say exactly is refused by name. `run` alone talks to AWS.

mod answer;
mod condition;
mod estimate;
mod fields;
mod place;
mod run;
mod sql;
mod table;

pub use answer::{Answer, BadAnswer};
pub use estimate::{Estimate, estimate, price};
pub use place::{Days, Place};
pub use run::{Athena, AthenaError, Progress, Service};
pub use sql::{Parts, Query};
pub use table::{Fit, Known, Table, TableName, missing_columns};

use trailmeter_rules::ast::Expr;

use super::field::Field;
use crate::event::judge::Policy;

/// Something that SQL can't say as exactly as the local engine does, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What, as it was written.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

impl Refusal {
    fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), fix: fix.into() }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Athena can't be asked for {}: {}", self.what, self.fix)
    }
}

/// What to count.
#[derive(Clone, Debug)]
pub struct Asked {
    /// By what calls are told apart.
    pub group_by: Vec<Field>,
    /// Only calls that meet it.
    pub only: Option<Expr>,
    /// Only calls at or after this second since 1970.
    pub since_s: Option<i64>,
    /// Only calls before this second since 1970.
    pub until_s: Option<i64>,
    /// Which events count.
    pub policy: Policy,
    /// Now, in seconds since 1970: later events are rejected.
    pub now_s: i64,
    /// What of it is wanted.
    pub parts: Parts,
}

/// A text as SQL has it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests;
