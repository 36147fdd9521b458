//! The committed log, replayed by the model: what the store must be equal to.
//!
//! And nothing committed is ever lost: what was applied once, so that somebody may have seen it, is
//! in the log after every crash, at the same index.

use std::collections::BTreeMap;

use metastore_core::domain::Rejection;
use metastore_core::raft::{LogStart, Proposal, ProposalId, payload};
use metastore_core::replica::FIRST_BASE;
use metastore_tests::model::Model;
use metastore_tests::reply::Reply;

use crate::disk::Ledger;
use crate::finding::{Finding, Verdict, require, same};

/// A time mark is written with the first change that is at least this long after the last mark.
const MARK_INTERVAL_MS: i64 = 10_000;

/// What the model says to a proposal.
#[derive(Debug, Clone)]
pub(crate) struct Decided {
    pub(crate) index: u64,
    pub(crate) proposal: Proposal,
    pub(crate) result: Result<Reply, Rejection>,
    /// The newest revision after it.
    pub(crate) revision: i64,
}

pub(crate) struct History {
    ledger: Ledger,
    pub(crate) model: Model,
    /// The model has done the entries up to here.
    pub(crate) applied: u64,
    decided: BTreeMap<(u64, u64), Decided>,
    /// The revision after each index.
    revisions: BTreeMap<u64, i64>,
    pub(crate) marks: Vec<(i64, i64)>,
}

impl History {
    pub(crate) fn new(ledger: Ledger) -> Self {
        let (model, applied) = (Model::default(), FIRST_BASE.index);
        Self {
            ledger,
            revisions: BTreeMap::from([(applied, model.revision())]),
            model,
            applied,
            decided: BTreeMap::new(),
            marks: Vec::new(),
        }
    }

    /// The member has applied the entries up to `index`. Answers what is new.
    pub(crate) fn advance(&mut self, index: u64) -> Verdict<Vec<Decided>> {
        let mut news = Vec::new();
        while self.applied < index {
            let next = self.applied + 1;
            let entry = self.ledger.lock().get(&next).cloned();
            let entry = entry.ok_or_else(|| Finding(format!("{next} applied, never logged")))?;
            self.applied = next;
            if !entry.data.is_empty() {
                let proposal = payload::decode(entry.data).map_err(|it| Finding(it.to_string()))?;
                news.push(self.decide(next, proposal)?);
            }
            self.revisions.insert(next, self.model.revision());
        }
        Ok(news)
    }

    /// What became of a proposal, if it is committed.
    pub(crate) fn decided(&self, id: ProposalId) -> Option<&Decided> {
        self.decided.get(&(id.boot, id.counter))
    }

    /// The newest revision after the entry at `index`.
    pub(crate) fn revision_at(&self, index: u64) -> Option<i64> {
        self.revisions.get(&index).copied()
    }

    /// Judges what a crash has left of the log. From now on that is the log.
    pub(crate) fn crashed(&mut self, left: &LogStart) -> Verdict {
        let last = left.entries.last().map_or(left.base_index, |entry| entry.index);
        let applied = self.applied;
        require(last >= applied, || {
            format!("a committed write is lost: {applied} was applied, the log ends at {last}")
        })?;
        let mut ledger = self.ledger.lock();
        ledger.split_off(&(last + 1));
        for entry in &left.entries {
            same("an entry of the log after a crash", &Some(entry), &ledger.get(&entry.index))?;
        }
        Ok(())
    }

    fn decide(&mut self, index: u64, proposal: Proposal) -> Verdict<Decided> {
        let before = self.model.revision();
        let result = self.model.apply(&proposal.command);
        let revision = self.model.revision();
        let compacted = self.model.compacted;
        self.marks.retain(|(_, revision)| *revision >= compacted);
        let marked_at = self.marks.last().map_or(0, |(time, _)| *time);
        if revision > before && proposal.proposed_at >= marked_at + MARK_INTERVAL_MS {
            self.marks.push((proposal.proposed_at, revision));
        }
        let id = proposal.id;
        let decided = Decided { index, proposal, result, revision };
        let twice = self.decided.insert((id.boot, id.counter), decided.clone());
        require(twice.is_none(), || format!("proposal {id:?} is in the log twice"))?;
        Ok(decided)
    }
}
