//! What clients are told about their writes: the model's answer, once, in the order of the log, and
//! never taken back.

use std::collections::BTreeMap;

use metastore_core::domain::Command;
use metastore_core::raft::ProposalId;
use metastore_core::replica::{Answer, Outcome};
use metastore_tests::reply::Reply;

use super::history::{Decided, History};
use crate::finding::{Finding, Verdict, require, same};

#[derive(Default)]
pub(crate) struct Answers {
    member: u64,
    boot: u64,
    waiting: BTreeMap<u64, Command>,
    /// Index and revision of every answered write of every boot.
    acknowledged: BTreeMap<(u64, u64), (u64, i64)>,
    /// Who was told to have made a revision.
    authors: BTreeMap<i64, ProposalId>,
    newest: i64,
    last_index: u64,
}

impl Answers {
    /// What waited will never be answered.
    pub(crate) fn restarted(&mut self, member: u64, boot: u64) {
        (self.member, self.boot) = (member, boot);
        self.waiting.clear();
    }

    pub(crate) fn proposed(&mut self, counter: u64, command: Command) {
        self.waiting.insert(counter, command);
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The highest revision that a client was told.
    pub(crate) fn newest(&self) -> i64 {
        self.newest
    }

    pub(crate) fn answered(&mut self, answer: &Answer, history: &History) -> Verdict {
        let counter = answer.counter;
        let command = self.waiting.remove(&counter);
        let command =
            command.ok_or_else(|| Finding(format!("{counter} is answered and does not wait")))?;
        let id = ProposalId { member: self.member, boot: self.boot, counter };
        let decided = history.decided(id);
        match (&answer.outcome, decided) {
            (Outcome::Unavailable(_), None) => Ok(()),
            (Outcome::Unavailable(why), Some(_)) => {
                Err(Finding(format!("{id:?} is refused ({why}) and committed")))
            }
            (Outcome::Decided { .. }, None) => {
                Err(Finding(format!("{id:?} is answered and not in the log")))
            }
            (Outcome::Decided { result, revision }, Some(decided)) => {
                same("the command in the log", &decided.proposal.command, &command)?;
                let told = result.as_ref().map(Reply::from).map_err(|it| *it);
                same(&format!("the answer to {command:?}"), &told, &decided.result)?;
                same(&format!("the revision after {command:?}"), revision, &decided.revision)?;
                self.acknowledge(id, decided)
            }
        }
    }

    /// After a restart everything acknowledged is where it was.
    pub(crate) fn check_kept(&self, history: &History) -> Verdict {
        for (&(boot, counter), &(index, revision)) in &self.acknowledged {
            let kept = history.decided(ProposalId { member: self.member, boot, counter });
            let kept = kept.map(|decided| (decided.index, decided.revision));
            same("an acknowledged write", &kept, &Some((index, revision)))?;
        }
        Ok(())
    }

    fn acknowledge(&mut self, id: ProposalId, decided: &Decided) -> Verdict {
        require(decided.index > self.last_index, || format!("{id:?} is answered out of order"))?;
        self.last_index = decided.index;
        self.newest = self.newest.max(decided.revision);
        self.acknowledged.insert((id.boot, id.counter), (decided.index, decided.revision));
        let wrote = match &decided.result {
            Ok(Reply::Put { .. }) => true,
            Ok(Reply::DeleteRange { deleted, .. }) => *deleted > 0,
            _ => false,
        };
        if wrote {
            let other = self.authors.insert(decided.revision, id);
            let revision = decided.revision;
            require(other.is_none(), || format!("{id:?} and {other:?} share revision {revision}"))?;
        }
        Ok(())
    }
}
