//! Rows as they are seen at an older revision.

use super::*;
use crate::domain::Mutation;
use crate::store::memory::MemoryEngine;
use crate::store::{Batch, Cursor, Engine};

/// Rows whose history must not be looked at.
struct WithoutHistory<'r>(&'r dyn Reads);

impl Reads for WithoutHistory<'_> {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        self.0.get(column, key)
    }

    fn get_many(&self, column: Column, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Fault> {
        self.0.get_many(column, keys)
    }

    fn cursor<'r>(
        &'r self,
        column: Column,
        from: &[u8],
        to: Option<&[u8]>,
    ) -> Result<Box<dyn Cursor + 'r>, Fault> {
        assert_ne!(column, Column::History);
        self.0.cursor(column, from, to)
    }

    fn last_at_most(&self, column: Column, key: &[u8]) -> Result<Option<(Bytes, Bytes)>, Fault> {
        self.0.last_at_most(column, key)
    }
}

#[test]
fn an_old_count_looks_at_births_however_many_revisions_ago_it_was() {
    let engine = MemoryEngine::default();
    let counts = Counts::default();
    counts.load(&Rows::new(engine.newest())).unwrap();
    let key = Bytes::from("a");
    let version = Version::encode(2, Revision::new(90_000, 0), 9, b"x", 0);
    let mutations = [
        Mutation::SetLive { key: key.clone(), version },
        Mutation::LogBirth { at: Revision::new(2, 0), key, born: true },
    ];
    let mut batch = Batch::default();
    mutations.iter().for_each(|mutation| batch.stage(mutation));
    let newest = Rows::new(engine.newest());
    let births = counts.stage(&newest, mutations.iter(), &mut batch).unwrap();
    let machine = crate::domain::Machine { revision: 90_000, ..Default::default() };
    batch.set_state(&machine, crate::store::Applied { index: 1, term: 1 });
    engine.write(&batch).unwrap();
    counts.commit(&births, machine.revision);
    let reads = WithoutHistory(engine.newest());
    let rows = Rows::counted(&reads, &counts, engine.newest());
    assert_eq!(rows.count(&KeyRange::all(), At::Revision(3)).unwrap(), 1);
    assert_eq!(rows.count(&KeyRange::all(), At::Revision(1)).unwrap(), 0);
}

/// Of a store whose newest revision is 5: what there is at revision 4, and the hash.
fn seen(engine: &MemoryEngine) -> (Vec<(Bytes, Revision)>, u32) {
    let rows = Rows::new(engine.newest());
    let mut seen = Vec::new();
    let visit = &mut |row: RowRef<'_>| {
        let row = row.to_owned();
        seen.push((row.key, row.version.modified));
        ControlFlow::Continue(())
    };
    rows.scan(&KeyRange::all(), At::Revision(4), visit).unwrap();
    (seen, crate::store::hash::hash_all(&rows).unwrap())
}

#[test]
fn history_that_is_written_ahead_does_not_count_before_what_ends_it() {
    let engine = MemoryEngine::default();
    let key = Bytes::from("a");
    let version = Version::encode(2, Revision::new(3, 0), 2, b"x", 0);
    let mut batch = Batch::default();
    batch.stage(&Mutation::SetLive { key: key.clone(), version: version.clone() });
    let machine = crate::domain::Machine { revision: 5, ..Default::default() };
    batch.set_state(&machine, crate::store::Applied { index: 1, term: 1 });
    engine.write(&batch).unwrap();
    let before = seen(&engine);
    assert_eq!(before.0, [(key.clone(), Revision::new(3, 0))]);
    let mut ahead = Batch::default();
    ahead.stage(&Mutation::Supersede { key, at: Revision::new(6, 0), version });
    engine.write(&ahead).unwrap();
    assert_eq!(seen(&engine), before);
}
