//! The writes of one transaction: positions, rows, totals and events.

use bytes::Bytes;

use crate::domain::effects::{Event, LoggedEvent, Mutation};
use crate::domain::{Fault, Overlay, Revision, Version, View};

/// Bytes that a row takes beside its key and fields, as counted in sizes shown to clients.
const ROW_OVERHEAD: i64 = 48;

/// Running sizes, so that nobody ever counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    pub live_rows: i64,
    pub live_bytes: i64,
    /// Every row ever superseded, compacted ones included.
    pub dead: DeadTotals,
    /// The part of `dead` that compaction has made unreadable.
    pub forgotten: DeadTotals,
}

/// Rows that are not live any more, and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeadTotals {
    pub rows: i64,
    pub bytes: i64,
}

impl Totals {
    /// Size of the data that can be read: live rows and kept history, in bytes.
    pub fn logical_bytes(&self) -> i64 {
        self.live_bytes + self.dead.bytes - self.forgotten.bytes
    }

    pub fn forget(&mut self, until: DeadTotals) {
        self.forgotten = until;
    }

    fn add_live(&mut self, key: &[u8], version: &Version) {
        self.live_rows += 1;
        self.live_bytes += row_bytes(key, version);
    }

    fn move_to_dead(&mut self, key: &[u8], version: &Version) {
        let bytes = row_bytes(key, version);
        self.live_rows -= 1;
        self.live_bytes -= bytes;
        self.dead.rows += 1;
        self.dead.bytes += bytes;
    }
}

fn row_bytes(key: &[u8], version: &Version) -> i64 {
    (key.len() + version.fields.len()) as i64 + ROW_OVERHEAD
}

/// Writes keys at one revision; each write gets the next position in it.
#[derive(Debug)]
pub struct Writer<'o, 'v, V> {
    overlay: &'o mut Overlay<'v, V>,
    totals: &'o mut Totals,
    main: i64,
    mutations: Vec<Mutation>,
    events: Vec<Event>,
}

impl<'o, 'v, V: View> Writer<'o, 'v, V> {
    pub fn new(overlay: &'o mut Overlay<'v, V>, totals: &'o mut Totals, main: i64) -> Self {
        Self { overlay, totals, main, mutations: Vec::new(), events: Vec::new() }
    }

    /// What reads inside the transaction see: its own earlier writes included.
    pub fn view(&self) -> &Overlay<'v, V> {
        self.overlay
    }

    /// The revision of the store as the transaction sees it: it moves with the first write.
    pub fn revision(&self) -> i64 {
        if self.events.is_empty() { self.main - 1 } else { self.main }
    }

    /// Makes `version` of `key` live. `old` is what was live until now.
    pub fn set(
        &mut self,
        key: Bytes,
        old: Option<Version>,
        encode: impl FnOnce(Revision) -> Version,
    ) -> Result<(), Fault> {
        let at = self.next_position();
        let version = encode(at);
        self.move_lease(&key, old.as_ref(), Some(&version));
        let previous = self.bury(&key, at, old);
        self.totals.add_live(&key, &version);
        self.log(at, &key, false, previous.is_none());
        if previous.is_none() {
            self.record(Mutation::LogBirth { at, key: key.clone(), born: true });
        }
        self.record(Mutation::SetLive { key: key.clone(), version: version.clone() });
        self.publish(at, key, Some(version), previous);
        Ok(())
    }

    /// Ends the life of `key`, of which `old` is live.
    pub fn remove(&mut self, key: Bytes, old: Version) {
        let at = self.next_position();
        self.move_lease(&key, Some(&old), None);
        let previous = self.bury(&key, at, Some(old));
        self.log(at, &key, true, false);
        self.record(Mutation::LogBirth { at, key: key.clone(), born: false });
        self.record(Mutation::RemoveLive { key: key.clone() });
        self.publish(at, key, None, previous);
    }

    pub fn finish(self) -> (Vec<Mutation>, Vec<Event>) {
        (self.mutations, self.events)
    }

    fn next_position(&self) -> Revision {
        Revision::new(self.main, self.events.len() as i64)
    }

    fn bury(&mut self, key: &Bytes, at: Revision, old: Option<Version>) -> Option<Version> {
        let version = old?;
        self.totals.move_to_dead(key, &version);
        self.record(Mutation::Supersede { key: key.clone(), at, version: version.clone() });
        Some(version)
    }

    fn log(&mut self, at: Revision, key: &Bytes, is_delete: bool, created: bool) {
        let dead = self.totals.dead;
        self.record(Mutation::LogEvent(LoggedEvent {
            at,
            key: key.clone(),
            is_delete,
            created,
            dead_rows: dead.rows,
            dead_bytes: dead.bytes,
        }));
    }

    fn move_lease(&mut self, key: &Bytes, old: Option<&Version>, new: Option<&Version>) {
        let lease_of = |version: Option<&Version>| version.map_or(0, |it| it.fields().lease);
        let (from, to) = (lease_of(old), lease_of(new));
        if from == to {
            return;
        }
        if from != 0 {
            self.record(Mutation::Detach { lease: from, key: key.clone() });
        }
        if to != 0 {
            self.record(Mutation::Attach { lease: to, key: key.clone() });
        }
    }

    fn publish(
        &mut self,
        at: Revision,
        key: Bytes,
        version: Option<Version>,
        previous: Option<Version>,
    ) {
        // A sibling of the same transaction may have written the key: no revision ever showed that
        // version, so the previous one is what the sibling had before it.
        let previous = previous.and_then(|version| {
            if version.modified.main < at.main {
                return Some(version);
            }
            let sibling = self.events.iter().rfind(|event| event.key == key);
            sibling.and_then(|event| event.previous.clone())
        });
        self.events.push(Event { at, key, version, previous });
    }

    fn record(&mut self, mutation: Mutation) {
        self.overlay.absorb(&mutation);
        self.mutations.push(mutation);
    }
}
