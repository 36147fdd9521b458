//! A load generator for servers that speak etcd's v3 API: one run does one kind of work and prints one
//! line of JSON.
//!
//!     metastore-load put --endpoint 127.0.0.1:2379 --connections 10 --in-flight 100 --pid 4711
//!
//! It shares the machine with the server that it measures, so it does little itself: raw HTTP/2, one thread,
//! answers judged by their status and length and decoded only once a worker. Loopback only.
//! `tests/bench/run` drives it.

mod closed_loop;
mod keyspace;
mod measure;
mod options;
mod probe;
mod steps;
mod watching;
mod wire;
mod work;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use options::{Operation, Options};
use serde_json::Value;

/// Ends the run; the text goes to standard error.
type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    let outcome = options::read(std::env::args().skip(1)).and_then(run);
    let (text, code) = match &outcome {
        Ok(report) => (report.to_string(), ExitCode::SUCCESS),
        Err(failure) => (failure.to_string(), ExitCode::FAILURE),
    };
    let written = match outcome {
        Ok(_) => writeln!(std::io::stdout(), "{text}"),
        Err(_) => writeln!(std::io::stderr(), "metastore-load: {text}"),
    };
    if written.is_ok() { code } else { ExitCode::FAILURE }
}

fn run(options: Options) -> Result<Value, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let deadline = options.deadline;
    let local = tokio::task::LocalSet::new();
    let work = local.run_until(async move {
        match options.operation {
            Operation::Load(mix) => closed_loop::run(mix, options).await,
            Operation::Watch => watching::fan_out(&options).await,
            Operation::Resume => watching::resume(&options).await,
            Operation::Probe => probe::run(&options).await,
            Operation::Revision => steps::revision(&options).await,
            Operation::Compact => steps::compact(&options).await,
            Operation::FirstRead => steps::first_read(&options).await,
        }
    });
    runtime
        .block_on(async { tokio::time::timeout(deadline, work).await })
        .map_err(|_| format!("not done within {deadline:?}"))?
}
