//! What the disk means for the probes. Pure.

use metastore_proto::environment::DiskSettings;
use tokio::time::Instant;

use super::{Check, Part, Probe, Reading, Status};
use crate::disk::{DiskState, Level, Space};

/// Judges what is known of the disk.
///
/// Readiness could suffer in one case only: below the floor, while another voter is above it, so
/// that clients have somewhere better to go. A sole voter stays ready, or nobody could delete
/// anything through the Service. As long as a cluster has one voter, that is every member; once
/// there are more, [`Probe::Ready`] joins this check where core knows of a roomier voter. Liveness
/// never suffers: a restart frees nothing.
pub fn disk(state: &DiskState, settings: &DiskSettings, now: Instant) -> Check {
    let status = match (state.level, state.space) {
        (Level::Low | Level::Floor, _) => Status::Failed(too_little(state)),
        (Level::Ok | Level::Warn, Some(_)) => Status::Ok,
        (Level::Ok | Level::Warn, None) => Status::Unknown,
    };
    Check::new("disk", Part::Disk, &[Probe::Health], status)
        .reading(reading(state, settings))
        .aged(state.measured_at.map(|at| now.duration_since(at)))
}

/// Of bytes and inodes, those of which a smaller share is free.
pub(super) fn scarcer(state: &DiskState) -> Option<(Space, &'static str)> {
    let spaces = [(state.space, "bytes"), (state.inodes, "inodes")];
    let known = spaces.into_iter().filter_map(|(space, unit)| Some((space?, unit)));
    // The first of those that are equal.
    known.min_by_key(|(space, _)| std::cmp::Reverse(space.used_percent()))
}

fn too_little(state: &DiskState) -> String {
    let level = state.level.as_str();
    match scarcer(state) {
        None => format!("DISK {}", level.to_uppercase()),
        Some((space, unit)) => {
            let (free, total) = (space.free, space.total);
            format!("DISK {}: {free} of {total} {unit} are free", level.to_uppercase())
        }
    }
}

fn reading(state: &DiskState, settings: &DiskSettings) -> Option<Reading> {
    let (space, unit) = scarcer(state)?;
    let threshold = match unit {
        "inodes" => settings.low.of(space.total)?,
        _ => settings.low.bytes_of(space.total),
    };
    Some(Reading::count(space.free, threshold, unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tunable::Tunable;

    fn judged(level: Level, bytes: Option<u64>, inodes: Option<u64>) -> Check {
        let space = |free: u64| Space { total: 1000, free };
        let state = DiskState {
            level,
            space: bytes.map(space),
            inodes: inodes.map(space),
            ..DiskState::default()
        };
        disk(&state, &Tunable::default().disk, Instant::now())
    }

    #[test]
    fn levels() {
        for (level, bytes, inodes, failure) in [
            (Level::Ok, Some(900), Some(900), None),
            (Level::Warn, Some(150), None, None),
            (Level::Low, Some(50), None, Some("DISK LOW: 50 of 1000 bytes are free")),
            (Level::Low, Some(500), Some(9), Some("DISK LOW: 9 of 1000 inodes are free")),
            (Level::Floor, Some(1), Some(9), Some("DISK FLOOR: 1 of 1000 bytes are free")),
            (Level::Low, None, None, Some("DISK LOW")),
        ] {
            let check = judged(level, bytes, inodes);
            assert_eq!(check.failure(), failure, "{level:?} {bytes:?} {inodes:?}");
            assert_eq!(check.probes, [Probe::Health], "a disk fails no other probe");
        }
        assert_eq!(judged(Level::Ok, None, None).status, Status::Unknown);
    }

    #[test]
    fn the_scarcer_of_two_is_shown() {
        let reading = |bytes, inodes| judged(Level::Ok, bytes, inodes).reading.unwrap();
        assert_eq!(reading(Some(200), Some(900)).unit, "bytes");
        assert_eq!(reading(Some(900), Some(200)).unit, "inodes");
        assert_eq!(reading(Some(200), Some(200)).unit, "bytes");
        assert_eq!(reading(None, Some(200)).value, 200.0);
    }
}
