//! What a sidecar answers in situations that one real member cannot be brought into: a stand-in
//! core says so on the admin socket.

use std::time::Duration;

use metastore_proto::admin::{AlarmKind, ObserveResponse, Phase, RaisedAlarm, Role};
use metastore_tests::eventually::{eventually, throughout};
use metastore_tests::member::{Core, Sidecar};
use metastore_tests::stand_in::{Manner, StandIn, healthy};
use tempfile::TempDir;
use tokio::time::Instant;
use tonic::Code;

use crate::{LIMIT, until, within};

/// Ten questions a second, and one answer decides.
const QUICK: &[(&str, &str)] = &[
    ("METASTORE_OBSERVE_INTERVAL", "100ms"),
    ("METASTORE_OBSERVATION_MAX_AGE", "1500ms"),
    ("METASTORE_LIVENESS_WINDOW", "2s"),
    ("METASTORE_PROBE_FAILURES", "1"),
    ("METASTORE_PROBE_SUCCESSES", "1"),
];

struct Pair {
    stand_in: StandIn,
    sidecar: Sidecar,
    _place: TempDir,
}

impl Pair {
    async fn start(more: &[(&str, &str)]) -> Self {
        let place = tempfile::Builder::new().prefix("ms-").tempdir().unwrap();
        let stand_in = StandIn::start(place.path());
        let given = |name: &str| more.iter().any(|(other, _)| *other == name);
        let quick = QUICK.iter().filter(|(name, _)| !given(name));
        let variables: Vec<_> = quick.chain(more).copied().collect();
        let sidecar = Sidecar::start_on(place.path(), &variables).await;
        until(&sidecar, "/readiness", 200).await;
        Self { stand_in, sidecar, _place: place }
    }

    /// The statuses of startup, liveness, readiness and health, once this was heard.
    async fn after(&self, said: ObserveResponse) -> [u16; 4] {
        self.stand_in.says(said);
        let heard = self.stand_in.observed() + 2;
        eventually("it was heard", LIMIT, async || {
            (self.stand_in.observed() > heard).then_some(())
        })
        .await;
        self.statuses().await
    }

    async fn statuses(&self) -> [u16; 4] {
        let mut found = [0; 4];
        let paths = ["/startup", "/liveness", "/readiness", "/health"];
        for (status, path) in found.iter_mut().zip(paths) {
            *status = self.sidecar.probe(path).await.status;
        }
        found
    }
}

fn but(change: impl FnOnce(&mut ObserveResponse)) -> ObserveResponse {
    let mut said = healthy();
    change(&mut said);
    said
}

fn role(role: i32, leader: u64) -> ObserveResponse {
    but(|said| {
        let consensus = said.consensus.as_mut().unwrap();
        (consensus.role, consensus.leader_id) = (role, leader);
    })
}

fn phase(phase: i32) -> ObserveResponse {
    but(|said| said.process.as_mut().unwrap().phase = phase)
}

#[tokio::test]
async fn what_one_member_cannot_reach() {
    let pair = Pair::start(&[]).await;
    let corrupt = but(|said| {
        let kind = AlarmKind::Corrupt.into();
        said.alarms.push(RaisedAlarm { member_id: 7, kind, ..RaisedAlarm::default() });
    });
    let lagging = but(|said| said.consensus.as_mut().unwrap().commit_index = 90_000);
    let mut caught_up_never = lagging.clone();
    caught_up_never.process.as_mut().unwrap().boot_id = 99;
    let older = but(|said| (said.consensus, said.liveness, said.disk) = (None, None, None));
    for (name, said, expected) in [
        ("well", healthy(), [200; 4]),
        ("follower", role(Role::Follower.into(), 8), [200; 4]),
        ("no leader", role(Role::Candidate.into(), 0), [200, 200, 503, 503]),
        ("learner", role(Role::Learner.into(), 8), [200, 200, 503, 200]),
        ("lagging", lagging, [200; 4]),
        ("lagging since its start", caught_up_never, [200, 200, 503, 200]),
        ("opening", phase(Phase::Opening.into()), [503, 200, 503, 503]),
        ("draining", phase(Phase::Draining.into()), [200, 200, 503, 503]),
        ("corrupt", corrupt, [200, 200, 503, 503]),
        ("older, of few words", older, [200; 4]),
        ("newer, in a phase of later", phase(99), [200, 200, 503, 503]),
        ("newer, in a role of later", role(99, 8), [200; 4]),
        ("nothing at all", ObserveResponse::default(), [200, 200, 503, 503]),
        ("well again", healthy(), [200; 4]),
    ] {
        let found = pair.after(said).await;
        assert_eq!(found, expected, "{name} [startup, liveness, readiness, health]");
    }
}

#[tokio::test]
async fn without_a_leader_a_member_may_stay_ready() {
    let pair = Pair::start(&[("METASTORE_READINESS_MODE", "local")]).await;
    assert_eq!(pair.after(role(Role::Candidate.into(), 0)).await, [200, 200, 200, 503]);
    let local = pair.sidecar.probe("/health?serializable=true").await;
    assert_eq!(local.status, 200, "{}", local.body);
}

/// A leader that is lost has to be missed in so many answers, and found again in as many as are
/// asked for.
#[tokio::test]
async fn a_leader_that_flickers_changes_nothing() {
    let patience = [("METASTORE_PROBE_FAILURES", "20"), ("METASTORE_PROBE_SUCCESSES", "10")];
    let pair = Pair::start(&patience).await;
    let answers_until = async |status| {
        let begun = pair.stand_in.observed();
        until(&pair.sidecar, "/readiness", status).await;
        pair.stand_in.observed() - begun
    };
    pair.stand_in.says(role(Role::Candidate.into(), 0));
    let lost = answers_until(503).await;
    assert!(lost >= 19, "not ready after {lost} answers");
    pair.stand_in.says(healthy());
    let found = answers_until(200).await;
    assert!(found >= 9, "ready after {found} answers");
    // Every other answer has no leader.
    throughout("the member is ready", Duration::from_secs(3), async || {
        let is_lost = pair.stand_in.observed() % 2 == 0;
        let leader = if is_lost { 0 } else { 7 };
        pair.stand_in.changes(|said| said.consensus.as_mut().unwrap().leader_id = leader);
        pair.sidecar.probe("/readiness").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_core_that_hangs_is_stale_and_then_dead() {
    let pair = Pair::start(&[]).await;
    pair.stand_in.behaves(Manner::Hangs);
    let body = until(&pair.sidecar, "/readiness", 503).await;
    assert!(body.contains("[-]observed failed: stale"), "{body}");
    assert_eq!(pair.sidecar.probe("/liveness").await.status, 200);
    let body = until(&pair.sidecar, "/liveness", 503).await;
    assert!(body.contains("[-]answering failed: core has not answered for"), "{body}");
    pair.stand_in.behaves(Manner::Answers);
    until(&pair.sidecar, "/readiness", 200).await;
    assert_eq!(pair.sidecar.probe("/liveness").await.status, 200);
}

#[tokio::test]
async fn a_core_that_refuses_to_be_observed_is_not_killed() {
    let pair = Pair::start(&[]).await;
    pair.stand_in.behaves(Manner::Refuses(Code::Unimplemented));
    until(&pair.sidecar, "/readiness", 503).await;
    throughout("liveness is 200", Duration::from_secs(4), async || {
        pair.sidecar.probe("/liveness").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_socket_without_listener_counts_at_once() {
    let late = [("METASTORE_OBSERVATION_MAX_AGE", "60s"), ("METASTORE_LIVENESS_WINDOW", "90s")];
    let mut pair = Pair::start(&late).await;
    pair.stand_in.vanish().await;
    let body = within(&pair.sidecar, "/readiness", 503, Duration::from_secs(3)).await;
    assert!(body.contains("nobody listens on the admin socket"), "{body}");
    pair.stand_in.appear();
    until(&pair.sidecar, "/readiness", 200).await;
}

/// The loop stands still, and core says why; then it does not say why.
#[tokio::test]
async fn a_declared_operation_is_no_hang() {
    let pair = Pair::start(&[]).await;
    let stuck = |operation: &str| {
        but(|said| {
            let liveness = said.liveness.as_mut().unwrap();
            liveness.tick_age_ms = 3_600_000;
            liveness.operation = operation.to_owned();
        })
    };
    assert_eq!(pair.after(stuck("log sync")).await, [200; 4]);
    assert_eq!(pair.after(stuck("")).await, [200, 503, 200, 503]);
}

#[tokio::test]
async fn a_killed_core_is_not_ready_within_three_seconds() {
    let mut core = Core::start().await;
    let sidecar = Sidecar::start(&core, &[]).await;
    until(&sidecar, "/readiness", 200).await;
    core.kill();
    let killed = Instant::now();
    until(&sidecar, "/readiness", 503).await;
    assert!(killed.elapsed() < Duration::from_secs(3), "{:?}", killed.elapsed());
    assert_eq!(sidecar.probe("/liveness").await.status, 200);
}
