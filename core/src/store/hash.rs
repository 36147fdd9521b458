//! HashKV: one number over the kept versions, equal to etcd's for the same writes.
//!
//! etcd hashes, in order of revision, the bucket's name and for each version its position and its
//! `KeyValue` as protobuf. Rows come here in order of keys; CRC-32C is linear, so each is hashed
//! alone, sorted by position, and the sums are combined.

use std::ops::ControlFlow;

use bytes::BytesMut;

use super::codec;
use super::{Column, Rows};
use crate::domain::version::put_varint;
use crate::domain::{Fault, Revision, RowRef};

/// The versions hashed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvHash {
    pub hash: u32,
    /// −1 before the first compaction.
    pub compacted: i64,
    pub revision: i64,
}

struct Piece {
    at: Revision,
    crc: u32,
    len: usize,
}

/// Hashes what is kept as of `revision`, which is neither compacted nor in the future.
pub fn hash_kv(rows: &Rows<'_>, revision: i64, compacted: i64) -> Result<KvHash, Fault> {
    let mut kept = Vec::new();
    let mut old = Vec::new();
    let mut is_any_live = false;
    visit_versions(rows, &mut |row, until| {
        let at = row.modified;
        let is_live = until.is_none_or(|until| until.main > revision);
        let is_forgotten = until.is_some_and(|until| until.main <= compacted);
        if at.main > revision || is_forgotten {
            return;
        }
        is_any_live |= is_live;
        if at.main > compacted || is_live {
            kept.push(piece(at, false, &row));
        } else {
            old.push(piece(at, false, &row));
        }
    })?;
    visit_tombstones(rows, compacted.max(0), &mut |at, key| {
        let tombstone = RowRef { key, modified: at, fields: &[] };
        if at.main <= revision && at.main > compacted {
            kept.push(piece(at, true, &tombstone));
        } else if at.main <= revision {
            old.push(piece(at, true, &tombstone));
        }
    })?;
    if !is_any_live {
        // With nothing live etcd keeps whatever is still there.
        kept.append(&mut old);
    }
    kept.sort_by_key(|piece| piece.at);
    let seed = crc32c::crc32c(b"key");
    let hash =
        kept.iter().fold(seed, |sum, piece| crc32c::crc32c_combine(sum, piece.crc, piece.len));
    Ok(KvHash { hash, compacted, revision })
}

fn piece(at: Revision, is_tombstone: bool, row: &RowRef<'_>) -> Piece {
    let mut bytes = BytesMut::with_capacity(row.key.len() + row.fields.len() + 32);
    bytes.extend_from_slice(&codec::number(at.main));
    bytes.extend_from_slice(b"_");
    bytes.extend_from_slice(&codec::number(at.sub));
    if is_tombstone {
        bytes.extend_from_slice(b"t");
    }
    bytes.extend_from_slice(&[(1 << 3) | 2]);
    put_varint(&mut bytes, row.key.len() as u64);
    bytes.extend_from_slice(row.key);
    bytes.extend_from_slice(row.fields);
    Piece { at, crc: crc32c::crc32c(&bytes), len: bytes.len() }
}

/// Every version that is stored, with the position that superseded it.
fn visit_versions(
    rows: &Rows<'_>,
    visit: &mut dyn FnMut(RowRef<'_>, Option<Revision>),
) -> Result<(), Fault> {
    let mut live = rows.reads().cursor(Column::Latest, &[], None)?;
    while let Some((key, row)) = live.row() {
        visit(stored(Column::Latest, key, key, row)?, None);
        live.advance()?;
    }
    let newest = rows.state()?.revision;
    let mut dead = rows.reads().cursor(Column::History, &[], None)?;
    while let Some((bytes, row)) = dead.row() {
        let (key, until) =
            codec::take_history_key(bytes).ok_or_else(|| codec::bad_row(Column::History, bytes))?;
        // History of a large change is written ahead of it.
        if until.main <= newest {
            visit(stored(Column::History, bytes, &key, row)?, Some(until));
        }
        dead.advance()?;
    }
    Ok(())
}

fn stored<'a>(
    column: Column,
    row_key: &[u8],
    key: &'a [u8],
    row: &'a [u8],
) -> Result<RowRef<'a>, Fault> {
    let split = row.split_at_checked(codec::POSITION_LEN);
    let parts = split.and_then(|(at, fields)| Some((codec::take_position(at)?, fields)));
    let (modified, fields) = parts.ok_or_else(|| codec::bad_row(column, row_key))?;
    Ok(RowRef { key, modified, fields })
}

fn visit_tombstones(
    rows: &Rows<'_>,
    from: i64,
    visit: &mut dyn FnMut(Revision, &[u8]),
) -> Result<(), Fault> {
    rows.events(from, &mut |event| {
        if event.is_delete {
            visit(event.at, &event.key);
        }
        ControlFlow::Continue(())
    })
}

/// A hash of every readable version, for comparing our own members. etcd hashes bbolt's file,
/// which nothing else can equal.
pub fn hash_all(rows: &Rows<'_>) -> Result<u32, Fault> {
    let state = rows.state()?;
    Ok(hash_kv(rows, state.revision, state.compacted)?.hash)
}
