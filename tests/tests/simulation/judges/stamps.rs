//! Nothing looks older than it is, however often the member restarts and the time of day is set:
//! a policy by time would let it go too early.

use std::collections::BTreeMap;

use super::history::Decided;
use crate::finding::{Verdict, require};
use crate::member::Member;

#[derive(Default)]
pub(crate) struct Stamps {
    /// The newest stamp that a proposal can have so far.
    newest: i64,
    /// When clients proposed, on the monotonic clock, by boot and counter.
    proposed: BTreeMap<(u64, u64), i64>,
    /// The same for the marks that their proposals made, by the marks' times.
    marked: BTreeMap<i64, i64>,
}

impl Stamps {
    /// A round of the member's loop begins.
    pub(crate) fn run(&mut self, member: &mut Member, now_ms: i64) {
        member.replica.set_now(now_ms);
        self.newest = self.newest.max(member.board.steady_ms());
    }

    pub(crate) fn newest(&self) -> i64 {
        self.newest
    }

    pub(crate) fn proposed(&mut self, id: (u64, u64), now_ms: i64) {
        self.proposed.insert(id, now_ms);
    }

    /// A proposal was applied; these are the marks after it. The member's own are not looked at.
    pub(crate) fn decided(&mut self, decided: &Decided, marks: &[(i64, i64)]) {
        let id = (decided.proposal.id.boot, decided.proposal.id.counter);
        let made = (decided.proposal.proposed_at, decided.revision);
        if let Some(proposed) = self.proposed.remove(&id)
            && marks.contains(&made)
        {
            self.marked.entry(made.0).or_insert(proposed);
        }
    }

    pub(crate) fn check_ages(&self, marks: &[(i64, i64)], steady_ms: i64, now_ms: i64) -> Verdict {
        for (time, revision) in marks {
            let Some(proposed) = self.marked.get(time) else { continue };
            let (shown, real) = (steady_ms - time, now_ms - proposed);
            require(shown <= real, || {
                format!("the mark of revision {revision} looks {shown} ms old and is {real}")
            })?;
        }
        Ok(())
    }
}
