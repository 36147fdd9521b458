use std::ffi::OsString;

use super::super::review;
use super::*;

type Vars<'a> = &'a [(&'a str, &'a str)];

fn warnings(vars: Vars<'_>) -> Vec<Warning> {
    let vars = vars.iter().map(|(name, text)| (OsString::from(name), OsString::from(text)));
    let review = review(vars, |_| unreachable!("no file is named"));
    assert_eq!(review.mistakes, []);
    review.warnings
}

const PUBLIC: (&str, &str) = ("METASTORE_LISTEN_CLIENT_URLS", "http://10.0.0.1:2379");
const TEN_GIB: (&str, &str) = ("METASTORE_DISK_CAPACITY_BYTES", "10GiB");

/// For each rule: the variables, the one that is named and a part of what is said of it.
const DOUBTFUL: &[(Vars<'static>, &str, &str)] = &[
    (&[("METASTORE_LISTEN_CLIENT_URLS", "http://127.0.0.1:0")], PUBLIC.0, "told to connect to"),
    (&[PUBLIC], PUBLIC.0, "without TLS"),
    (&[("METASTORE_ELECTION_TIMEOUT", "999ms")], "METASTORE_ELECTION_TIMEOUT", "dead leader"),
    (&[("METASTORE_MAX_REQUEST_BYTES", "11MiB")], "METASTORE_MAX_REQUEST_BYTES", "10MiB"),
    (&[("METASTORE_BLOCK_CACHE_BYTES", "7MiB")], "METASTORE_BLOCK_CACHE_BYTES", "indices"),
    (&[("METASTORE_BALLAST_BYTES", "0")], "METASTORE_BALLAST_BYTES", "may not open again"),
    (
        &[("METASTORE_QUOTA_BACKEND_BYTES", "9GiB"), TEN_GIB],
        "METASTORE_QUOTA_BACKEND_BYTES",
        "before this is reached",
    ),
    (
        &[("METASTORE_SHUTDOWN_GRACE", "25s")],
        "METASTORE_SIDECAR_SHUTDOWN_GRACE",
        "still be stopping",
    ),
    (&[("METASTORE_LIVENESS_WINDOW", "9s")], "METASTORE_LIVENESS_WINDOW", "stalls"),
    (
        &[("METASTORE_AUTO_COMPACTION_MODE", "revision")],
        "METASTORE_AUTO_COMPACTION_MODE",
        "nothing is counted",
    ),
    (
        &[("METASTORE_AUTO_COMPACT", "false"), ("METASTORE_KEEP_REVISIONS", "5")],
        "METASTORE_KEEP_REVISIONS",
        "METASTORE_AUTO_COMPACT is false",
    ),
    (
        &[("METASTORE_AUTO_COMPACTION_RETENTION", "30m")],
        "METASTORE_CHECK_INTERVAL",
        "longer than METASTORE_AUTO_COMPACTION_RETENTION",
    ),
    (
        &[("METASTORE_KEEP_REVISIONS", "999"), ("METASTORE_KEEP_DURATION", "0")],
        "METASTORE_KEEP_DURATION",
        "their place compacted",
    ),
];

#[test]
fn each_rule_names_the_variable() {
    for (vars, variable, reason) in DOUBTFUL {
        let found = warnings(vars);
        let [warning] = &found[..] else { panic!("{vars:?}: {found:?}") };
        assert_eq!(warning.variable, *variable, "{vars:?}");
        assert!(warning.reason.contains(reason), "{vars:?}: {warning}");
        assert!(!warning.remedy.is_empty());
    }
}

#[test]
fn what_is_best_is_not_warned_of() {
    let content: &[Vars<'_>] = &[
        &[],
        &[("METASTORE_LISTEN_CLIENT_URLS", "http://127.0.0.1:2379,http://[::1]:1")],
        &[("METASTORE_ELECTION_TIMEOUT", "1s"), ("METASTORE_HEARTBEAT_INTERVAL", "100ms")],
        &[("METASTORE_MAX_REQUEST_BYTES", "10MiB")],
        &[("METASTORE_QUOTA_BACKEND_BYTES", "8GiB"), TEN_GIB],
        &[("METASTORE_QUOTA_BACKEND_BYTES", "10GiB"), TEN_GIB, ("METASTORE_DISK_GUARD", "false")],
        &[("METASTORE_QUOTA_BACKEND_BYTES", "-1"), TEN_GIB],
        &[("METASTORE_AUTO_COMPACT", "false")],
        &[("METASTORE_AUTO_COMPACTION_RETENTION", "1")],
        &[
            ("METASTORE_AUTO_COMPACTION_RETENTION", "30m"),
            ("METASTORE_CHECK_INTERVAL", "30m"),
            ("METASTORE_AUTO_COMPACTION_MODE", "periodic"),
        ],
        &[("METASTORE_KEEP_REVISIONS", "1000"), ("METASTORE_KEEP_DURATION", "0")],
        &[("METASTORE_KEEP_REVISIONS", "1")],
    ];
    for vars in content {
        assert_eq!(warnings(vars), [], "{vars:?}");
    }
}

#[test]
fn clients_of_other_hosts_must_be_told_where_to_connect() {
    let any = ("METASTORE_LISTEN_CLIENT_URLS", "http://0.0.0.0:2379");
    let told = |vars: Vars<'_>| {
        let found = warnings(vars).into_iter().filter(|it| !it.reason.contains("without TLS"));
        found.map(|it| it.variable).collect::<Vec<_>>()
    };
    assert_eq!(told(&[any]), ["METASTORE_LISTEN_CLIENT_URLS"]);
    for (urls, expected) in [
        ("http://a:2379", &[][..]),
        ("http://localhost:2379,http://a:2379", &[]),
        ("http://localhost:2379", &["METASTORE_ADVERTISE_CLIENT_URLS"]),
        ("http://127.0.0.1:2379,http://[::1]:2379", &["METASTORE_ADVERTISE_CLIENT_URLS"]),
    ] {
        assert_eq!(told(&[any, ("METASTORE_ADVERTISE_CLIENT_URLS", urls)]), expected, "{urls}");
    }
}
