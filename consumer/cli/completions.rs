//! `trailmeter completions`: a shell's completion script on standard output.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Arguments, Failure};

#[derive(Args)]
#[command(after_help = "Example:\n  trailmeter completions bash > /etc/bash_completion.d/trailmeter")]
pub struct CompletionsArguments {
    /// The shell
    #[arg(env = "TRAILMETER_SHELL")]
    shell: Shell,
}

pub fn run(arguments: &CompletionsArguments) -> Result<(), Failure> {
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "trailmeter", &mut std::io::stdout());
    Ok(())
}
