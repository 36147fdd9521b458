//! Reads answer what the model answers, at every revision; linearizable ones never less than what
//! was acknowledged before they were asked for.

use std::collections::BTreeMap;

use bytes::Bytes;
use metastore_core::domain::command::Range;
use metastore_core::domain::{KeyValue, Rejection};
use metastore_core::replica::{Reader, Unreadable};
use metastore_tests::model::{Model, select};
use metastore_tests::reply::{self, Found, kv};

use super::watches::wanted;
use crate::finding::{Finding, Verdict, require, same};
use crate::probe::Seen;

/// Reads that wait for their turn, with the revision that they must at least see.
#[derive(Default)]
pub(crate) struct LinearReads {
    waiting: BTreeMap<u64, i64>,
}

impl LinearReads {
    pub(crate) fn asked(&mut self, context: u64, floor: i64) {
        self.waiting.insert(context, floor);
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The read may be done now, and claims `revision`.
    pub(crate) fn released(&mut self, context: u64, revision: i64) -> Verdict {
        let floor = self.waiting.remove(&context);
        let floor = floor.ok_or_else(|| Finding(format!("read {context} is released twice")))?;
        check_fresh(revision, floor)
    }
}

pub(crate) fn check_fresh(revision: i64, floor: i64) -> Verdict {
    require(revision >= floor, || {
        format!("a stale read: it shows revision {revision}, {floor} was acknowledged before")
    })
}

/// A range, read in both ways that serving threads have.
pub(crate) fn check_range(reader: &Reader, query: &Range, model: &Model) -> Verdict {
    let wanted = model.range(query);
    let got = range(reader, query)?;
    same(&format!("{query:?}"), &got, &wanted)?;
    let mut kvs = Vec::new();
    let short = reader.short_range(query, &mut |row| kvs.push(kv(&row.to_owned())));
    if let Some(short) = rejected(short)?.transpose() {
        let found = short.map(|it| Found { kvs, more: it.summary.more, count: it.summary.count });
        same(&format!("short {query:?}"), &found, &wanted)?;
    }
    Ok(())
}

/// One key, without a snapshot.
pub(crate) fn check_get(reader: &Reader, key: &Bytes, model: &Model) -> Verdict<i64> {
    let (version, revision) = reader.get(key).map_err(|fault| Finding(fault.to_string()))?;
    let got = version.map(|version| kv(&KeyValue { key: key.clone(), version }));
    same("the revision of a get", &revision, &model.revision())?;
    same(&format!("get {key:?}"), &got, &model.now().get(key).cloned())?;
    Ok(revision)
}

/// What a read in the middle of a write found belongs to the revision that it claimed.
pub(crate) fn check_seen(seen: &Seen, model: &Model) -> Verdict {
    let is_committed = seen.revision <= model.revision();
    require(is_committed, || format!("a reader saw {} before its commit", seen.revision))?;
    let query = Range { revision: seen.revision, ..seen.query.clone() };
    let (kvs, count) = (seen.kvs.clone(), seen.count);
    let found = Found { kvs, more: false, count };
    same(&format!("a read in a write: {query:?}"), &found, &select(model.at(seen.revision), &query))
}

/// The event log in pages: whole revisions, nothing left out.
pub(crate) fn check_events(
    reader: &Reader,
    spec: &metastore_core::domain::watch::Spec,
    (from, max): (i64, usize),
    model: &Model,
) -> Verdict {
    use metastore_core::replica::read::Wanted;
    let until = model.revision();
    let mut next = from;
    while next <= until {
        // Sometimes the bytes end a page, sometimes the number does.
        let page = reader.events(next, until, max, 150 * max, &mut |_| Wanted::WithPrevious);
        let page = rejected(page)?;
        if next < model.compacted {
            let compacted = Rejection::Compacted { asked: next, compacted: model.compacted };
            return same("events", &page.map(|it| it.1), &Err(compacted));
        }
        let (events, reached) = page.map_err(|it| Finding(format!("events from {next}: {it}")))?;
        require(reached >= next, || format!("events from {next} reach only {reached}"))?;
        let covered = events.iter().filter(|event| spec.covers(event));
        let got: Vec<_> = covered.map(|event| reply::event(event, spec.prev_kv)).collect();
        same("a page of events", &got, &wanted(model, spec, (next, reached), &got))?;
        next = reached + 1;
    }
    Ok(())
}

fn range(reader: &Reader, query: &Range) -> Verdict<Result<Found, Rejection>> {
    let mut kvs = Vec::new();
    let answered = rejected(reader.range(query, &mut |row| kvs.push(kv(&row.to_owned()))))?;
    Ok(answered.map(|it| Found { kvs, more: it.summary.more, count: it.summary.count }))
}

/// A fault is a finding; a rejection is an answer.
pub(crate) fn rejected<T>(read: Result<T, Unreadable>) -> Verdict<Result<T, Rejection>> {
    match read {
        Ok(read) => Ok(Ok(read)),
        Err(Unreadable::Rejected(rejection)) => Ok(Err(rejection)),
        Err(Unreadable::Fault(fault)) => Err(Finding(fault.to_string())),
    }
}
