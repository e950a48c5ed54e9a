//! `trailmeter rules explain`.

use std::collections::BTreeSet;

use clap::Args;
use trailmeter_rules::ast::{Expr, Right, Term};
use trailmeter_rules::diagnostic::nearest;
use trailmeter_rules::index::Keys;
use trailmeter_rules::stateful::Fires;
use trailmeter_rules::{Rule, RuleSet};

use super::Named;
use crate::cli::{Failure, print};
use crate::config::units::Span;
use crate::report::shown;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  trailmeter rules explain \"Root account used\"\n  trailmeter rules explain \"My rule\" my-rules.yaml"
)]
pub struct ExplainArguments {
    /// The rule's name
    #[arg(value_name = "RULE")]
    rule: String,
    #[command(flatten)]
    rules: Named,
}

pub fn run(arguments: &ExplainArguments) -> Result<(), Failure> {
    let rules = arguments.rules.load()?;
    let name = &arguments.rule;
    let Some(at) = rules.rules().iter().position(|rule| rule.name == *name) else {
        let near = nearest(name, rules.rules().iter().map(|rule| rule.name.as_str()));
        let near = near
            .map(|near| format!(": did you mean {near:?}?"))
            .unwrap_or_else(|| ": `trailmeter rules list` has all".to_owned());
        return Err(Failure::Usage(format!("there is no rule {name:?}{near}")));
    };
    print(&explained(&rules, at))
}

fn explained(rules: &RuleSet, at: usize) -> String {
    let rule = &rules.rules()[at];
    let mut text = format!("{}\n", shown(&rule.name));
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            let value = value.lines().map(shown).collect::<Vec<_>>().join("\n");
            let value = value.replace('\n', &format!("\n{:14}", ""));
            text += &format!("  {name:11} {value}\n");
        }
    };
    line("file", format!("{}:{} ({})", rule.file, rule.line, rule.language.label()));
    line("priority", format!("{}{}", rule.priority.label(), if rule.enabled { "" } else { ", disabled" }));
    line("tags", rule.tags.join(", "));
    line("about", rule.description.trim().to_owned());
    line("condition", broken_up(&rule.condition));
    line("looked up by", keys(rules.keys(at as u32)));
    let mut fields = BTreeSet::new();
    fields_of(&rule.condition, &mut fields);
    line("fields", fields.into_iter().collect::<Vec<_>>().join(", "));
    line("remembers", remembers(rule));
    let labels = rule
        .group
        .iter()
        .map(|label| format!("{}={}", label.name, label.field))
        .collect::<Vec<_>>()
        .join(", ");
    line(
        "alert",
        format!("{}, severity {}, one for each {labels}", rule.alert_name(), rule.priority.severity()),
    );
    let repeated = match rule.repeat_s {
        _ if rule.first_seen.is_some() => String::new(),
        0 => "for every match".to_owned(),
        seconds => format!("after {}", span(seconds)),
    };
    line("repeated", repeated);
    line("output", rule.output.fields().map(|field| format!("%{field}")).collect::<Vec<_>>().join(" "));
    line("tests", rule.tests.len().to_string());
    text
}

/// A condition with a line for each of its outermost parts.
fn broken_up(condition: &Expr) -> String {
    let (parts, word) = match condition {
        Expr::And(parts) if parts.len() > 1 => (parts, "and "),
        Expr::Or(parts) if parts.len() > 1 => (parts, "or "),
        other => return other.to_string(),
    };
    let shown = parts.iter().map(|part| match part {
        Expr::And(_) | Expr::Or(_) => format!("({part})"),
        other => other.to_string(),
    });
    shown
        .enumerate()
        .map(|(at, part)| if at == 0 { part } else { format!("{word}{part}") })
        .collect::<Vec<_>>()
        .join("\n")
}

fn keys(keys: &Keys) -> String {
    let shown = |set: &BTreeSet<String>| set.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    match (&keys.names, &keys.sources) {
        (Some(names), _) => format!("event name: {}", shown(names)),
        (None, Some(sources)) => format!("event source: {}", shown(sources)),
        (None, None) => "nothing: it is asked about every call".to_owned(),
    }
}

fn fields_of(condition: &Expr, fields: &mut BTreeSet<String>) {
    match condition {
        Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| fields_of(part, fields)),
        Expr::Not(inner) => fields_of(inner, fields),
        Expr::Check(check) => {
            fields_of_term(&check.left, fields);
            if let Right::Term(term) = &check.right {
                fields_of_term(term, fields);
            }
        }
        Expr::Macro(..) => {}
    }
}

fn fields_of_term(term: &Term, fields: &mut BTreeSet<String>) {
    match term {
        Term::Field(field) => drop(fields.insert(field.to_string())),
        Term::Call(_, terms) | Term::List(terms) => {
            terms.iter().for_each(|term| fields_of_term(term, fields))
        }
        Term::Text(_) => {}
    }
}

fn remembers(rule: &Rule) -> String {
    let named = |fields: &[trailmeter_rules::field::Field]| {
        fields.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    if let Some(first_seen) = &rule.first_seen {
        let which = match first_seen.fires {
            Fires::Both => "each new",
            Fires::New => "each never seen",
            Fires::Returning => "each returning",
        };
        let learning = if first_seen.learn_for_s > 0 {
            format!(", after learning for {}", span(first_seen.learn_for_s))
        } else {
            String::new()
        };
        return format!(
            "matches {which} {}; forgotten after {}{learning}",
            named(&first_seen.by),
            span(first_seen.forget_after_s)
        );
    }
    let Some(threshold) = &rule.threshold else { return String::new() };
    let what = threshold.distinct.as_ref().map_or("calls".to_owned(), |field| format!("different {field}"));
    let by =
        if threshold.by.is_empty() { String::new() } else { format!(" of one {}", named(&threshold.by)) };
    format!(
        "matches {} {what}{by} within {}, counted in steps of {}",
        threshold.count,
        span(threshold.within_s),
        span(threshold.bucket_s())
    )
}

fn span(seconds: i64) -> Span {
    Span(seconds.max(0).cast_unsigned() * 1000)
}
