//! A member opens rows of any bytes and reads them in every way: answers or faults, never a panic
//! (`core/src/store/open.rs`, `view.rs`, `counts.rs`, `hash.rs`).
//!
//! Input: rows: column (1), length of key and of value (1 + 1), key, value.

#![no_main]

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use metastore_core::domain::{At, Fault, KeyRange, Revision, RowRef, View};
use metastore_core::store::columns::META_FORMAT;
use metastore_core::store::hash::{hash_all, hash_kv};
use metastore_core::store::memory::MemoryEngine;
use metastore_core::store::{Batch, Column, Rows, Store};
use metastore_fuzz::Input;

fuzz_target!(|data: &[u8]| {
    let mut batch = Batch::default();
    let mut keys = Vec::new();
    let mut input = Input::new(data);
    while let Some((column, key, value)) = input.row() {
        keys.push(Bytes::copy_from_slice(key));
        batch.put(column, &[key], &[value]);
    }
    // Without the right format number nothing else is looked at.
    batch.put(Column::Meta, &[META_FORMAT], &[&1u32.to_be_bytes()]);
    let store = Store::new(Arc::new(MemoryEngine::default()));
    store.engine().write(&batch).expect("memory takes it");
    let Ok(recovered) = store.recover() else { return };
    let revision = recovered.machine.revision;
    keys.push(Bytes::new());
    for pair in keys.windows(2).take(8) {
        let [key, end] = pair else { return };
        let ranges = [
            KeyRange::single(key.clone()),
            KeyRange::from_wire(key.clone(), end.clone()),
            KeyRange::between(key.clone(), None),
        ];
        for at in [At::Now, At::Revision(revision), At::Revision(recovered.machine.compacted)] {
            for range in &ranges {
                // A fault is an answer.
                drop(store.at_one_moment(|rows| read(rows, range, at)));
            }
        }
        drop(store.at_one_moment(|rows| look_up(rows, key, revision)));
    }
    drop(store.at_one_moment(|rows| whole(rows, revision, recovered.machine.compacted)));
});

fn read(rows: &Rows<'_>, range: &KeyRange, at: At) -> Result<(), Fault> {
    rows.scan(range, at, &mut |row: RowRef<'_>| {
        let fields = row.fields();
        assert!(fields.head_len <= row.fields.len());
        ControlFlow::Continue(())
    })?;
    rows.count(range, at).map(|_keys| ())
}

fn look_up(rows: &Rows<'_>, key: &[u8], revision: i64) -> Result<(), Fault> {
    let live = rows.live(key)?;
    let at = live.map_or(Revision::start_of(revision), |version| version.modified);
    rows.ended_by(key, at)?;
    rows.written_at(key, at)?;
    rows.version_at(key, revision)?;
    let lease = key.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes));
    rows.lease_keys(lease).map(|_keys| ())
}

fn whole(rows: &Rows<'_>, revision: i64, compacted: i64) -> Result<(), Fault> {
    rows.events(0, &mut |_event| ControlFlow::Continue(()))?;
    rows.dead_until(revision)?;
    hash_kv(rows, revision, compacted)?;
    hash_all(rows).map(|_hash| ())
}
