//! What an observation means for each probe. Pure; `evaluate_tests.rs` is the specification.
//!
//! *Live* says "a restart would not help", *ready* says "send me clients". Liveness therefore fails
//! only on positive evidence that lasted: core was there and does not answer any more, or its
//! consensus loop does not move and is not inside a declared operation. Never for lost quorum, a
//! full or slow disk, an alarm, or because this sidecar itself stood still.

use std::time::Duration;

use metastore_proto::admin::{AlarmKind, Consensus, ObserveResponse, Phase, Process, Role};
use tokio::time::Instant;

use super::{Observation, Silence};

/// Fewer unanswered questions prove nothing: the sidecar may have stood still during one.
const QUESTIONS_MIN: u32 = 3;

/// From when on something is too old.
#[derive(Clone, Copy, Debug)]
pub struct Thresholds {
    /// Of core's last answer, for all but liveness.
    pub observation_max_age: Duration,
    /// Of evidence against core, for liveness.
    pub liveness_window: Duration,
}

/// A question that Kubernetes, or an operator, asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Has core opened its store?
    Startup,
    /// Would a restart be pointless?
    Live,
    /// Should clients be sent here?
    Ready,
    /// Is everything as it should be?
    Health,
}

/// The part of core that a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Store,
    Raft,
    Disk,
}

/// One fact about core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: &'static str,
    pub part: Part,
    /// The probes that fail when it fails.
    pub probes: &'static [Probe],
    pub status: Status,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    Ok,
    /// With the reason.
    Failed(String),
    /// What core last said is too old to tell. Fails no probe: the check `observed` does.
    Unknown,
}

/// All checks, those first whose reasons matter most.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub checks: Vec<Check>,
    /// Age of core's last answer.
    pub age: Option<Duration>,
    pub role: Role,
}

impl Verdict {
    pub fn passes(&self, probe: Probe) -> bool {
        self.reason(probe).is_none()
    }

    /// Why the probe fails.
    pub fn reason(&self, probe: Probe) -> Option<&str> {
        self.checks_of(probe).find_map(|check| match &check.status {
            Status::Failed(reason) => Some(reason.as_str()),
            Status::Ok | Status::Unknown => None,
        })
    }

    pub fn checks_of(&self, probe: Probe) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(move |check| check.probes.contains(&probe))
    }

    /// Whether core's last answer is new enough.
    pub fn is_observed(&self) -> bool {
        self.checks.iter().all(|check| check.name != OBSERVED || check.status == Status::Ok)
    }
}

/// The name of the check on the age of core's last answer.
const OBSERVED: &str = "observed";

/// Judges an observation.
pub fn evaluate(observation: &Observation, thresholds: Thresholds, now: Instant) -> Verdict {
    let age = observation.answer.as_ref().map(|answer| now.duration_since(answer.at));
    let observed = observed(age, thresholds.observation_max_age);
    let said = observation.answer.as_ref().map(|answer| &answer.said);
    let current = said.filter(|_| observed == Status::Ok);
    let told = |judge: fn(&ObserveResponse) -> Status| current.map_or(Status::Unknown, judge);
    let opened = current.map_or(Status::Unknown, |said| opened(said, observation));

    use Part::{Disk, Raft, Store};
    use Probe::{Health, Live, Ready, Startup};
    let table: [(&'static str, Part, &'static [Probe], Status); 11] = [
        (OBSERVED, Store, &[Startup, Ready, Health], observed),
        ("answering", Store, &[Live], answering(observation, thresholds)),
        ("ticking", Raft, &[Live], ticking(observation, thresholds)),
        ("opened", Store, &[Startup], opened),
        ("serving", Store, &[Ready, Health], told(serving)),
        ("data_corruption", Store, &[Ready, Health], told(no_corruption)),
        ("space", Disk, &[Health], told(no_space_alarm)),
        ("leader", Raft, &[Ready, Health], told(has_leader)),
        ("non_learner", Raft, &[Ready], told(is_voter)),
        ("local_read", Store, &[Ready, Health], told(local_read)),
        ("writable", Disk, &[Health], told(is_writable)),
    ];
    let checks = table.map(|(name, part, probes, status)| Check { name, part, probes, status });
    Verdict { checks: checks.into(), age, role: observation.role() }
}

fn observed(age: Option<Duration>, age_max: Duration) -> Status {
    match age {
        None => Status::Failed("core has not answered yet".to_owned()),
        Some(age) if age > age_max => Status::Failed("stale".to_owned()),
        Some(_) => Status::Ok,
    }
}

/// Before core has ever answered, waiting for it is the startup probe's.
fn answering(observation: &Observation, thresholds: Thresholds) -> Status {
    let silence = observation.silence.as_ref().filter(|_| observation.answer.is_some());
    match silence {
        Some(silence) if is_proven(silence, thresholds) => {
            let seconds = silence.until.duration_since(silence.since).as_secs();
            Status::Failed(format!("core has not answered for {seconds}s: {}", silence.cause))
        }
        Some(_) | None => Status::Ok,
    }
}

/// The silence counts up to the last question, not up to now: without questions there is no
/// evidence.
fn is_proven(silence: &Silence, thresholds: Thresholds) -> bool {
    silence.questions >= QUESTIONS_MIN
        && silence.until.duration_since(silence.since) >= thresholds.liveness_window
}

/// Asks for two answers of the same process: after a pause of the whole machine, the first one may
/// come before the loop has moved again.
fn ticking(observation: &Observation, thresholds: Thresholds) -> Status {
    let newest = observation.answer.as_ref().map(|answer| &answer.said);
    let (Some(newest), Some(previous)) = (newest, &observation.previous) else {
        return Status::Ok;
    };
    let same = boot_id(newest) == boot_id(previous);
    let stuck = |said| stuck_for(said).filter(|age| *age > thresholds.liveness_window);
    match (stuck(newest), stuck(previous)) {
        (Some(age), Some(_)) if same => {
            Status::Failed(format!("the consensus loop has not moved for {}s", age.as_secs()))
        }
        _ => Status::Ok,
    }
}

/// How long the consensus loop has not moved, where it should: while serving, and not inside an
/// operation.
fn stuck_for(said: &ObserveResponse) -> Option<Duration> {
    let liveness = said.liveness.as_ref()?;
    let should_move = match phase(said) {
        Phase::Serving | Phase::Draining => liveness.operation.is_empty(),
        Phase::Unspecified
        | Phase::Starting
        | Phase::Opening
        | Phase::Replaying
        | Phase::Faulted => false,
    };
    should_move.then(|| Duration::from_millis(liveness.tick_age_ms))
}

/// A replay that gets on counts as opened: a restart would begin it again.
fn opened(said: &ObserveResponse, observation: &Observation) -> Status {
    match phase(said) {
        Phase::Serving | Phase::Draining => Status::Ok,
        Phase::Replaying if is_getting_on(said, observation) => Status::Ok,
        Phase::Unspecified
        | Phase::Starting
        | Phase::Opening
        | Phase::Replaying
        | Phase::Faulted => Status::Failed(phase_in_words(said)),
    }
}

fn is_getting_on(said: &ObserveResponse, observation: &Observation) -> bool {
    let done = |said: &ObserveResponse| said.process.as_ref().map(|process| process.progress_done);
    observation.previous.as_ref().is_some_and(|previous| {
        boot_id(previous) == boot_id(said)
            && phase(previous) == Phase::Replaying
            && done(previous) < done(said)
    })
}

fn serving(said: &ObserveResponse) -> Status {
    ok_if(phase(said) == Phase::Serving, || phase_in_words(said))
}

fn no_corruption(said: &ObserveResponse) -> Status {
    ok_if(!is_raised(said, AlarmKind::Corrupt), || "ALARM CORRUPT".to_owned())
}

fn no_space_alarm(said: &ObserveResponse) -> Status {
    ok_if(!is_raised(said, AlarmKind::Nospace), || "ALARM NOSPACE".to_owned())
}

fn has_leader(said: &ObserveResponse) -> Status {
    let known = said.consensus.as_ref().is_some_and(|consensus| consensus.leader_id != 0);
    ok_if(known, || "RAFT NO LEADER".to_owned())
}

fn is_voter(said: &ObserveResponse) -> Status {
    let role = said.consensus.as_ref().map(Consensus::role);
    ok_if(role != Some(Role::Learner), || "the member is a learner".to_owned())
}

fn local_read(said: &ObserveResponse) -> Status {
    let answered = said.liveness.as_ref().is_some_and(|liveness| liveness.local_read_ok);
    ok_if(answered, || "RANGE ERROR:a local read failed".to_owned())
}

/// Only where core says it: it does not know before it has opened its directory.
fn is_writable(said: &ObserveResponse) -> Status {
    let broken = phase(said) == Phase::Serving && said.disk.is_some_and(|disk| !disk.writable);
    ok_if(!broken, || "the data directory is not writable".to_owned())
}

fn ok_if(fact: bool, reason: impl FnOnce() -> String) -> Status {
    if fact { Status::Ok } else { Status::Failed(reason()) }
}

fn is_raised(said: &ObserveResponse, kind: AlarmKind) -> bool {
    said.alarms.iter().any(|alarm| alarm.kind() == kind)
}

fn boot_id(said: &ObserveResponse) -> Option<u64> {
    said.process.as_ref().map(|process| process.boot_id)
}

fn phase(said: &ObserveResponse) -> Phase {
    said.process.as_ref().map_or(Phase::Unspecified, Process::phase)
}

fn phase_in_words(said: &ObserveResponse) -> String {
    let process = said.process.clone().unwrap_or_default();
    match process.phase() {
        Phase::Unspecified => "core is in a phase unknown here".to_owned(),
        Phase::Starting => "starting".to_owned(),
        Phase::Opening => "opening the store".to_owned(),
        Phase::Replaying => {
            format!("replaying, {} of {}", process.progress_done, process.progress_total)
        }
        Phase::Serving => "serving".to_owned(),
        Phase::Draining => "draining".to_owned(),
        Phase::Faulted => format!("stopped by a fault: {}", process.fault),
    }
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
mod tests;
