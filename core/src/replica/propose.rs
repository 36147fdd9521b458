//! Stamps a command: from here on nothing about it is decided by a clock or a random number.

use crate::domain::Command;
use crate::raft::{Proposal, ProposalId};

/// Bits of a counter that name the serving thread to which the answer goes.
const THREAD_BITS: u32 = 8;
/// The replica's own proposals: no serving thread has this number.
const OWN_THREAD: u64 = (1 << THREAD_BITS) - 1;

/// Serving threads that counters can name.
pub const THREADS_MAX: usize = OWN_THREAD as usize;

/// Who proposes.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    pub member: u64,
    /// Random at each start.
    pub boot: u64,
}

impl Stamp {
    /// `steady_ms` is [`Board::steady_ms`](super::Board::steady_ms).
    pub fn proposal(self, counter: u64, steady_ms: i64, command: Command) -> Proposal {
        let id = ProposalId { member: self.member, boot: self.boot, counter };
        Proposal { id, proposed_at: steady_ms, command }
    }
}

/// The counter of the `number`th proposal of serving thread `thread`.
pub fn counter(thread: usize, number: u64) -> u64 {
    (number << THREAD_BITS) | thread as u64
}

pub(super) fn own_counter(number: u64) -> u64 {
    (number << THREAD_BITS) | OWN_THREAD
}

pub(super) fn is_own(counter: u64) -> bool {
    counter & OWN_THREAD == OWN_THREAD
}

/// The serving thread that waits for the answer.
pub fn thread_of(counter: u64) -> usize {
    (counter & OWN_THREAD) as usize
}
