//! What a judgement consists of. Made by `evaluate.rs` and `disk.rs`, told by `probes`.

use std::time::Duration;

use metastore_proto::admin::Role;

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

/// One fact about core, or about its disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// etcd's where etcd has such a check. Only the checks of one probe have different names.
    pub name: &'static str,
    pub part: Part,
    /// The probes that fail when it fails.
    pub probes: &'static [Probe],
    pub status: Status,
    /// What was measured, where something was.
    pub reading: Option<Reading>,
    /// Age of what it rests on.
    pub age: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    Ok,
    /// With the reason.
    Failed(String),
    /// Nobody told, or what was told is too old. Fails no probe: `observed` fails those that must
    /// know.
    Unknown,
}

/// A number and the bound that it is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    pub value: f64,
    pub threshold: f64,
    /// `seconds`, `bytes`, ….
    pub unit: &'static str,
}

impl Reading {
    pub fn seconds(value: Duration, threshold: Duration) -> Self {
        Self { value: value.as_secs_f64(), threshold: threshold.as_secs_f64(), unit: "seconds" }
    }

    /// To the precision of a float, which is more than a person reads.
    pub fn count(value: u64, threshold: u64, unit: &'static str) -> Self {
        Self { value: value as f64, threshold: threshold as f64, unit }
    }
}

impl Check {
    pub fn new(name: &'static str, part: Part, probes: &'static [Probe], status: Status) -> Self {
        Self { name, part, probes, status, reading: None, age: None }
    }

    pub fn reading(self, reading: impl Into<Option<Reading>>) -> Self {
        Self { reading: reading.into(), ..self }
    }

    pub fn aged(self, age: Option<Duration>) -> Self {
        Self { age, ..self }
    }

    /// Why it fails.
    pub fn failure(&self) -> Option<&str> {
        match &self.status {
            Status::Failed(reason) => Some(reason),
            Status::Ok | Status::Unknown => None,
        }
    }
}

/// All checks, those first whose reasons matter most.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub checks: Vec<Check>,
    /// Age of core's last answer.
    pub age: Option<Duration>,
    pub role: Role,
}

/// The name of the check on the age of core's last answer.
pub(super) const OBSERVED: &str = "observed";

impl Verdict {
    /// With one more check.
    pub fn and(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    pub fn passes(&self, probe: Probe) -> bool {
        self.reason(probe).is_none()
    }

    /// Why the probe fails.
    pub fn reason(&self, probe: Probe) -> Option<&str> {
        self.checks_of(probe).find_map(Check::failure)
    }

    pub fn checks_of(&self, probe: Probe) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(move |check| check.probes.contains(&probe))
    }

    /// Whether core's last answer is new enough.
    pub fn is_observed(&self) -> bool {
        self.checks.iter().all(|check| check.name != OBSERVED || check.status == Status::Ok)
    }
}
