//! The report as a value. Its JSON is what `/report.json` answers: field names are promises.
//!
//! Ids are texts in hex, as etcdctl prints them: JSON's numbers do not hold 64 bits everywhere. What
//! is not known is `null`, and what core said keeps standing after core has gone silent: `heard`
//! says how old it is.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// When it was made, RFC 3339.
    pub at: String,
    /// Whether the probe `health` passes.
    pub healthy: bool,
    /// Why not.
    pub reason: Option<String>,
    /// startup, liveness, readiness, health.
    pub probes: Vec<Probe>,
    pub checks: Vec<Check>,
    pub heard: Heard,
    pub core: Option<Core>,
    pub member: Option<Member>,
    pub history: Option<History>,
    pub compaction: Compaction,
    pub disk: Disk,
    pub database: Option<Database>,
    pub work: Option<Work>,
    pub alarms: Vec<Alarm>,
    /// What an operator should know although no probe fails for it, one sentence each.
    pub warnings: Vec<String>,
    pub sidecar: Sidecar,
    pub last_hour: Hour,
}

/// The answer to a question of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    pub name: String,
    pub passes: bool,
    pub reason: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub status: Status,
    pub reason: Option<String>,
    /// The probes that fail when it fails.
    pub probes: Vec<String>,
    pub reading: Option<Reading>,
    /// Age of what it rests on.
    pub age_ms: Option<u64>,
}

/// A number and the bound that it is compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    pub value: f64,
    pub threshold: f64,
    pub unit: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ok,
    Failed,
    /// What core last said is too old to tell.
    Unknown,
}

/// How current everything is that came from core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Age of core's newest answer; `null` before the first.
    pub age_ms: Option<u64>,
    /// Whether that is new enough to judge by.
    pub is_current: bool,
    /// Why the newest question has no answer.
    pub silence: Option<String>,
}

/// The process core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Core {
    pub version: String,
    /// In words; with the progress of a replay, or the fault.
    pub phase: String,
    pub uptime_ms: u64,
    pub pid: u32,
    pub boot_id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub name: String,
    pub member_id: String,
    pub cluster_id: String,
    pub role: String,
    pub term: u64,
    /// `null` when none is known.
    pub leader_id: Option<String>,
    pub commit_index: u64,
    pub applied_index: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    pub revision: i64,
    /// Reads below it fail; 0: nothing was compacted yet.
    pub compacted_revision: i64,
    pub keys: i64,
    /// How far back reads go, as far as the marks tell.
    pub kept_ms: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compaction {
    pub enabled: bool,
    /// What is kept, and when that is looked at.
    pub policy: String,
    /// Revisions that the policy would let go now.
    pub lag: Option<u64>,
    pub last_run: Option<Run>,
    /// When a run last compacted, or found nothing to do; RFC 3339.
    pub last_success: Option<String>,
    /// `null`: no run is due. In the past: it waits for what the last run was skipped for.
    pub next_due: Option<String>,
    /// Until then; negative when it is past.
    pub next_due_in_ms: Option<i64>,
}

/// A run of compaction that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// compacted, nothing, skipped, failed.
    pub result: String,
    /// The same in words.
    pub outcome: String,
    /// RFC 3339.
    pub ended: String,
    pub ended_ago_ms: u64,
    /// What core took.
    pub took_ms: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// `null` when it cannot be measured.
    pub space: Option<Space>,
    /// `null` where the file system does not count them.
    pub inodes: Option<Space>,
    /// ok, warn, low, floor.
    pub level: String,
    /// Age of the figures.
    pub age_ms: Option<u64>,
    /// When it is full, if it goes on like in the last minutes.
    pub full_in_ms: Option<u64>,
    /// Whether the sidecar raises and clears the alarm.
    pub guard: bool,
    /// The newest thing that the guard did, or tried, in words.
    pub last_action: Option<String>,
}

/// Bytes, or inodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    pub total: u64,
    pub free: u64,
    /// Below so many free there is a warning; `null` where that mark does not count these.
    pub warn: Option<u64>,
    /// Below so many free, writes are refused.
    pub low: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// Live rows and kept history.
    pub logical_bytes: u64,
    /// The files.
    pub physical_bytes: u64,
    /// `null`: no quota.
    pub quota_bytes: Option<u64>,
    pub writable: bool,
    /// What is given up when the disk is full; 0: gone, or none was wanted.
    pub ballast_bytes: u64,
    /// The newest synced write of the log.
    pub last_sync_us: u64,
}

/// What core is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Age of the newest tick of the consensus loop.
    pub tick_age_ms: u64,
    /// What the loop is inside of; empty: it waits for work.
    pub operation: String,
    pub operation_age_ms: u64,
    /// Long work that core declared.
    pub long_operations: Vec<LongOperation>,
    pub proposals_waiting: u64,
    pub proposals_pending: u64,
    pub watchers: u64,
    pub lagging_watchers: u64,
    pub connections: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LongOperation {
    pub name: String,
    pub age_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    pub kind: String,
    pub cause: String,
    pub member_id: String,
}

/// The process that reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sidecar {
    pub version: String,
    pub uptime_ms: u64,
}

/// A value every `interval_s` seconds, oldest first, the last one from now. `null` where it is not
/// known: core or the sidecar were away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hour {
    pub interval_s: u64,
    /// Places of the whole hour; there are fewer values until it is over.
    pub places: usize,
    pub free_bytes: Vec<Option<u64>>,
    pub physical_bytes: Vec<Option<u64>>,
    pub logical_bytes: Vec<Option<u64>>,
    pub revision: Vec<Option<u64>>,
}
