//! HTTP/1.1 beside gRPC on the client port.

use metastore_proto::etcdserverpb as pb;
use metastore_tests::client::Client;
use metastore_tests::http::{Answer, get, request};
use metastore_tests::store::Store;
use pb::AlarmType::{Corrupt, Nospace};
use pb::alarm_request::AlarmAction::{Activate, Deactivate};
use serde_json::Value;

async fn fetch(store: &Store, path: &str) -> Answer {
    get(&store.address, path).await.unwrap()
}

async fn check(store: &Store, cases: &[(&str, u16, &str)]) {
    for (path, status, body) in cases {
        let answer = fetch(store, path).await;
        // etcd ends a failure with a line feed, and a success not.
        let body = (*status, body.trim_end());
        assert_eq!((answer.status, answer.body.trim_end()), body, "{path}");
    }
}

async fn raise(client: &Client, alarm: pb::AlarmType) {
    client.alarms(Activate, alarm).await;
}

#[tokio::test]
async fn a_healthy_member_says_so() {
    let store = Store::start().await;
    let healthy = "{\"health\":\"true\",\"reason\":\"\"}";
    check(
        &store,
        &[
            ("/health", 200, healthy),
            ("/health?serializable=true", 200, healthy),
            ("/livez", 200, "ok\n"),
            ("/readyz", 200, "ok\n"),
            ("/livez/serializable_read", 200, "ok\n"),
            ("/readyz/data_corruption", 200, "ok\n"),
            ("/readyz/serializable_read", 200, "ok\n"),
            ("/readyz/linearizable_read", 200, "ok\n"),
            ("/readyz/non_learner", 200, "ok\n"),
            ("/livez?verbose", 200, "[+]serializable_read ok\nok\n"),
            ("/livez?verbose=true", 200, "[+]serializable_read ok\nok\n"),
            ("/livez?exclude=serializable_read", 200, "ok\n"),
        ],
    )
    .await;
}

/// At least etcd's; metastore has one more, for a member that is drained.
#[tokio::test]
async fn readiness_lists_its_checks() {
    let store = Store::start().await;
    let answer = fetch(&store, "/readyz?verbose").await;
    assert_eq!(answer.status, 200);
    let lines: Vec<_> = answer.body.lines().collect();
    assert_eq!(lines.last(), Some(&"ok"));
    for check in ["data_corruption", "linearizable_read", "non_learner", "serializable_read"] {
        let line = format!("[+]{check} ok");
        assert!(lines.contains(&line.as_str()), "{line} is not in {lines:?}");
    }
    assert_eq!(fetch(&store, "/readyz/nothing").await.status, 404);
}

#[tokio::test]
async fn an_alarm_is_unhealthy_and_ready() {
    let store = Store::start().await;
    raise(&store.client, Nospace).await;
    check(
        &store,
        &[
            ("/health", 503, "{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}"),
            ("/health?exclude=NOSPACE", 200, "{\"health\":\"true\",\"reason\":\"\"}"),
            ("/livez", 200, "ok\n"),
            ("/readyz", 200, "ok\n"),
        ],
    )
    .await;
    store.client.alarms(Deactivate, Nospace).await;
    assert_eq!(fetch(&store, "/health").await.status, 200);
}

#[tokio::test]
async fn a_corrupt_member_is_not_ready() {
    let store = Store::start().await;
    raise(&store.client, Corrupt).await;
    let unhealthy = "{\"health\":\"false\",\"reason\":\"ALARM CORRUPT\"}";
    check(&store, &[("/health", 503, unhealthy)]).await;
    let readyz = fetch(&store, "/readyz").await;
    assert_eq!(readyz.status, 503);
    assert!(readyz.body.contains("[-]data_corruption failed: "), "{}", readyz.body);
    store.client.alarms(Deactivate, Corrupt).await;
    check(&store, &[("/readyz", 200, "ok\n")]).await;
}

#[tokio::test]
async fn only_get_is_allowed_on_health() {
    let store = Store::start().await;
    let answer = request(&store.address, "POST", "/health", "").await.unwrap();
    assert_eq!(answer.status, 405);
    assert_eq!(fetch(&store, "/nothing").await.status, 404);
}

#[tokio::test]
async fn the_version_is_told() {
    let store = Store::start().await;
    let answer = fetch(&store, "/version").await;
    let version: Value = serde_json::from_str(&answer.body).unwrap();
    let status = store.client.status(Default::default()).await.unwrap();
    assert_eq!(version["etcdserver"], status.version.as_str());
    let cluster = version["etcdcluster"].as_str().unwrap();
    assert!(cluster.ends_with(".0") && status.version.starts_with(cluster.trim_end_matches('0')));
    assert!(version["storage"].is_string(), "{version}");
    if store.core.is_some() {
        assert!(version["metastore"].is_string(), "our own version: {version}");
    }
}

#[tokio::test]
async fn metrics_have_the_names_that_dashboards_use() {
    let store = Store::start().await;
    store.client.set("a", "1").await;
    store.client.value("a").await;
    let metrics = fetch(&store, "/metrics").await;
    assert_eq!(metrics.status, 200);
    let missing: Vec<_> = METRICS.iter().filter(|name| !has_metric(&metrics.body, name)).collect();
    assert!(missing.is_empty(), "missing: {missing:#?}");
}

fn has_metric(text: &str, name: &str) -> bool {
    text.lines()
        .any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])))
}

/// Those of etcd's dashboard and alerts that a sole member has.
const METRICS: &[&str] = &[
    "etcd_server_has_leader",
    "etcd_server_is_leader",
    "etcd_server_leader_changes_seen_total",
    "etcd_server_proposals_failed_total",
    "etcd_server_proposals_pending",
    "etcd_server_proposals_committed_total",
    "etcd_server_proposals_applied_total",
    "etcd_server_quota_backend_bytes",
    "etcd_server_version",
    "etcd_server_id",
    "etcd_disk_wal_fsync_duration_seconds_bucket",
    "etcd_disk_backend_commit_duration_seconds_bucket",
    "etcd_mvcc_db_total_size_in_bytes",
    "etcd_mvcc_db_total_size_in_use_in_bytes",
    "etcd_mvcc_put_total",
    "etcd_mvcc_range_total",
    "etcd_mvcc_txn_total",
    "etcd_mvcc_delete_total",
    "etcd_debugging_mvcc_current_revision",
    "etcd_debugging_mvcc_compact_revision",
    "etcd_debugging_mvcc_keys_total",
    "etcd_debugging_mvcc_watcher_total",
    "etcd_debugging_mvcc_watch_stream_total",
    "etcd_debugging_mvcc_slow_watcher_total",
    "etcd_debugging_lease_granted_total",
    "etcd_network_client_grpc_received_bytes_total",
    "etcd_network_client_grpc_sent_bytes_total",
    "grpc_server_started_total",
    "grpc_server_handled_total",
    "process_resident_memory_bytes",
    "process_open_fds",
];

#[tokio::test]
async fn grpc_methods_are_counted() {
    let store = Store::start().await;
    store.client.set("a", "1").await;
    let metrics = fetch(&store, "/metrics").await.body;
    let started = "grpc_server_started_total{grpc_method=\"Put\",grpc_service=\"etcdserverpb.KV\",\
                   grpc_type=\"unary\"}";
    assert!(metrics.lines().any(|line| line.starts_with(started)), "{started}");
    let handled = "grpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"Put\",\
                   grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"}";
    assert!(metrics.lines().any(|line| line.starts_with(handled)), "{handled}");
}
