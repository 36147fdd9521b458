//! Is core live, is it ready? [`observer`] watches, [`evaluate`] judges.

pub mod evaluate;
pub mod observation;
pub mod observer;

pub use evaluate::{Check, Part, Probe, Status, Thresholds, Verdict, evaluate};
pub use observation::{Answer, Observation, Silence};
