//! The engine of production: one RocksDB with a column family per [`Column`].

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use rocksdb::compaction_filter::Decision;
use rocksdb::{
    BlockBasedOptions, BottommostLevelCompaction, Cache, ColumnFamily, ColumnFamilyDescriptor,
    CompactOptions, DB, DBAccess, DBCompressionType, DBRawIteratorWithThreadMode, DBRecoveryMode,
    LogLevel, Options, ReadOptions, SnapshotWithThreadMode, WriteBatch, WriteOptions,
};

use super::batch::WriteRef;
use super::codec;
use super::{Batch, Column, Cursor, Engine, Reads};
use crate::domain::Fault;

const MIB: usize = 1 << 20;
/// Four of RocksDB's usual blocks: a scan looks up a quarter as many.
const BLOCK_BYTES: usize = 16 << 10;
/// Part of a memtable that tells which keys are not in it, without a search.
const MEMTABLE_BLOOM: f64 = 0.02;
/// A sorted read of many keys goes on from the place of the last one. The crate has no setter.
const SORTED_LOOKUPS: &str = "memtable_batch_lookup_optimization=true";
/// What is rewritten soon is not compressed.
const COMPRESSION: [DBCompressionType; 7] = [
    DBCompressionType::None,
    DBCompressionType::None,
    DBCompressionType::Lz4,
    DBCompressionType::Lz4,
    DBCompressionType::Lz4,
    DBCompressionType::Lz4,
    DBCompressionType::Lz4,
];

/// RocksDB, for the state machine.
pub struct RocksEngine {
    db: DB,
    /// History superseded at or before this may be dropped by a compaction.
    released: Arc<AtomicI64>,
}

impl std::fmt::Debug for RocksEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksEngine").field("path", &self.db.path()).finish()
    }
}

impl RocksEngine {
    /// Opens the database at `path`; creates it only if the directory is new.
    pub fn open(path: &Path, is_new: bool, cache_bytes: usize) -> Result<Self, Fault> {
        let released = Arc::new(AtomicI64::new(-1));
        let cache = Cache::new_hyper_clock_cache(cache_bytes, 0);
        let families = Column::ALL.iter().map(|column| {
            let options = tuned(*column, &cache, &released)?;
            Ok(ColumnFamilyDescriptor::new(column.name(), options))
        });
        let families: Result<Vec<_>, rocksdb::Error> = families.collect();
        let db = families
            .and_then(|families| DB::open_cf_descriptors(&database_options(is_new), path, families))
            .map_err(|error| fault(path, &error))?;
        Ok(Self { db, released })
    }

    fn family(&self, column: Column) -> Result<&ColumnFamily, Fault> {
        self.db.cf_handle(column.name()).ok_or_else(|| {
            Fault::corrupt(format!("{}: no column {}", self.db.path().display(), column.name()))
        })
    }

    /// Every column's, each at the column's number: looked up by name once for a whole batch.
    fn families(&self) -> Result<Vec<&ColumnFamily>, Fault> {
        Column::ALL.iter().map(|column| self.family(*column)).collect()
    }

    fn fault(&self, error: &rocksdb::Error) -> Fault {
        fault(self.db.path(), error)
    }
}

#[expect(clippy::indexing_slicing, reason = "there is a family for every column")]
fn of<'f>(families: &[&'f ColumnFamily], column: Column) -> &'f ColumnFamily {
    families[column as usize]
}

fn database_options(is_new: bool) -> Options {
    let mut options = Options::default();
    options.create_if_missing(is_new);
    // A column that an old directory lacks was lost: it must not come back empty.
    options.create_missing_column_families(is_new);
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_paranoid_checks(true);
    options.set_max_total_wal_size(64 << 20);
    options.set_wal_bytes_per_sync(1 << 20);
    options.set_bytes_per_sync(1 << 20);
    options.set_max_background_jobs(2);
    options.set_max_open_files(512);
    quiet(&mut options);
    options
}

/// RocksDB's own log: small, few files.
pub(crate) fn quiet(options: &mut Options) {
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(MIB);
    options.set_stats_dump_period_sec(0);
}

/// Options of a column. `latest` is scanned and overwritten a lot, so its memtable is small: a
/// scan skips every overwritten version in it (figures in `docs/adr/0002-undo-log-layout.md`).
fn tuned(
    column: Column,
    cache: &Cache,
    released: &Arc<AtomicI64>,
) -> Result<Options, rocksdb::Error> {
    let mut options = Options::default();
    if matches!(column, Column::Latest) {
        options = options.get_options_from_string(SORTED_LOOKUPS)?;
        options.set_memtable_prefix_bloom_ratio(MEMTABLE_BLOOM);
        options.set_memtable_whole_key_filtering(true);
    }
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table.set_format_version(5);
    table.set_block_size(BLOCK_BYTES);
    if matches!(column, Column::Latest) {
        table.set_bloom_filter(10.0, false);
        // Deletes give their space back soon, and scans do not wade through what is gone.
        options.add_compact_on_deletion_collector_factory(1024, 512, 0.5);
    }
    options.set_block_based_table_factory(&table);
    options.set_max_write_buffer_number(3);
    let (memtable, level_zero) = match column {
        Column::Latest => (16 * MIB, 2),
        Column::History | Column::Events => (16 * MIB, 4),
        _ => (4 * MIB, 4),
    };
    options.set_write_buffer_size(memtable);
    options.set_level_zero_file_num_compaction_trigger(level_zero);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_compression_per_level(&COMPRESSION);
    if matches!(column, Column::History) {
        let released = Arc::clone(released);
        options.set_compaction_filter("released-history", move |_level, key, _row| {
            let released = released.load(Ordering::Relaxed);
            match codec::split_history_key(key) {
                Some((_, until)) if until.main <= released => Decision::Remove,
                _ => Decision::Keep,
            }
        });
    }
    Ok(options)
}

/// What RocksDB says, with the place it says it of.
pub(crate) fn fault(path: &Path, error: &rocksdb::Error) -> Fault {
    let detail = format!("{}: {error}", path.display());
    match error.kind() {
        rocksdb::ErrorKind::Corruption
        | rocksdb::ErrorKind::InvalidArgument
        | rocksdb::ErrorKind::NotFound => Fault::corrupt(detail),
        rocksdb::ErrorKind::IOError if missing_file(error) => Fault::corrupt(detail),
        _ => Fault::disk(detail),
    }
}

/// A file that the manifest names and that is not there is damage, not a failing disk.
fn missing_file(error: &rocksdb::Error) -> bool {
    error.as_ref().contains("No such file or directory")
}

impl Engine for RocksEngine {
    fn write(&self, batch: &Batch) -> Result<(), Fault> {
        let families = self.families()?;
        let mut writes = WriteBatch::with_capacity_bytes(batch.encoded_bytes());
        for (column, write) in batch.iter() {
            let family = of(&families, column);
            match write {
                WriteRef::Put { key, value } => writes.put_cf(family, key, value),
                WriteRef::Delete { key } => writes.delete_cf(family, key),
                WriteRef::DeleteRange { from, to } => writes.delete_range_cf(family, from, to),
            }
        }
        let options = WriteOptions::default();
        self.db.write_opt(writes, &options).map_err(|error| self.fault(&error))
    }

    fn sync(&self) -> Result<(), Fault> {
        self.db.flush_wal(true).map_err(|error| self.fault(&error))
    }

    fn newest(&self) -> &dyn Reads {
        self
    }

    fn snapshot(&self) -> Box<dyn Reads + '_> {
        Box::new(RocksSnapshot { engine: self, snapshot: self.db.snapshot() })
    }

    fn release_history(&self, revision: i64) {
        self.released.fetch_max(revision, Ordering::Relaxed);
    }

    fn reclaim(&self) -> Result<(), Fault> {
        let family = self.family(Column::History)?;
        self.db.flush_cf(family).map_err(|error| self.fault(&error))?;
        let mut options = CompactOptions::default();
        options.set_exclusive_manual_compaction(false);
        options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        let files = self.db.live_files().map_err(|error| self.fault(&error))?;
        let history =
            files.into_iter().filter(|file| file.column_family_name == Column::History.name());
        // One file's range at a time: the disk and the other columns breathe in between.
        for file in history {
            self.db.compact_range_cf_opt(family, file.start_key, file.end_key, &options);
        }
        Ok(())
    }

    fn reclaim_deleted(&self) -> Result<(), Fault> {
        // All of them: a write-ahead log goes when no column needs it any more.
        for column in Column::ALL {
            self.db.flush_cf(self.family(column)?).map_err(|error| self.fault(&error))?;
        }
        let mut options = CompactOptions::default();
        options.set_exclusive_manual_compaction(false);
        for file in self.db.live_files().map_err(|error| self.fault(&error))? {
            let family = self.db.cf_handle(&file.column_family_name);
            if let Some(family) = family.filter(|_| file.num_deletions > 0) {
                self.db.compact_range_cf_opt(family, file.start_key, file.end_key, &options);
            }
        }
        Ok(())
    }

    fn physical_bytes(&self) -> u64 {
        let property = |name: &str| {
            Column::ALL
                .iter()
                .filter_map(|column| self.db.cf_handle(column.name()))
                .filter_map(|family| self.db.property_int_value_cf(family, name).ok().flatten())
                .sum::<u64>()
        };
        property("rocksdb.total-sst-files-size") + property("rocksdb.cur-size-all-mem-tables")
    }
}

impl Reads for RocksEngine {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        let found = self.db.get_pinned_cf(self.family(column)?, key);
        Ok(found.map_err(|error| self.fault(&error))?.map(|row| Bytes::copy_from_slice(&row)))
    }

    fn get_many(&self, column: Column, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Fault> {
        let are_sorted = true;
        let family = self.family(column)?;
        let found = self.db.batched_multi_get_cf(family, keys.iter().copied(), are_sorted);
        let copied = found.into_iter().map(|row| match row {
            Ok(row) => Ok(row.map(|row| Bytes::copy_from_slice(&row))),
            Err(error) => Err(self.fault(&error)),
        });
        copied.collect()
    }

    fn cursor<'r>(
        &'r self,
        column: Column,
        from: &[u8],
        to: Option<&[u8]>,
    ) -> Result<Box<dyn Cursor + 'r>, Fault> {
        let iterator = self.db.raw_iterator_cf_opt(self.family(column)?, bounded(to));
        RocksCursor::at(self, iterator, from)
    }

    fn last_at_most(&self, column: Column, key: &[u8]) -> Result<Option<(Bytes, Bytes)>, Fault> {
        last_of(self, self.db.raw_iterator_cf(self.family(column)?), key)
    }
}

struct RocksSnapshot<'e> {
    engine: &'e RocksEngine,
    snapshot: SnapshotWithThreadMode<'e, DB>,
}

impl Reads for RocksSnapshot<'_> {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        let found = self.snapshot.get_pinned_cf(self.engine.family(column)?, key);
        let found = found.map_err(|error| self.engine.fault(&error))?;
        Ok(found.map(|row| Bytes::copy_from_slice(&row)))
    }

    fn cursor<'r>(
        &'r self,
        column: Column,
        from: &[u8],
        to: Option<&[u8]>,
    ) -> Result<Box<dyn Cursor + 'r>, Fault> {
        let family = self.engine.family(column)?;
        RocksCursor::at(self.engine, self.snapshot.raw_iterator_cf_opt(family, bounded(to)), from)
    }

    fn last_at_most(&self, column: Column, key: &[u8]) -> Result<Option<(Bytes, Bytes)>, Fault> {
        let family = self.engine.family(column)?;
        last_of(self.engine, self.snapshot.raw_iterator_cf(family), key)
    }
}

fn bounded(to: Option<&[u8]>) -> ReadOptions {
    let mut options = ReadOptions::default();
    if let Some(to) = to {
        options.set_iterate_upper_bound(to);
    }
    options
}

fn last_of<D: DBAccess>(
    engine: &RocksEngine,
    mut iterator: DBRawIteratorWithThreadMode<'_, D>,
    key: &[u8],
) -> Result<Option<(Bytes, Bytes)>, Fault> {
    iterator.seek_for_prev(key);
    iterator.status().map_err(|error| engine.fault(&error))?;
    let copy =
        |(key, row): (&[u8], &[u8])| (Bytes::copy_from_slice(key), Bytes::copy_from_slice(row));
    Ok(iterator.item().map(copy))
}

struct RocksCursor<'r, D: DBAccess> {
    engine: &'r RocksEngine,
    iterator: DBRawIteratorWithThreadMode<'r, D>,
}

impl<'r, D: DBAccess> RocksCursor<'r, D> {
    fn at(
        engine: &'r RocksEngine,
        iterator: DBRawIteratorWithThreadMode<'r, D>,
        from: &[u8],
    ) -> Result<Box<dyn Cursor + 'r>, Fault> {
        let mut cursor = Self { engine, iterator };
        cursor.seek(from)?;
        Ok(Box::new(cursor))
    }

    /// An iterator that met damage just becomes invalid: it must be asked why.
    fn check(&self) -> Result<(), Fault> {
        if self.iterator.valid() {
            return Ok(());
        }
        self.iterator.status().map_err(|error| self.engine.fault(&error))
    }
}

impl<D: DBAccess> Cursor for RocksCursor<'_, D> {
    fn row(&self) -> Option<(&[u8], &[u8])> {
        self.iterator.item()
    }

    fn advance(&mut self) -> Result<(), Fault> {
        self.iterator.next();
        self.check()
    }

    fn seek(&mut self, key: &[u8]) -> Result<(), Fault> {
        self.iterator.seek(key);
        self.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers without a pattern, the same in every run.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.0 >> 33) % bound
        }
    }

    #[test]
    fn many_rows_read_at_once_are_what_each_is_by_itself() {
        let place = tempfile::tempdir().unwrap();
        let engine = RocksEngine::open(place.path(), true, 1 << 20).unwrap();
        let mut dice = Dice(7);
        for round in 0..60 {
            let mut batch = Batch::default();
            for _ in 0..40 {
                let key = format!("key{:03}", dice.below(600));
                match dice.below(5) {
                    0 => batch.delete(Column::Latest, &[key.as_bytes()]),
                    _ => batch.put(Column::Latest, &[key.as_bytes()], &[&[round; 20]]),
                }
            }
            batch.sort();
            engine.write(&batch).unwrap();
            if round % 20 == 19 {
                // From here on some rows are in a table, some in the memtable, some in both.
                engine.db.flush_cf(engine.family(Column::Latest).unwrap()).unwrap();
            }
            let mut keys: Vec<String> =
                (0..100).map(|_| format!("key{:03}", dice.below(620))).collect();
            keys.sort_unstable();
            keys.dedup();
            let keys: Vec<&[u8]> = keys.iter().map(String::as_bytes).collect();
            let singly = keys.iter().map(|key| engine.get(Column::Latest, key).unwrap());
            let singly: Vec<_> = singly.collect();
            assert!(singly.iter().any(Option::is_some) && singly.iter().any(Option::is_none));
            assert_eq!(engine.get_many(Column::Latest, &keys).unwrap(), singly);
        }
    }
}
