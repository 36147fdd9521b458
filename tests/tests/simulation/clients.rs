//! What clients do in one step, and what the serving thread between them and the member does.

use bytes::Bytes;
use metastore_core::domain::Command;
use metastore_core::domain::KeyRange;
use metastore_core::domain::alarm::{Alarm, AlarmCause};
use metastore_core::domain::command::Range;
use metastore_core::domain::watch::{Spec, WatcherId};
use metastore_core::replica::watch_hub::Delivery;
use metastore_core::replica::{Input, Stamp, propose};
use metastore_proto::mvccpb;
use metastore_tests::reply;

use crate::finding::{Finding, Verdict, require};
use crate::judges::reads;
use crate::judges::watches::Stream;
use crate::judges::{hash, state};
use crate::member::MEMBER;
use crate::workload;
use crate::world::World;

const STREAMS_MAX: usize = 8;
/// Proposals that wait at most: few clients, each waiting for its answer.
const CLIENTS: usize = 8;

/// Events for one watch.
struct Parcel {
    watcher: u64,
    events: Vec<mvccpb::Event>,
    revision: i64,
}

impl World {
    /// One thing happens.
    pub(crate) fn step(&mut self) -> Verdict {
        if self.member.is_none() {
            return self.start();
        }
        match self.dice.below(100) {
            0..22 => self.propose(),
            22..36 => self.pump(),
            36..42 => {
                let turns = 1 + self.dice.below(2);
                self.pump_for(turns)
            }
            42..50 => {
                let by_ms = self.dice.between(10, 3000);
                self.tick(by_ms)
            }
            50..54 => self.settle(),
            54..70 => self.read(),
            70..74 => self.ask_linear_read(),
            74..78 => self.renew_lease(),
            78..83 => self.watch(),
            83..90 => self.publish(),
            90..95 => self.catch_up(),
            95..98 => {
                let points = self.dice.below(16);
                self.machine.power.fail_in(points);
                self.trace.line(format!("power fails in {points}"));
                Ok(())
            }
            98 => self.crash(),
            _ => self.check_machine(),
        }?;
        if self.machine.power.has_failed() { self.crash() } else { self.check_streams() }
    }

    /// Some clients that do not wait for an answer ask for something.
    fn propose(&mut self) -> Verdict {
        let known = self.known();
        let aim = self.dice.percent(30).then(|| workload::range(&mut self.dice));
        for _ in 0..=self.dice.below(4) {
            if self.answers.waiting() >= CLIENTS {
                break;
            }
            let command = workload::command(&mut self.dice, &known);
            self.ask(command)?;
        }
        if let Some(member) = &self.member {
            member.probe.aim(aim.map(Range::of));
        }
        Ok(())
    }

    /// One client asks for one thing.
    pub(crate) fn ask(&mut self, command: Command) -> Verdict {
        let counter = propose::counter(0, self.next_proposal());
        let Some(member) = &self.member else { return Ok(()) };
        let stamp = Stamp { member: MEMBER, boot: member.boot };
        self.trace.line(format!("propose {counter} {command:?}"));
        self.answers.proposed(counter, command.clone());
        put(member.inbox.put(Input::Propose(stamp.proposal(counter, self.now.unix_ms, command))))
    }

    fn read(&mut self) -> Verdict {
        let known = self.known();
        let query = workload::query(&mut self.dice, &known);
        let revision = workload::revision(&mut self.dice, &known);
        let key: Bytes = workload::key(&mut self.dice);
        let from = self.dice.between(1, known.revision + 1);
        let (spec, max) = (workload::spec(&mut self.dice), self.dice.below(5));
        let Some(member) = &self.member else { return Ok(()) };
        let model = &self.history.model;
        reads::check_range(&member.reader, &query, model)?;
        let shown = reads::check_get(&member.reader, &key, model)?;
        if member.board.reads_are_linear() {
            reads::check_fresh(shown, self.answers.newest())?;
        }
        reads::check_events(&member.reader, &spec, (from, max), model)?;
        hash::check(&member.reader, revision, model)?;
        self.trace.line(format!("read {query:?} at {shown}"));
        Ok(())
    }

    fn ask_linear_read(&mut self) -> Verdict {
        let Some(member) = &mut self.member else { return Ok(()) };
        member.number += 1;
        self.linear.asked(member.number, self.answers.newest());
        put(member.inbox.put(Input::Read { context: member.number }))
    }

    fn renew_lease(&mut self) -> Verdict {
        let lease = self.dice.between(1, 6);
        let Some(member) = &self.member else { return Ok(()) };
        let now_ms = self.now.monotonic_ms;
        let renewed = member.leases.renew(lease, now_ms);
        self.trace.line(format!("renew {lease}: {renewed:?}"));
        self.leases.renewed(lease, renewed, now_ms)
    }

    fn check_machine(&mut self) -> Verdict {
        let Some(member) = &self.member else { return Ok(()) };
        state::check_machine(member.replica.machine(), &self.history)
    }

    /// A watch begins, or one ends.
    fn watch(&mut self) -> Verdict {
        let known = self.known();
        let spec = workload::spec(&mut self.dice);
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

    /// Faults end; everybody gets what they wait for, and the whole state is compared.
    pub(crate) fn finish(&mut self) -> Verdict {
        self.is_stormy = false;
        self.machine.power.restore();
        while self.member.is_none() {
            self.start()?;
        }
        self.pump()?;
        require(self.answers.waiting() == 0, || "a proposal is never answered".into())?;
        require(self.linear.waiting() == 0, || "a linearizable read is never released".into())?;
        self.end_leases()?;
        self.drain_streams()?;
        let Some(member) = &self.member else { return Ok(()) };
        let model = &self.history.model;
        state::check_machine(member.replica.machine(), &self.history)?;
        let readable = model.compacted.max(1) - 1..=model.revision();
        state::check_rows(&member.reader, &self.history, readable)?;
        reads::check_events(&member.reader, &everything(), (model.compacted.max(1), 3), model)
    }

    /// When alarms are cleared and time passes, every lease ends.
    fn end_leases(&mut self) -> Verdict {
        for Alarm { member, kind, .. } in self.history.model.alarms.clone() {
            self.ask(Command::ClearAlarm { member, kind, cause: AlarmCause::Operator })?;
        }
        self.pump()?;
        for _ in 0..2 {
            self.tick(1000 * (workload::TTL_MAX + 2))?;
            self.pump()?;
        }
        let left = &self.history.model.leases;
        require(left.is_empty(), || format!("leases that never end: {left:?}"))
    }

    fn drain_streams(&mut self) -> Verdict {
        while self.member.as_ref().is_some_and(|member| !member.published.is_empty()) {
            self.publish()?;
        }
        // Each pass leaves some out.
        for _ in 0..200 {
            self.catch_up()?;
        }
        self.check_streams()?;
        let Some(member) = &self.member else { return Ok(()) };
        let newest = member.hub.revision();
        for (id, stream) in &self.streams {
            let is_live = member.hub.is_live(WatcherId(*id));
            require(is_live || stream.next > newest, || format!("watch {id} lags for ever"))?;
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

fn put(put: Result<(), metastore_core::replica::Unavailable>) -> Verdict {
    put.map_err(|refused| Finding(format!("the inbox refuses: {refused}")))
}
