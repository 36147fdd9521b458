//! Watches the file system of the data directory, and refuses writes in time.
//!
//! ```text
//!  space (measures) ──► levels, forecast (pure) ──► DiskState ──► health, metrics, page
//!       watch.rs, a loop                                │
//!  core's alarms ──────────────────────────────────► guard ──► core raises or clears NOSPACE
//! ```
//!
//! Two defend the disk. The sidecar acts first, at `METASTORE_DISK_LOW_FREE` of the volume. Core
//! by itself refuses what grows when less than 128 MiB are free (of a small volume 40 %; see core's
//! `replica/quota.rs`): less than the sidecar's default mark wherever the volume has more than
//! 1.3 GB. On a smaller one core may be first. It says so with the same alarm and the same cause, and
//! either way the sidecar clears it once there is room for both.

pub mod forecast;
pub mod guard;
pub mod levels;
pub mod metrics;
pub mod space;
pub mod watch;

use std::time::Duration;

use tokio::time::Instant;

pub use guard::{Action, Done};
pub use levels::Level;
pub use metrics::DiskMetrics;
pub use space::{Room, Space, Volume, measure};
pub use watch::DiskWatch;

/// What is known of the disk.
#[derive(Clone, Debug, Default)]
pub struct DiskState {
    /// The newest figures of the member's share in bytes; `None` when they cannot be had.
    pub space: Option<Space>,
    /// Inodes; `None` where the file system does not count them.
    pub inodes: Option<Space>,
    /// When these were measured. A file system that hangs leaves old figures here.
    pub measured_at: Option<Instant>,
    /// As of the newest figures.
    pub level: Level,
    /// Since when it is at this level; `None` before the first figures.
    pub since: Option<Instant>,
    /// Since when there has been as much room as it takes to clear the alarm; `None` while there
    /// is not.
    pub roomy_since: Option<Instant>,
    /// When it is full, counted from the newest figures, if it goes on like in the last minutes.
    pub full_in: Option<Duration>,
    /// The newest thing that the guard did, or tried.
    pub last_action: Option<Done>,
}
