//! Configuration, or every mistake in it and exit 64; then the app until a signal.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

use metastore_proto::environment::{self, Mistake, Process, Settings, Warning};
use metastore_sidecar::{app, listen, telemetry};
use tracing::{error, info, warn};

/// `EX_USAGE`: the environment or the command line is wrong.
const EXIT_CONFIGURATION: u8 = 64;
/// `EX_UNAVAILABLE`: the port is taken.
const EXIT_UNAVAILABLE: u8 = 69;
/// `EX_SOFTWARE`: a part of the sidecar ended by itself.
const EXIT_SOFTWARE: u8 = 70;

const USAGE: &str = "Usage: metastore-sidecar [--help | --version]\n\n\
    Answers probes for a metastore core, keeps its history compacted and shows its metrics.\n\n";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(|argument| argument.to_str()).collect();
    match arguments.as_slice() {
        [] => start(),
        [Some("--version" | "-V")] => {
            print(&format!("metastore-sidecar {}\n", env!("CARGO_PKG_VERSION")))
        }
        [Some("--help" | "-h")] => {
            print(&format!("{USAGE}{}", environment::help(Process::Sidecar)))
        }
        _ => complain(&format!("{USAGE}Settings come from the environment only.\n")),
    }
}

fn start() -> ExitCode {
    match environment::read(env::vars_os(), |path| fs::read_to_string(path)) {
        Ok((settings, warnings)) => serve(&settings, &warnings),
        Err(mistakes) => refuse(&mistakes),
    }
}

fn refuse(mistakes: &[Mistake]) -> ExitCode {
    let lines: String = mistakes.iter().map(|mistake| format!("{mistake}\n")).collect();
    complain(&lines)
}

fn serve(settings: &Settings, warnings: &[Warning]) -> ExitCode {
    telemetry::start(&settings.log);
    for warning in warnings {
        warn!(%warning, "configuration");
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "no runtime");
            return ExitCode::from(EXIT_SOFTWARE);
        }
    };
    let code = runtime.block_on(run(settings));
    // Measuring the disk may hang, and must not keep the process.
    runtime.shutdown_background();
    code
}

async fn run(settings: &Settings) -> ExitCode {
    let address = settings.sidecar.listen;
    let listener = match listen::bind(address) {
        Ok(listener) => listener,
        Err(error) => {
            error!(%address, %error, "cannot listen: set METASTORE_SIDECAR_LISTEN");
            return ExitCode::from(EXIT_UNAVAILABLE);
        }
    };
    match app::run(settings, listener).await {
        Ok(()) => {
            info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            error!(%error, "stopped");
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
