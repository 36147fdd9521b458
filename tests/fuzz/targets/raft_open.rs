//! Consensus over a log and a configuration that any bytes may have come from: it opens and runs,
//! or says what is damaged (`core/src/raft/driver.rs`, `log_view.rs`).
//!
//! Input: applied index, term, vote, commit, base index and base term (8 bytes each); the
//! configuration's length (1) and bytes; then entries: kind (1), term (8), length (1), data.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use metastore_core::raft::log_memory::MemoryLog;
use metastore_core::raft::{
    Driver, DriverConfig, LogEntry, LogStart, LogStore, LogVote, LogWrite, payload,
};
use metastore_fuzz::Input;

const MEMBER: u64 = 1;
const TURNS_MAX: usize = 50;

type Result<T> = std::result::Result<T, metastore_core::domain::Fault>;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let Some([applied, term, vote, commit, base_index, base_term]) = input.numbers() else {
        return;
    };
    let Some(configuration) = input.short_bytes() else { return };
    // Entries come without gaps: `RocksLog::entries` sees to that.
    let mut entries = Vec::new();
    while let (Some(kind), Some([term]), Some(data)) =
        (input.byte(), input.numbers(), input.short_bytes())
    {
        let Some(index) = base_index.checked_add(entries.len() as u64 + 1) else { return };
        entries.push(LogEntry { index, term, kind, data: Bytes::copy_from_slice(data) });
    }
    let vote = LogVote { term, vote, commit };
    let log = OnDisk::new(LogStart { vote, base_index, base_term, entries });
    let config = DriverConfig { member: MEMBER, election_ticks: 10 };
    let Ok(mut driver) = Driver::open(config, Box::new(log), configuration, applied) else {
        return;
    };
    driver.campaign_if_alone();
    for _ in 0..TURNS_MAX {
        driver.tick();
        let Ok(true) = driver.begin(false) else { continue };
        let Ok(turn) = driver.finish(&mut |_| ()) else { return };
        for entry in turn.committed {
            if payload::decode(entry.payload).is_err() {
                return;
            }
            driver.applied_to(entry.index);
        }
    }
});

/// A log that starts with what was found.
struct OnDisk {
    found: LogStart,
    since: MemoryLog,
}

impl OnDisk {
    fn new(found: LogStart) -> Self {
        let mut since = MemoryLog::starting_at(found.base_index, found.base_term);
        let written = LogWrite { entries: found.entries.clone(), vote: Some(found.vote) };
        since.append(&written).expect("memory takes it");
        Self { found, since }
    }
}

impl LogStore for OnDisk {
    fn load(&mut self) -> Result<LogStart> {
        Ok(self.found.clone())
    }

    fn append(&mut self, write: &LogWrite) -> Result<()> {
        self.since.append(write)
    }

    fn sync(&mut self) -> Result<()> {
        self.since.sync()
    }

    fn read(&self, low: u64, high: u64) -> Result<Vec<LogEntry>> {
        self.since.read(low, high)
    }

    fn truncate(&mut self, index: u64, term: u64) -> Result<()> {
        self.since.truncate(index, term)
    }
}
