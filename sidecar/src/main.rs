//! Configuration, or every mistake in it and exit 64; then the app until a signal.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use metastore_proto::environment::{self, Mistake, Process, Settings, Warning};
use metastore_sidecar::app::{self, Start};
use metastore_sidecar::listen;
use metastore_sidecar::status::{self, Found};
use metastore_sidecar::telemetry::{self, Verbosity};
use metastore_sidecar::validate;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

/// `EX_USAGE`: the environment or the command line is wrong.
const EXIT_CONFIGURATION: u8 = 64;
/// `EX_UNAVAILABLE`: the port is taken.
const EXIT_UNAVAILABLE: u8 = 69;
/// `EX_SOFTWARE`: the process lacks something of the system.
const EXIT_SOFTWARE: u8 = 70;

const USAGE: &str = "Usage: metastore-sidecar [--help | --version]\n\
    \x20      metastore-sidecar validate [--explain] [--format text|json]\n\
    \x20      metastore-sidecar status [--watch] [--format text|json]\n\n\
    Answers probes for a metastore core, keeps its history compacted and shows its metrics.\n\
    `validate` prints all that is wrong with the environment and the machine; it exits with 64 if\n\
    anything is.\n\
    `status` shows what the running sidecar knows; it exits with 0 when all is well, 1 when not, 69\n\
    when no sidecar answers.\n\n";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(|argument| argument.to_str()).collect();
    match arguments.as_slice() {
        [] => start(),
        [Some("validate"), rest @ ..] => show_validation(rest),
        [Some("status"), rest @ ..] => show_status(rest),
        [Some("--version" | "-V")] => {
            print(&format!("metastore-sidecar {}\n", env!("CARGO_PKG_VERSION")))
        }
        [Some("--help" | "-h")] => {
            print(&format!("{USAGE}{}", environment::help(Process::Sidecar)))
        }
        _ => complain(&format!("{USAGE}Settings come from the environment only.\n")),
    }
}

/// The environment of the process, with its file as that is now.
fn read_environment() -> Result<(Settings, Vec<Warning>), Vec<Mistake>> {
    environment::read(env::vars_os(), environment::read_file)
}

fn show_validation(arguments: &[Option<&str>]) -> ExitCode {
    let Some(options) = validate::command::options(arguments) else { return complain(USAGE) };
    let Ok(runtime) = runtime() else { return ExitCode::from(EXIT_SOFTWARE) };
    let review = environment::review(env::vars_os(), environment::read_file);
    let (is_valid, text) = runtime.block_on(validate::command::run(review, options));
    runtime.shutdown_background();
    match print(&text) {
        printed if is_valid => printed,
        _ => ExitCode::from(EXIT_CONFIGURATION),
    }
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn show_status(arguments: &[Option<&str>]) -> ExitCode {
    let Some(options) = status::options(arguments) else { return complain(USAGE) };
    match status::show(status::address(env::vars_os()), options) {
        Ok(Found::Healthy) => ExitCode::SUCCESS,
        Ok(Found::Nobody) => ExitCode::from(EXIT_UNAVAILABLE),
        // Whoever read the output has gone.
        Ok(Found::Unhealthy) | Err(_) => ExitCode::FAILURE,
    }
}

fn start() -> ExitCode {
    match read_environment() {
        Ok((settings, warnings)) => serve(settings, &warnings),
        Err(mistakes) => refuse(&mistakes),
    }
}

fn refuse(mistakes: &[Mistake]) -> ExitCode {
    let lines: String = mistakes.iter().map(|mistake| format!("{mistake}\n")).collect();
    complain(&lines)
}

fn serve(settings: Settings, warnings: &[Warning]) -> ExitCode {
    let (verbosity, _unwritten) = telemetry::start(&settings.log);
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "no runtime");
            return ExitCode::from(EXIT_SOFTWARE);
        }
    };
    let code = runtime.block_on(run(settings, warnings, verbosity));
    // Measuring the disk may hang, and must not keep the process.
    runtime.shutdown_background();
    code
}

async fn run(settings: Settings, known: &[Warning], verbosity: Verbosity) -> ExitCode {
    let hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => {
            error!(%error, "signals cannot be received");
            return ExitCode::from(EXIT_SOFTWARE);
        }
    };
    let warnings = match validate::at_start(&settings, known).await {
        Ok(warnings) => warnings,
        Err(errors) => return refuse(&errors),
    };
    for warning in &warnings {
        warn!(warning, "configuration");
    }
    let address = settings.sidecar.listen;
    let listener = match listen::bind(address) {
        Ok(listener) => listener,
        Err(error) => {
            error!(%address, %error, "cannot listen: set METASTORE_SIDECAR_LISTEN");
            return ExitCode::from(EXIT_UNAVAILABLE);
        }
    };
    let read = read_environment;
    let start = Start { settings, warnings, listener, verbosity, hangup, read };
    match app::run(start).await {
        Ok(()) => {
            info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            error!(%error, "cannot start");
            ExitCode::from(EXIT_SOFTWARE)
        }
    }
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// On standard error. When that is closed, the exit code still says it.
fn complain(text: &str) -> ExitCode {
    drop(io::stderr().write_all(text.as_bytes()));
    ExitCode::from(EXIT_CONFIGURATION)
}
