//! A core and its sidecar on a volume of their own.

use std::path::PathBuf;
use std::time::Duration;

use metastore_proto::etcdserverpb as pb;
use metastore_tests::client::{Client, assert_refused};
use metastore_tests::eventually::eventually;
use metastore_tests::member::{Core, Sidecar};
use metastore_tests::requests::put;
use metastore_tests::volume::Volume;
use pb::alarm_request::AlarmAction;
use serde_json::Value;
use tonic::Code;

const VOLUME_MIB: u64 = 512;
/// How long anything may take that happens by itself.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
pub(crate) const CLEAR_AFTER: Duration = Duration::from_secs(2);
pub(crate) const NO_SPACE: &str = "etcdserver: mvcc: database space exceeded";

const GUARD: [(&str, &str); 7] = [
    ("METASTORE_DISK_WARN_FREE", "50%"),
    ("METASTORE_DISK_LOW_FREE", "40%"),
    ("METASTORE_DISK_CLEAR_FREE", "45%"),
    ("METASTORE_DISK_FLOOR_FREE", "5%"),
    ("METASTORE_DISK_CLEAR_AFTER", "2s"),
    ("METASTORE_OBSERVE_INTERVAL", "200ms"),
    ("METASTORE_AUTO_COMPACT", "false"),
];

pub(crate) struct Pod {
    pub(crate) core: Core,
    pub(crate) client: Client,
    /// Last: a volume is unmounted when nobody uses it any more.
    volume: Volume,
}

impl Pod {
    /// A core on a new volume, or `None` where that is impossible here.
    pub(crate) async fn start(what: &str) -> Option<Self> {
        let volume = Volume::new(VOLUME_MIB, what)?;
        let variables = [&[("METASTORE_BALLAST_BYTES", "32MiB")], &GUARD[..]].concat();
        let mut core = Core::launch_on(&volume.path().join("data"), &variables);
        core.ready().await;
        let client = core.client();
        Some(Self { core, client, volume })
    }

    pub(crate) async fn sidecar(&self) -> Sidecar {
        let sidecar = Sidecar::start(&self.core, &GUARD).await;
        until(&sidecar, "/readiness", 200).await;
        sidecar
    }

    pub(crate) fn volume(&self) -> PathBuf {
        self.volume.path()
    }

    /// Waits until the list of alarms is as long; it names this member and NOSPACE.
    pub(crate) async fn until_alarms(&self, count: usize) {
        eventually(&format!("{count} alarms"), LIMIT, async || {
            let alarms = self.client.alarms(AlarmAction::Get, pb::AlarmType::None).await;
            let all_nospace = alarms.iter().all(|it| it.alarm() == pb::AlarmType::Nospace);
            assert!(all_nospace, "{alarms:?}");
            (alarms.len() == count).then_some(())
        })
        .await;
    }

    pub(crate) async fn assert_refuses_writes(&self) {
        let answer = self.client.put(put("refused", "1")).await;
        assert_refused(answer, Code::ResourceExhausted, NO_SPACE);
    }

    pub(crate) async fn assert_takes_writes(&self) {
        self.client.set("taken", "1").await;
        assert_eq!(self.client.value("taken").await, "1");
    }
}

/// Waits until a probe has this status; its body.
pub(crate) async fn until(sidecar: &Sidecar, path: &str, status: u16) -> String {
    eventually(&format!("{path} answers {status}"), LIMIT, async || {
        let answer = sidecar.probe(path).await;
        (answer.status == status).then_some(answer.body)
    })
    .await
}

/// Waits until a line is among the sidecar's metrics.
pub(crate) async fn until_metric(sidecar: &Sidecar, line: &str) {
    eventually(line, LIMIT, async || {
        sidecar.probe("/metrics").await.body.lines().any(|found| found == line).then_some(())
    })
    .await;
}

/// What everybody sees of the alarm: it fails health, and neither readiness nor liveness.
pub(crate) async fn assert_alarm_is_visible(sidecar: &Sidecar) {
    eventually("health tells of the alarm", LIMIT, async || {
        let health: Value = serde_json::from_str(&until(sidecar, "/health", 503).await).unwrap();
        assert_eq!(health["health"], "false", "{health}");
        (health["reason"] == "ALARM NOSPACE").then_some(())
    })
    .await;
    for path in ["/readiness", "/liveness", "/health?exclude=NOSPACE"] {
        let answer = sidecar.probe(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
    let page = sidecar.probe("/").await.body;
    assert!(page.contains("NOSPACE"), "{page}");
}
