//! `trailmeter demo`: the whole pipeline over a generated organisation.

use clap::Args;

use super::{Failure, block_on, log, serve};
use crate::config::Config;
use crate::config::raw::{RawAccount, RawConfig, RawFormat, RawGenerator, RawLevel, RawSource};
use crate::config::units::Span;
use crate::detect::packs;
use crate::generate::LiveOrganisation;

#[derive(Args)]
#[command(
    after_help = "Example:\n  trailmeter demo --rate 1000\n\nThe state is in a temporary folder and goes with the process."
)]
pub struct DemoArguments {
    /// Events per second
    #[arg(long, env = "TRAILMETER_RATE", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Another seed, another organisation
    #[arg(long, env = "TRAILMETER_SEED", default_value_t = 1)]
    seed: u64,
    /// Where page, API and metrics are served; a free port is taken if the usual one is in use
    #[arg(long, env = "TRAILMETER_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The least level of the log
    #[arg(long, env = "TRAILMETER_LOG_LEVEL", default_value = "warn")]
    log_level: RawLevel,
}

pub fn run(arguments: DemoArguments) -> Result<(), Failure> {
    log::begin(arguments.log_level, RawFormat::Text);
    let folder = tempfile::Builder::new().prefix("trailmeter-demo-").tempdir()?;
    let generator = RawGenerator { rate: arguments.rate, seed: arguments.seed, ..RawGenerator::default() };
    let accounts = LiveOrganisation::new(arguments.seed).accounts();
    let mut raw = RawConfig {
        sources: vec![RawSource { generator: Some(generator), ..RawSource::default() }],
        ..RawConfig::default()
    };
    raw.organization.accounts =
        accounts.into_iter().map(|account| RawAccount::Text(format!("{account:012}"))).collect();
    raw.state.embedded.path = folder.path().join("state").display().to_string();
    // Who called in the day before is known; a newcomer stands out.
    raw.callers.learn_for = Span(1000);
    raw.rules.packs = packs::PACKS.iter().map(|(name, _)| (*name).to_owned()).collect();
    raw.web.enable_reload = true;
    raw.log.level = arguments.log_level;
    let listen = match arguments.listen {
        Some(listen) => {
            raw.web.listen = listen;
            serve::Listen::Exactly
        }
        None => serve::Listen::OrElsewhere,
    };
    let config = Config::check(raw, "the demo").map_err(|problems| Failure::Usage(problems.to_string()))?;
    let same = config.clone();
    let reload = move || Ok(same.clone());
    block_on(serve::serve(config, listen, Box::new(reload), |address| {
        println!("http://{address}/");
        println!("  page          http://{address}/");
        println!("  metrics       http://{address}/metrics");
        println!("  weak callers  http://{address}/api/v1/callers");
        println!("  rule matches  http://{address}/api/v1/matches");
        println!("  all callers   http://{address}/api/v1/windows?window=1h");
        println!(
            "A generated organisation at {} calls a second, with the last day behind it.",
            arguments.rate
        );
        println!("A new weak caller appears after a few seconds, then again and again. Ctrl-C ends it.");
    }))
}
