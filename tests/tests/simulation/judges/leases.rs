//! A lease ends by itself only when its time is over, and then it does end.

use std::collections::BTreeMap;

use metastore_core::domain::Command;
use metastore_core::replica::propose::{THREADS_MAX, thread_of};

use super::history::Decided;
use crate::finding::{Verdict, require};

#[derive(Default)]
pub(crate) struct LeaseTimes {
    /// Until when each lease lives at least, by the clock that never goes back.
    deadlines: BTreeMap<i64, Deadline>,
}

struct Deadline {
    ttl_ms: i64,
    /// In the boot that set it.
    boot: u64,
    at_ms: i64,
    /// No proposal made before the lease was granted has a later stamp.
    granted_at: i64,
}

impl LeaseTimes {
    /// A member that ends a lease names it by its id alone, as etcd does: if the lease was granted
    /// anew since it proposed that, the new one ends.
    pub(crate) fn decided(
        &mut self,
        decided: &Decided,
        boot: u64,
        (now_ms, newest_stamp): (i64, i64),
    ) -> Verdict {
        let id = decided.proposal.id;
        match decided.proposal.command {
            Command::LeaseGrant { id, ttl } if decided.result.is_ok() => {
                let ttl_ms = ttl * 1000;
                let at_ms = now_ms + ttl_ms;
                let deadline = Deadline { ttl_ms, boot, at_ms, granted_at: newest_stamp };
                self.deadlines.insert(id, deadline);
                Ok(())
            }
            Command::LeaseRevoke { id: lease } if decided.result.is_ok() => {
                let Some(deadline) = self.deadlines.remove(&lease) else { return Ok(()) };
                let by_itself = thread_of(id.counter) == THREADS_MAX;
                let is_raced = decided.proposal.proposed_at <= deadline.granted_at;
                let is_comparable = deadline.boot == id.boot && !is_raced;
                require(!by_itself || !is_comparable || deadline.at_ms <= now_ms, || {
                    format!("lease {lease} ended at {now_ms}, its time was {}", deadline.at_ms)
                })
            }
            _ => Ok(()),
        }
    }

    /// A member that begins to lead does not know how much was left: all have their full time.
    pub(crate) fn restarted(&mut self, boot: u64, now_ms: i64) {
        for deadline in self.deadlines.values_mut() {
            (deadline.boot, deadline.at_ms) = (boot, now_ms + deadline.ttl_ms);
        }
    }

    /// The client was told that the lease has `ttl` seconds again.
    pub(crate) fn renewed(&mut self, lease: i64, ttl: Option<i64>, now_ms: i64) -> Verdict {
        let known = self.deadlines.get_mut(&lease);
        let Some(ttl) = ttl else {
            let over = known.is_none_or(|deadline| deadline.at_ms <= now_ms);
            return require(over, || format!("lease {lease} is not renewed and not over"));
        };
        let Some(deadline) = known else {
            return require(false, || format!("lease {lease} is renewed and does not exist"));
        };
        require(ttl * 1000 == deadline.ttl_ms, || format!("lease {lease} has {ttl} s"))?;
        deadline.at_ms = now_ms + deadline.ttl_ms;
        Ok(())
    }
}
