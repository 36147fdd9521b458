//! An engine in memory, with crashes: what was not synced may be lost, from the end on.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::batch::WriteRef;
use super::codec;
use super::{Batch, Column, Cursor, Engine, Reads};
use crate::domain::Fault;

type Rows = BTreeMap<Vec<u8>, Bytes>;

/// All columns at one moment.
#[derive(Debug, Clone, Default)]
struct Columns([Arc<Rows>; COLUMNS]);

const COLUMNS: usize = Column::ALL.len();

#[derive(Debug, Default)]
struct State {
    newest: Columns,
    synced: Columns,
    /// Written since the last sync, in order.
    unsynced: Vec<Batch>,
}

/// Storage for the simulator and for tests of rules.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    state: Mutex<State>,
}

impl MemoryEngine {
    /// Power is lost: of what was not synced only the first `kept` batches survive.
    pub fn crash(&self, kept: usize) {
        let mut state = self.state.lock();
        let mut survived = state.synced.clone();
        for batch in state.unsynced.iter().take(kept) {
            survived.apply(batch);
        }
        *state = State { newest: survived.clone(), synced: survived, unsynced: Vec::new() };
    }

    pub fn unsynced(&self) -> usize {
        self.state.lock().unsynced.len()
    }
}

impl Columns {
    // A column's number is its place: `Column::ALL` has them all.
    #[expect(clippy::indexing_slicing, reason = "the array has a place for every column")]
    fn rows(&self, column: Column) -> &Arc<Rows> {
        &self.0[column as usize]
    }

    #[expect(clippy::indexing_slicing, reason = "the array has a place for every column")]
    fn rows_mut(&mut self, column: Column) -> &mut Rows {
        Arc::make_mut(&mut self.0[column as usize])
    }

    fn apply(&mut self, batch: &Batch) {
        for (column, write) in batch.iter() {
            let rows = self.rows_mut(column);
            match write {
                WriteRef::Put { key, value } => {
                    rows.insert(key.to_vec(), Bytes::copy_from_slice(value));
                }
                WriteRef::Delete { key } => {
                    rows.remove(key);
                }
                WriteRef::DeleteRange { from, to } => {
                    rows.retain(|key, _| key.as_slice() < from || key.as_slice() >= to);
                }
            }
        }
    }
}

impl Engine for MemoryEngine {
    fn write(&self, batch: &Batch) -> Result<(), Fault> {
        let mut state = self.state.lock();
        state.newest.apply(batch);
        state.unsynced.push(batch.clone());
        Ok(())
    }

    fn sync(&self) -> Result<(), Fault> {
        let mut state = self.state.lock();
        state.synced = state.newest.clone();
        state.unsynced.clear();
        Ok(())
    }

    fn newest(&self) -> &dyn Reads {
        self
    }

    fn snapshot(&self) -> Box<dyn Reads + '_> {
        Box::new(self.state.lock().newest.clone())
    }

    fn release_history(&self, revision: i64) {
        let mut state = self.state.lock();
        let State { newest, synced, .. } = &mut *state;
        for columns in [newest, synced] {
            columns.rows_mut(Column::History).retain(|key, _| {
                codec::split_history_key(key).is_none_or(|(_, until)| until.main > revision)
            });
        }
    }

    fn reclaim(&self) -> Result<(), Fault> {
        Ok(())
    }

    fn physical_bytes(&self) -> u64 {
        let state = self.state.lock();
        let rows = state.newest.0.iter().flat_map(|rows| rows.iter());
        rows.map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }
}

impl Reads for MemoryEngine {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        self.state.lock().newest.get(column, key)
    }

    fn get_many(&self, column: Column, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Fault> {
        self.state.lock().newest.get_many(column, keys)
    }

    fn cursor<'r>(
        &'r self,
        column: Column,
        from: &[u8],
        to: Option<&[u8]>,
    ) -> Result<Box<dyn Cursor + 'r>, Fault> {
        let rows = Arc::clone(self.state.lock().newest.rows(column));
        Ok(Box::new(MemoryCursor::new(rows, from, to)))
    }

    fn last_at_most(&self, column: Column, key: &[u8]) -> Result<Option<(Bytes, Bytes)>, Fault> {
        self.state.lock().newest.last_at_most(column, key)
    }
}

impl Reads for Columns {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        Ok(self.rows(column).get(key).cloned())
    }

    fn get_many(&self, column: Column, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Fault> {
        // RocksDB would answer wrongly, and not complain.
        assert!(keys.is_sorted_by(|key, next| key < next), "{} keys out of order", keys.len());
        keys.iter().map(|key| self.get(column, key)).collect()
    }

    fn cursor<'r>(
        &'r self,
        column: Column,
        from: &[u8],
        to: Option<&[u8]>,
    ) -> Result<Box<dyn Cursor + 'r>, Fault> {
        Ok(Box::new(MemoryCursor::new(Arc::clone(self.rows(column)), from, to)))
    }

    fn last_at_most(&self, column: Column, key: &[u8]) -> Result<Option<(Bytes, Bytes)>, Fault> {
        let mut until =
            self.rows(column).range::<[u8], _>((Bound::Unbounded, Bound::Included(key)));
        let last = until.next_back();
        Ok(last.map(|(key, value)| (Bytes::copy_from_slice(key), value.clone())))
    }
}

struct MemoryCursor {
    rows: Arc<Rows>,
    to: Option<Vec<u8>>,
    current: Option<(Vec<u8>, Bytes)>,
}

impl MemoryCursor {
    fn new(rows: Arc<Rows>, from: &[u8], to: Option<&[u8]>) -> Self {
        let mut cursor = Self { rows, to: to.map(<[u8]>::to_vec), current: None };
        cursor.stand(Bound::Included(from));
        cursor
    }

    fn stand(&mut self, from: Bound<&[u8]>) {
        let next = self.rows.range::<[u8], _>((from, Bound::Unbounded)).next();
        let inside = next.filter(|(key, _)| self.to.as_ref().is_none_or(|to| *key < to));
        self.current = inside.map(|(key, value)| (key.clone(), value.clone()));
    }
}

impl Cursor for MemoryCursor {
    fn row(&self) -> Option<(&[u8], &[u8])> {
        self.current.as_ref().map(|(key, value)| (key.as_slice(), value.as_ref()))
    }

    fn advance(&mut self) -> Result<(), Fault> {
        if let Some((key, _)) = self.current.take() {
            self.stand(Bound::Excluded(&key));
        }
        Ok(())
    }

    fn seek(&mut self, key: &[u8]) -> Result<(), Fault> {
        self.stand(Bound::Included(key));
        Ok(())
    }
}
