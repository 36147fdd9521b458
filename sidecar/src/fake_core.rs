//! A core of a few scripted answers, for tests.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex};

use metastore_proto::admin::{
    AlarmRequest, Consensus, Disk, History, Liveness, ObserveResponse, Phase, Process, Role,
    TimeMark,
};
use tokio::sync::{Notify, mpsc};

use crate::core_client::{CoreClient, CoreError};

type Script<T> = Mutex<VecDeque<Result<T, CoreError>>>;

/// Says what it was told to, then nothing more.
#[derive(Default)]
pub(crate) struct FakeCore {
    observations: Script<ObserveResponse>,
    compactions: Script<i64>,
    metrics: Script<String>,
    asked_to_compact: Mutex<Option<mpsc::UnboundedSender<i64>>>,
    alarms: Script<()>,
    asked_for_alarm: Mutex<Option<mpsc::UnboundedSender<AlarmRequest>>>,
    ended: Notify,
}

impl FakeCore {
    pub(crate) fn will_observe(
        &self,
        answers: impl IntoIterator<Item = Result<ObserveResponse, CoreError>>,
    ) {
        self.observations.lock().unwrap().extend(answers);
    }

    pub(crate) fn will_say_metrics(
        &self,
        answers: impl IntoIterator<Item = Result<String, CoreError>>,
    ) {
        self.metrics.lock().unwrap().extend(answers);
    }

    /// Ends the connection.
    pub(crate) fn hang_up(&self) {
        self.ended.notify_one();
    }

    /// Returns where the revisions arrive that it is asked to compact to.
    pub(crate) fn will_compact(
        &self,
        answers: impl IntoIterator<Item = Result<i64, CoreError>>,
    ) -> mpsc::UnboundedReceiver<i64> {
        self.compactions.lock().unwrap().extend(answers);
        let (asked, questions) = mpsc::unbounded_channel();
        *self.asked_to_compact.lock().unwrap() = Some(asked);
        questions
    }

    /// Returns where the requests arrive.
    pub(crate) fn will_alarm(
        &self,
        answers: impl IntoIterator<Item = Result<(), CoreError>>,
    ) -> mpsc::UnboundedReceiver<AlarmRequest> {
        self.alarms.lock().unwrap().extend(answers);
        let (asked, questions) = mpsc::unbounded_channel();
        *self.asked_for_alarm.lock().unwrap() = Some(asked);
        questions
    }
}

async fn next<T>(script: &Script<T>) -> Result<T, CoreError> {
    let answer = script.lock().unwrap().pop_front();
    match answer {
        Some(answer) => answer,
        None => pending().await,
    }
}

impl CoreClient for Arc<FakeCore> {
    async fn observe(&self) -> Result<ObserveResponse, CoreError> {
        next(&self.observations).await
    }

    async fn compact(&self, revision: i64) -> Result<i64, CoreError> {
        if let Some(asked) = &*self.asked_to_compact.lock().unwrap() {
            asked.send(revision).unwrap();
        }
        next(&self.compactions).await
    }

    async fn alarm(&self, request: AlarmRequest) -> Result<(), CoreError> {
        if let Some(asked) = &*self.asked_for_alarm.lock().unwrap() {
            asked.send(request).unwrap();
        }
        next(&self.alarms).await
    }

    async fn metrics(&self) -> Result<String, CoreError> {
        next(&self.metrics).await
    }

    async fn hung_up(&self) {
        self.ended.notified().await;
    }
}

/// What a leader says with whom all is well: 5000 revisions, none compacted, one mark.
pub(crate) fn serving() -> ObserveResponse {
    ObserveResponse {
        process: Some(Process {
            boot_id: 1,
            version: "0.1.0".to_owned(),
            phase: Phase::Serving.into(),
            ..Process::default()
        }),
        consensus: Some(Consensus {
            member_id: 7,
            role: Role::Leader.into(),
            leader_id: 7,
            ..Consensus::default()
        }),
        history: Some(History {
            revision: 5000,
            compacted_revision: 0,
            marks: vec![TimeMark { unix_ms: 1_000, revision: 3000 }],
            keys: 10,
            now_ms: 61_000,
        }),
        disk: Some(Disk { writable: true, ..Disk::default() }),
        liveness: Some(Liveness { local_read_ok: true, ..Liveness::default() }),
        ..ObserveResponse::default()
    }
}
