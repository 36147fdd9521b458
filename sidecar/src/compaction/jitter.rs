//! Small random delays, so that the sidecars of many stores do not all compact at once.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// A part of a pause that is random: one in so many.
const PART: u32 = 10;

/// A generator of numbers that nobody has to believe in (splitmix64).
#[derive(Clone, Debug)]
pub struct Jitter(u64);

impl Jitter {
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Seeded by the system.
    pub fn random() -> Self {
        Self(RandomState::new().hash_one(()))
    }

    /// A pause that is up to a tenth longer.
    pub fn lengthen(&mut self, pause: Duration) -> Duration {
        let most = u64::try_from((pause / PART).as_millis()).unwrap_or(u64::MAX);
        let more = self.number() % most.saturating_add(1).max(1);
        pause + Duration::from_millis(more)
    }

    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_gets_up_to_a_tenth_longer() {
        let hour = Duration::from_secs(3600);
        let mut jitter = Jitter::seeded(7);
        let pauses: Vec<_> = (0..1000).map(|_| jitter.lengthen(hour)).collect();
        let (least, most) = (*pauses.iter().min().unwrap(), *pauses.iter().max().unwrap());
        assert!(least >= hour && most <= hour + hour / 10, "{least:?} {most:?}");
        assert!(most - least > hour / 11, "it uses the whole tenth: {least:?} {most:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_pauses_and_another_one_others() {
        let pauses = |seed| {
            let mut jitter = Jitter::seeded(seed);
            [0; 5].map(|_| jitter.lengthen(Duration::from_secs(60)))
        };
        assert_eq!(pauses(1), pauses(1));
        assert_ne!(pauses(1), pauses(2));
        assert_ne!(Jitter::random().0, Jitter::random().0);
    }

    #[test]
    fn no_pause_is_too_short_or_too_long() {
        let mut jitter = Jitter::seeded(0);
        assert_eq!(jitter.lengthen(Duration::ZERO), Duration::ZERO);
        assert!(
            jitter.lengthen(Duration::from_secs(365 * 24 * 3600)) < Duration::from_secs(1 << 26)
        );
    }
}
