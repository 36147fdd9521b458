//! How fast the disk makes a small write durable. Tried in the data directory before anything is
//! opened: a disk that is too slow for a log should be known before clients find out.

use std::fs::{File, remove_file};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use super::directory::io_fault;
use crate::clock;
use crate::domain::Fault;

/// About as much as a small group of requests.
const BYTES: usize = 4096;
/// An odd number, for the median.
const WRITES: usize = 9;
/// A disk that is slower than this allows is judged by fewer writes.
const LIMIT: Duration = Duration::from_secs(1);

/// The median of a few synced writes; `None` on a disk without room for them, which core must be
/// able to open. A directory that cannot be written is a fault.
pub fn probe(directory: &Path) -> Result<Option<Duration>, Fault> {
    let path = directory.join("PROBE");
    let times = synced_writes(&path);
    // One that stays behind is overwritten by the next probe.
    drop(remove_file(&path));
    match times {
        Ok(times) => Ok(median(times)),
        Err(error) if is_full(&error) => Ok(None),
        Err(error) => Err(io_fault(&path, "write", &error)),
    }
}

/// Appends, as a log does.
fn synced_writes(path: &Path) -> io::Result<Vec<Duration>> {
    let mut file = File::create(path)?;
    let mut times = Vec::with_capacity(WRITES);
    let mut spent = Duration::ZERO;
    while times.len() < WRITES && spent < LIMIT {
        let begun = clock::monotonic_us();
        file.write_all(&[0x5a; BYTES])?;
        file.sync_data()?;
        // A sync that takes no time was tried all the same.
        let took = (clock::monotonic_us() - begun).max(1).cast_unsigned();
        times.push(Duration::from_micros(took));
        spent += Duration::from_micros(took);
    }
    Ok(times)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort();
    times.get(times.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FaultKind;

    #[test]
    fn a_probe_takes_time_and_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        assert!(probe(place.path()).unwrap().unwrap() > Duration::ZERO);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_a_fault() {
        let place = tempfile::tempdir().unwrap();
        // A directory of that name is in the way of every user, of root too.
        std::fs::create_dir(place.path().join("PROBE")).unwrap();
        let fault = probe(place.path()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Disk);
        assert!(fault.detail.contains("PROBE: cannot write"), "{fault}");
    }

    #[test]
    fn a_full_disk_is_none() {
        for (code, expected) in [(28, true), (122, true), (5, false), (30, false)] {
            assert_eq!(is_full(&io::Error::from_raw_os_error(code)), expected, "{code}");
        }
    }

    #[test]
    fn the_median_does_not_mind_one_that_is_slow() {
        let ms = |ms| Duration::from_millis(ms);
        assert_eq!(median(vec![ms(900), ms(1), ms(2)]), Some(ms(2)));
        assert_eq!(median(vec![ms(3), ms(1)]), Some(ms(3)));
        assert_eq!(median(Vec::new()), None);
    }
}
