//! What the rules may read.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use bytes::Bytes;

use super::effects::Mutation;
use super::mvcc::DeadTotals;
use super::{Fault, KeyRange, RowRef, Version};

/// When to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The newest state.
    Now,
    /// The state right after this revision, which is neither compacted nor in the future.
    Revision(i64),
}

/// Called for each row; `Break` ends the scan.
pub type Visit<'v> = &'v mut dyn FnMut(RowRef<'_>) -> ControlFlow<()>;

/// Stored state. RocksDB and the simulator's memory implement it through `store/view.rs`.
pub trait View {
    /// The live version of a key.
    fn live(&self, key: &[u8]) -> Result<Option<Version>, Fault>;

    /// Visits the keys of a range in ascending order.
    fn scan(&self, range: &KeyRange, at: At, visit: Visit<'_>) -> Result<(), Fault>;

    /// The number of keys in a range.
    fn count(&self, range: &KeyRange, at: At) -> Result<i64, Fault>;

    /// The keys attached to a lease, ascending.
    fn lease_keys(&self, lease: i64) -> Result<Vec<Bytes>, Fault>;

    /// What was dead after `revision`, counted from the beginning of time.
    fn dead_until(&self, revision: i64) -> Result<DeadTotals, Fault>;
}

/// Pending writes over a view: a later command of a batch sees what an earlier one did.
///
/// Covers live versions and lease attachments. A read of an older revision goes to the base,
/// which is why a batch is written before a command that reads history (`replica/apply.rs`).
#[derive(Debug)]
pub struct Overlay<'v, V> {
    base: &'v V,
    live: BTreeMap<Bytes, Option<Version>>,
    attached: BTreeMap<(i64, Bytes), bool>,
}

impl<'v, V: View> Overlay<'v, V> {
    pub fn new(base: &'v V) -> Self {
        Self { base, live: BTreeMap::new(), attached: BTreeMap::new() }
    }

    /// Makes a mutation visible to later reads.
    pub fn absorb(&mut self, mutation: &Mutation) {
        match mutation {
            Mutation::SetLive { key, version } => {
                self.live.insert(key.clone(), Some(version.clone()));
            }
            Mutation::RemoveLive { key } => {
                self.live.insert(key.clone(), None);
            }
            Mutation::Attach { lease, key } => {
                self.attached.insert((*lease, key.clone()), true);
            }
            Mutation::Detach { lease, key } => {
                self.attached.insert((*lease, key.clone()), false);
            }
            Mutation::Supersede { .. }
            | Mutation::LogEvent(_)
            | Mutation::LogBirth { .. }
            | Mutation::SetLease { .. }
            | Mutation::RemoveLease { .. }
            | Mutation::Compacted { .. }
            | Mutation::SetAlarms(_)
            | Mutation::SetMember(_)
            | Mutation::Mark { .. }
            | Mutation::Unmark { .. } => {}
        }
    }

    fn pending(&self, range: &KeyRange) -> Vec<(&Bytes, Option<&Version>)> {
        if range.is_empty() {
            return Vec::new();
        }
        if let Some(key) = range.as_single() {
            let found = self.live.get_key_value(key);
            return found.map(|(key, version)| (key, version.as_ref())).into_iter().collect();
        }
        let end = range.end().map_or(Bound::Unbounded, Bound::Excluded);
        self.live
            .range::<Bytes, _>((Bound::Included(range.start()), end))
            .map(|(key, version)| (key, version.as_ref()))
            .collect()
    }

    fn scan_now(&self, range: &KeyRange, visit: Visit<'_>) -> Result<(), Fault> {
        let mut pending = self.pending(range).into_iter().peekable();
        let mut stopped = false;
        self.base.scan(range, At::Now, &mut |row| {
            while let Some((key, version)) = pending.next_if(|(key, _)| key.as_ref() < row.key) {
                if show(key, version, visit).is_break() {
                    stopped = true;
                    return ControlFlow::Break(());
                }
            }
            let flow = match pending.next_if(|(key, _)| key.as_ref() == row.key) {
                Some((key, version)) => show(key, version, visit),
                None => visit(row),
            };
            stopped = flow.is_break();
            flow
        })?;
        if !stopped {
            for (key, version) in pending {
                if show(key, version, visit).is_break() {
                    break;
                }
            }
        }
        Ok(())
    }
}

fn show(key: &Bytes, version: Option<&Version>, visit: Visit<'_>) -> ControlFlow<()> {
    match version {
        Some(Version { modified, fields }) => visit(RowRef { key, modified: *modified, fields }),
        None => ControlFlow::Continue(()),
    }
}

impl<V: View> View for Overlay<'_, V> {
    fn live(&self, key: &[u8]) -> Result<Option<Version>, Fault> {
        match self.live.get(key) {
            Some(pending) => Ok(pending.clone()),
            None => self.base.live(key),
        }
    }

    fn scan(&self, range: &KeyRange, at: At, visit: Visit<'_>) -> Result<(), Fault> {
        match at {
            At::Now => self.scan_now(range, visit),
            At::Revision(_) => self.base.scan(range, at, visit),
        }
    }

    fn count(&self, range: &KeyRange, at: At) -> Result<i64, Fault> {
        let mut count = self.base.count(range, at)?;
        if at == At::Now {
            for (key, version) in self.pending(range) {
                let before = i64::from(self.base.live(key)?.is_some());
                count += i64::from(version.is_some()) - before;
            }
        }
        Ok(count)
    }

    fn lease_keys(&self, lease: i64) -> Result<Vec<Bytes>, Fault> {
        let mut keys = self.base.lease_keys(lease)?;
        let pending = self.attached.range((lease, Bytes::new())..);
        for ((_, key), attached) in pending.take_while(|((id, _), _)| *id == lease) {
            match (keys.binary_search(key), attached) {
                (Err(place), true) => keys.insert(place, key.clone()),
                (Ok(place), false) => {
                    keys.remove(place);
                }
                (Ok(_), true) | (Err(_), false) => {}
            }
        }
        Ok(keys)
    }

    fn dead_until(&self, revision: i64) -> Result<DeadTotals, Fault> {
        self.base.dead_until(revision)
    }
}
