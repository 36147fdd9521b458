//! The process: settings or every mistake in them, then the server, then an exit code.

mod admin_call;
mod prestop;
mod probe;

use std::io::Write;
use std::process::ExitCode;

use metastore_proto::environment::{
    self, LogFormat, LogSettings, Mistake, Process, Settings, Warning,
};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// sysexits.h: the configuration is wrong.
const EX_USAGE: u8 = 64;

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    let arguments: Vec<_> = arguments.map(|it| it.to_string_lossy().into_owned()).collect();
    match arguments.first().map(String::as_str) {
        None => start(),
        Some("probe") => probe::execute(arguments.get(1..).unwrap_or_default()),
        Some("prestop") => prestop::execute(arguments.get(1..).unwrap_or_default()),
        Some("--version" | "-V") => say(&format!("metastore-core {}", env!("CARGO_PKG_VERSION"))),
        Some("--help" | "-h") => say(&help()),
        Some(other) => {
            complain(&format!("unknown argument {other}: settings are environment variables"));
            ExitCode::from(EX_USAGE)
        }
    }
}

fn start() -> ExitCode {
    let read = environment::read(std::env::vars_os(), environment::read_file);
    let (settings, warnings) = match read {
        Ok(read) => read,
        Err(mistakes) => return refuse(&mistakes),
    };
    listen_to(&settings.log);
    run(&settings, &warnings)
}

/// A thread that panics must not leave a member that only looks alive.
fn die_whole() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}

fn run(settings: &Settings, warnings: &[Warning]) -> ExitCode {
    die_whole();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "metastore-core starts");
    match metastore_core::server::run(settings, warnings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            tracing::error!(%fault, "cannot go on");
            // Threads may be inside the disk: nothing of theirs is waited for.
            std::process::exit(fault.kind.exit_code());
        }
    }
}

/// Every mistake at once: a person mends them in one go.
fn refuse(mistakes: &[Mistake]) -> ExitCode {
    for mistake in mistakes {
        complain(&mistake.to_string());
    }
    ExitCode::from(EX_USAGE)
}

fn listen_to(log: &LogSettings) {
    let filter = EnvFilter::new(format!("{},h2=warn,hyper=warn,tonic=warn", log.level.as_str()));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log.format {
        LogFormat::Json => subscriber.json().init(),
        LogFormat::Text => subscriber.with_ansi(false).init(),
    }
}

fn help() -> String {
    format!(
        "metastore-core serves etcd's v3 API.\n\n\
         Without arguments it serves. Beside a core that runs, with the same settings:\n\
         \x20 probe startup|ready|live   asks the sidecar, else core; exit 0 or 1\n\
         \x20 prestop [seconds]          asks core to drain, and waits (5); exit 0\n\n{}",
        environment::help(Process::Core)
    )
}

fn say(text: &str) -> ExitCode {
    tell(text);
    ExitCode::SUCCESS
}

#[expect(clippy::print_stderr, reason = "mistakes are told before there is a log")]
fn complain(text: &str) {
    eprintln!("metastore-core: {text}");
}

/// A line on standard output. Whoever read it may have gone: the exit code says what matters.
pub(crate) fn tell(text: &str) {
    drop(writeln!(std::io::stdout(), "{text}"));
}
