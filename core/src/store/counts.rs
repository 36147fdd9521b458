//! How many keys a range has, without counting them.
//!
//! The keys are cut into chunks of neighbours, and each chunk's number of keys is a row of
//! `counts`. In memory there are the chunks' first keys and their numbers in a Fenwick tree: a
//! count is the sum of the whole chunks plus a look at the two at the ends. Apply keeps it, in the
//! same write as the keys; it is derived from them and no part of what members agree on.
//!
//! The tree belongs to one revision, a reader's rows to another close by: the births between the
//! two (column `births`) make up the difference.

use std::ops::ControlFlow;

use bytes::Bytes;
use parking_lot::RwLock;

use super::codec;
use super::{Batch, Column, Rows};
use crate::domain::{At, Fault, KeyRange, Mutation, View};

/// A chunk with more keys is split.
const CHUNK_KEYS_MAX: i64 = 256;
/// Keys of a chunk after a split.
const CHUNK_KEYS: usize = 128;
/// Chunks that may be without keys.
const EMPTY_MAX: usize = 64;

/// The chunks of all live keys. One writer, many readers.
#[derive(Debug, Default)]
pub struct Counts {
    index: RwLock<Index>,
}

#[derive(Debug, Default)]
struct Index {
    revision: i64,
    /// First keys, ascending; the first of all is the empty key.
    starts: Vec<Bytes>,
    keys: Vec<i64>,
    sums: Fenwick,
    /// Some chunk may be too large.
    has_large: bool,
    /// Chunks without keys, about.
    empty: usize,
}

/// Changes that a batch brings to the chunks, to be made when it is written.
#[derive(Debug, Default)]
pub struct Births {
    /// Chunk and change; a chunk may be there more than once.
    changes: Vec<(usize, i64)>,
}

/// How a range lies over the chunks.
struct Cover {
    revision: i64,
    /// Ends that have to be looked at.
    partial: Vec<KeyRange>,
    whole: KeyRange,
    sum: i64,
}

impl Counts {
    /// Takes up the rows of a store that is being opened.
    pub fn load(&self, rows: &Rows<'_>) -> Result<(), Fault> {
        let state = rows.state()?;
        let mut index = Index { revision: state.revision, ..Index::default() };
        let mut cursor = rows.reads().cursor(Column::Counts, &[], None)?;
        let mut known = 0i64;
        while let Some((start, row)) = cursor.row() {
            let keys = codec::take_number(row).filter(|keys| *keys >= 0);
            let keys = keys.ok_or_else(|| codec::bad_row(Column::Counts, start))?;
            known = known.checked_add(keys).ok_or_else(too_many)?;
            index.starts.push(Bytes::copy_from_slice(start));
            index.keys.push(keys);
            cursor.advance()?;
        }
        if index.starts.first().is_none_or(|first| !first.is_empty()) {
            let rest = state.totals.live_rows.checked_sub(known).filter(|rest| *rest >= 0);
            index.starts.insert(0, Bytes::new());
            index.keys.insert(0, rest.ok_or_else(too_many)?);
        }
        index.sums = Fenwick::of(&index.keys);
        index.has_large = true;
        *self.index.write() = index;
        Ok(())
    }

    /// Stages the chunks that the batch's births change. `rows` are what is written so far.
    pub fn stage<'m>(
        &self,
        rows: &Rows<'_>,
        mutations: impl Iterator<Item = &'m Mutation>,
        batch: &mut Batch,
    ) -> Result<Births, Fault> {
        let mut births = Births::default();
        let mut touched = std::collections::BTreeMap::new();
        for mutation in mutations {
            if let Mutation::LogBirth { key, born, .. } = mutation {
                if touched.is_empty() && births.changes.is_empty() {
                    self.split_large(rows, batch)?;
                    self.index.write().drop_empty(batch);
                }
                let chunk = self.index.read().chunk_of(key);
                let change = if *born { 1 } else { -1 };
                births.changes.push((chunk, change));
                *touched.entry(chunk).or_insert(0) += change;
            }
        }
        let index = self.index.read();
        for (chunk, change) in touched {
            if let (Some(start), Some(keys)) = (index.starts.get(chunk), index.keys.get(chunk)) {
                batch.put(Column::Counts, &[start], &[&codec::number(keys + change)]);
            }
        }
        Ok(births)
    }

    /// The batch is written: the store is at `revision`.
    pub fn commit(&self, births: &Births, revision: i64) {
        let mut index = self.index.write();
        index.revision = revision;
        for (chunk, change) in &births.changes {
            index.add(*chunk, *change);
        }
    }

    /// The number of keys of `range` in `rows`, whose newest revision is `revision`. `newest` has
    /// what was written since.
    pub fn count(
        &self,
        range: &KeyRange,
        rows: &Rows<'_>,
        revision: i64,
        newest: &Rows<'_>,
    ) -> Result<i64, Fault> {
        let cover = self.index.read().cover(range);
        let Some(cover) = cover else { return rows.scan_count(range, At::Now) };
        let mut count = cover.sum;
        for part in &cover.partial {
            count += rows.scan_count(part, At::Now)?;
        }
        if cover.revision <= revision {
            count += rows.born(&cover.whole, cover.revision, revision)?;
        } else {
            count -= newest.born(&cover.whole, revision, cover.revision)?;
            if newest.state()?.compacted > revision {
                // Births between the two may be gone.
                return rows.scan_count(range, At::Now);
            }
        }
        Ok(count)
    }

    /// Cuts the chunks that have grown too large, by a look at their keys.
    fn split_large(&self, rows: &Rows<'_>, batch: &mut Batch) -> Result<(), Fault> {
        loop {
            let large = self.index.write().large();
            let Some((chunk, range)) = large else { return Ok(()) };
            let mut starts = Vec::new();
            let mut seen = 0;
            rows.scan(&range, At::Now, &mut |row| {
                if seen > 0 && seen % CHUNK_KEYS == 0 {
                    starts.push(Bytes::copy_from_slice(row.key));
                }
                seen += 1;
                ControlFlow::Continue(())
            })?;
            let mut index = self.index.write();
            index.split(chunk, starts, seen);
            index.stage(chunk, batch);
        }
    }
}

impl Index {
    fn chunk_of(&self, key: &[u8]) -> usize {
        self.starts.partition_point(|start| start.as_ref() <= key).saturating_sub(1)
    }

    fn add(&mut self, chunk: usize, change: i64) {
        if let Some(keys) = self.keys.get_mut(chunk) {
            *keys += change;
            self.has_large |= *keys > CHUNK_KEYS_MAX;
            self.empty += usize::from(*keys == 0);
            self.sums.add(chunk, change);
        }
    }

    /// `None` when the range lies in one chunk: looking at it is all there is to do.
    fn cover(&self, range: &KeyRange) -> Option<Cover> {
        if range.as_single().is_some() {
            return None;
        }
        let first = self.chunk_of(range.start());
        let last = range.end().map_or(self.starts.len(), |end| self.chunk_of(end));
        let starts_whole = self.starts.get(first) == Some(range.start());
        let from = if starts_whole { first } else { first + 1 };
        let start = self.starts.get(from)?;
        if from >= last {
            return None;
        }
        let mut partial = Vec::new();
        if !starts_whole {
            partial.push(KeyRange::between(range.start().clone(), Some(start.clone())));
        }
        let until = self.starts.get(last);
        if let Some(until) = until {
            partial.push(range.starting_at(until.clone()));
        }
        Some(Cover {
            revision: self.revision,
            partial,
            whole: KeyRange::between(start.clone(), until.cloned()),
            sum: self.sums.before(last) - self.sums.before(from),
        })
    }

    fn large(&mut self) -> Option<(usize, KeyRange)> {
        if !self.has_large {
            return None;
        }
        let large = self.keys.iter().position(|keys| *keys > CHUNK_KEYS_MAX);
        self.has_large = large.is_some();
        let chunk = large?;
        let start = self.starts.get(chunk)?.clone();
        Some((chunk, KeyRange::between(start, self.starts.get(chunk + 1).cloned())))
    }

    /// Chunks without keys become a part of the chunk before them.
    fn drop_empty(&mut self, batch: &mut Batch) {
        if self.empty < EMPTY_MAX {
            return;
        }
        self.empty = 0;
        let mut is_first = true;
        let keeps: Vec<bool> =
            self.keys.iter().map(|keys| std::mem::take(&mut is_first) || *keys != 0).collect();
        for (start, _) in self.starts.iter().zip(&keeps).filter(|(_, keeps)| !**keeps) {
            batch.delete(Column::Counts, &[start]);
        }
        let mut kept = keeps.iter();
        self.starts.retain(|_| kept.next() == Some(&true));
        let mut kept = keeps.iter();
        self.keys.retain(|_| kept.next() == Some(&true));
        self.sums = Fenwick::of(&self.keys);
    }

    /// The chunk's `seen` keys are cut before each of `starts`.
    fn split(&mut self, chunk: usize, starts: Vec<Bytes>, seen: usize) {
        let pieces = starts.len();
        let rest = seen - pieces * CHUNK_KEYS;
        let full = std::iter::repeat_n(CHUNK_KEYS as i64, pieces);
        let keys: Vec<i64> = full.chain([rest as i64]).collect();
        self.keys.splice(chunk..=chunk, keys);
        self.starts.splice(chunk + 1..chunk + 1, starts);
        self.sums = Fenwick::of(&self.keys);
    }

    /// Stages the rows of a chunk that was split, from it on until the next that was not.
    fn stage(&self, chunk: usize, batch: &mut Batch) {
        for (start, keys) in self.starts.iter().zip(&self.keys).skip(chunk) {
            batch.put(Column::Counts, &[start], &[&codec::number(*keys)]);
            if *keys != CHUNK_KEYS as i64 {
                break;
            }
        }
    }
}

fn too_many() -> Fault {
    Fault::corrupt("column counts: more keys than there can be")
}

/// Sums of prefixes in logarithmic time (Fenwick 1994).
#[derive(Debug, Default)]
struct Fenwick {
    tree: Vec<i64>,
}

impl Fenwick {
    fn of(numbers: &[i64]) -> Self {
        let mut tree = vec![0; numbers.len() + 1];
        for (place, number) in numbers.iter().enumerate() {
            let node = place + 1;
            let parent = node + (node & node.wrapping_neg());
            let sum = tree.get(node).copied().unwrap_or_default() + number;
            if let Some(slot) = tree.get_mut(node) {
                *slot = sum;
            }
            if let Some(slot) = tree.get_mut(parent) {
                *slot += sum;
            }
        }
        Self { tree }
    }

    fn add(&mut self, place: usize, change: i64) {
        let mut node = place + 1;
        while let Some(sum) = self.tree.get_mut(node) {
            *sum += change;
            node += node & node.wrapping_neg();
        }
    }

    /// The sum of all before `place`.
    fn before(&self, place: usize) -> i64 {
        let mut node = place;
        let mut sum = 0;
        while node > 0 {
            sum += self.tree.get(node).copied().unwrap_or_default();
            node &= node - 1;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::store::memory::MemoryEngine;
    use crate::store::{Engine, Store};

    /// Loads chunks with these first keys and numbers of keys.
    fn load(chunks: &[(&str, i64)]) -> Result<(), Fault> {
        let mut batch = Batch::default();
        for (start, keys) in chunks {
            batch.put(Column::Counts, &[start.as_bytes()], &[&codec::number(*keys)]);
        }
        let engine = MemoryEngine::default();
        engine.write(&batch)?;
        let store = Store::new(Arc::new(engine));
        store.counts().load(&store.newest())
    }

    #[test]
    fn numbers_that_cannot_be_are_refused() {
        assert!(load(&[("", 3), ("k", 0)]).is_ok());
        assert!(load(&[("", -1)]).is_err(), "fewer keys than none");
        assert!(load(&[("", i64::MAX), ("k", 1)]).is_err(), "more keys than can be counted");
        assert!(load(&[("k", 1)]).is_err(), "more keys in chunks than in the store");
    }

    proptest! {
        #[test]
        fn sums_are_sums(
            numbers in proptest::collection::vec(-9i64..9, 0..200),
            changes in proptest::collection::vec((0usize..200, -9i64..9), 0..50),
        ) {
            let mut numbers = numbers;
            let mut tree = Fenwick::of(&numbers);
            for (place, change) in changes {
                if let Some(number) = numbers.get_mut(place) {
                    *number += change;
                    tree.add(place, change);
                }
            }
            for until in 0..=numbers.len() {
                prop_assert_eq!(tree.before(until), numbers[..until].iter().sum::<i64>());
            }
        }
    }
}
