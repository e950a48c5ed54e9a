//! `trailmeter config check|show`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Failure;
use super::run::config_path;
use super::serve::of_access;
use crate::config::Config;
use crate::web::access::Access;

#[derive(Args)]
pub struct ConfigArguments {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Names every problem of a config; exits with 2 if there is one
    Check(FileArguments),
    /// Prints the whole config in force, defaults included
    Show(FileArguments),
}

#[derive(Args)]
struct FileArguments {
    /// The config [default: trailmeter.yaml here, else /etc/trailmeter/trailmeter.yaml]
    #[arg(long, env = "TRAILMETER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The same, without the option
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
}

pub fn run(arguments: ConfigArguments) -> Result<(), Failure> {
    let (ConfigCommand::Check(file) | ConfigCommand::Show(file)) = &arguments.command;
    let path = config_path(file.file.as_deref().or(file.config.as_deref()))?;
    let config = Config::load(&path).map_err(|problems| Failure::Usage(problems.to_string()))?;
    match arguments.command {
        ConfigCommand::Check(_) => {
            check_rules(&config)?;
            Access::begin(config.web.web_config_file.as_deref()).map_err(of_access)?;
            println!("{}: fine", path.display());
        }
        ConfigCommand::Show(_) => print!("{}", serde_yaml_ng::to_string(&config.raw)?),
    }
    Ok(())
}

/// Checks the rules on this machine, too; those in S3 are read when they are run.
fn check_rules(config: &Config) -> Result<(), Failure> {
    let files = config.rules.read_local().map_err(|error| Failure::Usage(error.to_string()))?;
    let (_, warnings) = config.rules.compile(&files).map_err(|error| Failure::Usage(error.to_string()))?;
    warnings.iter().for_each(|warning| eprintln!("{warning}\n"));
    Ok(())
}
