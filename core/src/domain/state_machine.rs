//! The state machine: one command in, all its effects out.

use std::collections::BTreeMap;

use super::alarm::{Alarm, Alarms};
use super::command::Command;
use super::effects::{Effects, Event, Mutation, Response};
use super::lease::Leases;
use super::marks::Marks;
use super::member::Member;
use super::mvcc::{self, Totals, Writer};
use super::{Fault, Overlay, Rejection, Revision, View, txn};

/// The replicated state that is small enough to keep in memory. The rest is behind [`View`].
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// The newest revision.
    pub revision: i64,
    /// Highest revision that a compaction was asked for: reads below it fail, reads at it succeed.
    /// −1 before the first compaction.
    pub compacted: i64,
    pub totals: Totals,
    pub leases: Leases,
    pub alarms: Alarms,
    pub members: BTreeMap<u64, Member>,
    pub marks: Marks,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            revision: Revision::FIRST,
            compacted: -1,
            totals: Totals::default(),
            leases: Leases::default(),
            alarms: Alarms::default(),
            members: BTreeMap::new(),
            marks: Marks::default(),
        }
    }
}

impl Machine {
    /// Decides one command. `proposed_at` is the proposer's steady time, in milliseconds.
    ///
    /// The mutations are already visible in `overlay` and in `self`; if they cannot be written,
    /// the member must stop.
    pub fn apply<V: View>(
        &mut self,
        overlay: &mut Overlay<'_, V>,
        proposed_at: i64,
        command: Command,
    ) -> Result<Effects, Fault> {
        let mut change = Change::default();
        let outcome = match self.guard(&command) {
            Ok(()) => self.decide(overlay, command, &mut change)?,
            Err(rejection) => Err(rejection),
        };
        if !change.events.is_empty() {
            self.revision += 1;
            self.marks.note(proposed_at, self.revision, &mut change.mutations);
        }
        let Change { mutations, events } = change;
        Ok(Effects { outcome, revision: self.revision, mutations, events })
    }

    /// What alarms forbid, before anything else is looked at.
    fn guard(&self, command: &Command) -> Result<(), Rejection> {
        match command {
            Command::Put(_) | Command::Txn(_) | Command::LeaseGrant { .. } if command.grows() => {
                self.alarms.refuse_growth()
            }
            Command::Put(_)
            | Command::DeleteRange(_)
            | Command::Txn(_)
            | Command::Compact { .. }
            | Command::LeaseGrant { .. }
            | Command::LeaseRevoke { .. } => self.alarms.refuse_everything(),
            Command::RaiseAlarm { .. }
            | Command::ClearAlarm { .. }
            | Command::PublishMember { .. } => Ok(()),
        }
    }

    fn decide<V: View>(
        &mut self,
        overlay: &mut Overlay<'_, V>,
        command: Command,
        change: &mut Change,
    ) -> Result<Result<Response, Rejection>, Fault> {
        Ok(match command {
            Command::Put(put) => self
                .write(overlay, change, |writer, leases| mvcc::put::checked(writer, leases, put))?
                .map(|previous| Response::Put { previous }),
            Command::DeleteRange(delete) => {
                let removed =
                    self.write(overlay, change, |writer, _| mvcc::delete::range(writer, &delete))?;
                Ok(Response::DeleteRange { deleted: removed.count, previous: removed.previous })
            }
            Command::Txn(txn) => {
                let (now, compacted) = (self.revision, self.compacted);
                self.write(overlay, change, |writer, leases| {
                    txn::evaluate::run(writer, &txn::Context { leases, now, compacted }, txn)
                })?
                .map(Response::Txn)
            }
            Command::Compact { revision } => self.compact(overlay, revision, change)?,
            Command::LeaseGrant { id, ttl } => self.leases.grant(id, ttl).map(|()| {
                change.mutations.push(Mutation::SetLease { id, ttl });
                Response::LeaseGrant { id, ttl }
            }),
            Command::LeaseRevoke { id } => self.revoke(overlay, id, change)?,
            Command::RaiseAlarm { member, kind, cause } => {
                Ok(self.raise(Alarm { member, kind, cause }, change))
            }
            Command::ClearAlarm { member, kind, cause } => {
                let cleared = Alarms::new(self.alarms.clear(member, kind, cause));
                change.mutations.push(Mutation::SetAlarms(self.alarms.clone()));
                Ok(Response::Alarms(cleared.listed()))
            }
            Command::PublishMember { id, name, client_urls } => {
                Ok(self.publish(id, name, client_urls, change))
            }
        })
    }

    fn raise(&mut self, alarm: Alarm, change: &mut Change) -> Response {
        self.alarms.raise(alarm);
        change.mutations.push(Mutation::SetAlarms(self.alarms.clone()));
        Response::Alarms(vec![alarm])
    }

    fn publish(
        &mut self,
        id: u64,
        name: String,
        client_urls: Vec<String>,
        change: &mut Change,
    ) -> Response {
        let member = self.members.entry(id).or_default();
        *member = Member { id, name, client_urls, ..std::mem::take(member) };
        change.mutations.push(Mutation::SetMember(member.clone()));
        Response::PublishMember
    }

    /// Runs a rule that writes keys, at the next revision.
    fn write<V: View, T>(
        &mut self,
        overlay: &mut Overlay<'_, V>,
        change: &mut Change,
        rule: impl FnOnce(&mut Writer<'_, '_, V>, &Leases) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut writer = Writer::new(overlay, &mut self.totals, self.revision + 1);
        let result = rule(&mut writer, &self.leases)?;
        (change.mutations, change.events) = writer.finish();
        Ok(result)
    }

    fn compact<V: View>(
        &mut self,
        overlay: &Overlay<'_, V>,
        revision: i64,
        change: &mut Change,
    ) -> Result<Result<Response, Rejection>, Fault> {
        if let Err(rejection) = mvcc::compact::check(revision, self.compacted, self.revision) {
            return Ok(Err(rejection));
        }
        self.totals.forget(overlay.dead_until(revision)?);
        self.compacted = revision;
        change.mutations.push(Mutation::Compacted { revision });
        self.marks.forget(revision, &mut change.mutations);
        Ok(Ok(Response::Compact))
    }

    /// Ends a lease and deletes its keys, in order, in one revision.
    fn revoke<V: View>(
        &mut self,
        overlay: &mut Overlay<'_, V>,
        id: i64,
        change: &mut Change,
    ) -> Result<Result<Response, Rejection>, Fault> {
        if let Err(rejection) = self.leases.revoke(id) {
            return Ok(Err(rejection));
        }
        let keys = overlay.lease_keys(id)?;
        self.write(overlay, change, |writer, _| mvcc::delete::keys(writer, keys))?;
        change.mutations.push(Mutation::RemoveLease { id });
        Ok(Ok(Response::LeaseRevoke))
    }
}

/// What a rule leaves behind.
#[derive(Default)]
struct Change {
    mutations: Vec<Mutation>,
    events: Vec<Event>,
}
