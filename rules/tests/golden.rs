//! Golden cases: each folder of `tests/golden` holds rule files, which are read in the order of their names, perhaps
//! `events.json`, and `expect.txt`: what is wrong with the files, and for each event which rules it meets and what they
//! say; without events, what was understood of each rule. A new case is a new folder. `matching: first` is asked for by a
//! folder whose name ends in `_first`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p trailmeter-rules --test golden` writes the expectations anew. Look at each of them.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use trailmeter_rules::event::{Known, PlainEvent};
use trailmeter_rules::output::Values;
use trailmeter_rules::rule::Language;
use trailmeter_rules::{Asker, Matching, Rule, RuleSet, SourceFile};

#[test]
fn cases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let updates = std::env::var_os("UPDATE_GOLDEN").is_some();
    let cases = sorted(&root);
    assert!(!cases.is_empty());
    let mut wrong = Vec::new();
    for case in cases {
        let said = said(&case);
        let expect = case.join("expect.txt");
        if updates {
            std::fs::write(&expect, &said).unwrap();
        }
        let expected = std::fs::read_to_string(&expect).unwrap_or_default();
        if said != expected {
            wrong.push(format!("{}\n{}", case.display(), difference(&expected, &said)));
        }
    }
    assert!(wrong.is_empty(), "{}\nUPDATE_GOLDEN=1 writes them anew", wrong.join("\n"));
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn difference(expected: &str, said: &str) -> String {
    let (expected, said): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), said.lines().collect());
    let same = expected.iter().zip(&said).take_while(|(expected, said)| expected == said).count();
    let show =
        |lines: &[&str]| lines[same..].iter().take(8).fold(String::new(), |all, line| all + line + "\n");
    format!("from line {}, expected:\n{}but:\n{}", same + 1, show(&expected), show(&said))
}

/// What a case says.
fn said(case: &Path) -> String {
    let files: Vec<SourceFile> = sorted(case)
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            SourceFile::new(&*name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    let is_first = case.file_name().unwrap().to_string_lossy().ends_with("_first");
    let matching = if is_first { Matching::First } else { Matching::All };
    let loaded = RuleSet::load(&files, matching);
    let mut said = String::new();
    for diagnostic in &loaded.diagnostics {
        // Lines that end in blanks don't survive editors.
        for line in diagnostic.to_string().lines() {
            writeln!(said, "{}", line.trim_end()).unwrap();
        }
        said.push('\n');
    }
    let Some(rules) = loaded.rules else { return said };
    match std::fs::read_to_string(case.join("events.json")) {
        Ok(events) => answers(rules, &events, &mut said),
        Err(_) => rules.rules().iter().for_each(|rule| describe(rule, &mut said)),
    }
    said
}

fn answers(rules: RuleSet, events: &str, said: &mut String) {
    let matching = rules.matching();
    let mut asker = Asker::new(Arc::new(rules));
    let mut met = Vec::new();
    for case in serde_json::from_str::<Vec<Value>>(events).unwrap() {
        let event = event(&case);
        asker.ask(&event, &mut met);
        if matching == Matching::First {
            met.truncate(1);
        }
        writeln!(said, "{}", case["name"].as_str().unwrap()).unwrap();
        // What Sigma's rules say is the same for all, and told where an event asks for it.
        let says_all = case["says"].as_bool().unwrap_or(false);
        for rule in met.iter().map(|rule| &asker.rules().rules()[*rule as usize]) {
            if rule.language == Language::Sigma && !says_all {
                writeln!(said, "    {}", rule.name).unwrap();
                continue;
            }
            let mut values = Values::default();
            rule.output.take(&event, &mut values);
            let message = rule.output.message(|at| values.get(at));
            writeln!(said, "    {} | {}", rule.name, message).unwrap();
        }
    }
}

/// An event of `events.json`: its JSON, and what its own judgement says.
fn event(case: &Value) -> PlainEvent {
    let texts = |key: &str| case[key].as_object().into_iter().flatten();
    let own = texts("own").map(|(name, text)| {
        let known = Known::ALL.into_iter().find(|known| format!("{known:?}") == *name).unwrap();
        (known, &*text.as_str().unwrap().to_owned().leak())
    });
    let weaknesses = case["weaknesses"].as_array().into_iter().flatten();
    let weaknesses = weaknesses.map(|weakness| &*weakness.as_str().unwrap().to_owned().leak());
    PlainEvent { json: case["event"].clone(), own: own.collect(), weaknesses: weaknesses.collect() }
}

/// What was understood of a rule; what is as it is for most rules is left out.
fn describe(rule: &Rule, said: &mut String) {
    let disabled = if rule.enabled { "" } else { ", disabled" };
    writeln!(said, "{} ({}, {}{disabled})", rule.name, rule.language.label(), rule.priority.label()).unwrap();
    if !rule.description.is_empty() {
        writeln!(said, "    description: {}", rule.description.trim_end()).unwrap();
    }
    if rule.source != "aws_cloudtrail" {
        writeln!(said, "    source: {}", rule.source).unwrap();
    }
    if !rule.tags.is_empty() {
        writeln!(said, "    tags: {}", rule.tags.join(", ")).unwrap();
    }
    writeln!(said, "    condition: {}", rule.condition).unwrap();
    let fields = |fields: &[trailmeter_rules::field::Field]| {
        fields.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    if let Some(rule) = &rule.first_seen {
        let (by, learn_by) = (fields(&rule.by), fields(&rule.learn_by));
        let (forget, learn, fires) = (rule.forget_after_s, rule.learn_for_s, rule.fires);
        writeln!(
            said,
            "    first seen: {fires:?} of ({by}), forgotten after {forget}s, learns for {learn}s by ({learn_by})"
        )
        .unwrap();
    }
    if let Some(rule) = &rule.threshold {
        let distinct = rule.distinct.as_ref().map(|field| format!(" different {field}")).unwrap_or_default();
        let (count, within, by) = (rule.count, rule.within_s, fields(&rule.by));
        writeln!(said, "    threshold: {count}{distinct} within {within}s by ({by})").unwrap();
    }
    let group: Vec<String> =
        rule.group.iter().map(|label| format!("{}={}", label.name, label.field)).collect();
    let group = group.join(", ");
    if group != "account_id=ct.account, principal=ct.principal" {
        writeln!(said, "    group: {group}").unwrap();
    }
    if rule.repeat_s != 3600 {
        writeln!(said, "    repeat: {}s", rule.repeat_s).unwrap();
    }
    for test in &rule.tests {
        let events: Vec<String> = test.events.iter().map(Value::to_string).collect();
        let matches = test.matches.map_or("at least one".to_owned(), |matches| matches.to_string());
        writeln!(
            said,
            "    test {}: {} × [{}], matches: {matches}",
            test.name,
            test.times,
            events.join(", ")
        )
        .unwrap();
    }
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let files = [SourceFile::new("large.yaml", "x".repeat((8 << 20) + 1))];
    let loaded = RuleSet::load(&files, Matching::All);
    assert!(loaded.rules.is_none());
    let said: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["error: the file is larger than 8 MiB\n  --> large.yaml\n   = split it"]);
}

#[test]
fn of_very_many_problems_the_first_are_told() {
    let files = [SourceFile::new("many.yaml", format!("{}- rule: x\n", "- {a: b}\n".repeat(1500)))];
    let loaded = RuleSet::load(&files, Matching::All);
    assert!(loaded.rules.is_none());
    assert_eq!(loaded.diagnostics.len(), 502);
    assert_eq!(loaded.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count(), 1);
    assert_eq!(
        loaded.diagnostics.last().unwrap().to_string(),
        "warning: 1004 more problems are not told\n  --> many.yaml\n   = solve these first"
    );
}
