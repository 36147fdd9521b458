//! Which keys and values the load touches: numbered keys of one size, and values cut from random bytes.

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::options::Options;

/// Values start at one of so many places of one random text, so they do not compress against each other.
const OFFSETS: usize = 4096;

#[derive(Clone, Debug)]
pub(crate) struct Keyspace {
    prefix: String,
    key_bytes: usize,
    random: Bytes,
    value_bytes: usize,
}

impl Keyspace {
    pub(crate) fn new(options: &Options) -> Self {
        let mut random = vec![0; OFFSETS + options.value_bytes];
        SmallRng::seed_from_u64(options.seed).fill(&mut *random);
        Self {
            prefix: options.prefix.clone(),
            key_bytes: options.key_bytes,
            random: random.into(),
            value_bytes: options.value_bytes,
        }
    }

    /// Keys are in the order of their numbers and at least as long as prefix and number.
    pub(crate) fn key(&self, number: u64) -> Bytes {
        let mut key = format!("{}{number:012}", self.prefix).into_bytes();
        key.resize(key.len().max(self.key_bytes), b'.');
        key.into()
    }

    /// Follows every key.
    pub(crate) fn end(&self) -> Bytes {
        format!("{}~", self.prefix).into()
    }

    pub(crate) fn value(&self, rng: &mut SmallRng) -> Bytes {
        let start = rng.random_range(0..OFFSETS);
        self.random.slice(start..start + self.value_bytes)
    }
}
