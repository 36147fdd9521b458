use std::ffi::OsString;

use metastore_proto::environment::review;

use super::*;
use crate::machine::ports::{Port, State};

type Vars<'a> = &'a [(&'a str, &'a str)];

fn reviewed(vars: Vars<'_>) -> Review {
    let vars = vars.iter().map(|(name, text)| (OsString::from(name), OsString::from(text)));
    review(vars, |_| unreachable!("no file is named"))
}

/// A machine with one fault: the port of clients is taken.
fn machine() -> Facts {
    let port = Port {
        variable: "METASTORE_LISTEN_CLIENT_URLS",
        listener: "http://localhost:2379".to_owned(),
        state: State::Taken,
    };
    Facts { files: None, ports: vec![port] }
}

fn counts(report: &Report) -> (usize, usize) {
    (report.errors.len(), report.warnings.len())
}

#[test]
fn the_machine_counts_only_while_no_core_is_there() {
    let judged = |core| counts(&judge(reviewed(&[]), &machine(), core));
    assert_eq!(judged(CoreState::Absent), (1, 1));
    assert_eq!(judged(CoreState::Unknown("denied".to_owned())), (1, 2), "and that it is unknown");
    assert_eq!(judged(CoreState::Answers(Vec::new())), (0, 2));
    assert_eq!(judged(CoreState::Silent("no answer".to_owned())), (0, 2), "it holds the port");
}

#[test]
fn a_mistake_of_the_environment_always_counts() {
    let vars = [("METASTORE_LISTEN_CLIENT_URLS", "nowhere"), ("ETCD_NAME", "x")];
    let report = judge(reviewed(&vars), &machine(), CoreState::Answers(Vec::new()));
    // The port that was tried is the default's, and nobody asked for that.
    assert_eq!(counts(&report), (1, 2), "{report:?}");
    assert_eq!(report.errors[0].variable, "METASTORE_LISTEN_CLIENT_URLS");
}

#[tokio::test]
async fn a_sidecar_starts_on_a_good_machine_and_keeps_to_its_own_warnings() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let vars = [
        ("METASTORE_DATA_DIR", data.to_str().unwrap()),
        ("METASTORE_LISTEN_CLIENT_URLS", "http://127.0.0.1:0"),
        ("METASTORE_ADVERTISE_CLIENT_URLS", "http://a:1"),
        ("METASTORE_BALLAST_BYTES", "0"),
        ("METASTORE_LIVENESS_WINDOW", "5s"),
        ("ETCD_NAME", "x"),
    ];
    let Review { settings, warnings, .. } = reviewed(&vars);
    assert_eq!(warnings.len(), 3);
    let said = at_start(&settings, &warnings).await.unwrap();
    let says = |name: &str| said.iter().any(|it| it.starts_with(name));
    assert!(says("METASTORE_LIVENESS_WINDOW") && says("ETCD_NAME"), "{said:?}");
    assert!(!says("METASTORE_BALLAST_BYTES"), "core says it: {said:?}");
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_does_not_start_on_a_machine_where_core_cannot() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    std::fs::write(&file, "").unwrap();
    let vars = [
        ("METASTORE_DATA_DIR", file.to_str().unwrap()),
        ("METASTORE_LISTEN_CLIENT_URLS", "http://127.0.0.1:0"),
    ];
    let errors = at_start(&reviewed(&vars).settings, &[]).await.unwrap_err();
    assert_eq!(errors[0].variable, "METASTORE_DATA_DIR");
    assert!(errors[0].reason.ends_with("is not a directory"), "{}", errors[0]);
}

#[tokio::test]
async fn a_socket_that_somebody_holds_is_a_core() {
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("admin.sock");
    assert_eq!(core::ask(&socket).await, CoreState::Absent);
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let state = core::ask(&socket).await;
    assert!(matches!(&state, CoreState::Silent(_)), "{state:?}");
    drop(listener);
    assert_eq!(core::ask(&socket).await, CoreState::Absent, "a socket that was left behind");
}

#[test]
fn the_json_has_a_form_that_stays() {
    let vars = [("METASTORE_LOG_LEVEL", "loud"), ("ETCD_ROOT_PASSWORD", "hunter2")];
    let core = CoreState::Answers(vec!["slow".to_owned()]);
    let facts = Facts { ports: Vec::new(), ..machine() };
    let report = judge(reviewed(&vars), &facts, core);
    let json = print::json(&report, print::Extent::Everything);
    assert!(!json.contains("hunter2"));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["valid"], false);
    assert_eq!(
        json["errors"],
        serde_json::json!([{
            "variable": "METASTORE_LOG_LEVEL",
            "value": "loud",
            "reason": "not a word that is known here",
            "remedy": "write one of error, warn, info, debug, trace",
        }])
    );
    assert_eq!(json["warnings"][0]["variable"], "ETCD_ROOT_PASSWORD");
    assert_eq!(json["warnings"][0]["value"], serde_json::Value::Null);
    assert_eq!(json["core"], serde_json::json!({ "state": "answers", "warnings": ["slow"] }));
    let settings = json["settings"].as_array().unwrap();
    let level = settings.iter().find(|it| it["variable"] == "METASTORE_LOG_LEVEL").unwrap();
    assert_eq!(
        *level,
        serde_json::json!({
            "variable": "METASTORE_LOG_LEVEL",
            "value": "loud",
            "source": "environment",
            "at_run_time": true,
        })
    );
    let brief = print::json(&report, print::Extent::Findings);
    assert!(!brief.contains("\"settings\""));
}

#[test]
fn the_text_ends_with_what_it_comes_to() {
    let report = judge(reviewed(&[]), &machine(), CoreState::Absent);
    let text = print::text(&report, print::Extent::Everything);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "METASTORE_NAME=default (default)");
    assert!(lines.contains(
        &"error: METASTORE_LISTEN_CLIENT_URLS=\"http://localhost:2379\": another process has the \
          port of http://localhost:2379; end it, or write another port"
    ));
    assert_eq!(lines.last(), Some(&"1 error, 1 warning"));
}

#[test]
fn nothing_that_is_printed_steers_a_terminal() {
    const HOSTILE: &str = "METASTORE_\u{1b}[2J\u{9b}\nX";
    let vars = [(HOSTILE, "1"), ("METASTORE_NAME", "\u{1b}[2J\u{7f}")];
    let core = CoreState::Answers(vec![HOSTILE.to_owned()]);
    let said = judge(reviewed(&vars), &machine(), core);
    let silent = judge(reviewed(&vars), &machine(), CoreState::Silent(HOSTILE.to_owned()));
    for report in [said, silent] {
        for text in [
            print::text(&report, print::Extent::Everything),
            print::json(&report, print::Extent::Everything),
        ] {
            assert!(!text.contains(|it: char| it.is_control() && it != '\n'), "{text:?}");
            assert!(text.contains("\\u{1b}[2J"), "{text}");
        }
    }
}
