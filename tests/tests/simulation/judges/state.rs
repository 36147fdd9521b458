//! The whole state of a member equals the model's: leases, alarms, sizes, time marks, every key at
//! every revision that can be read.

use std::collections::BTreeMap;

use metastore_core::domain::command::Range;
use metastore_core::domain::mvcc::Totals;
use metastore_core::domain::{KeyRange, Machine};
use metastore_core::replica::Reader;
use metastore_tests::model::Model;
use metastore_tests::reply::Kv;
use prost::Message;

use super::history::History;
use super::{hash, reads};
use crate::finding::{Finding, Verdict, same};

/// Bytes that a row counts beside its key and its fields.
const ROW_OVERHEAD: i64 = 48;

/// What is in memory, and small.
pub(crate) fn check_machine(machine: &Machine, history: &History) -> Verdict {
    let model = &history.model;
    same("the time marks", &machine.marks.points().to_vec(), &history.marks)?;
    same("the revision", &machine.revision, &model.revision())?;
    same("the compacted revision", &machine.compacted, &model.compacted)?;
    let leases: BTreeMap<_, _> = machine.leases.iter().collect();
    same("the leases", &leases, &model.leases)?;
    same("the alarms", &machine.alarms.all().iter().copied().collect(), &model.alarms)?;
    check_sizes(&machine.totals, model)
}

/// What is stored, as of each of `revisions`.
pub(crate) fn check_rows(
    reader: &Reader,
    history: &History,
    revisions: impl Iterator<Item = i64>,
) -> Verdict {
    let model = &history.model;
    for revision in revisions {
        let query = Range { revision, ..Range::of(KeyRange::all()) };
        reads::check_range(reader, &query, model)?;
    }
    for id in model.leases.keys() {
        let attached = model.now().values().filter(|kv| kv.lease == *id);
        let got = reader.lease_keys(*id).map_err(|fault| Finding(fault.to_string()))?;
        same("the keys of a lease", &got, &attached.map(|kv| kv.key.clone()).collect())?;
    }
    hash::check(reader, 0, model)
}

fn check_sizes(totals: &Totals, model: &Model) -> Verdict {
    let live: i64 = model.now().values().map(row_bytes).sum();
    let is_kept = |main: i64| main > model.compacted;
    let dead = model.changes().iter().filter(|change| is_kept(change.main));
    let dead: i64 = dead.filter_map(|change| change.replaced.as_ref()).map(row_bytes).sum();
    same("the number of keys", &totals.live_rows, &(model.now().len() as i64))?;
    same("bytes of live keys", &totals.live_bytes, &live)?;
    same("the logical size", &totals.logical_bytes(), &(live + dead))
}

/// A key and its fields as the wire has them.
fn row_bytes(kv: &Kv) -> i64 {
    let fields = Kv { key: bytes::Bytes::new(), ..kv.clone() };
    (kv.key.len() + fields.encoded_len()) as i64 + ROW_OVERHEAD
}
