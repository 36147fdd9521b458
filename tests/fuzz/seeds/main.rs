//! Writes what the fuzzer starts with, into the directory FUZZ_SEEDS: for each target a directory
//! of inputs that decode.
//!
//! In the dress of a target that does nothing, since it is compiled like the others.

#![no_main]

mod messages;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use metastore_core::api::etcd::convert;
use metastore_core::domain::alarm::{AlarmCause, AlarmKind};
use metastore_core::domain::command::Command;
use metastore_core::domain::{Machine, Overlay};
use metastore_core::raft::driver::sole_voter;
use metastore_core::raft::{Proposal, ProposalId, payload};
use metastore_core::store::directory::Identity;
use metastore_core::store::memory::MemoryEngine;
use metastore_core::store::{Applied, Batch, Column, Store};
use metastore_fuzz::{put_bytes, put_row, put_short_bytes};
use metastore_proto::environment::{Standing, TABLE};
use prost::Message;

fuzz_target!(init: write_all(), |_data: &[u8]| {});

fn write_all() {
    let directory = std::env::var_os("FUZZ_SEEDS").expect("FUZZ_SEEDS names a directory");
    let directory = PathBuf::from(directory);
    let commands = commands();
    let store = store(&commands);
    write(&directory, "environment", environment());
    write(&directory, "identity", identity());
    write(&directory, "log_payload", commands.iter().cloned().map(entry).collect());
    write(&directory, "log_rows", log_rows());
    write(&directory, "message_limit", framed());
    write(&directory, "raft_open", logs(&commands));
    write(&directory, "requests", messages::tagged());
    write(&directory, "rows", rows(&store));
    write(&directory, "store_open", vec![whole(&store)]);
    write(&directory, "transactions", transactions());
}

fn write(directory: &Path, target: &str, seeds: Vec<Vec<u8>>) {
    let directory = directory.join(target);
    fs::create_dir_all(&directory).expect("the directory can be made");
    for (number, seed) in seeds.into_iter().enumerate() {
        fs::write(directory.join(format!("seed-{number}")), seed).expect("a seed can be written");
    }
}

/// One of each kind.
fn commands() -> Vec<Command> {
    let txns = messages::txns().into_iter().map(|txn| Command::Txn(convert::txn(txn)));
    let (member, kind, cause) = (1, AlarmKind::NoSpace, AlarmCause::Disk);
    let others = [
        Command::LeaseGrant { id: 7, ttl: 60 },
        Command::Put(convert::put(messages::put("leased", 7))),
        Command::DeleteRange(convert::delete(messages::delete("b", "c"))),
        Command::RaiseAlarm { member, kind, cause },
        Command::ClearAlarm { member, kind, cause },
        Command::RaiseAlarm { member, kind, cause: AlarmCause::Quota },
        Command::PublishMember {
            id: 1,
            name: "default".to_owned(),
            client_urls: vec!["http://localhost:2379".to_owned()],
        },
        Command::Compact { revision: 2 },
        Command::LeaseRevoke { id: 8 },
    ];
    txns.chain(others).collect()
}

fn entry(command: Command) -> Vec<u8> {
    let id = ProposalId { member: 1, boot: 2, counter: 3 };
    payload::encode(&Proposal { id, proposed_at: 1_700_000_000_000, command })
}

/// A store that has applied the commands.
fn store(commands: &[Command]) -> Store {
    let store = Store::new(Arc::new(MemoryEngine::default()));
    let mut machine = Machine::default();
    let mut batch = Batch::default();
    batch.set_configuration(&sole_voter(1));
    store.initialise(&mut batch).expect("memory takes it");
    for (command, index) in commands.iter().zip(1..) {
        let rows = store.newest();
        let mut overlay = Overlay::new(&rows);
        let now = index as i64 * 20_000;
        let effects = machine.apply(&mut overlay, now, command.clone()).expect("sound rows");
        let mut batch = Batch::default();
        for mutation in &effects.mutations {
            batch.stage(mutation);
        }
        let births = store.counts().stage(&rows, effects.mutations.iter(), &mut batch);
        batch.set_state(&machine, Applied { index, term: 1 });
        store.engine().write(&batch).expect("memory takes it");
        store.counts().commit(&births.expect("sound rows"), machine.revision);
    }
    store
}

type Visit<'v> = &'v mut dyn FnMut(Column, &[u8], &[u8]);

fn each_row(store: &Store, visit: Visit<'_>) {
    for column in Column::ALL {
        let mut cursor = store.engine().newest().cursor(column, &[], None).expect("memory");
        while let Some((key, value)) = cursor.row() {
            visit(column, key, value);
            cursor.advance().expect("memory");
        }
    }
}

/// Keys, values, and both behind each other.
fn rows(store: &Store) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    each_row(store, &mut |_column, key, value| {
        seeds.extend([key.to_vec(), value.to_vec(), [key, value].concat()]);
    });
    seeds
}

fn whole(store: &Store) -> Vec<u8> {
    let mut seed = Vec::new();
    each_row(store, &mut |column, key, value| put_row(&mut seed, column, key, value));
    seed
}

fn log_rows() -> Vec<Vec<u8>> {
    let numbers = |numbers: &[u64]| numbers.iter().flat_map(|it| it.to_be_bytes()).collect();
    let entry = [7_u64.to_be_bytes().as_slice(), &1_u64.to_be_bytes(), &[0], b"data"].concat();
    vec![entry, numbers(&[5, 1]), numbers(&[1, 1, 9])]
}

fn logs(commands: &[Command]) -> Vec<Vec<u8>> {
    let log = |applied: u64, entries: usize| {
        let mut seed = Vec::new();
        // Applied, then term, vote and commit, then base index and base term.
        for number in [applied, 1, 1, applied, 1, 1] {
            seed.extend_from_slice(&number.to_be_bytes());
        }
        put_short_bytes(&mut seed, &sole_voter(1));
        for command in commands.iter().take(entries) {
            seed.push(0);
            seed.extend_from_slice(&1_u64.to_be_bytes());
            let entry = entry(command.clone());
            put_short_bytes(&mut seed, entry.get(..250).unwrap_or(&entry));
        }
        seed
    };
    vec![log(1, 0), log(1, 2), log(3, 4)]
}

fn identity() -> Vec<Vec<u8>> {
    let name = "default".to_owned();
    let identity = Identity { format: 1, cluster_id: 5, member_id: 6, name };
    let sealed = serde_json::json!({ "identity": identity, "checksum": 1 });
    vec![serde_json::to_vec(&identity).expect("it is JSON"), sealed.to_string().into_bytes()]
}

/// Messages behind their lengths, in frames.
fn framed() -> Vec<Vec<u8>> {
    let message = |len: u32| {
        let zeroes = vec![0; len as usize];
        [&[0][..], &len.to_be_bytes(), &zeroes].concat()
    };
    let frames = |limit: u16, parts: &[&[u8]]| {
        let mut seed = limit.to_be_bytes().to_vec();
        parts.iter().for_each(|part| put_short_bytes(&mut seed, part));
        seed
    };
    let two = [message(3), message(200)].concat();
    let (head, tail) = two.split_at(10);
    vec![frames(300, &[&two]), frames(100, &[head, tail]), frames(0, &[&message(0)])]
}

fn environment() -> Vec<Vec<u8>> {
    let read = || TABLE.iter().filter(|row| row.standing == Standing::Read);
    let line = |name: &str, value: &str| format!("{name}={value}\n");
    let defaults: String = read().map(|row| line(row.name, row.default)).collect();
    let in_a_file = format!("METASTORE_ENV_FILE=there\n\0# all of them\n{defaults}");
    let each = read().map(|row| line(row.name, row.default).into_bytes());
    let others = ["ETCD_NAME=a\n", "METASTORE_SERVICE_HOST=10.0.0.1\n", "METASTORE_NAM=a\n"];
    let others = others.map(|text| text.as_bytes().to_vec());
    each.chain(others).chain([defaults.into_bytes(), in_a_file.into_bytes()]).collect()
}

/// Each alone, and all behind each other.
fn transactions() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut seeds = Vec::new();
    for txn in messages::txns() {
        let bytes: Bytes = txn.encode_to_vec().into();
        let mut alone = Vec::new();
        put_bytes(&mut alone, &bytes);
        put_bytes(&mut all, &bytes);
        seeds.push(alone);
    }
    seeds.push(all);
    seeds
}
