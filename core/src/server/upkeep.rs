//! What happens beside the requests: making rows durable so that the log may be cut, letting go
//! of compacted history, and looking at the disk.
//!
//! `upkeep` does what is quick, each second; `reclaim` gives space back, which may take long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{mpsc, watch};

use super::{Fault, spawn};
use crate::api::Context;
use crate::clock;
use crate::domain::alarm::AlarmKind;
use crate::replica::{Board, Input};
use crate::store::Store;

const INTERVAL: Duration = Duration::from_secs(1);
/// Bytes of compacted history that are not worth the work of giving them back.
const RECLAIM_MIN: i64 = 16 << 20;
/// At most so often all that was deleted is taken out of the files.
const EMPTY_EVERY_MS: i64 = 5_000;
/// After this long without a sidecar nobody compacts: an operator should know.
const ALONE_MS: i64 = 10 * 60 * 1000;

/// What the thread is asked.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    asked: Mutex<Asked>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Asked {
    compacted: Option<i64>,
    stop: bool,
}

impl Upkeep {
    /// History up to `revision` is not needed any more.
    pub(super) fn compacted(&self, revision: i64) {
        self.asked.lock().compacted = Some(revision);
        self.changed.notify_one();
    }

    pub(super) fn stop(&self) {
        self.asked.lock().stop = true;
        self.changed.notify_one();
    }

    /// Waits for the next round; `None` when there is none.
    fn wait(&self) -> Option<Option<i64>> {
        let mut asked = self.asked.lock();
        if !asked.stop && asked.compacted.is_none() {
            self.changed.wait_for(&mut asked, INTERVAL);
        }
        (!asked.stop).then(|| asked.compacted.take())
    }
}

/// What the thread `reclaim` is asked.
#[derive(Debug)]
struct Garbage {
    /// The newest revision whose space is to come back.
    revision: AtomicI64,
    /// Whether what was deleted is to go too.
    deleted: AtomicBool,
    /// Whether there was no room to do it: it is to be tried again.
    is_left: AtomicBool,
}

pub(super) fn start(
    context: &Arc<Context>,
    store: Store,
    reclaimed: watch::Sender<i64>,
    faults: mpsc::Sender<Fault>,
) -> Result<Arc<Upkeep>, Fault> {
    let upkeep = Arc::new(Upkeep::default());
    let garbage = Arc::new(Garbage {
        revision: AtomicI64::new(-1),
        deleted: AtomicBool::new(false),
        is_left: AtomicBool::new(false),
    });
    // One call is enough, however many compactions there are: the newest covers the older.
    let (call, called) = sync_channel(1);
    let (rows, failed, newest) = (store.clone(), faults.clone(), Arc::clone(&garbage));
    let board = Arc::clone(&context.board);
    spawn("reclaim".to_owned(), move || {
        if let Err(fault) = reclaim(&rows, &board, &newest, &called, &reclaimed) {
            drop(failed.blocking_send(fault));
        }
    })?;
    let mut rounds = Rounds {
        context: Arc::clone(context),
        store,
        released: *context.reclaim.done.borrow(),
        forgotten: context.board.history_bytes().1,
        garbage,
        call,
        durable: 0,
        emptied: 0,
        emptied_at: clock::monotonic_ms(),
        has_warned: false,
    };
    rounds.look()?;
    let asked = Arc::clone(&upkeep);
    spawn("upkeep".to_owned(), move || {
        while let Some(compacted) = asked.wait() {
            if let Err(fault) = rounds.round(compacted) {
                drop(faults.blocking_send(fault));
                return;
            }
        }
    })?;
    Ok(upkeep)
}

struct Rounds {
    context: Arc<Context>,
    store: Store,
    /// History up to here may go.
    released: i64,
    /// Bytes that were compacted away when space was last given back.
    forgotten: i64,
    garbage: Arc<Garbage>,
    call: SyncSender<()>,
    /// Entries up to here need not be replayed.
    durable: u64,
    /// What the entries up to here deleted is out of the files, or going.
    emptied: u64,
    /// When that was found, on the monotonic clock.
    emptied_at: i64,
    has_warned: bool,
}

impl Rounds {
    fn round(&mut self, compacted: Option<i64>) -> Result<(), Fault> {
        let applied = self.context.board.applied_index();
        if applied > self.durable || compacted.is_some() {
            self.store.engine().sync()?;
            self.durable = applied;
            // A full inbox has better things to do than to cut the log.
            let _refused = self.context.inbox.put(Input::Durable { index: applied });
        }
        if let Some(compacted) = compacted {
            // The record of the compaction is durable now.
            self.store.engine().release_history(compacted);
            self.released = compacted;
        }
        self.look()?;
        self.reclaim_if_due();
        Ok(())
    }

    /// Giving space back rewrites what is kept: done when enough has gone, or somebody waits.
    fn reclaim_if_due(&mut self) {
        let reclaim = &self.context.reclaim;
        let is_wanted = reclaim.wanted.load(Ordering::Acquire) > *reclaim.done.borrow();
        let (kept, forgotten) = self.context.board.history_bytes();
        let is_worth_it = forgotten - self.forgotten > RECLAIM_MIN.max(kept / 4);
        let is_stuck = self.is_stuck();
        if is_stuck {
            self.emptied = self.durable;
            self.emptied_at = clock::monotonic_ms();
            self.garbage.deleted.store(true, Ordering::Release);
        }
        let is_left = self.garbage.is_left.swap(false, Ordering::AcqRel);
        if is_wanted || is_worth_it || is_stuck || is_left {
            // Files are written before others can go.
            self.context.quota.make_room();
            self.forgotten = forgotten;
            self.garbage.revision.fetch_max(self.released, Ordering::AcqRel);
            // A call that waits already will find this revision too.
            let _called = self.call.try_send(());
        }
    }

    /// Under the alarm NOSPACE nothing grows, so no file fills up and is rewritten by itself: what
    /// was deleted to make room would keep its space. Once for each change is enough, and not for
    /// every one of many deletes in a row.
    fn is_stuck(&self) -> bool {
        let board = &self.context.board;
        let kept = board.logical_bytes();
        let gone = self.context.quota.physical_bytes() - kept;
        board.has_alarm(AlarmKind::NoSpace)
            && gone > RECLAIM_MIN.max(kept / 4)
            && self.durable > self.emptied
            && clock::monotonic_ms() - self.emptied_at > EMPTY_EVERY_MS
    }

    /// What the board shows of the disk.
    fn look(&mut self) -> Result<(), Fault> {
        let context = &self.context;
        let read = context.reader.get(b"\0");
        context.board.show_local_read(read.is_ok(), clock::monotonic_ms());
        read?;
        context.quota.look(context.reader.physical_bytes());
        self.warn_if_alone();
        Ok(())
    }

    /// Core does not compact by itself.
    fn warn_if_alone(&mut self) {
        let now = clock::monotonic_ms();
        if !self.has_warned && now - self.context.board.admin_called_at() > ALONE_MS {
            self.has_warned = true;
            tracing::warn!("no sidecar has called for ten minutes: history is not compacted");
        }
    }
}

fn reclaim(
    store: &Store,
    board: &Board,
    garbage: &Garbage,
    called: &Receiver<()>,
    reclaimed: &watch::Sender<i64>,
) -> Result<(), Fault> {
    while called.recv().is_ok() {
        let revision = garbage.revision.load(Ordering::Acquire);
        let since = clock::monotonic_ms();
        board.show_reclaiming(Some(since));
        let outcome = give_back(store, garbage);
        board.show_reclaiming(None);
        match outcome {
            Ok(()) => {
                reclaimed.send_replace(revision);
                let took_ms = clock::monotonic_ms() - since;
                tracing::info!(revision, took_ms, "compacted history is gone");
            }
            // Nobody's write failed. If RocksDB cannot go on by itself, the next write will tell.
            Err(fault) if fault.is_disk_full() => {
                tracing::warn!(%fault, "no room to give space back: it is tried again");
                garbage.is_left.store(true, Ordering::Release);
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

fn give_back(store: &Store, garbage: &Garbage) -> Result<(), Fault> {
    store.engine().reclaim()?;
    // What is deleted meanwhile is for another time.
    if garbage.deleted.swap(false, Ordering::AcqRel) {
        store.engine().reclaim_deleted().inspect_err(|_fault| {
            garbage.deleted.store(true, Ordering::Release);
        })?;
    }
    Ok(())
}
