//! Runs seeds, each by itself, on as many threads as there are cores.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;

use crate::finding::{Finding, Verdict};
use crate::world::{Crashes, World};

/// Things that happen in one run, before everything is brought to an end.
const STEPS: usize = 300;

/// What the disks do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    Honest,
    /// A planted bug: the log says that it synced, and did not.
    SkipLogSyncs,
    /// Another: the log is truncated, and history released, without a sync of the store.
    SkipStoreSyncs,
}

/// A run in which every judge was content.
#[derive(Debug)]
pub(crate) struct Report {
    /// Hash and number of the lines of the trace.
    pub(crate) digest: (u64, u64),
    pub(crate) crashes: Crashes,
}

/// A run in which one was not.
#[derive(Debug)]
pub(crate) struct Failure {
    seed: u64,
    finding: String,
    tail: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, finding, tail } = self;
        writeln!(f, "seed {seed}: {finding}\nthe last that happened:\n{tail}")?;
        let command = "cargo test -p metastore-tests --test simulation nothing_acknowledged";
        write!(f, "replay with: METASTORE_SIM_SEED={seed} {command}")
    }
}

pub(crate) fn run(seed: u64, plan: Plan) -> Result<Report, Failure> {
    let mut world = World::new(seed, plan);
    let verdict = catch_unwind(AssertUnwindSafe(|| play(&mut world)));
    let verdict = verdict.unwrap_or_else(|_| Err(Finding("it panicked".into())));
    match verdict {
        Ok(()) => Ok(Report { digest: world.trace.digest(), crashes: world.crashes }),
        Err(Finding(finding)) => Err(Failure { seed, finding, tail: world.trace.tail() }),
    }
}

fn play(world: &mut World) -> Verdict {
    for _ in 0..STEPS {
        world.step()?;
    }
    world.finish()
}

/// Stops at the first failure.
pub(crate) fn run_all(seeds: &[u64], plan: Plan) -> Result<Vec<Report>, Failure> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let work = || {
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = run(*seed, plan);
            if result.is_err() {
                next.store(seeds.len(), Ordering::Relaxed);
            }
            results.lock().push(result);
        }
    };
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    results.into_inner().into_iter().collect()
}
