//! Comma-separated values (RFC 4180), the first line with the names.

use std::io::{self, Write};

use super::Report;
use crate::event::time;
use crate::scan::Outcome;

/// Writes the rows.
pub fn write(report: &Report, outcome: &Outcome, output: &mut impl Write) -> io::Result<()> {
    let names = report.group_by.iter().map(|field| field.name());
    let names: Vec<&str> = names.chain(["calls", "first_seen", "last_seen"]).collect();
    write!(output, "{}\r\n", names.join(","))?;
    for (values, sum) in report.rows(outcome) {
        for value in values {
            write!(output, "{},", cell(value))?;
        }
        let (first, last) = (time::format(sum.first_s), time::format(sum.last_s));
        write!(output, "{},{first},{last}\r\n", sum.calls)?;
    }
    Ok(())
}

/// A value as a spreadsheet may take it: one that would be a formula has a `'` before it.
pub fn cell(value: &str) -> String {
    let is_formula = value.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let value = if is_formula { format!("'{value}") } else { value.to_owned() };
    if value.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", value.replace('"', "\"\"")) } else { value }
}
