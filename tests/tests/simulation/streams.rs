//! Watches, and the thread that serves them: late events, lost ones, clients without room.

use metastore_core::domain::KeyRange;
use metastore_core::domain::watch::{Spec, WatcherId};
use metastore_core::replica::watch_hub::Delivery;
use metastore_proto::mvccpb;
use metastore_tests::reply;

use crate::finding::{Finding, Verdict};
use crate::judges::watches::Stream;
use crate::workload;
use crate::world::World;

const STREAMS_MAX: usize = 8;

/// Events for one watch.
struct Parcel {
    watcher: u64,
    events: Vec<mvccpb::Event>,
    revision: i64,
}

impl World {
    /// A watch begins, or one ends.
    pub(crate) fn watch(&mut self) -> Verdict {
        let known = self.known();
        let spec = workload::spec(&mut self.dice, &known);
        let start = workload::revision(&mut self.dice, &known);
        let is_full = self.streams.len() >= STREAMS_MAX || self.dice.percent(10);
        let Some(member) = &mut self.member else { return Ok(()) };
        if is_full && !self.streams.is_empty() {
            let place = self.dice.below(self.streams.len());
            let id = *self.streams.keys().nth(place).unwrap();
            member.hub.cancel(WatcherId(id));
            self.streams.remove(&id);
            self.trace.line(format!("watch {id} ends"));
            return Ok(());
        }
        self.begin_watch(spec, start)
    }

    /// A watch from revision `start` on; 0 is from now on.
    pub(crate) fn begin_watch(&mut self, spec: Spec, start: i64) -> Verdict {
        let Some(member) = &mut self.member else { return Ok(()) };
        let next = if start == 0 { member.hub.revision() + 1 } else { start };
        let WatcherId(id) = member.hub.watch(spec.clone(), start);
        self.trace.line(format!("watch {id} from {start}: {spec:?}"));
        self.streams.insert(id, Stream::new(spec, next));
        Ok(())
    }

    /// The hub's thread takes some of the events that wait for it, or loses them.
    pub(crate) fn publish(&mut self) -> Verdict {
        for _ in 0..=self.dice.below(3) {
            let Some(member) = &mut self.member else { return Ok(()) };
            let Some(batch) = member.published.pop_front() else { return Ok(()) };
            if self.is_stormy && self.dice.percent(10) {
                self.trace.line(format!("gap {}", batch.revision));
                member.hub.gap(batch.revision);
                continue;
            }
            let parcels = parcels(member.hub.publish(&batch).into_iter());
            self.deliver(parcels)?;
        }
        Ok(())
    }

    pub(crate) fn catch_up(&mut self) -> Verdict {
        let asleep = self.dice.roll() % 4;
        let Some(member) = &mut self.member else { return Ok(()) };
        // Some clients take nothing at the moment.
        let ready = |id: WatcherId| id.0 % 4 != asleep;
        let caught = member.hub.catch_up(&member.reader, &ready);
        let caught = caught.map_err(|fault| Finding(fault.to_string()))?;
        let parcels = parcels(caught.deliveries());
        let mut compacted = caught.compacted;
        compacted.sort();
        for (WatcherId(id), compacted) in compacted {
            let stream = self.streams.remove(&id);
            let mut stream = stream.ok_or_else(|| Finding(format!("who is watcher {id}?")))?;
            stream.compacted(compacted, &self.history.model)?;
            let WatcherId(again) = member.hub.watch(stream.spec.clone(), stream.next);
            self.trace.line(format!("watch {id} is compacted, {again} follows"));
            self.streams.insert(again, stream);
        }
        self.deliver(parcels)
    }

    /// Streams take what they get, or have no room.
    fn deliver(&mut self, parcels: Vec<Parcel>) -> Verdict {
        for Parcel { watcher, events, revision } in parcels {
            let Some(member) = &mut self.member else { return Ok(()) };
            if self.is_stormy && self.dice.percent(15) {
                let first = events[0].kv.as_ref().map_or(0, |kv| kv.mod_revision);
                member.hub.lag(WatcherId(watcher), first);
                self.trace.line(format!("watch {watcher} has no room from {first}"));
                continue;
            }
            let stream = self.streams.get_mut(&watcher);
            let stream = stream.ok_or_else(|| Finding(format!("who is watcher {watcher}?")))?;
            stream.deliver(&events, revision, &self.history.model)?;
            self.trace.line(format!("watch {watcher} to {revision}: {events:?}"));
        }
        Ok(())
    }

    /// Live streams have everything that the hub has.
    pub(crate) fn check_streams(&mut self) -> Verdict {
        let Some(member) = &self.member else { return Ok(()) };
        for (id, stream) in &mut self.streams {
            if member.hub.is_live(WatcherId(*id)) {
                stream.check_complete(member.hub.revision(), &self.history.model)?;
            }
        }
        Ok(())
    }
}

/// Sorted by watcher: the hub's own order is not the same in every run.
fn parcels<'e>(deliveries: impl Iterator<Item = Delivery<'e>>) -> Vec<Parcel> {
    let mut parcels = Vec::new();
    for delivery in deliveries {
        let prev_kv = delivery.spec.prev_kv;
        let events: Vec<_> = delivery.events.iter().map(|it| reply::event(it, prev_kv)).collect();
        let revision = delivery.revision;
        parcels.extend(delivery.watchers.into_iter().map(|WatcherId(watcher)| Parcel {
            watcher,
            events: events.clone(),
            revision,
        }));
    }
    parcels.sort_by_key(|parcel| parcel.watcher);
    parcels
}

pub(crate) fn everything() -> Spec {
    Spec { range: KeyRange::all(), skip_puts: false, skip_deletes: false, prev_kv: true }
}
