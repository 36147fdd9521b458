//! Transactions as clients send them, applied to a store in memory: a refused one changes nothing,
//! what was counted is there, and a restart finds the same state.
//!
//! Input: requests: length (2), the bytes of a `TxnRequest`.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use metastore_core::api::etcd::{check, convert};
use metastore_core::domain::command::Command;
use metastore_core::domain::effects::Response;
use metastore_core::domain::{At, Fault, KeyRange, Machine, Overlay, View};
use metastore_core::store::memory::MemoryEngine;
use metastore_core::store::{Applied, Batch, Store};
use metastore_fuzz::Input;
use metastore_proto::etcdserverpb::TxnRequest;
use prost::Message;

const OPERATIONS_MAX: usize = 128;

fuzz_target!(|data: &[u8]| {
    let store = Store::new(Arc::new(MemoryEngine::default()));
    let mut machine = Machine::default();
    let mut batch = Batch::default();
    batch.set_state(&machine, Applied::default());
    store.initialise(&mut batch).expect("memory takes it");
    let mut applied = Applied::default();
    let mut input = Input::new(data);
    while let Some(request) = input.bytes() {
        let Ok(request) = TxnRequest::decode(request) else { continue };
        if check::txn(&request, OPERATIONS_MAX).is_err() {
            continue;
        }
        applied = Applied { index: applied.index + 1, term: 1 };
        let command = Command::Txn(convert::txn(request));
        apply(&store, &mut machine, applied, command).expect("its own rows are sound");
    }
    same_after_a_restart(&store, machine, applied).expect("its own rows are sound");
});

fn apply(
    store: &Store,
    machine: &mut Machine,
    applied: Applied,
    command: Command,
) -> Result<(), Fault> {
    let before = machine.clone();
    let rows = store.newest();
    let mut overlay = Overlay::new(&rows);
    let now = applied.index as i64 * 1_000;
    let effects = machine.apply(&mut overlay, now, command)?;
    match effects.outcome {
        Ok(Response::Txn(response)) => drop(convert::txn_response(response)),
        Ok(other) => panic!("the answer of a transaction, not {other:?}"),
        Err(_) => {
            assert!(effects.mutations.is_empty() && effects.events.is_empty());
            assert_eq!(*machine, before, "a refused transaction changed something");
        }
    }
    assert_eq!(machine.revision - before.revision, i64::from(!effects.events.is_empty()));
    let mut batch = Batch::default();
    for mutation in &effects.mutations {
        batch.stage(mutation);
    }
    let births = store.counts().stage(&rows, effects.mutations.iter(), &mut batch)?;
    batch.set_state(machine, applied);
    store.engine().write(&batch)?;
    store.counts().commit(&births, machine.revision);
    Ok(())
}

fn same_after_a_restart(store: &Store, machine: Machine, applied: Applied) -> Result<(), Fault> {
    let everything = KeyRange::all();
    let count = |rows: &metastore_core::store::Rows<'_>| {
        let counted = rows.count(&everything, At::Now)?;
        assert_eq!(counted, rows.scan_count(&everything, At::Now)?, "keys were counted wrongly");
        assert_eq!(counted, machine.totals.live_rows, "live rows");
        Ok(())
    };
    store.at_one_moment(count)?;
    let recovered = store.recover()?;
    assert_eq!(recovered.machine, machine, "what a restart finds");
    assert_eq!(recovered.applied, applied);
    store.at_one_moment(count)
}
