//! The settings that may change while the sidecar runs.

use metastore_proto::environment::{CompactionSettings, DiskSettings, HealthSettings, Settings};

/// What every task reads anew each time it needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunable {
    pub health: HealthSettings,
    pub disk: DiskSettings,
    pub compaction: CompactionSettings,
}

impl From<&Settings> for Tunable {
    fn from(settings: &Settings) -> Self {
        let sidecar = &settings.sidecar;
        Self {
            health: sidecar.health.clone(),
            disk: sidecar.disk.clone(),
            compaction: sidecar.compaction.clone(),
        }
    }
}

#[cfg(test)]
impl Default for Tunable {
    /// As when no variable is set.
    fn default() -> Self {
        let none: [(std::ffi::OsString, std::ffi::OsString); 0] = [];
        let read = metastore_proto::environment::read(none, |path| std::fs::read_to_string(path));
        Self::from(&read.unwrap().0)
    }
}
