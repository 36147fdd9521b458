//! Seeds that failed once, with what they found. They run first, for ever.

pub(crate) const SEEDS: &[u64] = &[];
