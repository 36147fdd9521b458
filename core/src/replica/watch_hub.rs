//! Who gets which events: live watchers at once, lagging ones from the event log.
//!
//! One hub a serving thread. It decides; streams and bytes are in `api/etcd/watch`. A live watcher
//! has got everything up to [`WatchHub::revision`]. A lagging one has a cursor and nothing else,
//! so it holds no memory; all who lag share one scan.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::read::{Reader, Unreadable, Wanted};
use super::{Board, EventBatch};
use crate::domain::effects::Event;
use crate::domain::watch::{GroupId, Registry, Spec, WatcherId};
use crate::domain::{Fault, Rejection};

/// Events that one pass of catching up reads, about, and their bytes.
const PASS_EVENTS: usize = 1000;
const PASS_BYTES: usize = 4 << 20;

/// Events for watchers that ask for the same.
#[derive(Debug)]
pub struct Delivery<'e> {
    pub spec: Spec,
    pub watchers: Vec<WatcherId>,
    /// In order; never empty.
    pub events: Vec<&'e Event>,
    /// The watchers have everything up to here with these events.
    pub revision: i64,
}

/// What a pass of catching up came to.
#[derive(Debug, Default)]
pub struct CaughtUp {
    events: Vec<Event>,
    shares: Vec<Share>,
    revision: i64,
    /// Watchers whose next event is compacted, with the compacted revision. They are gone.
    pub compacted: Vec<(WatcherId, i64)>,
    /// Whether another pass can do more right away.
    pub again: bool,
}

#[derive(Debug)]
struct Share {
    spec: Spec,
    watchers: Vec<WatcherId>,
    from: i64,
}

#[derive(Debug)]
struct Watcher {
    spec: Spec,
    /// The next revision that it needs; `None`: live.
    next: Option<i64>,
}

/// The watchers of one serving thread.
#[derive(Debug)]
pub struct WatchHub {
    board: Arc<Board>,
    live: Registry,
    lagging: Registry,
    watchers: HashMap<WatcherId, Watcher>,
    lagging_count: usize,
    revision: i64,
    next_id: u64,
    found: Vec<GroupId>,
}

impl WatchHub {
    pub fn new(board: Arc<Board>) -> Self {
        let revision = board.revision();
        Self {
            board,
            live: Registry::default(),
            lagging: Registry::default(),
            watchers: HashMap::new(),
            lagging_count: 0,
            revision,
            next_id: 0,
            found: Vec::new(),
        }
    }

    /// Live watchers have got everything up to here.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// A new watcher, from revision `start` on. It is live at once only if that is the hub's next
    /// revision. Every other start lags: an older one, and one that the hub does not reach yet. So
    /// does "from now on" while mail waits, because a stream begins behind the board's revision.
    /// 0 is the hub's next revision, whatever that is: only the simulator asks for it.
    pub fn watch(&mut self, spec: Spec, start: i64) -> WatcherId {
        self.next_id += 1;
        let id = WatcherId(self.next_id);
        let next = (start > 0 && start != self.revision + 1).then_some(start);
        self.registry(next.is_some()).add(&spec, id);
        self.lagging_count += usize::from(next.is_some());
        self.watchers.insert(id, Watcher { spec, next });
        self.show(1, i64::from(next.is_some()));
        id
    }

    pub fn cancel(&mut self, id: WatcherId) {
        if let Some(watcher) = self.watchers.remove(&id) {
            let lags = watcher.next.is_some();
            self.registry(lags).remove(&watcher.spec, id);
            self.lagging_count -= usize::from(lags);
            self.show(-1, -i64::from(lags));
        }
    }

    /// Whether the watcher has got everything up to [`Self::revision`].
    pub fn is_live(&self, id: WatcherId) -> bool {
        self.watchers.get(&id).is_some_and(|watcher| watcher.next.is_none())
    }

    pub fn has_lagging(&self) -> bool {
        self.lagging_count > 0
    }

    /// The watcher could not take what begins at revision `next`: it will be caught up.
    pub fn lag(&mut self, id: WatcherId, next: i64) {
        let Some(watcher) = self.watchers.get_mut(&id) else {
            return;
        };
        if watcher.next.replace(next).is_none() {
            let spec = watcher.spec.clone();
            self.live.remove(&spec, id);
            self.lagging.add(&spec, id);
            self.lagging_count += 1;
            self.show(0, 1);
        }
    }

    /// Events were left out up to `revision`: everybody lags.
    pub fn gap(&mut self, revision: i64) {
        let live: Vec<_> =
            self.watchers.iter().filter(|(_, it)| it.next.is_none()).map(|(id, _)| *id).collect();
        for id in live {
            self.lag(id, self.revision + 1);
        }
        self.revision = self.revision.max(revision);
    }

    /// New events: what goes to whom.
    pub fn publish<'b>(&mut self, batch: &'b EventBatch) -> Vec<Delivery<'b>> {
        if batch.revision <= self.revision {
            return Vec::new();
        }
        // A hub that was made after the store began may be behind by no more than these.
        let known = std::mem::replace(&mut self.revision, batch.revision);
        if self.live.is_empty() {
            return Vec::new();
        }
        self.live.settle();
        let mut shares: BTreeMap<GroupId, Vec<&'b Event>> = BTreeMap::new();
        for event in batch.events.iter().filter(|event| event.at.main > known) {
            self.live.find(&event.key, &mut self.found);
            for id in &self.found {
                if self.live.spec(*id).is_some_and(|spec| spec.wants(event)) {
                    shares.entry(*id).or_default().push(event);
                }
            }
        }
        let delivery = |(id, events): (GroupId, Vec<&'b Event>)| {
            let spec = self.live.spec(id)?.clone();
            let watchers = self.live.watchers(id).collect();
            Some(Delivery { spec, watchers, events, revision: batch.revision })
        };
        shares.into_iter().filter_map(delivery).collect()
    }

    /// One pass for those who lag and are `ready` to take something.
    pub fn catch_up(
        &mut self,
        reader: &Reader,
        ready: &dyn Fn(WatcherId) -> bool,
    ) -> Result<CaughtUp, Fault> {
        let mut candidates = self.candidates(ready);
        let mut caught = CaughtUp::default();
        let Some(from) = candidates.iter().map(|(_, next)| *next).min() else {
            return Ok(caught);
        };
        let (events, reached) = match self.read(reader, from) {
            Ok(read) => read,
            Err(Unreadable::Fault(fault)) => return Err(fault),
            Err(Unreadable::Rejected(rejection)) => {
                self.drop_compacted(&candidates, rejection, &mut caught);
                return Ok(caught);
            }
        };
        candidates.retain(|(_, next)| *next <= reached);
        caught.shares = self.shares(&candidates, &events, from);
        (caught.events, caught.revision) = (events, reached);
        for (id, _) in candidates {
            self.advance(id, reached + 1);
        }
        caught.again = reached < self.revision;
        Ok(caught)
    }

    /// Lagging watchers that have something to get; those that only waited for their revision
    /// become live.
    fn candidates(&mut self, ready: &dyn Fn(WatcherId) -> bool) -> Vec<(WatcherId, i64)> {
        let lagging = self.watchers.iter().filter_map(|(id, it)| Some((*id, it.next?)));
        let lagging: Vec<_> = lagging.collect();
        let mut candidates = Vec::new();
        for (id, next) in lagging {
            if next == self.revision + 1 {
                self.advance(id, next);
            } else if next <= self.revision && ready(id) {
                candidates.push((id, next));
            }
        }
        candidates
    }

    fn read(&mut self, reader: &Reader, from: i64) -> Result<(Vec<Event>, i64), Unreadable> {
        self.lagging.settle();
        let (lagging, found) = (&self.lagging, &mut self.found);
        reader.events(from, self.revision, PASS_EVENTS, PASS_BYTES, &mut |event| {
            lagging.find(&event.key, found);
            let mut wanted = Wanted::No;
            for spec in found.iter().filter_map(|id| lagging.spec(*id)) {
                match spec.prev_kv {
                    true => return Wanted::WithPrevious,
                    false => wanted = Wanted::Yes,
                }
            }
            wanted
        })
    }

    /// Candidates by what they ask for and where they begin: each share is encoded once.
    fn shares(&self, candidates: &[(WatcherId, i64)], events: &[Event], from: i64) -> Vec<Share> {
        if events.is_empty() {
            return Vec::new();
        }
        let mut shares: HashMap<(&Spec, i64), Vec<WatcherId>> = HashMap::new();
        for (id, next) in candidates {
            if let Some(watcher) = self.watchers.get(id) {
                shares.entry((&watcher.spec, (*next).max(from))).or_default().push(*id);
            }
        }
        let share = |((spec, from), watchers): ((&Spec, i64), Vec<WatcherId>)| Share {
            spec: spec.clone(),
            watchers,
            from,
        };
        shares.into_iter().map(share).collect()
    }

    fn drop_compacted(
        &mut self,
        candidates: &[(WatcherId, i64)],
        rejection: Rejection,
        caught: &mut CaughtUp,
    ) {
        let Rejection::Compacted { compacted, .. } = rejection else {
            return;
        };
        for (id, next) in candidates {
            if *next < compacted {
                self.cancel(*id);
                caught.compacted.push((*id, compacted));
            }
        }
        caught.again = self.has_lagging();
    }

    fn advance(&mut self, id: WatcherId, next: i64) {
        let revision = self.revision;
        let Some(watcher) = self.watchers.get_mut(&id) else {
            return;
        };
        if next <= revision {
            watcher.next = Some(next);
            return;
        }
        watcher.next = None;
        let spec = watcher.spec.clone();
        self.lagging.remove(&spec, id);
        self.live.add(&spec, id);
        self.lagging_count -= 1;
        self.show(0, -1);
    }

    fn registry(&mut self, lags: bool) -> &mut Registry {
        if lags { &mut self.lagging } else { &mut self.live }
    }

    fn show(&self, watchers: i64, lagging: i64) {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let add = |gauge: &AtomicUsize, by: i64| {
            // Wrapping addition of a negative number is subtraction.
            gauge.fetch_add(by.cast_unsigned() as usize, Ordering::Relaxed);
        };
        add(&self.board.watchers, watchers);
        add(&self.board.lagging_watchers, lagging);
    }
}

impl CaughtUp {
    pub fn deliveries(&self) -> impl Iterator<Item = Delivery<'_>> {
        self.shares.iter().filter_map(|share| {
            let of_share = |event: &&Event| event.at.main >= share.from && share.spec.covers(event);
            let events: Vec<_> = self.events.iter().filter(of_share).collect();
            (!events.is_empty()).then(|| Delivery {
                spec: share.spec.clone(),
                watchers: share.watchers.clone(),
                events,
                revision: self.revision,
            })
        })
    }
}
