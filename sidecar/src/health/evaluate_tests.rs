//! The specification of the verdicts: one row a situation.

use std::io;

use metastore_proto::admin::{AlarmCause, RaisedAlarm};

use super::*;
use crate::core_client::CoreError;
use crate::fake_core::serving;

const THRESHOLDS: Thresholds = Thresholds {
    observation_max_age: Duration::from_millis(2500),
    liveness_window: Duration::from_secs(60),
};
const SILENT: CoreError = CoreError::Silent(Duration::from_secs(1));
const GONE: CoreError = CoreError::Gone(io::ErrorKind::ConnectionRefused);

/// A situation: what core said last and before, how long ago, and how it has been silent since.
struct Situation {
    newest: Option<ObserveResponse>,
    previous: Option<ObserveResponse>,
    age: Duration,
    silence: Option<(Duration, u32, CoreError)>,
}

impl Situation {
    fn nothing_known() -> Self {
        Self { newest: None, previous: None, age: Duration::ZERO, silence: None }
    }

    /// Core has said this twice, the second time just now.
    fn says(said: ObserveResponse) -> Self {
        let previous = Some(said.clone());
        Self { newest: Some(said), previous, ..Self::nothing_known() }
    }

    /// Core serves, with this difference.
    fn but(change: impl FnOnce(&mut ObserveResponse)) -> Self {
        Self::says(changed(change))
    }

    fn after(self, previous: ObserveResponse) -> Self {
        Self { previous: Some(previous), ..self }
    }

    fn ms_ago(self, ms: u64) -> Self {
        Self { age: Duration::from_millis(ms), ..self }
    }

    /// Then questions remained unanswered from the second after the answer until now.
    fn silent(self, questions: u32, seconds: u64, cause: CoreError) -> Self {
        let age = Duration::from_secs(seconds + 1);
        Self { silence: Some((Duration::from_secs(seconds), questions, cause)), age, ..self }
    }

    fn judged(self) -> Verdict {
        let start = Instant::now();
        let now = start + self.age;
        let observation = Observation {
            answer: self.newest.map(|said| super::super::Answer { said, at: start }),
            previous: self.previous,
            silence: self.silence.map(|(lasted, questions, cause)| Silence {
                since: now - lasted,
                until: now,
                questions,
                cause,
            }),
        };
        evaluate(&observation, THRESHOLDS, now)
    }
}

fn changed(change: impl FnOnce(&mut ObserveResponse)) -> ObserveResponse {
    let mut said = serving();
    change(&mut said);
    said
}

fn in_phase(phase: Phase) -> ObserveResponse {
    changed(|said| said.process.as_mut().unwrap().set_phase(phase))
}

fn replayed(entries: u64) -> ObserveResponse {
    let mut said = in_phase(Phase::Replaying);
    let process = said.process.as_mut().unwrap();
    (process.progress_done, process.progress_total) = (entries, 10);
    said
}

fn ticked(seconds: u64, operation: &str) -> ObserveResponse {
    changed(|said| {
        let liveness = said.liveness.as_mut().unwrap();
        liveness.tick_age_ms = seconds * 1000;
        liveness.operation = operation.to_owned();
    })
}

fn alarm(kind: AlarmKind) -> Situation {
    Situation::but(|said| {
        let (kind, cause) = (kind.into(), AlarmCause::Quota.into());
        said.alarms.push(RaisedAlarm { member_id: 7, kind, cause });
    })
}

fn role(role: Role, leader_id: u64) -> Situation {
    Situation::but(|said| {
        let consensus = said.consensus.as_mut().unwrap();
        consensus.set_role(role);
        consensus.leader_id = leader_id;
    })
}

/// One row: name, situation, and the reasons why startup, live, ready and health fail.
type Row = (&'static str, Situation, [Option<&'static str>; 4]);

const NOT_YET: Option<&str> = Some("core has not answered yet");
const STALE: Option<&str> = Some("stale");
const LEARNER: Option<&str> = Some("the member is a learner");
const NO_READ: Option<&str> = Some("RANGE ERROR:a local read failed");
const NO_LEADER: Option<&str> = Some("RAFT NO LEADER");
const STUCK: Option<&str> = Some("the consensus loop has not moved for 61s");
const NO_WORD: Option<&str> = Some("core has not answered for 60s: no answer within 1s");
const REFUSED: Option<&str> =
    Some("core has not answered for 60s: nobody listens on the admin socket (connection refused)");

fn check(rows: Vec<Row>) {
    use Probe::{Health, Live, Ready, Startup};
    for (name, situation, expected) in rows {
        let verdict = situation.judged();
        let reasons = [Startup, Live, Ready, Health].map(|probe| verdict.reason(probe));
        assert_eq!(reasons, expected, "{name} [startup, live, ready, health]");
    }
}

#[test]
fn silence() {
    let none = Situation::nothing_known;
    let well = || Situation::says(serving());
    let not_yet = [NOT_YET, None, NOT_YET, NOT_YET];
    let stale = [STALE, None, STALE, STALE];
    check(vec![
        ("all is well", well(), [None; 4]),
        ("nothing asked yet", none(), not_yet),
        ("never there, for long", none().silent(999, 999, GONE), not_yet),
        ("never answered, for long", none().silent(999, 999, SILENT), not_yet),
        ("answer just young enough", well().ms_ago(2500), [None; 4]),
        ("answer too old", well().ms_ago(2501), stale),
        ("the observer stands still", well().ms_ago(999_999), stale),
        ("silent for a moment", well().silent(1, 1, SILENT), [None; 4]),
        ("silent inside the window", well().silent(30, 59, SILENT), stale),
        ("silent past the window", well().silent(30, 60, SILENT), [STALE, NO_WORD, STALE, STALE]),
        ("gone inside the window", well().silent(59, 59, GONE), stale),
        ("gone past the window", well().silent(60, 60, GONE), [STALE, REFUSED, STALE, STALE]),
        ("the sidecar stood still", well().silent(2, 600, SILENT), stale),
    ]);
}

#[test]
fn phases() {
    let says = |phase| Situation::says(in_phase(phase));
    let only_live = |why| [why, None, why, why];
    let opening = Some("opening the store");
    let replaying = Some("replaying, 5 of 10");
    let unknown = Some("core is in a phase unknown here");
    let fault = Situation::but(|said| {
        let process = said.process.as_mut().unwrap();
        process.set_phase(Phase::Faulted);
        process.fault = "disk full".to_owned();
    });
    check(vec![
        ("starting", says(Phase::Starting), only_live(Some("starting"))),
        ("opening", says(Phase::Opening), only_live(opening)),
        ("replay stands still", Situation::says(replayed(5)), only_live(replaying)),
        (
            "replay gets on",
            Situation::says(replayed(5)).after(replayed(4)),
            [None, None, replaying, replaying],
        ),
        ("replay begins", Situation::says(replayed(5)).after(serving()), only_live(replaying)),
        ("draining", says(Phase::Draining), [None, None, Some("draining"), Some("draining")]),
        ("faulted", fault, only_live(Some("stopped by a fault: disk full"))),
        ("says nothing we know", Situation::says(ObserveResponse::default()), only_live(unknown)),
    ]);
}

#[test]
fn consensus() {
    let no_read = Situation::but(|said| said.liveness.as_mut().unwrap().local_read_ok = false);
    check(vec![
        ("follower", role(Role::Follower, 8), [None; 4]),
        ("no leader", role(Role::Candidate, 0), [None, None, NO_LEADER, NO_LEADER]),
        ("learner", role(Role::Learner, 8), [None, None, LEARNER, None]),
        ("local read fails", no_read, [None, None, NO_READ, NO_READ]),
    ]);
}

#[test]
fn disk_and_alarms() {
    let (nospace, corrupt) = (Some("ALARM NOSPACE"), Some("ALARM CORRUPT"));
    let read_only = Situation::but(|said| said.disk.as_mut().unwrap().writable = false);
    let why = Some("the data directory is not writable");
    check(vec![
        ("no space", alarm(AlarmKind::Nospace), [None, None, None, nospace]),
        ("corrupt", alarm(AlarmKind::Corrupt), [None, None, corrupt, corrupt]),
        ("not writable", read_only, [None, None, None, why]),
        ("disk unknown", Situation::but(|said| said.disk = None), [None; 4]),
    ]);
}

#[test]
fn the_consensus_loop() {
    let stuck = || ticked(61, "");
    let mut replaying = stuck();
    replaying.process.as_mut().unwrap().set_phase(Phase::Replaying);
    let mut restarted = stuck();
    restarted.process.as_mut().unwrap().boot_id = 2;
    let not_serving = Some("replaying, 0 of 0");
    check(vec![
        ("moved within the window", Situation::says(ticked(60, "")), [None; 4]),
        ("stuck", Situation::says(stuck()), [None, STUCK, None, None]),
        ("inside an operation", Situation::says(ticked(999, "log sync")), [None; 4]),
        ("just woken up", Situation::says(stuck()).after(serving()), [None; 4]),
        ("woken up and moving", Situation::says(serving()).after(stuck()), [None; 4]),
        ("of another process", Situation::says(restarted).after(stuck()), [None; 4]),
        (
            "no loop runs during a replay",
            Situation::says(replaying),
            [not_serving, None, not_serving, not_serving],
        ),
    ]);
}

#[test]
fn what_is_too_old_is_unknown_and_not_a_reason_of_its_own() {
    let verdict = alarm(AlarmKind::Corrupt).ms_ago(9000).judged();
    let unknown = verdict.checks_of(Probe::Ready).filter(|check| check.status == Status::Unknown);
    assert_eq!(unknown.count(), 5);
    assert_eq!(verdict.age, Some(Duration::from_secs(9)));
    assert!(!verdict.is_observed());
}
