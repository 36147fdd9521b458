//! Is core live, is it ready? [`observer`] watches, [`evaluate`] judges.

pub mod evaluate;
pub mod verdict;

pub mod disk;
pub mod warnings;

pub mod observation;
pub mod observer;
pub mod trend;

pub use evaluate::evaluate;
pub use observation::{Answer, Observation, Silence};
pub use trend::{Patience, Trend};
pub use verdict::{Check, Part, Probe, Reading, Status, Verdict};
