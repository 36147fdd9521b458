//! From what is known to the report. Pure: the clocks are arguments.

use std::time::{Duration, SystemTime};

use metastore_proto::admin::{self as pb};
use metastore_proto::admin::{AlarmCause, AlarmKind, ObserveResponse, Phase, Process, Role};
use metastore_proto::environment::{CompactionSettings, DiskSettings, Share};
use tokio::time::Instant;

use super::history::{INTERVAL, LastHour, SAMPLES, Sample};
use super::model::{
    Alarm, Check, Compaction, Core, Database, Disk, Heard, History, Hour, LongOperation, Member,
    Probe, Reading, Report, Run, Sidecar, Space, Status, Work,
};
use super::words;
use crate::compaction::{self, CompactionState};
use crate::disk::{self, DiskState};
use crate::health::{self, Observation, Verdict};
use crate::tunable::Tunable;
use crate::wall_clock::{rfc3339, unix_ms};

/// Everything that a report is made of.
pub struct Facts<'a> {
    pub observation: &'a Observation,
    pub verdict: &'a Verdict,
    pub tunable: &'a Tunable,
    pub disk: &'a DiskState,
    pub compaction: &'a CompactionState,
    /// What an operator should know.
    pub warnings: &'a [String],
    pub hour: &'a LastHour,
    /// When the sidecar started.
    pub started: Instant,
    pub now: Instant,
    pub time: SystemTime,
}

const PROBES: [(health::Probe, &str); 4] = [
    (health::Probe::Startup, "startup"),
    (health::Probe::Live, "liveness"),
    (health::Probe::Ready, "readiness"),
    (health::Probe::Health, "health"),
];

/// All of it.
pub fn compose(facts: &Facts<'_>) -> Report {
    let verdict = facts.verdict;
    let said = facts.observation.answer.as_ref().map(|answer| &answer.said);
    let reason = verdict.reason(health::Probe::Health).map(str::to_owned);
    Report {
        at: rfc3339(facts.time),
        healthy: reason.is_none(),
        reason,
        probes: PROBES.map(|(probe, name)| probe_of(verdict, probe, name)).into(),
        checks: verdict.checks.iter().map(check).collect(),
        heard: heard(facts),
        core: said.and_then(|said| said.process.as_ref()).map(core),
        member: said.and_then(|said| said.consensus.as_ref()).map(member),
        history: said.and_then(|said| said.history.as_ref()).map(history),
        compaction: compaction(facts),
        disk: disk_of(facts),
        database: said.and_then(|said| said.disk.as_ref()).map(database),
        work: said.map(work),
        alarms: said.into_iter().flat_map(|said| said.alarms.iter().map(alarm)).collect(),
        warnings: facts.warnings.to_vec(),
        sidecar: Sidecar {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: ms(facts.now.duration_since(facts.started)),
        },
        last_hour: hour(facts),
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn probe_of(verdict: &Verdict, probe: health::Probe, name: &str) -> Probe {
    let reason = verdict.reason(probe).map(str::to_owned);
    Probe { name: name.to_owned(), passes: reason.is_none(), reason }
}

fn check(check: &health::Check) -> Check {
    let (status, reason) = match &check.status {
        health::Status::Ok => (Status::Ok, None),
        health::Status::Failed(reason) => (Status::Failed, Some(reason.clone())),
        health::Status::Unknown => (Status::Unknown, None),
    };
    let used = PROBES.iter().filter(|(probe, _)| check.probes.contains(probe));
    let probes = used.map(|(_, name)| (*name).to_owned()).collect();
    let reading = check.reading.map(|reading| Reading {
        value: reading.value,
        threshold: reading.threshold,
        unit: reading.unit.to_owned(),
    });
    let age_ms = check.age.map(ms);
    Check { name: check.name.to_owned(), status, reason, probes, reading, age_ms }
}

fn heard(facts: &Facts<'_>) -> Heard {
    Heard {
        age_ms: facts.verdict.age.map(ms),
        is_current: facts.verdict.is_observed(),
        silence: facts.observation.silence.as_ref().map(|silence| silence.cause.to_string()),
    }
}

fn core(process: &Process) -> Core {
    Core {
        version: process.version.clone(),
        phase: match process.phase() {
            Phase::Unspecified => "in a phase unknown here".to_owned(),
            Phase::Starting => "starting".to_owned(),
            Phase::Opening => "opening the store".to_owned(),
            Phase::Replaying => {
                let (done, total) = (process.progress_done, process.progress_total);
                format!("replaying the log, {} of {}", words::count(done), words::count(total))
            }
            Phase::Serving => "serving".to_owned(),
            Phase::Draining => "draining".to_owned(),
            Phase::Faulted => format!("stopped by a fault: {}", process.fault),
        },
        uptime_ms: process.uptime_ms,
        pid: process.pid,
        boot_id: words::id(process.boot_id),
    }
}

fn member(consensus: &pb::Consensus) -> Member {
    let role = match consensus.role() {
        Role::Unspecified => "none yet",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
        Role::Leader => "leader",
        Role::Learner => "learner",
    };
    Member {
        name: consensus.name.clone(),
        member_id: words::id(consensus.member_id),
        cluster_id: words::id(consensus.cluster_id),
        role: role.to_owned(),
        term: consensus.term,
        leader_id: Some(consensus.leader_id).filter(|id| *id != 0).map(words::id),
        commit_index: consensus.commit_index,
        applied_index: consensus.applied_index,
    }
}

fn history(history: &pb::History) -> History {
    // The first mark that is not before the compacted revision: reads go back at least so far.
    let oldest = history.marks.iter().find(|mark| mark.revision >= history.compacted_revision);
    let kept = oldest.and_then(|mark| history.now_ms.checked_sub(mark.unix_ms));
    let kept = kept.and_then(|kept| u64::try_from(kept).ok());
    History {
        revision: history.revision,
        compacted_revision: history.compacted_revision,
        keys: history.keys,
        kept_ms: kept.filter(|_| history.now_ms > 0),
    }
}

fn compaction(facts: &Facts<'_>) -> Compaction {
    let settings = &facts.tunable.compaction;
    let state = facts.compaction;
    let until = |due: SystemTime| unix_ms(due).saturating_sub(unix_ms(facts.time));
    Compaction {
        enabled: settings.enabled,
        policy: policy(settings),
        lag: state.lag,
        last_run: state.last.as_ref().map(|run| run_of(run, facts.time)),
        last_success: state.last_success.map(rfc3339),
        next_due: state.next_due.map(rfc3339),
        next_due_in_ms: state.next_due.map(until),
    }
}

/// After a clock was set back, a run has just ended.
fn run_of(run: &compaction::Run, time: SystemTime) -> Run {
    Run {
        result: run.outcome.result().to_owned(),
        outcome: run.outcome.to_string(),
        ended: rfc3339(run.ended),
        ended_ago_ms: ms(time.duration_since(run.ended).unwrap_or_default()),
        took_ms: ms(run.took),
    }
}

fn policy(settings: &CompactionSettings) -> String {
    if !settings.enabled {
        return "off: history is kept until a client compacts it".to_owned();
    }
    let revisions = match unsigned(settings.keep_revisions) {
        1 => "the newest revision".to_owned(),
        number => format!("the newest {} revisions", words::count(number)),
    };
    let window = settings.keep_duration;
    let time = if window.is_zero() {
        String::new()
    } else {
        format!(" and the last {}", words::duration(window))
    };
    format!("keep {revisions}{time}; considered every {}", words::duration(settings.check_interval))
}

fn disk_of(facts: &Facts<'_>) -> Disk {
    let (state, settings) = (facts.disk, &facts.tunable.disk);
    let bytes = |share: Share, total| Some(share.bytes_of(total));
    Disk {
        space: state.space.map(|space| with_marks(space, settings, bytes)),
        inodes: state.inodes.map(|inodes| with_marks(inodes, settings, Share::of)),
        level: state.level.as_str().to_owned(),
        age_ms: state.measured_at.map(|at| ms(facts.now.duration_since(at))),
        full_in_ms: state.full_in.map(ms),
        guard: settings.guard,
        last_action: state.last_action.as_ref().map(|done| last_action(done, facts.now)),
    }
}

fn with_marks(
    space: disk::Space,
    settings: &DiskSettings,
    units: impl Fn(Share, u64) -> Option<u64>,
) -> Space {
    let disk::Space { total, free } = space;
    Space { total, free, warn: units(settings.warn, total), low: units(settings.low, total) }
}

fn last_action(done: &disk::Done, now: Instant) -> String {
    let ago = words::duration(now.duration_since(done.at));
    match (&done.result, done.action) {
        (Ok(()), disk::Action::Raise) => format!("raised the alarm {ago} ago"),
        (Ok(()), disk::Action::Clear) => format!("cleared the alarm {ago} ago"),
        (Err(error), disk::Action::Raise) => {
            format!("could not raise the alarm {ago} ago: {error}")
        }
        (Err(error), disk::Action::Clear) => {
            format!("could not clear the alarm {ago} ago: {error}")
        }
    }
}

fn database(disk: &pb::Disk) -> Database {
    Database {
        logical_bytes: unsigned(disk.logical_bytes),
        physical_bytes: unsigned(disk.physical_bytes),
        quota_bytes: u64::try_from(disk.quota_bytes).ok().filter(|quota| *quota > 0),
        writable: disk.writable,
        ballast_bytes: disk.ballast_bytes,
        last_sync_us: disk.last_sync_us,
    }
}

fn work(said: &ObserveResponse) -> Work {
    let (liveness, queues) =
        (said.liveness.clone().unwrap_or_default(), said.queues.unwrap_or_default());
    let long =
        |long: &pb::LongOperation| LongOperation { name: long.name.clone(), age_ms: long.age_ms };
    Work {
        tick_age_ms: liveness.tick_age_ms,
        operation: liveness.operation,
        operation_age_ms: liveness.operation_age_ms,
        long_operations: said.operations.iter().map(long).collect(),
        proposals_waiting: queues.proposals_waiting,
        proposals_pending: queues.proposals_pending,
        watchers: queues.watchers,
        lagging_watchers: queues.lagging_watchers,
        connections: queues.connections,
    }
}

fn alarm(alarm: &pb::RaisedAlarm) -> Alarm {
    let kind = match alarm.kind() {
        AlarmKind::Unspecified => "of a kind unknown here",
        AlarmKind::Nospace => "NOSPACE",
        AlarmKind::Corrupt => "CORRUPT",
    };
    let cause = match alarm.cause() {
        AlarmCause::Unspecified => "for a reason unknown here",
        AlarmCause::Quota => "the database is larger than its quota",
        AlarmCause::Disk => "the disk has too little room",
        AlarmCause::Operator => "raised by an operator",
    };
    let member_id = words::id(alarm.member_id);
    Alarm { kind: kind.to_owned(), cause: cause.to_owned(), member_id }
}

fn hour(facts: &Facts<'_>) -> Hour {
    let newest = Sample::take(facts.observation, facts.disk, facts.now);
    let samples: Vec<Sample> = facts.hour.samples().copied().chain([newest]).collect();
    let core = |value: fn(super::history::CoreSample) -> u64| {
        samples.iter().map(|sample| sample.core.map(value)).collect()
    };
    Hour {
        interval_s: INTERVAL.as_secs(),
        places: SAMPLES + 1,
        free_bytes: samples.iter().map(|sample| sample.free_bytes).collect(),
        physical_bytes: core(|core| core.physical_bytes),
        logical_bytes: core(|core| core.logical_bytes),
        revision: core(|core| core.revision),
    }
}
