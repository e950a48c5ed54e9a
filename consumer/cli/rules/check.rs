//! `trailmeter rules check`.

use clap::Args;
use serde_json::json;
use trailmeter_rules::{Matching, RuleSet};

use super::{Format, Named, counted, summary};
use crate::cli::{Failure, print};

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct CheckArguments {
    #[command(flatten)]
    rules: Named,
    /// How the result is printed
    #[arg(long, env = "TRAILMETER_FORMAT", value_enum, default_value = "table")]
    format: Format,
}

const EXAMPLES: &str = "\
Examples:
  trailmeter rules check my-rules.yaml sigma/rules/cloud/aws
  trailmeter rules check --pack all my-rules.yaml    my rules change or extend the packs'
  trailmeter rules check --config trailmeter.yaml

Exit codes: 0 fine, also with warnings; 2 with errors.";

pub fn run(arguments: &CheckArguments) -> Result<(), Failure> {
    let (files, _) = arguments.rules.read()?;
    // Which rules could never match under `matching: first` is told in any case.
    let loaded = RuleSet::load(&files, Matching::First);
    if arguments.format == Format::Json {
        let problems = loaded.diagnostics.iter().map(|found| {
            json!({
                "severity": if found.is_error() { "error" } else { "warning" },
                "file": &*found.file, "line": found.mark.line, "column": found.mark.column,
                "item": found.item, "part": found.part, "message": found.message, "help": found.help,
            })
        });
        let rules = loaded.rules.as_ref().map_or(0, |rules| rules.rules().len());
        print(&format!("{}\n", json!({"rules": rules, "problems": problems.collect::<Vec<_>>()})))?;
        return match loaded.rules {
            Some(_) => Ok(()),
            None => Err(Failure::Usage(counted(&loaded.diagnostics))),
        };
    }
    let Some(rules) = loaded.rules else { return Err(Failure::Usage(summary(&loaded.diagnostics))) };
    let warnings: String = loaded.diagnostics.iter().map(|warning| format!("{warning}\n\n")).collect();
    let rules = rules.rules();
    let enabled = rules.iter().filter(|rule| rule.enabled).count();
    let plural = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    print(&format!(
        "{warnings}{}: {}, {enabled} of them enabled; {}\n",
        plural(files.iter().filter(|file| !file.name.ends_with('/')).count(), "file"),
        plural(rules.len(), "rule"),
        counted(&loaded.diagnostics)
    ))
}
