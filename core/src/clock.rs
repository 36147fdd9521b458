//! The clocks of the process. Rules never read them: `now` is an argument there.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

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

/// Milliseconds since the epoch, as somebody has set it: for a store that begins, and nothing else
/// (`replica/steady_time.rs`).
pub fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
