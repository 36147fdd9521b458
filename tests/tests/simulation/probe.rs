//! A reader on another thread, in the moment before and after rows become visible.

use bytes::Bytes;
use metastore_core::domain::KeyValue;
use metastore_core::domain::command::Range;
use metastore_core::replica::Reader;
use metastore_tests::reply::{Kv, kv};
use parking_lot::Mutex;

/// What a read in the middle of a write found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    /// The revision that the read claimed.
    pub(crate) revision: i64,
    pub(crate) query: Range,
    pub(crate) kvs: Vec<Kv>,
    pub(crate) count: i64,
}

#[derive(Default)]
pub(crate) struct Probe {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    reader: Option<Reader>,
    query: Option<Range>,
    seen: Vec<Seen>,
}

impl Probe {
    pub(crate) fn attach(&self, reader: Reader) {
        self.state.lock().reader = Some(reader);
    }

    pub(crate) fn detach(&self) {
        self.state.lock().reader = None;
    }

    /// What to read from now on; `None`: nothing.
    pub(crate) fn aim(&self, query: Option<Range>) {
        self.state.lock().query = query;
    }

    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state.lock().seen)
    }

    /// A read that fails leaves no trace: there is no compacted revision to ask for.
    pub(crate) fn look(&self) {
        let mut state = self.state.lock();
        let State { reader: Some(reader), query: Some(query), seen } = &mut *state else { return };
        let mut kvs = Vec::new();
        let answered = match query.range.as_single() {
            Some(key) if !query.count_only => get(reader, key, &mut kvs),
            _ => {
                let answered = reader.range(query, &mut |row| kvs.push(kv(&row.to_owned())));
                answered.ok().map(|answered| (answered.summary.count, answered.revision))
            }
        };
        if let Some((count, revision)) = answered {
            seen.push(Seen { revision, query: query.clone(), kvs, count });
        }
    }
}

fn get(reader: &Reader, key: &Bytes, kvs: &mut Vec<Kv>) -> Option<(i64, i64)> {
    let (version, revision) = reader.get(key).ok()?;
    kvs.extend(version.map(|version| kv(&KeyValue { key: key.clone(), version })));
    Some((kvs.len() as i64, revision))
}
