//! Numbers as people read them. Pure.

use std::time::Duration;

/// Three digits and a binary unit: `1.24 GiB`. Rounded down: free space is never exaggerated.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut unit = "B";
    let mut hundredths = u128::from(count) * 100;
    for larger in UNITS {
        if hundredths < 102_400 {
            break;
        }
        (unit, hundredths) = (larger, hundredths / 1024);
    }
    let (whole, part) = (hundredths / 100, hundredths % 100);
    match whole {
        0..10 => format!("{whole}.{part:02} {unit}"),
        10..100 => format!("{whole}.{} {unit}", part / 10),
        _ => format!("{whole} {unit}"),
    }
}

/// With commas: `12,345`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with its noun: `1 key`, `2 keys`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// The largest unit, and the next one while there are few of the largest: `340 ms`, `2.5 s`,
/// `5 min 12 s`, `12 min`, `3 h 4 min`, `2 d 3 h`. Rounded down.
pub fn duration(time: Duration) -> String {
    let (seconds, tenths) = (time.as_secs(), time.subsec_millis() / 100);
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..10 if tenths > 0 => format!("{seconds}.{tenths} s"),
        1..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds / 60 % 60, "min"),
        _ => two(seconds / 86_400, "d", seconds / 3600 % 24, "h"),
    }
}

fn two(large: u64, unit: &str, small: u64, small_unit: &str) -> String {
    match (large, small) {
        (10.., _) | (_, 0) => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {small_unit}"),
    }
}

pub fn milliseconds(time_ms: u64) -> String {
    duration(Duration::from_millis(time_ms))
}

/// Microseconds below a millisecond, then as [`duration`].
pub fn microseconds(time_us: u64) -> String {
    match time_us {
        0..1000 => format!("{time_us} µs"),
        1000..10_000 => format!("{}.{} ms", time_us / 1000, time_us / 100 % 10),
        _ => duration(Duration::from_micros(time_us)),
    }
}

/// As etcdctl prints ids.
pub fn id(number: u64) -> String {
    format!("{number:x}")
}

/// `2026-11-23T23:19:00Z` as people write it: `2026-11-23 23:19:00 UTC`.
pub fn moment(rfc3339: &str) -> String {
    rfc3339.replace('T', " ").replace('Z', " UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_digits() {
        for (number, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1_048_575, "1023 KiB"),
            (1_048_576, "1.00 MiB"),
            (1_300_000_000, "1.21 GiB"),
            (13_000_000_000, "12.1 GiB"),
            (130_000_000_000, "121 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(bytes(number), expected);
        }
    }

    #[test]
    fn counts_have_commas() {
        for (number, expected) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (12_345, "12,345"), (1_234_567, "1,234,567")]
        {
            assert_eq!(count(number), expected);
        }
        assert_eq!(counted(1, "key", "keys"), "1 key");
        assert_eq!(counted(0, "key", "keys"), "0 keys");
    }

    #[test]
    fn durations_have_two_units_at_most() {
        for (ms, expected) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1000, "1 s"),
            (2500, "2.5 s"),
            (59_999, "59 s"),
            (60_000, "1 min"),
            (312_000, "5 min 12 s"),
            (725_000, "12 min"),
            (3_600_000, "1 h"),
            (11_040_000, "3 h 4 min"),
            (183_600_000, "2 d 3 h"),
            (900_000_000, "10 d"),
        ] {
            assert_eq!(milliseconds(ms), expected);
        }
        assert_eq!([999, 1240, 12_000].map(microseconds), ["999 µs", "1.2 ms", "12 ms"]);
    }

    #[test]
    fn moments_and_ids() {
        assert_eq!(moment("2026-11-23T23:19:00Z"), "2026-11-23 23:19:00 UTC");
        assert_eq!(id(0x8e9e_05c5_2164_694d), "8e9e05c52164694d");
    }
}
