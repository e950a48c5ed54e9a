//! The command line, one file a subcommand.

mod completions;
mod config;
mod demo;
mod generate;
mod healthcheck;
mod log;
mod rules;
mod rules_in_force;
mod run;
mod scan;
mod send;
mod serve;

use std::fmt;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Who still calls AWS with Signature Version 2, with old TLS or with a long-lived key? trailmeter reads CloudTrail
/// events from Kinesis or files, answers at any moment, and pages once for each new one.
#[derive(Parser)]
#[command(name = "trailmeter", version, max_term_width = 110, after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  trailmeter demo                           a generated organisation, nothing else needed
  trailmeter run --stream cloudtrail        count a Kinesis stream
  trailmeter run --files ./AWSLogs          count delivery files
  trailmeter scan ./AWSLogs                 who was weak in them
  trailmeter run --config trailmeter.yaml   the real thing

Exit codes: 0 fine; 1 failed while running; 2 wrong usage or config; 3 `scan --fail-on weak` found some.";

#[derive(Subcommand)]
enum Command {
    /// Reads the sources of the config, counts, and serves page, API and metrics until told to stop
    Run(run::RunArguments),
    /// Runs everything over a generated organisation: nothing to install, nothing to configure
    Demo(demo::DemoArguments),
    /// Counts files once, by any fields: who was weak, since when, what to do
    Scan(Box<scan::ScanArguments>),
    /// Makes synthetic CloudTrail events, the same for the same seed
    Generate(Box<generate::GenerateArguments>),
    /// Puts events onto a Kinesis stream
    Send(send::SendArguments),
    /// Checks, tests and explains detection rules
    Rules(rules::RulesArguments),
    /// Checks or shows a config
    Config(config::ConfigArguments),
    /// Asks a running trailmeter whether it is alive, for container health checks
    Healthcheck(healthcheck::HealthcheckArguments),
    /// Prints a shell's completion script
    Completions(completions::CompletionsArguments),
}

/// Why a command failed, which decides the exit code.
#[derive(Debug)]
pub enum Failure {
    /// Wrong usage or config: 2.
    Usage(String),
    /// Failed while running: 1.
    Runtime(anyhow::Error),
    /// Found what was to make it fail: 3.
    Found(String),
}

impl Failure {
    /// The process' exit code.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::Runtime(_) => 1,
            Self::Found(_) => 3,
        })
    }
}

fn cleaned(line: &str) -> String {
    line.chars().map(trailmeter_rules::diagnostic::visible).collect()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Names of files and rules are others' texts.
            Self::Usage(message) => f.write_str(&message.lines().map(cleaned).collect::<Vec<_>>().join("\n")),
            Self::Found(what) => f.write_str(what),
            Self::Runtime(error) => write!(f, "{error:#}"),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Runtime(error.into())
    }
}

/// Runs a command to its end.
///
/// # Errors
/// It failed; the message names the fix.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Run(arguments) => run::run(arguments),
        Command::Demo(arguments) => demo::run(arguments),
        Command::Scan(arguments) => scan::run(&arguments),
        Command::Generate(arguments) => generate::run(*arguments),
        Command::Send(arguments) => send::run(arguments),
        Command::Rules(arguments) => rules::run(arguments),
        Command::Config(arguments) => config::run(arguments),
        Command::Healthcheck(arguments) => healthcheck::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
    }
}

/// Prints a result. Whoever reads it may have read enough, as `head` has: that is no failure.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Runs asynchronous work on threads of its own.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    // A thread that waits for standard input would wait for ever.
    runtime.shutdown_background();
    result
}
