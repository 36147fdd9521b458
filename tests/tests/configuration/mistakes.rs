//! Twelve static mistakes in one environment: twelve messages, from either program.

use std::time::Duration;

use metastore_tests::eventually::eventually;
use metastore_tests::member::{Core, Sidecar};
use serde_json::Value;

use crate::{text, validate, validate_as_json, variables_of};

const EX_USAGE: Option<i32> = Some(64);
const LIMIT: Duration = Duration::from_secs(20);

/// Each is one mistake, about the variable that is named.
const TWELVE: [(&str, &str); 12] = [
    ("METASTORE_KEEP_REVISION", "5"),
    ("METASTORE_LOG_LEVEL", "loud"),
    ("METASTORE_ELECTION_TIMEOUT", "499"),
    ("METASTORE_QUOTA_BACKEND_BYTES", "1MiB"),
    ("METASTORE_ADVERTISE_CLIENT_URLS", "http://0.0.0.0:2379"),
    ("METASTORE_LISTEN_CLIENT_URLS", "http://localhost:2379,http://127.0.0.1:2379"),
    ("METASTORE_INITIAL_CLUSTER", "other=http://localhost:2380"),
    ("METASTORE_KEEP_REVISIONS", "0"),
    ("METASTORE_AUTO_COMPACTION_RETENTION", "soon"),
    ("METASTORE_OBSERVATION_MAX_AGE", "1s"),
    ("METASTORE_LIVENESS_WINDOW", "60"),
    ("METASTORE_DISK_CLEAR_FREE", "10%"),
];

/// Panics unless there is a line for each, and no other.
fn assert_twelve<'l>(lines: impl Iterator<Item = &'l str>) {
    let lines: Vec<_> = lines.collect();
    for (name, value) in TWELVE {
        let about = |line: &&&str| {
            line.starts_with(&format!("{name}=")) || line.starts_with(&format!("{name}:"))
        };
        let found: Vec<_> = lines.iter().filter(about).collect();
        assert_eq!(found.len(), 1, "{name}={value}: {lines:#?}");
        assert!(found[0].contains("; "), "a reason and a remedy: {}", found[0]);
    }
    assert_eq!(lines.len(), TWELVE.len(), "{lines:#?}");
}

#[tokio::test]
async fn core_names_all_twelve_and_touches_nothing() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let mut core = Core::launch_on(&data, &TWELVE);
    let ended = core.process().ended().await;
    let output = core.output();
    assert_eq!(ended.code(), EX_USAGE, "{output}");
    assert_twelve(output.lines().map(|line| line.strip_prefix("metastore-core: ").unwrap()));
    assert!(!data.exists(), "core made its directory");
}

#[tokio::test]
async fn the_sidecar_names_all_twelve() {
    let place = tempfile::tempdir().unwrap();
    let mut sidecar = Sidecar::launch(&place.path().join("data"), &TWELVE);
    let ended = sidecar.process().ended().await;
    let output = sidecar.process().output();
    assert_eq!(ended.code(), EX_USAGE, "{output}");
    assert_twelve(output.lines());
}

#[test]
fn validate_names_all_twelve_in_either_format() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let variables = [&TWELVE[..], &[("METASTORE_DATA_DIR", text(&data))]].concat();
    let (code, said) = validate(&[], &variables);
    assert_eq!(code, EX_USAGE, "{said}");
    assert_twelve(said.lines().filter_map(|line| line.strip_prefix("error: ")));
    assert!(said.lines().last().unwrap().starts_with("12 errors, "), "{said}");

    let (code, said) = validate_as_json(&[], &variables);
    assert_eq!((code, &said["valid"]), (EX_USAGE, &false.into()));
    let mut named = variables_of(&said["errors"]);
    named.sort_unstable();
    let mut expected = TWELVE.map(|(name, _)| name);
    expected.sort_unstable();
    assert_eq!(named, expected);
}

#[test]
fn a_right_environment_is_valid_and_explained() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let file = place.path().join("env");
    std::fs::write(&file, "METASTORE_KEEP_REVISIONS=7\n").unwrap();
    let variables = [
        ("METASTORE_DATA_DIR", text(&data)),
        ("METASTORE_ENV_FILE", text(&file)),
        ("METASTORE_LISTEN_CLIENT_URLS", "http://127.0.0.1:0"),
        ("METASTORE_ADVERTISE_CLIENT_URLS", "http://here.example:1"),
        ("METASTORE_SIDECAR_LISTEN", "127.0.0.1:0"),
        ("ETCD_ROOT_PASSWORD", "hunter2"),
    ];
    let (code, said) = validate(&["--explain"], &variables);
    assert_eq!(code, Some(0), "{said}");
    for line in [
        &format!("METASTORE_DATA_DIR={} (environment)", data.display()),
        "METASTORE_KEEP_REVISIONS=7 (file)",
        "METASTORE_MAX_TXN_OPS=128 (default)",
    ] {
        assert!(said.lines().any(|it| it == line), "{line}: {said}");
    }
    assert!(said.contains("warning: ETCD_ROOT_PASSWORD: "), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    let (code, said) = validate_as_json(&["--explain"], &variables);
    assert_eq!((code, &said["valid"]), (Some(0), &true.into()));
    assert_eq!(said["core"]["state"], "absent");
    let settings = said["settings"].as_array().unwrap();
    let kept = settings.iter().find(|it| it["variable"] == "METASTORE_KEEP_REVISIONS").unwrap();
    assert_eq!((&kept["value"], &kept["source"]), (&"7".into(), &"file".into()));
    assert!(!data.exists(), "who validates writes nothing");
}

#[test]
fn words_that_are_not_understood_are_refused() {
    let output = std::process::Command::new(metastore_tests::member::sidecar_binary())
        .env_clear()
        .args(["validate", "--format", "yaml"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), EX_USAGE);
    assert!(String::from_utf8_lossy(&output.stderr).contains("validate [--explain]"));
}

/// A password where none can be, and names and values that would steer a terminal.
const HOSTILE: [(&str, &str); 4] = [
    ("METASTORE_LISTEN_CLIENT_URLS", "http://user:hunter2@0.0.0.0:2379"),
    ("METASTORE_SIDECAR_LISTEN", "user:hunter2@0.0.0.0:2381"),
    ("METASTORE_\u{1b}[2J\u{9b}\nerror: X", "1"),
    ("METASTORE_NAME", "a,\u{1b}[2J"),
];

fn assert_harmless(said: &str) {
    assert!(!said.contains("hunter2"), "{said}");
    assert!(!said.contains(|letter: char| letter.is_control() && letter != '\n'), "{said:?}");
}

#[tokio::test]
async fn no_program_prints_a_password_or_steers_the_terminal() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let mut core = Core::launch_on(&data, &HOSTILE);
    let mut sidecar = Sidecar::launch(&data, &HOSTILE);
    for process in [core.process(), sidecar.process()] {
        assert_eq!(process.ended().await.code(), EX_USAGE);
        let said = process.output();
        assert_harmless(&said);
        assert!(said.contains("=\"http://…@0.0.0.0:2379\": a URL with a user"), "{said}");
        assert!(said.contains("METASTORE_\\u{1b}[2J\\u{9b}\\nerror: X: there is no"), "{said}");
    }
    let variables = [&HOSTILE[..], &[("METASTORE_DATA_DIR", text(&data))]].concat();
    for format in ["text", "json"] {
        let (code, said) = validate(&["--explain", "--format", format], &variables);
        assert_eq!(code, EX_USAGE);
        assert_harmless(&said);
        assert!(said.contains("http://…@0.0.0.0:2379"), "{said}");
    }
}

#[tokio::test]
async fn what_is_warned_of_steers_no_terminal_in_either_log() {
    let hostile = ("ETCD_\u{1b}[2J\u{9b}\nX", "1");
    for format in ["text", "json"] {
        let variables = [hostile, ("METASTORE_LOG_FORMAT", format)];
        let mut core = Core::start_with(&variables).await;
        let mut sidecar = Sidecar::start(&core, &variables).await;
        for said in [core.process().output(), sidecar.process().output()] {
            assert_harmless(&said);
            assert!(said.contains("variables of etcd are not read"), "{said}");
        }
    }
}

/// How `metastore-sidecar status` prints what the sidecar at this address knows.
fn status(address: &str, format: &str) -> String {
    let output = std::process::Command::new(metastore_tests::member::sidecar_binary())
        .env_clear()
        .env("METASTORE_SIDECAR_LISTEN", address)
        .args(["status", "--format", format])
        .output()
        .unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[tokio::test]
async fn the_name_of_a_member_is_shown_and_steers_no_terminal() {
    const NAME: &str = "a\u{1b}[2J\u{7f}\u{9b}2J\u{202e}b";
    let core = Core::start_with(&[("METASTORE_NAME", NAME)]).await;
    let sidecar = Sidecar::start(&core, &[]).await;
    let address = sidecar.address();
    let said = eventually("the name is known", LIMIT, async || {
        let said = status(&address, "json");
        let report: Value = serde_json::from_str(&said).ok()?;
        (report["member"]["name"] == NAME).then_some(said)
    })
    .await;
    let page = sidecar.probe("/?format=html").await.body;
    let others = [status(&address, "text"), sidecar.probe("/").await.body];
    for said in &others {
        assert!(said.contains("a\\u{1b}[2J\\u{7f}\\u{9b}2J\\u{202e}b"), "{said}");
    }
    for said in [said, sidecar.probe("/report.json").await.body, page].iter().chain(&others) {
        assert_harmless(said);
        assert!(!said.contains('\u{202e}'), "{said:?}");
    }
}
