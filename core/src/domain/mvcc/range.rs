//! Range: what a read of neighbouring keys answers: which rows, in which order, and how many there
//! are in all.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use bytes::{BufMut, Bytes, BytesMut};

use crate::domain::command::{Range, Sort, SortTarget};
use crate::domain::version::Fields;
use crate::domain::{At, Fault, KeyValue, RowRef, Version, View};

/// What a range says beside its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Rows were left out because of the limit.
    pub more: bool,
    /// Every key of the range at that revision, whatever the limit and the filters.
    pub count: i64,
}

/// Reads a range; `take` gets the rows in the order of the answer.
pub fn read(
    view: &impl View,
    query: &Range,
    at: At,
    take: &mut dyn FnMut(RowRef<'_>),
) -> Result<Summary, Fault> {
    if query.range.is_empty() {
        return Ok(Summary::default());
    }
    if query.count_only {
        return Ok(Summary { more: false, count: view.count(&query.range, at)? });
    }
    if is_natural(query) { page(view, query, at, take) } else { arrange(view, query, at, take) }
}

/// Whether the rows come out of the store in the order of the answer, none left out but by the
/// limit.
pub fn is_natural(query: &Range) -> bool {
    let by_key = Sort { target: SortTarget::Key, descending: false };
    !query.is_filtered() && query.sort.is_none_or(|sort| sort == by_key)
}

fn page(
    view: &impl View,
    query: &Range,
    at: At,
    take: &mut dyn FnMut(RowRef<'_>),
) -> Result<Summary, Fault> {
    let limit = if query.limit > 0 { query.limit } else { i64::MAX };
    let mut taken = 0;
    let more = read_page(view, query, at, limit, &mut |row| {
        taken += 1;
        take(row);
        ControlFlow::Continue(())
    })?;
    let count = if more { view.count(&query.range, at)? } else { taken };
    Ok(Summary { more, count })
}

/// Reads the first `limit` rows of a natural query, fewer if `take` says that this one is enough,
/// and counts nothing. Answers whether there are more.
pub fn read_page(
    view: &impl View,
    query: &Range,
    at: At,
    limit: i64,
    take: &mut dyn FnMut(RowRef<'_>) -> ControlFlow<()>,
) -> Result<bool, Fault> {
    let mut taken = 0;
    let mut is_full = false;
    let mut more = false;
    view.scan(&query.range, at, &mut |row| {
        if taken == limit || is_full {
            more = true;
            return ControlFlow::Break(());
        }
        taken += 1;
        is_full = take(if query.keys_only { without_value(row) } else { row }).is_break();
        ControlFlow::Continue(())
    })?;
    Ok(more)
}

fn arrange(
    view: &impl View,
    query: &Range,
    at: At,
    take: &mut dyn FnMut(RowRef<'_>),
) -> Result<Summary, Fault> {
    let mut count = 0;
    let mut kept = Vec::new();
    view.scan(&query.range, at, &mut |row| {
        count += 1;
        if passes(query, &row.fields()) {
            kept.push(row.to_owned());
        }
        ControlFlow::Continue(())
    })?;
    if let Some(sort) = query.sort {
        kept.sort_by(|a, b| compare(a, b, sort));
    }
    let limit = usize::try_from(query.limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let more = kept.len() > limit;
    kept.truncate(limit);
    let by_value = query.sort.is_some_and(|sort| sort.target == SortTarget::Value);
    for kv in &kept {
        match (query.keys_only, by_value) {
            (false, _) => take(kv.as_row()),
            (true, false) => take(without_value(kv.as_row())),
            (true, true) => take(with_lease_only(kv).as_row()),
        }
    }
    // etcd answers keys-only reads from its index, and counts nothing when nothing is left.
    let count = if query.keys_only && kept.is_empty() { 0 } else { count };
    Ok(Summary { more, count })
}

fn passes(query: &Range, fields: &Fields<'_>) -> bool {
    (query.max_modified == 0 || fields.modified <= query.max_modified)
        && (query.min_modified == 0 || fields.modified >= query.min_modified)
        && (query.max_create == 0 || fields.create <= query.max_create)
        && (query.min_create == 0 || fields.create >= query.min_create)
}

fn compare(a: &KeyValue, b: &KeyValue, sort: Sort) -> Ordering {
    let (x, y) = (a.version.fields(), b.version.fields());
    let ascending = match sort.target {
        SortTarget::Key => a.key.cmp(&b.key),
        SortTarget::Version => x.version.cmp(&y.version),
        SortTarget::Create => x.create.cmp(&y.create),
        SortTarget::Modified => x.modified.cmp(&y.modified),
        SortTarget::Value => x.value.cmp(y.value),
    };
    if sort.descending { ascending.reverse() } else { ascending }
}

/// The fields before the value: etcd's keys-only answer has no lease either.
fn without_value(row: RowRef<'_>) -> RowRef<'_> {
    let head_len = row.fields().head_len;
    RowRef { fields: row.fields.get(..head_len).unwrap_or_default(), ..row }
}

/// Sorted by value, etcd has read the whole row, and its lease shows.
fn with_lease_only(kv: &KeyValue) -> KeyValue {
    let fields = kv.version.fields();
    let (modified, lease) = (kv.version.modified, fields.lease);
    let version = Version::encode(fields.create, modified, fields.version, &[], lease);
    KeyValue { key: kv.key.clone(), version }
}

/// A `KeyValue` message of a row, framed as a repeated field: `tag`, length, message.
pub fn put_framed(out: &mut BytesMut, tag: u8, row: RowRef<'_>) {
    const KEY_TAG: u8 = (1 << 3) | 2;
    use crate::domain::version::{put_varint, varint_len};
    let key_len = row.key.len();
    let len = 1 + varint_len(key_len as u64) + key_len + row.fields.len();
    out.reserve(len + 6);
    out.put_u8(tag);
    put_varint(out, len as u64);
    out.put_u8(KEY_TAG);
    put_varint(out, key_len as u64);
    out.put_slice(row.key);
    out.put_slice(row.fields);
}

/// All rows of a range, as values.
pub fn collect(view: &impl View, query: &Range, at: At) -> Result<(Vec<KeyValue>, Summary), Fault> {
    let mut kvs = Vec::new();
    let summary = read(view, query, at, &mut |row| kvs.push(row.to_owned()))?;
    Ok((kvs, summary))
}

/// The first key after `key`.
pub fn successor(key: &[u8]) -> Bytes {
    let mut next = BytesMut::with_capacity(key.len() + 1);
    next.put_slice(key);
    next.put_u8(0);
    next.freeze()
}
