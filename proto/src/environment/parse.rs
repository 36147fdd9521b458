//! From text to values. Each parser says in its error what it wants, with an example.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::settings::Share;

/// A value, or why the text is none.
pub(super) type Parsed<T> = Result<T, Refusal>;

/// What is wrong with a text, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: String,
    pub(super) remedy: String,
}

pub(super) fn refusal(reason: impl Into<String>, remedy: impl Into<String>) -> Refusal {
    Refusal { reason: reason.into(), remedy: remedy.into() }
}

/// Beyond it, adding to a point in time might overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Text that may stand in `name=url` lists.
pub(super) fn name(text: &str) -> Parsed<String> {
    if text.contains([',', '=']) {
        let reason = "a name stands in lists of name=url";
        return Err(refusal(reason, "write it without commas and equals signs"));
    }
    Ok(text.to_owned())
}

/// Any text.
pub(super) fn text(text: &str) -> Parsed<String> {
    Ok(text.to_owned())
}

/// Numbers with units, such as `500ms`, `10s`, `1h30m`; a bare number only if it is 0.
pub(super) fn duration(text: &str) -> Parsed<Duration> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut sum, mut rest) = duration_part(text)?;
    while !rest.is_empty() {
        let (part, next) = duration_part(rest)?;
        sum = sum.saturating_add(part);
        rest = next;
    }
    match sum > LONGEST {
        true => Err(refusal("longer than a year", "write at most 8760h")),
        false => Ok(sum),
    }
}

/// The first number with its unit, and the rest of the text.
fn duration_part(text: &str) -> Parsed<(Duration, &str)> {
    let (number, after) = split_digits(text);
    let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
    let (unit, rest) = after.split_at(end);
    let part = number.parse().ok().zip(duration_unit(unit));
    part.map(|(number, unit): (u32, Duration)| (unit.saturating_mul(number), rest)).ok_or_else(
        || refusal("not a duration", "write a number with a unit (ms, s, m, h), for example 500ms"),
    )
}

fn duration_unit(unit: &str) -> Option<Duration> {
    match unit {
        "us" | "µs" => Some(Duration::from_micros(1)),
        "ms" => Some(Duration::from_millis(1)),
        "s" => Some(Duration::from_secs(1)),
        "m" => Some(Duration::from_secs(60)),
        "h" => Some(Duration::from_secs(3600)),
        _ => None,
    }
}

/// A duration; a bare number is milliseconds.
pub(super) fn milliseconds(text: &str) -> Parsed<Duration> {
    match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => duration(&format!("{text}ms")),
        false => duration(text),
    }
}

/// As a table would have it: `500ms`, `10s`, `1h30m`.
pub(super) fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [
        (u128::from(seconds / 3600), "h"),
        (u128::from(seconds / 60 % 60), "m"),
        (u128::from(seconds % 60), "s"),
        (duration.as_millis() % 1000, "ms"),
        (duration.as_micros() % 1000, "us"),
    ];
    let parts = parts.iter().filter(|(number, _)| *number > 0);
    let text: String = parts.map(|(number, unit)| format!("{number}{unit}")).collect();
    if text.is_empty() { "0".to_owned() } else { text }
}

/// A duration of at least `least`.
pub(super) fn duration_from(least: Duration) -> impl Fn(&str) -> Parsed<Duration> {
    move |text| match duration(text)? {
        given if given < least => {
            Err(refusal("too short", format!("write at least {}", shown(least))))
        }
        given => Ok(given),
    }
}

/// Bytes: a number, alone or with B, kB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (of 1024).
pub(super) fn bytes(text: &str) -> Parsed<u64> {
    let refused = || refusal("not a number of bytes", "write for example 1048576, 64MiB or 2GB");
    let (number, unit) = split_digits(text);
    let number: u64 = number.parse().map_err(|_| refused())?;
    let factor = byte_unit(unit.trim_start()).ok_or_else(refused)?;
    number.checked_mul(factor).ok_or_else(too_many_bytes)
}

fn too_many_bytes() -> Refusal {
    refusal("more bytes than can be counted", "write fewer")
}

fn byte_unit(unit: &str) -> Option<u64> {
    match unit.to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "kb" => Some(1000),
        "mb" => Some(1000_u64.pow(2)),
        "gb" => Some(1000_u64.pow(3)),
        "tb" => Some(1000_u64.pow(4)),
        "kib" | "ki" => Some(1 << 10),
        "mib" | "mi" => Some(1 << 20),
        "gib" | "gi" => Some(1 << 30),
        "tib" | "ti" => Some(1 << 40),
        _ => None,
    }
}

/// A percentage with at most two decimals, or bytes.
pub(super) fn share(text: &str) -> Parsed<Share> {
    let Some(number) = text.strip_suffix('%') else {
        return bytes(text).map(Share::Bytes).map_err(|_| not_a_share());
    };
    let (whole, decimals) = number.trim_end().split_once('.').unwrap_or((number.trim_end(), "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(decimals) || decimals.len() > 2 {
        return Err(not_a_share());
    }
    let part = format!("{whole}{decimals:0<2}").parse().ok().filter(|part| *part <= 10_000);
    part.map(Share::Part).ok_or_else(|| refusal("more than there can be", "write at most 100%"))
}

fn not_a_share() -> Refusal {
    refusal("neither a percentage nor a number of bytes", "write for example 10% or 2GiB")
}

/// etcd's periodic retention: a duration, or a bare number of hours.
pub(super) fn retained_time(text: &str) -> Parsed<Duration> {
    let parsed = match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => duration(&format!("{text}h")),
        false => duration(text),
    };
    parsed.map_err(|refused| match refused.reason.as_str() {
        "not a duration" => {
            let remedy = "write hours or a duration, for example 8 or 30m";
            refusal(wrong_retention("neither hours nor a duration"), remedy)
        }
        _ => refused,
    })
}

/// etcd's retention by revisions. etcd takes a duration here, too, for as many revisions as it has
/// nanoseconds; nobody can mean that.
pub(super) fn retained_revisions(text: &str) -> Parsed<i64> {
    count(0..=i64::MAX)(text).map_err(|refused| match duration(text) {
        Ok(_) => refusal(
            wrong_retention("a time, while METASTORE_AUTO_COMPACTION_MODE is revision"),
            "write a number of revisions, for example 10000, or the mode periodic",
        ),
        Err(_) => refusal(wrong_retention("not a number of revisions"), refused.remedy),
    })
}

/// Begins as etcd's message does, so that it can be searched.
fn wrong_retention(why: &str) -> String {
    format!("error parsing CompactionRetention: {why}")
}

/// Bytes in memory, in this range.
pub(super) fn bytes_in(range: RangeInclusive<usize>) -> impl Fn(&str) -> Parsed<usize> {
    move |text| match usize::try_from(bytes(text)?) {
        Ok(given) if range.contains(&given) => Ok(given),
        _ => {
            let remedy = format!("write {} to {} bytes", range.start(), range.end());
            Err(refusal("too few or too many bytes", remedy))
        }
    }
}

/// Bytes, possibly negative.
pub(super) fn signed_bytes(text: &str) -> Parsed<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let size = i64::try_from(bytes(digits)?).map_err(|_| too_many_bytes())?;
    Ok(sign * size)
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// A whole number in this range.
pub(super) fn count<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Parsed<T>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    move |text| match text.parse() {
        Ok(given) if range.contains(&given) => Ok(given),
        _ => {
            let remedy = format!("write a number from {} to {}", range.start(), range.end());
            Err(refusal("not a whole number in its range", remedy))
        }
    }
}

/// `true` or `false`, `1` or `0`.
pub(super) fn boolean(text: &str) -> Parsed<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(refusal("neither yes nor no", "write true or false")),
    }
}

/// An IP address with a port.
pub(super) fn address(text: &str) -> Parsed<SocketAddr> {
    let refused = |_| refusal("not an IP address and a port", "write for example [::]:2381");
    text.parse().map_err(refused)
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
