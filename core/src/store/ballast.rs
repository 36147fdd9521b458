//! Bytes and inodes put aside, to be given up when the disk is full: deletes, and what the store
//! rewrites by itself, then still have room.
//!
//! A directory of many files, because a disk that is out of inodes is as full as one without
//! bytes: RocksDB writes by making files. It is given up when something must be written and little
//! is free, not before: what nobody needs yet would only go to whoever fills the disk.

use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::directory::io_fault;
use crate::domain::Fault;

/// What it is made of: enough inodes to open both databases, and to write each column once.
pub const FILES: u64 = 64;

/// The directory `ballast` of a data directory.
#[derive(Debug)]
pub struct Ballast {
    path: PathBuf,
    /// Bytes of each file; 0: there is to be no ballast.
    file_bytes: u64,
    /// Bytes that are put aside. Changes only under `changing`.
    held: AtomicU64,
    changing: Mutex<()>,
    /// Whether the next write gives it up.
    is_due: AtomicBool,
    /// The file system cannot put bytes aside.
    is_impossible: AtomicBool,
}

impl Ballast {
    /// As it lies in the data directory, which need not exist yet.
    pub fn new(directory: &Path, wanted: u64) -> Self {
        let path = directory.join("ballast");
        Self {
            held: AtomicU64::new(found(&path)),
            path,
            file_bytes: wanted.div_ceil(FILES),
            changing: Mutex::default(),
            is_due: AtomicBool::new(false),
            is_impossible: AtomicBool::new(false),
        }
    }

    /// Bytes that are put aside now.
    pub fn bytes(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Bytes that putting it aside would take now.
    pub fn missing(&self) -> u64 {
        if self.is_impossible.load(Ordering::Relaxed) {
            return 0;
        }
        (self.file_bytes * FILES).saturating_sub(self.bytes())
    }

    /// Whether so little is free that the next write needs it.
    pub fn set_due(&self, is_due: bool) {
        self.is_due.store(is_due, Ordering::Relaxed);
    }

    /// To be called before something is written. Costs a load where there is room.
    pub fn before_write(&self) {
        if !self.is_due.load(Ordering::Relaxed) || self.bytes() == 0 {
            return;
        }
        match self.release() {
            Ok(_) => tracing::warn!("the disk is nearly full: the ballast was freed for a write"),
            // The write itself will tell what is wrong.
            Err(fault) => tracing::warn!(%fault, "the ballast cannot be freed"),
        }
    }

    /// Gives it up; answers whether there was something.
    pub fn release(&self) -> Result<bool, Fault> {
        let _alone = self.changing.lock();
        self.remove().map_err(|error| io_fault(&self.path, "remove", &error))?;
        Ok(self.held.swap(0, Ordering::Relaxed) > 0)
    }

    /// Puts it aside. Whether there is room for it is the caller's to know; when there is not, it
    /// goes without, until it is called again.
    pub fn fill(&self) {
        let _alone = self.changing.lock();
        match self.remove().and_then(|()| self.allocate()) {
            Ok(()) => self.held.store(self.file_bytes * FILES, Ordering::Relaxed),
            Err(error) => {
                // A part of it would only be in the way.
                drop(self.remove());
                self.held.store(found(&self.path), Ordering::Relaxed);
                if error.raw_os_error() != Some(Errno::NOSPC.raw_os_error()) {
                    tracing::warn!(%error, "no ballast: the file system cannot put bytes aside");
                    self.is_impossible.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    fn allocate(&self) -> io::Result<()> {
        DirBuilder::new().create(&self.path)?;
        for number in 0..FILES {
            let file = File::create(self.path.join(number.to_string()))?;
            rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, self.file_bytes)?;
        }
        Ok(())
    }

    fn remove(&self) -> io::Result<()> {
        let removed = match std::fs::remove_dir_all(&self.path) {
            // Before it was a directory it was one file.
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                std::fs::remove_file(&self.path)
            }
            removed => removed,
        };
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Bytes that lie there.
fn found(path: &Path) -> u64 {
    let files = std::fs::read_dir(path).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: u64 = FILES * 4096;

    #[test]
    fn it_is_given_up_by_a_write_that_needs_it_and_comes_back() {
        let place = tempfile::tempdir().unwrap();
        let ballast = Ballast::new(place.path(), BYTES);
        assert_eq!((ballast.bytes(), ballast.missing()), (0, BYTES));
        ballast.fill();
        assert_eq!((ballast.bytes(), ballast.missing()), (BYTES, 0));
        assert_eq!(found(&place.path().join("ballast")), BYTES);

        ballast.before_write();
        assert_eq!(ballast.bytes(), BYTES, "there is room");
        ballast.set_due(true);
        ballast.before_write();
        assert_eq!(ballast.bytes(), 0);
        assert!(!place.path().join("ballast").exists());

        ballast.set_due(false);
        ballast.fill();
        assert!(ballast.release().unwrap());
        assert!(!ballast.release().unwrap(), "it is gone");
    }

    #[test]
    fn what_an_earlier_life_put_aside_is_found() {
        let place = tempfile::tempdir().unwrap();
        Ballast::new(place.path(), BYTES).fill();
        assert_eq!(Ballast::new(place.path(), BYTES).bytes(), BYTES);
        let larger = Ballast::new(place.path(), 2 * BYTES);
        assert_eq!(larger.missing(), BYTES);
        larger.fill();
        assert_eq!(larger.bytes(), 2 * BYTES);
        assert_eq!(Ballast::new(place.path(), 0).missing(), 0);
    }

    #[test]
    fn a_file_of_before_becomes_a_directory() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("ballast"), "aside").unwrap();
        let ballast = Ballast::new(place.path(), BYTES);
        ballast.fill();
        assert_eq!(found(&place.path().join("ballast")), BYTES);
    }

    #[test]
    fn where_it_cannot_be_it_is_not_tried_again() {
        let place = tempfile::tempdir().unwrap();
        let ballast = Ballast::new(&place.path().join("missing"), BYTES);
        ballast.fill();
        assert_eq!((ballast.bytes(), ballast.missing()), (0, 0));
    }
}
