//! What an operator should know although no probe fails for it. Pure.

use std::time::Duration;

use metastore_proto::admin::ObserveResponse;
use tokio::time::Instant;

use super::trend::{LAG_MAX, lag};
use super::{Observation, disk::scarcer};
use crate::disk::{DiskState, Level};

/// A synced write of the log that takes longer keeps every client waiting (etcd's alert for it).
const SYNC_SLOW: Duration = Duration::from_millis(500);
/// Core reads its own store each second.
const READ_OLD: Duration = Duration::from_secs(10);
/// Shorter declared work is everyday.
const OPERATION_LONG: Duration = Duration::from_secs(30);
/// A disk that is full later than this leaves time for an alert of Prometheus.
const FULL_SOON: Duration = Duration::from_secs(24 * 3600);

/// One sentence each: first those known from the start, then those of this moment. What core said
/// longer ago than `age_max` is left out.
pub fn warnings(
    configuration: &[String],
    observation: &Observation,
    disk: &DiskState,
    age_max: Duration,
    now: Instant,
) -> Vec<String> {
    let answer = observation.answer.as_ref();
    let current = answer.filter(|answer| now.duration_since(answer.at) <= age_max);
    let mut all = configuration.to_vec();
    if let Some(answer) = current {
        let news = answer.said.warnings.iter().filter(|text| !configuration.contains(text));
        all.extend(news.cloned());
        all.extend(of_core(&answer.said));
    }
    all.extend(of_disk(disk));
    all
}

fn of_core(said: &ObserveResponse) -> Vec<String> {
    let mut found = Vec::new();
    let lag = lag(said);
    if lag > LAG_MAX {
        found.push(format!("core is {lag} committed entries behind"));
    }
    let sync = said.disk.map(|disk| Duration::from_micros(disk.last_sync_us));
    if let Some(sync) = sync.filter(|sync| *sync > SYNC_SLOW) {
        found.push(format!("the newest sync of the raft log took {sync:.1?}"));
    }
    if let Some(liveness) = &said.liveness {
        let read = Duration::from_millis(liveness.local_read_age_ms);
        if liveness.local_read_ok && read > READ_OLD {
            found.push(format!("core's newest read of its own store is {}s old", read.as_secs()));
        }
    }
    for operation in &said.operations {
        let age = Duration::from_millis(operation.age_ms);
        if age >= OPERATION_LONG {
            found.push(format!("core is busy with {} for {}s", operation.name, age.as_secs()));
        }
    }
    found
}

fn of_disk(disk: &DiskState) -> Vec<String> {
    let mut found = Vec::new();
    if disk.level == Level::Warn
        && let Some((space, unit)) = scarcer(disk)
    {
        let (free, total) = (space.free, space.total);
        found.push(format!("the disk fills: {free} of {total} {unit} are free"));
    }
    if let Some(left) = disk.full_in.filter(|left| *left < FULL_SOON) {
        found.push(format!("at this pace the disk is full in {}", in_words(left)));
    }
    found
}

fn in_words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7200 => format!("{}m", seconds / 60),
        seconds => format!("{}h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use metastore_proto::admin::LongOperation;

    use super::*;
    use crate::disk::Space;
    use crate::fake_core::serving;

    const AGE_MAX: Duration = Duration::from_secs(3);

    fn found(change: impl FnOnce(&mut ObserveResponse), disk: DiskState, age: u64) -> Vec<String> {
        let mut said = serving();
        change(&mut said);
        let mut observation = Observation::default();
        let now = Instant::now();
        observation.heard(said, now);
        let configuration = ["of the configuration".to_owned()];
        let now = now + Duration::from_secs(age);
        let mut all = warnings(&configuration, &observation, &disk, AGE_MAX, now);
        assert_eq!(all.remove(0), "of the configuration");
        all
    }

    #[test]
    fn a_member_with_whom_all_is_well_gives_no_warning() {
        assert_eq!(found(|_| {}, DiskState::default(), 0), [""; 0]);
    }

    #[test]
    fn core() {
        type Change = fn(&mut ObserveResponse);
        let rows: [(Change, &str); 5] = [
            (
                |said| said.consensus.as_mut().unwrap().commit_index = 5001,
                "core is 5001 committed entries behind",
            ),
            (
                |said| said.disk.as_mut().unwrap().last_sync_us = 612_000,
                "the newest sync of the raft log took 612.0ms",
            ),
            (
                |said| said.liveness.as_mut().unwrap().local_read_age_ms = 11_000,
                "core's newest read of its own store is 11s old",
            ),
            (
                |said| {
                    let name = "reclaim".to_owned();
                    said.operations = vec![LongOperation { name, age_ms: 31_000 }];
                },
                "core is busy with reclaim for 31s",
            ),
            (
                |said| {
                    let twice = ["of the configuration", "the disk is slow"];
                    said.warnings = twice.map(str::to_owned).into();
                },
                "the disk is slow",
            ),
        ];
        for (change, expected) in rows {
            assert_eq!(found(change, DiskState::default(), 3), [expected]);
            assert_eq!(found(change, DiskState::default(), 4), [""; 0], "stale: {expected}");
        }
    }

    #[test]
    fn disk() {
        let at = |level, full_in: Option<u64>| {
            let space = Some(Space { total: 1000, free: 150 });
            let full_in = full_in.map(Duration::from_secs);
            found(|_| {}, DiskState { level, space, full_in, ..DiskState::default() }, 0)
        };
        let fills = "the disk fills: 150 of 1000 bytes are free";
        let full = |when: &str| format!("at this pace the disk is full in {when}");
        assert_eq!(at(Level::Ok, None), [""; 0]);
        assert_eq!(at(Level::Warn, None), [fills]);
        assert_eq!(at(Level::Warn, Some(90)), [fills.to_owned(), full("90s")]);
        assert_eq!(at(Level::Ok, Some(7199)), [full("119m")]);
        assert_eq!(at(Level::Ok, Some(80_000)), [full("22h")]);
        assert_eq!(at(Level::Ok, Some(86_400)), [""; 0]);
        assert_eq!(at(Level::Low, None), [""; 0], "a failure then, no warning");
    }
}
