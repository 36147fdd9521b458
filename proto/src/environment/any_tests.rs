//! Whatever the environment holds, it is read or refused, and what is read obeys the rules.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;

use super::{Finding, Review, TABLE, read, review};

const SECRET: &str = "hunter2";

/// Texts that are right for some variable, or nearly.
fn text() -> impl Strategy<Value = OsString> {
    let known = [
        "",
        " ",
        "0",
        "1",
        "-1",
        "10",
        "1000",
        "4294967296",
        "18446744073709551616",
        "0.5%",
        "10%",
        "100%",
        "101%",
        "1KiB",
        "64MiB",
        "10GiB",
        "99999999TiB",
        "500ms",
        "1s",
        "30s",
        "8760h",
        "8761h",
        "true",
        "maybe",
        "json",
        "debug",
        "periodic",
        "revision",
        "quorum",
        "local",
        "=",
        ",",
        "a=http://localhost:2380",
        "default=http://localhost:2380",
        "http://localhost:2379",
        "http://0.0.0.0:2379,http://127.0.0.1:2379",
        "https://a:1",
        "http://[::]:0",
        "[::]:2381",
        "127.0.0.1:2379",
        "tcp://10.0.0.1:1",
        "/tmp",
        "\u{1f980}",
    ];
    let broken = Just(OsString::from_vec(vec![b'1', 0xff]));
    let any = "\\PC{0,130}".prop_map(OsString::from);
    prop_oneof![8 => select(known.to_vec()).prop_map(OsString::from), 1 => broken, 2 => any]
}

fn name() -> impl Strategy<Value = OsString> {
    let ours: Vec<&'static str> = TABLE.iter().map(|row| row.name).collect();
    let strangers = ["METASTORE_KEEP_REVISION", "METASTORE_PORT", "ETCD_NAME", "ETCD_CERT", "HOME"];
    let names = prop_oneof![9 => select(ours), 1 => select(strangers.to_vec())];
    names
        .prop_filter("the file is another test's", |name| *name != "METASTORE_ENV_FILE")
        .prop_map(OsString::from)
}

fn environment() -> impl Strategy<Value = Vec<(OsString, OsString)>> {
    proptest::collection::btree_map(name(), text(), 0..12).prop_map(|map| map.into_iter().collect())
}

fn assert_complete(finding: &Finding) {
    assert!(finding.variable.starts_with("METASTORE_") || finding.variable.starts_with("ETCD_"));
    assert!(!finding.reason.is_empty() && !finding.remedy.is_empty(), "{finding:?}");
    assert_harmless(&finding.to_string());
}

/// One line that steers no terminal.
fn assert_harmless(line: &str) {
    assert!(!line.contains(char::is_control), "{line:?}");
}

proptest! {
    #[test]
    fn every_environment_is_read_or_refused(vars in environment()) {
        let Review { settings, mistakes, warnings } = review(vars.clone(), |_| Ok(String::new()));
        mistakes.iter().chain(&warnings).for_each(assert_complete);
        let outcome = read(vars, |_| Ok(String::new()));
        prop_assert_eq!(outcome.is_ok(), mistakes.is_empty());
        if mistakes.is_empty() {
            let disk = &settings.sidecar.disk;
            let health = &settings.sidecar.health;
            prop_assert!(settings.raft.election_timeout >= settings.raft.heartbeat_interval * 5);
            prop_assert!(settings.raft.election_timeout <= Duration::from_secs(50));
            prop_assert!(settings.sidecar.compaction.keep_revisions >= 1);
            prop_assert!(health.observation_max_age >= settings.sidecar.observe_interval * 2);
            prop_assert!(health.liveness_window > health.observation_max_age);
            prop_assert_ne!(disk.low.is_below(disk.clear, None), Some(false));
            prop_assert_ne!(disk.floor.is_below(disk.low, None), Some(false));
            prop_assert!(!settings.member.advertise_client_urls.is_empty());
        }
    }

    #[test]
    fn the_value_of_a_stranger_is_never_said(flag in "[A-Z_]{0,20}", is_etcd in any::<bool>()) {
        let name = format!("{}{flag}", if is_etcd { "ETCD_" } else { "METASTORE_X" });
        let vars = [(OsString::from(&name), OsString::from(SECRET))];
        let found = review(vars, |_| Ok(String::new()));
        let said = format!("{:?} {:?} {:?}", found.mistakes, found.warnings, found.settings);
        prop_assert!(!said.contains(SECRET), "{}", said);
        let count = found.mistakes.len() + found.warnings.len();
        prop_assert!(count == 1 || name.contains("_SERVICE_"), "{}", name);
    }

    #[test]
    fn whatever_is_given_steers_no_terminal(
        stranger in "METASTORE_(?s:.){0,10}",
        known in name(),
        text in "(?s:.){0,10}",
    ) {
        let vars = [(OsString::from(stranger), OsString::from(&text)), (known, text.into())];
        let Review { settings, mistakes, warnings } = review(vars, |_| Ok(String::new()));
        for finding in mistakes.iter().chain(&warnings) {
            assert_harmless(&finding.to_string());
        }
        settings.effective.iter().for_each(|line| assert_harmless(&line.to_string()));
    }

    #[test]
    fn every_file_is_read_or_refused(content in "(\\PC{0,40}\n){0,8}") {
        let vars = [("METASTORE_ENV_FILE", "/file")];
        let vars = vars.map(|(name, text)| (OsStr::new(name).into(), OsStr::new(text).into()));
        review(vars, |_| Ok(content.clone())).mistakes.iter().for_each(assert_complete);
    }
}
