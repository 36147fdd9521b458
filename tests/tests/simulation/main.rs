//! Seeded simulation of one member: crashes at every persist point, judged by a model.
//!
//! One seed is one run, to the byte. `METASTORE_SIM_SEED=7 cargo test -p metastore-tests --test
//! simulation` replays seed 7; `METASTORE_SIM_SEEDS=100000` runs as many. The parts: [`world`] moves
//! a [`member`] over [`disk`]s that lose power; [`clients`] ask for what [`workload`] thinks of and
//! follow [`streams`] of events; each file of [`judges`] holds the member to one property.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod clients;
mod dice;
mod disk;
mod ending;
mod finding;
mod judges;
mod member;
mod probe;
mod replay;
mod run;
mod scripts;
mod streams;
mod trace;
mod workload;
mod world;

use std::collections::BTreeSet;

use disk::Point;
use run::{Plan, Report, run, run_all};

const SEEDS: u64 = 1000;

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

#[test]
fn nothing_acknowledged_is_lost_whatever_the_seed() {
    if let Some(seed) = variable("METASTORE_SIM_SEED") {
        run(seed, Plan::Honest).unwrap_or_else(|failure| panic!("{failure}"));
        return;
    }
    let seeds = variable("METASTORE_SIM_SEEDS").unwrap_or(SEEDS);
    let all: Vec<_> = replay::SEEDS.iter().copied().chain(0..seeds).collect();
    let reports = run_all(&all, Plan::Honest).unwrap_or_else(|failure| panic!("{failure}"));
    if seeds >= SEEDS {
        check_coverage(&reports);
    }
}

/// Crashes came at every persist point, and while replaying too.
fn check_coverage(reports: &[Report]) {
    let seen: BTreeSet<_> = reports.iter().flat_map(|report| report.crashes.keys()).collect();
    for point in Point::ALL {
        assert!(seen.contains(&(Some(point), false)), "no crash at {point:?}");
    }
    let replaying =
        [Point::BeforeLogAppend, Point::LogAppended, Point::LogSynced, Point::StoreWritten];
    for point in replaying {
        assert!(seen.contains(&(Some(point), true)), "no crash at {point:?} of a replay");
    }
}

#[test]
fn one_seed_is_one_run() {
    for seed in [1, 2, 20] {
        let [first, second] = [(); 2].map(|()| run(seed, Plan::Honest).unwrap());
        assert_eq!(first.digest, second.digest, "two runs of seed {seed} differ");
    }
}

#[test]
fn acknowledging_before_the_sync_is_found() {
    let what = planted(Plan::SkipLogSyncs);
    assert!(what.contains("a committed write is lost"), "found for another reason: {what}");
}

#[test]
fn forgetting_the_log_before_the_store_is_synced_is_found() {
    let what = planted(Plan::SkipStoreSyncs);
    assert!(what.contains("entries between are lost"), "found for another reason: {what}");
}

/// What the judges say to a bug within the seeds of one run.
fn planted(plan: Plan) -> String {
    let seeds: Vec<_> = (0..SEEDS).collect();
    run_all(&seeds, plan).expect_err("the judges sleep").to_string()
}
