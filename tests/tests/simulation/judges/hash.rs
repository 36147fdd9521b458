//! HashKV, by etcd's rule, from all the history: one bit at a time.

use metastore_core::replica::Reader;
use metastore_tests::model::{Change, Model};
use prost::Message;

use super::reads::rejected;
use crate::finding::{Verdict, same};

pub(crate) fn check(reader: &Reader, revision: i64, model: &Model) -> Verdict {
    let got = rejected(reader.hash_kv(revision))?;
    let got = got.map(|(hash, now)| (hash.hash, hash.compacted, hash.revision, now));
    let query = metastore_core::domain::command::Range {
        revision,
        ..metastore_core::domain::command::Range::of(metastore_core::domain::KeyRange::all())
    };
    let at = if revision > 0 { revision } else { model.revision() };
    let wanted = model.range(&query);
    let wanted = wanted.map(|_| (hash_kv(model, at), model.compacted, at, model.revision()));
    same(&format!("HashKV at {revision}"), &got, &wanted)
}

/// etcd's `unsafeHashByRev`: of what was written up to the compacted revision only what is live at
/// the hashed one counts; when nothing is live, everything that the compaction left does.
fn hash_kv(model: &Model, revision: i64) -> u32 {
    let keep = model.at(revision);
    let mut bytes = b"key".to_vec();
    for change in model.changes().iter().take_while(|change| change.main <= revision) {
        let is_old = change.main <= model.compacted;
        let counts =
            !is_old || if keep.is_empty() { is_left(model, change) } else { is_in(keep, change) };
        if counts {
            append(&mut bytes, change);
        }
    }
    crc32c(&bytes)
}

/// Whether a compaction leaves it: live at the compacted revision, or a tombstone written at it.
fn is_left(model: &Model, change: &Change) -> bool {
    let is_last_tombstone = change.written.is_none() && change.main == model.compacted;
    is_last_tombstone || is_in(model.at(model.compacted), change)
}

fn is_in(state: &metastore_tests::model::State, change: &Change) -> bool {
    change.written.is_some() && state.get(&change.key) == change.written.as_ref()
}

/// A row of etcd's bucket: the revision as a key, then the `KeyValue`.
fn append(bytes: &mut Vec<u8>, change: &Change) {
    bytes.extend(change.main.to_be_bytes());
    bytes.push(b'_');
    bytes.extend(change.sub.to_be_bytes());
    if change.written.is_none() {
        bytes.push(b't');
    }
    let key = change.key.clone();
    let tombstone = metastore_tests::reply::Kv { key, ..Default::default() };
    change.written.as_ref().unwrap_or(&tombstone).encode(bytes).unwrap();
}

fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let divisor = if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
            crc = (crc >> 1) ^ divisor;
        }
    }
    !crc
}

#[test]
fn the_checksum_is_castagnolis() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}
