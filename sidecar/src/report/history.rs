//! The last hour in samples, for the small drawings. In memory only: about 12 kB, whatever happens.

use std::collections::VecDeque;
use std::time::Duration;

use metastore_proto::admin::{ObserveResponse, Phase, Process};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::disk::DiskState;
use crate::health::Observation;

/// What one sample stands for.
pub const INTERVAL: Duration = Duration::from_secs(15);
/// An hour of them.
pub const SAMPLES: usize = 240;

/// What was known at one moment. At first nothing is: a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Of the data's file system, in bytes.
    pub free_bytes: Option<u64>,
    pub core: Option<CoreSample>,
}

/// What core said, not longer ago than one interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreSample {
    pub logical_bytes: u64,
    pub physical_bytes: u64,
    pub revision: u64,
}

impl Sample {
    /// What is known now.
    pub fn take(observation: &Observation, disk: &DiskState, now: Instant) -> Self {
        let answer = observation.answer.as_ref();
        let fresh = answer.filter(|answer| now.duration_since(answer.at) <= INTERVAL);
        Self {
            free_bytes: disk.space.map(|space| space.free),
            core: fresh.and_then(|answer| CoreSample::of(&answer.said)),
        }
    }
}

impl CoreSample {
    /// Before core serves, its figures are not yet those of its data.
    fn of(said: &ObserveResponse) -> Option<Self> {
        let phase = said.process.as_ref().map(Process::phase);
        if !matches!(phase, Some(Phase::Serving | Phase::Draining)) {
            return None;
        }
        let (history, disk) = (said.history.as_ref()?, said.disk.as_ref()?);
        let count = |number: i64| u64::try_from(number).unwrap_or_default();
        Some(Self {
            logical_bytes: count(disk.logical_bytes),
            physical_bytes: count(disk.physical_bytes),
            revision: count(history.revision),
        })
    }
}

/// At most [`SAMPLES`], one for each interval since the start.
#[derive(Clone, Debug)]
pub struct LastHour {
    start: Instant,
    samples: VecDeque<Sample>,
    /// The interval of the newest sample, counted from the start.
    newest: u128,
}

impl LastHour {
    /// Empty.
    pub fn starting(start: Instant) -> Self {
        Self { start, samples: VecDeque::with_capacity(SAMPLES), newest: 0 }
    }

    /// When the sidecar started.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// Intervals that passed without a sample become gaps; a second sample of one replaces the first.
    pub fn add(&mut self, sample: Sample, now: Instant) {
        let slot = now.duration_since(self.start).as_millis() / INTERVAL.as_millis();
        if self.samples.is_empty() {
            self.newest = slot;
        } else if slot <= self.newest {
            self.samples.pop_back();
        } else {
            let missed = usize::try_from(slot - self.newest - 1).unwrap_or(SAMPLES);
            for _ in 0..missed.min(SAMPLES) {
                self.push(Sample::default());
            }
            self.newest = slot;
        }
        self.push(sample);
    }

    fn push(&mut self, sample: Sample) {
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// Oldest first.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter()
    }
}

/// The one task that takes samples.
pub struct Historian {
    pub observed: watch::Receiver<Observation>,
    pub disk: watch::Receiver<DiskState>,
    pub publish: watch::Sender<LastHour>,
}

impl Historian {
    /// Runs until dropped. The first sample comes after one interval: then there is something to
    /// sample.
    pub async fn run(self) {
        loop {
            sleep(INTERVAL).await;
            let now = Instant::now();
            let sample = Sample::take(&self.observed.borrow(), &self.disk.borrow(), now);
            self.publish.send_modify(|hour| hour.add(sample, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_core::serving;

    fn sample(free: u64) -> Sample {
        Sample { free_bytes: Some(free), core: None }
    }

    /// Adds samples at these seconds, each with its second as the value; `None` is a gap.
    fn after(seconds: &[u64]) -> Vec<Option<u64>> {
        let start = Instant::now();
        let mut hour = LastHour::starting(start);
        for second in seconds {
            hour.add(sample(*second), start + Duration::from_secs(*second));
        }
        hour.samples().map(|sample| sample.free_bytes).collect()
    }

    #[test]
    fn a_place_for_each_interval() {
        assert_eq!(after(&[]), []);
        assert_eq!(after(&[15, 30]), [Some(15), Some(30)]);
        assert_eq!(after(&[700]), [Some(700)], "before the first sample there is no gap");
        assert_eq!(after(&[15, 31, 46]), [Some(15), Some(31), Some(46)], "late is not a gap");
        assert_eq!(after(&[15, 61]), [Some(15), None, None, Some(61)], "the sidecar stood still");
        assert_eq!(after(&[15, 16, 29]), [Some(29)], "the newest of an interval");
    }

    #[test]
    fn never_more_than_an_hour() {
        let all: Vec<u64> = (1..=500).map(|number| number * 15).collect();
        let kept = after(&all);
        assert_eq!((kept.len(), kept[0], kept[239]), (240, Some(261 * 15), Some(7500)));
        let kept = after(&[15, 1_000_000]);
        assert_eq!((kept.len(), kept[238], kept[239]), (240, None, Some(1_000_000)));
    }

    #[test]
    fn what_core_said_too_long_ago_is_a_gap() {
        let now = Instant::now();
        let mut observation = Observation::default();
        let none = Sample::take(&observation, &DiskState::default(), now);
        assert_eq!(none, Sample::default());
        observation.heard(serving(), now);
        let core = |later| {
            let later = now + Duration::from_secs(later);
            Sample::take(&observation, &DiskState::default(), later).core
        };
        assert_eq!(core(15).unwrap().revision, 5000);
        assert_eq!(core(16), None);
    }

    #[test]
    fn a_core_that_opens_its_store_has_no_figures() {
        let now = Instant::now();
        let mut said = serving();
        said.process.as_mut().unwrap().set_phase(Phase::Opening);
        let mut observation = Observation::default();
        observation.heard(said, now);
        assert_eq!(Sample::take(&observation, &DiskState::default(), now).core, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sample_each_interval_while_core_comes_and_goes() {
        let (_observer, observed) = watch::channel(Observation::default());
        let (_watch, disk) = watch::channel(DiskState::default());
        let (publish, mut hour) = watch::channel(LastHour::starting(Instant::now()));
        let start = Instant::now();
        tokio::spawn(Historian { observed, disk, publish }.run());
        for count in 1..4 {
            hour.changed().await.unwrap();
            assert_eq!(start.elapsed(), INTERVAL * count);
            assert_eq!(hour.borrow_and_update().samples().count(), count as usize);
        }
    }
}
