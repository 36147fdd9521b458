//! Where log lines go and how they look.

use std::io;

use metastore_proto::environment::{LogFormat, LogLevel, LogSettings};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, registry, reload};

/// Changes how much is logged.
#[derive(Clone)]
pub struct Verbosity(reload::Handle<Targets, Registry>);

impl Verbosity {
    /// From now on messages of this level and of more severe ones are logged.
    pub fn set(&self, level: LogLevel) {
        // Fails only once the subscriber is gone, which is never before the process is.
        drop(self.0.reload(chosen(level)));
    }
}

/// Lines that wait to be written; more are dropped.
const LINES_MAX: usize = 4096;

/// Logs to standard error from now on. To be called once. Dropping the guard writes what waits.
///
/// A thread of its own writes: a reader that has stopped reading must not stop the probes.
pub fn start(settings: &LogSettings) -> (Verbosity, WorkerGuard) {
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LINES_MAX)
        .thread_name("log")
        .finish(io::stderr());
    let (filter, handle) = reload::Layer::new(chosen(settings.level));
    let lines = fmt::layer().with_writer(writer).with_target(false);
    let lines = match settings.format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    registry().with(lines.with_filter(filter)).init();
    (Verbosity(handle), guard)
}

/// Messages of the libraries below us matter from warnings up, whatever our own level is.
fn chosen(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("metastore_sidecar", level)
}
