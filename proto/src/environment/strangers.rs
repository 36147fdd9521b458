//! Variables with our prefix, or etcd's, that are not in the table.

use super::table::{PREFIX, TABLE};
use super::{Finding, Warning, etcd};

/// What all of etcd's variables begin with.
pub(super) const ETCD_PREFIX: &str = "ETCD_";

/// The longest name of a Service, and of one of its ports (DNS labels).
const LABEL_MAX: usize = 63;

/// The longest name that Kubernetes sets: `<Service>_SERVICE_PORT_<port>`. A longer one is nobody's,
/// and is not compared with all of ours. In characters.
const NAME_MAX: usize = LABEL_MAX + PORT_OF_SERVICE.len() + LABEL_MAX;

const PORT_OF_SERVICE: &str = "_SERVICE_PORT_";

/// What to say of a name that nobody reads. Its value may be a secret.
pub(super) enum Stranger {
    /// Kubernetes set it; nobody meant us.
    ServiceLink,
    Etcd(Warning),
    Unknown(Finding),
}

pub(super) fn stranger(name: &str, text: &str) -> Stranger {
    if name.chars().count() > NAME_MAX {
        let beginning: String = name.chars().take(NAME_MAX).collect();
        let reason = "there is no such variable";
        return Stranger::Unknown(Finding::of_name(format!("{beginning}…"), reason, "remove it"));
    }
    if is_service_link(name, text) {
        return Stranger::ServiceLink;
    }
    if let Some(flag) = name.strip_prefix(ETCD_PREFIX) {
        let reason = "variables of etcd are not read";
        return Stranger::Etcd(Finding::of_name(name, reason, etcd::counterpart(flag).advice()));
    }
    let remedy = match nearest(name) {
        Some(nearest) => format!("the nearest is {nearest}"),
        None => "remove it".to_owned(),
    };
    Stranger::Unknown(Finding::of_name(name, "there is no such variable", remedy))
}

/// Whether Kubernetes set it for a Service whose name begins with ours (or with `etcd`).
///
/// For a Service `metastore`: METASTORE_SERVICE_HOST, METASTORE_SERVICE_PORT,
/// METASTORE_SERVICE_PORT_CLIENT, METASTORE_PORT, METASTORE_PORT_2379_TCP and
/// METASTORE_PORT_2379_TCP_ADDR (_PORT, _PROTO); for `metastore-client` the same, longer.
fn is_service_link(name: &str, text: &str) -> bool {
    let is_url = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| text.starts_with(scheme));
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains(PORT_OF_SERVICE)
        || (name.ends_with("_PORT") && is_url)
        || name.match_indices("_PORT_").any(|(at, found)| {
            let tail = name.get(at + found.len()..).unwrap_or_default();
            is_numbered_port(tail)
        })
}

/// `2379_TCP`, `2379_TCP_ADDR`, ….
fn is_numbered_port(tail: &str) -> bool {
    let mut words = tail.split('_');
    let number = words.next().unwrap_or_default();
    let protocol = words.next().unwrap_or_default();
    !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && ["TCP", "UDP", "SCTP"].contains(&protocol)
        && words.next().is_none_or(|detail| ["PROTO", "PORT", "ADDR"].contains(&detail))
        && words.next().is_none()
}

/// The variable that is most alike, if it is alike at all.
fn nearest(name: &str) -> Option<&'static str> {
    let typed = name.strip_prefix(PREFIX)?.to_uppercase();
    let most = (typed.len() / 4).max(1);
    let known = TABLE.iter().filter_map(|row| Some((row.name, row.name.strip_prefix(PREFIX)?)));
    known
        .filter_map(|(full, known)| Some((edit_distance(&typed, known, most)?, full)))
        .min()
        .map(|(_, nearest)| nearest)
}

/// Levenshtein's: letters to insert, remove or replace; `None` if they are more than `most`. A file
/// of nothing but mistakes must not take long.
fn edit_distance(from: &str, to: &str, most: usize) -> Option<usize> {
    if from.len().abs_diff(to.len()) > most {
        return None;
    }
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (at, letter) in (1..).zip(from.bytes()) {
        // The distances of `from`'s first `at` letters, from those of one letter fewer.
        let mut next = vec![at];
        for ((above, diagonal), other) in row.iter().skip(1).zip(&row).zip(to.bytes()) {
            let left = next.last().copied().unwrap_or(at);
            let replaced = diagonal + usize::from(letter != other);
            next.push(replaced.min(above + 1).min(left + 1));
        }
        // It never becomes less than the least of a row.
        next.iter().min().filter(|least| **least <= most)?;
        row = next;
    }
    row.last().copied().filter(|distance| *distance <= most)
}

#[cfg(test)]
#[path = "strangers_tests.rs"]
mod tests;
