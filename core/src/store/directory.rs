//! The data directory, and one process at a time: `LOCK IDENTITY log/ state/ ballast`, the admin
//! socket, and `CREATING` while it is made.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::columns::FORMAT;
use crate::domain::Fault;
use crate::domain::fault::FaultKind;

/// Nothing of the data is for every user of the host; the sidecar may be of the group.
const MODE: u32 = 0o750;

/// A data directory that this process owns until it drops this.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    _lock: File,
}

/// Whose data this is. Written once, when the directory is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub format: u32,
    pub cluster_id: u64,
    pub member_id: u64,
    pub name: String,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    identity: Identity,
    /// CRC-32C of the identity's JSON.
    checksum: u32,
}

impl Directory {
    /// Makes the directory if it is missing, and locks it.
    pub fn take(path: &Path) -> Result<Self, Fault> {
        let made = DirBuilder::new().recursive(true).mode(MODE).create(path);
        made.map_err(|error| not_ours(path, "create", &error))?;
        let lock_path = path.join("LOCK");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|error| not_ours(&lock_path, "write", &error))?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_busy| {
            Fault::taken(format!("{}: another process uses this data directory", path.display()))
        })?;
        Ok(Self { path: path.to_path_buf(), _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// The identity, or `None` in a directory without data. Data without an identity is refused:
    /// nobody can say whose it is.
    pub fn identity(&self) -> Result<Option<Identity>, Fault> {
        let path = self.path.join("IDENTITY");
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return if self.state().exists() || self.log().exists() {
                    self.unfinished(&path)
                } else {
                    Ok(None)
                };
            }
            Err(error) => return Err(io_fault(&path, "read", &error)),
        };
        let damaged = |why: &str| Fault::corrupt(format!("{}: {why}", path.display()));
        let sealed: Sealed =
            serde_json::from_slice(&text).map_err(|error| damaged(&format!("damaged: {error}")))?;
        if checksum(&sealed.identity) != sealed.checksum {
            return Err(damaged("damaged: the checksum does not match"));
        }
        let format = sealed.identity.format;
        if format != FORMAT {
            return Err(damaged(&format!("has format {format}, this program knows {FORMAT}")));
        }
        Ok(Some(sealed.identity))
    }

    /// Data without an identity: refused, unless a first start was cut short, which leaves a mark.
    fn unfinished(&self, path: &Path) -> Result<Option<Identity>, Fault> {
        if !self.mark().exists() {
            return Err(Fault::corrupt(format!(
                "{}: missing, but there is data beside it",
                path.display()
            )));
        }
        for part in [self.state(), self.log()] {
            match std::fs::remove_dir_all(&part) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(io_fault(&part, "remove", &error));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn mark(&self) -> PathBuf {
        self.path.join("CREATING")
    }

    /// Before the first data is written: a crash from here to [`Self::finish`] starts over.
    pub fn begin(&self) -> Result<(), Fault> {
        let mark = self.mark();
        let file = File::create(&mark).map_err(|error| io_fault(&mark, "create", &error))?;
        file.sync_all().map_err(|error| io_fault(&mark, "sync", &error))?;
        self.sync()
    }

    /// Writes the identity, durably: from now on the directory has data.
    pub fn finish(&self, identity: &Identity) -> Result<(), Fault> {
        let sealed = Sealed { identity: identity.clone(), checksum: checksum(identity) };
        let text = serde_json::to_vec_pretty(&sealed)
            .map_err(|error| Fault::corrupt(format!("IDENTITY: {error}")))?;
        let temporary = self.path.join("IDENTITY.new");
        let mut file =
            File::create(&temporary).map_err(|error| io_fault(&temporary, "create", &error))?;
        file.write_all(&text).map_err(|error| io_fault(&temporary, "write", &error))?;
        file.sync_all().map_err(|error| io_fault(&temporary, "sync", &error))?;
        let path = self.path.join("IDENTITY");
        std::fs::rename(&temporary, &path).map_err(|error| io_fault(&path, "rename", &error))?;
        self.sync()?;
        std::fs::remove_file(self.mark()).map_err(|error| io_fault(&path, "unmark", &error))?;
        self.sync()
    }

    fn sync(&self) -> Result<(), Fault> {
        let directory = File::open(&self.path);
        directory
            .and_then(|directory| directory.sync_all())
            .map_err(|error| io_fault(&self.path, "sync", &error))
    }
}

/// Whether this process may write there: permissions, and a volume that is not read-only.
pub fn is_writable(path: &Path) -> bool {
    let may = rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok();
    may && rustix::fs::statvfs(path)
        .is_ok_and(|volume| !volume.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

/// Size of the volume of `path` in bytes; 0 when nobody knows.
pub fn volume_bytes(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(0, |volume| volume.f_blocks.saturating_mul(volume.f_frsize))
}

/// Bytes that may still be written to the volume of `path`; 0 when nobody knows.
pub fn free_bytes(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(0, |volume| volume.f_bavail.saturating_mul(volume.f_frsize))
}

/// Inodes of the volume of `path`: all, and those that may still be taken. `None` where they are not
/// counted, or when nobody knows.
pub fn inodes(path: &Path) -> Option<(u64, u64)> {
    let volume = rustix::fs::statvfs(path).ok()?;
    (volume.f_files > 0).then_some((volume.f_files, volume.f_favail))
}

fn checksum(identity: &Identity) -> u32 {
    crc32c::crc32c(&serde_json::to_vec(identity).unwrap_or_default())
}

/// With what to do about it, where an operator can do something.
fn not_ours(path: &Path, verb: &str, error: &std::io::Error) -> Fault {
    let remedy = match error.kind() {
        ErrorKind::PermissionDenied => {
            "; METASTORE_DATA_DIR must belong to the user of core (in a pod: fsGroup)"
        }
        ErrorKind::ReadOnlyFilesystem => "; METASTORE_DATA_DIR must not be mounted read-only",
        _ => "",
    };
    let fault = io_fault(path, verb, error);
    Fault { detail: fault.detail + remedy, ..fault }
}

pub(super) fn io_fault(path: &Path, verb: &str, error: &std::io::Error) -> Fault {
    let kind = match error.kind() {
        ErrorKind::NotFound | ErrorKind::InvalidData => FaultKind::Corrupt,
        _ => FaultKind::Disk,
    };
    Fault { kind, detail: format!("{}: cannot {verb}: {error}", path.display()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity { format: FORMAT, cluster_id: 1, member_id: 2, name: "one".to_owned() }
    }

    #[test]
    fn an_identity_comes_back_and_damage_is_named() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::take(place.path()).unwrap();
        assert_eq!(directory.identity().unwrap(), None);
        directory.begin().unwrap();
        directory.finish(&identity()).unwrap();
        assert_eq!(directory.identity().unwrap(), Some(identity()));

        let path = place.path().join("IDENTITY");
        let mut text = std::fs::read(&path).unwrap();
        for place in 0..text.len() {
            text[place] ^= 1;
            std::fs::write(&path, &text).unwrap();
            if let Ok(Some(read)) = directory.identity() {
                assert_eq!(read, identity(), "a flip at {place} went unnoticed");
            }
            text[place] ^= 1;
        }
        std::fs::write(&path, &text[..text.len() / 2]).unwrap();
        assert_eq!(directory.identity().unwrap_err().kind, FaultKind::Corrupt);
    }

    #[test]
    fn data_without_an_identity_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::take(place.path()).unwrap();
        std::fs::create_dir(directory.state()).unwrap();
        assert_eq!(directory.identity().unwrap_err().kind, FaultKind::Corrupt);
    }

    #[test]
    fn a_second_process_is_turned_away() {
        let place = tempfile::tempdir().unwrap();
        let _first = Directory::take(place.path()).unwrap();
        assert_eq!(Directory::take(place.path()).unwrap_err().kind, FaultKind::Taken);
    }
}
