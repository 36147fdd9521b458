//! The other process: takes space and inodes of a volume, and gives them back.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

const CHUNK: usize = 1 << 20;
/// Left over by a step that takes all: what the file system needs to note it.
const REST: u64 = 1 << 20;

/// Bytes that are free on a volume.
pub(crate) fn free_bytes(volume: &Path) -> u64 {
    let figures = statvfs(volume).unwrap();
    figures.f_bavail * figures.f_frsize
}

fn file(volume: &Path) -> PathBuf {
    volume.join("others")
}

/// Writes a file at this rate, in bytes a second, until the volume is full.
pub(crate) fn fill_slowly(volume: &Path, rate: u64) -> JoinHandle<()> {
    let mut file = File::create(file(volume)).unwrap();
    std::thread::spawn(move || {
        let (start, chunk) = (Instant::now(), vec![7; CHUNK]);
        for written in 1.. {
            if file.write_all(&chunk).is_err() {
                return;
            }
            // The pace, not a wait for anything.
            let due = Duration::from_secs_f64(f64::from(written) * CHUNK as f64 / rate as f64);
            sleep(due.saturating_sub(start.elapsed()));
        }
    })
}

/// Takes all but so many bytes at once.
pub(crate) fn fill_at_once(volume: &Path, left: u64) {
    let file = File::create(file(volume)).unwrap();
    let bytes = free_bytes(volume) - left.max(REST);
    fallocate(&file, FallocateFlags::empty(), 0, bytes).unwrap();
}

/// Takes every inode.
pub(crate) fn use_up_inodes(volume: &Path) {
    let place = file(volume);
    std::fs::create_dir(&place).unwrap();
    for number in 0.. {
        if File::create(place.join(number.to_string())).is_err() {
            return;
        }
    }
}

/// Gives everything back.
pub(crate) fn free(volume: &Path) {
    let path = file(volume);
    if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.unwrap();
}
