//! The specification of the verdicts: one row a situation.

use std::io;

use metastore_proto::admin::{AlarmCause, LongOperation, RaisedAlarm};

use super::super::Silence;
use super::*;
use crate::core_client::CoreError;
use crate::fake_core::serving;

const SETTINGS: HealthSettings = HealthSettings {
    observation_max_age: Duration::from_millis(2500),
    liveness_window: Duration::from_secs(60),
    readiness_mode: ReadinessMode::Quorum,
    failures: 3,
    successes: 2,
};
const SECOND: Duration = Duration::from_secs(1);
const SILENT: CoreError = CoreError::Silent(Duration::from_secs(1));
const GONE: CoreError = CoreError::Gone(io::ErrorKind::ConnectionRefused);

/// A situation: what core said, a second between two answers, how long ago it said the last, and
/// how it has been silent since.
struct Situation {
    said: Vec<ObserveResponse>,
    age: Duration,
    silence: Option<(Duration, u32, CoreError)>,
}

impl Situation {
    fn nothing_known() -> Self {
        Self { said: Vec::new(), age: Duration::ZERO, silence: None }
    }

    /// Core has said this twice, the second time just now.
    fn says(said: ObserveResponse) -> Self {
        Self { said: vec![said.clone(), said], ..Self::nothing_known() }
    }

    /// Core serves, with this difference.
    fn but(change: impl FnOnce(&mut ObserveResponse)) -> Self {
        Self::says(changed(change))
    }

    /// Before its newest answer it gave another one.
    fn after(mut self, previous: ObserveResponse) -> Self {
        if let [.., before, _] = self.said.as_mut_slice() {
            *before = previous;
        }
        self
    }

    /// It goes on saying the same for so many seconds.
    fn for_seconds(mut self, seconds: usize) -> Self {
        let newest = self.said.last().unwrap().clone();
        self.said.extend(std::iter::repeat_n(newest, seconds));
        self
    }

    /// Then it says this.
    fn then(mut self, said: ObserveResponse) -> Self {
        self.said.push(said);
        self
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
        self.judged_by(&SETTINGS)
    }

    fn judged_by(self, settings: &HealthSettings) -> Verdict {
        let mut observation =
            Observation { patience: Patience::from(settings), ..Observation::default() };
        let mut at = Instant::now();
        for said in self.said {
            at += SECOND;
            observation.heard(said, at);
        }
        let now = at + self.age;
        observation.silence = self.silence.map(|(lasted, questions, cause)| Silence {
            since: now - lasted,
            until: now,
            questions,
            cause,
        });
        evaluate(&observation, settings, now)
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
const GONE_FOR: Option<&str> =
    Some("core has not answered for 60s: nobody listens on the admin socket (connection refused)");
const NOBODY: Option<&str> = Some("nobody listens on the admin socket (connection refused)");

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
    let gone = [NOBODY, None, NOBODY, NOBODY];
    check(vec![
        ("all is well", well(), [None; 4]),
        ("nothing asked yet", none(), not_yet),
        ("never there, for long", none().silent(999, 999, GONE), not_yet),
        ("never answered", none().silent(59, 59, SILENT), not_yet),
        (
            "accepts and never answers",
            none().silent(60, 60, SILENT),
            [NOT_YET, NO_WORD, NOT_YET, NOT_YET],
        ),
        ("answer just young enough", well().ms_ago(2500), [None; 4]),
        ("answer too old", well().ms_ago(2501), stale),
        ("the observer stands still", well().ms_ago(999_999), stale),
        ("silent for a moment", well().silent(1, 1, SILENT), [None; 4]),
        ("silent inside the window", well().silent(30, 59, SILENT), stale),
        ("silent past the window", well().silent(30, 60, SILENT), [STALE, NO_WORD, STALE, STALE]),
        ("gone just now", well().silent(1, 0, GONE), gone),
        ("gone inside the window", well().silent(59, 59, GONE), gone),
        ("gone past the window", well().silent(60, 60, GONE), [NOBODY, GONE_FOR, NOBODY, NOBODY]),
        ("the sidecar stood still", well().silent(2, 600, SILENT), stale),
    ]);
}

#[test]
fn a_core_that_cannot_be_observed_says_why() {
    let mut observation = Observation::default();
    let (code, message) = (tonic::Code::Unimplemented, "no such method".to_owned());
    let now = Instant::now();
    observation.unheard(now, now, CoreError::Refused { code, message });
    let verdict = evaluate(&observation, &SETTINGS, now);
    let reason = Some("core refused: no such method (Unimplemented)");
    assert_eq!([Probe::Ready, Probe::Live].map(|probe| verdict.reason(probe)), [reason, None]);
}

#[test]
fn phases() {
    let says = |phase| Situation::says(in_phase(phase));
    let only_live = |why| [why, None, why, why];
    let opening = Some("opening the store");
    let replaying = Some("replaying, 5 of 10");
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
    ]);
}

/// What is not told, or not understood, is no evidence against a member; only a phase that is not
/// known to be `serving` keeps clients away.
#[test]
fn other_versions() {
    let not_ready = |why| [None, None, why, why];
    let dark = Some("core is in a phase unknown here (0)");
    let newer = Situation::but(|said| said.process.as_mut().unwrap().phase = 99);
    let kind = Situation::but(|said| {
        said.alarms.push(RaisedAlarm { kind: 99, ..RaisedAlarm::default() });
    });
    let role = Situation::but(|said| said.consensus.as_mut().unwrap().role = 99);
    check(vec![
        ("says nothing we know", Situation::says(ObserveResponse::default()), not_ready(dark)),
        ("a phase of later", newer, not_ready(Some("core is in a phase unknown here (99)"))),
        ("an alarm of later", kind, [None, None, None, Some("ALARM UNKNOWN")]),
        ("a role of later", role, [None; 4]),
        ("no word of consensus", Situation::but(|said| said.consensus = None), [None; 4]),
        ("no word of liveness", Situation::but(|said| said.liveness = None), [None; 4]),
        ("no word of the disk", Situation::but(|said| said.disk = None), [None; 4]),
    ]);
    let older = Situation::but(|said| {
        (said.consensus, said.liveness, said.disk) = (None, None, None);
    });
    let verdict = older.judged();
    let unknown = verdict.checks.iter().filter(|check| check.status == Status::Unknown);
    let unknown: Vec<_> = unknown.map(|check| check.name).collect();
    let expected = [
        "ticking",
        "applying",
        "linearizable_read",
        "non_learner",
        "serializable_read",
        "serializable_read",
        "caught_up",
        "writable",
    ];
    assert_eq!(unknown, expected);
}

#[test]
fn consensus() {
    check(vec![
        ("follower", role(Role::Follower, 8), [None; 4]),
        ("candidate that knows a leader", role(Role::Candidate, 8), [None; 4]),
        ("no leader since it began", role(Role::Candidate, 0), [None, None, NO_LEADER, NO_LEADER]),
        ("learner", role(Role::Learner, 8), [None, None, LEARNER, None]),
    ]);
}

fn without_leader() -> ObserveResponse {
    changed(|said| said.consensus.as_mut().unwrap().leader_id = 0)
}

fn without_read() -> ObserveResponse {
    changed(|said| said.liveness.as_mut().unwrap().local_read_ok = false)
}

#[test]
fn what_flickers_has_to_last() {
    let well = || Situation::says(serving());
    let lost = || well().then(without_leader()).for_seconds(2);
    let restarted = |mut said: ObserveResponse| {
        said.process.as_mut().unwrap().boot_id = 2;
        said
    };
    let fails = |why| [None, None, why, why];
    let unread = [NO_READ, None, NO_READ, NO_READ];
    check(vec![
        ("one answer without a leader", well().then(without_leader()), [None; 4]),
        ("two", well().then(without_leader()).for_seconds(1), [None; 4]),
        ("three", lost(), fails(NO_LEADER)),
        ("found for one answer", lost().then(serving()), fails(NO_LEADER)),
        ("found for two", lost().then(serving()).for_seconds(1), [None; 4]),
        (
            "found for one, lost, found",
            lost().then(serving()).then(without_leader()).then(serving()),
            fails(NO_LEADER),
        ),
        ("a new process has none yet", well().then(restarted(without_leader())), fails(NO_LEADER)),
        ("a new process has one", lost().then(restarted(serving())), [None; 4]),
        ("for ever", lost().for_seconds(600), fails(NO_LEADER)),
        ("two reads failed", well().then(without_read()).for_seconds(1), [None; 4]),
        ("three reads failed", well().then(without_read()).for_seconds(2), unread),
        ("no read since it began", Situation::says(without_read()), unread),
        (
            "definite facts count at once",
            well().then(in_phase(Phase::Draining)),
            fails(Some("draining")),
        ),
        ("and end at once", alarm(AlarmKind::Corrupt).then(serving()), [None; 4]),
    ]);
}

#[test]
fn reads_that_fail_for_the_window_are_evidence() {
    let failed = Situation::says(serving()).then(without_read());
    let dead = Some("local reads have failed for 60s");
    check(vec![
        ("for the window", failed.for_seconds(60), [NO_READ, dead, NO_READ, NO_READ]),
        (
            "one second less",
            Situation::says(serving()).then(without_read()).for_seconds(59),
            [NO_READ, None, NO_READ, NO_READ],
        ),
    ]);
}

#[test]
fn a_mode_without_quorum() {
    let local = HealthSettings { readiness_mode: ReadinessMode::Local, ..SETTINGS };
    let verdict = role(Role::Candidate, 0).judged_by(&local);
    assert_eq!(verdict.reason(Probe::Ready), None);
    assert_eq!(verdict.reason(Probe::Health), NO_LEADER);
    let verdict = role(Role::Learner, 8).judged_by(&local);
    assert_eq!(verdict.reason(Probe::Ready), LEARNER);
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
    ]);
}

fn applied(applied: u64, committed: u64) -> ObserveResponse {
    changed(|said| {
        let consensus = said.consensus.as_mut().unwrap();
        (consensus.applied_index, consensus.commit_index) = (applied, committed);
    })
}

#[test]
fn lagging() {
    let behind = Some("catching up, 10 of 5011 entries applied");
    check(vec![
        ("nearly caught up from the start", Situation::says(applied(10, 5010)), [None; 4]),
        (
            "far behind from the start",
            Situation::says(applied(10, 5011)),
            [None, None, behind, None],
        ),
        ("far behind later", Situation::says(serving()).then(applied(10, 90_000)), [None; 4]),
    ]);
}

#[test]
fn the_loops() {
    let stuck = || ticked(61, "");
    let mut replaying = stuck();
    replaying.process.as_mut().unwrap().set_phase(Phase::Replaying);
    let mut restarted = stuck();
    restarted.process.as_mut().unwrap().boot_id = 2;
    let mut long = stuck();
    long.operations.push(LongOperation { name: "snapshot".to_owned(), age_ms: 70_000 });
    let mut unapplied = applied(10, 20);
    let slow = changed(|said| {
        *said = unapplied.clone();
        said.liveness.as_mut().unwrap().operation = "store write".to_owned();
    });
    unapplied.liveness.as_mut().unwrap().apply_age_ms = 999_000;
    let not_serving = Some("replaying, 0 of 0");
    let still = Some("there is work, and nothing was applied for 60s");
    check(vec![
        ("moved within the window", Situation::says(ticked(60, "")), [None; 4]),
        ("stuck", Situation::says(stuck()), [None, STUCK, None, STUCK]),
        ("inside an operation", Situation::says(ticked(999, "log sync")), [None; 4]),
        ("beside a long one", Situation::says(long), [None; 4]),
        ("just woken up", Situation::says(stuck()).after(serving()), [None; 4]),
        ("woken up and moving", Situation::says(serving()).after(stuck()), [None; 4]),
        ("of another process", Situation::says(restarted).after(stuck()), [None; 4]),
        (
            "no loop runs during a replay",
            Situation::says(replaying),
            [not_serving, None, not_serving, not_serving],
        ),
        ("work after a pause", Situation::says(unapplied.clone()), [None; 4]),
        ("work not done", Situation::says(unapplied.clone()).for_seconds(58), [None; 4]),
        (
            "work not done for the window",
            Situation::says(unapplied.clone()).for_seconds(59),
            [None, still, None, still],
        ),
        ("work inside an operation", Situation::says(slow).for_seconds(600), [None; 4]),
        (
            "work that gets on",
            Situation::says(unapplied).for_seconds(58).then(applied(11, 999)).for_seconds(58),
            [None; 4],
        ),
    ]);
}

#[test]
fn what_is_too_old_is_unknown_and_not_a_reason_of_its_own() {
    let verdict = alarm(AlarmKind::Corrupt).ms_ago(9000).judged();
    let unknown = verdict.checks_of(Probe::Ready).filter(|check| check.status == Status::Unknown);
    assert_eq!(unknown.count(), 6);
    assert_eq!(verdict.age, Some(Duration::from_secs(9)));
    assert!(!verdict.is_observed());
}

#[test]
fn a_check_tells_what_it_measured_and_how_old_that_is() {
    let situation = Situation::says(serving()).then(without_leader()).then(changed(|said| {
        *said = without_leader();
        let liveness = said.liveness.as_mut().unwrap();
        (liveness.tick_age_ms, liveness.local_read_age_ms) = (1500, 700);
        said.consensus.as_mut().unwrap().commit_index = 12;
    }));
    let verdict = situation.ms_ago(500).judged();
    for (probe, name, value, threshold, unit, age_ms) in [
        (Probe::Health, "observed", 0.5, 2.5, "seconds", 500),
        (Probe::Live, "answering", 0.0, 60.0, "seconds", 500),
        (Probe::Health, "ticking", 1.5, 60.0, "seconds", 500),
        (Probe::Health, "linearizable_read", 2.0, 3.0, "answers", 500),
        (Probe::Health, "serializable_read", 0.0, 3.0, "answers", 1200),
        (Probe::Ready, "caught_up", 12.0, 5000.0, "entries", 500),
    ] {
        let check = verdict.checks_of(probe).find(|check| check.name == name).unwrap();
        assert_eq!(check.reading, Some(Reading { value, threshold, unit }), "{name}");
        assert_eq!(check.age, Some(Duration::from_millis(age_ms)), "{name}");
    }
}

#[test]
fn within_a_probe_no_two_checks_have_one_name() {
    for probe in [Probe::Startup, Probe::Live, Probe::Ready, Probe::Health] {
        let verdict = Situation::says(serving()).judged();
        let mut names: Vec<_> = verdict.checks_of(probe).map(|check| check.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{probe:?}");
    }
}
