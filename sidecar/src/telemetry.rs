//! Where log lines go and how they look.

use std::io;

use metastore_proto::environment::{LogFormat, LogLevel, LogSettings};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

/// Logs to standard error from now on. To be called once.
///
/// Messages of the libraries below us matter from warnings up, whatever our own level is.
pub fn start(settings: &LogSettings) {
    let level = level(settings.level);
    let chosen = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("metastore_sidecar", level);
    let lines = fmt::layer().with_writer(io::stderr).with_target(false);
    let lines = match settings.format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    registry().with(lines.with_filter(chosen)).init();
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
