//! The log: lines on standard error, for people or for machines.

use std::sync::OnceLock;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

use crate::config::raw::{RawFormat, RawLevel};

static LEVEL: OnceLock<reload::Handle<LevelFilter, Registry>> = OnceLock::new();

/// Begins the log. A second call does nothing.
pub fn begin(level: RawLevel, format: RawFormat) {
    let (filter, handle) = reload::Layer::new(filter_of(level));
    if LEVEL.set(handle).is_err() {
        return;
    }
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(filter);
    // A test may have begun a log of its own.
    match format {
        RawFormat::Text => registry.with(lines.with_ansi(is_terminal())).try_init().ok(),
        RawFormat::Json => registry.with(lines.json()).try_init().ok(),
    };
}

/// Changes the least level.
pub fn set_level(level: RawLevel) {
    if let Some(handle) = LEVEL.get()
        && let Err(error) = handle.modify(|filter| *filter = filter_of(level))
    {
        tracing::error!(%error, "the log's level can't be changed");
    }
}

fn filter_of(level: RawLevel) -> LevelFilter {
    match level {
        RawLevel::Error => LevelFilter::ERROR,
        RawLevel::Warn => LevelFilter::WARN,
        RawLevel::Info => LevelFilter::INFO,
        RawLevel::Debug => LevelFilter::DEBUG,
    }
}

fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}
