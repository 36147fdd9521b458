//! The leases that exist. Their keys are in the store; their deadlines are the leader's
//! (`expiry.rs`), since only the leader's clock counts.

use std::collections::BTreeMap;

use crate::domain::Rejection;

/// Replicated: id → granted time to live, in seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leases {
    granted: BTreeMap<i64, i64>,
}

impl Leases {
    pub fn restore(granted: impl IntoIterator<Item = (i64, i64)>) -> Self {
        Self { granted: granted.into_iter().collect() }
    }

    pub fn contains(&self, id: i64) -> bool {
        self.granted.contains_key(&id)
    }

    pub fn iter(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.granted.iter().map(|(id, ttl)| (*id, *ttl))
    }

    pub fn grant(&mut self, id: i64, ttl: i64) -> Result<(), Rejection> {
        if self.contains(id) {
            return Err(Rejection::LeaseExists(id));
        }
        self.granted.insert(id, ttl);
        Ok(())
    }

    pub fn revoke(&mut self, id: i64) -> Result<(), Rejection> {
        self.granted.remove(&id).map(|_ttl| ()).ok_or(Rejection::LeaseNotFound(id))
    }
}
