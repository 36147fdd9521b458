use std::time::{Duration, UNIX_EPOCH};

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use metastore_proto::admin::{AlarmKind, ObserveResponse, Phase, RaisedAlarm};
use metastore_proto::environment::harmless_json;
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::disk::{Level, Space};
use crate::fake_core::serving;

static CORES: &[u8] = b"etcd_server_has_leader 1\n";

/// What the sidecar knows of a core that said this just now.
fn known(said: Option<ObserveResponse>) -> Known {
    let mut observation = Observation::default();
    if let Some(said) = said {
        observation.heard(said, Instant::now());
    }
    Known {
        observed: watch::channel(observation).1,
        tunable: watch::channel(Tunable::default()).1,
        disk: watch::channel(DiskState {
            space: Some(Space { total: 1000, free: 250 }),
            measured_at: Some(Instant::now()),
            ..DiskState::default()
        })
        .1,
        compaction: watch::channel(CompactionState::default()).1,
        warnings: watch::channel(Arc::from([])).1,
        core_metrics: watch::channel(Bytes::from_static(CORES)).1,
        hour: watch::channel(LastHour::starting(Instant::now())).1,
        metrics: Arc::new(Metrics::new([])),
        clock: || UNIX_EPOCH + Duration::from_secs(1_700_000_000),
    }
}

fn with_alarm(kind: AlarmKind) -> Option<ObserveResponse> {
    let mut said = serving();
    said.alarms.push(RaisedAlarm { kind: kind.into(), ..RaisedAlarm::default() });
    Some(said)
}

async fn ask(known: Known, method: &str, path: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let response = router(known).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(known: Known, path: &str) -> (u16, String) {
    let (status, _, body) = ask(known, "GET", path).await;
    (status.as_u16(), body)
}

#[tokio::test(start_paused = true)]
async fn all_probes_of_a_serving_core_say_ok() {
    for path in
        ["/readiness", "/readyz", "/liveness", "/livez", "/startup", "/sidecar/livez", "/readyz?x"]
    {
        let answer = get(known(Some(serving())), path).await;
        assert_eq!(answer, (200, "ok\n".to_owned()), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn before_core_has_answered_only_liveness_succeeds() {
    for (path, expected) in [
        ("/readiness", 503),
        ("/liveness", 200),
        ("/startup", 503),
        ("/health", 503),
        ("/sidecar/livez", 200),
        ("/version", 200),
        ("/metrics", 200),
    ] {
        assert_eq!(get(known(None), path).await.0, expected, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_core_that_stopped_answering_is_stale_after_its_time() {
    let known = known(Some(serving()));
    tokio::time::advance(Duration::from_millis(2500)).await;
    assert_eq!(get(known.clone(), "/readiness").await.0, 200);
    tokio::time::advance(Duration::from_millis(1)).await;
    let (status, body) = get(known.clone(), "/readiness").await;
    assert_eq!(status, 503);
    assert!(body.starts_with("[-]observed failed: stale\n[?]serving unknown\n"), "{body}");
    assert_eq!(get(known, "/liveness").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn verbose_lists_the_checks() {
    let expected =
        "[+]answering ok\n[+]ticking ok\n[+]applying ok\n[+]serializable_read ok\nok\n".to_owned();
    for path in ["/livez?verbose", "/livez?verbose=0", "/livez?exclude=x&verbose=true"] {
        assert_eq!(get(known(Some(serving())), path).await, (200, expected.clone()));
    }
    let expected = "[+]observed ok\n[+]serving ok\n[-]data_corruption failed: ALARM CORRUPT\n\
        [+]linearizable_read ok\n[+]non_learner ok\n[+]serializable_read ok\n[+]caught_up ok\n";
    let answer = get(known(with_alarm(AlarmKind::Corrupt)), "/readyz").await;
    assert_eq!(answer, (503, expected.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn checks_can_be_left_out_or_asked_for_alone() {
    let corrupt = || known(with_alarm(AlarmKind::Corrupt));
    let failed = "[-]data_corruption failed: ALARM CORRUPT\n";
    for (path, status, body) in [
        ("/readyz?exclude=data_corruption", 200, "ok\n"),
        ("/readyz?exclude=x&exclude=data_corruption", 200, "ok\n"),
        ("/readyz/data_corruption", 503, failed),
        ("/readyz/data_corruption?exclude=data_corruption", 503, failed),
        ("/readiness/data_corruption", 503, failed),
        ("/readyz/serializable_read", 200, "ok\n"),
        ("/readyz/linearizable_read", 200, "ok\n"),
        ("/readyz/non_learner?verbose", 200, "[+]non_learner ok\nok\n"),
        ("/livez/serializable_read", 200, "ok\n"),
        ("/liveness/ticking", 200, "ok\n"),
        ("/startup/opened", 200, "ok\n"),
        ("/livez/data_corruption", 404, "404 page not found\n"),
        ("/readyz/nothing", 404, "404 page not found\n"),
        ("/readyz/", 404, "404 page not found\n"),
        ("/nothing", 404, "404 page not found\n"),
    ] {
        assert_eq!(get(corrupt(), path).await, (status, body.to_owned()), "{path}");
    }
}

/// A query of 16 KiB has eight thousand parameters, each of which cost the one thread its time.
#[tokio::test(start_paused = true)]
async fn a_path_and_query_have_a_bound_and_all_that_can_be_asked_for_is_far_below() {
    let names = known(None).verdict().checks.iter().map(|check| check.name).collect::<Vec<_>>();
    let all: String = names.iter().map(|name| format!("&exclude={name}")).collect();
    let all = format!("/readyz?verbose&format=json{all}");
    assert!(all.len() < TARGET_MAX / 2 && names.len() < PARAMETERS_MAX / 2, "{all}");
    assert_eq!(get(known(None), &all).await.0, 200);
    let padded = |path: &str, part: &str, number| format!("{path}?{}", part.repeat(number));
    for path in ["/readyz", "/health", "/sidecar/livez", "/", "/metrics", "/nothing"] {
        for (part, most) in [("x", TARGET_MAX - path.len() - 1), ("&", PARAMETERS_MAX - 1)] {
            assert_ne!(get(known(None), &padded(path, part, most)).await.0, 414, "{path}");
            let longer = padded(path, part, most + 1);
            let (status, headers, body) = ask(known(None), "GET", &longer).await;
            assert_eq!((status.as_u16(), body.as_str()), (414, "414 path and query too long\n"));
            assert_eq!(headers["cache-control"], "no-store", "{path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_that_core_says_steers_a_terminal_or_forges_a_check() {
    let mut said = serving();
    let process = said.process.as_mut().unwrap();
    process.set_phase(Phase::Faulted);
    process.fault = "disk\n[+]serving ok\u{1b}[2J\u{9b}\u{202e}".to_owned();
    let shown = "disk\\n[+]serving ok\\u{1b}[2J\\u{9b}\\u{202e}";
    let (status, body) = get(known(Some(said.clone())), "/readyz").await;
    assert_eq!(status, 503);
    let line = format!("[-]serving failed: stopped by a fault: {shown}");
    assert!(body.lines().any(|found| found == line), "{body}");
    assert!(!body.contains(|letter: char| letter.is_control() && letter != '\n'), "{body:?}");
    for path in ["/readyz?format=json", "/health", "/version"] {
        let (_, body) = get(known(Some(said.clone())), path).await;
        assert_eq!(harmless_json(&body), body, "{path}");
    }
    let (_, body) = json(known(Some(said)), "/readyz?format=json").await;
    let reason = "stopped by a fault: disk\n[+]serving ok\u{1b}[2J\u{9b}\u{202e}";
    assert_eq!(body["reason"], reason, "a program is told what it was");
}

async fn json(known: Known, path: &str) -> (u16, Value) {
    let (status, headers, body) = ask(known, "GET", path).await;
    assert_eq!(headers["content-type"], "application/json", "{path}");
    (status.as_u16(), serde_json::from_str(&body).unwrap())
}

#[tokio::test(start_paused = true)]
async fn probes_as_json() {
    let corrupt = known(with_alarm(AlarmKind::Corrupt));
    tokio::time::advance(Duration::from_millis(1500)).await;
    let path = "/readyz?format=json&exclude=serving&exclude=x";
    let (status, body) = json(corrupt.clone(), path).await;
    assert_eq!(status, 503);
    assert_eq!(body["probe"], "readiness");
    assert_eq!((&body["status"], &body["reason"]), (&"failed".into(), &"ALARM CORRUPT".into()));
    assert_eq!(body["timestamp"], "2023-11-14T22:13:20Z");
    assert_eq!(body["unmatched_exclude"], serde_json::json!(["x"]));
    let checks = body["checks"].as_array().unwrap();
    let named = |name: &str| checks.iter().find(|check| check["name"] == name);
    assert!(named("serving").is_none());
    let observed = serde_json::json!({
        "name": "observed", "status": "ok", "reason": "",
        "value": 1.5, "threshold": 2.5, "unit": "seconds", "age_seconds": 1.5,
    });
    assert_eq!(named("observed"), Some(&observed));
    let corruption = serde_json::json!({
        "name": "data_corruption", "status": "failed", "reason": "ALARM CORRUPT", "age_seconds": 1.5,
    });
    assert_eq!(named("data_corruption"), Some(&corruption));

    let (status, body) = json(corrupt.clone(), "/livez/ticking?format=json").await;
    assert_eq!((status, &body["status"]), (200, &"ok".into()));
    assert_eq!(body["checks"].as_array().unwrap().len(), 1);
    let (status, body) = json(corrupt.clone(), "/startup?format=json").await;
    assert_eq!((status, &body["probe"]), (200, &"startup".into()));
    let (status, body) = json(corrupt, "/sidecar/livez?format=json").await;
    assert_eq!((status, body), (200, serde_json::json!({ "status": "ok" })));
}

#[tokio::test(start_paused = true)]
async fn health_of_a_serving_core() {
    let (status, body) = json(known(Some(serving())), "/health").await;
    assert_eq!(status, 200);
    let details = body["details"].as_array().unwrap();
    let names: Vec<_> = details.iter().map(|check| check["name"].as_str().unwrap()).collect();
    let expected = [
        "observed",
        "ticking",
        "applying",
        "serving",
        "data_corruption",
        "space",
        "linearizable_read",
        "serializable_read",
        "writable",
        "disk",
    ];
    assert_eq!(names, expected);
    assert!(details.iter().all(|check| check["status"] == "ok"), "{details:#?}");
    let disk = serde_json::json!({
        "name": "disk", "status": "ok", "reason": "",
        "value": 250.0, "threshold": 100.0, "unit": "bytes", "age_seconds": 0.0,
    });
    assert_eq!(details.last(), Some(&disk));
    // The rest, as it is told to who reads the bytes: etcd's two fields first.
    let (_, text) = get(known(Some(serving())), "/health").await;
    let expected = r#"{"health":"true","reason":"","status":"healthy","timestamp":"2023-11-14T22:13:20Z","checks":{"store":"ok","raft":"ok (leader)","disk":"ok (75% used)"},"details":["#;
    assert!(text.starts_with(expected), "{text}");
    assert!(text.ends_with(r#"],"warnings":[]}"#), "{text}");
}

#[tokio::test(start_paused = true)]
async fn health_says_what_is_wrong() {
    let (status, body) = json(known(with_alarm(AlarmKind::Nospace)), "/health").await;
    assert_eq!(status, 503);
    assert_eq!((&body["health"], &body["reason"]), (&"false".into(), &"ALARM NOSPACE".into()));
    assert_eq!(body["status"], "unhealthy");
    assert_eq!(body["checks"]["store"], "ok");
    assert_eq!(body["checks"]["disk"], "failed: ALARM NOSPACE (75% used)");

    let stale = known(Some(serving()));
    tokio::time::advance(Duration::from_secs(3)).await;
    let (status, body) = json(stale, "/health").await;
    assert_eq!((status, &body["reason"]), (503, &"stale".into()));
    let parts = serde_json::json!({
        "store": "failed: stale", "raft": "unknown", "disk": "ok (75% used)",
    });
    assert_eq!(body["checks"], parts, "the disk is measured by the sidecar itself");
}

fn without_leader() -> ObserveResponse {
    let mut said = serving();
    said.consensus.as_mut().unwrap().leader_id = 0;
    said
}

fn on_a_disk(level: Level) -> Known {
    let known = known(Some(serving()));
    let space = Some(Space { total: 1000, free: 150 });
    let state = DiskState { level, space, ..DiskState::default() };
    Known { disk: watch::channel(state).1, ..known }
}

#[tokio::test(start_paused = true)]
async fn health_asked_for_in_etcds_ways() {
    let nospace = || known(with_alarm(AlarmKind::Nospace));
    let corrupt = || known(with_alarm(AlarmKind::Corrupt));
    let alone = || known(Some(without_leader()));
    for (known, path, reason) in [
        (nospace(), "/health?exclude=CORRUPT", "ALARM NOSPACE"),
        (nospace(), "/health?exclude=NOSPACE", ""),
        (nospace(), "/health?exclude=CORRUPT&exclude=NOSPACE", ""),
        (nospace(), "/health?serializable=true", "ALARM NOSPACE"),
        (nospace(), "/health?serializable=true&exclude=NOSPACE", ""),
        (corrupt(), "/health?exclude=NOSPACE", "ALARM CORRUPT"),
        (corrupt(), "/health?exclude=CORRUPT", ""),
        (corrupt(), "/health?exclude=data_corruption", ""),
        (alone(), "/health", "RAFT NO LEADER"),
        (alone(), "/health?serializable=1", "RAFT NO LEADER"),
        (alone(), "/health?serializable=true", ""),
        (on_a_disk(Level::Low), "/health", "DISK LOW: 150 of 1000 bytes are free"),
        (on_a_disk(Level::Floor), "/health", "DISK FLOOR: 150 of 1000 bytes are free"),
        (on_a_disk(Level::Floor), "/health?exclude=NOSPACE", ""),
        (on_a_disk(Level::Warn), "/health", ""),
    ] {
        let (status, body) = json(known, path).await;
        assert_eq!(
            (status, &body["reason"]),
            (if reason.is_empty() { 200 } else { 503 }, &reason.into())
        );
        assert_eq!(body["health"], if reason.is_empty() { "true" } else { "false" }, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_fails_no_probe_of_kubernetes() {
    for path in ["/readyz", "/livez", "/startup"] {
        assert_eq!(get(on_a_disk(Level::Floor), path).await.0, 200, "{path}");
    }
    let (_, body) = json(on_a_disk(Level::Warn), "/health").await;
    let fills = serde_json::json!(["the disk fills: 150 of 1000 bytes are free"]);
    assert_eq!(body["warnings"], fills);
}

#[tokio::test(start_paused = true)]
async fn answers_are_counted_as_etcd_counts_them() {
    let known = known(Some(without_leader()));
    for path in
        ["/health", "/health?serializable=true", "/readyz", "/readyz?exclude=serving", "/livez"]
    {
        get(known.clone(), path).await;
    }
    get(known.clone(), "/readyz/non_learner").await;
    get(known.clone(), "/readyz/nothing").await;
    let (_, text) = get(known, "/metrics").await;
    for line in [
        "etcd_server_health_success 1",
        "etcd_server_health_failures 1",
        "etcd_server_healthcheck{name=\"linearizable_read\",type=\"readyz\"} 0",
        "etcd_server_healthcheck{name=\"serializable_read\",type=\"livez\"} 1",
        "etcd_server_healthchecks_total{name=\"linearizable_read\",status=\"error\",type=\"readyz\"} 2",
        "etcd_server_healthchecks_total{name=\"non_learner\",status=\"success\",type=\"readyz\"} 3",
        "etcd_server_healthchecks_total{name=\"serving\",status=\"success\",type=\"readyz\"} 1",
        "etcd_server_healthchecks_total{name=\"serializable_read\",status=\"success\",type=\"livez\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn head_has_the_status_and_no_body() {
    let (status, headers, body) = ask(known(None), "HEAD", "/readyz").await;
    assert_eq!((status.as_u16(), body.as_str()), (503, ""));
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
}

#[tokio::test(start_paused = true)]
async fn other_methods_are_refused_with_those_allowed() {
    for path in ["/health", "/metrics", "/sidecar/livez"] {
        let (status, headers, _) = ask(known(None), "POST", path).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(headers["allow"], "GET, HEAD");
    }
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_kept_or_guessed_about() {
    for (method, path) in
        [("GET", "/health"), ("GET", "/readyz"), ("GET", "/no/such"), ("POST", "/health")]
    {
        let (_, headers, _) = ask(known(None), method, path).await;
        assert_eq!(headers["cache-control"], "no-store", "{method} {path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{method} {path}");
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_are_ours_and_then_cores() {
    let (status, headers, body) = ask(known(Some(serving())), "GET", "/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(body.contains("\nmetastore_core_up 1\n"));
    assert!(body.ends_with("\netcd_server_has_leader 1\n"));
}

/// They are a hundred times as large as ours, and a crowd that does not read them would hold a copy
/// each.
#[tokio::test(start_paused = true)]
async fn a_crowd_shares_cores_metrics() {
    let known = known(Some(serving()));
    for _ in 0..2 {
        let request = Request::builder().uri("/metrics").body(Body::empty()).unwrap();
        let response = router(known.clone()).oneshot(request).await.unwrap();
        let mut body = response.into_body();
        let length = body.size_hint().exact().unwrap();
        let ours = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let cores = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(cores.as_ptr(), CORES.as_ptr());
        assert_eq!(length, (ours.len() + cores.len()) as u64);
        assert!(body.is_end_stream() && body.frame().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn versions_are_json() {
    let (_, body) = get(known(Some(serving())), "/version").await;
    let own = env!("CARGO_PKG_VERSION");
    assert_eq!(body, format!(r#"{{"sidecar":"{own}","core":"0.1.0"}}"#));
    assert!(get(known(None), "/version").await.1.contains(r#""core":null"#));
}
