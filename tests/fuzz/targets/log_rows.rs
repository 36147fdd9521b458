//! The rows of the raft log's RocksDB (`core/src/raft/log_rocks.rs`).

#![no_main]

use libfuzzer_sys::fuzz_target;
use metastore_core::raft::log_rocks::{put_entry, take_entry, take_numbers};

fuzz_target!(|data: &[u8]| {
    let (index, row) = data.split_at(data.len().min(8));
    match take_entry(index, row) {
        Some(entry) => {
            let mut again = Vec::new();
            put_entry(&entry, &mut again);
            assert_eq!(again, row, "an entry's row");
            assert_eq!(entry.index.to_be_bytes(), index);
        }
        None => assert!(index.len() < 8 || row.get(8).is_none_or(|kind| *kind > 2)),
    }
    fixed::<2>(data);
    fixed::<3>(data);
});

/// The row of the base has two numbers, that of the vote three.
fn fixed<const N: usize>(row: &[u8]) {
    match take_numbers::<N>(row) {
        Some(numbers) => assert_eq!(numbers.map(u64::to_be_bytes).concat(), row),
        None => assert_ne!(row.len(), 8 * N),
    }
}
