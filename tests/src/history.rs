//! What writers were promised, what watchers saw, and what is true: the three must agree.

use std::collections::HashSet;

use bytes::Bytes;
use metastore_proto::mvccpb::Event;

/// One put, at its revision. Values are unique in a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    pub revision: i64,
    pub key: Bytes,
    pub value: Bytes,
}

impl From<Event> for Write {
    fn from(event: Event) -> Self {
        let kv = event.kv.expect("an event has a key");
        Self { revision: kv.mod_revision, key: kv.key, value: kv.value }
    }
}

/// Every write after the revision `base`, as the store itself replays it.
#[derive(Debug)]
pub struct Truth {
    base: i64,
    writes: Vec<Write>,
}

impl Truth {
    /// Panics unless there is exactly one write a revision, in order, and none was made twice.
    pub fn new(base: i64, writes: Vec<Write>) -> Self {
        let mut values = HashSet::new();
        for (expected, write) in (base + 1..).zip(&writes) {
            assert_eq!(write.revision, expected, "a gap, or events out of order: {write:?}");
            assert!(values.insert(&write.value), "made twice: {write:?}");
        }
        Self { base, writes }
    }

    /// Panics unless what was acknowledged is there with its revision.
    pub fn assert_holds(&self, acknowledged: &[Write]) {
        for write in acknowledged {
            let found = usize::try_from(write.revision - self.base - 1)
                .ok()
                .and_then(|place| self.writes.get(place));
            assert_eq!(found, Some(write), "an acknowledged write is lost");
        }
    }

    /// Panics unless a watcher saw everything, once, in order.
    pub fn assert_seen(&self, watcher: usize, seen: &[Write]) {
        for (expected, write) in self.writes.iter().zip(seen) {
            assert_eq!(write, expected, "watcher {watcher} after revision {}", self.base);
        }
        assert_eq!(seen.len(), self.writes.len(), "events of watcher {watcher}");
    }

    pub fn len(&self) -> usize {
        self.writes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(revision: i64, value: &'static str) -> Write {
        Write {
            revision,
            key: Bytes::from_static(b"k"),
            value: Bytes::from_static(value.as_bytes()),
        }
    }

    #[test]
    fn a_complete_history_passes() {
        let truth = Truth::new(4, vec![write(5, "a"), write(6, "b")]);
        truth.assert_holds(&[write(6, "b")]);
        truth.assert_seen(0, &[write(5, "a"), write(6, "b")]);
    }

    #[test]
    #[should_panic(expected = "an acknowledged write is lost")]
    fn a_lost_write_is_found() {
        Truth::new(4, vec![write(5, "a")]).assert_holds(&[write(6, "b")]);
    }

    #[test]
    #[should_panic(expected = "events of watcher 3")]
    fn a_lost_event_is_found() {
        Truth::new(4, vec![write(5, "a"), write(6, "b")]).assert_seen(3, &[write(5, "a")]);
    }

    #[test]
    #[should_panic(expected = "made twice")]
    fn a_doubled_write_is_found() {
        Truth::new(4, vec![write(5, "a"), write(6, "a")]);
    }
}
