//! From text to URLs: where to listen, what to tell others, who the members are.

use std::net::{IpAddr, Ipv6Addr};

use super::parse::{Parsed, refusal};
use super::settings::{ListenHost, ListenUrl};

/// URLs to tell others, as etcd prints them: without a trailing slash, sorted, each once.
pub(super) fn advertised_urls(text: &str) -> Parsed<Vec<String>> {
    let mut urls: Vec<_> = urls(text)?.into_iter().map(|url| url.text).collect();
    urls.sort();
    urls.dedup();
    Ok(urls)
}

/// URLs as they are given.
pub(super) fn urls(text: &str) -> Parsed<Vec<Url>> {
    each(text, url)
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
        Err(_) => {
            let reason = "a host name is not a place to listen on";
            return Err(refusal(reason, "write an IP address or localhost"));
        }
    };
    Ok(ListenUrl { text: url.text, host, port: url.port })
}

/// `name=url` pairs, in the order given.
pub(super) fn members(text: &str) -> Parsed<Vec<(String, String)>> {
    each(text, |item| {
        let refused = || refusal("a member without a name", "write name=http://host:port");
        let (name, address) = item.split_once('=').ok_or_else(refused)?;
        Ok((name.to_owned(), url(address)?.text))
    })
}

/// The items of a comma-separated list, which must not be empty.
fn each<T>(text: &str, parse: impl Fn(&str) -> Parsed<T>) -> Parsed<Vec<T>> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let parsed = items.map(parse).collect::<Parsed<Vec<T>>>()?;
    match parsed.is_empty() {
        true => Err(refusal("an empty list", "write at least one http://host:port")),
        false => Ok(parsed),
    }
}

/// `http://host:port`.
pub(super) struct Url {
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Normalised.
    pub(super) text: String,
}

fn url(text: &str) -> Parsed<Url> {
    let refused =
        || refusal("not the URL of a host and a port", "write for example http://localhost:2379");
    if text.contains('@') {
        let reason = "a URL with a user or a password, which is no secret here";
        return Err(refusal(reason, "write http://host:port: there are no users yet"));
    }
    let (scheme, rest) = text.split_once("://").ok_or_else(refused)?;
    if scheme.eq_ignore_ascii_case("https") {
        return Err(refusal("TLS is not supported yet", "write http://host:port"));
    }
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(refused());
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = authority.rsplit_once(':').ok_or_else(refused)?;
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port: u16 = port.parse().ok().filter(|_| digits).ok_or_else(refused)?;
    let bare = match host.strip_prefix('[') {
        Some(opened) => ipv6(opened).ok_or_else(refused)?,
        None if is_host(host) => host,
        None => return Err(refused()),
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
#[path = "urls_tests.rs"]
mod tests;
