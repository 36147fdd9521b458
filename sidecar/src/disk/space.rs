//! How full the file system of the data directory is, and how much of that is this member's.
//!
//! To be measured in the background: a file system may hang.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use metastore_proto::admin::ObserveResponse;
use sysinfo::{Disk, DiskRefreshKind, Disks};

/// How many there are, and how many of them are free: bytes, or inodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub total: u64,
    /// What a process without privileges may still take.
    pub free: u64,
}

/// A file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    pub bytes: Space,
    /// `None` where they are made as needed (btrfs) or not told (some network file systems).
    pub inodes: Option<Space>,
}

/// What this member has of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub bytes: Space,
    pub inodes: Option<Space>,
    /// Whether core by itself would let writes in: it keeps some bytes of the whole volume free.
    pub suits_core: bool,
}

/// What core says of its part of the volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoreUse {
    /// Bytes that it takes; `None` before it has said so.
    pub bytes: Option<u64>,
    /// Free bytes of the volume below which it lets nothing grow.
    pub keep_free: u64,
}

impl Space {
    /// Rounded up, so that only an empty disk says 0.
    pub fn used_percent(self) -> u64 {
        let used = u128::from(self.total.saturating_sub(self.free));
        let percent = (used * 100).div_ceil(u128::from(self.total.max(1)));
        u64::try_from(percent).unwrap_or(u64::MAX)
    }

    /// The part of it that one of several users has, who takes `used` already. A capacity of 0 is no
    /// limit. What the others take may leave less than the capacity.
    fn within(self, capacity: u64, used: u64) -> Self {
        if capacity == 0 || capacity >= self.total {
            return self;
        }
        Self { total: capacity, free: self.free.min(capacity.saturating_sub(used)) }
    }
}

impl CoreUse {
    pub fn of(said: &ObserveResponse) -> Self {
        let Some(disk) = &said.disk else { return Self::default() };
        let files = u64::try_from(disk.physical_bytes).unwrap_or(0);
        Self {
            bytes: Some(files.saturating_add(disk.ballast_bytes)),
            keep_free: disk.keep_free_bytes,
        }
    }
}

impl Room {
    /// `capacity` as in `METASTORE_DISK_CAPACITY_BYTES`. Until core says what it takes, the volume
    /// alone must tell.
    pub fn of(volume: &Volume, core: CoreUse, capacity: u64) -> Self {
        Self {
            bytes: volume.bytes.within(capacity, core.bytes.unwrap_or(0)),
            inodes: volume.inodes,
            suits_core: volume.bytes.free >= core.keep_free,
        }
    }
}

/// The volume where the directory is, or will be: core may not have created it yet.
///
/// sysinfo does not list every mount (tmpfs, network, below /run), so where it has none of the
/// directory's device, the directory itself is asked. It never tells of inodes.
pub fn measure(directory: &Path) -> io::Result<Volume> {
    let existing = nearest_existing(directory)?;
    let device = fs::metadata(&existing)?.dev();
    let asked = asked(&existing)?;
    Ok(Volume { bytes: listed(device).unwrap_or(asked.bytes), ..asked })
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

fn asked(path: &Path) -> io::Result<Volume> {
    let figures = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(figures.f_frsize);
    let inodes = Space { total: figures.f_files, free: figures.f_favail };
    Ok(Volume {
        bytes: Space { total: bytes(figures.f_blocks), free: bytes(figures.f_bavail) },
        inodes: Some(inodes).filter(|inodes| inodes.total > 0),
    })
}

#[cfg(test)]
mod tests {
    use metastore_proto::admin;

    use super::*;

    #[test]
    fn used_is_rounded_up() {
        for (total, free, percent) in [
            (1000, 1000, 0),
            (1000, 999, 1),
            (1000, 250, 75),
            (1000, 0, 100),
            (0, 0, 0),
            (u64::MAX, 0, 100),
        ] {
            assert_eq!(Space { total, free }.used_percent(), percent, "{free} of {total}");
        }
    }

    #[test]
    fn a_capacity_leaves_a_part_of_the_volume() {
        let volume = Space { total: 1000, free: 600 };
        for (capacity, used, total, free, why) in [
            (0, 100, 1000, 600, "no capacity"),
            (1000, 100, 1000, 600, "the whole volume"),
            (5000, 100, 1000, 600, "more than there is"),
            (500, 100, 500, 400, "own use counts"),
            (500, 700, 500, 0, "more taken than allowed"),
            (900, 100, 900, 600, "others have taken the rest"),
        ] {
            assert_eq!(volume.within(capacity, used), Space { total, free }, "{why}");
        }
    }

    #[test]
    fn core_tells_what_it_takes() {
        let disk = admin::Disk {
            physical_bytes: 70,
            ballast_bytes: 30,
            keep_free_bytes: 128,
            ..admin::Disk::default()
        };
        let said = ObserveResponse { disk: Some(disk), ..ObserveResponse::default() };
        let core = CoreUse::of(&said);
        assert_eq!(core, CoreUse { bytes: Some(100), keep_free: 128 });

        let bytes = Space { total: 1000, free: 127 };
        let room = Room::of(&Volume { bytes, inodes: None }, core, 200);
        assert_eq!(room.bytes, Space { total: 200, free: 100 });
        assert!(!room.suits_core, "core looks at the whole volume");
    }

    #[test]
    fn a_directory_that_does_not_exist_yet_is_measured_where_it_will_be() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("not/yet");
        let total = |path| measure(path).unwrap().bytes.total;
        assert_eq!(total(&missing), total(directory.path()));
    }

    #[test]
    fn a_mount_that_is_not_listed_is_measured_itself() {
        let volume = measure(Path::new("/proc")).unwrap();
        assert_eq!(volume.bytes.total, asked(Path::new("/proc")).unwrap().bytes.total);
        assert_eq!(volume.inodes, None, "/proc counts none");
    }
}
