//! Whether there is enough room. Pure.
//!
//! Three marks. Each trips at once when less is free than it says, and is released when there has
//! been enough for `clear_after`; for the one that raises the alarm, enough is more than what
//! trips it, so that a disk at the mark does not raise and clear without end. Bytes and inodes
//! count alike: whichever is scarcer decides.

use metastore_proto::environment::{DiskSettings, Share};
use tokio::time::Instant;

use super::space::Room;

/// How scarce room is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    #[default]
    Ok,
    /// An operator should look.
    Warn,
    /// Writes are to be refused.
    Low,
    /// The member may have to stop: even what it rewrites may not find room any more.
    Floor,
}

impl Level {
    pub const ALL: [Self; 4] = [Self::Ok, Self::Warn, Self::Low, Self::Floor];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Low => "low",
            Self::Floor => "floor",
        }
    }
}

/// What one measurement leaves for the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub level: Level,
    /// Since when; `None` before the first measurement.
    pub since: Option<Instant>,
    warn: Mark,
    low: Mark,
    floor: Mark,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark {
    is_tripped: bool,
    /// Since when there has been enough to release it.
    enough_since: Option<Instant>,
}

impl Standing {
    /// Since when there has been room enough to clear the alarm.
    pub fn roomy_since(&self) -> Option<Instant> {
        self.low.enough_since
    }

    /// When nothing could be measured: nobody knows whether there still is enough.
    pub fn unmeasured(self) -> Self {
        let forget = |mark: Mark| Mark { enough_since: None, ..mark };
        let (warn, low, floor) = (forget(self.warn), forget(self.low), forget(self.floor));
        Self { warn, low, floor, ..self }
    }
}

/// Where it stands with this room now.
pub fn judge(before: &Standing, room: &Room, settings: &DiskSettings, now: Instant) -> Standing {
    let step = |mark: Mark, trip: Share, is_enough: bool| {
        let enough_since = is_enough.then(|| mark.enough_since.unwrap_or(now));
        let is_over = enough_since.is_some_and(|since| now - since >= settings.clear_after);
        let is_tripped = is_below(room, trip) || (mark.is_tripped && !is_over);
        Mark { is_tripped, enough_since }
    };
    let DiskSettings { warn, low, clear, floor, .. } = *settings;
    let is_roomy = !is_below(room, clear) && !is_below(room, low) && room.suits_core;
    let warn = step(before.warn, warn, !is_below(room, warn));
    let low = step(before.low, low, is_roomy);
    let floor = step(before.floor, floor, !is_below(room, floor));
    let level = if floor.is_tripped {
        Level::Floor
    } else if low.is_tripped {
        Level::Low
    } else if warn.is_tripped {
        Level::Warn
    } else {
        Level::Ok
    };
    let since = before.since.filter(|_| before.level == level).unwrap_or(now);
    Standing { level, since: Some(since), warn, low, floor }
}

fn is_below(room: &Room, mark: Share) -> bool {
    let inodes = room.inodes.and_then(|inodes| Some((inodes.free, mark.of(inodes.total)?)));
    room.bytes.free < mark.bytes_of(room.bytes.total)
        || inodes.is_some_and(|(free, mark)| free < mark)
}

#[cfg(test)]
#[path = "levels_tests.rs"]
mod tests;
