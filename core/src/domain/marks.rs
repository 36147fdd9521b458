//! Which revision was the newest when: what a compaction by time needs, and what survives restarts
//! and changes of leader.

use super::Mutation;

/// Marks are at least this far apart.
const INTERVAL_MS: i64 = 10_000;
/// With more, they are thinned.
const MARKS_MAX: usize = 4096;
/// Of marks that are thinned those go without which no gap gets longer than one part in so many
/// of its age: what is kept for a day is exact to six minutes. Enough for a century.
const PARTS: i64 = 256;

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

    /// `revision` is the newest at `now`, by the clock of the store. A time before the newest mark
    /// makes no mark.
    pub fn note(&mut self, now: i64, revision: i64, mutations: &mut Vec<Mutation>) {
        if self.points.last().is_some_and(|(at, _)| now < at.saturating_add(INTERVAL_MS)) {
            return;
        }
        self.points.push((now, revision));
        mutations.push(Mutation::Mark { unix_ms: now, revision });
        let mut parts = PARTS;
        while self.points.len() > MARKS_MAX && parts > 0 {
            self.thin(parts, mutations);
            parts /= 2;
        }
    }

    /// Marks of revisions that are compacted tell nobody anything.
    pub fn forget(&mut self, compacted: i64, mutations: &mut Vec<Mutation>) {
        self.drop_where(mutations, |_, revision| revision < compacted);
    }

    /// The past gets coarser the older it is. The oldest and the newest mark stay.
    fn thin(&mut self, parts: i64, mutations: &mut Vec<Mutation>) {
        let times: Vec<i64> = self.points.iter().map(|(at, _)| *at).collect();
        let mut after = times.iter().copied().skip(1);
        let newest = times.last().copied().unwrap_or_default();
        let mut kept = None;
        self.drop_where(mutations, |at, _| {
            let goes = kept.zip(after.next()).is_some_and(|(kept, next)| {
                next.saturating_sub(kept) <= newest.saturating_sub(next) / parts
            });
            if !goes {
                kept = Some(at);
            }
            goes
        });
    }

    fn drop_where(
        &mut self,
        mutations: &mut Vec<Mutation>,
        mut goes: impl FnMut(i64, i64) -> bool,
    ) {
        self.points.retain(|(unix_ms, revision)| {
            let drops = goes(*unix_ms, *revision);
            if drops {
                mutations.push(Mutation::Unmark { unix_ms: *unix_ms });
            }
            !drops
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn marks_are_spaced_and_pruned() {
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
    }

    /// How long before a moment the newest mark is that is at least so old.
    fn lag(marks: &Marks, now: i64, window: i64) -> i64 {
        let moment = now - window;
        let old = marks.points().iter().rev().find(|(at, _)| *at <= moment);
        moment - old.expect("the first mark stays").0
    }

    /// Three months of writes without a compaction: every window still finds a mark close to it.
    #[test]
    fn thinned_marks_are_close_enough_to_any_moment() {
        let mut marks = Marks::default();
        let mut stored = std::collections::BTreeMap::new();
        for step in 0..90 * 24 * 360 {
            let (now, mut mutations) = (step * INTERVAL_MS, Vec::new());
            marks.note(now, step, &mut mutations);
            for mutation in mutations {
                match mutation {
                    Mutation::Mark { unix_ms, revision } => stored.insert(unix_ms, revision),
                    Mutation::Unmark { unix_ms } => stored.remove(&unix_ms),
                    other => panic!("{other:?}"),
                };
            }
            assert!(marks.points().len() <= MARKS_MAX);
            if step % 997 == 0 {
                for window in [0, 60_000, 600_000, 3_600_000, 86_400_000, 604_800_000] {
                    let window = window.min(now);
                    let most = INTERVAL_MS.max(window / PARTS);
                    let lag = lag(&marks, now, window);
                    assert!(lag <= most, "{lag} ms at {now} for {window}");
                }
            }
        }
        assert!(stored.into_iter().eq(marks.points().iter().copied()), "what is stored");
    }

    /// A window of a month moves on: the marks at its end are not all thinned away.
    #[test]
    fn a_long_window_moves_on() {
        let mut marks = Marks::default();
        let window = 30 * 86_400_000;
        let mut compacted = 0;
        for step in 0..60 * 24 * 360 {
            let now = step * INTERVAL_MS;
            marks.note(now, step, &mut Vec::new());
            if step % 360 == 0 && now > window {
                let old = marks.points().iter().rev().find(|(at, _)| *at <= now - window);
                let (at, revision) = *old.expect("the first mark stays");
                compacted = revision;
                marks.forget(compacted, &mut Vec::new());
                assert!(now - window - at <= window / PARTS, "{at} at {now}");
            }
        }
        assert!(compacted > 29 * 24 * 360);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Whatever clocks do, there are never more.
        #[test]
        fn marks_are_bounded(
            gaps in proptest::collection::vec((0..63_u32, 0..1000_i64), 1..40),
        ) {
            let (mut marks, mut now) = (Marks::default(), 0_i64);
            for (scale, step) in gaps {
                for _ in 0..400 {
                    now = now.saturating_add((1_i64 << scale).saturating_mul(step) / 400);
                    marks.note(now, now, &mut Vec::new());
                    prop_assert!(marks.points().len() <= MARKS_MAX);
                }
            }
            prop_assert!(marks.points().is_sorted());
        }
    }
}
