//! Keeps history compacted: [`policy`] says up to where, [`scheduler`] says when and does it.

pub mod jitter;
pub mod metrics;
pub mod outcome;
pub mod policy;
pub mod scheduler;
pub mod state;

pub use jitter::Jitter;
pub use metrics::CompactionMetrics;
pub use outcome::{Outcome, Skip};
pub use scheduler::Scheduler;
pub use state::{CompactionState, Run};
