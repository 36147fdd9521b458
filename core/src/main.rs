//! The process: settings or every mistake in them, then the server, then an exit code.

use std::process::ExitCode;

use metastore_proto::environment::{self, LogFormat, LogSettings, Mistake, Process, Settings};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// sysexits.h: the configuration is wrong.
const EX_USAGE: u8 = 64;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        None => start(),
        Some("--version" | "-V") => say(&format!("metastore-core {}", env!("CARGO_PKG_VERSION"))),
        Some("--help" | "-h") => say(&help()),
        Some(other) => {
            complain(&format!("unknown argument {other}: settings are environment variables"));
            ExitCode::from(EX_USAGE)
        }
    }
}

fn start() -> ExitCode {
    let read = environment::read(std::env::vars_os(), |path| std::fs::read_to_string(path));
    let (settings, warnings) = match read {
        Ok(read) => read,
        Err(mistakes) => return refuse(&mistakes),
    };
    listen_to(&settings.log);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    run(&settings)
}

/// A thread that panics must not leave a member that only looks alive.
fn die_whole() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}

fn run(settings: &Settings) -> ExitCode {
    die_whole();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "metastore-core starts");
    match metastore_core::server::run(settings) {
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
        "metastore-core serves etcd's v3 API. It takes no arguments but --version and --help.\n\n{}",
        environment::help(Process::Core)
    )
}

#[expect(clippy::print_stdout, reason = "the answer to --version and --help")]
fn say(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

#[expect(clippy::print_stderr, reason = "mistakes are told before there is a log")]
fn complain(text: &str) {
    eprintln!("metastore-core: {text}");
}
