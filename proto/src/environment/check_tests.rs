use std::ffi::OsString;

use super::super::{Finding, review};

type Vars<'a> = &'a [(&'a str, &'a str)];

fn mistakes(vars: Vars<'_>) -> Vec<Finding> {
    let vars = vars.iter().map(|(name, text)| (OsString::from(name), OsString::from(text)));
    review(vars, |_| unreachable!("no file is named")).mistakes
}

/// For each rule: variables that break it, the variable that is named, a part of the reason, and a
/// value of that variable that mends it.
const BROKEN: &[(Vars<'static>, &str, &str, &str)] = &[
    (
        &[("METASTORE_ELECTION_TIMEOUT", "499")],
        "METASTORE_ELECTION_TIMEOUT",
        "shorter than five times METASTORE_HEARTBEAT_INTERVAL",
        "500",
    ),
    (&[("METASTORE_ELECTION_TIMEOUT", "50001")], "METASTORE_ELECTION_TIMEOUT", "too long", "50s"),
    (&[("METASTORE_HEARTBEAT_INTERVAL", "0")], "METASTORE_HEARTBEAT_INTERVAL", "too short", "1"),
    (
        &[("METASTORE_HEARTBEAT_INTERVAL", "11s"), ("METASTORE_ELECTION_TIMEOUT", "50s")],
        "METASTORE_HEARTBEAT_INTERVAL",
        "longer than any election may take",
        "10s",
    ),
    (
        &[("METASTORE_OBSERVE_INTERVAL", "2s")],
        "METASTORE_OBSERVATION_MAX_AGE",
        "shorter than twice METASTORE_OBSERVE_INTERVAL",
        "4s",
    ),
    (
        &[("METASTORE_LIVENESS_WINDOW", "2500ms")],
        "METASTORE_LIVENESS_WINDOW",
        "not longer than METASTORE_OBSERVATION_MAX_AGE",
        "2501ms",
    ),
    (
        &[("METASTORE_QUOTA_BACKEND_BYTES", "1572864")],
        "METASTORE_QUOTA_BACKEND_BYTES",
        "not larger than one request",
        "1572865",
    ),
    (
        &[("METASTORE_QUOTA_BACKEND_BYTES", "11GiB"), ("METASTORE_DISK_CAPACITY_BYTES", "10GiB")],
        "METASTORE_QUOTA_BACKEND_BYTES",
        "more than METASTORE_DISK_CAPACITY_BYTES",
        "10GiB",
    ),
    (
        &[("METASTORE_DISK_CAPACITY_BYTES", "128MiB")],
        "METASTORE_BALLAST_BYTES",
        "nothing is left for the store",
        "127MiB",
    ),
    (
        &[("METASTORE_DISK_LOW_FREE", "2%")],
        "METASTORE_DISK_LOW_FREE",
        "not more than METASTORE_DISK_FLOOR_FREE, 2%",
        "2.01%",
    ),
    (
        &[("METASTORE_DISK_CLEAR_FREE", "10%")],
        "METASTORE_DISK_CLEAR_FREE",
        "not more than METASTORE_DISK_LOW_FREE, 10%",
        "10.5%",
    ),
    (
        &[("METASTORE_DISK_WARN_FREE", "10%")],
        "METASTORE_DISK_WARN_FREE",
        "not more than METASTORE_DISK_LOW_FREE, 10%",
        "11%",
    ),
    (
        &[("METASTORE_DISK_WARN_FREE", "1GiB"), ("METASTORE_DISK_CAPACITY_BYTES", "10GiB")],
        "METASTORE_DISK_WARN_FREE",
        "not more than METASTORE_DISK_LOW_FREE, 10%",
        "2GiB",
    ),
    (
        &[("METASTORE_DISK_CLEAR_FREE", "100%")],
        "METASTORE_DISK_CLEAR_FREE",
        "the alarm would stay for ever",
        "99%",
    ),
    (
        &[("METASTORE_DISK_CLEAR_FREE", "10GiB"), ("METASTORE_DISK_CAPACITY_BYTES", "10GiB")],
        "METASTORE_DISK_CLEAR_FREE",
        "the alarm would stay for ever",
        "2GiB",
    ),
    (
        &[("METASTORE_ADVERTISE_CLIENT_URLS", "http://a:2379,http://0.0.0.0:2379")],
        "METASTORE_ADVERTISE_CLIENT_URLS",
        "nobody can connect to http://0.0.0.0:2379",
        "http://a:2379",
    ),
    (
        &[("METASTORE_ADVERTISE_CLIENT_URLS", "http://a:0")],
        "METASTORE_ADVERTISE_CLIENT_URLS",
        "nobody can connect to port 0",
        "http://a:1",
    ),
    (
        &[("METASTORE_INITIAL_ADVERTISE_PEER_URLS", "http://[::]:2380")],
        "METASTORE_INITIAL_ADVERTISE_PEER_URLS",
        "nobody can connect to http://[::]:2380",
        "http://[::1]:2380",
    ),
    (
        &[("METASTORE_LISTEN_CLIENT_URLS", "http://localhost:1,http://127.0.0.1:1")],
        "METASTORE_LISTEN_CLIENT_URLS",
        "http://localhost:1 and http://127.0.0.1:1 would listen on the same port",
        "http://localhost:1,http://127.0.0.1:2",
    ),
    (
        &[("METASTORE_SIDECAR_LISTEN", "127.0.0.1:2379")],
        "METASTORE_SIDECAR_LISTEN",
        "http://localhost:2379 and 127.0.0.1:2379 would listen on the same port",
        "127.0.0.1:2381",
    ),
    (
        &[("METASTORE_INITIAL_CLUSTER", "other=http://localhost:2380")],
        "METASTORE_INITIAL_CLUSTER",
        "this member is not in it",
        "default=http://localhost:2380",
    ),
];

#[test]
fn each_rule_names_the_variable_and_is_content_when_it_is_mended() {
    for (vars, variable, reason, mended) in BROKEN {
        let found = mistakes(vars);
        let [mistake] = &found[..] else { panic!("{vars:?}: {found:?}") };
        assert_eq!(mistake.variable, *variable, "{vars:?}");
        assert!(mistake.reason.contains(reason), "{vars:?}: {mistake}");
        assert!(!mistake.remedy.is_empty());
        let others = vars.iter().copied().filter(|(name, _)| name != variable);
        let mended: Vec<_> = others.chain([(*variable, *mended)]).collect();
        assert_eq!(mistakes(&mended), [], "{mended:?}");
    }
}

#[test]
fn a_rule_is_silent_about_values_that_are_mistakes_themselves() {
    let found = mistakes(&[
        ("METASTORE_HEARTBEAT_INTERVAL", "often"),
        ("METASTORE_ELECTION_TIMEOUT", "100ms"),
        ("METASTORE_DISK_LOW_FREE", "1%"),
        ("METASTORE_DISK_CLEAR_FREE", "much"),
    ]);
    let variables: Vec<_> = found.iter().map(|it| it.variable.as_str()).collect();
    assert_eq!(variables, ["METASTORE_HEARTBEAT_INTERVAL", "METASTORE_DISK_CLEAR_FREE"]);
}

#[test]
fn marks_of_different_kinds_are_compared_where_the_size_is_known() {
    let mixed = ("METASTORE_DISK_LOW_FREE", "5GiB");
    assert_eq!(mistakes(&[mixed]), [], "nobody knows how large the volume is");
    let found = mistakes(&[mixed, ("METASTORE_DISK_CAPACITY_BYTES", "10GiB")]);
    let variables: Vec<_> = found.iter().map(|it| it.variable.as_str()).collect();
    assert_eq!(variables, ["METASTORE_DISK_CLEAR_FREE", "METASTORE_DISK_WARN_FREE"]);
}

#[test]
fn the_admin_socket_must_fit_its_address() {
    let fits = format!("/{}", "x".repeat(106));
    assert_eq!(mistakes(&[("METASTORE_ADMIN_SOCKET", &fits)]), []);
    let long = format!("{fits}y");
    let found = mistakes(&[("METASTORE_ADMIN_SOCKET", &long)]);
    assert!(found[0].reason.starts_with("108 bytes do not fit"), "{}", found[0]);
    assert_eq!(found[0].remedy, "write a path of at most 107 bytes");
    let found = mistakes(&[("METASTORE_DATA_DIR", &fits)]);
    assert_eq!(found[0].variable, "METASTORE_DATA_DIR");
    assert_eq!(found[0].remedy, "set METASTORE_ADMIN_SOCKET to a path of at most 107 bytes");
    assert_eq!(mistakes(&[("METASTORE_DATA_DIR", &fits), ("METASTORE_ADMIN_SOCKET", "/s")]), []);
}

#[test]
fn the_initial_cluster_is_this_member_or_nobody() {
    let me = [
        ("METASTORE_NAME", "a"),
        ("METASTORE_INITIAL_ADVERTISE_PEER_URLS", "http://h:1,http://h:2/"),
    ];
    let cluster = |text| mistakes(&[&me[..], &[("METASTORE_INITIAL_CLUSTER", text)]].concat());
    assert_eq!(cluster("a=http://h:2/,a=http://h:1"), []);
    let several = cluster("a=http://h:1,b=http://i:1");
    assert_eq!(several[0].reason, "clusters of several members are not supported yet");
    for not_me in ["a=http://h:1", "b=http://h:1,b=http://h:2"] {
        let remedy = &cluster(not_me)[0].remedy;
        assert!(remedy.ends_with("with its peer URLs: a=http://h:1,a=http://h:2"), "{remedy}");
    }
    assert_eq!(cluster("a")[0].remedy, "write name=http://host:port");
}

#[test]
fn one_port_has_one_listener() {
    let clash = |clients, sidecar| {
        let vars =
            [("METASTORE_LISTEN_CLIENT_URLS", clients), ("METASTORE_SIDECAR_LISTEN", sidecar)];
        mistakes(&vars).len()
    };
    for (clients, sidecar, expected) in [
        ("http://0.0.0.0:1", "[::]:2", 0),
        ("http://0.0.0.0:1", "[::]:1", 1),
        ("http://[::]:1", "127.0.0.1:1", 1),
        ("http://[::1]:1", "127.0.0.1:1", 0),
        ("http://[::1]:1", "0.0.0.0:1", 0),
        ("http://10.0.0.1:1,http://10.0.0.2:1", "127.0.0.1:1", 0),
        ("http://10.0.0.1:1,http://0.0.0.0:1", "127.0.0.1:2", 1),
        ("http://localhost:0,http://127.0.0.1:0", "127.0.0.1:0", 0),
        ("http://localhost:1,http://127.0.0.1:1", "127.0.0.1:1", 2),
    ] {
        assert_eq!(clash(clients, sidecar), expected, "{clients} and {sidecar}");
    }
}

#[test]
fn a_negative_quota_is_none() {
    let vars = [("METASTORE_QUOTA_BACKEND_BYTES", "-1"), ("METASTORE_DISK_CAPACITY_BYTES", "1GiB")];
    assert_eq!(mistakes(&vars), []);
}

#[test]
fn a_retention_is_read_by_its_mode() {
    let retention = |mode, text| {
        mistakes(&[
            ("METASTORE_AUTO_COMPACTION_MODE", mode),
            ("METASTORE_AUTO_COMPACTION_RETENTION", text),
        ])
    };
    for (mode, text) in [("periodic", "8"), ("periodic", "30m"), ("revision", "1000")] {
        assert_eq!(retention(mode, text), [], "{mode} {text}");
    }
    for (mode, text) in [("periodic", "soon"), ("revision", "1h"), ("revision", "-1")] {
        let found = retention(mode, text);
        assert_eq!(found.len(), 1, "{mode} {text}");
        assert!(found[0].reason.starts_with("error parsing CompactionRetention"), "{}", found[0]);
    }
    let found = retention("rarely", "whatever");
    assert_eq!(found.len(), 1, "without a mode nobody knows: {found:?}");
    assert_eq!(found[0].variable, "METASTORE_AUTO_COMPACTION_MODE");
}
