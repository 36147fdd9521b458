//! From text to values. Each parser says in its error what it needs, with an example.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::settings::{ListenHost, ListenUrl};

/// A value, or what the text would have to be ("needs …").
pub(super) type Parsed<T> = Result<T, String>;

/// Beyond it, adding to a point in time might overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Text that may stand in `name=url` lists.
pub(super) fn name(text: &str) -> Parsed<String> {
    if text.contains([',', '=']) {
        return Err("needs a name without commas and equals signs".to_owned());
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
        true => Err("needs at most a year, 8760h".to_owned()),
        false => Ok(sum),
    }
}

/// The first number with its unit, and the rest of the text.
fn duration_part(text: &str) -> Parsed<(Duration, &str)> {
    let (number, after) = split_digits(text);
    let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
    let (unit, rest) = after.split_at(end);
    let part = number.parse().ok().zip(duration_unit(unit));
    part.map(|(number, unit): (u32, Duration)| (unit.saturating_mul(number), rest))
        .ok_or_else(|| "needs a number with a unit (ms, s, m, h), for example 500ms".to_owned())
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

/// A duration of at least `least`.
pub(super) fn duration_from(least: Duration) -> impl Fn(&str) -> Parsed<Duration> {
    move |text| match duration(text)? {
        given if given < least => Err(format!("needs at least {least:?}")),
        given => Ok(given),
    }
}

/// Bytes: a number, alone or with B, kB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (of 1024).
pub(super) fn bytes(text: &str) -> Parsed<u64> {
    let needs = || "needs a number of bytes, for example 1048576, 64MiB or 2GB".to_owned();
    let (number, unit) = split_digits(text);
    let number: u64 = number.parse().map_err(|_| needs())?;
    let factor = byte_unit(unit.trim_start()).ok_or_else(needs)?;
    number.checked_mul(factor).ok_or_else(|| "needs fewer bytes".to_owned())
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

/// Bytes in memory, in this range.
pub(super) fn bytes_in(range: RangeInclusive<usize>) -> impl Fn(&str) -> Parsed<usize> {
    move |text| match usize::try_from(bytes(text)?) {
        Ok(given) if range.contains(&given) => Ok(given),
        _ => Err(format!("needs {} to {} bytes", range.start(), range.end())),
    }
}

/// Bytes, possibly negative.
pub(super) fn signed_bytes(text: &str) -> Parsed<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let size = i64::try_from(bytes(digits)?).map_err(|_| "needs fewer bytes".to_owned())?;
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
        _ => Err(format!("needs a whole number from {} to {}", range.start(), range.end())),
    }
}

/// `true` or `false`, `1` or `0`.
pub(super) fn boolean(text: &str) -> Parsed<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("needs true or false".to_owned()),
    }
}

/// An IP address with a port.
pub(super) fn address(text: &str) -> Parsed<SocketAddr> {
    text.parse().map_err(|_| "needs an IP address and a port, for example [::]:2381".to_owned())
}

/// URLs to tell others, as etcd prints them: without a trailing slash, sorted, each once.
pub(super) fn advertised_urls(text: &str) -> Parsed<Vec<String>> {
    let mut urls = each(text, |item| Ok(url(item)?.text))?;
    urls.sort();
    urls.dedup();
    Ok(urls)
}

/// URLs to listen on, each once.
pub(super) fn listen_urls(text: &str) -> Parsed<Vec<ListenUrl>> {
    let mut urls: Vec<ListenUrl> = Vec::new();
    for url in each(text, listen_url)? {
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    Ok(urls)
}

fn listen_url(text: &str) -> Parsed<ListenUrl> {
    let url = url(text)?;
    let host = match url.host.parse::<IpAddr>() {
        Ok(ip) => ListenHost::Ip(ip),
        Err(_) if url.host.eq_ignore_ascii_case("localhost") => ListenHost::Localhost,
        Err(_) => return Err("needs an IP address or localhost to listen on".to_owned()),
    };
    Ok(ListenUrl { text: url.text, host, port: url.port })
}

/// `name=url` pairs, in the order given.
pub(super) fn members(text: &str) -> Parsed<Vec<(String, String)>> {
    each(text, |item| {
        let (name, address) = item.split_once('=').ok_or("needs name=http://host:port")?;
        Ok((name.to_owned(), url(address)?.text))
    })
}

/// The items of a comma-separated list, which must not be empty.
fn each<T>(text: &str, parse: impl Fn(&str) -> Parsed<T>) -> Parsed<Vec<T>> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let parsed = items.map(parse).collect::<Parsed<Vec<T>>>()?;
    match parsed.is_empty() {
        true => Err("needs at least one http://host:port".to_owned()),
        false => Ok(parsed),
    }
}

struct Url {
    host: String,
    port: u16,
    /// Normalised.
    text: String,
}

fn url(text: &str) -> Parsed<Url> {
    let needs =
        || "needs http://host:port without a path, for example http://localhost:2379".to_owned();
    let (scheme, rest) = text.split_once("://").ok_or_else(needs)?;
    if scheme.eq_ignore_ascii_case("https") {
        return Err("TLS is not supported yet: needs http://host:port".to_owned());
    }
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(needs());
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = authority.rsplit_once(':').ok_or_else(needs)?;
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port: u16 = port.parse().ok().filter(|_| digits).ok_or_else(needs)?;
    let bare = match host.strip_prefix('[') {
        Some(opened) => ipv6(opened).ok_or_else(needs)?,
        None if is_host(host) => host,
        None => return Err(needs()),
    };
    Ok(Url { host: bare.to_owned(), port, text: format!("http://{host}:{port}") })
}

fn ipv6(opened: &str) -> Option<&str> {
    let address = opened.strip_suffix(']')?;
    address.parse::<Ipv6Addr>().ok().map(|_| address)
}

fn is_host(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !host.is_empty() && host.bytes().all(allowed)
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
