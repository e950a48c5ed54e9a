//! The lifecycle: arguments → config → build → run → drain → exit code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Tests name failpoints in the environment; without the feature this does nothing.
    let _failpoints = fail::FailScenario::setup();
    let arguments = trailmeter::cli::Arguments::parse();
    match trailmeter::cli::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("trailmeter: {failure}");
            failure.exit_code()
        }
    }
}
