use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use super::super::{LogLevel, MemberSettings, MetricsDetail, SidecarSettings};
use super::*;

type Outcome = Result<(Settings, Vec<Warning>), Vec<Mistake>>;

fn with(vars: &[(&str, &str)]) -> Outcome {
    read(owned(vars), |_| Err(io::ErrorKind::NotFound.into()))
}

/// With METASTORE_ENV_FILE naming a file of this content.
fn with_file(vars: &[(&str, &str)], content: &str) -> Outcome {
    let named = [(ENV_FILE, "/etc/metastore.env")];
    read(owned(&[&named, vars].concat()), |path| {
        assert_eq!(path, Path::new("/etc/metastore.env"));
        Ok(content.to_owned())
    })
}

fn owned(vars: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    vars.iter().map(|(name, text)| (name.into(), text.into())).collect()
}

fn settings(vars: &[(&str, &str)]) -> Settings {
    let (settings, warnings) = with(vars).unwrap();
    assert_eq!(warnings, []);
    settings
}

fn mistakes(vars: &[(&str, &str)]) -> Vec<String> {
    printed(with(vars))
}

fn printed(outcome: Outcome) -> Vec<String> {
    outcome.unwrap_err().iter().map(ToString::to_string).collect()
}

fn warnings(vars: &[(&str, &str)]) -> Vec<String> {
    with(vars).unwrap().1.iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_set_is_a_single_member_on_localhost() {
    let settings = settings(&[("PATH", "/bin"), ("HOME", "/root")]);
    let MemberSettings { name, data_dir, cluster_token, .. } = &settings.member;
    assert_eq!((name.as_str(), cluster_token.as_str()), ("default", "metastore-cluster"));
    assert_eq!(data_dir, Path::new("./data"));
    assert_eq!(settings.member.advertise_client_urls, ["http://localhost:2379"]);
    assert_eq!(settings.member.advertise_peer_urls, ["http://localhost:2380"]);
    assert_eq!(settings.listen.client_urls[0].addresses().len(), 2);
    assert_eq!(settings.admin.socket, Path::new("./data/admin.sock"));
    assert_eq!(settings.log.level, LogLevel::Info);
    assert_eq!(settings.metrics, MetricsDetail::Basic);
}

#[test]
fn limits_and_times_of_core_are_those_of_the_table() {
    let Settings { listen, raft, store, limits, watch, .. } = settings(&[]);
    assert_eq!(listen.max_concurrent_streams, u32::MAX);
    assert_eq!(raft.heartbeat_interval, Duration::from_millis(100));
    assert_eq!(raft.election_timeout, Duration::from_secs(1));
    assert_eq!(raft.snapshot_catchup_entries, 5000);
    assert_eq!((store.quota_bytes, store.block_cache_bytes), (0, 64 << 20));
    assert_eq!(store.ballast_bytes, 128 << 20);
    assert_eq!((limits.max_request_bytes, limits.max_txn_ops), (1_572_864, 128));
    assert_eq!(watch.progress_notify_interval, Duration::from_secs(600));
}

#[test]
fn the_sidecar_compacts_by_default() {
    let SidecarSettings { listen, auto_compact, keep_revisions, keep_duration, .. } =
        settings(&[]).sidecar;
    assert_eq!(listen.to_string(), "[::]:2381");
    assert!(auto_compact);
    assert_eq!(keep_revisions, 100_000);
    assert_eq!(keep_duration, Duration::from_secs(600));
}

#[test]
fn every_mistake_is_reported_at_once() {
    let reported = mistakes(&[
        ("METASTORE_ELECTION_TIMEOUT", "soon"),
        ("METASTORE_AUTO_COMPACT", "maybe"),
        ("METASTORE_LOG_LEVEL", "loud"),
        ("METASTORE_ELECTION_TIMOUT", "5s"),
        ("METASTORE_LISTEN_CLIENT_URLS", "https://0.0.0.0:2379"),
        ("METASTORE_OBSERVE_INTERVAL", "2s"),
    ]);
    assert_eq!(
        reported,
        [
            "METASTORE_ELECTION_TIMOUT: there is no such variable; \
             the nearest is METASTORE_ELECTION_TIMEOUT",
            "METASTORE_LISTEN_CLIENT_URLS=\"https://0.0.0.0:2379\": \
             TLS is not supported yet: needs http://host:port",
            "METASTORE_ELECTION_TIMEOUT=\"soon\": \
             needs a number with a unit (ms, s, m, h), for example 500ms",
            "METASTORE_LOG_LEVEL=\"loud\": needs one of error, warn, info, debug, trace",
            "METASTORE_AUTO_COMPACT=\"maybe\": needs true or false",
            "METASTORE_OBSERVATION_MAX_AGE=\"2500ms\": \
             needs at least twice METASTORE_OBSERVE_INTERVAL, which is 2s",
        ]
    );
}

/// A value that each variable refuses: so none is in the table without being read.
#[test]
fn each_variable_is_checked() {
    let long = "x".repeat(108);
    let free = ["METASTORE_INITIAL_CLUSTER_TOKEN"];
    let read = TABLE.iter().filter(|row| row.standing == Standing::Read);
    for row in read.filter(|row| !free.contains(&row.name)) {
        let bad = match row.kind {
            Kind::Path => long.as_str(),
            _ => "=",
        };
        let reported = mistakes(&[(row.name, bad)]);
        assert!(reported.iter().any(|mistake| mistake.starts_with(row.name)), "{}", row.name);
    }
}

#[test]
fn an_empty_value_is_not_set() {
    let settings = settings(&[("METASTORE_NAME", ""), ("METASTORE_HEARTBEAT_INTERVAL", "  ")]);
    assert_eq!(settings.member.name, "default");
    assert_eq!(settings.raft.heartbeat_interval, Duration::from_millis(100));
}

#[test]
fn the_election_timeout_is_five_heartbeats_or_more() {
    let reported = mistakes(&[("METASTORE_ELECTION_TIMEOUT", "499")]);
    let needs = "needs at least five times METASTORE_HEARTBEAT_INTERVAL, which is 100ms";
    assert_eq!(reported, [format!("METASTORE_ELECTION_TIMEOUT=\"499\": {needs}")]);
    assert!(with(&[("METASTORE_ELECTION_TIMEOUT", "500")]).is_ok());
    let reported = mistakes(&[("METASTORE_ELECTION_TIMEOUT", "51s")]);
    assert_eq!(reported, ["METASTORE_ELECTION_TIMEOUT=\"51s\": needs at most 50s"]);
    let reported = mistakes(&[("METASTORE_HEARTBEAT_INTERVAL", "0")]);
    assert_eq!(reported, ["METASTORE_HEARTBEAT_INTERVAL=\"0\": needs at least 1ms"]);
    assert_eq!(mistakes(&[("METASTORE_HEARTBEAT_INTERVAL", "8760h")]).len(), 1);
}

#[test]
fn a_rule_is_silent_about_values_that_are_mistakes_themselves() {
    let reported = mistakes(&[
        ("METASTORE_HEARTBEAT_INTERVAL", "often"),
        ("METASTORE_ELECTION_TIMEOUT", "100ms"),
    ]);
    assert_eq!(reported.len(), 1);
    assert!(reported[0].starts_with("METASTORE_HEARTBEAT_INTERVAL=\"often\""));
}

#[test]
fn the_admin_socket_must_fit_its_address() {
    let fits = format!("/{}", "x".repeat(106));
    assert_eq!(settings(&[("METASTORE_ADMIN_SOCKET", &fits)]).admin.socket, Path::new(&fits));
    let long = format!("{fits}y");
    let reported = mistakes(&[("METASTORE_ADMIN_SOCKET", &long)]);
    assert!(reported[0].ends_with("needs a path of at most 107 bytes, not 108"));
    let reported = mistakes(&[("METASTORE_DATA_DIR", &fits)]);
    assert!(reported[0].contains("set METASTORE_ADMIN_SOCKET to a path of at most 107 bytes"));
    assert!(with(&[("METASTORE_DATA_DIR", &fits), ("METASTORE_ADMIN_SOCKET", "/s")]).is_ok());
}

#[test]
fn the_initial_cluster_is_this_member_or_nobody() {
    let me = [
        ("METASTORE_NAME", "a"),
        ("METASTORE_INITIAL_ADVERTISE_PEER_URLS", "http://h:1,http://h:2/"),
    ];
    let cluster = |text| with(&[&me[..], &[("METASTORE_INITIAL_CLUSTER", text)]].concat());
    assert!(cluster("a=http://h:2/,a=http://h:1").is_ok());
    let several = printed(cluster("a=http://h:1,b=http://i:1"));
    assert!(several[0].ends_with("clusters of several members are not supported yet"));
    let expected = "needs to be empty or this member with its peer URLs, a=http://h:1,a=http://h:2";
    assert!(printed(cluster("a=http://h:1"))[0].ends_with(expected));
    assert!(printed(cluster("b=http://h:1,b=http://h:2"))[0].ends_with(expected));
    assert!(printed(cluster("a"))[0].ends_with("needs name=http://host:port"));
}

#[test]
fn an_unknown_variable_is_a_mistake_and_its_value_is_not_printed() {
    let reported = mistakes(&[("METASTORE_KEEP_REVISION", "hunter2")]);
    assert_eq!(
        reported,
        ["METASTORE_KEEP_REVISION: there is no such variable; \
          the nearest is METASTORE_KEEP_REVISIONS"]
    );
    let reported = mistakes(&[("METASTORE_CERT_FILE", "/x"), ("METASTORE_Name", "x")]);
    assert_eq!(reported[0], "METASTORE_CERT_FILE: there is no such variable");
    assert!(reported[1].ends_with("the nearest is METASTORE_NAME"));
}

#[test]
fn distances_count_letters() {
    assert_eq!(edit_distance("", "abc"), 3);
    assert_eq!(edit_distance("abc", ""), 3);
    assert_eq!(edit_distance("kitten", "sitting"), 3);
    assert_eq!(edit_distance("same", "same"), 0);
}

#[test]
fn a_value_that_is_not_utf8_is_a_mistake_where_it_is_ours() {
    let broken = || OsString::from_vec(vec![b'x', 0xff]);
    let vars = ["METASTORE_NAME", "LC_ALL", "ETCD_NAME"].map(|name| (name.into(), broken()));
    let reported = printed(read(vars, |_| unreachable!()));
    assert_eq!(reported, ["METASTORE_NAME: the value is not valid UTF-8"]);
}

#[test]
fn etcd_variables_are_warnings_that_name_ours() {
    let reported = warnings(&[
        ("ETCD_NAME", "a"),
        ("ETCD_CERT_FILE", "/secret"),
        ("ETCD_WAL_DIR", "/wal"),
        ("ETCDCTL_API", "3"),
    ]);
    assert_eq!(
        reported,
        [
            "ETCD_CERT_FILE is not read",
            "ETCD_NAME is not read; use METASTORE_NAME",
            "ETCD_WAL_DIR is not read",
        ]
    );
}

#[test]
fn an_ignored_variable_is_a_warning_with_the_reason() {
    let reported = warnings(&[("METASTORE_LISTEN_PEER_URLS", "http://localhost:2380")]);
    assert_eq!(
        reported,
        ["METASTORE_LISTEN_PEER_URLS is ignored: there is no listener for peers yet"]
    );
}

#[test]
fn advertising_any_address_is_a_warning() {
    let listen = ("METASTORE_LISTEN_CLIENT_URLS", "http://0.0.0.0:2379");
    assert_eq!(warnings(&[listen]).len(), 1);
    assert_eq!(warnings(&[listen, ("METASTORE_ADVERTISE_CLIENT_URLS", "http://a:2379")]).len(), 0);
}

#[test]
fn service_links_of_a_release_named_metastore_are_left_alone() {
    let settings = settings(&[
        ("METASTORE_SERVICE_HOST", "10.0.0.1"),
        ("METASTORE_SERVICE_PORT", "2379"),
        ("METASTORE_SERVICE_PORT_CLIENT", "2379"),
        ("METASTORE_PORT", "tcp://10.0.0.1:2379"),
        ("METASTORE_PORT_2379_TCP", "tcp://10.0.0.1:2379"),
        ("METASTORE_PORT_2379_TCP_PROTO", "tcp"),
        ("METASTORE_PORT_2379_TCP_PORT", "2379"),
        ("METASTORE_PORT_2379_TCP_ADDR", "10.0.0.1"),
        ("METASTORE_CLIENT_SERVICE_HOST", "10.0.0.2"),
        ("METASTORE_CLIENT_PORT", "udp://10.0.0.2:53"),
        ("METASTORE_CLIENT_PORT_53_UDP_ADDR", "10.0.0.2"),
        ("ETCD_PORT", "tcp://10.0.0.3:2379"),
        ("METASTORE_NAME", "a"),
    ]);
    assert_eq!(settings.member.name, "a");
}

#[test]
fn what_only_resembles_a_service_link_is_unknown() {
    let reported = mistakes(&[
        ("METASTORE_PORT", "2379"),
        ("METASTORE_PORT_X_TCP", "1"),
        ("METASTORE_PORT_2379_TCP_ADDR_X", "1"),
        ("METASTORE_PORT_2379_SSH", "1"),
    ]);
    assert_eq!(reported.len(), 4);
}

#[test]
fn the_process_environment_wins_over_the_file() {
    let content = "# a comment\n\n METASTORE_NAME = \"from file\" \nMETASTORE_LOG_LEVEL='debug'\n\
                   METASTORE_MAX_TXN_OPS=7\nOTHER=1\nMETASTORE_METRICS=extensive\n";
    let vars = [("METASTORE_MAX_TXN_OPS", "8"), ("METASTORE_METRICS", "")];
    let (settings, _) = with_file(&vars, content).unwrap();
    assert_eq!(settings.member.name, "from file");
    assert_eq!(settings.log.level, LogLevel::Debug);
    assert_eq!(settings.limits.max_txn_ops, 8);
    assert_eq!(settings.metrics, MetricsDetail::Extensive, "empty is not set");
}

#[test]
fn mistakes_in_the_file_name_the_line() {
    let content = "METASTORE_NAME=a\nno assignment\nMETASTORE_ENV_FILE=/b\nMETASTORE_NAM=x\n= 1";
    assert_eq!(
        printed(with_file(&[], content)),
        [
            "/etc/metastore.env:2: needs NAME=VALUE, or # and a comment",
            "/etc/metastore.env:3: METASTORE_ENV_FILE cannot be set inside the file",
            "/etc/metastore.env:5: needs NAME=VALUE, or # and a comment",
            "METASTORE_NAM: there is no such variable; the nearest is METASTORE_NAME",
        ]
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_mistake() {
    let reported = mistakes(&[("METASTORE_ENV_FILE", "/nowhere"), ("METASTORE_METRICS", "x")]);
    assert!(reported[0].starts_with("METASTORE_ENV_FILE=\"/nowhere\": cannot be read: "));
    assert_eq!(reported.len(), 2);
}

#[test]
fn the_effective_values_say_where_they_come_from() {
    let vars = [("METASTORE_NAME", "a")];
    let (settings, _) = with_file(&vars, "METASTORE_METRICS=extensive").unwrap();
    let lines: Vec<_> = settings.effective.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), TABLE.iter().filter(|row| row.standing == Standing::Read).count());
    assert_eq!(lines[0], "METASTORE_NAME=a (environment)");
    assert!(lines.contains(&"METASTORE_METRICS=extensive (file)".to_owned()));
    assert!(lines.contains(&"METASTORE_MAX_TXN_OPS=128 (default)".to_owned()));
}
