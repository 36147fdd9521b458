//! One serving thread: the requests that wait on it, its watchers, and what the replica sends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tonic::Status;

use super::context::Context;
use super::etcd::status;
use super::etcd::watch::Watching;
use super::waiting::Waiting;
use crate::domain::alarm::AlarmCause;
use crate::domain::effects::Response;
use crate::domain::{Command, Event, Rejection};
use crate::replica::{Answer, Board, EventBatch, Input, Outcome, Unavailable};

/// Bytes of events that may wait for a serving thread; beyond, its watchers read them from disk.
const EVENT_BYTES_MAX: usize = 64 << 20;

/// The mailbox of a serving thread, filled by the consensus thread: whenever it has something to
/// tell, so that one look may find the mail of several turns.
#[derive(Debug, Default)]
pub struct EdgePort {
    mail: Mutex<Mail>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Mail {
    answers: Vec<Answer>,
    reads: Vec<u64>,
    batches: Vec<Arc<EventBatch>>,
    event_bytes: usize,
    /// Events up to this revision were thrown away.
    gap: i64,
}

impl EdgePort {
    /// Puts in what there is to tell. Beyond the bound all events that wait are thrown away.
    pub fn deliver(&self, answers: Vec<Answer>, reads: Vec<u64>, batches: &[Arc<EventBatch>]) {
        let mut mail = self.mail.lock();
        mail.answers.extend(answers);
        mail.reads.extend(reads);
        for batch in batches {
            mail.event_bytes += batch.events.iter().map(Event::weight).sum::<usize>();
            mail.batches.push(Arc::clone(batch));
        }
        if mail.event_bytes > EVENT_BYTES_MAX {
            mail.gap = mail.batches.last().map_or(mail.gap, |batch| batch.revision);
            mail.batches.clear();
            mail.event_bytes = 0;
        }
        drop(mail);
        self.arrived.notify_one();
    }
}

/// A serving thread. That thread alone touches what is here, but for the port. The admin service's
/// edge is shared: the main thread proposes by it once, at the start, and from then on the admin
/// thread, which hands out its mail. Nobody watches there.
#[derive(Debug)]
pub struct Edge {
    pub context: Arc<Context>,
    pub watching: Watching,
    port: Arc<EdgePort>,
    proposals: Arc<Waiting<Outcome>>,
    reads: Arc<Waiting<()>>,
    /// Calls under way that end by themselves, until their answer is handed to the connection:
    /// those with one answer, and range streams.
    pub finite_calls: AtomicUsize,
}

/// Counts a call that ends by itself while it lives: a stop waits for it.
pub struct UnderWay(Arc<Edge>);

impl UnderWay {
    pub fn on(edge: &Arc<Edge>) -> Self {
        edge.finite_calls.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(edge))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.finite_calls.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Edge {
    pub fn new(number: usize, context: Arc<Context>, port: Arc<EdgePort>) -> Arc<Self> {
        Arc::new(Self {
            watching: Watching::new(&context),
            context,
            port,
            proposals: Waiting::new(number),
            reads: Waiting::new(number),
            finite_calls: AtomicUsize::new(0),
        })
    }

    /// Hands out what the replica sends, for ever.
    pub async fn hand_out(self: Arc<Self>) {
        loop {
            self.port.arrived.notified().await;
            let mail = std::mem::take(&mut *self.port.mail.lock());
            // Events first: whoever hears of its own write may ask for progress at once.
            if mail.gap > 0 {
                self.watching.gap(mail.gap);
            }
            for batch in &mail.batches {
                self.watching.publish(batch);
            }
            for answer in mail.answers {
                self.proposals.answer(answer.counter, answer.outcome);
            }
            for context in mail.reads {
                self.reads.answer(context, ());
            }
        }
    }

    /// Replicates a command and waits until it is applied. Answers what it came to, and the
    /// newest revision then.
    pub async fn propose(&self, command: Command) -> Result<(Response, i64), Status> {
        if let Err(cause) = self.context.quota.admits(&command) {
            self.raise_no_space(cause).await;
            return Err(status::rejected(Rejection::NoSpace));
        }
        match self.replicate(command).await? {
            (Ok(response), revision) => Ok((response, revision)),
            (Err(rejection), _) => Err(status::rejected(rejection)),
        }
    }

    async fn replicate(
        &self,
        command: Command,
    ) -> Result<(Result<Response, Rejection>, i64), Status> {
        let mut ticket = self.proposals.issue();
        let _pending = Pending::on(&self.context.board);
        let stamp = self.context.stamp;
        let proposal = stamp.proposal(ticket.counter, self.context.board.steady_ms(), command);
        self.context.inbox.put(Input::Propose(proposal)).map_err(status::unavailable)?;
        let patience = self.context.limits.request_timeout();
        let outcome = match tokio::time::timeout(patience, ticket.answer()).await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => Outcome::Unavailable(Unavailable::Stopping),
            Err(_elapsed) => Outcome::Unavailable(Unavailable::TimedOut),
        };
        match outcome {
            Outcome::Decided { result, revision } => Ok((result, revision)),
            Outcome::Unavailable(unavailable) => {
                self.context.metrics.proposals_failed.inc();
                Err(status::unavailable(unavailable))
            }
        }
    }

    /// Returns when a read of the newest rows shows everything that was acknowledged before.
    pub async fn linearize(&self) -> Result<(), Status> {
        if self.context.board.reads_are_linear() {
            return Ok(());
        }
        let mut ticket = self.reads.issue();
        let input = Input::Read { context: ticket.counter };
        self.context.inbox.put(input).map_err(status::unavailable)?;
        let patience = self.context.limits.request_timeout();
        match tokio::time::timeout(patience, ticket.answer()).await {
            Ok(Some(())) => Ok(()),
            Ok(None) => Err(status::unavailable(Unavailable::Stopping)),
            Err(_elapsed) => Err(status::unavailable(Unavailable::TimedOut)),
        }
    }

    /// The first who is refused raises the alarm, before it hears of the refusal.
    async fn raise_no_space(&self, cause: AlarmCause) {
        if let Some((command, _proposing)) = self.context.quota.alarm(cause) {
            // If it could not be raised, a later refusal tries again.
            let _tried = self.replicate(command).await;
        }
    }
}

/// Counts a proposal as pending while it lives.
struct Pending<'b>(&'b AtomicUsize);

impl<'b> Pending<'b> {
    fn on(board: &'b Board) -> Self {
        board.pending_proposals.fetch_add(1, Ordering::Relaxed);
        Self(&board.pending_proposals)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
