//! Reads: of one key without a snapshot, of ranges at one moment, of events for those who lag.
//!
//! Nothing here waits for the disk's writes. Whether a read may happen now at all (linearizable
//! reads) is the caller's question to the [`Board`].

use std::ops::ControlFlow;
use std::sync::Arc;

use super::Board;
use crate::domain::command::{Range, Txn};
use crate::domain::effects::{Event, LoggedEvent, TxnResponse};
use crate::domain::lease::Leases;
use crate::domain::mvcc::range::{self, Summary};
use crate::domain::mvcc::{Writer, compact};
use crate::domain::txn::{Context, evaluate};
use crate::domain::{At, Fault, Overlay, Rejection, RowRef, Version, View};
use crate::store::hash::{KvHash, hash_all, hash_kv};
use crate::store::{Rows, Store};

/// Rows that a serving thread reads itself; longer reads go to the pool.
const SHORT_ROWS: i64 = 1000;

type FaultHook = Arc<dyn Fn(&Fault) + Send + Sync>;

/// Reads rows for other threads than the replica's.
#[derive(Clone)]
pub struct Reader {
    store: Store,
    board: Arc<Board>,
    on_fault: Option<FaultHook>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

/// What a range read says beside its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    pub summary: Summary,
    /// The newest revision at the moment of the read.
    pub revision: i64,
}

/// Why a read has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unreadable {
    #[error(transparent)]
    Rejected(#[from] Rejection),
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// An error that may be a fault.
trait AsFault {
    fn as_fault(&self) -> Option<&Fault>;
}

impl AsFault for Fault {
    fn as_fault(&self) -> Option<&Fault> {
        Some(self)
    }
}

impl AsFault for Unreadable {
    fn as_fault(&self) -> Option<&Fault> {
        match self {
            Self::Fault(fault) => Some(fault),
            Self::Rejected(_) => None,
        }
    }
}

/// What a catch-up wants of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    No,
    Yes,
    WithPrevious,
}

impl Reader {
    pub fn new(store: Store, board: Arc<Board>) -> Self {
        Self { store, board, on_fault: None }
    }

    /// Calls `on_fault` at the first sign that what is stored cannot be read: a member that serves
    /// on with damaged data does harm.
    pub fn with_fault_hook(self, on_fault: impl Fn(&Fault) + Send + Sync + 'static) -> Self {
        Self { on_fault: Some(Arc::new(on_fault)), ..self }
    }

    fn heard<T, E>(&self, result: Result<T, E>) -> Result<T, E>
    where
        E: AsFault,
    {
        if let (Some(on_fault), Err(error)) = (&self.on_fault, &result)
            && let Some(fault) = error.as_fault()
        {
            on_fault(fault);
        }
        result
    }

    /// The newest version of a key, with the revision at which that is the truth.
    pub fn get(&self, key: &[u8]) -> Result<(Option<Version>, i64), Fault> {
        let revision = self.board.revision();
        let version = self.heard(self.store.newest().live(key))?;
        if self.board.staged() == revision {
            // Nothing newer can have been seen.
            return Ok((version, revision));
        }
        self.heard(self.store.at_one_moment(|rows| Ok((rows.live(key)?, rows.state()?.revision))))
    }

    /// Reads a range if that is quick; `None` if it is not, and then `take` has got rows that
    /// are to be forgotten.
    pub fn short_range(
        &self,
        query: &Range,
        take: &mut dyn FnMut(RowRef<'_>),
    ) -> Result<Option<Answered>, Unreadable> {
        if self.is_short(query) {
            return self.range(query, take).map(Some);
        }
        if query.count_only || !range::is_natural(query) {
            return Ok(None);
        }
        let limit = if query.limit > 0 { query.limit.min(SHORT_ROWS) } else { SHORT_ROWS };
        let mut seen = 0;
        let answered = self.read(query.revision, |rows, at| {
            range::read_page(rows, query, at, limit, &mut |row| {
                seen += 1;
                take(row);
                ControlFlow::Continue(())
            })
        })?;
        let (more, revision) = answered;
        let summary = Summary { more: false, count: seen };
        Ok((!more).then_some(Answered { summary, revision }))
    }

    /// Whether the cost has a bound that a serving thread can bear: few rows, and a count that is
    /// known or nearly.
    fn is_short(&self, query: &Range) -> bool {
        if query.range.as_single().is_some() {
            return true;
        }
        let is_new = query.revision <= 0 || self.board.revision() - query.revision < SHORT_ROWS;
        let is_page = query.count_only || (1..=SHORT_ROWS).contains(&query.limit);
        is_new && is_page && range::is_natural(query)
    }

    /// Reads a range, however long that takes.
    pub fn range(
        &self,
        query: &Range,
        take: &mut dyn FnMut(RowRef<'_>),
    ) -> Result<Answered, Unreadable> {
        let (summary, revision) =
            self.read(query.revision, |rows, at| range::read(rows, query, at, take))?;
        Ok(Answered { summary, revision })
    }

    /// Reads the first `query.limit` rows of a natural query, fewer if `take` says that this one is
    /// enough, and counts nothing. Answers whether there are more, and the newest revision.
    pub fn page(
        &self,
        query: &Range,
        take: &mut dyn FnMut(RowRef<'_>) -> ControlFlow<()>,
    ) -> Result<(bool, i64), Unreadable> {
        self.read(query.revision, |rows, at| range::read_page(rows, query, at, query.limit, take))
    }

    /// Runs a transaction of nothing but ranges, and answers the newest revision with it.
    pub fn txn(&self, txn: Txn) -> Result<(TxnResponse, i64), Unreadable> {
        self.heard(self.store.at_one_moment(|rows| {
            let state = rows.state()?;
            let (mut totals, leases) = (state.totals, Leases::default());
            let mut pending = Overlay::new(rows);
            let mut writer = Writer::new(&mut pending, &mut totals, state.revision + 1);
            let context =
                Context { leases: &leases, now: state.revision, compacted: state.compacted };
            let response = evaluate::run(&mut writer, &context, txn)??;
            Ok((response, state.revision))
        }))
    }

    /// HashKV at `revision`; 0 is the newest.
    pub fn hash_kv(&self, revision: i64) -> Result<(KvHash, i64), Unreadable> {
        self.heard(self.store.at_one_moment(|rows| {
            let state = rows.state()?;
            if revision > 0 {
                compact::readable(revision, state.compacted, state.revision)?;
            }
            let at = if revision > 0 { revision } else { state.revision };
            let hash = hash_kv(rows, at, state.compacted)?;
            self.recheck(at)?;
            Ok((hash, state.revision))
        }))
    }

    pub fn hash_all(&self) -> Result<(u32, i64), Fault> {
        self.heard(self.store.at_one_moment(|rows| Ok((hash_all(rows)?, rows.state()?.revision))))
    }

    pub fn lease_keys(&self, lease: i64) -> Result<Vec<bytes::Bytes>, Fault> {
        self.heard(self.store.newest().lease_keys(lease))
    }

    pub fn physical_bytes(&self) -> u64 {
        self.store.engine().physical_bytes()
    }

    /// Events of the revisions from `from` to `until`, whole revisions, about `max` of them or
    /// `bytes_max` bytes, and the revision up to which nothing was left out.
    /// `Err(Rejected(Compacted))` when events from `from` on are not there any more.
    pub fn events(
        &self,
        from: i64,
        until: i64,
        max: usize,
        bytes_max: usize,
        wanted: &mut dyn FnMut(&LoggedEvent) -> Wanted,
    ) -> Result<(Vec<Event>, i64), Unreadable> {
        self.heard(self.store.at_one_moment(|rows| {
            let compacted = rows.state()?.compacted;
            if from < compacted {
                return Err(Rejection::Compacted { asked: from, compacted }.into());
            }
            let mut logged = Vec::new();
            let mut seen = 0;
            let mut reached = until;
            let mut current = from;
            rows.events(from, &mut |event| {
                if event.at.main > until {
                    return ControlFlow::Break(());
                }
                if event.at.main > current && seen >= max {
                    reached = current;
                    return ControlFlow::Break(());
                }
                (current, seen) = (event.at.main, seen + 1);
                match wanted(&event) {
                    Wanted::No => {}
                    wanted => logged.push((event, wanted)),
                }
                ControlFlow::Continue(())
            })?;
            let mut events: Vec<Event> = Vec::new();
            let mut bytes = 0;
            for (event, wanted) in logged {
                let main = event.at.main;
                if bytes >= bytes_max && events.last().is_some_and(|last| last.at.main < main) {
                    reached = main - 1;
                    break;
                }
                if let Some(event) = whole(rows, event, wanted)? {
                    bytes += event.weight();
                    events.push(event);
                }
            }
            self.recheck(from)?;
            Ok((events, reached))
        }))
    }

    /// Runs `read` at one moment, at the revision that the client names.
    fn read<T>(
        &self,
        revision: i64,
        read: impl FnOnce(&Rows<'_>, At) -> Result<T, Fault>,
    ) -> Result<(T, i64), Unreadable> {
        self.heard(self.store.at_one_moment(|rows| {
            let state = rows.state()?;
            let at = compact::readable(revision, state.compacted, state.revision)?;
            let result = read(rows, at)?;
            if let At::Revision(at) = at {
                self.recheck(at)?;
            }
            Ok((result, state.revision))
        }))
    }

    /// The compaction filter does not respect snapshots: what was read is whole only if the
    /// revision is readable still.
    fn recheck(&self, at: i64) -> Result<(), Rejection> {
        let compacted = self.board.compacted();
        if at < compacted { Err(Rejection::Compacted { asked: at, compacted }) } else { Ok(()) }
    }
}

/// The event with its versions. When what was put is gone there is no event: it was compacted
/// meanwhile, which the caller checks last, or it was put at the compacted revision and overwritten
/// in the same transaction, and then etcd does not have it any more either.
fn whole(rows: &Rows<'_>, event: LoggedEvent, wanted: Wanted) -> Result<Option<Event>, Fault> {
    let LoggedEvent { at, key, is_delete, created, .. } = event;
    let version = if is_delete { None } else { rows.written_at(&key, at)? };
    if version.is_none() && !is_delete {
        return Ok(None);
    }
    let mut previous = match wanted {
        Wanted::WithPrevious if !created => rows.ended_by(&key, at)?,
        _ => None,
    };
    // No revision ever showed what a sibling of the same transaction wrote: what it ended counts.
    while let Some(sibling) = previous.take_if(|version| version.modified.main == at.main) {
        previous = rows.ended_by(&key, sibling.modified)?;
    }
    Ok(Some(Event { at, key, version, previous }))
}
