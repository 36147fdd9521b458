use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use super::super::{Kind, LogLevel, MemberSettings, MetricsDetail, SidecarSettings};
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
    let SidecarSettings { listen, compaction, .. } = settings(&[]).sidecar;
    assert_eq!(listen.to_string(), "[::]:2381");
    assert!(compaction.enabled);
    assert_eq!(compaction.keep_revisions, 100_000);
    assert_eq!(compaction.keep_duration, Duration::from_secs(600));
    assert_eq!(compaction.check_interval, Duration::from_secs(3600));
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
             TLS is not supported yet; write http://host:port",
            "METASTORE_ELECTION_TIMEOUT=\"soon\": \
             not a duration; write a number with a unit (ms, s, m, h), for example 500ms",
            "METASTORE_LOG_LEVEL=\"loud\": \
             not a word that is known here; write one of error, warn, info, debug, trace",
            "METASTORE_AUTO_COMPACT=\"maybe\": neither yes nor no; write true or false",
            "METASTORE_OBSERVATION_MAX_AGE=\"2500ms\": shorter than twice \
             METASTORE_OBSERVE_INTERVAL: one lost answer is too many; write at least 4s",
        ]
    );
}

/// A value that each variable refuses: so none is in the table without being read.
#[test]
fn each_variable_is_checked() {
    let long = "x".repeat(108);
    // What these take depends on another one, or nothing is wrong for them.
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
fn a_value_that_is_not_utf8_is_a_mistake_where_it_is_ours() {
    let broken = || OsString::from_vec(vec![b'x', 0xff]);
    let vars = ["METASTORE_NAME", "LC_ALL", "ETCD_NAME"].map(|name| (name.into(), broken()));
    let reported = printed(read(vars, |_| unreachable!()));
    assert_eq!(reported, ["METASTORE_NAME: the value is not valid UTF-8; write it in UTF-8"]);
}

#[test]
fn an_ignored_variable_is_a_warning_with_the_reason() {
    let reported = warnings(&[("METASTORE_LISTEN_PEER_URLS", "http://localhost:2380")]);
    assert_eq!(
        reported,
        ["METASTORE_LISTEN_PEER_URLS: there is no listener for peers yet; remove it"]
    );
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
            "METASTORE_ENV_FILE=\"/etc/metastore.env\": line 2 is not an assignment; \
             write NAME=VALUE, or # and a comment",
            "METASTORE_ENV_FILE=\"/etc/metastore.env\": line 3 names another file; \
             write everything into one file",
            "METASTORE_ENV_FILE=\"/etc/metastore.env\": line 5 is not an assignment; \
             write NAME=VALUE, or # and a comment",
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

/// etcd's retention stands for our default, never for less than what was asked for.
#[test]
fn what_is_kept_is_what_any_setting_keeps() {
    let hour = Duration::from_secs(3600);
    let ten = Duration::from_secs(600);
    let time = |text| ("METASTORE_AUTO_COMPACTION_RETENTION", text);
    let revision = ("METASTORE_AUTO_COMPACTION_MODE", "revision");
    let revisions = |text| ("METASTORE_KEEP_REVISIONS", text);
    for (vars, expected) in [
        (&[][..], (100_000, ten)),
        (&[time("0")], (100_000, ten)),
        (&[time("1")], (1, hour)),
        (&[time("5m")], (1, ten)),
        (&[time("1"), revisions("500")], (500, hour)),
        (&[time("0"), revision], (100_000, ten)),
        (&[time("1000"), revision], (1000, ten)),
        (&[time("1000"), revision, revisions("500")], (1000, ten)),
        (&[time("1000"), revision, revisions("5000")], (5000, ten)),
        (&[time("1"), ("METASTORE_KEEP_DURATION", "2h")], (1, hour * 2)),
    ] {
        let compaction = with(vars).unwrap().0.sidecar.compaction;
        assert_eq!((compaction.keep_revisions, compaction.keep_duration), expected, "{vars:?}");
    }
}

#[test]
fn with_mistakes_the_rest_is_reviewed_all_the_same() {
    let vars = [("METASTORE_NAME", "a=b"), ("METASTORE_METRICS", "extensive"), ("ETCD_NAME", "x")];
    let found = review(owned(&vars), |_| unreachable!("no file is named"));
    assert_eq!((found.mistakes.len(), found.warnings.len()), (1, 1));
    assert_eq!(found.settings.member.name, "default");
    assert_eq!(found.settings.metrics, MetricsDetail::Extensive);
    assert_eq!(found.settings.effective[0].to_string(), "METASTORE_NAME=a=b (environment)");
}

#[test]
fn what_is_a_mistake_is_not_warned_of_too() {
    let vars = [("METASTORE_ELECTION_TIMEOUT", "100")];
    let found = review(owned(&vars), |_| unreachable!("no file is named"));
    assert_eq!((found.mistakes.len(), found.warnings.len()), (1, 0));
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

#[test]
fn the_password_of_a_url_is_never_said() {
    let url = "http://user:hunter2@0.0.0.0:2379";
    let member = format!("default={url}");
    let nameless = "http://user:hunter2@0.0.0.0:2380/?a=b";
    for (name, text) in [
        ("METASTORE_LISTEN_CLIENT_URLS", url),
        ("METASTORE_ADVERTISE_CLIENT_URLS", url),
        ("METASTORE_INITIAL_ADVERTISE_PEER_URLS", url),
        ("METASTORE_INITIAL_CLUSTER", &member),
        ("METASTORE_INITIAL_CLUSTER", nameless),
        ("METASTORE_SIDECAR_LISTEN", "user:hunter2@0.0.0.0:2381"),
    ] {
        let found = review(owned(&[(name, text)]), |_| unreachable!("no file is named"));
        let [mistake] = &found.mistakes[..] else { panic!("{name}: {:?}", found.mistakes) };
        assert_eq!(mistake.variable, name);
        assert!(mistake.to_string().contains("…@0.0.0.0:23"), "{mistake}");
        let lines: Vec<_> = found.settings.effective.iter().map(ToString::to_string).collect();
        let given: Vec<_> = found.settings.effective.iter().map(Effective::given).collect();
        let said = format!("{mistake:?} {mistake} {lines:?} {given:?} {:?}", found.warnings);
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn what_a_hostile_variable_says_stays_on_its_line() {
    let vars = [("METASTORE_\u{1b}[2J\nerror: x", "1"), ("METASTORE_NAME", "a,\u{1b}[2J\u{9b}2J")];
    assert_eq!(
        mistakes(&vars),
        [
            "METASTORE_\\u{1b}[2J\\nerror: x: there is no such variable; remove it",
            "METASTORE_NAME=\"a,\\u{1b}[2J\\u{9b}2J\": a name stands in lists of name=url; \
             write it without commas and equals signs",
        ]
    );
    let found = review(owned(&vars), |_| unreachable!("no file is named"));
    let line = found.settings.effective[0].to_string();
    assert_eq!(line, "METASTORE_NAME=a,\\u{1b}[2J\\u{9b}2J (environment)");
}
