//! etcd's conventions: what kubeadm's manifests ask, and how etcd 3.7.1 answers it.
//!
//! The same questions go to the sidecar and to core's client port; and with
//! `METASTORE_TESTS_ENDPOINT=http://…` to that server, which makes etcd the judge of the table.

use metastore_tests::http::{get, request};
use metastore_tests::member::{Core, Sidecar};
use serde_json::Value;

use crate::until;

/// Path, status, and what the lines of the body must begin with or be; in any order, because
/// etcd's is random.
type Row = (&'static str, u16, &'static [&'static str]);

const LIVE: &[&str] = &["[+]serializable_read ok", "ok"];
const READY: &[&str] = &[
    "[+]data_corruption ok",
    "[+]serializable_read ok",
    "[+]linearizable_read ok",
    "[+]non_learner ok",
    "ok",
];
const HEALTHY: &[&str] = &["{\"health\":\"true\",\"reason\":\"\""];
const OK: &[&str] = &["ok"];
const NOT_FOUND: &[&str] = &["404 page not found"];

const OF_A_HEALTHY_MEMBER: &[Row] = &[
    // kubeadm's manifests: since 1.31, and before.
    ("/livez", 200, OK),
    ("/readyz", 200, OK),
    ("/health?serializable=false", 200, HEALTHY),
    ("/health?exclude=NOSPACE&serializable=true", 200, HEALTHY),
    ("/health", 200, HEALTHY),
    ("/health?exclude=NOSPACE&exclude=CORRUPT", 200, HEALTHY),
    ("/livez?verbose", 200, LIVE),
    ("/livez?verbose=false", 200, LIVE),
    ("/livez?exclude=serializable_read", 200, OK),
    ("/livez?exclude=", 200, OK),
    ("/livez?verbose&exclude=no_such_check", 200, LIVE),
    ("/livez/serializable_read", 200, OK),
    ("/livez/serializable_read?verbose", 200, LIVE),
    ("/livez/no_such_check", 404, NOT_FOUND),
    ("/livez/data_corruption", 404, NOT_FOUND),
    ("/readyz?verbose", 200, READY),
    ("/readyz?verbose&exclude=no_such_check", 200, READY),
    ("/readyz/data_corruption", 200, OK),
    ("/readyz/serializable_read", 200, OK),
    ("/readyz/linearizable_read", 200, OK),
    ("/readyz/non_learner?verbose", 200, &["[+]non_learner ok", "ok"]),
    ("/readyz/no_such_check", 404, NOT_FOUND),
    ("/readyz/", 404, NOT_FOUND),
    ("/livezz", 404, NOT_FOUND),
];

async fn check(server: &str, address: &str, rows: &[Row]) {
    for (path, status, lines) in rows {
        let answer = get(address, path).await.unwrap();
        assert_eq!(answer.status, *status, "{server} {path}: {}", answer.body);
        for line in *lines {
            let found = answer.body.lines().any(|found| found.starts_with(line));
            assert!(found, "{server} {path}: no {line:?} in {:?}", answer.body);
        }
        // The list comes only when it is asked for.
        let asked = path.contains("verbose") || !path.contains("ez");
        assert!(asked || !answer.body.contains("[+]"), "{server} {path}: {:?}", answer.body);
    }
}

#[tokio::test]
async fn a_healthy_member_answers_as_etcd_does() {
    if let Ok(url) = std::env::var("METASTORE_TESTS_ENDPOINT") {
        check("other", url.trim_start_matches("http://"), OF_A_HEALTHY_MEMBER).await;
    }
    let core = Core::start().await;
    let sidecar = Sidecar::start(&core, &[]).await;
    until(&sidecar, "/readyz", 200).await;
    check("core", &core.address(), OF_A_HEALTHY_MEMBER).await;
    check("sidecar", &sidecar.address(), OF_A_HEALTHY_MEMBER).await;
    // kubeadm's startup probe, and our own paths.
    let ours: &[Row] = &[
        ("/startup", 200, OK),
        ("/startup?verbose", 200, &["[+]observed ok", "[+]opened ok", "ok"]),
        ("/startup/opened", 200, OK),
        ("/readiness?verbose", 200, READY),
        ("/liveness?verbose", 200, &["[+]answering ok", "[+]ticking ok", "ok"]),
        ("/sidecar/livez", 200, OK),
    ];
    check("sidecar", &sidecar.address(), ours).await;
}

#[tokio::test]
async fn other_methods_than_get_and_head() {
    let core = Core::start().await;
    let sidecar = Sidecar::start(&core, &[]).await;
    until(&sidecar, "/readyz", 200).await;
    for address in [core.address(), sidecar.address()] {
        for path in ["/health", "/livez", "/readyz", "/readyz/non_learner", "/metrics"] {
            let answer = request(&address, "POST", path, "").await.unwrap();
            assert_eq!(answer.status, 405, "{address} {path}");
            let head = answer.head.to_ascii_lowercase();
            assert!(head.contains("allow: get, head"), "{address} {path}: {head}");
            assert!(head.contains("x-content-type-options: nosniff"), "{address} {path}: {head}");
            let answer = request(&address, "HEAD", path, "").await.unwrap();
            assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{address} {path}");
        }
    }
    let answer = sidecar.probe("/readyz").await;
    assert!(answer.head.to_ascii_lowercase().contains("cache-control: no-store"));
}

#[tokio::test]
async fn every_probe_has_a_form_for_programs() {
    let core = Core::start().await;
    let sidecar = Sidecar::start(&core, &[]).await;
    until(&sidecar, "/readyz", 200).await;
    for path in ["/health", "/readyz", "/livez", "/startup", "/readyz/non_learner"] {
        let answer = sidecar.probe(&format!("{path}?format=json")).await;
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        let checks = if path == "/health" { &body["details"] } else { &body["checks"] };
        for check in checks.as_array().unwrap() {
            assert_eq!(check["status"], "ok", "{path}: {check}");
            let age = check["age_seconds"].as_f64().unwrap();
            assert!((0.0..10.0).contains(&age), "{path}: {check}");
        }
    }
}

fn value(metrics: &str, series: &str) -> Option<f64> {
    let lines = metrics.lines().filter_map(|line| line.strip_prefix(series));
    lines.filter_map(|rest| rest.strip_prefix(' ')?.parse().ok()).next()
}

/// The counters move with the answers, on both ports, and one scrape of the pod has each family
/// once.
#[tokio::test]
async fn answers_are_counted_under_etcds_names() {
    let core = Core::start().await;
    let sidecar = Sidecar::start(&core, &[]).await;
    until(&sidecar, "/readyz", 200).await;
    let series = [
        "etcd_server_health_success",
        "etcd_server_healthchecks_total{name=\"serializable_read\",status=\"success\",type=\"livez\"}",
        "etcd_server_healthchecks_total{name=\"data_corruption\",status=\"success\",type=\"readyz\"}",
    ];
    for address in [core.address(), sidecar.address()] {
        let count = async || {
            let metrics = get(&address, "/metrics").await.unwrap().body;
            series.map(|series| value(&metrics, series).unwrap_or_default())
        };
        let before = count().await;
        for path in ["/health", "/livez", "/readyz", "/readyz/data_corruption", "/readyz/none"] {
            get(&address, path).await.unwrap();
        }
        let after = count().await;
        assert_eq!(after, [before[0] + 1.0, before[1] + 1.0, before[2] + 2.0], "{address}");
        let metrics = get(&address, "/metrics").await.unwrap().body;
        let gauge = "etcd_server_healthcheck{name=\"non_learner\",type=\"readyz\"}";
        assert_eq!(value(&metrics, gauge), Some(1.0), "{address}");
    }
    let relayed =
        metastore_tests::eventually::eventually("core's metrics", crate::LIMIT, async || {
            let metrics = sidecar.probe("/metrics").await.body;
            metrics.contains("\netcd_server_has_leader 1\n").then_some(metrics)
        })
        .await;
    let mut families: Vec<_> = relayed
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let count = families.len();
    families.sort_unstable();
    families.dedup();
    assert_eq!(families.len(), count, "a family comes twice");
}
