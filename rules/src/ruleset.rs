//! A set of rules, ready to be asked.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use crate::ast::{Bytes, Expr, Item};
use crate::collect::{Collected, Condition, ListDefinition, MacroDefinition, RuleDefinition};
use crate::diagnostic::{At, Diagnostic, Report, SourceFile};
use crate::falco::{self, ItemReader};
use crate::index::{Index, Keys};
use crate::output::Output;
use crate::parser;
use crate::phrase::Phrase;
use crate::program::Program;
use crate::resolve::{self, Macro, Names};
use crate::rule::{Language, RESERVED_ALERTS, Rule, alert_name};
use crate::shadow;
use crate::sigma;
use crate::yaml::{self, Mark, Node};

/// Which of the rules that an event meets match it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Matching {
    /// All.
    #[default]
    All,
    /// The first, in the order of their definitions.
    First,
}

/// Rules, ready to be asked.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Arc<Rule>>,
    programs: Vec<Program>,
    keys: Vec<Keys>,
    index: Index,
    /// What events know on which the enabled rules depend, a bit each of [`crate::event::Known`].
    known: u32,
    matching: Matching,
    hash: u64,
}

/// What became of rule files.
pub struct Loaded {
    /// The rules; none if there is an error.
    pub rules: Option<RuleSet>,
    /// All problems, errors and warnings, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
}

/// A file larger than this is no rule file.
const MAX_FILE_BYTES: usize = 8 << 20;

impl RuleSet {
    /// No rules.
    pub fn empty() -> Self {
        Self {
            rules: Vec::new(),
            programs: Vec::new(),
            keys: Vec::new(),
            index: Index::default(),
            known: 0,
            matching: Matching::All,
            hash: 0,
        }
    }

    /// Reads files, in their order: what a later one appends to or overrides must stand in an earlier one.
    pub fn load(files: &[SourceFile], matching: Matching) -> Loaded {
        let mut report = Report::default();
        let collected = collect(files, &mut report);
        let rules = lower(&collected, files, &mut report);
        if matching == Matching::First {
            warn_of_shadowed(&rules, files, &mut report);
        }
        let order = |diagnostic: &Diagnostic| files.iter().position(|file| file.name == diagnostic.file);
        let has_errors = report.has_errors();
        let left_out = files.last().and_then(|file| report.told_left_out(file));
        let mut diagnostics = report.diagnostics;
        diagnostics.sort_by_key(|diagnostic| (order(diagnostic), diagnostic.mark));
        diagnostics.extend(left_out);
        let rules = (!has_errors).then(|| Self::of(rules, matching, hash(files, matching)));
        Loaded { rules, diagnostics }
    }

    fn of(lowered: Vec<Lowered>, matching: Matching, hash: u64) -> Self {
        let (mut rules, mut programs, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        for Lowered { rule, program, keys: asked, .. } in lowered {
            rules.push(Arc::new(rule));
            programs.push(program);
            keys.push(asked);
        }
        Self { rules, programs, keys, index: Index::default(), known: 0, matching, hash }.indexed()
    }

    /// With an index over the rules that are enabled.
    fn indexed(mut self) -> Self {
        let enabled = || self.rules.iter().enumerate().filter(|(_, rule)| rule.enabled).map(|(at, _)| at);
        self.index = Index::new(enabled().map(|at| (at as u32, &self.keys[at])));
        // The index goes by source and name.
        self.known = enabled().fold(0b11, |known, at| known | self.programs[at].known());
        self
    }

    /// The same rules, all of them switched on: for tests.
    pub fn all_enabled(mut self) -> Self {
        for rule in &mut self.rules {
            Arc::make_mut(rule).enabled = true;
        }
        self.indexed()
    }

    /// All rules, in the order of their definitions.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// Whether there is nothing to ask.
    pub fn is_idle(&self) -> bool {
        self.rules.iter().all(|rule| !rule.enabled)
    }

    /// What a rule asks of an event's source and name.
    pub fn keys(&self, rule: u32) -> &Keys {
        &self.keys[rule as usize]
    }

    /// A rule's condition made ready.
    pub fn program(&self, rule: u32) -> &Program {
        &self.programs[rule as usize]
    }

    /// Which of the rules that an event meets match it.
    pub fn matching(&self) -> Matching {
        self.matching
    }

    /// A number for this set: the same files give the same one.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// What events know on which the enabled rules depend, a bit each of [`crate::event::Known`].
    pub(crate) fn known(&self) -> u32 {
        self.known
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }
}

/// A number for the texts of files.
pub fn hash(files: &[SourceFile], matching: Matching) -> u64 {
    let mut all = format!("{matching:?}");
    for file in files {
        all += &format!("\0{}\0{}\0{}", file.name, file.text.len(), file.text);
    }
    xxhash_rust::xxh3::xxh3_64(all.as_bytes())
}

fn collect(files: &[SourceFile], report: &mut Report) -> Collected {
    let (mut collected, mut names, mut correlations) =
        (Collected::default(), sigma::Names::default(), Vec::new());
    for (file, source) in files.iter().enumerate() {
        if source.text.len() > MAX_FILE_BYTES {
            let message = format!("the file is larger than {} MiB", MAX_FILE_BYTES >> 20);
            report.error(At::new(source, Mark::default()), message, "split it");
            continue;
        }
        let documents = match yaml::read(&source.text) {
            Ok(documents) => documents,
            Err(error) => {
                report.error(At::new(source, error.mark), format!("no YAML: {}", error.message), "");
                continue;
            }
        };
        if documents.iter().all(|document| document.is_null() || document.as_sequence() == Some(&[])) {
            let help =
                if source.name.ends_with('/') { "its rule files must end in .yaml or .yml" } else { "" };
            report.warning(At::new(source, Mark::default()), "there are no rules here", help);
        }
        for document in &documents {
            match document.as_sequence() {
                Some(items) => falco::read(items, files, file, &mut collected, report),
                None if sigma::is_rule(document) => {
                    correlations.extend(
                        sigma::read(document, files, file, &mut names, &mut collected, report)
                            .map(|correlation| (correlation, document.clone())),
                    );
                }
                None if document.is_null() => {}
                None => {
                    let message = format!("expected rules, found {}", document.kind());
                    let help =
                        "Falco's are a list of `- rule: …`, Sigma's a mapping with `title` and `detection`";
                    report.error(At::new(source, document.mark), message, help);
                }
            }
        }
    }
    for (correlation, node) in correlations {
        let file = correlation.file();
        let item = format!("rule {:?}", node.get("title").and_then(Node::as_text).unwrap_or_default());
        let reader = ItemReader { files, file, node: &node, item, report };
        correlation.define(&names, &mut collected, reader);
    }
    collected
}

/// A rule with what was made of its condition.
struct Lowered {
    rule: Rule,
    program: Program,
    keys: Keys,
    file: usize,
    mark: Mark,
}

fn lower(collected: &Collected, files: &[SourceFile], report: &mut Report) -> Vec<Lowered> {
    let lists = lists_in_place(&collected.lists, files, report);
    let left = resolve::cost_of_all();
    let macros = macros_in_place(collected, &lists, &left, files, report);
    let names = Names { lists: &lists, macros: &macros, sees: usize::MAX, left: &left };
    collected.rules.iter().filter_map(|rule| lower_rule(rule, &names, files, report)).collect()
}

/// Items of all lists, with those of other lists in them.
const MAX_ITEMS: usize = 1_000_000;

/// Lists with the lists in them in place: those that were defined before.
fn lists_in_place(
    definitions: &[ListDefinition],
    files: &[SourceFile],
    report: &mut Report,
) -> HashMap<String, Vec<Item>> {
    let by_name: HashMap<&str, usize> =
        definitions.iter().enumerate().map(|(at, list)| (list.name.as_str(), at)).collect();
    let used = |list: &ListDefinition, item: &Item| {
        let at = *by_name.get(item.text.as_str()).filter(|_| item.is_bare)?;
        let other = &definitions[at];
        (other.index < list.sees && other.name != list.name).then_some(at)
    };
    let uses: Vec<Vec<usize>> = definitions
        .iter()
        .map(|list| list.items.iter().filter_map(|item| used(list, item)).collect())
        .collect();
    let (mut lists, mut count) = (HashMap::<String, Vec<Item>>::new(), 0);
    for list in resolve::behind_what_they_use(&uses).into_iter().map(|at| &definitions[at]) {
        let mut items = Vec::new();
        for item in &list.items {
            match used(list, item).and_then(|at| lists.get(&definitions[at].name)) {
                Some(others) => items.extend_from_slice(others),
                None => items.push(item.clone()),
            }
            if count + items.len() > MAX_ITEMS {
                let item = format!("list {:?}", list.name);
                let place = At::new(&files[list.file], list.mark).of(&item);
                let message = format!(
                    "all lists together have more than {MAX_ITEMS} items once lists in them are in place"
                );
                report.error(place, message, "name fewer lists in lists");
                return lists;
            }
        }
        count += items.len();
        lists.insert(list.name.clone(), items);
    }
    lists
}

fn macros_in_place(
    collected: &Collected,
    lists: &HashMap<String, Vec<Item>>,
    left: &Cell<usize>,
    files: &[SourceFile],
    report: &mut Report,
) -> HashMap<String, Macro> {
    let definitions = &collected.macros;
    let item = |definition: &MacroDefinition| format!("macro {:?}", definition.name);
    let conditions: Vec<Option<Expr>> = definitions
        .iter()
        .map(|definition| parsed(&definition.condition, &item(definition), files, report, true))
        .collect();
    let by_name: HashMap<&str, usize> =
        definitions.iter().enumerate().map(|(at, definition)| (definition.name.as_str(), at)).collect();
    let uses: Vec<Vec<usize>> = definitions
        .iter()
        .zip(&conditions)
        .map(|(definition, condition)| {
            let mut uses = Vec::new();
            if let Some(condition) = condition {
                condition.each_macro(&mut |name| uses.extend(by_name.get(name).copied()));
            }
            uses.retain(|at| definitions[*at].index < definition.sees);
            uses
        })
        .collect();
    let mut macros: HashMap<String, Macro> = definitions
        .iter()
        .map(|definition| (definition.name.clone(), Macro { index: definition.index, condition: None }))
        .collect();
    for at in resolve::behind_what_they_use(&uses) {
        let definition = &definitions[at];
        let names = Names { lists, macros: &macros, sees: definition.sees, left };
        let placed = conditions[at].as_ref().and_then(|condition| {
            resolved(condition, &names, &definition.condition, &item(definition), files, report)
        });
        if let Some(known) = macros.get_mut(&definition.name) {
            // Rules that use it must not say again that it is wrong.
            known.condition = Some(placed.unwrap_or(Expr::Or(Vec::new())));
        }
    }
    macros
}

/// Where bytes of a phrase stand; what is not told any more needs no place, and is not looked for.
fn place<'f>(phrase: &Phrase, bytes: &Bytes, files: &'f [SourceFile], report: &Report) -> At<'f> {
    if report.tells_more() { phrase.at(bytes, files) } else { At::new(&files[0], Mark::default()) }
}

fn parsed(
    phrase: &Phrase,
    item: &str,
    files: &[SourceFile],
    report: &mut Report,
    is_strict: bool,
) -> Option<Expr> {
    match parser::condition(&phrase.text) {
        Ok(expr) => Some(expr),
        Err(errors) => {
            for error in errors {
                let at = place(phrase, &error.bytes, files, report).of(item).part("condition");
                if is_strict || !error.is_unknown_field {
                    report.error(at, error.message, error.help);
                } else {
                    report.warning(at, format!("{}: the rule is passed over", error.message), error.help);
                }
            }
            None
        }
    }
}

fn resolved(
    expr: &Expr,
    names: &Names<'_>,
    phrase: &Phrase,
    item: &str,
    files: &[SourceFile],
    report: &mut Report,
) -> Option<Expr> {
    match resolve::resolve(expr, names) {
        Ok(expr) => Some(expr),
        Err(errors) => {
            for error in errors {
                report.error(
                    place(phrase, &error.bytes, files, report).of(item).part("condition"),
                    error.message,
                    error.help,
                );
            }
            None
        }
    }
}

/// Characters of a rule's name, which stands in labels and tables.
const MAX_NAME: usize = 256;

fn lower_rule(
    definition: &RuleDefinition,
    names: &Names<'_>,
    files: &[SourceFile],
    report: &mut Report,
) -> Option<Lowered> {
    let item = format!("rule {:?}", definition.name);
    let place = At::new(&files[definition.file], definition.mark).of(&item);
    if RESERVED_ALERTS.contains(&alert_name(&definition.name).as_str()) {
        let message =
            format!("its alert would be called {}, which is one of our own", alert_name(&definition.name));
        report.error(place, message, "give the rule another name");
    }
    if definition.name.chars().count() > MAX_NAME {
        report.error(
            place,
            format!("the name is longer than {MAX_NAME} characters"),
            "give it a shorter one",
        );
    }
    if !is_for_us(definition, place, report) {
        return None;
    }
    let phrase = match &definition.condition {
        Condition::Text(phrase) => phrase.clone(),
        _ => Phrase::new("", definition.file, definition.mark),
    };
    let condition = match &definition.condition {
        Condition::Text(phrase) => {
            let parsed = parsed(phrase, &item, files, report, !definition.skips_unknown_fields);
            parsed.and_then(|expr| resolved(&expr, names, phrase, &item, files, report))
        }
        Condition::Lowered(expr) => Some(expr.clone()),
        Condition::Broken => None,
    };
    let output = output(definition, &item, files, report);
    let reading = stateful(definition, &item, files, report);
    let is_broken = condition.is_none();
    let condition = condition.unwrap_or(Expr::Or(Vec::new()));
    if !is_broken && definition.source != falco::OUR_SOURCE && !is_of_any_source(&condition) {
        let message = format!(
            "its source is `{}` and it asks for fields of aws_cloudtrail: it is passed over",
            definition.source
        );
        report.warning(place, message, "write `source: aws_cloudtrail`");
        return None;
    }
    let condition = falco::without_exceptions(condition, &definition.exceptions, names, files, &item, report);
    if is_broken {
        return None;
    }
    let program = compiled(&condition, &phrase, definition, &item, files, report)?;
    let keys = Keys::of(&condition);
    // What is wrong elsewhere, a macro say, may be why.
    if keys.are_impossible() && !report.has_errors() {
        report.warning(place, "it can never match: it asks for two event names, or sources, at once", "");
    }
    let (first_seen, threshold, repeat_s, group) = reading?;
    let rule = Rule {
        name: definition.name.clone(),
        file: Arc::clone(&files[definition.file].name),
        line: definition.mark.line,
        language: definition.language,
        description: definition.description.clone(),
        source: definition.source.clone(),
        priority: definition.priority,
        tags: definition.tags.clone(),
        enabled: definition.enabled,
        condition,
        output: output?,
        first_seen,
        threshold,
        repeat_s,
        group,
        tests: definition.own.tests.clone(),
    };
    Some(Lowered { rule, program, keys, file: definition.file, mark: definition.mark })
}

/// Sources that old CloudTrail rules say; such a rule is taken if it uses only fields that every source has.
fn is_for_us(definition: &RuleDefinition, place: At<'_>, report: &mut Report) -> bool {
    match definition.source.as_str() {
        falco::OUR_SOURCE => true,
        "k8s_audit" => {
            report.warning(
                place,
                "its source is `k8s_audit`, as of old CloudTrail rules",
                "write `source: aws_cloudtrail`",
            );
            true
        }
        source => {
            let message = format!("its source is `{source}`: it is passed over");
            report.warning(place, message, "CloudTrail's rules say `source: aws_cloudtrail`");
            false
        }
    }
}

fn is_of_any_source(condition: &Expr) -> bool {
    use crate::ast::{Right, Term};
    fn of_term(term: &Term) -> bool {
        match term {
            Term::Field(field) => field.is_of_any_source(),
            Term::Text(_) => true,
            Term::Call(_, terms) | Term::List(terms) => terms.iter().all(of_term),
        }
    }
    match condition {
        Expr::And(parts) | Expr::Or(parts) => parts.iter().all(is_of_any_source),
        Expr::Not(inner) => is_of_any_source(inner),
        Expr::Check(check) => {
            of_term(&check.left) && if let Right::Term(term) = &check.right { of_term(term) } else { true }
        }
        Expr::Macro(..) => true,
    }
}

fn output(
    definition: &RuleDefinition,
    item: &str,
    files: &[SourceFile],
    report: &mut Report,
) -> Option<Output> {
    match Output::parse(&definition.output.text) {
        Ok(output) => Some(output),
        Err(errors) => {
            for error in errors {
                let at = place(&definition.output, &error.bytes, files, report).of(item).part("output");
                report.error(at, error.message, error.help);
            }
            None
        }
    }
}

type Stateful =
    (Option<crate::stateful::FirstSeen>, Option<crate::stateful::Threshold>, i64, Vec<crate::rule::Label>);

fn stateful(
    definition: &RuleDefinition,
    item: &str,
    files: &[SourceFile],
    report: &mut Report,
) -> Option<Stateful> {
    let own = &definition.own;
    // Only the place of what is read comes from the node here.
    let nothing = Node { mark: definition.mark, value: yaml::Value::Sequence(Vec::new()) };
    let file_of = |placed: &Option<(Node, usize)>| placed.as_ref().map_or(definition.file, |(_, file)| *file);
    let mut reader =
        ItemReader { files, file: file_of(&own.first_seen), node: &nothing, item: item.to_owned(), report };
    // The outer none says that it is broken; what is wrong with all of them is told.
    let first_seen = match &own.first_seen {
        Some((node, _)) => falco::first_seen(&mut reader, node).map(Some),
        None => Some(None),
    };
    reader.file = file_of(&own.threshold);
    let threshold = match &own.threshold {
        Some((node, _)) => falco::threshold(&mut reader, node).map(Some),
        None => Some(definition.correlation.clone()),
    };
    reader.file = file_of(&own.repeat);
    let repeat_s = falco::repeat(&mut reader, own.repeat.as_ref().map(|(node, _)| node));
    reader.file = file_of(&own.group);
    let by_first_seen = first_seen.iter().flatten().map(|first_seen| &first_seen.by);
    let by_threshold = threshold.iter().flatten().map(|threshold| &threshold.by);
    let told_apart = by_first_seen.chain(by_threshold).next().map_or(&[][..], |fields| fields);
    let group = falco::group(&mut reader, own.group.as_ref().map(|(node, _)| node), told_apart);
    Some((first_seen?, threshold?, repeat_s?, group?))
}

fn compiled(
    condition: &Expr,
    phrase: &Phrase,
    definition: &RuleDefinition,
    item: &str,
    files: &[SourceFile],
    report: &mut Report,
) -> Option<Program> {
    match Program::compile(condition) {
        Ok(program) => Some(program),
        Err(errors) => {
            for error in errors {
                let at = if definition.language == Language::Sigma || error.bytes.is_empty() {
                    At::new(&files[definition.file], definition.mark).of(item).part("condition")
                } else {
                    place(phrase, &error.bytes, files, report).of(item).part("condition")
                };
                report.error(at, error.message, error.help);
            }
            None
        }
    }
}

/// Under `matching: first`, a rule whose condition implies an earlier one's never matches.
fn warn_of_shadowed(rules: &[Lowered], files: &[SourceFile], report: &mut Report) {
    let enabled: Vec<&Lowered> =
        rules.iter().filter(|lowered| lowered.rule.enabled && !lowered.rule.is_stateful()).collect();
    let mut comparing = shadow::Comparing::default();
    for (at, lowered) in enabled.iter().enumerate() {
        let earlier = enabled[..at].iter().find(|earlier| {
            // Most rules ask for other events, which costs least to see.
            comparing.takes(1 + lowered.keys.count())
                && lowered.keys.are_within(&earlier.keys)
                && comparing.implies(&lowered.rule.condition, &earlier.rule.condition)
        });
        let Some(earlier) = earlier else { continue };
        let item = format!("rule {:?}", lowered.rule.name);
        let place = At::new(&files[lowered.file], lowered.mark).of(&item);
        let message = format!(
            "under `matching: first` it can never match: whatever meets it meets {:?} before it",
            earlier.rule.name
        );
        report.warning(place, message, "put it before that one, or set `rules.matching: all`");
    }
}
