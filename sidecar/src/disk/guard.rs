//! Raises the alarm NOSPACE before the disk is full, and clears it when there is room again.
//!
//! It clears what stands for a full disk: alarms of cause `DISK` of this member, whether this
//! process raised them, an earlier one, or core by itself. An alarm of the quota or of an operator is
//! not its business, and an operator's disarm clears any. With `METASTORE_DISK_GUARD=false` it
//! neither raises nor clears: whoever turns it off decides by hand from then on, and an alarm that
//! is raised then stays until it is disarmed.
//!
//! What is raised it takes from core only, never from its own memory: core may have restarted, or
//! somebody may have disarmed the alarm.

use std::fmt;
use std::future::pending;
use std::time::Duration;

use metastore_proto::admin::{AlarmCause, AlarmKind, AlarmRequest, ObserveResponse, Phase};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use super::levels::Level;
use super::metrics::DiskMetrics;
use super::{DiskState, Space};
use crate::core_client::{CoreClient, CoreError};
use crate::health::Observation;
use crate::tunable::Tunable;

/// The first wait after a call that failed; each is twice as long as the one before.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Older figures do not show that there is room.
const FIGURES_AGE_MAX: Duration = Duration::from_secs(15);

/// What the guard can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Raise,
    Clear,
}

impl Action {
    pub const ALL: [Self; 2] = [Self::Raise, Self::Clear];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raise => "raise",
            Self::Clear => "clear",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that the guard did, or tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    pub action: Action,
    pub result: Result<(), CoreError>,
    pub at: Instant,
}

/// What there is to do. Pure. `raised_since`: since when core has said that the alarm is raised.
fn decide(
    disk: &DiskState,
    raised_since: Option<Instant>,
    clear_after: Duration,
    now: Instant,
) -> Option<Action> {
    let lasted = |since: Option<Instant>| since.is_some_and(|since| now - since >= clear_after);
    let is_fresh = disk.measured_at.is_some_and(|at| now - at <= FIGURES_AGE_MAX);
    let is_low = disk.level >= Level::Low;
    match raised_since {
        None if is_low && disk.space.is_some() => Some(Action::Raise),
        // An alarm that core raised in a moment too short to be measured stays as long.
        Some(_) if !is_low && is_fresh && lasted(disk.roomy_since) && lasted(raised_since) => {
            Some(Action::Clear)
        }
        None | Some(_) => None,
    }
}

/// Whether core says that this member has an alarm of cause `DISK`.
fn is_raised(said: &ObserveResponse) -> bool {
    let member = said.consensus.as_ref().map_or(0, |consensus| consensus.member_id);
    said.alarms.iter().any(|alarm| {
        alarm.member_id == member
            && alarm.kind() == AlarmKind::Nospace
            && alarm.cause() == AlarmCause::Disk
    })
}

/// Whether core can propose: before, it would only refuse.
fn is_open(said: &ObserveResponse) -> bool {
    let phase = said.process.as_ref().map(|process| process.phase());
    matches!(phase, Some(Phase::Serving | Phase::Draining))
}

/// The task; one call at a time.
pub(super) struct Guard<C> {
    pub core: C,
    pub observed: watch::Receiver<Observation>,
    pub tunable: watch::Receiver<Tunable>,
    pub metrics: DiskMetrics,
    pub publish: watch::Sender<DiskState>,
}

/// What the guard remembers; all of it may be lost in a restart.
#[derive(Default)]
struct Memory {
    raised_since: Option<Instant>,
    /// What core said before this was said before the newest action.
    acted_at: Option<Instant>,
    failures: u32,
    has_told_that_off: bool,
}

impl<C: CoreClient> Guard<C> {
    /// Runs until dropped. Looks when the disk was measured, and when core has answered.
    pub(super) async fn run(mut self) {
        let mut disk = self.publish.subscribe();
        let mut memory = Memory::default();
        loop {
            if let Some(action) = self.due(&mut memory) {
                let cause = AlarmCause::Disk.into();
                let request = AlarmRequest { raise: action == Action::Raise, cause };
                let result = self.core.alarm(request).await;
                self.done(action, result, &mut memory);
            }
            tokio::select! {
                () = change(&mut disk) => {}
                () = change(&mut self.observed) => {}
            }
        }
    }

    fn due(&self, memory: &mut Memory) -> Option<Action> {
        let now = Instant::now();
        let tunable = self.tunable.borrow();
        let observation = self.observed.borrow();
        let answer = observation.answer.as_ref()?;
        let is_current = now - answer.at <= tunable.health.observation_max_age;
        let is_newer = memory.acted_at.is_none_or(|acted_at| answer.at > acted_at);
        if !is_current || !is_newer || !is_open(&answer.said) {
            return None;
        }
        let since = is_raised(&answer.said).then(|| memory.raised_since.unwrap_or(now));
        memory.raised_since = since;
        if !tunable.disk.guard {
            tell_once_that_off(memory);
            return None;
        }
        memory.has_told_that_off = false;
        let waits = memory.acted_at.is_some_and(|at| now - at < patience(memory.failures));
        decide(&self.publish.borrow(), since, tunable.disk.clear_after, now).filter(|_| !waits)
    }

    fn done(&self, action: Action, result: Result<(), CoreError>, memory: &mut Memory) {
        let at = Instant::now();
        memory.acted_at = Some(at);
        memory.failures = if result.is_ok() { 0 } else { memory.failures.saturating_add(1) };
        log(action, &result, self.publish.borrow().space);
        self.metrics.acted(action, result.is_ok());
        self.publish.send_modify(|state| state.last_action = Some(Done { action, result, at }));
    }
}

/// How long nothing is done after so many failures in a row.
fn patience(failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => Duration::ZERO,
        Some(before) => RETRY.saturating_mul(2_u32.saturating_pow(before)).min(RETRY_MAX),
    }
}

/// Returns when there is something new. When nobody publishes any more, there never is.
async fn change<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        pending::<()>().await;
    }
}

fn tell_once_that_off(memory: &mut Memory) {
    if memory.raised_since.is_some() && !memory.has_told_that_off {
        memory.has_told_that_off = true;
        warn!("alarm NOSPACE of the disk stays until it is disarmed: METASTORE_DISK_GUARD is off");
    }
}

fn log(action: Action, result: &Result<(), CoreError>, space: Option<Space>) {
    let (free_bytes, total_bytes) = (space.map(|space| space.free), space.map(|space| space.total));
    match (action, result) {
        (Action::Raise, Ok(())) => {
            warn!(free_bytes, total_bytes, "disk low: alarm NOSPACE raised");
        }
        (Action::Clear, Ok(())) => {
            info!(free_bytes, total_bytes, "disk has room again: alarm NOSPACE cleared");
        }
        (_, Err(error)) => warn!(%action, %error, free_bytes, "alarm NOSPACE: core did not act"),
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
