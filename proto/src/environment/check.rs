//! Rules across variables whose breach keeps both processes from starting.
//!
//! A rule is skipped when one of its variables is a mistake by itself: its value is then only the
//! default.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use super::parse::shown;
use super::settings::Share;
use super::table::{Field, Fields};
use super::{Mistake, Settings, urls};

/// What fits into the address of a Unix socket, without its closing zero.
const SOCKET_PATH_MAX: usize = 107;
const ELECTION_TIMEOUT_MAX: Duration = Duration::from_secs(50);

type Rule = fn(&Fields, &Settings) -> Vec<Mistake>;

/// What the settings break, besides the mistakes that are known.
pub(super) fn mistakes(f: &Fields, settings: &Settings, known: &[Mistake]) -> Vec<Mistake> {
    // The variables that a rule rests on, and the rule.
    let rules: [(&[&Field], Rule); 12] = [
        (&[&f.initial_cluster, &f.name, &f.initial_advertise_peer_urls], initial_cluster),
        (&[&f.admin_socket, &f.data_dir], socket_path),
        (&[&f.advertise_client_urls], advertised_clients),
        (&[&f.initial_advertise_peer_urls], advertised_peers),
        (&[&f.listen_client_urls, &f.sidecar_listen], one_listener_a_port),
        (&[&f.heartbeat_interval, &f.election_timeout], pace),
        (&[&f.quota_backend_bytes, &f.max_request_bytes], quota_and_requests),
        (&[&f.quota_backend_bytes, &f.disk_capacity_bytes], quota_and_capacity),
        (&[&f.ballast_bytes, &f.disk_capacity_bytes], ballast_and_capacity),
        (&[&f.observe_interval, &f.observation_max_age], observation_age),
        (&[&f.observation_max_age, &f.liveness_window], liveness_window),
        (
            &[
                &f.disk_capacity_bytes,
                &f.disk_warn_free,
                &f.disk_low_free,
                &f.disk_clear_free,
                &f.disk_floor_free,
            ],
            watermarks,
        ),
    ];
    let is_mistaken = |field: &&Field| known.iter().any(|it| it.variable == field.variable.name);
    let applicable = rules.iter().filter(|(rests_on, _)| !rests_on.iter().any(is_mistaken));
    applicable.flat_map(|(_, rule)| rule(f, settings)).collect()
}

/// `mistake` if it is one.
fn when(is_mistake: bool, mistake: impl FnOnce() -> Mistake) -> Vec<Mistake> {
    is_mistake.then(mistake).into_iter().collect()
}

fn pace(fields: &Fields, settings: &Settings) -> Vec<Mistake> {
    let heartbeat = settings.raft.heartbeat_interval;
    let election = settings.raft.election_timeout;
    if heartbeat < Duration::from_millis(1) {
        return vec![fields.heartbeat_interval.finding("too short", "write at least 1ms")];
    }
    let mistake = |reason: &str, remedy| vec![fields.election_timeout.finding(reason, remedy)];
    if heartbeat * 5 > ELECTION_TIMEOUT_MAX {
        let remedy = format!("write at most {}", shown(ELECTION_TIMEOUT_MAX / 5));
        return vec![
            fields.heartbeat_interval.finding("longer than any election may take", remedy),
        ];
    }
    if election < heartbeat * 5 {
        let reason = "shorter than five times METASTORE_HEARTBEAT_INTERVAL";
        return mistake(reason, format!("write at least {}", shown(heartbeat * 5)));
    }
    if election > ELECTION_TIMEOUT_MAX {
        return mistake("too long", format!("write at most {}", shown(ELECTION_TIMEOUT_MAX)));
    }
    Vec::new()
}

fn socket_path(fields: &Fields, settings: &Settings) -> Vec<Mistake> {
    let len = settings.admin.socket.as_os_str().as_bytes().len();
    if len <= SOCKET_PATH_MAX {
        return Vec::new();
    }
    let limit = format!("a path of at most {SOCKET_PATH_MAX} bytes");
    vec![if fields.admin_socket.is_given() {
        let reason = format!("{len} bytes do not fit into the address of a socket");
        fields.admin_socket.finding(reason, format!("write {limit}"))
    } else {
        let reason = format!("the path of the admin socket in it would have {len} bytes");
        fields.data_dir.finding(reason, format!("set METASTORE_ADMIN_SOCKET to {limit}"))
    }]
}

fn advertised_clients(fields: &Fields, _: &Settings) -> Vec<Mistake> {
    advertised(&fields.advertise_client_urls, "2379")
}

fn advertised_peers(fields: &Fields, _: &Settings) -> Vec<Mistake> {
    advertised(&fields.initial_advertise_peer_urls, "2380")
}

/// What others are told must be a place that they can connect to.
fn advertised(field: &Field, port: &str) -> Vec<Mistake> {
    let urls = if field.is_given() { urls::urls(field.text()) } else { Ok(Vec::new()) };
    let unusable = urls.unwrap_or_default().into_iter().find_map(|url| {
        let is_wildcard = url.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
        match (is_wildcard, url.port) {
            (true, _) => {
                Some(format!("nobody can connect to {}: it means every address", url.text))
            }
            (false, 0) => Some(format!("nobody can connect to port 0 of {}", url.text)),
            (false, _) => None,
        }
    });
    let remedy =
        || format!("write a name or an address of this host, as in http://10.0.0.1:{port}");
    unusable.map(|reason| field.finding(reason, remedy())).into_iter().collect()
}

/// Where somebody listens, and in which words it was said.
struct Listener<'f> {
    field: &'f Field,
    text: String,
    address: SocketAddr,
}

fn one_listener_a_port(fields: &Fields, settings: &Settings) -> Vec<Mistake> {
    let clients = settings.listen.client_urls.iter().map(|url| (url.text.clone(), url.addresses()));
    let mut urls: Vec<Vec<Listener>> = clients
        .map(|(text, addresses)| {
            let field = &fields.listen_client_urls;
            let listener = |address| Listener { field, text: text.clone(), address };
            addresses.into_iter().map(listener).collect()
        })
        .collect();
    let address = settings.sidecar.listen;
    let sidecar = Listener { field: &fields.sidecar_listen, text: address.to_string(), address };
    urls.push(vec![sidecar]);
    let mut found = Vec::new();
    for (at, later) in urls.iter().enumerate() {
        let before = urls.iter().take(at).flatten();
        let taken = before.flat_map(|other| later.iter().map(move |it| (other, it)));
        if let Some((other, it)) = taken.into_iter().find(|(a, b)| overlap(a.address, b.address)) {
            let reason = format!("{} and {} would listen on the same port", other.text, it.text);
            found.push(it.field.finding(reason, "write another port"));
        }
    }
    found
}

/// Whether a socket on one keeps a socket on the other from being bound. `[::]` means both
/// families; port 0 is any free one.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let covers = |wide: IpAddr, narrow: IpAddr| match wide {
        IpAddr::V6(_) => wide.is_unspecified(),
        IpAddr::V4(any) => any == Ipv4Addr::UNSPECIFIED && narrow.is_ipv4(),
    };
    let (one, other) = (a.ip(), b.ip());
    a.port() != 0
        && a.port() == b.port()
        && (one == other || covers(one, other) || covers(other, one))
}

fn quota_and_requests(fields: &Fields, settings: &Settings) -> Vec<Mistake> {
    let largest = u64::try_from(settings.limits.max_request_bytes).unwrap_or(u64::MAX);
    let quota = settings.store.quota_bytes;
    when(quota > 0 && quota.unsigned_abs() <= largest, || {
        let reason = "not larger than one request, METASTORE_MAX_REQUEST_BYTES, may be";
        let remedy =
            format!("write more than {largest}, 0 for a part of the volume, or -1 for none");
        fields.quota_backend_bytes.finding(reason, remedy)
    })
}

fn quota_and_capacity(fields: &Fields, settings: &Settings) -> Vec<Mistake> {
    let capacity = settings.store.capacity_bytes;
    let quota = settings.store.quota_bytes;
    when(capacity > 0 && quota > 0 && quota.unsigned_abs() > capacity, || {
        let reason = "more than METASTORE_DISK_CAPACITY_BYTES: the disk is full before";
        let remedy = format!("write at most {}, 80 % of it, or 0", capacity / 5 * 4);
        fields.quota_backend_bytes.finding(reason, remedy)
    })
}

fn ballast_and_capacity(fields: &Fields, settings: &Settings) -> Vec<Mistake> {
    let capacity = settings.store.capacity_bytes;
    when(capacity > 0 && settings.store.ballast_bytes >= capacity, || {
        let reason = "as much as METASTORE_DISK_CAPACITY_BYTES: nothing is left for the store";
        fields.ballast_bytes.finding(reason, format!("write less than {}", capacity / 10))
    })
}

fn observation_age(fields: &Fields, settings: &Settings) -> Vec<Mistake> {
    let interval = settings.sidecar.observe_interval;
    when(settings.sidecar.health.observation_max_age < interval * 2, || {
        let reason = "shorter than twice METASTORE_OBSERVE_INTERVAL: one lost answer is too many";
        let remedy = format!("write at least {}", shown(interval * 2));
        fields.observation_max_age.finding(reason, remedy)
    })
}

fn liveness_window(fields: &Fields, settings: &Settings) -> Vec<Mistake> {
    let health = &settings.sidecar.health;
    when(health.liveness_window <= health.observation_max_age, || {
        let reason =
            "not longer than METASTORE_OBSERVATION_MAX_AGE: core would be restarted on old news";
        let remedy = format!("write more than {}", shown(health.observation_max_age));
        fields.liveness_window.finding(reason, remedy)
    })
}

/// `floor < low < clear` and `low < warn`, as far as they can be compared.
fn watermarks(f: &Fields, settings: &Settings) -> Vec<Mistake> {
    let disk = &settings.sidecar.disk;
    let (floor, low) = ((&f.disk_floor_free, disk.floor), (&f.disk_low_free, disk.low));
    let (clear, warn) = ((&f.disk_clear_free, disk.clear), (&f.disk_warn_free, disk.warn));
    let capacity = Some(disk.capacity_bytes).filter(|bytes| *bytes > 0);
    let mut found = Vec::new();
    for ((smaller, less), (larger, more)) in [(floor, low), (low, clear), (low, warn)] {
        if less.is_below(more, capacity) == Some(false) {
            let reason = format!("not more than {}, {}", smaller.variable.name, smaller.text());
            found.push(larger.finding(reason, ORDER));
        }
    }
    let unreachable = match (disk.clear, capacity) {
        (Share::Part(part), _) => part >= 10_000,
        (Share::Bytes(bytes), Some(capacity)) => bytes >= capacity,
        (Share::Bytes(_), None) => false,
    };
    if unreachable {
        let reason = "never so much is free: the alarm would stay for ever";
        found.push(f.disk_clear_free.finding(reason, "write less than the whole volume"));
    }
    found
}

/// What all marks obey.
pub(super) const ORDER: &str =
    "write marks in the order floor < low < clear and low < warn, as in 2%, 10%, 15% and 20%";

fn initial_cluster(fields: &Fields, settings: &Settings) -> Vec<Mistake> {
    let field = &fields.initial_cluster;
    if !field.is_given() {
        return Vec::new();
    }
    let members = match urls::members(field.text()) {
        Ok(members) => members,
        Err(refusal) => return vec![field.finding(refusal.reason, refusal.remedy)],
    };
    let me = &settings.member;
    let pairs: Vec<_> =
        me.advertise_peer_urls.iter().map(|url| format!("{}={url}", me.name)).collect();
    let remedy = format!("write nothing, or this member with its peer URLs: {}", pairs.join(","));
    if members.iter().any(|(name, _)| members.first().is_some_and(|(first, _)| name != first)) {
        let reason = "clusters of several members are not supported yet";
        return vec![field.finding(reason, remedy)];
    }
    let mut urls: Vec<_> = members.iter().map(|(_, url)| url.clone()).collect();
    urls.sort();
    urls.dedup();
    let is_me = members.iter().all(|(name, _)| *name == me.name) && urls == me.advertise_peer_urls;
    when(!is_me, || field.finding("this member is not in it as it is advertised", remedy))
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
