//! The sidecar beside a real core: probes while core is stopped, and compaction by itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod crowd;
mod running;

use std::time::Duration;

use metastore_proto::etcdserverpb::{RangeRequest, StatusRequest};
use metastore_tests::client::Client;
use metastore_tests::eventually::eventually;
use metastore_tests::member::{Core, Sidecar};
use metastore_tests::requests::key;
use serde_json::Value;
use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(20);

/// Waits until a probe has this status; its body.
async fn until(sidecar: &Sidecar, path: &str, status: u16, limit: Duration) -> String {
    eventually(&format!("{path} answers {status}"), limit, async || {
        let answer = sidecar.probe(path).await;
        (answer.status == status).then_some(answer.body)
    })
    .await
}

#[tokio::test]
async fn a_healthy_core_is_ready_and_alive() {
    let core = Core::start().await;
    let sidecar = Sidecar::start(&core, &[]).await;
    until(&sidecar, "/readiness", 200, LIMIT).await;
    until(&sidecar, "/liveness", 200, LIMIT).await;
    let health = until(&sidecar, "/health", 200, LIMIT).await;
    let health: Value = serde_json::from_str(&health).unwrap();
    assert_eq!((&health["health"], &health["reason"]), (&"true".into(), &"".into()), "{health}");
    assert_eq!(health["status"], "healthy");
    assert!(!health["timestamp"].is_null());
    assert_eq!(health["checks"]["store"], "ok");
    assert_eq!(health["checks"]["raft"], "ok (leader)");
    let disk = health["checks"]["disk"].as_str().unwrap();
    assert!(disk.starts_with("ok (") && disk.ends_with("% used)"), "{disk}");
    let metrics = sidecar.probe("/metrics").await;
    assert!(metrics.status == 200 && metrics.body.contains("metastore_"));
}

#[tokio::test]
async fn a_stopped_core_is_stale_soon_and_dead_after_the_window() {
    let core = Core::start().await;
    let sidecar = Sidecar::start(&core, &[("METASTORE_LIVENESS_WINDOW", "5s")]).await;
    until(&sidecar, "/readiness", 200, LIMIT).await;
    core.pause();
    let paused = Instant::now();
    let stale = until(&sidecar, "/readiness", 503, Duration::from_secs(3)).await;
    assert!(stale.contains("stale"), "{stale}");
    assert_eq!(sidecar.probe("/health").await.status, 503);
    until(&sidecar, "/liveness", 503, WINDOW + Duration::from_secs(3)).await;
    // The window begins at the newest sign of life, at most an observation before the pause.
    let alive = paused.elapsed();
    assert!(alive >= WINDOW - Duration::from_millis(1_500), "dead after {alive:?}");
    core.resume();
    let resumed = Instant::now();
    until(&sidecar, "/readiness", 200, Duration::from_secs(5)).await;
    until(&sidecar, "/liveness", 200, Duration::from_secs(5) - resumed.elapsed()).await;
}

#[tokio::test]
async fn probes_are_fast_while_core_is_stopped() {
    let core = Core::start().await;
    let sidecar = Sidecar::start(&core, &[]).await;
    until(&sidecar, "/readiness", 200, LIMIT).await;
    core.pause();
    until(&sidecar, "/readiness", 503, LIMIT).await;
    let begun = Instant::now();
    for _ in 0..100 {
        assert_eq!(sidecar.probe("/liveness").await.status, 200);
    }
    // A connection each; the handler itself does no I/O.
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?} for 100 probes", begun.elapsed());
    core.resume();
}

#[tokio::test]
async fn a_core_that_comes_back_is_found_again() {
    let mut core = Core::start().await;
    let sidecar = Sidecar::start(&core, &[]).await;
    until(&sidecar, "/readiness", 200, LIMIT).await;
    core.kill();
    until(&sidecar, "/readiness", 503, LIMIT).await;
    core.restart().await;
    until(&sidecar, "/readiness", 200, LIMIT).await;
}

#[tokio::test]
async fn a_sidecar_may_be_first() {
    let mut core = Core::start().await;
    core.kill();
    let sidecar = Sidecar::start(&core, &[]).await;
    assert_eq!(sidecar.probe("/readiness").await.status, 503);
    core.restart().await;
    until(&sidecar, "/readiness", 200, LIMIT).await;
}

async fn size_in_use(client: &Client) -> i64 {
    client.status(StatusRequest {}).await.unwrap().db_size_in_use
}

#[tokio::test]
async fn the_sidecar_compacts_by_itself() {
    let core = Core::start().await;
    let client = core.client();
    let value = "v".repeat(5_000);
    let first = client.set("a", &value).await;
    let mut newest = first;
    for _ in 0..3_000 {
        newest = client.set("a", &value).await;
    }
    let before = size_in_use(&client).await;
    let policy = [
        ("METASTORE_KEEP_REVISIONS", "1000"),
        ("METASTORE_KEEP_DURATION", "0"),
        ("METASTORE_CHECK_INTERVAL", "2s"),
    ];
    let _sidecar = Sidecar::start(&core, &policy).await;
    let at = |revision| client.range(RangeRequest { revision, ..key("a") });
    eventually("old revisions are compacted", LIMIT, async || at(newest - 1_001).await.err()).await;
    assert!(at(newest - 999).await.is_ok(), "a thousand revisions are kept");
    eventually("the logical size falls", LIMIT, async || {
        (size_in_use(&client).await < before / 2).then_some(())
    })
    .await;
    assert_eq!(client.value("a").await, value);
}

#[tokio::test]
async fn the_sidecar_may_be_told_not_to_compact() {
    let core = Core::start().await;
    let client = core.client();
    let first = client.set("a", "1").await;
    for _ in 0..50 {
        client.set("a", "2").await;
    }
    let policy = [
        ("METASTORE_AUTO_COMPACT", "false"),
        ("METASTORE_KEEP_REVISIONS", "10"),
        ("METASTORE_KEEP_DURATION", "0"),
        ("METASTORE_CHECK_INTERVAL", "1s"),
    ];
    let sidecar = Sidecar::start(&core, &policy).await;
    until(&sidecar, "/readiness", 200, LIMIT).await;
    let span = Duration::from_secs(3);
    metastore_tests::eventually::throughout("history stays", span, async || {
        client.range(RangeRequest { revision: first, ..key("a") }).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn every_mistake_in_the_environment_is_told_at_once() {
    let variables = [
        ("METASTORE_CHECK_INTERVAL", "often"),
        ("METASTORE_KEEP_REVISIONS", "0"),
        ("METASTORE_AUTO_COMPACT", "perhaps"),
        ("METASTORE_NO_SUCH_THING", "1"),
    ];
    let place = tempfile::tempdir().unwrap();
    let mut sidecar = Sidecar::launch(place.path(), &variables);
    let ended = sidecar.process().ended().await;
    let output = sidecar.process().output();
    assert_eq!(ended.code(), Some(64), "{output}");
    for (name, _) in variables {
        assert!(output.contains(name), "{name} is not told: {output}");
    }
}
