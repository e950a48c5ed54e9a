//! `trailmeter rules check|test|list|explain`: rules before they go to work.

mod check;
mod explain;
mod list;
mod test;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use trailmeter_rules::{Diagnostic, Loaded, Matching, RuleSet, SourceFile};

use super::Failure;
use crate::config::Config;
use crate::config::raw::RawMatching;
use crate::detect::packs::{self, PACKS};
use crate::detect::source::{OtherFiles, RuleSources, read_path};

#[derive(Args)]
pub struct RulesArguments {
    #[command(subcommand)]
    command: RulesCommand,
}

#[derive(Subcommand)]
enum RulesCommand {
    /// Names every problem of rule files: errors, warnings, rules that can never match; exits with 2 if there is an error
    Check(check::CheckArguments),
    /// Runs the tests that stand beside rules, or counts what rules match in events of your own
    Test(test::TestArguments),
    /// Lists rules
    List(list::ListArguments),
    /// Shows what becomes of one rule: its condition with lists and macros in place, how it is found, what it remembers
    Explain(explain::ExplainArguments),
}

/// Which rules.
#[derive(Args)]
pub struct Named {
    /// Rule files, Falco's or Sigma's, or folders of them [default: the packs that come with trailmeter]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A pack that comes with trailmeter, or `all` of them; read before the files
    #[arg(long, env = "TRAILMETER_RULES_PACK", value_name = "NAME", value_delimiter = ',')]
    pack: Vec<String>,
    /// The rules that a config names
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "pack"])]
    config: Option<PathBuf>,
    /// Which of the rules that an event meets match it [default: all, or what the config says]
    #[arg(long, env = "TRAILMETER_RULES_MATCHING")]
    matching: Option<RawMatching>,
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// For machines.
    Json,
}

pub fn run(arguments: RulesArguments) -> Result<(), Failure> {
    match arguments.command {
        RulesCommand::Check(arguments) => check::run(&arguments),
        RulesCommand::Test(arguments) => test::run(arguments),
        RulesCommand::List(arguments) => list::run(&arguments),
        RulesCommand::Explain(arguments) => explain::run(&arguments),
    }
}

impl Named {
    /// These files and packs.
    pub fn of(files: Vec<PathBuf>, pack: Vec<String>) -> Self {
        Self { files, pack, config: None, matching: None }
    }

    /// The files, and which of the rules that an event meets match it.
    fn read(&self) -> Result<(Vec<SourceFile>, Matching), Failure> {
        let asked = self.matching.map(Matching::from);
        if let Some(path) = &self.config {
            let config = Config::load(path).map_err(|problems| Failure::Usage(problems.to_string()))?;
            let sources: RuleSources = config.rules;
            let files = sources.read_local().map_err(|error| Failure::Usage(error.to_string()))?;
            return Ok((files, asked.unwrap_or(sources.matching)));
        }
        let mut files = Vec::new();
        for name in self.packs() {
            let names = || PACKS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            let pack = packs::pack(name);
            files.push(pack.ok_or_else(|| {
                Failure::Usage(format!("there is no pack {name:?}: there are {}", names()))
            })?);
        }
        for path in &self.files {
            files.extend(read_path(path, OtherFiles::Read).map_err(Failure::Usage)?);
        }
        Ok((files, asked.unwrap_or_default()))
    }

    fn packs(&self) -> Vec<&str> {
        let all = || PACKS.iter().map(|(name, _)| *name).collect();
        match self.pack.as_slice() {
            [] if self.files.is_empty() => all(),
            packs if packs.iter().any(|name| name == "all") => all(),
            packs => packs.iter().map(String::as_str).collect(),
        }
    }

    /// The rules; their errors are an error, their warnings are printed.
    pub fn load(&self) -> Result<RuleSet, Failure> {
        let (files, matching) = self.read()?;
        let Loaded { rules, diagnostics } = RuleSet::load(&files, matching);
        match rules {
            Some(rules) => {
                diagnostics.iter().for_each(|warning| eprintln!("{warning}\n"));
                Ok(rules)
            }
            None => Err(Failure::Usage(summary(&diagnostics))),
        }
    }
}

/// All problems, and how many.
fn summary(diagnostics: &[Diagnostic]) -> String {
    let texts: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    format!("{}\n\n{}", texts.join("\n\n"), counted(diagnostics))
}

fn counted(diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|found| found.is_error()).count();
    let warnings = diagnostics.len() - errors;
    let plural = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    format!("{}, {}", plural(errors, "error"), plural(warnings, "warning"))
}
