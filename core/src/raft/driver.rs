//! The one loop over the raft library, as steps.
//!
//! The caller gives ticks, proposals and reads, and makes turns as long as there is anything to do.
//! A [`Turn`] has appended to the log and synced it once for all that waited; what it hands out as
//! committed is durable on a quorum. It comes in two halves, [`Driver::begin`] and
//! [`Driver::finish`], so that the caller can apply what an earlier turn committed while the disk
//! is busy. Where nothing has begun, the second brings nothing.

use std::collections::BTreeSet;

use bytes::Bytes;
use protobuf::Message as _;
use raft::eraftpb::{ConfState, Entry, EntryType};
use raft::{Config, RawNode, Ready, StateRole};

use super::log::LogStore;
use super::log_view::LogView;
use super::slog_bridge;
use crate::domain::Fault;

/// Ticks between heartbeats of a leader.
const HEARTBEAT_TICKS: usize = 1;
/// Bytes of entries that one message may carry. 0 would mean one entry a message.
const MESSAGE_BYTES_MAX: u64 = 1 << 20;
/// Bytes of committed entries that one turn hands out; the rest follows in the next.
const TURN_BYTES_MAX: u64 = 16 << 20;

/// What a driver is told once.
#[derive(Debug, Clone, Copy)]
pub struct DriverConfig {
    pub member: u64,
    /// A follower that hears nothing for this many ticks becomes a candidate.
    pub election_ticks: usize,
}

/// A committed entry, to be applied in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub index: u64,
    pub term: u64,
    /// Empty in the entry with which a leader begins its term.
    pub payload: Bytes,
}

/// What one step of consensus brought.
#[derive(Debug, Default)]
pub struct Turn {
    pub committed: Vec<Committed>,
    /// Reads that were asked for, with the index that must be applied before they may be answered.
    pub reads: Vec<(u64, u64)>,
    /// How long the log's sync took, in microseconds, if there was one.
    pub synced_us: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    #[default]
    Follower,
    Candidate,
    Leader,
    Learner,
}

/// Where this member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    pub role: Role,
    pub term: u64,
    /// 0: unknown.
    pub leader: u64,
    pub commit: u64,
    /// It votes, and nobody else does.
    pub is_sole_voter: bool,
    /// It leads and has committed an entry of its term: it knows what is committed.
    pub leads_with_commit: bool,
}

/// Why a proposal was not taken. Nothing happened: it may be tried elsewhere or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotProposed {
    #[error("no leader")]
    NoLeader,
    #[error("too much is waiting to be committed")]
    Overloaded,
}

/// Consensus for one member.
pub struct Driver {
    node: RawNode<LogView>,
    /// A turn whose second half is to come.
    begun: Option<Ready>,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("standing", &self.standing()).finish()
    }
}

/// The configuration of a cluster of one.
pub fn sole_voter(member: u64) -> Bytes {
    let configuration = ConfState::from((vec![member], vec![]));
    configuration.write_to_bytes().unwrap_or_default().into()
}

impl Driver {
    /// Opens the log. `applied` is the newest entry whose effects are stored, and
    /// `configuration` who voted then.
    pub fn open(
        config: DriverConfig,
        log: Box<dyn LogStore>,
        configuration: &[u8],
        applied: u64,
    ) -> Result<Self, Fault> {
        let view = LogView::open(log, decode_configuration(configuration)?, applied)?;
        let raft = Config {
            id: config.member,
            election_tick: config.election_ticks,
            // The library draws from a generator of the thread, which no seed reaches: with these
            // two side by side there is nothing left to draw.
            min_election_tick: config.election_ticks,
            max_election_tick: config.election_ticks + 1,
            heartbeat_tick: HEARTBEAT_TICKS,
            applied,
            max_size_per_msg: MESSAGE_BYTES_MAX,
            max_inflight_msgs: 256,
            max_committed_size_per_ready: TURN_BYTES_MAX,
            check_quorum: true,
            pre_vote: true,
            ..Config::default()
        };
        let node = RawNode::new(&raft, view, &slog_bridge::logger())
            .map_err(|error| Fault::corrupt(format!("the raft log: {error}")))?;
        Ok(Self { node, begun: None })
    }

    /// One tick of the clock.
    pub fn tick(&mut self) {
        self.node.tick();
    }

    /// Whoever is alone need not wait for an election timeout.
    pub fn campaign_if_alone(&mut self) {
        if self.standing().is_sole_voter {
            // It fails only when a campaign is under way already.
            drop(self.node.campaign());
        }
    }

    pub fn propose(&mut self, payload: Vec<u8>) -> Result<(), NotProposed> {
        self.node.propose(Vec::new(), payload).map_err(|_dropped| {
            if self.node.raft.leader_id == 0 {
                NotProposed::NoLeader
            } else {
                NotProposed::Overloaded
            }
        })
    }

    /// Asks for the index at which reads that wait now become linearizable. The answer comes in a
    /// later turn with the same `context`, or never: ask again.
    pub fn read_index(&mut self, context: u64) {
        self.node.read_index(context.to_be_bytes().to_vec());
    }

    /// The first half of a turn: appends what waits. Answers whether there was anything; then
    /// [`Self::finish`] must follow. Before it the driver may be looked at ([`Self::standing`]) and
    /// must be given nothing: no tick, no proposal, no read, no second turn.
    ///
    /// With `overlap`, the sync begins here, and the caller has something to do meanwhile.
    pub fn begin(&mut self, overlap: bool) -> Result<bool, Fault> {
        if !self.node.has_ready() {
            return Ok(false);
        }
        let mut ready = self.node.ready();
        let entries = ready.take_entries();
        if !entries.is_empty() || ready.hs().is_some() {
            self.node.mut_store().append(entries, ready.hs())?;
        }
        if overlap && ready.must_sync() {
            self.node.mut_store().start_sync()?;
        }
        self.begun = Some(ready);
        Ok(true)
    }

    /// The second half: what was appended is durable, and what is committed by that comes out.
    pub fn finish(&mut self, syncing: &mut dyn FnMut(bool)) -> Result<Turn, Fault> {
        let mut turn = Turn::default();
        let Some(mut ready) = self.begun.take() else { return Ok(turn) };
        if ready.must_sync() {
            syncing(true);
            self.node.mut_store().sync()?;
            syncing(false);
            turn.synced_us = Some(self.node.mut_store().last_sync_us());
        }
        collect(&mut turn, ready.take_committed_entries())?;
        for read in ready.take_read_states() {
            if let Ok(context) = read.request_ctx.as_slice().try_into() {
                turn.reads.push((u64::from_be_bytes(context), read.index));
            }
        }
        let mut light = self.node.advance_append(ready);
        if let Some(commit) = light.commit_index() {
            self.node.mut_store().set_commit(commit);
        }
        collect(&mut turn, light.take_committed_entries())?;
        Ok(turn)
    }

    /// Everything up to `index` is applied.
    pub fn applied_to(&mut self, index: u64) {
        self.node.advance_apply_to(index);
    }

    /// Forgets log entries up to `index`, whose effects are durable; up to `keep` of them stay,
    /// for followers that are behind.
    pub fn truncate(&mut self, index: u64, keep: u64) -> Result<(), Fault> {
        self.node.mut_store().truncate(index, keep)
    }

    pub fn standing(&self) -> Standing {
        let raft = &self.node.raft;
        let configuration = self.node.store().configuration();
        let is_sole_voter =
            configuration.voters == [raft.id] && configuration.voters_outgoing.is_empty();
        let leads = raft.state == StateRole::Leader;
        Standing {
            role: match raft.state {
                StateRole::Leader => Role::Leader,
                StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
                StateRole::Follower if configuration.learners.contains(&raft.id) => Role::Learner,
                StateRole::Follower => Role::Follower,
            },
            term: raft.term,
            leader: raft.leader_id,
            commit: raft.raft_log.committed,
            is_sole_voter,
            leads_with_commit: leads && raft.commit_to_current_term(),
        }
    }

    /// The newest index known to be committed when the log was opened.
    pub fn committed_at_open(&self) -> u64 {
        self.node.store().commit()
    }
}

/// Who votes, as stored. What the library cannot take must end here: it would end the process.
fn decode_configuration(bytes: &[u8]) -> Result<ConfState, Fault> {
    let damaged = |why: &str| Fault::corrupt(format!("the stored configuration {why}"));
    let configuration = ConfState::parse_from_bytes(bytes)
        .map_err(|error| damaged(&format!("does not decode: {error}")))?;
    if configuration.voters.is_empty() {
        return Err(damaged("has no voters"));
    }
    let ConfState { voters_outgoing, learners_next, auto_leave, .. } = &configuration;
    if *auto_leave || !voters_outgoing.is_empty() || !learners_next.is_empty() {
        return Err(damaged("changes the members, which this version does not do"));
    }
    let members = || configuration.voters.iter().chain(&configuration.learners);
    let distinct: BTreeSet<u64> = members().copied().filter(|id| *id != 0).collect();
    if distinct.len() < members().count() {
        return Err(damaged("has a member twice, or one without an id"));
    }
    Ok(configuration)
}

fn collect(turn: &mut Turn, entries: Vec<Entry>) -> Result<(), Fault> {
    for entry in entries {
        if entry.get_entry_type() != EntryType::EntryNormal {
            return Err(Fault::corrupt(format!(
                "entry {} changes the members, which this version does not do",
                entry.index
            )));
        }
        let Entry { index, term, data, .. } = entry;
        turn.committed.push(Committed { index, term, payload: data });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::log_memory::MemoryLog;
    use crate::raft::{LogEntry, LogVote, LogWrite};

    const CONFIG: DriverConfig = DriverConfig { member: 1, election_ticks: 10 };

    fn configured(configuration: &[u8]) -> Result<Driver, Fault> {
        Driver::open(CONFIG, Box::new(MemoryLog::starting_at(1, 1)), configuration, 1)
    }

    /// Opens a log that begins behind 1 at term 1, with entries of these terms.
    fn logged(vote: LogVote, terms: &[u64]) -> Result<Driver, Fault> {
        let entries = (2..).zip(terms).map(|(index, term)| LogEntry {
            index,
            term: *term,
            kind: 0,
            data: Bytes::new(),
        });
        let mut log = MemoryLog::starting_at(1, 1);
        log.append(&LogWrite { entries: entries.collect(), vote: Some(vote) })?;
        Driver::open(CONFIG, Box::new(log), &sole_voter(1), 1)
    }

    #[test]
    fn a_configuration_that_cannot_be_is_damage() {
        let encode = |voters: &[u64], learners: &[u64]| {
            let configuration = ConfState::from((voters.to_vec(), learners.to_vec()));
            configuration.write_to_bytes().unwrap()
        };
        assert!(configured(&encode(&[1, 2, 3], &[4])).is_ok());
        assert!(configured(&encode(&[], &[])).is_err(), "nobody votes");
        assert!(configured(&encode(&[1, 1], &[])).is_err(), "a voter twice");
        assert!(configured(&encode(&[1, 2], &[2])).is_err(), "a voter that learns");
        assert!(configured(&encode(&[1, 0], &[])).is_err(), "a member without an id");
    }

    #[test]
    fn a_log_whose_terms_cannot_be_is_damage() {
        let vote = LogVote { term: 3, vote: 1, commit: 1 };
        assert!(logged(vote, &[1, 1, 3]).is_ok());
        assert!(logged(vote, &[2, 1]).is_err(), "a term that goes back");
        assert!(logged(vote, &[4]).is_err(), "a term that nobody voted in");
        let endless = LogVote { term: u64::MAX, ..vote };
        assert!(logged(endless, &[1]).is_err(), "no term comes after the last number");
    }
}
