//! What a row of answers shows and a single one does not. Folded by the observer, so that judging
//! stays a function of what is known.

use metastore_proto::admin::{ObserveResponse, Phase, Process};
use metastore_proto::environment::HealthSettings;
use tokio::time::Instant;

use super::Answer;

/// Committed entries that a member may have left to apply and still count as caught up. Beyond as
/// many etcd refuses proposals.
pub const LAG_MAX: u64 = 5000;

/// How many answers in a row it takes to believe a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    pub failures: u32,
    pub successes: u32,
}

impl From<&HealthSettings> for Patience {
    fn from(settings: &HealthSettings) -> Self {
        Self { failures: settings.failures, successes: settings.successes }
    }
}

/// One answer decides.
impl Default for Patience {
    fn default() -> Self {
        Self { failures: 1, successes: 1 }
    }
}

/// Of one process of core, from its first answer on.
#[derive(Clone, Debug, Default)]
pub struct Trend {
    pub leader: Steady,
    pub local_read: Steady,
    /// Answers in a row without a local read that succeeded.
    pub unread: Option<Streak>,
    /// Answers in a row with work to apply and no progress, outside of every declared operation.
    pub unapplied: Option<Streak>,
    /// Whether it ever had applied nearly all that was committed.
    pub has_caught_up: bool,
}

impl Trend {
    /// After one more answer.
    pub(super) fn fold(
        &mut self,
        said: &ObserveResponse,
        before: Option<&Answer>,
        at: Instant,
        patience: Patience,
    ) {
        let before = before.filter(|before| is_of_one_process(&before.said, said));
        if before.is_none() {
            *self = Self::default();
        }
        let serves = phase(said) == Phase::Serving;
        let consensus = said.consensus.as_ref().filter(|_| serves);
        let liveness = said.liveness.as_ref().filter(|_| serves);
        self.leader.fold(consensus.map(|consensus| consensus.leader_id != 0), patience);
        self.local_read.fold(liveness.map(|liveness| liveness.local_read_ok), patience);
        let is_unread = liveness.is_some_and(|liveness| !liveness.local_read_ok);
        Streak::fold(&mut self.unread, is_unread.then_some(at), at);
        let stalled = before.filter(|before| serves && stands_still(&before.said, said));
        Streak::fold(&mut self.unapplied, stalled.map(|before| before.at), at);
        self.has_caught_up |= consensus.is_some() && lag(said) <= LAG_MAX;
    }
}

/// Something that may flicker: one answer to the contrary does not change it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steady {
    /// As it is taken to be; `None` before it was ever true.
    holds: Option<bool>,
    /// Answers in a row that say otherwise.
    contrary: u32,
}

impl Steady {
    pub fn holds(self) -> bool {
        self.holds == Some(true)
    }

    /// Answers in a row that contradict it.
    pub fn contrary(self) -> u32 {
        self.contrary
    }

    /// `None`: the answer does not tell, and what was known is forgotten.
    fn fold(&mut self, fact: Option<bool>, patience: Patience) {
        let (holds, fact) = match (self.holds, fact) {
            (_, None) | (None, Some(false)) => return *self = Self::default(),
            (None, Some(true)) => return *self = Self { holds: fact, contrary: 0 },
            (Some(holds), Some(fact)) => (holds, fact),
        };
        let needed = if holds { patience.failures } else { patience.successes };
        self.contrary = if fact == holds { 0 } else { self.contrary + 1 };
        if self.contrary >= needed {
            *self = Self { holds: Some(fact), contrary: 0 };
        }
    }
}

/// Answers in a row that say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streak {
    pub since: Instant,
    pub until: Instant,
    pub answers: u32,
}

impl Streak {
    /// `began`: when it began if it has only just; `None` ends it.
    fn fold(streak: &mut Option<Self>, began: Option<Instant>, at: Instant) {
        *streak = began.map(|began| {
            let (since, answers) = streak.map_or((began, 0), |old| (old.since, old.answers));
            Self { since, until: at, answers: answers.saturating_add(1) }
        });
    }
}

fn stands_still(before: &ObserveResponse, said: &ObserveResponse) -> bool {
    let applied = |said: &ObserveResponse| said.consensus.as_ref().map(|it| it.applied_index);
    lag(before) > 0 && lag(said) > 0 && applied(before) == applied(said) && !is_declared_busy(said)
}

/// Committed entries that are not applied yet.
pub(super) fn lag(said: &ObserveResponse) -> u64 {
    let consensus = said.consensus.as_ref();
    consensus.map_or(0, |it| it.commit_index.saturating_sub(it.applied_index))
}

/// Whether core is inside something of which it says itself that it may take long.
pub(super) fn is_declared_busy(said: &ObserveResponse) -> bool {
    let operation = said.liveness.as_ref().map_or("", |liveness| &liveness.operation);
    !operation.is_empty() || !said.operations.is_empty()
}

pub(super) fn is_of_one_process(one: &ObserveResponse, other: &ObserveResponse) -> bool {
    let boot = |said: &ObserveResponse| said.process.as_ref().map(|process| process.boot_id);
    boot(one) == boot(other)
}

pub(super) fn phase(said: &ObserveResponse) -> Phase {
    said.process.as_ref().map_or(Phase::Unspecified, Process::phase)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Letters are answers: `y` it is so, `n` it is not, `?` not told; below each what is believed
    /// after it.
    #[test]
    fn a_change_is_believed_when_it_lasts() {
        let patience = Patience { failures: 3, successes: 2 };
        for (answers, believed) in [
            ("y", "y"),
            ("nny", "nny"),
            ("ynynnyy", "yyyyyyy"),
            ("ynnnn", "yyynn"),
            ("ynnnynyy", "yyynnnny"),
            ("ynnnyyn", "yyynnyy"),
            ("yn?ny", "yynny"),
        ] {
            let mut steady = Steady::default();
            let mut seen = String::new();
            for answer in answers.chars() {
                steady.fold((answer != '?').then_some(answer == 'y'), patience);
                seen.push(if steady.holds() { 'y' } else { 'n' });
            }
            assert_eq!(seen, believed, "{answers}");
        }
    }

    #[test]
    fn without_patience_every_answer_counts() {
        let mut steady = Steady::default();
        for fact in [true, false, true, false] {
            steady.fold(Some(fact), Patience::default());
            assert_eq!(steady.holds(), fact);
        }
    }
}
