//! Stabbing queries: which ranges hold a key.
//!
//! Ranges are kept sorted by their start with a tree of the greatest end over them, so that a
//! query costs the logarithm of the ranges plus the matches. The sorted part is rebuilt only now
//! and then: what was added since is scanned, what was removed since may still be named (the
//! registry drops ids that it does not know any more).

use bytes::Bytes;

use super::registry::GroupId;
use crate::domain::KeyRange;

/// Changes that are tolerated before the sorted part is rebuilt, at least.
const SLACK_MIN: usize = 64;

#[derive(Debug, Default)]
pub(super) struct RangeIndex {
    sorted: Vec<(KeyRange, GroupId)>,
    /// For each node of the implicit tree over `sorted`: the entry with the greatest end.
    widest: Vec<u32>,
    recent: Vec<(KeyRange, GroupId)>,
    removed: usize,
}

impl RangeIndex {
    pub(super) fn add(&mut self, range: KeyRange, id: GroupId) {
        self.recent.push((range, id));
    }

    pub(super) fn remove(&mut self, id: GroupId) {
        match self.recent.iter().position(|(_, other)| *other == id) {
            Some(place) => {
                self.recent.swap_remove(place);
            }
            None => self.removed += 1,
        }
    }

    /// Rebuilds the sorted part when enough has changed. `is_alive` tells which ids still exist.
    pub(super) fn settle(&mut self, is_alive: impl Fn(GroupId) -> bool) {
        let slack = SLACK_MIN.max(self.sorted.len() / 4);
        if self.recent.len() + self.removed <= slack {
            return;
        }
        self.sorted.append(&mut self.recent);
        self.sorted.retain(|(_, id)| is_alive(*id));
        self.sorted.sort_by(|(a, _), (b, _)| a.start().cmp(b.start()));
        self.removed = 0;
        self.widest = vec![0; 2 * self.sorted.len().next_power_of_two()];
        if !self.sorted.is_empty() {
            self.build(1, 0, self.sorted.len());
        }
    }

    /// Appends the ids of all ranges that hold `key`; some may not exist any more.
    pub(super) fn find(&self, key: &[u8], found: &mut Vec<GroupId>) {
        if !self.sorted.is_empty() {
            self.descend(1, 0, self.sorted.len(), key, found);
        }
        let recent = self.recent.iter().filter(|(range, _)| range.contains(key));
        found.extend(recent.map(|(_, id)| *id));
    }

    fn build(&mut self, node: usize, from: usize, to: usize) -> u32 {
        let widest = if to - from == 1 {
            from as u32
        } else {
            let middle = from.midpoint(to);
            let left = self.build(2 * node, from, middle);
            let right = self.build(2 * node + 1, middle, to);
            if ends_after(self.end(left), self.end(right)) { left } else { right }
        };
        if let Some(slot) = self.widest.get_mut(node) {
            *slot = widest;
        }
        widest
    }

    fn descend(&self, node: usize, from: usize, to: usize, key: &[u8], found: &mut Vec<GroupId>) {
        let starts_late =
            self.sorted.get(from).is_none_or(|(range, _)| range.start().as_ref() > key);
        let widest = self.widest.get(node).copied().unwrap_or_default();
        if starts_late || self.end(widest).is_some_and(|end| end.as_ref() <= key) {
            return;
        }
        if to - from == 1 {
            let entry = self.sorted.get(from).filter(|(range, _)| range.contains(key));
            found.extend(entry.map(|(_, id)| *id));
            return;
        }
        let middle = from.midpoint(to);
        self.descend(2 * node, from, middle, key, found);
        self.descend(2 * node + 1, middle, to, key, found);
    }

    fn end(&self, entry: u32) -> Option<&Bytes> {
        self.sorted.get(entry as usize).and_then(|(range, _)| range.end())
    }
}

fn ends_after(a: Option<&Bytes>, b: Option<&Bytes>) -> bool {
    match (a, b) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(a), Some(b)) => a >= b,
    }
}
