use super::*;
use crate::compaction::Jitter;
use crate::tunable::Tunable;

const NOW: i64 = 1_000_000;

/// A name, (newest, compacted) revision, what is kept in (revisions, seconds), the target.
type Row = (&'static str, (i64, i64), (i64, u64), Option<i64>);

fn keeping(keep_revisions: i64, keep_duration: Duration) -> CompactionSettings {
    CompactionSettings { keep_revisions, keep_duration, ..Tunable::default().compaction }
}

/// Marks are (age in seconds, revision), oldest first.
fn check(marks: &[(i64, i64)], rows: &[Row]) {
    let marks = marks
        .iter()
        .map(|(age, revision)| TimeMark { unix_ms: NOW - age * 1000, revision: *revision });
    let mut history = History { marks: marks.collect(), ..History::default() };
    for (name, (revision, compacted), (keep_revisions, keep_seconds), expected) in rows {
        history.revision = *revision;
        history.compacted_revision = *compacted;
        let settings = keeping(*keep_revisions, Duration::from_secs(*keep_seconds));
        assert_eq!(target(&history, &settings, NOW), *expected, "{name}");
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
            ("revision 1 is the empty store", (101, 0), (100, 0), None),
            ("two more than kept", (102, 0), (100, 0), Some(2)),
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
fn marks_of_wall_clocks_that_were_set() {
    let back = [(150, 400), (50, 600), (120, 700), (20, 800)];
    check(&back, &[("back", (1000, 0), (100, 110), Some(700))]);
    check(&[(-50, 900)], &[("the future", (1000, 0), (1, 60), None)]);
}

#[test]
fn what_a_compaction_removes() {
    for (compacted, target, expected) in [(0, 4000, 3999), (1, 4000, 3999), (10, 12, 2), (9, 5, 0)]
    {
        let history = History { compacted_revision: compacted, ..History::default() };
        assert_eq!(removed(&history, target), expected, "from {compacted} to {target}");
    }
}

#[test]
fn the_time_is_cores_and_only_for_an_older_core_the_wall_clocks() {
    let history = |now_ms| History { now_ms, ..History::default() };
    assert_eq!(now_ms(&history(5), 1_000_000), 5);
    assert_eq!(now_ms(&history(0), 1_000_000), 1_000_000);
}

/// A store by the contract of its marks, and what is true of it.
struct Store {
    random: Jitter,
    now_ms: i64,
    /// When each revision from 2 on was written.
    written: Vec<i64>,
    compacted: i64,
    marks: Vec<TimeMark>,
}

const MARK_INTERVAL_MS: i64 = 10_000;

impl Store {
    fn new(seed: u64) -> Self {
        let random = Jitter::seeded(seed);
        Self { random, now_ms: 1_000_000, written: Vec::new(), compacted: 0, marks: Vec::new() }
    }

    fn below(&mut self, bound: i64) -> i64 {
        let bound = u64::try_from(bound).unwrap();
        i64::try_from(self.random.number() % bound).unwrap()
    }

    fn revision(&self) -> i64 {
        FIRST + i64::try_from(self.written.len()).unwrap()
    }

    /// When a revision became the newest one.
    fn written_at(&self, revision: i64) -> i64 {
        let place = usize::try_from(revision - FIRST - 1).ok();
        place.and_then(|place| self.written.get(place)).copied().unwrap_or(0)
    }

    /// Time passes: mostly little, sometimes very much; then there is a write, or there is none.
    fn step(&mut self) {
        self.now_ms += match self.below(20) {
            0 => self.below(3_600_000),
            1..5 => self.below(15_000),
            _ => self.below(500),
        };
        if self.below(10) == 0 {
            return;
        }
        self.written.push(self.now_ms);
        let mark = TimeMark { unix_ms: self.now_ms, revision: self.revision() };
        let last = self.marks.last().map_or(i64::MIN, |last| last.unix_ms);
        if self.now_ms >= last.saturating_add(MARK_INTERVAL_MS) {
            self.marks.push(mark);
        }
    }

    /// What core says: its marks, and the newest revision with the time since when it is that.
    fn history(&self) -> History {
        let revision = self.revision();
        let newest = TimeMark { unix_ms: self.written_at(revision), revision };
        History {
            revision,
            compacted_revision: self.compacted,
            marks: self.marks.iter().copied().chain([newest]).collect(),
            now_ms: self.now_ms,
            ..History::default()
        }
    }

    /// The newest revision at a moment, found by looking at every one.
    fn newest_at(&self, moment_ms: i64) -> i64 {
        let mut newest = FIRST;
        while newest < self.revision() && self.written_at(newest + 1) <= moment_ms {
            newest += 1;
        }
        newest
    }

    fn compact(&mut self, keep_revisions: i64, window_ms: i64, seed: u64) {
        let settings =
            keeping(keep_revisions, Duration::from_millis(window_ms.try_into().unwrap()));
        let Some(target) = target(&self.history(), &settings, self.now_ms) else { return };
        assert!(target > self.compacted.max(FIRST), "seed {seed}: it goes on");
        assert!(target <= self.revision() - keep_revisions, "seed {seed}: the newest are kept");
        let ideal = self.newest_at(self.now_ms - window_ms);
        // Every revision from `ideal` on was the newest at some moment of the window.
        assert!(target <= ideal, "seed {seed}: {target} goes, of the window is {ideal}");
        self.compacted = target;
        self.marks.retain(|mark| mark.revision >= target);
    }

    /// Everything that may go does, but for what was written shortly after a mark.
    fn check_lag(&self, window_ms: i64, seed: u64) {
        // The newest revision is always kept.
        let ideal = self.newest_at(self.now_ms - window_ms).min(self.revision() - 1).max(FIRST);
        let lag_ms = self.written_at(ideal) - self.written_at(self.compacted.max(FIRST));
        assert!(
            self.compacted.max(FIRST) >= ideal || lag_ms < MARK_INTERVAL_MS,
            "seed {seed}: {} is left, {ideal} could be",
            self.compacted
        );
    }
}

#[test]
fn nothing_of_the_window_ever_goes_and_little_else_stays() {
    for seed in 0..300 {
        let mut store = Store::new(seed);
        let window_ms = 1 + store.below(600_000);
        for _ in 0..400 {
            store.step();
            if store.below(5) == 0 {
                store.compact(1, window_ms, seed);
                store.check_lag(window_ms, seed);
            }
        }
    }
}

/// Marks are thinned where there are many, a leader may know fewer, and settings change.
#[test]
fn nothing_of_the_window_ever_goes_whatever_marks_are_missing() {
    for seed in 0..300 {
        let mut store = Store::new(seed);
        for _ in 0..400 {
            store.step();
            if store.below(20) == 0 {
                let kept = (0..store.marks.len()).map(|_| store.below(2) == 0).collect::<Vec<_>>();
                let mut kept = kept.into_iter();
                store.marks.retain(|_| kept.next().unwrap());
            }
            if store.below(5) == 0 {
                let (keep_revisions, window_ms) = (1 + store.below(50), 1 + store.below(600_000));
                store.compact(keep_revisions, window_ms, seed);
            }
        }
    }
}
