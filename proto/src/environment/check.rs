//! Rules across variables.
//!
//! A rule is skipped when one of its variables is a mistake by itself: its value is then only the
//! default.

use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use super::table::{Field, Fields};
use super::{ListenHost, Mistake, Settings, Warning, parse};

/// What fits into the address of a Unix socket, without its closing zero.
const SOCKET_PATH_MAX: usize = 107;

/// What the settings break, besides the mistakes that are known.
pub(super) fn mistakes(fields: &Fields, settings: &Settings, known: &[Mistake]) -> Vec<Mistake> {
    let sound = |field: &&Field| !known.iter().any(|known| known.is_about(field.variable.name));
    let rules: [(&[&Field], Rule); 4] = [
        (&[&fields.heartbeat_interval, &fields.election_timeout], pace),
        (&[&fields.admin_socket, &fields.data_dir], socket_path),
        (&[&fields.observe_interval, &fields.observation_max_age], observation_age),
        (
            &[&fields.initial_cluster, &fields.name, &fields.initial_advertise_peer_urls],
            initial_cluster,
        ),
    ];
    let applicable = rules.iter().filter(|(involved, _)| involved.iter().all(sound));
    applicable.filter_map(|(_, rule)| rule(fields, settings)).collect()
}

type Rule = fn(&Fields, &Settings) -> Option<Mistake>;

fn pace(fields: &Fields, settings: &Settings) -> Option<Mistake> {
    let heartbeat = settings.raft.heartbeat_interval;
    let election = settings.raft.election_timeout;
    if heartbeat < Duration::from_millis(1) {
        return Some(fields.heartbeat_interval.mistake("needs at least 1ms"));
    }
    if election < heartbeat * 5 {
        let needs = "needs at least five times METASTORE_HEARTBEAT_INTERVAL, which is";
        return Some(fields.election_timeout.mistake(format!("{needs} {heartbeat:?}")));
    }
    let too_long = election > Duration::from_secs(50);
    too_long.then(|| fields.election_timeout.mistake("needs at most 50s"))
}

fn socket_path(fields: &Fields, settings: &Settings) -> Option<Mistake> {
    let len = settings.admin.socket.as_os_str().as_bytes().len();
    if len <= SOCKET_PATH_MAX {
        return None;
    }
    let limit = format!("{SOCKET_PATH_MAX} bytes, not {len}");
    Some(if fields.admin_socket.text().is_empty() {
        let remedy = format!("; or set METASTORE_ADMIN_SOCKET to a path of at most {limit}");
        fields.data_dir.mistake(format!("needs a shorter path for the admin socket in it{remedy}"))
    } else {
        fields.admin_socket.mistake(format!("needs a path of at most {limit}"))
    })
}

fn observation_age(fields: &Fields, settings: &Settings) -> Option<Mistake> {
    let interval = settings.sidecar.observe_interval;
    let needs = "needs at least twice METASTORE_OBSERVE_INTERVAL, which is";
    (settings.sidecar.observation_max_age < interval * 2)
        .then(|| fields.observation_max_age.mistake(format!("{needs} {interval:?}")))
}

fn initial_cluster(fields: &Fields, settings: &Settings) -> Option<Mistake> {
    let field = &fields.initial_cluster;
    if field.text().is_empty() {
        return None;
    }
    let members = match parse::members(field.text()) {
        Ok(members) => members,
        Err(needs) => return Some(field.mistake(needs)),
    };
    let me = &settings.member;
    if members.iter().any(|(name, _)| members.first().is_some_and(|(first, _)| name != first)) {
        let needs = "needs a single member: clusters of several members are not supported yet";
        return Some(field.mistake(needs));
    }
    let mut urls: Vec<_> = members.iter().map(|(_, url)| url.clone()).collect();
    urls.sort();
    urls.dedup();
    let is_me = members.iter().all(|(name, _)| *name == me.name) && urls == me.advertise_peer_urls;
    let pairs: Vec<_> =
        me.advertise_peer_urls.iter().map(|url| format!("{}={url}", me.name)).collect();
    let needs = "needs to be empty or this member with its peer URLs,";
    (!is_me).then(|| field.mistake(format!("{needs} {}", pairs.join(","))))
}

/// What is allowed but probably not meant.
pub(super) fn warnings(fields: &Fields, settings: &Settings) -> Option<Warning> {
    let any = |host: ListenHost| matches!(host, ListenHost::Ip(ip) if ip.is_unspecified());
    let advertised = settings.listen.client_urls.iter().find(|url| any(url.host));
    advertised
        .filter(|_| fields.advertise_client_urls.text().is_empty())
        .map(|url| Warning::AdvertisesAnyAddress { url: url.text.clone() })
}
