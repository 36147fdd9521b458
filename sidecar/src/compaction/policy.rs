//! Up to which revision history may go. Pure.
//!
//! Both rules hold at once: what either keeps is kept. Time comes from the marks in the replicated
//! store, so neither a restart of the sidecar nor a change of leader starts the window anew.

use std::time::Duration;

use metastore_proto::admin::{History, TimeMark};

/// What stays readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The newest so many revisions. At least 1.
    pub keep_revisions: i64,
    /// Everything that was readable so long ago. Zero: by revisions only.
    pub keep_duration: Duration,
}

/// The revision to compact to, if there is something to compact: it stays readable, those before it
/// do not.
pub fn target(history: &History, policy: Policy, now_unix_ms: i64) -> Option<i64> {
    let by_count = history.revision.saturating_sub(policy.keep_revisions);
    let by_time = if policy.keep_duration.is_zero() {
        by_count
    } else {
        newest_then(&history.marks, moment(policy.keep_duration, now_unix_ms))?
    };
    Some(by_count.min(by_time)).filter(|target| *target > history.compacted_revision.max(0))
}

fn moment(ago: Duration, now_unix_ms: i64) -> i64 {
    now_unix_ms.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX))
}

/// The revision that was newest at a moment, or one before it; `None` if no mark is that old.
///
/// Marks are in the order in which they were made. After a clock was set back their times are not,
/// and the latest one that is old enough is right by the clock as it goes now.
fn newest_then(marks: &[TimeMark], moment_unix_ms: i64) -> Option<i64> {
    let mark = marks.iter().rev().find(|mark| mark.unix_ms <= moment_unix_ms);
    mark.map(|mark| mark.revision)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    /// A name, (newest, compacted) revision, what is kept in (revisions, seconds), the target.
    type Row = (&'static str, (i64, i64), (i64, u64), Option<i64>);

    /// Marks are (age in seconds, revision), oldest first.
    fn check(marks: &[(i64, i64)], rows: &[Row]) {
        let marks = marks
            .iter()
            .map(|(age, revision)| TimeMark { unix_ms: NOW - age * 1000, revision: *revision });
        let mut history = History { marks: marks.collect(), ..History::default() };
        for (name, (revision, compacted), (keep_revisions, keep_seconds), expected) in rows {
            history.revision = *revision;
            history.compacted_revision = *compacted;
            let policy = Policy {
                keep_revisions: *keep_revisions,
                keep_duration: Duration::from_secs(*keep_seconds),
            };
            assert_eq!(target(&history, policy, NOW), *expected, "{name}");
        }
    }

    #[test]
    fn by_revisions_only() {
        check(
            &[(300, 400), (200, 600), (100, 800)],
            &[
                ("a new store", (1, 0), (1, 0), None),
                ("fewer than kept", (50, 0), (100, 0), None),
                ("as many as kept", (100, 0), (100, 0), None),
                ("one more than kept", (101, 0), (100, 0), Some(1)),
                ("many more than kept", (1000, 300), (100, 0), Some(900)),
                ("compacted already", (1000, 900), (100, 0), None),
                ("compacted by a client", (1000, 950), (100, 0), None),
                ("as many as there can be", (1000, 0), (i64::MAX, 0), None),
            ],
        );
    }

    #[test]
    fn by_revisions_and_time() {
        check(
            &[(300, 400), (200, 600), (100, 800)],
            &[
                ("no mark old enough", (1000, 0), (100, 301), None),
                ("the mark of the moment", (1000, 0), (100, 200), Some(600)),
                ("the mark before it", (1000, 0), (100, 199), Some(600)),
                ("time keeps more", (1000, 0), (100, 250), Some(400)),
                ("count keeps more", (1000, 0), (500, 60), Some(500)),
                ("all marks old", (1000, 0), (100, 1), Some(800)),
                ("nothing new", (1000, 400), (100, 250), None),
                ("longer than time goes", (1000, 0), (1, u64::MAX), None),
            ],
        );
        check(&[], &[("no mark at all", (1000, 0), (100, 60), None)]);
    }

    #[test]
    fn clocks_that_were_set() {
        let back = [(150, 400), (50, 600), (120, 700), (20, 800)];
        check(&back, &[("back", (1000, 0), (100, 110), Some(700))]);
        check(&[(-50, 900)], &[("the future", (1000, 0), (1, 60), None)]);
    }
}
