//! The port to the disk: ordered rows in columns, written in atomic batches.

use bytes::Bytes;

use super::{Batch, Column};
use crate::domain::Fault;

/// Ordered key-value storage. An error is a [`Fault`]: the member stops.
pub trait Engine: Send + Sync {
    /// Writes all of the batch or nothing. Visible on return; durable after the next
    /// [`Self::sync`], and never before an earlier batch.
    fn write(&self, batch: &Batch) -> Result<(), Fault>;

    /// On return everything written before the call is durable.
    fn sync(&self) -> Result<(), Fault>;

    /// Reads that each see the newest rows.
    fn newest(&self) -> &dyn Reads;

    /// Reads that all see one moment.
    fn snapshot(&self) -> Box<dyn Reads + '_>;

    /// Rows of `history` that were superseded at or before `revision` may vanish from now on. The
    /// record of the compaction must be durable: what vanishes does so at once and for ever.
    fn release_history(&self, revision: i64);

    /// Makes released rows vanish, in slices of low priority; returns when all have.
    fn reclaim(&self) -> Result<(), Fault>;

    /// Makes rows that were deleted vanish from the files of every column; rewrites much. Nothing
    /// to do for an engine without files.
    fn reclaim_deleted(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// Bytes of the files.
    fn physical_bytes(&self) -> u64;
}

/// Reads of rows.
pub trait Reads {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, Fault>;

    /// The rows of `keys`, in their order. The keys ascend and no key is there twice.
    fn get_many(&self, column: Column, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Fault> {
        keys.iter().map(|key| self.get(column, key)).collect()
    }

    /// A cursor over the keys from `from` up to, not including, `to`; it stands on the first.
    fn cursor<'r>(
        &'r self,
        column: Column,
        from: &[u8],
        to: Option<&[u8]>,
    ) -> Result<Box<dyn Cursor + 'r>, Fault>;

    /// The last row whose key is at most `key`.
    fn last_at_most(&self, column: Column, key: &[u8]) -> Result<Option<(Bytes, Bytes)>, Fault>;
}

/// A place in a column.
pub trait Cursor {
    /// The row under the cursor; `None` past the end.
    fn row(&self) -> Option<(&[u8], &[u8])>;

    fn advance(&mut self) -> Result<(), Fault>;

    /// Moves to the first row at or after `key`.
    fn seek(&mut self, key: &[u8]) -> Result<(), Fault>;
}
