//! What a scan found, for people and for machines.
//!
//! Enters: an [`Outcome`]. Leaves: text, or Parquet. Values that came with events are hostile: a terminal gets no control characters,
//! a spreadsheet no formulas, JSON escapes by itself.

mod csv;
mod html;
mod json;
mod parquet;
mod table;

use std::io::{self, Write};

use table::Table;
pub use table::{columns, shown};

use crate::scan::field::Field;
use crate::scan::{Outcome, Sum};

/// What a table does not tell.
const UNSEEN: &str = "What Athena does not read as events was not seen.";

/// How a result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people: weak callers first, with what to do.
    Table,
    /// A line each row, for spreadsheets.
    Csv,
    /// One object with everything.
    Json,
    /// An object a row.
    Ndjson,
    /// A page by itself, with charts, for whoever opens it.
    Html,
    /// The rows as typed columns, in a file.
    Parquet,
}

/// What was scanned, and when.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// As it was named.
    pub paths: Vec<String>,
    /// The condition, if there was one.
    pub condition: Option<String>,
    /// When, in seconds since 1970.
    pub now_s: i64,
}

/// What is printed, and how.
#[derive(Clone, Debug)]
pub struct Report {
    /// How.
    pub format: Format,
    /// The fields of the rows.
    pub group_by: Vec<Field>,
    /// Whether they were asked for: the table then shows rows instead of weak callers.
    pub is_grouped: bool,
    /// What was scanned, and when, for the head of a page.
    pub about: About,
    /// Rows at most; those with most calls. None: all, in the order of their values.
    pub top: Option<usize>,
}

impl Report {
    /// Writes it.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write(&self, outcome: &Outcome, output: &mut impl Write) -> io::Result<()> {
        match self.format {
            Format::Table => output.write_all(Table::new(self, outcome).text().as_bytes()),
            Format::Html => output.write_all(html::document(self, outcome).as_bytes()),
            Format::Csv => csv::write(self, outcome, output),
            Format::Parquet => parquet::write(self, outcome, output),
            Format::Json => {
                serde_json::to_writer(&mut *output, &json::Body(self, outcome))?;
                output.write_all(b"\n")
            }
            Format::Ndjson => json::rows(self, outcome).try_for_each(|row| {
                serde_json::to_writer(&mut *output, &row)?;
                output.write_all(b"\n")
            }),
        }
    }

    /// That there is no weak caller: which says something only where calls were read.
    fn nobody(outcome: &Outcome) -> &'static str {
        match outcome.totals.calls {
            0 => "No call was read: whether anyone is weak is not known.",
            _ => "Nobody called with SigV2, TLS 1.0, TLS 1.1 or a long-lived key.",
        }
    }

    /// The rows that are printed.
    fn rows<'o>(&self, outcome: &'o Outcome) -> Vec<&'o (Vec<String>, Sum)> {
        let mut rows: Vec<_> = outcome.rows.iter().collect();
        if let Some(top) = self.top {
            rows.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.calls));
            rows.truncate(top);
        }
        rows
    }
}

#[cfg(test)]
mod tests;
