//! `trailmeter rules list`.

use clap::Args;
use serde_json::json;

use super::{Format, Named};
use crate::cli::{Failure, print};
use crate::report::columns;

#[derive(Args)]
#[command(after_help = "Example:\n  trailmeter rules list --pack all")]
pub struct ListArguments {
    #[command(flatten)]
    rules: Named,
    /// How the result is printed
    #[arg(long, env = "TRAILMETER_FORMAT", value_enum, default_value = "table")]
    format: Format,
}

pub fn run(arguments: &ListArguments) -> Result<(), Failure> {
    let rules = arguments.rules.load()?;
    if arguments.format == Format::Json {
        let rows = rules.rules().iter().map(|rule| {
            json!({
                "name": rule.name, "source_file": &*rule.file, "line": rule.line, "language": rule.language.label(),
                "priority": rule.priority.label(), "enabled": rule.enabled, "tags": rule.tags,
                "description": rule.description, "alertname": rule.alert_name(), "tests": rule.tests.len(),
            })
        });
        let listed = json!({"ruleset": format!("{:016x}", rules.hash()), "rules": rows.collect::<Vec<_>>()});
        return print(&format!("{listed}\n"));
    }
    let mut rows = vec![["RULE", "PRIORITY", "LANGUAGE", "TESTS", "FILE"].map(str::to_owned).to_vec()];
    for rule in rules.rules() {
        let priority = if rule.enabled { rule.priority.label() } else { "(disabled)" };
        let place = format!("{}:{}", rule.file, rule.line);
        let row = [
            rule.name.clone(),
            priority.to_owned(),
            rule.language.label().to_owned(),
            rule.tests.len().to_string(),
            place,
        ];
        rows.push(row.to_vec());
    }
    print(&columns(&rows))
}
