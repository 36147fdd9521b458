//! What time it is for the store, whatever somebody does to the time of day (docs/adr/0006).
//!
//! Milliseconds since the epoch when the store was new. From then on time passes only while the
//! consensus loop runs: not while the store is down, and not while the process stands still. So
//! nothing ever looks older than it is.
//!
//! ```text
//! what happens   opened, 10 ms pass   a crash, an hour passes   opened, 20 ms pass
//! steady time    500 .......... 510   -                         500 .......... 520
//! ```
//!
//! (The newest mark is at 500, and none was made at 510: after the crash it is 500 again.)

/// A clock of the member; rules see it only as stamps of proposals.
#[derive(Debug, Clone, Copy)]
pub(super) struct SteadyTime {
    now_ms: i64,
    /// When it was last advanced, on the monotonic clock; `None` before the loop runs.
    advanced_at: Option<i64>,
    /// A longer pause of the loop counts as this long.
    step_max_ms: i64,
}

impl SteadyTime {
    /// Goes on from the newest mark, or begins with the time of day.
    pub(super) fn open(newest_mark: Option<i64>, unix_ms: i64, step_max_ms: i64) -> Self {
        let now_ms = newest_mark.unwrap_or(unix_ms);
        Self { now_ms, advanced_at: None, step_max_ms }
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// The loop runs, and the monotonic clock shows this.
    pub(super) fn advance(&mut self, monotonic_ms: i64) {
        let before = self.advanced_at.replace(monotonic_ms).unwrap_or(monotonic_ms);
        let passed = monotonic_ms.saturating_sub(before).clamp(0, self.step_max_ms);
        self.now_ms = self.now_ms.saturating_add(passed);
    }

    /// A mark was applied: its time is the time, for every member alike. That is a little back
    /// where it was made, by what it took to commit it, and forward or back where another member
    /// led: two members would not agree on what is old.
    pub(super) fn marked(&mut self, mark_ms: i64) {
        self.now_ms = mark_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP_MAX: i64 = 1000;

    fn opened(newest_mark: Option<i64>, unix_ms: i64) -> SteadyTime {
        SteadyTime::open(newest_mark, unix_ms, STEP_MAX)
    }

    /// Runs the loop at these times of the monotonic clock.
    fn run(time: &mut SteadyTime, monotonic_ms: impl IntoIterator<Item = i64>) -> i64 {
        monotonic_ms.into_iter().for_each(|at| time.advance(at));
        time.now_ms()
    }

    #[test]
    fn a_new_store_begins_with_the_time_of_day_and_an_old_one_with_its_newest_mark() {
        for (newest_mark, unix_ms, expected) in [
            (None, 7_000, 7_000),
            (Some(5_000), 7_000, 5_000),
            // Set back while the store was down.
            (Some(5_000), 1_000, 5_000),
        ] {
            assert_eq!(opened(newest_mark, unix_ms).now_ms(), expected);
        }
    }

    #[test]
    fn time_passes_with_the_loop_and_from_its_first_round_on() {
        let mut time = opened(Some(5_000), 0);
        assert_eq!(run(&mut time, [70_000]), 5_000, "the machine has been up for long");
        assert_eq!(run(&mut time, [70_100, 70_200, 70_250]), 5_250);
    }

    #[test]
    fn a_process_that_stands_still_does_not_age_its_history() {
        let mut time = opened(Some(5_000), 0);
        assert_eq!(run(&mut time, [0, 100]), 5_100);
        assert_eq!(run(&mut time, [3_600_000]), 5_100 + STEP_MAX);
    }

    #[test]
    fn time_never_goes_back_by_itself() {
        let mut time = opened(Some(5_000), 0);
        assert_eq!(run(&mut time, [500, 400, 300]), 5_000);
        assert_eq!(run(&mut time, [310]), 5_010);
    }

    /// What a mark shows as its age is what has really passed since it was applied here.
    #[test]
    fn a_mark_says_what_time_it_is() {
        for (name, mark) in [
            ("made here, two seconds ago", 4_000),
            ("by a leader whose time went on while ours was down", 90_000),
            ("by a leader that was down while our time went on", 5_500),
        ] {
            let mut time = opened(Some(2_000), 0);
            run(&mut time, (0..=40).map(|tick| tick * 100));
            assert_eq!(time.now_ms(), 6_000);
            time.marked(mark);
            assert_eq!(time.now_ms(), mark, "{name}");
            assert_eq!(run(&mut time, [4_100, 4_250]), mark + 250, "{name}");
        }
    }
}
