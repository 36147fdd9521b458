//! What an observation means for each probe. Pure; `evaluate_tests.rs` is the specification.
//!
//! *Live* says "a restart would not help", *ready* says "send me clients". Liveness therefore fails
//! only on positive evidence that lasted: core was there and does not answer any more, or its
//! loops do not move and it is not inside a declared operation. Never for lost quorum, a full or
//! slow disk, an alarm, or because this sidecar itself stood still.
//!
//! | check | startup | live | ready | health |
//! |---|---|---|---|---|
//! | `observed`: core has answered, lately | × | | × | × |
//! | `answering`: core still answers | | × | | |
//! | `ticking`, `applying`: its loops move | | × | | × |
//! | `opened`: the store is open, or its replay gets on | × | | | |
//! | `serving`: not starting, not draining | | | × | × |
//! | `data_corruption`: no such alarm | | | × | × |
//! | `space`: no alarm for lack of it, none of a kind unknown here | | | | × |
//! | `linearizable_read`: a leader is known | | | mode `quorum` | × |
//! | `serializable_read`: core's own read works | × | for the window | × | × |
//! | `non_learner` | | | × | |
//! | `caught_up`: nearly all was applied once since the start | | | × | |
//! | `writable`: the data directory may be written to | | | | × |
//! | `disk` (`disk.rs`): enough room | | | | × |
//!
//! A member that falls behind *after* it had caught up stays ready: that is slowness, and sending
//! its clients to the next member slows that one (KEP-4331 has readiness indifferent to it). One
//! that has just started waits until it has caught up, or a rollout would go on without it.
//!
//! What flickers (a leader, a read) has to last before it counts, see `trend.rs`; facts count at
//! once. What an older core does not tell is `unknown` and fails nothing. A phase that a newer one
//! invents is not taken for readiness, and is no reason to restart it.

use std::time::Duration;

use metastore_proto::admin::{AlarmKind, Consensus, Liveness, ObserveResponse, Phase, Role};
use metastore_proto::environment::{HealthSettings, ReadinessMode};
use tokio::time::Instant;

use super::trend::{
    LAG_MAX, Patience, Steady, Streak, is_declared_busy, is_of_one_process, lag, phase,
};
use super::verdict::OBSERVED;
use super::{Check, Observation, Part, Probe, Reading, Status, Verdict};
use crate::core_client::CoreError;

/// Fewer questions or answers prove nothing: the sidecar, or the machine, may have stood still
/// between two of them.
const PROOF_MIN: u32 = 3;

/// Judges an observation.
pub fn evaluate(observation: &Observation, settings: &HealthSettings, now: Instant) -> Verdict {
    use Part::{Disk, Raft, Store};
    use Probe::{Health, Ready, Startup};
    let answer = observation.answer.as_ref();
    let age = answer.map(|answer| now.duration_since(answer.at));
    let seen = observed(observation, age, settings.observation_max_age);
    let current = answer.map(|answer| &answer.said).filter(|_| seen == Status::Ok);
    let told = |judge: fn(&ObserveResponse) -> Status| current.map_or(Status::Unknown, judge);
    let loops =
        Loops { observation, window: settings.liveness_window, is_current: current.is_some() };
    let trend = &observation.trend;
    let patience = Patience::from(settings);
    let consensus = current.and_then(|said| said.consensus.as_ref());
    let served = consensus.filter(|_| current.is_some_and(|said| phase(said) == Phase::Serving));
    let liveness = current.and_then(|said| said.liveness.as_ref());
    let quorum: &[Probe] = match settings.readiness_mode {
        ReadinessMode::Quorum => &[Ready, Health],
        ReadinessMode::Local => &[Health],
    };
    let opened = current.map_or(Status::Unknown, |said| opened(said, observation));
    let checks = vec![
        Check::new(OBSERVED, Store, &[Startup, Ready, Health], seen)
            .reading(age.map(|age| Reading::seconds(age, settings.observation_max_age))),
        loops.answering(),
        loops.ticking(),
        loops.applying(),
        Check::new("opened", Store, &[Startup], opened),
        Check::new("serving", Store, &[Ready, Health], told(serving)),
        Check::new("data_corruption", Store, &[Ready, Health], told(no_corruption)),
        Check::new("space", Disk, &[Health], told(no_other_alarm)),
        Check::new("linearizable_read", Raft, quorum, has_leader(served, trend.leader))
            .reading(served.map(|_| patience_left(trend.leader, patience))),
        Check::new("non_learner", Raft, &[Ready], is_voter(consensus)),
        Check::new("serializable_read", Store, &[Startup, Ready, Health], {
            reads(current, trend.local_read)
        })
        .reading(liveness.map(|_| patience_left(trend.local_read, patience)))
        .aged(read_age(liveness, age)),
        loops.reading(),
        Check::new("caught_up", Raft, &[Ready], caught_up(current, trend.has_caught_up))
            .reading(current.map(|said| Reading::count(lag(said), LAG_MAX, "entries"))),
        Check::new("writable", Disk, &[Health], told(is_writable)),
    ];
    let checks = checks.into_iter().map(|check| match check.age {
        None => check.aged(age),
        Some(_) => check,
    });
    Verdict { checks: checks.collect(), age, role: observation.role() }
}

/// A socket that nobody listens on is a fact; a question without an answer may come late.
fn observed(observation: &Observation, age: Option<Duration>, age_max: Duration) -> Status {
    let Some(age) = age else {
        return Status::Failed(match &observation.refusal {
            None => "core has not answered yet".to_owned(),
            Some(refusal) => refusal.to_string(),
        });
    };
    match &observation.silence {
        Some(silence) if observation.is_gone() => Status::Failed(silence.cause.to_string()),
        Some(_) | None => ok_if(age <= age_max, || "stale".to_owned()),
    }
}

/// The evidence that liveness needs.
struct Loops<'a> {
    observation: &'a Observation,
    window: Duration,
    /// Of an old answer, what is wrong still counts, and what is right does not.
    is_current: bool,
}

impl Loops<'_> {
    /// The silence counts up to the last question, not up to now: without questions there is no
    /// evidence.
    fn answering(&self) -> Check {
        let silence = self.observation.silence.as_ref();
        let lasted = silence.map(|silence| silence.until.duration_since(silence.since));
        let is_proven = silence.is_some_and(|silence| {
            // Where nobody listens and nobody ever did, core has not been started yet: that is the
            // startup probe's to watch. One that accepts and says nothing is there, and hangs.
            let was_there =
                self.observation.answer.is_some() || matches!(silence.cause, CoreError::Silent(_));
            was_there && silence.questions >= PROOF_MIN && lasted >= Some(self.window)
        });
        let status = match silence {
            Some(silence) if is_proven => Status::Failed(format!(
                "core has not answered for {}s: {}",
                lasted.unwrap_or_default().as_secs(),
                silence.cause
            )),
            Some(_) | None => Status::Ok,
        };
        Check::new("answering", Part::Store, &[Probe::Live], status)
            .reading(Reading::seconds(lasted.unwrap_or_default(), self.window))
    }

    /// Asks for two answers of the same process: after a pause of the whole machine, the first one
    /// may come before the loop has moved again.
    fn ticking(&self) -> Check {
        let stuck = |said| stuck_for(said).filter(|age| *age > self.window);
        let previous = self.observation.previous.as_ref();
        let status = self.newest().map_or(Status::Unknown, |newest| {
            let previous = previous.filter(|previous| is_of_one_process(previous, newest));
            match (stuck(newest), previous.and_then(stuck)) {
                (Some(age), Some(_)) => Status::Failed(format!(
                    "the consensus loop has not moved for {}s",
                    age.as_secs()
                )),
                _ => self.fine(),
            }
        });
        let liveness = self.newest().and_then(|said| said.liveness.as_ref());
        let age = liveness.map(|liveness| Duration::from_millis(liveness.tick_age_ms));
        Check::new("ticking", Part::Raft, &[Probe::Live, Probe::Health], status)
            .reading(age.map(|age| Reading::seconds(age, self.window)))
    }

    fn applying(&self) -> Check {
        let streak = self.observation.trend.unapplied.as_ref();
        let (status, reading) = self.lasting(streak, |seconds| {
            format!("there is work, and nothing was applied for {seconds}s")
        });
        Check::new("applying", Part::Raft, &[Probe::Live, Probe::Health], status).reading(reading)
    }

    /// etcd's liveness knows this check under the same name; here a failure has to last.
    fn reading(&self) -> Check {
        let streak = self.observation.trend.unread.as_ref();
        let (status, reading) =
            self.lasting(streak, |seconds| format!("local reads have failed for {seconds}s"));
        Check::new("serializable_read", Part::Store, &[Probe::Live], status).reading(reading)
    }

    fn fine(&self) -> Status {
        if self.is_current { Status::Ok } else { Status::Unknown }
    }

    /// The newest answer that says anything of the loops.
    fn newest(&self) -> Option<&ObserveResponse> {
        let said = self.observation.answer.as_ref().map(|answer| &answer.said);
        said.filter(|said| said.liveness.is_some())
    }

    fn lasting(
        &self,
        streak: Option<&Streak>,
        reason: impl FnOnce(u64) -> String,
    ) -> (Status, Option<Reading>) {
        if self.newest().is_none() {
            return (Status::Unknown, None);
        }
        let lasted = streak.map(|streak| streak.until.duration_since(streak.since));
        let lasted = lasted.unwrap_or_default();
        let is_enough = streak.is_some_and(|streak| streak.answers >= PROOF_MIN);
        let is_proven = is_enough && lasted >= self.window;
        let status = if is_proven { Status::Failed(reason(lasted.as_secs())) } else { self.fine() };
        (status, Some(Reading::seconds(lasted, self.window)))
    }
}

/// How long the consensus loop has not moved, where it should: while serving, and not inside an
/// operation.
fn stuck_for(said: &ObserveResponse) -> Option<Duration> {
    let liveness = said.liveness.as_ref()?;
    let should_move = match phase(said) {
        Phase::Serving | Phase::Draining => !is_declared_busy(said),
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
        // A restart would not teach the word to this sidecar.
        Phase::Unspecified => Status::Unknown,
        Phase::Starting | Phase::Opening | Phase::Replaying | Phase::Faulted => {
            Status::Failed(phase_in_words(said))
        }
    }
}

fn is_getting_on(said: &ObserveResponse, observation: &Observation) -> bool {
    let done = |said: &ObserveResponse| said.process.as_ref().map(|process| process.progress_done);
    observation.previous.as_ref().is_some_and(|previous| {
        is_of_one_process(previous, said)
            && phase(previous) == Phase::Replaying
            && done(previous) < done(said)
    })
}

fn serving(said: &ObserveResponse) -> Status {
    ok_if(phase(said) == Phase::Serving, || phase_in_words(said))
}

fn no_corruption(said: &ObserveResponse) -> Status {
    let raised = said.alarms.iter().any(|alarm| alarm.kind() == AlarmKind::Corrupt);
    ok_if(!raised, || "ALARM CORRUPT".to_owned())
}

/// etcd words an alarm that it does not know like this.
fn no_other_alarm(said: &ObserveResponse) -> Status {
    let raised = |kind| said.alarms.iter().any(|alarm| alarm.kind() == kind);
    if raised(AlarmKind::Nospace) {
        return Status::Failed("ALARM NOSPACE".to_owned());
    }
    ok_if(!raised(AlarmKind::Unspecified), || "ALARM UNKNOWN".to_owned())
}

/// Of a core that does not serve, `serving` says enough.
fn has_leader(served: Option<&Consensus>, leader: Steady) -> Status {
    served.map_or(Status::Unknown, |_| ok_if(leader.holds(), || "RAFT NO LEADER".to_owned()))
}

fn is_voter(consensus: Option<&Consensus>) -> Status {
    match consensus.map(Consensus::role) {
        None | Some(Role::Unspecified) => Status::Unknown,
        Some(Role::Learner) => Status::Failed("the member is a learner".to_owned()),
        Some(Role::Follower | Role::Candidate | Role::Leader) => Status::Ok,
    }
}

/// Only a core that serves reads by itself.
fn reads(current: Option<&ObserveResponse>, local_read: Steady) -> Status {
    match current {
        Some(said) if said.liveness.is_some() && phase(said) == Phase::Serving => {
            ok_if(local_read.holds(), || "RANGE ERROR:a local read failed".to_owned())
        }
        Some(_) | None => Status::Unknown,
    }
}

fn read_age(liveness: Option<&Liveness>, age: Option<Duration>) -> Option<Duration> {
    Some(Duration::from_millis(liveness?.local_read_age_ms) + age?)
}

fn caught_up(current: Option<&ObserveResponse>, has_caught_up: bool) -> Status {
    let Some(said) = current.filter(|said| phase(said) == Phase::Serving) else {
        return Status::Unknown;
    };
    said.consensus.as_ref().map_or(Status::Unknown, |consensus| {
        ok_if(has_caught_up, || {
            let (applied, committed) = (consensus.applied_index, consensus.commit_index);
            format!("catching up, {applied} of {committed} entries applied")
        })
    })
}

/// Only where core says it: it does not know before it has opened its directory.
fn is_writable(said: &ObserveResponse) -> Status {
    match said.disk {
        Some(disk) if phase(said) == Phase::Serving => {
            ok_if(disk.writable, || "the data directory is not writable".to_owned())
        }
        Some(_) | None => Status::Unknown,
    }
}

/// Answers that contradict what is believed, and how many it takes to believe them.
fn patience_left(steady: Steady, patience: Patience) -> Reading {
    let needed = if steady.holds() { patience.failures } else { patience.successes };
    Reading::count(steady.contrary().into(), needed.into(), "answers")
}

fn ok_if(fact: bool, reason: impl FnOnce() -> String) -> Status {
    if fact { Status::Ok } else { Status::Failed(reason()) }
}

fn phase_in_words(said: &ObserveResponse) -> String {
    let process = said.process.clone().unwrap_or_default();
    match process.phase() {
        Phase::Unspecified => format!("core is in a phase unknown here ({})", process.phase),
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
