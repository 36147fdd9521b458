//! The environment of core and the sidecar: which variables exist, and the one way to read them.
//!
//! [`read`] takes variables as values (only a `main` asks the process for them), and reports every
//! mistake at once. But for [`read_file`], nothing here looks at the machine: whether a directory is writable or a port is
//! free is for the process that needs it.

mod advice;
mod check;
mod docs;
mod etcd;
mod file;
mod finding;
mod parse;
mod read;
mod settings;
mod shown;
mod strangers;
mod table;
mod urls;

pub use docs::{help, markdown};
pub use file::read_file;
pub use finding::{Finding, Given, Mistake, Warning};
pub use read::{Effective, Review, Source, read, review};
pub use settings::{
    AdminSettings, CompactionMode, CompactionSettings, DiskSettings, HealthSettings, LimitSettings,
    ListenHost, ListenSettings, ListenUrl, LogFormat, LogLevel, LogSettings, MemberSettings,
    MetricsDetail, RaftSettings, ReadinessMode, Settings, Share, SidecarSettings, StoreSettings,
    WatchSettings,
};
pub use shown::{harmless, harmless_json};
pub use table::{Kind, Process, Standing, TABLE, Variable};

#[cfg(test)]
mod any_tests;
