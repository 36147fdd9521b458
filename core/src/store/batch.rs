//! Writes that become visible together.

use std::ops::Range;

use super::codec;
use super::columns::{Column, META_ALARMS};
use crate::domain::Mutation;

/// At most, but for huge values: kind, column and two lengths.
const WRITE_HEAD_BYTES: usize = 8;
const BATCH_HEAD_BYTES: usize = 16;
/// Memory that an empty batch keeps for the next writes.
const KEPT_BYTES: usize = 8 << 20;

/// An ordered list of writes, in one buffer.
#[derive(Debug, Default, Clone)]
pub struct Batch {
    buffer: Vec<u8>,
    writes: Vec<Write>,
}

#[derive(Debug, Clone)]
struct Write {
    column: Column,
    kind: Kind,
    key: Range<usize>,
    value: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Put,
    Delete,
    DeleteRange,
}

/// One write of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteRef<'b> {
    Put {
        key: &'b [u8],
        value: &'b [u8],
    },
    Delete {
        key: &'b [u8],
    },
    /// Keys from `from` up to, not including, `to`.
    DeleteRange {
        from: &'b [u8],
        to: &'b [u8],
    },
}

impl Batch {
    /// About what RocksDB makes of it: each write has a head of column and lengths.
    pub fn encoded_bytes(&self) -> usize {
        self.buffer.len() + self.writes.len() * WRITE_HEAD_BYTES + BATCH_HEAD_BYTES
    }

    /// Puts the writes of each column in key order; writes of one key stay as they are. Whoever
    /// looks for the place of each key finds it near the last one.
    pub fn sort(&mut self) {
        let Self { buffer, writes } = self;
        if writes.iter().any(|write| write.kind == Kind::DeleteRange) {
            // It is before or after what it overlaps.
            return;
        }
        let place = |write: &Write| (write.column as u8, buffer.get(write.key.clone()));
        writes.sort_by(|a, b| place(a).cmp(&place(b)));
    }

    /// Empties it; what a large batch took is given back.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.writes.clear();
        self.buffer.shrink_to(KEPT_BYTES);
        self.writes.shrink_to(KEPT_BYTES / size_of::<Write>());
    }

    pub fn put(&mut self, column: Column, key: &[&[u8]], value: &[&[u8]]) {
        self.push(column, Kind::Put, key, value);
    }

    pub fn delete(&mut self, column: Column, key: &[&[u8]]) {
        self.push(column, Kind::Delete, key, &[]);
    }

    pub fn delete_range(&mut self, column: Column, from: &[u8], to: &[u8]) {
        self.push(column, Kind::DeleteRange, &[from], &[to]);
    }

    pub fn iter(&self) -> impl Iterator<Item = (Column, WriteRef<'_>)> {
        let bytes = |range: &Range<usize>| self.buffer.get(range.clone()).unwrap_or_default();
        self.writes.iter().map(move |write| {
            let (key, value) = (bytes(&write.key), bytes(&write.value));
            let write_ref = match write.kind {
                Kind::Put => WriteRef::Put { key, value },
                Kind::Delete => WriteRef::Delete { key },
                Kind::DeleteRange => WriteRef::DeleteRange { from: key, to: value },
            };
            (write.column, write_ref)
        })
    }

    /// Stages the rows of a mutation; `columns.rs` says what they look like.
    pub fn stage(&mut self, mutation: &Mutation) {
        match mutation {
            Mutation::SetLive { key, version } => {
                let at = codec::position(version.modified);
                self.put(Column::Latest, &[key], &[&at, &version.fields]);
            }
            Mutation::RemoveLive { key } => self.delete(Column::Latest, &[key]),
            Mutation::Supersede { key, at, version } => {
                let modified = codec::position(version.modified);
                let key = codec::escaped(key);
                let until = codec::position(*at);
                self.put(Column::History, &[&key, &until], &[&modified, &version.fields]);
            }
            Mutation::LogEvent(event) => {
                let head = codec::event_head(event);
                self.put(Column::Events, &[&codec::position(event.at)], &[&head, &event.key]);
            }
            Mutation::LogBirth { at, key, born } => {
                self.put(Column::Births, &[&codec::position(*at)], &[&[u8::from(*born)], key]);
            }
            Mutation::Attach { lease, key } => {
                self.put(Column::LeaseKeys, &[&codec::number(*lease), key], &[]);
            }
            Mutation::Detach { lease, key } => {
                self.delete(Column::LeaseKeys, &[&codec::number(*lease), key]);
            }
            Mutation::SetLease { id, ttl } => {
                self.put(Column::Lease, &[&codec::number(*id)], &[&codec::number(*ttl)]);
            }
            Mutation::RemoveLease { id } => self.delete(Column::Lease, &[&codec::number(*id)]),
            Mutation::Compacted { revision } => self.forget_events(*revision),
            Mutation::SetAlarms(alarms) => {
                self.put(Column::Meta, &[META_ALARMS], &[&codec::alarms(alarms)]);
            }
            Mutation::SetMember(member) => {
                let id = member.id.to_be_bytes();
                self.put(Column::Members, &[&id], &[&codec::member(member)]);
            }
            Mutation::Mark { unix_ms, revision } => {
                let (time, revision) = (codec::number(*unix_ms), codec::number(*revision));
                self.put(Column::Marks, &[&time], &[&revision]);
            }
            Mutation::Unmark { unix_ms } => {
                self.delete(Column::Marks, &[&codec::number(*unix_ms)]);
            }
        }
    }

    /// An event *at* the compacted revision stays: a watch may still start there.
    fn forget_events(&mut self, compacted: i64) {
        let start = codec::position(crate::domain::Revision::start_of(0));
        let end = codec::position(crate::domain::Revision::start_of(compacted));
        self.delete_range(Column::Events, &start, &end);
        self.delete_range(Column::Births, &start, &end);
    }

    fn push(&mut self, column: Column, kind: Kind, key: &[&[u8]], value: &[&[u8]]) {
        let key = self.append(key);
        let value = self.append(value);
        self.writes.push(Write { column, kind, key, value });
    }

    fn append(&mut self, parts: &[&[u8]]) -> Range<usize> {
        let start = self.buffer.len();
        for part in parts {
            self.buffer.extend_from_slice(part);
        }
        start..self.buffer.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(batch: &Batch) -> Vec<(Column, &[u8], &[u8])> {
        let parts = |(column, write)| match write {
            WriteRef::Put { key, value } => (column, key, value),
            WriteRef::Delete { key } => (column, key, &b"-"[..]),
            WriteRef::DeleteRange { from, to } => (column, from, to),
        };
        batch.iter().map(parts).collect()
    }

    #[test]
    fn sorting_keeps_the_writes_of_a_key_in_order() {
        let mut batch = Batch::default();
        batch.put(Column::History, &[b"a"], &[b"1"]);
        batch.put(Column::Latest, &[b"b"], &[b"2"]);
        batch.put(Column::Latest, &[b"a"], &[b"3"]);
        batch.delete(Column::Latest, &[b"b"]);
        batch.put(Column::Latest, &[b"b"], &[b"1"]);
        batch.sort();
        let expected: [(Column, &[u8], &[u8]); 5] = [
            (Column::Latest, b"a", b"3"),
            (Column::Latest, b"b", b"2"),
            (Column::Latest, b"b", b"-"),
            (Column::Latest, b"b", b"1"),
            (Column::History, b"a", b"1"),
        ];
        assert_eq!(keys(&batch), expected);
    }

    #[test]
    fn a_batch_that_deletes_a_range_stays_as_it_is() {
        let mut batch = Batch::default();
        batch.put(Column::Events, &[b"b"], &[b"1"]);
        batch.delete_range(Column::Events, b"a", b"c");
        batch.put(Column::Events, &[b"a"], &[b"2"]);
        let before = batch.clone();
        batch.sort();
        assert_eq!(keys(&batch), keys(&before));
    }
}
