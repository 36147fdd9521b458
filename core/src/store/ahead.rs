//! Live rows read ahead of the rules that will ask for them.
//!
//! One sorted read of many keys costs less than as many reads of one: the disk's structures are
//! walked once, in order. What was read ahead is true until `latest` is written, no longer.

use bytes::Bytes;

use super::{Column, Reads, codec};
use crate::domain::{Fault, Version};

/// Keys that are read together, a multiple of what RocksDB takes at once.
const LOT_KEYS: usize = 64;
/// Keys that are worth reading ahead for one group; the others are read when they are needed.
pub const KEYS_MAX: usize = 4096;
/// Once so many bytes are there, the rest is read when it is needed.
const BYTES_MAX: usize = 8 << 20;

/// Live versions of some keys.
#[derive(Debug, Default)]
pub struct Ahead {
    /// In key order, no key twice.
    rows: Vec<Known>,
}

/// What is known of a key.
#[derive(Debug)]
pub struct Known {
    key: Bytes,
    /// `None`: it is not live.
    pub version: Option<Version>,
}

impl Ahead {
    /// Reads the live versions of `keys`, which may be in any order and have repetitions.
    pub fn read(reads: &dyn Reads, mut keys: Vec<Bytes>) -> Result<Self, Fault> {
        keys.sort_unstable();
        keys.dedup();
        let mut ahead = Self::default();
        if keys.len() < 2 {
            // There is nothing to save.
            return Ok(ahead);
        }
        ahead.rows.reserve_exact(keys.len());
        let mut bytes = 0;
        for lot in keys.chunks(LOT_KEYS) {
            if bytes >= BYTES_MAX {
                break;
            }
            let wanted: Vec<&[u8]> = lot.iter().map(AsRef::as_ref).collect();
            let found = reads.get_many(Column::Latest, &wanted)?;
            for (key, row) in lot.iter().zip(found) {
                bytes += row.as_ref().map_or(0, Bytes::len);
                ahead.rows.push(Known { key: key.clone(), version: decoded(key, row)? });
            }
        }
        Ok(ahead)
    }

    /// What is known of `key`, if it was read.
    pub fn find(&self, key: &[u8]) -> Option<&Known> {
        let place = self.rows.binary_search_by(|known| known.key.as_ref().cmp(key)).ok()?;
        self.rows.get(place)
    }
}

fn decoded(key: &[u8], row: Option<Bytes>) -> Result<Option<Version>, Fault> {
    row.map(|row| codec::take_version(row).ok_or_else(|| codec::bad_row(Column::Latest, key)))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Mutation, Revision};
    use crate::store::memory::MemoryEngine;
    use crate::store::{Batch, Engine};

    fn engine_with(keys: &[&'static str], value: &[u8]) -> MemoryEngine {
        let engine = MemoryEngine::default();
        let mut batch = Batch::default();
        for key in keys {
            let version = Version::encode(2, Revision::new(2, 0), 1, value, 0);
            batch.stage(&Mutation::SetLive { key: Bytes::from(*key), version });
        }
        engine.write(&batch).unwrap();
        engine
    }

    fn keys(keys: &[&'static str]) -> Vec<Bytes> {
        keys.iter().map(|key| Bytes::from(*key)).collect()
    }

    #[test]
    fn keys_in_any_order_are_found_and_absent_ones_known_to_be_absent() {
        let engine = engine_with(&["a", "c"], b"x");
        let ahead = Ahead::read(engine.newest(), keys(&["c", "b", "a", "c"])).unwrap();
        assert!(ahead.find(b"a").unwrap().version.is_some());
        assert!(ahead.find(b"b").unwrap().version.is_none());
        assert!(ahead.find(b"c").unwrap().version.is_some());
        assert!(ahead.find(b"d").is_none());
    }

    #[test]
    fn one_key_is_left_to_whoever_needs_it() {
        let engine = engine_with(&["a"], b"x");
        assert!(Ahead::read(engine.newest(), keys(&["a", "a"])).unwrap().find(b"a").is_none());
    }

    #[test]
    fn large_rows_end_the_reading_after_a_lot() {
        let names: Vec<String> = (0..LOT_KEYS + 1).map(|number| format!("{number:04}")).collect();
        let names: Vec<&'static str> = names.into_iter().map(|name| &*name.leak()).collect();
        let engine = engine_with(&names, &vec![0; BYTES_MAX / LOT_KEYS]);
        let ahead = Ahead::read(engine.newest(), keys(&names)).unwrap();
        assert_eq!(ahead.rows.len(), LOT_KEYS);
    }

    #[test]
    fn a_row_that_does_not_decode_is_damage() {
        let engine = engine_with(&["a"], b"x");
        let mut batch = Batch::default();
        batch.put(Column::Latest, &[b"b"], &[b"short"]);
        engine.write(&batch).unwrap();
        assert!(Ahead::read(engine.newest(), keys(&["a", "b"])).is_err());
    }
}
