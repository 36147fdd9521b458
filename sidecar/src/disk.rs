//! How full the file system of the data directory is.
//!
//! Measured in the background: a file system may hang, and then only the figure grows old.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sysinfo::{Disk, DiskRefreshKind, Disks};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::warn;

/// How often it is measured.
const INTERVAL: Duration = Duration::from_secs(5);

/// The size of a file system. All in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub total: u64,
    /// What a process without privileges may still take.
    pub free: u64,
}

impl Space {
    /// Rounded up, so that only an empty disk says 0.
    pub fn used_percent(self) -> u64 {
        let used = u128::from(self.total.saturating_sub(self.free));
        let percent = (used * 100).div_ceil(u128::from(self.total.max(1)));
        u64::try_from(percent).unwrap_or(u64::MAX)
    }
}

/// Measures again and again, and publishes the newest figure, or `None` when it cannot be had.
pub struct DiskWatch {
    pub directory: PathBuf,
    pub publish: watch::Sender<Option<Space>>,
}

impl DiskWatch {
    /// Runs until dropped.
    pub async fn run(self) {
        loop {
            let directory = self.directory.clone();
            let measured = tokio::task::spawn_blocking(move || measure(&directory)).await;
            match measured.map_err(io::Error::from).flatten() {
                Ok(space) => drop(self.publish.send_replace(Some(space))),
                Err(error) => self.unknown(&error),
            }
            sleep(INTERVAL).await;
        }
    }

    fn unknown(&self, error: &io::Error) {
        if self.publish.send_replace(None).is_some() {
            warn!(directory = %self.directory.display(), %error, "disk cannot be measured");
        }
    }
}

/// The space where the directory is, or will be: core may not have created it yet.
///
/// sysinfo does not list every mount (tmpfs, network, below /run), so where it has none of the
/// directory's device, the directory itself is asked.
pub fn measure(directory: &Path) -> io::Result<Space> {
    let existing = nearest_existing(directory)?;
    let device = fs::metadata(&existing)?.dev();
    listed(device).map_or_else(|| asked(&existing), Ok)
}

fn nearest_existing(directory: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(directory)?;
    let existing = absolute.ancestors().find(|ancestor| ancestor.exists());
    existing.map(Path::to_path_buf).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Asks only the one file system for its size: another one may hang.
fn listed(device: u64) -> Option<Space> {
    let mut disks = Disks::new_with_refreshed_list_specifics(DiskRefreshKind::nothing()).ok()?;
    let disk = disks.iter_mut().find(|disk| disk.id() == Some(device))?;
    disk.refresh_specifics(DiskRefreshKind::nothing().with_storage());
    Some(space(disk)).filter(|space| space.total > 0)
}

fn space(disk: &Disk) -> Space {
    Space { total: disk.total_space(), free: disk.available_space() }
}

fn asked(path: &Path) -> io::Result<Space> {
    let figures = rustix::fs::statvfs(path)?;
    Ok(Space {
        total: figures.f_blocks.saturating_mul(figures.f_frsize),
        free: figures.f_bavail.saturating_mul(figures.f_frsize),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_is_rounded_up() {
        assert_eq!(Space { total: 1000, free: 1000 }.used_percent(), 0);
        assert_eq!(Space { total: 1000, free: 999 }.used_percent(), 1);
        assert_eq!(Space { total: 1000, free: 250 }.used_percent(), 75);
        assert_eq!(Space { total: 1000, free: 0 }.used_percent(), 100);
        assert_eq!(Space { total: 0, free: 0 }.used_percent(), 0);
        assert_eq!(Space { total: u64::MAX, free: 0 }.used_percent(), 100);
    }

    #[test]
    fn a_directory_that_does_not_exist_yet_is_measured_where_it_will_be() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("not/yet");
        assert_eq!(measure(&missing).unwrap().total, measure(directory.path()).unwrap().total);
    }

    #[test]
    fn a_mount_that_is_not_listed_is_measured_itself() {
        let space = measure(Path::new("/proc")).unwrap();
        assert_eq!(space.total, asked(Path::new("/proc")).unwrap().total);
    }
}
