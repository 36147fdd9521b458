//! When leases end, by the leader's clock. `now` is an argument everywhere, in milliseconds of a
//! clock that never goes back.

use std::collections::{BTreeMap, BTreeSet};

/// A lease with its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Running {
    ttl_ms: i64,
    deadline: i64,
}

/// Deadlines of all leases, the earliest first.
#[derive(Debug, Default)]
pub struct Deadlines {
    running: BTreeMap<i64, Running>,
    order: BTreeSet<(i64, i64)>,
}

impl Deadlines {
    pub fn start(&mut self, id: i64, ttl: i64, now: i64) {
        self.stop(id);
        let ttl_ms = ttl.saturating_mul(1000);
        let deadline = now.saturating_add(ttl_ms);
        self.running.insert(id, Running { ttl_ms, deadline });
        self.order.insert((deadline, id));
    }

    pub fn stop(&mut self, id: i64) {
        if let Some(running) = self.running.remove(&id) {
            self.order.remove(&(running.deadline, id));
        }
    }

    /// Gives the lease its full time again and answers that time in seconds; `None` when it does
    /// not exist or has run out.
    pub fn renew(&mut self, id: i64, now: i64) -> Option<i64> {
        let running = *self.running.get(&id)?;
        if running.deadline <= now {
            return None;
        }
        self.start(id, running.ttl_ms / 1000, now);
        Some(running.ttl_ms / 1000)
    }

    /// Granted and remaining time in seconds.
    pub fn time_to_live(&self, id: i64, now: i64) -> Option<(i64, i64)> {
        let running = self.running.get(&id)?;
        Some((running.ttl_ms / 1000, (running.deadline - now).max(0) / 1000))
    }

    /// All leases, those that end first in front.
    pub fn by_deadline(&self) -> Vec<i64> {
        self.order.iter().map(|(_, id)| *id).collect()
    }

    /// Leases that have run out, at most `limit` of them.
    pub fn expired(&self, now: i64, limit: usize) -> Vec<i64> {
        self.order
            .iter()
            .take_while(|(deadline, _)| *deadline <= now)
            .take(limit)
            .map(|(_, id)| *id)
            .collect()
    }

    /// Everything runs anew: a new leader does not know how much was left.
    pub fn restart_all(&mut self, now: i64, grace_ms: i64) {
        let all: Vec<_> = self.running.iter().map(|(id, it)| (*id, it.ttl_ms)).collect();
        for (id, ttl_ms) in all {
            self.start(id, ttl_ms / 1000, now.saturating_add(grace_ms));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewed_lease_outlives_its_first_deadline() {
        let mut deadlines = Deadlines::default();
        deadlines.start(7, 2, 0);
        assert_eq!(deadlines.renew(7, 1500), Some(2));
        assert_eq!(deadlines.expired(2500, 10), Vec::<i64>::new());
        assert_eq!(deadlines.time_to_live(7, 2500), Some((2, 1)));
        assert_eq!(deadlines.expired(3500, 10), vec![7]);
        assert_eq!(deadlines.renew(7, 3500), None);
    }

    #[test]
    fn leases_come_in_the_order_in_which_they_end() {
        let mut deadlines = Deadlines::default();
        deadlines.start(1, 30, 0);
        deadlines.start(2, 10, 0);
        assert_eq!(deadlines.by_deadline(), vec![2, 1]);
        deadlines.stop(2);
        assert_eq!(deadlines.by_deadline(), vec![1]);
    }
}
