//! One start of the member, from opening to the crash, with what `server/` would put around it.

use std::collections::VecDeque;
use std::sync::Arc;

use metastore_core::domain::Fault;
use metastore_core::raft::log_memory::MemoryLog;
use metastore_core::replica::watch_hub::WatchHub;
use metastore_core::replica::{
    Board, EventBatch, Inbox, LeaseKeeper, Reader, Replica, ReplicaConfig,
};
use metastore_core::store::Store;
use metastore_core::store::memory::MemoryEngine;

use crate::disk::{FragileEngine, FragileLog, Ledger, Power};
use crate::probe::Probe;

pub(crate) const MEMBER: u64 = 1;

/// What survives a crash, and the power that may fail.
pub(crate) struct Machine {
    pub(crate) log: MemoryLog,
    pub(crate) engine: Arc<MemoryEngine>,
    pub(crate) ledger: Ledger,
    pub(crate) power: Arc<Power>,
}

pub(crate) struct Member {
    pub(crate) boot: u64,
    pub(crate) replica: Replica,
    pub(crate) board: Arc<Board>,
    pub(crate) leases: Arc<LeaseKeeper>,
    pub(crate) inbox: Inbox,
    pub(crate) reader: Reader,
    pub(crate) probe: Arc<Probe>,
    pub(crate) hub: WatchHub,
    /// Events on their way to the hub's thread.
    pub(crate) published: VecDeque<Arc<EventBatch>>,
    /// Proposals and reads so far.
    pub(crate) number: u64,
    store: Store,
}

impl Member {
    pub(crate) fn config(
        boot: u64,
        keep_entries: u64,
        history_piece_bytes: usize,
        unix_ms: i64,
    ) -> ReplicaConfig {
        ReplicaConfig {
            member: MEMBER,
            boot,
            election_ticks: 10,
            election_timeout_ms: 1000,
            unix_ms,
            keep_entries,
            history_piece_bytes,
        }
    }

    pub(crate) fn open(machine: &Machine, config: ReplicaConfig) -> Result<Self, Fault> {
        let board = Arc::new(Board::new());
        let leases = Arc::new(LeaseKeeper::default());
        let probe = Arc::new(Probe::default());
        let store = Store::new(Arc::new(FragileEngine {
            engine: Arc::clone(&machine.engine),
            power: Arc::clone(&machine.power),
            probe: Arc::clone(&probe),
        }));
        let reader = Reader::new(store.clone(), Arc::clone(&board));
        probe.attach(reader.clone());
        let log = FragileLog {
            log: machine.log.clone(),
            power: Arc::clone(&machine.power),
            ledger: Arc::clone(&machine.ledger),
        };
        let (its_board, its_leases) = (Arc::clone(&board), Arc::clone(&leases));
        let replica = Replica::open(config, store.clone(), Box::new(log), its_board, its_leases)?;
        Ok(Self {
            boot: config.boot,
            replica,
            hub: WatchHub::new(Arc::clone(&board)),
            board,
            leases,
            inbox: Inbox::default(),
            reader,
            probe,
            published: VecDeque::new(),
            number: 0,
            store,
        })
    }

    /// The newest applied entry, and the newest applied compaction.
    pub(crate) fn applied(&self) -> (u64, i64) {
        (self.replica.applied().index, self.replica.machine().compacted)
    }

    /// Makes durable what is applied; says what that was.
    pub(crate) fn sync(&self) -> Result<(u64, i64), Fault> {
        let durable = self.applied();
        self.store.engine().sync()?;
        Ok(durable)
    }

    /// The record of the compaction is durable.
    pub(crate) fn release_history(&self, compacted: i64) {
        self.store.engine().release_history(compacted);
    }
}

impl Drop for Member {
    /// The probe reads the store that it is called from.
    fn drop(&mut self) {
        self.probe.detach();
    }
}
