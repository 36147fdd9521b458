//! Situations that one healthy member cannot reach, told by a stand-in.

use std::time::Duration;

use metastore_proto::admin::{LongOperation, ObserveResponse, Phase, Process, Role};
use metastore_tests::eventually::{eventually, pause};
use metastore_tests::member::Sidecar;
use metastore_tests::stand_in::{StandIn, healthy};
use tempfile::TempDir;

use super::table::{check, reached};

const FAST: [(&str, &str); 3] = [
    ("METASTORE_OBSERVE_INTERVAL", "100ms"),
    ("METASTORE_LIVENESS_WINDOW", "3s"),
    ("METASTORE_DISK_GUARD", "false"),
];

struct Pair {
    stand_in: StandIn,
    sidecar: Sidecar,
    _place: TempDir,
}

/// A sidecar beside something that says this.
async fn beside(said: ObserveResponse, more: &[(&str, &str)]) -> Pair {
    let place = tempfile::Builder::new().prefix("ms-").tempdir().unwrap();
    let stand_in = StandIn::start(place.path());
    stand_in.says(said);
    let variables: Vec<_> = FAST.iter().chain(more).copied().collect();
    let sidecar = Sidecar::start_on(place.path(), &variables).await;
    Pair { stand_in, sidecar, _place: place }
}

fn in_phase(phase: Phase) -> ObserveResponse {
    let mut said = healthy();
    said.process.as_mut().unwrap().set_phase(phase);
    said
}

#[tokio::test]
async fn opening() {
    let pair = beside(in_phase(Phase::Opening), &[]).await;
    check("opening a big store", &pair.sidecar).await;
}

#[tokio::test]
async fn replaying() {
    let pair = beside(in_phase(Phase::Replaying), &[]).await;
    check("a replay that stands still", &pair.sidecar).await;
    let (stand_in, sidecar) = (&pair.stand_in, &pair.sidecar);
    let progress = async {
        loop {
            stand_in.changes(|said| said.process.as_mut().unwrap().progress_done += 1);
            pause().await;
        }
    };
    tokio::select! {
        () = check("a replay that gets on", sidecar) => {}
        () = progress => {}
    }
}

#[tokio::test]
async fn without_a_leader() {
    let pair = beside(healthy(), &[]).await;
    reached("serving", &pair.sidecar).await;
    pair.stand_in.changes(|said| said.consensus.as_mut().unwrap().leader_id = 0);
    check("no leader", &pair.sidecar).await;
    pair.stand_in.says(healthy());
    check("serving", &pair.sidecar).await;
}

#[tokio::test]
async fn without_a_leader_in_mode_local() {
    let pair = beside(healthy(), &[("METASTORE_READINESS_MODE", "local")]).await;
    reached("serving", &pair.sidecar).await;
    pair.stand_in.changes(|said| said.consensus.as_mut().unwrap().leader_id = 0);
    check("no leader, mode `local`", &pair.sidecar).await;
}

#[tokio::test]
async fn a_leader_missed_once() {
    // So slow that the probes of the test see every answer.
    let slow = [("METASTORE_OBSERVE_INTERVAL", "1s"), ("METASTORE_OBSERVATION_MAX_AGE", "9s")];
    let place = tempfile::Builder::new().prefix("ms-").tempdir().unwrap();
    let stand_in = StandIn::start(place.path());
    let sidecar = Sidecar::start_on(place.path(), &slow).await;
    reached("serving", &sidecar).await;
    stand_in.changes(|said| said.consensus.as_mut().unwrap().leader_id = 0);
    let before = stand_in.observed();
    eventually("it said once that there is no leader", Duration::from_secs(20), async || {
        (stand_in.observed() > before).then_some(())
    })
    .await;
    stand_in.says(healthy());
    check("no leader in one answer only", &sidecar).await;
}

#[tokio::test]
async fn learner() {
    let mut said = healthy();
    said.consensus.as_mut().unwrap().set_role(Role::Learner);
    said.consensus.as_mut().unwrap().leader_id = 9;
    check("a learner", &beside(said, &[]).await.sidecar).await;
}

#[tokio::test]
async fn behind() {
    let mut said = healthy();
    said.consensus.as_mut().unwrap().commit_index = 1_000_000;
    let pair = beside(said.clone(), &[]).await;
    check("started and far behind", &pair.sidecar).await;
    pair.stand_in.says(healthy());
    reached("serving", &pair.sidecar).await;
    pair.stand_in.says(said);
    check("far behind after it had caught up", &pair.sidecar).await;
}

#[tokio::test]
async fn a_loop_that_stands_still() {
    let mut said = healthy();
    said.liveness.as_mut().unwrap().tick_age_ms = 60_000;
    let pair = beside(said, &[]).await;
    check("the consensus loop stands still", &pair.sidecar).await;
    pair.stand_in.changes(|said| {
        let liveness = said.liveness.as_mut().unwrap();
        liveness.operation = "log sync".to_owned();
        liveness.operation_age_ms = 60_000;
        said.operations.push(LongOperation { name: "reclaim".to_owned(), age_ms: 1 });
    });
    check("the consensus loop is inside a slow sync", &pair.sidecar).await;
}

#[tokio::test]
async fn not_writable() {
    let mut said = healthy();
    said.disk.as_mut().unwrap().writable = false;
    check("the data directory cannot be written to", &beside(said, &[]).await.sidecar).await;
}

#[tokio::test]
async fn faulted() {
    let mut said = in_phase(Phase::Faulted);
    said.process.as_mut().unwrap().fault = "a bad block".to_owned();
    check("stopped by a fault", &beside(said, &[]).await.sidecar).await;
}

#[tokio::test]
async fn an_older_core() {
    let process = Process {
        boot_id: 1,
        version: "0.0.1".to_owned(),
        phase: Phase::Serving.into(),
        ..Process::default()
    };
    let said = ObserveResponse { process: Some(process), ..ObserveResponse::default() };
    check("an older core that says little", &beside(said, &[]).await.sidecar).await;
}

#[tokio::test]
async fn a_newer_core() {
    let mut said = healthy();
    said.process.as_mut().unwrap().phase = 77;
    said.consensus.as_mut().unwrap().role = 77;
    check("a newer core in a phase unknown here", &beside(said, &[]).await.sidecar).await;
}
