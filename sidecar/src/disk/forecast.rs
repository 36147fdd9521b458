//! When the disk will be full, if it goes on like in the last minutes. Pure.
//!
//! What is free falls in steps: a file is copied, a table is written, a log begins a new file. One
//! or two are no trend, so the two steepest falls between samples are left out, with the time that
//! they took: a steady fall has the same slope without them, a single step has none. The steepest
//! rise is left out likewise: one file that was deleted does not hide a disk that fills.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Fewer pieces between samples show no trend.
const PIECES_MIN: usize = 5;
/// Nobody knows what will be later than this.
const HORIZON: Duration = Duration::from_secs(7 * 24 * 3600);

/// What was free when.
#[derive(Clone, Debug)]
pub struct Forecast {
    /// The last seconds: notices soon that something fills.
    seconds: Ring,
    /// The last minutes: sees what fills slowly, and in steps.
    minutes: Ring,
}

impl Default for Forecast {
    fn default() -> Self {
        let (brief, long) = (Duration::from_millis(500), Duration::from_secs(10));
        Self { seconds: Ring::new(brief, 15), minutes: Ring::new(long, 60) }
    }
}

impl Forecast {
    /// So many were free now.
    pub fn sample(&mut self, free: u64, now: Instant) {
        self.seconds.push(free, now);
        self.minutes.push(free, now);
    }

    /// How long until nothing is free, counted from the newest sample; `None` when it does not
    /// fill.
    pub fn full_in(&self) -> Option<Duration> {
        [&self.seconds, &self.minutes].into_iter().filter_map(Ring::full_in).min()
    }
}

/// Samples that are at least `spacing` apart; the newest so many.
#[derive(Clone, Debug)]
struct Ring {
    spacing: Duration,
    length: usize,
    samples: VecDeque<(Instant, u64)>,
}

/// From one sample to the next.
#[derive(Clone, Copy, Debug)]
struct Piece {
    seconds: f64,
    /// Negative when more is free afterwards.
    taken: f64,
}

impl Piece {
    fn slope(self) -> f64 {
        self.taken / self.seconds
    }
}

impl Ring {
    fn new(spacing: Duration, length: usize) -> Self {
        Self { spacing, length, samples: VecDeque::with_capacity(length) }
    }

    fn push(&mut self, free: u64, now: Instant) {
        if self.samples.back().is_some_and(|(newest, _)| now - *newest < self.spacing) {
            return;
        }
        if self.samples.len() == self.length {
            self.samples.pop_front();
        }
        self.samples.push_back((now, free));
    }

    fn full_in(&self) -> Option<Duration> {
        let &(_, free) = self.samples.back()?;
        let slope = trend(&self.pieces())?;
        let seconds = number(free) / slope;
        Duration::try_from_secs_f64(seconds).ok().filter(|left| *left <= HORIZON)
    }

    fn pieces(&self) -> Vec<Piece> {
        let pairs = self.samples.iter().zip(self.samples.iter().skip(1));
        let piece = |(&(from, before), &(to, after)): (&(Instant, u64), &(Instant, u64))| Piece {
            seconds: (to - from).as_secs_f64(),
            taken: number(before) - number(after),
        };
        pairs.map(piece).collect()
    }
}

/// Taken per second, more than none.
fn trend(pieces: &[Piece]) -> Option<f64> {
    if pieces.len() < PIECES_MIN {
        return None;
    }
    let mut pieces = pieces.to_vec();
    pieces.sort_by(|a, b| a.slope().total_cmp(&b.slope()));
    let [rise, middle @ .., _second, _steepest] = pieces.as_slice() else { return None };
    // Where nothing rises, the flattest piece is a piece like the others.
    let flattest = Some(rise).filter(|piece| piece.taken >= 0.0);
    let kept = middle.iter().chain(flattest);
    let (seconds, taken) = kept
        .fold((0.0, 0.0), |(seconds, taken), piece| (seconds + piece.seconds, taken + piece.taken));
    Some(taken / seconds).filter(|slope| *slope > 0.0)
}

/// Exact up to 8 PiB.
#[expect(clippy::cast_precision_loss, reason = "an estimate needs no more")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is free, each so many seconds.
    fn after(seconds: u64, free: impl IntoIterator<Item = u64>) -> Option<u64> {
        let mut forecast = Forecast::default();
        let start = Instant::now();
        for (step, free) in (0..).zip(free) {
            forecast.sample(free, start + Duration::from_secs(step * seconds));
        }
        forecast.full_in().map(|left| left.as_secs())
    }

    #[test]
    fn a_steady_fall_ends_when_it_ends() {
        assert_eq!(after(5, (0..20).map(|step| 10_000 - 100 * step)), Some(8_100 / 20));
        assert_eq!(after(1, (0..8).map(|step| 10_000 - 100 * step)), Some(93));
    }

    #[test]
    fn no_trend_is_no_forecast() {
        for (why, free) in [
            ("nothing known", vec![]),
            ("too few samples", vec![900, 800, 700, 600, 500]),
            ("it stands still", vec![500; 100]),
            ("it empties", (0..100).map(|step| 500 + step).collect()),
            ("it breathes", (0..100).map(|step| 500 - 40 * (step % 2)).collect()),
        ] {
            assert_eq!(after(5, free), None, "{why}");
        }
    }

    #[test]
    fn a_single_step_is_no_trend() {
        for at in 1..60 {
            let free = (0..60).map(|step| if step < at { 1_000_000 } else { 1_000 });
            assert_eq!(after(5, free), None, "a step at sample {at}");
        }
    }

    #[test]
    fn two_steps_are_no_trend() {
        for (first, second) in [(1, 2), (1, 4), (3, 30), (40, 59)] {
            let steps = |step| u64::from(step >= first) + u64::from(step >= second);
            let free = (0..60).map(|step| 1_000_000 - 400_000 * steps(step));
            assert_eq!(after(5, free), None, "steps at samples {first} and {second}");
        }
    }

    #[test]
    fn a_deleted_file_does_not_hide_a_fall() {
        let free = (0..60).map(|step| if step < 30 { 50_000 } else { 90_000 } - 100 * step);
        let left = after(5, free).unwrap();
        assert!((4_100..4_300).contains(&left), "{left} s");
    }

    #[test]
    fn growth_in_steps_is_a_trend() {
        // A table of 64 each 80 s: 0.8 a second.
        let free = (0..120).map(|step| 100_000 - 64 * (step / 16));
        let left = after(5, free).unwrap();
        let expected = 100_000 * 10 / 8;
        assert!((expected * 3 / 4..expected * 3 / 2).contains(&left), "{left} s, not {expected}");
    }

    #[test]
    fn a_fall_that_begins_is_noticed_within_seconds() {
        let calm = std::iter::repeat_n(100_000, 600);
        let filling = (0..6).map(|step| 100_000 - 1_000 * step);
        assert!(after(1, calm.chain(filling)).unwrap() < 400);
    }

    #[test]
    fn a_far_future_is_unknown() {
        assert_eq!(after(5, (0..60).map(|step| u64::MAX / 2 - step)), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut forecast = Forecast::default();
        let start = Instant::now();
        for step in 0..10_000 {
            forecast.sample(1, start + Duration::from_secs(step));
        }
        assert_eq!((forecast.seconds.samples.len(), forecast.minutes.samples.len()), (15, 60));
    }
}
