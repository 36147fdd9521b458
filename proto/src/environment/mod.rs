//! The environment of core and the sidecar: which variables exist, and the one way to read them.
//!
//! [`read`] takes variables as values (only a `main` asks the process for them), and reports every
//! mistake at once. Nothing here looks at the machine: whether a directory is writable or a port is
//! free is for the process that needs it.

mod check;
mod docs;
mod mistake;
mod parse;
mod read;
mod settings;
mod table;

pub use docs::{help, markdown};
pub use mistake::{Given, Mistake, Warning};
pub use read::{Effective, Source, read};
pub use settings::{
    AdminSettings, LimitSettings, ListenHost, ListenSettings, ListenUrl, LogFormat, LogLevel,
    LogSettings, MemberSettings, MetricsDetail, RaftSettings, Settings, SidecarSettings,
    StoreSettings, WatchSettings,
};
pub use table::{Kind, Process, Standing, TABLE, Variable};
