use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use metastore_proto::admin::{AlarmKind, ObserveResponse, RaisedAlarm};
use tower::ServiceExt;

use super::*;
use crate::fake_core::serving;
use crate::metrics::CompactionMetrics;

const THRESHOLDS: Thresholds = Thresholds {
    observation_max_age: Duration::from_millis(2500),
    liveness_window: Duration::from_secs(60),
};

/// What the sidecar knows of a core that said this just now.
fn known(said: Option<ObserveResponse>) -> Known {
    let mut observation = Observation::default();
    if let Some(said) = said {
        observation.heard(said, Instant::now());
    }
    Known {
        observed: watch::channel(observation).1,
        thresholds: THRESHOLDS,
        disk: watch::channel(Some(Space { total: 1000, free: 250 })).1,
        core_metrics: watch::channel("etcd_server_has_leader 1\n".to_owned()).1,
        metrics: Arc::new(Metrics::new(&CompactionMetrics::default())),
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
    let expected = "[+]answering ok\n[+]ticking ok\nok\n".to_owned();
    for path in ["/livez?verbose", "/livez?verbose=0", "/livez?exclude=x&verbose=true"] {
        assert_eq!(get(known(Some(serving())), path).await, (200, expected.clone()));
    }
    let expected = "[+]observed ok\n[+]serving ok\n[-]data_corruption failed: ALARM CORRUPT\n\
        [+]leader ok\n[+]non_learner ok\n[+]local_read ok\n";
    let answer = get(known(with_alarm(AlarmKind::Corrupt)), "/readyz").await;
    assert_eq!(answer, (503, expected.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn health_of_a_serving_core() {
    let expected = r#"{"health":"true","reason":"","status":"healthy","timestamp":"2023-11-14T22:13:20Z","checks":{"store":"ok","raft":"ok (leader)","disk":"ok (75% used)"}}"#;
    assert_eq!(get(known(Some(serving())), "/health").await, (200, expected.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn health_says_what_is_wrong() {
    let (status, body) = get(known(with_alarm(AlarmKind::Nospace)), "/health").await;
    assert_eq!(status, 503);
    assert!(body.starts_with(r#"{"health":"false","reason":"ALARM NOSPACE","status":"unhealthy""#));
    assert!(body.contains(r#""store":"ok","raft":"ok (leader)""#), "{body}");
    assert!(body.contains(r#""disk":"failed: ALARM NOSPACE (75% used)""#), "{body}");

    let mut said = serving();
    said.consensus.as_mut().unwrap().leader_id = 0;
    let (_, body) = get(known(Some(said)), "/health").await;
    assert!(body.contains(r#""reason":"RAFT NO LEADER""#), "{body}");

    let stale = known(Some(serving()));
    tokio::time::advance(Duration::from_secs(3)).await;
    let (status, body) = get(stale, "/health").await;
    assert_eq!(status, 503);
    assert!(body.contains(r#""reason":"stale""#), "{body}");
    assert!(
        body.contains(r#""store":"failed: stale","raft":"unknown","disk":"unknown""#),
        "{body}"
    );
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
        assert_eq!(headers["allow"], "GET,HEAD");
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

#[tokio::test(start_paused = true)]
async fn versions_are_json() {
    let (_, body) = get(known(Some(serving())), "/version").await;
    let own = env!("CARGO_PKG_VERSION");
    assert_eq!(body, format!(r#"{{"sidecar":"{own}","core":"0.1.0"}}"#));
    assert!(get(known(None), "/version").await.1.contains(r#""core":null"#));
}
