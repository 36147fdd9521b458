//! Applies committed entries: decide each, commit all at once, and only then tell anyone.

use std::sync::Arc;

use bytes::Bytes;

use super::{Operation, Replica};
use crate::domain::effects::{Event, Mutation, Response};
use crate::domain::{Effects, Fault, Overlay, Rejection, foresight};
use crate::raft::driver::NotProposed;
use crate::raft::{Committed, Proposal, ProposalId, payload};
use crate::store::ahead::KEYS_MAX;
use crate::store::{Applied, Batch};

/// Entries that are decided and written together.
const GROUP_MAX: usize = 1000;
/// They end versions of about so many pieces of history: small entries may end large values.
const GROUP_PIECES: usize = 4;

/// What a turn says to the rest of the member.
#[derive(Debug, Default)]
pub struct Outputs {
    pub answers: Vec<Answer>,
    /// Changes to keys, in order, visible to readers already.
    pub events: Vec<Arc<EventBatch>>,
    /// Reads that may be answered now.
    pub reads: Vec<u64>,
    /// The highest revision that was compacted.
    pub compacted: Option<i64>,
    /// Whether the log was synced, and whether rows were written.
    pub synced: bool,
    pub wrote: bool,
}

/// The answer to a proposal of this member.
#[derive(Debug)]
pub struct Answer {
    pub counter: u64,
    pub outcome: Outcome,
}

#[derive(Debug)]
pub enum Outcome {
    /// Applied; `revision` is the newest one right after it.
    Decided { result: Result<Response, Rejection>, revision: i64 },
    /// Not done, or not known: after [`Unavailable::TimedOut`] it may yet be applied.
    Unavailable(Unavailable),
}

/// Why a member cannot do it: elsewhere, or later, it may work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    #[error("no leader")]
    NoLeader,
    #[error("too many requests")]
    Overloaded,
    #[error("the member is stopping")]
    Stopping,
    #[error("no answer in time")]
    TimedOut,
}

/// Changes that became visible together.
#[derive(Debug)]
pub struct EventBatch {
    pub events: Vec<Event>,
    /// The newest revision with them.
    pub revision: i64,
}

/// A committed entry as it is decided.
struct Decoded {
    position: Applied,
    /// `None` in the entry with which a leader begins its term.
    proposal: Option<Proposal>,
}

impl TryFrom<Committed> for Decoded {
    type Error = Fault;

    fn try_from(entry: Committed) -> Result<Self, Fault> {
        let position = Applied { index: entry.index, term: entry.term };
        let is_empty = entry.payload.is_empty();
        let proposal = if is_empty { None } else { Some(payload::decode(entry.payload)?) };
        Ok(Self { position, proposal })
    }
}

impl Decoded {
    fn reads_history(&self) -> bool {
        self.proposal.as_ref().is_some_and(|proposal| proposal.command.reads_history())
    }
}

/// The keys whose rows the group will ask for, one by one; not more than are worth it.
fn keys_of(group: &[Decoded]) -> Vec<Bytes> {
    let mut keys = Vec::with_capacity(group.len());
    for proposal in group.iter().filter_map(|entry| entry.proposal.as_ref()) {
        foresight::keys(&proposal.command, &mut |key| {
            if keys.len() < KEYS_MAX {
                keys.push(key.clone());
            }
        });
    }
    keys
}

impl From<NotProposed> for Unavailable {
    fn from(refused: NotProposed) -> Self {
        match refused {
            NotProposed::NoLeader => Self::NoLeader,
            NotProposed::Overloaded => Self::Overloaded,
        }
    }
}

impl Replica {
    /// The page that tells the story of a write.
    pub(super) fn apply(
        &mut self,
        entries: Vec<Committed>,
        outputs: &mut Outputs,
    ) -> Result<(), Fault> {
        let mut group = Vec::with_capacity(entries.len().min(GROUP_MAX));
        for entry in entries {
            let entry = Decoded::try_from(entry)?;
            // What reads history reads what only committed rows can show.
            if group.len() == GROUP_MAX || entry.reads_history() {
                self.apply_group(std::mem::take(&mut group), outputs)?;
            }
            group.push(entry);
        }
        self.apply_group(group, outputs)
    }

    fn apply_group(&mut self, group: Vec<Decoded>, outputs: &mut Outputs) -> Result<(), Fault> {
        let mut left = group.into_iter();
        while left.len() > 0 {
            let decided = self.decide(&mut left)?;
            self.commit(decided, outputs)?;
        }
        Ok(())
    }

    /// Decides one entry after the other, each on what those before it leave behind; as many as
    /// one write should hold.
    fn decide(
        &mut self,
        left: &mut std::vec::IntoIter<Decoded>,
    ) -> Result<Vec<(ProposalId, Effects)>, Fault> {
        // A disk that hangs is not a loop that does; and what would make a rule loop would make it
        // loop again after a restart.
        self.board.enter(Operation::StoreRead);
        let store = self.store.clone();
        let ahead = store.read_ahead(keys_of(left.as_slice()))?;
        let rows = store.newest().with(&ahead);
        let mut pending = Overlay::new(&rows);
        let mut decided = Vec::with_capacity(left.len());
        let mut ended_bytes = 0;
        for Decoded { position, proposal } in left.by_ref() {
            if let Some(Proposal { id, proposed_at, command }) = proposal {
                let effects = self.machine.apply(&mut pending, proposed_at, command)?;
                ended_bytes += self.stage(&effects)?;
                decided.push((id, effects));
            }
            self.applied = position;
            if ended_bytes > GROUP_PIECES * self.config.history_piece_bytes {
                break;
            }
        }
        Ok(decided)
    }

    /// What is to be written for a change. The history of a large one goes ahead of it, in pieces:
    /// one delete may end gigabytes, which no single write could hold in memory. Nobody reads it
    /// before the revision that ends it is there, and after a crash the entry writes it again.
    /// Answers how many bytes of history there are.
    fn stage(&mut self, effects: &Effects) -> Result<usize, Fault> {
        let piece_bytes = self.config.history_piece_bytes;
        let ended_bytes = effects.superseded_bytes();
        let is_large = ended_bytes > piece_bytes;
        let mut piece = Batch::default();
        for mutation in &effects.mutations {
            if !(is_large && matches!(mutation, Mutation::Supersede { .. })) {
                self.batch.stage(mutation);
                continue;
            }
            piece.stage(mutation);
            if piece.encoded_bytes() > piece_bytes {
                self.write_ahead(&mut piece)?;
            }
        }
        if is_large {
            self.write_ahead(&mut piece)?;
        }
        Ok(ended_bytes)
    }

    fn write_ahead(&mut self, piece: &mut Batch) -> Result<(), Fault> {
        piece.sort();
        self.board.enter(Operation::StoreWrite);
        self.store.engine().write(piece)?;
        self.board.enter(Operation::StoreRead);
        piece.clear();
        Ok(())
    }

    /// One write for everything decided, with the applied index in it; then publish, then answer.
    fn commit(
        &mut self,
        decided: Vec<(ProposalId, Effects)>,
        outputs: &mut Outputs,
    ) -> Result<(), Fault> {
        let mutations = decided.iter().flat_map(|(_, effects)| &effects.mutations);
        let births = self.store.counts().stage(&self.store.newest(), mutations, &mut self.batch)?;
        self.batch.set_state(&self.machine, self.applied);
        self.batch.sort();
        self.board.stage(self.machine.revision);
        self.board.enter(Operation::StoreWrite);
        self.store.engine().write(&self.batch)?;
        self.board.leave();
        self.batch.clear();
        self.store.counts().commit(&births, self.machine.revision);
        self.board.publish(self.machine.revision, self.machine.compacted, self.now_ms);
        // Whoever hears the answer may look at the board next.
        self.board.show_machine(&self.machine);
        outputs.wrote = true;
        self.tell(decided, outputs);
        Ok(())
    }

    fn tell(&mut self, decided: Vec<(ProposalId, Effects)>, outputs: &mut Outputs) {
        let mut events = Vec::new();
        for (id, effects) in decided {
            for mutation in &effects.mutations {
                self.follow(mutation, outputs);
            }
            events.extend(effects.events);
            if id.member == self.config.member && id.boot == self.config.boot {
                if effects.outcome.is_err() {
                    self.not_revoked(id.counter);
                }
                let Effects { outcome: result, revision, .. } = effects;
                let outcome = Outcome::Decided { result, revision };
                outputs.answers.push(Answer { counter: id.counter, outcome });
            }
        }
        if !events.is_empty() {
            let revision = self.machine.revision;
            outputs.events.push(Arc::new(EventBatch { events, revision }));
        }
    }

    /// What this member does about a mutation beside storing it.
    fn follow(&mut self, mutation: &Mutation, outputs: &mut Outputs) {
        match mutation {
            Mutation::SetLease { id, ttl } => {
                self.leases.granted(*id, *ttl, self.now_ms);
            }
            Mutation::RemoveLease { id } => {
                self.leases.revoked(*id);
                self.revoking.remove(id);
            }
            Mutation::Compacted { revision } => outputs.compacted = Some(*revision),
            Mutation::Mark { unix_ms, .. } => {
                self.time.marked(*unix_ms);
                self.show_time();
            }
            Mutation::SetLive { .. }
            | Mutation::RemoveLive { .. }
            | Mutation::Supersede { .. }
            | Mutation::LogEvent(_)
            | Mutation::LogBirth { .. }
            | Mutation::Attach { .. }
            | Mutation::Detach { .. }
            | Mutation::SetAlarms(_)
            | Mutation::SetMember(_)
            | Mutation::Unmark { .. } => {}
        }
    }
}
