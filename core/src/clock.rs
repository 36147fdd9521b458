//! The clocks of the process. Rules never read them: `now` is an argument there.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The clocks as somebody has read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Never goes back; milliseconds from an arbitrary start.
    pub monotonic_ms: i64,
    /// Milliseconds since the epoch.
    pub unix_ms: i64,
}

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// Microseconds since about the start of the process; never goes back.
pub fn monotonic_us() -> i64 {
    i64::try_from(start().elapsed().as_micros()).unwrap_or(i64::MAX)
}

/// Milliseconds since about the start of the process; never goes back.
pub fn monotonic_ms() -> i64 {
    monotonic_us() / 1000
}

/// Milliseconds since the epoch.
pub fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

pub fn now() -> Now {
    Now { monotonic_ms: monotonic_ms(), unix_ms: unix_ms() }
}
