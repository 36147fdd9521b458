//! Up to which revision history may go. Pure.
//!
//! Both rules hold at once: what either keeps is kept. Time comes from the marks in the replicated
//! store, and so does what time it is now: neither a restart of the sidecar, nor a change of
//! leader, nor a clock that somebody sets moves the window (docs/adr/0006-steady-time.md).
//!
//! A mark says "at that time this revision could be read". What came after it is younger than the
//! mark, so compacting to the newest mark that is old enough never takes what was the newest
//! revision at any moment of the window. What it leaves too much was written in the ten seconds
//! after that mark.

use std::time::Duration;

use metastore_proto::admin::{History, TimeMark};
use metastore_proto::environment::CompactionSettings;

/// The oldest revision that can be read where nothing was compacted.
const FIRST: i64 = 1;

/// The revision to compact to, if there is something to compact: it stays readable, those before it
/// do not. `now_ms` is [`now_ms`].
pub fn target(history: &History, settings: &CompactionSettings, now_ms: i64) -> Option<i64> {
    let by_count = history.revision.saturating_sub(settings.keep_revisions);
    let by_time = if settings.keep_duration.is_zero() {
        by_count
    } else {
        newest_then(&history.marks, moment(settings.keep_duration, now_ms))?
    };
    Some(by_count.min(by_time)).filter(|target| *target > oldest(history))
}

/// How many revisions a compaction to `target` makes unreadable.
pub fn removed(history: &History, target: i64) -> u64 {
    u64::try_from(target.saturating_sub(oldest(history))).unwrap_or(0)
}

/// What time it is by the clock of the marks. A core that does not say it is older than this
/// sidecar and marks by its wall clock: then the wall clock here has to do.
pub fn now_ms(history: &History, wall_ms: i64) -> i64 {
    if history.now_ms > 0 { history.now_ms } else { wall_ms }
}

/// The oldest revision that can be read.
fn oldest(history: &History) -> i64 {
    history.compacted_revision.max(FIRST)
}

fn moment(ago: Duration, now_ms: i64) -> i64 {
    now_ms.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX))
}

/// The revision that could be read at a moment, as far as marks tell; `None` if no mark is that old.
///
/// Marks are in the order in which they were made. Those of an older core's wall clock may go
/// back in time; then the latest one that is old enough is right by the clock as it goes now.
fn newest_then(marks: &[TimeMark], moment_ms: i64) -> Option<i64> {
    let mark = marks.iter().rev().find(|mark| mark.unix_ms <= moment_ms);
    mark.map(|mark| mark.revision)
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
