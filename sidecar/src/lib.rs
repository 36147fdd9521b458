//! The operator in the pod: answers probes, keeps history compacted, shows metrics.
//!
//! It never decides consistency and never writes data; it asks core over the admin socket, and
//! what it knows it holds in memory, so that it answers even while core is stopped.
//!
//! ```text
//!                      health/observer ──► Observation ──► health/evaluate ──► Verdict
//!  core ◄─ core_client ┤                   (in memory)          │                 │
//!                      └ core_metrics ──► text          compaction/scheduler   probes, metrics
//! ```

pub mod app;
pub mod core_client;
pub mod health;

pub mod compaction;
pub mod probes;

pub mod page;
pub mod report;
pub mod status;

pub mod machine;
pub mod validate;

pub mod core_metrics;
pub mod disk;
pub mod json;
pub mod listen;
pub mod metrics;
pub mod places;
pub mod reload;
pub mod serve;
pub mod telemetry;
pub mod tunable;
pub mod wall_clock;
pub mod wire;

#[cfg(test)]
mod fake_core;
