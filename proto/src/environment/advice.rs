//! What is allowed, and probably not meant or not best.

use std::net::IpAddr;
use std::time::Duration;

use super::parse::shown;
use super::table::{Field, Fields};
use super::{CompactionMode, ListenHost, ListenUrl, Settings, Warning, urls};

/// As in etcd's own warning.
const REQUEST_BYTES_MAX: usize = 10 << 20;
/// The store keeps its indices in the cache, too.
const BLOCK_CACHE_MIN: u64 = 8 << 20;
/// A disk that stalls for so long is not rare.
const LIVENESS_WINDOW_MIN: Duration = Duration::from_secs(10);
/// Fewer are gone before a watcher that lost its connection is back.
const REVISIONS_MIN: i64 = 1000;

/// One sentence about one variable.
type Rule = fn(&Fields, &Settings) -> Option<Warning>;

const RULES: [Rule; 14] = [
    advertises_any_address,
    advertises_itself_only,
    public_without_tls,
    few_heartbeats,
    large_requests,
    small_cache,
    no_ballast,
    quota_behind_the_guard,
    sidecar_goes_first,
    short_window,
    mode_without_retention,
    policy_without_compaction,
    seldom_looked_at,
    little_history,
];

pub(super) fn warnings(fields: &Fields, settings: &Settings) -> Vec<Warning> {
    RULES.iter().filter_map(|rule| rule(fields, settings)).collect()
}

fn advertises_any_address(fields: &Fields, settings: &Settings) -> Option<Warning> {
    let is_any = |host: ListenHost| matches!(host, ListenHost::Ip(ip) if ip.is_unspecified());
    let unusable = |url: &&ListenUrl| is_any(url.host) || url.port == 0;
    let url = settings.listen.client_urls.iter().find(unusable)?;
    let reason = format!("clients are told to connect to {}, which no other host can", url.text);
    let remedy = "set METASTORE_ADVERTISE_CLIENT_URLS to a name of this host";
    (!fields.advertise_client_urls.is_given())
        .then(|| fields.listen_client_urls.finding(reason, remedy))
}

fn advertises_itself_only(fields: &Fields, settings: &Settings) -> Option<Warning> {
    let field = &fields.advertise_client_urls;
    let urls = if field.is_given() { urls::urls(field.text()).ok()? } else { return None };
    let is_local = |host: &str| {
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    };
    let is_public = settings.listen.client_urls.iter().any(is_public);
    (is_public && urls.iter().all(|url| is_local(&url.host))).then(|| {
        let reason = "clients of other hosts are served, and told to connect to their own host";
        field.finding(reason, "write a name of this host")
    })
}

fn is_public(url: &ListenUrl) -> bool {
    matches!(url.host, ListenHost::Ip(ip) if !ip.is_loopback())
}

fn public_without_tls(fields: &Fields, settings: &Settings) -> Option<Warning> {
    settings.listen.client_urls.iter().any(is_public).then(|| {
        let reason = "other hosts are served without TLS: what is sent can be read and changed";
        let remedy = "let nobody but clients reach the port (a NetworkPolicy), or listen on \
                      localhost; there is no TLS yet";
        fields.listen_client_urls.finding(reason, remedy)
    })
}

fn few_heartbeats(fields: &Fields, settings: &Settings) -> Option<Warning> {
    let heartbeat = settings.raft.heartbeat_interval;
    (settings.raft.election_timeout < heartbeat * 10).then(|| {
        let reason = "shorter than ten times METASTORE_HEARTBEAT_INTERVAL: a short pause may be \
                      taken for a dead leader";
        let remedy = format!("write {} or more", shown(heartbeat * 10));
        fields.election_timeout.finding(reason, remedy)
    })
}

fn large_requests(fields: &Fields, settings: &Settings) -> Option<Warning> {
    (settings.limits.max_request_bytes > REQUEST_BYTES_MAX).then(|| {
        let reason = "more than 10MiB: everybody waits while one such request is made durable";
        fields.max_request_bytes.finding(reason, "write at most 10MiB")
    })
}

fn small_cache(fields: &Fields, settings: &Settings) -> Option<Warning> {
    (settings.store.block_cache_bytes < BLOCK_CACHE_MIN).then(|| {
        let reason = "too little for the indices of the store: reads go to the disk";
        fields.block_cache_bytes.finding(reason, "write 8MiB or more")
    })
}

fn no_ballast(fields: &Fields, settings: &Settings) -> Option<Warning> {
    (settings.store.ballast_bytes == 0).then(|| {
        let reason = "on a disk that others fill, core may not open again to delete anything";
        fields.ballast_bytes.finding(reason, "write for example 128MiB")
    })
}

fn quota_behind_the_guard(fields: &Fields, settings: &Settings) -> Option<Warning> {
    let disk = &settings.sidecar.disk;
    let (capacity, quota) = (disk.capacity_bytes, settings.store.quota_bytes);
    let usable = capacity.saturating_sub(disk.low.bytes_of(capacity));
    let usable = usable.saturating_sub(settings.store.ballast_bytes);
    let is_behind = disk.guard && capacity > 0 && quota > 0 && quota.unsigned_abs() > usable;
    is_behind.then(|| {
        let reason = "the disk is low, which refuses writes, before this is reached";
        let remedy = format!(
            "write at most {usable}: METASTORE_DISK_CAPACITY_BYTES without \
             METASTORE_DISK_LOW_FREE and METASTORE_BALLAST_BYTES"
        );
        fields.quota_backend_bytes.finding(reason, remedy)
    })
}

fn sidecar_goes_first(fields: &Fields, settings: &Settings) -> Option<Warning> {
    let core = settings.listen.shutdown_grace;
    (settings.sidecar.shutdown_grace <= core).then(|| {
        let reason = "core may still be stopping (METASTORE_SHUTDOWN_GRACE) when nobody answers \
                      its probes any more";
        let remedy = format!("write more than {}", shown(core));
        fields.sidecar_shutdown_grace.finding(reason, remedy)
    })
}

fn short_window(fields: &Fields, settings: &Settings) -> Option<Warning> {
    (settings.sidecar.health.liveness_window < LIVENESS_WINDOW_MIN).then(|| {
        let reason = "a disk that stalls for a moment would have core restarted";
        let remedy = format!("write {} or more", shown(LIVENESS_WINDOW_MIN));
        fields.liveness_window.finding(reason, remedy)
    })
}

fn mode_without_retention(fields: &Fields, _: &Settings) -> Option<Warning> {
    let retention = &fields.auto_compaction_retention;
    (fields.auto_compaction_mode.is_given() && !retention.is_given()).then(|| {
        let reason = "nothing is counted by it";
        let remedy = "set METASTORE_AUTO_COMPACTION_RETENTION too, or remove it";
        fields.auto_compaction_mode.finding(reason, remedy)
    })
}

fn policy_without_compaction(fields: &Fields, settings: &Settings) -> Option<Warning> {
    let policy = [&fields.auto_compaction_retention, &fields.keep_revisions, &fields.keep_duration];
    let given: Option<&Field> = policy.into_iter().find(|field| field.is_given());
    let field = given.filter(|_| !settings.sidecar.compaction.enabled)?;
    let reason = "nothing is compacted: METASTORE_AUTO_COMPACT is false";
    Some(field.finding(reason, "set METASTORE_AUTO_COMPACT=true, or remove it"))
}

/// etcd looks as often as its period is long, at least.
fn seldom_looked_at(fields: &Fields, settings: &Settings) -> Option<Warning> {
    let policy = &settings.sidecar.compaction;
    let is_by_time = fields.auto_compaction_retention.is_given()
        && CompactionMode::parse(fields.auto_compaction_mode.text())
            == Ok(CompactionMode::Periodic);
    let is_seldom = policy.enabled && policy.check_interval > policy.keep_duration;
    (is_by_time && is_seldom).then(|| {
        let reason = "longer than METASTORE_AUTO_COMPACTION_RETENTION: more history stays than \
                      that asks for";
        let remedy = format!("write at most {}", shown(policy.keep_duration));
        fields.check_interval.finding(reason, remedy)
    })
}

fn little_history(fields: &Fields, settings: &Settings) -> Option<Warning> {
    let policy = &settings.sidecar.compaction;
    let is_little = policy.keep_duration.is_zero() && policy.keep_revisions < REVISIONS_MIN;
    (policy.enabled && is_little).then(|| {
        let reason = "watchers that lose their connection may find their place compacted";
        let remedy = "keep time as well, as in 10m, or at least 1000 revisions";
        fields.keep_duration.finding(reason, remedy)
    })
}

#[cfg(test)]
#[path = "advice_tests.rs"]
mod tests;
