//! Liveness takes a loop that stands still for a hang, unless it says that it is inside the disk:
//! every call of a disk has to be declared.

use bytes::Bytes;
use parking_lot::Mutex;

use super::*;
use crate::domain::command::Put;
use crate::domain::member::Member;
use crate::raft::log_memory::MemoryLog;
use crate::raft::{LogEntry, LogStart, LogWrite, Proposal};
use crate::store::memory::MemoryEngine;
use crate::store::{Column, Cursor, Engine, Reads};

/// Notes whether the member had said where it is, at each call.
#[derive(Clone)]
struct Witness {
    board: Arc<Board>,
    calls: Arc<Mutex<Vec<(&'static str, Operation)>>>,
}

impl Witness {
    fn saw(&self, call: &'static str) {
        self.calls.lock().push((call, self.board.operation().0));
    }
}

struct Disk {
    engine: MemoryEngine,
    witness: Witness,
}

impl Engine for Disk {
    fn write(&self, batch: &Batch) -> Result<(), Fault> {
        self.witness.saw("write");
        self.engine.write(batch)
    }

    fn sync(&self) -> Result<(), Fault> {
        self.engine.sync()
    }

    fn newest(&self) -> &dyn Reads {
        self
    }

    fn snapshot(&self) -> Box<dyn Reads + '_> {
        self.witness.saw("snapshot");
        self.engine.snapshot()
    }

    fn release_history(&self, revision: i64) {
        self.engine.release_history(revision);
    }

    fn reclaim(&self) -> Result<(), Fault> {
        self.engine.reclaim()
    }

    fn physical_bytes(&self) -> u64 {
        self.engine.physical_bytes()
    }
}

impl Reads for Disk {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        self.witness.saw("get");
        self.engine.newest().get(column, key)
    }

    fn cursor<'r>(
        &'r self,
        column: Column,
        from: &[u8],
        to: Option<&[u8]>,
    ) -> Result<Box<dyn Cursor + 'r>, Fault> {
        self.witness.saw("cursor");
        self.engine.newest().cursor(column, from, to)
    }

    fn last_at_most(&self, column: Column, key: &[u8]) -> Result<Option<(Bytes, Bytes)>, Fault> {
        self.witness.saw("last_at_most");
        self.engine.newest().last_at_most(column, key)
    }
}

struct Log {
    log: MemoryLog,
    witness: Witness,
}

impl LogStore for Log {
    fn load(&mut self) -> Result<LogStart, Fault> {
        self.log.load()
    }

    fn append(&mut self, write: &LogWrite) -> Result<(), Fault> {
        self.witness.saw("append");
        self.log.append(write)
    }

    fn start_sync(&mut self) -> Result<(), Fault> {
        self.witness.saw("start_sync");
        self.log.start_sync()
    }

    fn sync(&mut self) -> Result<(), Fault> {
        self.witness.saw("sync");
        self.log.sync()
    }

    fn read(&self, low: u64, high: u64) -> Result<Vec<LogEntry>, Fault> {
        self.witness.saw("read");
        self.log.read(low, high)
    }

    fn truncate(&mut self, index: u64, term: u64) -> Result<(), Fault> {
        self.witness.saw("truncate");
        self.log.truncate(index, term)
    }
}

/// A sole voter on such disks, which leads.
fn member() -> (Replica, Witness) {
    let witness = Witness { board: Arc::new(Board::new()), calls: Arc::default() };
    let disk = Disk { engine: MemoryEngine::default(), witness: witness.clone() };
    let store = Store::new(Arc::new(disk));
    bootstrap(&store, Member { id: 1, ..Member::default() }).unwrap();
    let log = MemoryLog::starting_at(FIRST_BASE.index, FIRST_BASE.term);
    let config = ReplicaConfig {
        member: 1,
        boot: 1,
        election_ticks: 10,
        election_timeout_ms: 1000,
        unix_ms: 0,
        keep_entries: 0,
        history_piece_bytes: 1,
    };
    let log = Box::new(Log { log, witness: witness.clone() });
    let board = Arc::clone(&witness.board);
    let mut replica = Replica::open(config, store, log, board, Arc::default()).unwrap();
    turns(&mut replica);
    witness.calls.lock().clear();
    (replica, witness)
}

/// Whether there was anything to do.
fn turn(replica: &mut Replica) -> bool {
    let mut outputs = Outputs::default();
    let has_begun = replica.begin().unwrap();
    let has_applied = replica.apply_committed(&mut outputs).unwrap();
    replica.finish(&mut outputs).unwrap();
    has_begun || has_applied
}

fn turns(replica: &mut Replica) {
    while turn(replica) {}
}

fn put(key: &str) -> Command {
    Command::Put(Put {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::from_static(b"v"),
        lease: 0,
        prev_kv: false,
        ignore_value: false,
        ignore_lease: false,
    })
}

#[test]
fn every_call_of_a_disk_is_declared() {
    let (mut replica, witness) = member();
    let stamp = Stamp { member: 1, boot: 1 };
    // One alone, a group, what reads history, and a truncation.
    let commands = [
        vec![put("a")],
        vec![put("a"), put("b"), put("c")],
        vec![Command::Compact { revision: 3 }],
    ];
    let mut counter = 0;
    for group in commands {
        for command in group {
            counter += 1;
            let proposal: Proposal = stamp.proposal(counter, 0, command);
            replica.step(Input::Propose(proposal), &mut Outputs::default()).unwrap();
        }
        // The next group is appended while this one waits to be applied: their turns overlap.
        turn(&mut replica);
    }
    turns(&mut replica);
    let index = replica.applied().index;
    replica.step(Input::Durable { index }, &mut Outputs::default()).unwrap();

    let calls = witness.calls.lock();
    let silent: Vec<_> = calls.iter().filter(|(_, inside)| *inside == Operation::None).collect();
    assert!(silent.is_empty(), "not declared: {silent:?}");
    for call in ["append", "start_sync", "sync", "get", "write", "truncate"] {
        assert!(calls.iter().any(|(name, _)| *name == call), "{call} was not tried");
    }
    assert_eq!(witness.board.operation().0, Operation::None, "and each ends");
}
