//! The rows as the rules want to read them.
//!
//! A read at an older revision R merges two columns: what is live and was written at or before R,
//! and of what is not live any more the first row of each key that was superseded after R, if it
//! was written at or before R. Both come in key order, and no key is in both.
//!
//! Rows of `history` that a revision ends which is not there yet do not count: the history of a
//! large change is written ahead of it.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::codec::{self, POSITION_LEN, StateRow};
use super::columns::META_STATE;
use super::{Ahead, Column, Counts, Cursor, Reads};
use crate::domain::effects::LoggedEvent;
use crate::domain::mvcc::DeadTotals;
use crate::domain::view::Visit;
use crate::domain::{At, Fault, KeyRange, Revision, RowRef, Version, View};

/// Steps that are cheaper than a seek.
const STEPS_BEFORE_SEEK: usize = 8;
/// Births that are looked at whatever the number of keys.
const BIRTHS_MIN: i64 = 1000;

/// Rows of one moment, or the newest ones, depending on what is behind them.
#[derive(Clone, Copy)]
pub struct Rows<'r> {
    reads: &'r dyn Reads,
    /// Numbers of keys by chunk, and the newest rows, to make up for the time between the two.
    counts: Option<(&'r Counts, &'r dyn Reads)>,
    /// Live rows that need not be read again.
    ahead: Option<&'r Ahead>,
}

impl std::fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rows")
    }
}

impl<'r> Rows<'r> {
    pub fn new(reads: &'r dyn Reads) -> Self {
        Self { reads, counts: None, ahead: None }
    }

    /// The same rows, of which some are known already; until `latest` is written.
    pub fn with(self, ahead: &'r Ahead) -> Self {
        Self { ahead: Some(ahead), ..self }
    }

    /// Rows of one moment that can be counted without looking at each.
    pub fn counted(reads: &'r dyn Reads, counts: &'r Counts, newest: &'r dyn Reads) -> Self {
        Self { counts: Some((counts, newest)), ..Self::new(reads) }
    }

    pub fn reads(&self) -> &'r dyn Reads {
        self.reads
    }

    /// Revisions, totals and applied index that belong to these rows.
    pub fn state(&self) -> Result<StateRow, Fault> {
        match self.reads.get(Column::Meta, META_STATE)? {
            Some(row) => {
                StateRow::decode(&row).ok_or_else(|| codec::bad_row(Column::Meta, META_STATE))
            }
            None => {
                Ok(StateRow { revision: Revision::FIRST, compacted: -1, ..StateRow::default() })
            }
        }
    }

    /// What `key` was after revision `at`, when it is not that any more.
    pub fn superseded_after(&self, key: &[u8], at: i64) -> Result<Option<Version>, Fault> {
        let mut from = codec::escaped(key);
        let key_len = from.len();
        from.extend_from_slice(&codec::position(Revision::start_of(at + 1)));
        let cursor = self.reads.cursor(Column::History, &from, None)?;
        let Some((found, row)) = cursor.row() else {
            return Ok(None);
        };
        if found.get(..key_len) != from.get(..key_len) || found.len() != from.len() {
            return Ok(None);
        }
        let version = codec::take_version(Bytes::copy_from_slice(row))
            .ok_or_else(|| codec::bad_row(Column::History, found))?;
        Ok((version.modified.main <= at).then_some(version))
    }

    /// The version of `key` after revision `at`.
    pub fn version_at(&self, key: &[u8], at: i64) -> Result<Option<Version>, Fault> {
        match self.live(key)? {
            Some(version) if version.modified.main <= at => Ok(Some(version)),
            _ => self.superseded_after(key, at),
        }
    }

    /// The version that the write at `at` ended; what a watcher sees as the previous one.
    pub fn ended_by(&self, key: &[u8], at: Revision) -> Result<Option<Version>, Fault> {
        let mut row_key = codec::escaped(key);
        row_key.extend_from_slice(&codec::position(at));
        let Some(row) = self.reads.get(Column::History, &row_key)? else {
            return Ok(None);
        };
        codec::take_version(row).map(Some).ok_or_else(|| codec::bad_row(Column::History, &row_key))
    }

    /// The version written exactly at `at`.
    pub fn written_at(&self, key: &[u8], at: Revision) -> Result<Option<Version>, Fault> {
        if let Some(live) = self.live(key)?.filter(|version| version.modified == at) {
            return Ok(Some(live));
        }
        let mut from = codec::escaped(key);
        let key_len = from.len();
        from.extend_from_slice(&codec::position(Revision::new(at.main, at.sub + 1)));
        let cursor = self.reads.cursor(Column::History, &from, None)?;
        let Some((found, row)) = cursor.row() else {
            return Ok(None);
        };
        if found.get(..key_len) != from.get(..key_len) || found.len() != from.len() {
            return Ok(None);
        }
        let version = codec::take_version(Bytes::copy_from_slice(row))
            .ok_or_else(|| codec::bad_row(Column::History, found))?;
        Ok((version.modified == at).then_some(version))
    }

    /// Visits the event log from revision `from` on.
    pub fn events(
        &self,
        from: i64,
        visit: &mut dyn FnMut(LoggedEvent) -> ControlFlow<()>,
    ) -> Result<(), Fault> {
        let start = codec::position(Revision::start_of(from));
        let mut cursor = self.reads.cursor(Column::Events, &start, None)?;
        while let Some((key, row)) = cursor.row() {
            let event = codec::take_event(key, &Bytes::copy_from_slice(row))
                .ok_or_else(|| codec::bad_row(Column::Events, key))?;
            if visit(event).is_break() {
                break;
            }
            cursor.advance()?;
        }
        Ok(())
    }

    /// The number of keys, each looked at.
    pub fn scan_count(&self, range: &KeyRange, at: At) -> Result<i64, Fault> {
        let mut count = 0;
        self.scan(range, at, &mut |_row| {
            count += 1;
            ControlFlow::Continue(())
        })?;
        Ok(count)
    }

    /// Keys of `range` born after revision `after` up to `until`, less those that ceased.
    pub fn born(&self, range: &KeyRange, after: i64, until: i64) -> Result<i64, Fault> {
        let born = self.born_among(range, after, until, i64::MAX)?;
        Ok(born.unwrap_or_default())
    }

    /// The same, or `None` when there are more than `most` births of any key to look at.
    fn born_among(
        &self,
        range: &KeyRange,
        after: i64,
        until: i64,
        most: i64,
    ) -> Result<Option<i64>, Fault> {
        if after >= until {
            return Ok(Some(0));
        }
        let from = codec::position(Revision::start_of(after + 1));
        let to = codec::position(Revision::start_of(until + 1));
        let (mut born, mut left) = (0, most);
        let mut cursor = self.reads.cursor(Column::Births, &from, Some(&to))?;
        while let Some((at, row)) = cursor.row() {
            if left == 0 {
                return Ok(None);
            }
            left -= 1;
            let (kind, key) =
                row.split_first().ok_or_else(|| codec::bad_row(Column::Births, at))?;
            let change = match kind {
                1 => 1,
                0 => -1,
                _ => return Err(codec::bad_row(Column::Births, at)),
            };
            if range.contains(key) {
                born += change;
            }
            cursor.advance()?;
        }
        Ok(Some(born))
    }

    /// Time marks in order: milliseconds since the epoch, and the revision that was newest then.
    pub fn marks(&self) -> Result<Vec<(i64, i64)>, Fault> {
        let mut marks = Vec::new();
        let mut cursor = self.reads.cursor(Column::Marks, &[], None)?;
        while let Some((key, row)) = cursor.row() {
            let mark = codec::take_number(key).zip(codec::take_number(row));
            marks.push(mark.ok_or_else(|| codec::bad_row(Column::Marks, key))?);
            cursor.advance()?;
        }
        Ok(marks)
    }

    fn latest_cursor(&self, range: &KeyRange) -> Result<Box<dyn Cursor + 'r>, Fault> {
        self.reads.cursor(Column::Latest, range.start(), range.end().map(AsRef::as_ref))
    }

    fn scan_newest(&self, range: &KeyRange, visit: Visit<'_>) -> Result<(), Fault> {
        let mut cursor = self.latest_cursor(range)?;
        while let Some((key, row)) = cursor.row() {
            if visit(row_ref(Column::Latest, key, row)?).is_break() {
                break;
            }
            cursor.advance()?;
        }
        Ok(())
    }

    fn scan_older(&self, range: &KeyRange, at: i64, visit: Visit<'_>) -> Result<(), Fault> {
        let mut live = LiveAt { cursor: self.latest_cursor(range)?, at };
        let newest = self.state()?.revision;
        let mut dead = DeadAt::open(self.reads, range, at, newest)?;
        live.settle()?;
        loop {
            let live_key = live.cursor.row().map(|(key, _)| key);
            let dead_key = dead.found.as_ref().map(|(key, _)| key.as_slice());
            let take_live = match (live_key, dead_key) {
                (None, None) => return Ok(()),
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (Some(live), Some(dead)) => live < dead,
            };
            let flow = if take_live {
                let Some((key, row)) = live.cursor.row() else {
                    return Ok(());
                };
                let flow = visit(row_ref(Column::Latest, key, row)?);
                live.cursor.advance()?;
                live.settle()?;
                flow
            } else {
                let Some((key, row)) = dead.found.take() else {
                    return Ok(());
                };
                let flow = visit(row_ref(Column::History, &key, &row)?);
                dead.next()?;
                flow
            };
            if flow.is_break() {
                return Ok(());
            }
        }
    }
}

/// Live rows that were written at or before `at`.
struct LiveAt<'c> {
    cursor: Box<dyn Cursor + 'c>,
    at: i64,
}

impl LiveAt<'_> {
    /// Moves on to the first row that counts.
    fn settle(&mut self) -> Result<(), Fault> {
        while let Some((key, row)) = self.cursor.row() {
            if row_ref(Column::Latest, key, row)?.modified.main <= self.at {
                break;
            }
            self.cursor.advance()?;
        }
        Ok(())
    }
}

/// Rows that were live after `at` and are not any more.
struct DeadAt<'c> {
    cursor: Box<dyn Cursor + 'c>,
    at: i64,
    /// The newest revision of these rows.
    newest: i64,
    /// Key and row that counts next.
    found: Option<(Vec<u8>, Vec<u8>)>,
}

impl<'c> DeadAt<'c> {
    fn open(reads: &'c dyn Reads, range: &KeyRange, at: i64, newest: i64) -> Result<Self, Fault> {
        let (from, to) = match (range.as_single(), range.end()) {
            (Some(key), _) => {
                let from = codec::escaped(key);
                let mut to = from.clone();
                to.extend_from_slice(&[0xff; POSITION_LEN]);
                (from, Some(to))
            }
            (None, end) => {
                (codec::escaped_prefix(range.start()), end.map(|it| codec::escaped_prefix(it)))
            }
        };
        let cursor = reads.cursor(Column::History, &from, to.as_deref())?;
        let mut dead = Self { cursor, at, newest, found: None };
        dead.next()?;
        Ok(dead)
    }

    /// Finds the next key that has a row superseded after `at` and written at or before it.
    fn next(&mut self) -> Result<(), Fault> {
        while let Some((bytes, row)) = self.cursor.row() {
            let (key, until) = codec::split_history_key(bytes)
                .ok_or_else(|| codec::bad_row(Column::History, bytes))?;
            let key = key.to_vec();
            if until.main <= self.at {
                let mut wanted = key;
                wanted.extend_from_slice(&codec::position(Revision::start_of(self.at + 1)));
                self.skip_to(&wanted)?;
                continue;
            }
            let counts = until.main <= self.newest
                && row_ref(Column::History, bytes, row)?.modified.main <= self.at;
            let found = counts.then(|| row.to_vec());
            let user_key = codec::take_history_key(bytes)
                .ok_or_else(|| codec::bad_row(Column::History, bytes))?
                .0;
            // Later rows of the key were written after `at`.
            let mut past = key;
            past.extend_from_slice(&[0xff; POSITION_LEN]);
            self.skip_to(&past)?;
            if let Some(row) = found {
                self.found = Some((user_key, row));
                return Ok(());
            }
        }
        Ok(())
    }

    fn skip_to(&mut self, wanted: &[u8]) -> Result<(), Fault> {
        for _ in 0..STEPS_BEFORE_SEEK {
            match self.cursor.row() {
                Some((key, _)) if key < wanted => self.cursor.advance()?,
                _ => return Ok(()),
            }
        }
        match self.cursor.row() {
            Some((key, _)) if key < wanted => self.cursor.seek(wanted),
            _ => Ok(()),
        }
    }
}

fn row_ref<'a>(column: Column, key: &'a [u8], row: &'a [u8]) -> Result<RowRef<'a>, Fault> {
    let split = row.split_at_checked(POSITION_LEN);
    let parts = split.and_then(|(at, fields)| Some((codec::take_position(at)?, fields)));
    let (modified, fields) = parts.ok_or_else(|| codec::bad_row(column, key))?;
    Ok(RowRef { key, modified, fields })
}

impl View for Rows<'_> {
    fn live(&self, key: &[u8]) -> Result<Option<Version>, Fault> {
        if let Some(known) = self.ahead.and_then(|ahead| ahead.find(key)) {
            return Ok(known.version.clone());
        }
        let Some(row) = self.reads.get(Column::Latest, key)? else {
            return Ok(None);
        };
        codec::take_version(row).map(Some).ok_or_else(|| codec::bad_row(Column::Latest, key))
    }

    fn scan(&self, range: &KeyRange, at: At, visit: Visit<'_>) -> Result<(), Fault> {
        if range.is_empty() {
            return Ok(());
        }
        match (range.as_single(), at) {
            (Some(key), _) => {
                let version = match at {
                    At::Now => self.live(key)?,
                    At::Revision(at) => self.version_at(key, at)?,
                };
                if let Some(Version { modified, fields }) = version {
                    // A single row: whether to go on does not matter.
                    let _flow = visit(RowRef { key, modified, fields: &fields });
                }
                Ok(())
            }
            (None, At::Now) => self.scan_newest(range, visit),
            (None, At::Revision(at)) => self.scan_older(range, at, visit),
        }
    }

    fn count(&self, range: &KeyRange, at: At) -> Result<i64, Fault> {
        let Some((counts, newest)) = self.counts.filter(|_| range.as_single().is_none()) else {
            return self.scan_count(range, at);
        };
        if range.is_empty() {
            return Ok(0);
        }
        let revision = self.state()?.revision;
        let now = counts.count(range, self, revision, &Rows::new(newest))?;
        match at {
            At::Now => Ok(now),
            // As long as births are fewer than keys. How many revisions ago it was says nothing:
            // most revisions overwrite.
            At::Revision(at) => match self.born_among(range, at, revision, now.max(BIRTHS_MIN))? {
                Some(born) => Ok(now - born),
                None => self.scan_count(range, At::Revision(at)),
            },
        }
    }

    fn lease_keys(&self, lease: i64) -> Result<Vec<Bytes>, Fault> {
        let prefix = codec::number(lease);
        let mut keys = Vec::new();
        let mut cursor = self.reads.cursor(Column::LeaseKeys, &prefix, None)?;
        while let Some(key) = cursor.row().and_then(|(key, _)| key.strip_prefix(&prefix)) {
            keys.push(Bytes::copy_from_slice(key));
            cursor.advance()?;
        }
        Ok(keys)
    }

    fn dead_until(&self, revision: i64) -> Result<DeadTotals, Fault> {
        let last = codec::position(Revision::new(revision, i64::MAX));
        let Some((key, row)) = self.reads.last_at_most(Column::Events, &last)? else {
            return Ok(DeadTotals::default());
        };
        let event =
            codec::take_event(&key, &row).ok_or_else(|| codec::bad_row(Column::Events, &key))?;
        Ok(DeadTotals { rows: event.dead_rows, bytes: event.dead_bytes })
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
