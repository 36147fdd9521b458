//! Keys and ranges to watchers.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

use super::Spec;
use super::range_index::RangeIndex;

/// Names a watcher on one serving thread; never reused there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatcherId(pub u64);

/// Names a group of watchers with one [`Spec`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(u64);

/// Watchers by what they ask for. Exact keys are found by hash; ranges by [`RangeIndex`].
#[derive(Debug, Default)]
pub struct Registry {
    groups: HashMap<GroupId, Group>,
    by_spec: HashMap<Spec, GroupId>,
    singles: HashMap<Bytes, Vec<GroupId>>,
    ranges: RangeIndex,
    next_group: u64,
}

#[derive(Debug)]
struct Group {
    spec: Spec,
    watchers: BTreeSet<WatcherId>,
}

impl Registry {
    pub fn add(&mut self, spec: &Spec, watcher: WatcherId) {
        let id = match self.by_spec.get(spec) {
            Some(id) => *id,
            None => self.new_group(spec),
        };
        if let Some(group) = self.groups.get_mut(&id) {
            group.watchers.insert(watcher);
        }
    }

    pub fn remove(&mut self, spec: &Spec, watcher: WatcherId) {
        let Some(&id) = self.by_spec.get(spec) else {
            return;
        };
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        group.watchers.remove(&watcher);
        if group.watchers.is_empty() {
            self.groups.remove(&id);
            self.by_spec.remove(spec);
            self.forget(spec, id);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    pub fn spec(&self, id: GroupId) -> Option<&Spec> {
        self.groups.get(&id).map(|group| &group.spec)
    }

    pub fn watchers(&self, id: GroupId) -> impl Iterator<Item = WatcherId> + '_ {
        self.groups.get(&id).into_iter().flat_map(|group| group.watchers.iter().copied())
    }

    /// Brings the index up to date; once before a run of [`Self::find`].
    pub fn settle(&mut self) {
        let groups = &self.groups;
        self.ranges.settle(|id| groups.contains_key(&id));
    }

    /// The groups whose range holds `key`, into `found`.
    pub fn find(&self, key: &[u8], found: &mut Vec<GroupId>) {
        found.clear();
        found.extend(self.singles.get(key).into_iter().flatten());
        let singles = found.len();
        self.ranges.find(key, found);
        if found.len() > singles {
            found.retain(|id| self.groups.contains_key(id));
        }
    }

    fn new_group(&mut self, spec: &Spec) -> GroupId {
        self.next_group += 1;
        let id = GroupId(self.next_group);
        match spec.range.as_single() {
            Some(key) => self.singles.entry(key.clone()).or_default().push(id),
            None => self.ranges.add(spec.range.clone(), id),
        }
        self.by_spec.insert(spec.clone(), id);
        self.groups.insert(id, Group { spec: spec.clone(), watchers: BTreeSet::new() });
        id
    }

    fn forget(&mut self, spec: &Spec, id: GroupId) {
        let Some(key) = spec.range.as_single() else {
            self.ranges.remove(id);
            return;
        };
        if let Some(ids) = self.singles.get_mut(key) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.singles.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::KeyRange;

    fn spec(start: u8, end: u8) -> Spec {
        let end = if end == 0 { Bytes::new() } else { Bytes::from(vec![end]) };
        let range = KeyRange::from_wire(Bytes::from(vec![start]), end);
        Spec { range, skip_puts: false, skip_deletes: false, prev_kv: false }
    }

    proptest! {
        /// The index answers what a look at every range would.
        #[test]
        fn finds_what_a_scan_would(
            changes in proptest::collection::vec((any::<bool>(), 1u8..60, 0u8..60), 0..400),
            key in 1u8..60,
        ) {
            let mut registry = Registry::default();
            let mut model = Vec::new();
            for (number, (add, start, end)) in changes.into_iter().enumerate() {
                if add || model.is_empty() {
                    let watcher = WatcherId(number as u64);
                    registry.add(&spec(start, end), watcher);
                    model.push((spec(start, end), watcher));
                } else {
                    let (spec, watcher) = model.swap_remove(number % model.len());
                    registry.remove(&spec, watcher);
                }
                registry.settle();
            }
            let mut groups = Vec::new();
            registry.find(&[key], &mut groups);
            let mut found: Vec<_> =
                groups.iter().flat_map(|id| registry.watchers(*id)).collect();
            found.sort();
            let mut expected: Vec<_> = model
                .iter()
                .filter(|(spec, _)| spec.range.contains(&[key]))
                .map(|(_, watcher)| *watcher)
                .collect();
            expected.sort();
            prop_assert_eq!(found, expected);
        }
    }
}
