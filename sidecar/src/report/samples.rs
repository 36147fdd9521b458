//! Reports for tests, made the way that real ones are.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use metastore_proto::admin::{AlarmCause, AlarmKind};
use metastore_proto::admin::{Disk, LongOperation, ObserveResponse, Queues, RaisedAlarm, TimeMark};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Facts, LastHour, Report, compose};
use crate::compaction::{CompactionState, Outcome, Run};
use crate::core_client::CoreError;
use crate::disk::{DiskState, Level, Space};
use crate::fake_core::serving;
use crate::health::{Observation, evaluate};
use crate::metrics::Metrics;
use crate::probes;
use crate::tunable::Tunable;

/// Everything that a report is made of, to be changed.
pub(crate) struct Known {
    pub(crate) observation: Observation,
    pub(crate) tunable: Tunable,
    pub(crate) disk: DiskState,
    pub(crate) compaction: CompactionState,
    pub(crate) warnings: Vec<String>,
    pub(crate) hour: LastHour,
    pub(crate) start: Instant,
    /// Since the start.
    pub(crate) age: Duration,
}

pub(crate) const TIME: SystemTime = UNIX_EPOCH;

/// What every report of these says that it was made at.
pub(crate) const AT: &str = "2023-11-14T22:13:20Z";

impl Known {
    /// The sidecar has started, and knows nothing.
    pub(crate) fn nothing() -> Self {
        let start = Instant::now();
        Self {
            observation: Observation::default(),
            tunable: Tunable::default(),
            disk: DiskState::default(),
            compaction: CompactionState::default(),
            warnings: Vec::new(),
            hour: LastHour::starting(start),
            start,
            age: Duration::from_secs(90),
        }
    }

    /// All is well, and there is something in every place.
    pub(crate) fn well() -> Self {
        let mut known = Self::nothing();
        known.observation.heard(said(), known.start + known.age);
        let gib = |number: u64| number << 30;
        known.disk = DiskState {
            space: Some(Space { total: gib(100), free: gib(60) }),
            inodes: Some(Space { total: 1_000_000, free: 900_000 }),
            measured_at: Some(known.start + known.age),
            ..DiskState::default()
        };
        let ago = |seconds| Self::time() - Duration::from_secs(seconds);
        known.compaction = CompactionState {
            enabled: true,
            last: Some(Run {
                outcome: Outcome::Compacted { revision: 2000, removed: 1500 },
                ended: ago(600),
                took: Duration::from_millis(4),
            }),
            last_success: Some(ago(600)),
            next_due: Some(Self::time() + Duration::from_secs(3000)),
            lag: Some(0),
        };
        known
    }

    /// A core that said this just now.
    pub(crate) fn says(change: impl FnOnce(&mut ObserveResponse)) -> Self {
        let mut known = Self::well();
        let mut said = said();
        change(&mut said);
        known.observation = Observation::default();
        known.observation.heard(said, known.start + known.age);
        known
    }

    /// Core has been silent for so many seconds.
    pub(crate) fn silent(mut self, seconds: u64) -> Self {
        let last = self.start + self.age;
        self.age += Duration::from_secs(seconds);
        let cause = CoreError::Silent(Duration::from_secs(1));
        for second in 0..seconds {
            let asked = last + Duration::from_secs(second);
            self.observation.unheard(asked, asked + Duration::from_secs(1), cause.clone());
        }
        self
    }

    /// As the endpoints have it.
    pub(crate) fn served(self) -> probes::Known {
        probes::Known {
            observed: watch::channel(self.observation).1,
            tunable: watch::channel(self.tunable).1,
            disk: watch::channel(self.disk).1,
            compaction: watch::channel(self.compaction).1,
            warnings: watch::channel(self.warnings.into()).1,
            core_metrics: watch::channel(Bytes::new()).1,
            hour: watch::channel(self.hour).1,
            metrics: Arc::new(Metrics::new([])),
            clock: Self::time,
        }
    }

    fn time() -> SystemTime {
        TIME + Duration::from_secs(1_700_000_000)
    }

    pub(crate) fn report(&self) -> Report {
        let now = self.start + self.age;
        let verdict = evaluate(&self.observation, &self.tunable.health, now);
        let verdict = verdict.and(crate::health::disk::disk(&self.disk, &self.tunable.disk, now));
        compose(&Facts {
            observation: &self.observation,
            verdict: &verdict,
            tunable: &self.tunable,
            disk: &self.disk,
            compaction: &self.compaction,
            warnings: &self.warnings,
            hour: &self.hour,
            started: self.start,
            now,
            time: Self::time(),
        })
    }
}

/// A leader with a name, ids, queues and sizes.
fn said() -> ObserveResponse {
    let mut said = serving();
    let process = said.process.as_mut().unwrap();
    (process.uptime_ms, process.pid) = (11_040_000, 12);
    let consensus = said.consensus.as_mut().unwrap();
    consensus.name = "alpha".to_owned();
    (consensus.member_id, consensus.leader_id) = (0x8e9e_05c5_2164_694d, 0x8e9e_05c5_2164_694d);
    (consensus.cluster_id, consensus.term) = (0xcdf8_1819_4e3a_8c32, 2);
    (consensus.commit_index, consensus.applied_index) = (5_004, 5_004);
    let history = said.history.as_mut().unwrap();
    history.compacted_revision = 2000;
    history.marks = vec![
        TimeMark { unix_ms: 1_000, revision: 1_000 },
        TimeMark { unix_ms: 61_000, revision: 3_000 },
    ];
    history.now_ms = 1_861_000;
    said.disk = Some(Disk {
        logical_bytes: 1_300_000_000,
        physical_bytes: 700_000_000,
        quota_bytes: 8 << 30,
        writable: true,
        last_sync_us: 1_240,
        ballast_bytes: 128 << 20,
        ..Disk::default()
    });
    said.queues = Some(Queues { watchers: 1_200, connections: 3, ..Queues::default() });
    said
}

/// What would break a page, or steer a terminal, that trusts it.
pub(crate) const TEXT: &str = "<script>alert(1)</script>\"'& \u{1b}[31m\n\u{7f}\u{9b}2J\u{202e}";

/// Everything that can be wrong at once, in texts that would break a page which trusts them.
pub(crate) fn hostile() -> Known {
    let mut known = Known::says(|said| {
        said.process.as_mut().unwrap().version = TEXT.to_owned();
        said.consensus.as_mut().unwrap().name = TEXT.to_owned();
        said.liveness.as_mut().unwrap().operation = TEXT.to_owned();
        said.operations = vec![LongOperation { name: TEXT.to_owned(), age_ms: 1 }];
        let (kind, cause) = (AlarmKind::Nospace.into(), AlarmCause::Disk.into());
        said.alarms = vec![RaisedAlarm { member_id: 7, kind, cause }];
    });
    known.warnings = vec![TEXT.to_owned(), "x".repeat(300)];
    known.disk.level = Level::Low;
    let cause = CoreError::Refused { code: tonic::Code::Internal, message: TEXT.to_owned() };
    known.compaction.last.as_mut().unwrap().outcome = Outcome::Failed(cause);
    known
}
