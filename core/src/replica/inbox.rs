//! What waits for the consensus thread: bounded in number and in bytes.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::Unavailable;
use crate::domain::command::Command;
use crate::raft::Proposal;

/// Inputs that may wait; beyond, a proposal is refused (etcd: 5,000 committed and not applied).
const INPUTS_MAX: usize = 5_000;
/// Bytes of proposals that may wait.
const BYTES_MAX: u64 = 64 << 20;

/// Something for the replica.
#[derive(Debug)]
pub enum Input {
    Propose(Proposal),
    /// A linearizable read wants to know when it may read.
    Read {
        context: u64,
    },
    /// The effects of all entries up to `index` are durable.
    Durable {
        index: u64,
    },
}

/// A queue with one taker.
#[derive(Debug, Default)]
pub struct Inbox {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    inputs: Vec<Input>,
    bytes: u64,
    closed: bool,
    is_taker_waiting: bool,
}

impl Inbox {
    /// Puts an input in. Refused when too much waits, or when nobody will take it any more.
    pub fn put(&self, input: Input) -> Result<(), Unavailable> {
        let bytes = cost(&input);
        let mut queue = self.queue.lock();
        if queue.closed {
            return Err(Unavailable::Stopping);
        }
        let is_full = queue.inputs.len() >= INPUTS_MAX || queue.bytes + bytes > BYTES_MAX;
        if is_full && !queue.inputs.is_empty() {
            return Err(Unavailable::Overloaded);
        }
        queue.bytes += bytes;
        queue.inputs.push(input);
        if std::mem::take(&mut queue.is_taker_waiting) {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Takes everything, waiting at most `patience` for something to come.
    pub fn take(&self, into: &mut Vec<Input>, patience: Duration) {
        let mut queue = self.queue.lock();
        if queue.inputs.is_empty() && !queue.closed && !patience.is_zero() {
            queue.is_taker_waiting = true;
            self.arrived.wait_for(&mut queue, patience);
            queue.is_taker_waiting = false;
        }
        queue.bytes = 0;
        into.append(&mut queue.inputs);
    }

    /// From now on nothing is taken in.
    pub fn close(&self) {
        self.queue.lock().closed = true;
        self.arrived.notify_one();
    }

    pub fn is_closed(&self) -> bool {
        self.queue.lock().closed
    }

    pub fn waiting(&self) -> usize {
        self.queue.lock().inputs.len()
    }
}

fn cost(input: &Input) -> u64 {
    match input {
        Input::Propose(proposal) => match &proposal.command {
            Command::Put(_) | Command::Txn(_) => proposal.command.cost(),
            _ => 256,
        },
        Input::Read { .. } | Input::Durable { .. } => 64,
    }
}
