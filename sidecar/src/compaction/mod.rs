//! Keeps history compacted: [`policy`] says up to where, [`scheduler`] says when and does it.

pub mod policy;
pub mod scheduler;

pub use policy::Policy;
pub use scheduler::{Outcome, Scheduler, Skip};
