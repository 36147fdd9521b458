//! Seeds that failed once, with what they found. They run first, for ever; but a seed means another
//! run once the workload changes, so that what it found belongs into `scripts.rs` too.

pub(crate) const SEEDS: &[u64] = &[
    // A put undone by its own transaction, at the compacted revision: the judge was wrong.
    11171,
];
