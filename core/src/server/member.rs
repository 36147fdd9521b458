//! The consensus thread: the one place where the replica is stepped in production.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::upkeep::Upkeep;
use super::{Fault, Ports, serving, spawn};
use crate::api::metrics::Metrics;
use crate::clock;
use crate::replica::{Board, Inbox, Outputs, Replica};

/// All that the thread holds.
pub(super) struct Consensus {
    pub replica: Replica,
    pub inbox: Arc<Inbox>,
    pub ports: Ports,
    pub upkeep: Arc<Upkeep>,
    pub board: Arc<Board>,
    pub metrics: Arc<Metrics>,
    pub tick: Duration,
    /// Becomes true when everything that was in the log is applied.
    pub recovered: watch::Sender<bool>,
    pub faults: mpsc::Sender<Fault>,
}

pub(super) fn start(consensus: Consensus) -> Result<std::thread::JoinHandle<()>, Fault> {
    spawn("consensus".to_owned(), move || {
        let faults = consensus.faults.clone();
        if let Err(fault) = consensus.run() {
            // The receiver is gone only when the process ends anyway.
            drop(faults.blocking_send(fault));
        }
    })
}

impl Consensus {
    /// Takes all that waits, makes turns until there is nothing to do, and tells everybody once.
    fn run(mut self) -> Result<(), Fault> {
        let mut inputs = Vec::new();
        let mut next_tick = Instant::now();
        loop {
            let patience = next_tick.saturating_duration_since(Instant::now());
            self.inbox.take(&mut inputs, patience);
            let is_last = self.inbox.is_closed();
            let mut outputs = Outputs::default();
            self.replica.set_now(clock::monotonic_ms());
            if Instant::now() >= next_tick {
                self.replica.tick(&mut outputs);
                next_tick = Instant::now() + self.tick;
            }
            for input in inputs.drain(..) {
                self.replica.step(input, &mut outputs)?;
            }
            while self.turn(&mut outputs)? {}
            self.tell(&mut outputs);
            if is_last {
                return Ok(());
            }
        }
    }

    /// The answers to one group are sent while the next one's sync is under way.
    fn turn(&mut self, outputs: &mut Outputs) -> Result<bool, Fault> {
        let began = self.replica.begin()?;
        let applied = self.replica.apply_committed(outputs)?;
        if applied {
            self.tell(outputs);
        }
        self.replica.finish(outputs)?;
        Ok(began || applied)
    }

    fn tell(&mut self, outputs: &mut Outputs) {
        if std::mem::take(&mut outputs.synced) {
            self.metrics.log_sync.observe(self.board.last_sync_us() as f64 / 1e6);
        }
        if std::mem::take(&mut outputs.wrote) {
            self.metrics.store_write.observe(self.board.last_write_us() as f64 / 1e6);
        }
        if let Some(compacted) = outputs.compacted.take() {
            self.upkeep.compacted(compacted);
        }
        serving::deliver(&self.ports, outputs);
        if !*self.recovered.borrow() {
            let (done, total) = self.replica.replay_progress();
            self.board.show_replay(done, total);
            if self.replica.is_recovered() {
                self.recovered.send_replace(true);
            }
        }
    }
}
