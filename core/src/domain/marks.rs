//! Which revision was the newest when: what a compaction by time needs, and what survives restarts
//! and changes of leader.

use super::Mutation;

/// Marks are at least this far apart.
const INTERVAL_MS: i64 = 10_000;
/// With more, every second one goes: the past gets coarser, never larger.
const MARKS_MAX: usize = 4096;

/// Points in time, ascending, each with the revision that was the newest then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    points: Vec<(i64, i64)>,
}

impl Marks {
    pub fn restore(points: Vec<(i64, i64)>) -> Self {
        Self { points }
    }

    /// Milliseconds since the epoch and revision, oldest first.
    pub fn points(&self) -> &[(i64, i64)] {
        &self.points
    }

    /// `revision` is the newest at `now`, by the proposer's clock. A clock that was set back
    /// makes no mark until it has passed the newest one.
    pub fn note(&mut self, now: i64, revision: i64, mutations: &mut Vec<Mutation>) {
        if self.points.last().is_some_and(|(at, _)| now < at.saturating_add(INTERVAL_MS)) {
            return;
        }
        self.points.push((now, revision));
        mutations.push(Mutation::Mark { unix_ms: now, revision });
        if self.points.len() > MARKS_MAX {
            let mut place = 0;
            self.drop_where(mutations, |_| {
                place += 1;
                place % 2 == 0
            });
        }
    }

    /// Marks of revisions that are compacted tell nobody anything.
    pub fn forget(&mut self, compacted: i64, mutations: &mut Vec<Mutation>) {
        self.drop_where(mutations, |revision| revision < compacted);
    }

    fn drop_where(&mut self, mutations: &mut Vec<Mutation>, mut is_old: impl FnMut(i64) -> bool) {
        self.points.retain(|(unix_ms, revision)| {
            let drops = is_old(*revision);
            if drops {
                mutations.push(Mutation::Unmark { unix_ms: *unix_ms });
            }
            !drops
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_spaced_pruned_and_thinned() {
        let mut marks = Marks::default();
        let mut mutations = Vec::new();
        for step in 0..10 {
            marks.note(step * 4_000, step, &mut mutations);
        }
        assert_eq!(marks.points(), [(0, 0), (12_000, 3), (24_000, 6), (36_000, 9)]);
        marks.forget(6, &mut mutations);
        assert_eq!(marks.points(), [(24_000, 6), (36_000, 9)]);
        marks.note(0, 50, &mut mutations);
        assert_eq!(marks.points().len(), 2);
        for step in 10..10 + 2 * MARKS_MAX as i64 {
            marks.note(step * INTERVAL_MS, step, &mut mutations);
        }
        assert!(marks.points().len() <= MARKS_MAX);
    }
}
