//! What a store must answer, spelt out: a map of keys after every revision, all of them kept.
//!
//! The judge of seeded histories, against the replica in process and against real binaries. Shares
//! the types of commands and refusals with core, and none of its rules: where core is clever, this
//! is slow and obvious. Sources: etcd's `server/etcdserver/txn` and `server/storage/mvcc`.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use metastore_core::domain::alarm::{Alarm, AlarmCause, AlarmKind};
use metastore_core::domain::command::{
    Command, Compare, DeleteRange, Operand, Operation, Put, Range, Relation, SortTarget, Txn,
};
use metastore_core::domain::watch::Spec;
use metastore_core::domain::{KeyRange, Rejection};
use metastore_proto::mvccpb;

use crate::reply::{Found, Kv, Reply};

/// Every key with its version, at one revision.
pub type State = BTreeMap<Bytes, Kv>;

/// One write of one key.
#[derive(Debug, Clone)]
pub struct Change {
    /// The revision, and the place in it.
    pub main: i64,
    pub sub: i64,
    pub key: Bytes,
    /// The new version; `None` for a delete.
    pub written: Option<Kv>,
    /// What was live right before this write, writes of the same transaction included.
    pub replaced: Option<Kv>,
}

/// A store with all its history.
#[derive(Debug, Clone)]
pub struct Model {
    /// The state after each revision; an empty store is at revision 1.
    states: Vec<State>,
    changes: Vec<Change>,
    pub compacted: i64,
    pub leases: BTreeMap<i64, i64>,
    pub alarms: BTreeSet<Alarm>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            states: vec![State::new(), State::new()],
            changes: Vec::new(),
            compacted: -1,
            leases: BTreeMap::new(),
            alarms: BTreeSet::new(),
        }
    }
}

impl Model {
    pub fn revision(&self) -> i64 {
        self.states.len() as i64 - 1
    }

    pub fn now(&self) -> &State {
        self.at(self.revision())
    }

    /// The state right after `revision`.
    pub fn at(&self, revision: i64) -> &State {
        &self.states[usize::try_from(revision).unwrap()]
    }

    /// Every write ever, in order.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Does a command, and answers what the client must be told.
    pub fn apply(&mut self, command: &Command) -> Result<Reply, Rejection> {
        self.check_alarms(command)?;
        match command {
            Command::Put(put) => {
                self.check_put(put)?;
                Ok(self.write(|draft| draft.put(put)))
            }
            Command::DeleteRange(delete) => Ok(self.write(|draft| draft.delete_range(delete))),
            Command::Txn(txn) => {
                self.check_txn(txn)?;
                Ok(self.write(|draft| draft.txn(txn)))
            }
            Command::Compact { revision } => self.compact(*revision),
            Command::LeaseGrant { id, ttl } => self.grant(*id, *ttl),
            Command::LeaseRevoke { id } => self.revoke(*id),
            Command::RaiseAlarm { member, kind, cause } => {
                let alarm = Alarm { member: *member, kind: *kind, cause: *cause };
                self.alarms.insert(alarm);
                Ok(Reply::Alarms(vec![alarm]))
            }
            Command::ClearAlarm { member, kind, cause } => Ok(self.clear(*member, *kind, *cause)),
            Command::PublishMember { .. } => Ok(Reply::PublishMember),
        }
    }

    /// What a read by itself answers.
    pub fn range(&self, query: &Range) -> Result<Found, Rejection> {
        self.check_revision(query.revision)?;
        let at = if query.revision > 0 { query.revision } else { self.revision() };
        Ok(select(self.at(at), query))
    }

    /// The events of the revisions from `from` to `until` that a watch gets.
    pub fn watch(&self, spec: &Spec, from: i64, until: i64) -> Vec<mvccpb::Event> {
        let start = self.changes.partition_point(|change| change.main < from);
        let wanted = |change: &&Change| {
            let is_skipped =
                if change.written.is_some() { spec.skip_puts } else { spec.skip_deletes };
            !is_skipped && spec.range.contains(&change.key)
        };
        self.changes[start..]
            .iter()
            .take_while(|change| change.main <= until)
            .filter(wanted)
            .map(|change| self.event(change, spec.prev_kv))
            .collect()
    }

    fn event(&self, change: &Change, prev_kv: bool) -> mvccpb::Event {
        let (key, mod_revision) = (change.key.clone(), change.main);
        let tombstone = Kv { key: key.clone(), mod_revision, ..Kv::default() };
        let is_delete = change.written.is_none();
        let kv = change.written.clone().unwrap_or(tombstone);
        // etcd reads the previous version at the revision before, unless the put created the key.
        let is_create = !is_delete && kv.create_revision == kv.mod_revision;
        let before = self.at(mod_revision - 1).get(&key).cloned();
        mvccpb::Event {
            r#type: i32::from(is_delete),
            kv: Some(kv),
            prev_kv: before.filter(|_| prev_kv && !is_create),
        }
    }

    fn check_alarms(&self, command: &Command) -> Result<(), Rejection> {
        let is_raised = |kind| self.alarms.iter().any(|alarm| alarm.kind == kind);
        let is_about_alarms = matches!(
            command,
            Command::RaiseAlarm { .. } | Command::ClearAlarm { .. } | Command::PublishMember { .. }
        );
        let grows = match command {
            Command::Put(_) | Command::LeaseGrant { .. } => true,
            Command::Txn(txn) => has_put(txn),
            _ => false,
        };
        if is_raised(AlarmKind::Corrupt) && !is_about_alarms {
            return Err(Rejection::Corrupt);
        }
        if is_raised(AlarmKind::NoSpace) && grows { Err(Rejection::NoSpace) } else { Ok(()) }
    }

    fn check_put(&self, put: &Put) -> Result<(), Rejection> {
        if put.lease != 0 && !self.leases.contains_key(&put.lease) {
            return Err(Rejection::LeaseNotFound(put.lease));
        }
        let keeps_a_part = put.ignore_value || put.ignore_lease;
        if keeps_a_part && !self.now().contains_key(&put.key) {
            return Err(Rejection::KeyNotFound);
        }
        Ok(())
    }

    fn check_revision(&self, asked: i64) -> Result<(), Rejection> {
        let (compacted, current) = (self.compacted, self.revision());
        if asked > current {
            return Err(Rejection::FutureRevision { asked, current });
        }
        if 0 < asked && asked < current && asked < compacted {
            return Err(Rejection::Compacted { asked, compacted });
        }
        Ok(())
    }

    /// Checks the path that will be taken, whole, before anything is written.
    fn check_txn(&self, txn: &Txn) -> Result<(), Rejection> {
        for operation in branch(self.now(), txn).1 {
            match operation {
                Operation::Range(range)
                    if range.revision < 0 && range.revision < self.compacted =>
                {
                    let (asked, compacted) = (range.revision, self.compacted);
                    return Err(Rejection::Compacted { asked, compacted });
                }
                Operation::Range(range) => self.check_revision(range.revision)?,
                Operation::Put(put) => self.check_put(put)?,
                Operation::DeleteRange(_) => {}
                Operation::Txn(nested) => self.check_txn(nested)?,
            }
        }
        Ok(())
    }

    fn compact(&mut self, revision: i64) -> Result<Reply, Rejection> {
        let (compacted, current) = (self.compacted, self.revision());
        if revision <= compacted {
            return Err(Rejection::Compacted { asked: revision, compacted });
        }
        if revision > current {
            return Err(Rejection::FutureRevision { asked: revision, current });
        }
        self.compacted = revision;
        Ok(Reply::Compact)
    }

    fn grant(&mut self, id: i64, ttl: i64) -> Result<Reply, Rejection> {
        if self.leases.contains_key(&id) {
            return Err(Rejection::LeaseExists(id));
        }
        self.leases.insert(id, ttl);
        Ok(Reply::LeaseGrant { id, ttl })
    }

    fn revoke(&mut self, id: i64) -> Result<Reply, Rejection> {
        self.leases.remove(&id).ok_or(Rejection::LeaseNotFound(id))?;
        let attached = self.now().values().filter(|kv| kv.lease == id);
        let keys: Vec<_> = attached.map(|kv| kv.key.clone()).collect();
        self.write(|draft| keys.iter().for_each(|key| draft.remove(key)));
        Ok(Reply::LeaseRevoke)
    }

    fn clear(&mut self, member: u64, kind: AlarmKind, cause: AlarmCause) -> Reply {
        let matches = |alarm: &Alarm| {
            alarm.member == member
                && alarm.kind == kind
                && (cause == AlarmCause::Operator || alarm.cause == cause)
        };
        let mut cleared: Vec<_> = self.alarms.iter().copied().filter(matches).collect();
        self.alarms.retain(|alarm| !matches(alarm));
        cleared.dedup_by_key(|alarm| (alarm.member, alarm.kind));
        Reply::Alarms(cleared)
    }

    /// Everything that `rule` writes becomes one revision; nothing written, no revision.
    fn write<T>(&mut self, rule: impl FnOnce(&mut Draft<'_>) -> T) -> T {
        let main = self.revision() + 1;
        let state = self.now().clone();
        let mut draft = Draft { model: self, main, state, changes: Vec::new() };
        let result = rule(&mut draft);
        let Draft { state, mut changes, .. } = draft;
        if !changes.is_empty() {
            self.states.push(state);
            self.changes.append(&mut changes);
        }
        result
    }
}

/// A revision while it is written.
struct Draft<'m> {
    /// What was before.
    model: &'m Model,
    main: i64,
    state: State,
    changes: Vec<Change>,
}

impl Draft<'_> {
    fn put(&mut self, put: &Put) -> Reply {
        let old = self.state.get(&put.key).cloned();
        let seen = old.clone().unwrap_or_default();
        let kv = Kv {
            key: put.key.clone(),
            create_revision: if old.is_none() { self.main } else { seen.create_revision },
            mod_revision: self.main,
            version: seen.version + 1,
            value: if put.ignore_value { seen.value } else { put.value.clone() },
            lease: if put.ignore_lease { seen.lease } else { put.lease },
        };
        self.state.insert(put.key.clone(), kv.clone());
        self.record(&put.key, Some(kv), old.clone());
        Reply::Put { previous: old.filter(|_| put.prev_kv) }
    }

    fn delete_range(&mut self, delete: &DeleteRange) -> Reply {
        let doomed = inside(&self.state, &delete.range);
        doomed.iter().for_each(|kv| self.remove(&kv.key));
        let deleted = doomed.len() as i64;
        Reply::DeleteRange { deleted, previous: if delete.prev_kv { doomed } else { Vec::new() } }
    }

    fn remove(&mut self, key: &Bytes) {
        let old = self.state.remove(key);
        self.record(key, None, old);
    }

    /// Every compare, nested ones too, looks at the state before the transaction.
    fn txn(&mut self, txn: &Txn) -> Reply {
        let (succeeded, operations) = branch(self.model.now(), txn);
        let results = operations.iter().map(|operation| {
            let reply = self.operation(operation);
            (self.model.revision() + i64::from(!self.changes.is_empty()), reply)
        });
        Reply::Txn { succeeded, results: results.collect() }
    }

    fn operation(&mut self, operation: &Operation) -> Reply {
        match operation {
            Operation::Range(query) if query.revision > 0 => {
                Reply::Range(select(self.model.at(query.revision), query))
            }
            Operation::Range(query) => Reply::Range(select(&self.state, query)),
            Operation::Put(put) => self.put(put),
            Operation::DeleteRange(delete) => self.delete_range(delete),
            Operation::Txn(nested) => self.txn(nested),
        }
    }

    fn record(&mut self, key: &Bytes, written: Option<Kv>, replaced: Option<Kv>) {
        let sub = self.changes.len() as i64;
        self.changes.push(Change { main: self.main, sub, key: key.clone(), written, replaced });
    }
}

fn inside(state: &State, range: &KeyRange) -> Vec<Kv> {
    state.values().filter(|kv| range.contains(&kv.key)).cloned().collect()
}

fn has_put(txn: &Txn) -> bool {
    txn.success.iter().chain(&txn.failure).any(|operation| match operation {
        Operation::Put(_) => true,
        Operation::Txn(nested) => has_put(nested),
        Operation::Range(_) | Operation::DeleteRange(_) => false,
    })
}

fn branch<'t>(state: &State, txn: &'t Txn) -> (bool, &'t [Operation]) {
    let succeeded = txn.compare.iter().all(|compare| holds(state, compare));
    (succeeded, if succeeded { &txn.success } else { &txn.failure })
}

/// A range without keys is judged like one missing key: all its numbers are zero, and nothing is
/// true of its value.
fn holds(state: &State, compare: &Compare) -> bool {
    let found = inside(state, &compare.range);
    if found.is_empty() {
        let about_value = matches!(compare.operand, Operand::Value(_));
        return !about_value && holds_for(&Kv::default(), compare);
    }
    found.iter().all(|kv| holds_for(kv, compare))
}

fn holds_for(kv: &Kv, compare: &Compare) -> bool {
    let ordering = match &compare.operand {
        Operand::Version(it) => kv.version.cmp(it),
        Operand::Create(it) => kv.create_revision.cmp(it),
        Operand::Modified(it) => kv.mod_revision.cmp(it),
        Operand::Value(it) => kv.value.cmp(it),
        Operand::Lease(it) => kv.lease.cmp(it),
        Operand::Unknown => Ordering::Equal,
    };
    match compare.relation {
        Relation::Equal => ordering.is_eq(),
        Relation::NotEqual => ordering.is_ne(),
        Relation::Greater => ordering.is_gt(),
        Relation::Less => ordering.is_lt(),
        Relation::Any => true,
    }
}

/// What a read of `state` answers, whatever revision it names.
pub fn select(state: &State, query: &Range) -> Found {
    let mut kvs = inside(state, &query.range);
    let mut count = kvs.len() as i64;
    if query.count_only {
        return Found { kvs: Vec::new(), more: false, count };
    }
    let at_least = |bound: i64, number: i64| bound == 0 || number >= bound;
    let at_most = |bound: i64, number: i64| bound == 0 || number <= bound;
    kvs.retain(|kv| {
        at_least(query.min_modified, kv.mod_revision)
            && at_most(query.max_modified, kv.mod_revision)
            && at_least(query.min_create, kv.create_revision)
            && at_most(query.max_create, kv.create_revision)
    });
    if let Some(sort) = query.sort {
        kvs.sort_by(|a, b| {
            let ascending = by(sort.target, a, b);
            if sort.descending { ascending.reverse() } else { ascending }
        });
    }
    let limit = if query.limit > 0 { query.limit as usize } else { usize::MAX };
    let more = kvs.len() > limit;
    kvs.truncate(limit);
    if query.keys_only {
        // etcd answers from its index, which has no lease; to sort by value it reads the rows.
        let reads_rows = query.sort.is_some_and(|sort| sort.target == SortTarget::Value);
        for kv in &mut kvs {
            kv.value = Bytes::new();
            kv.lease = if reads_rows { kv.lease } else { 0 };
        }
        count = if kvs.is_empty() { 0 } else { count };
    }
    Found { kvs, more, count }
}

fn by(target: SortTarget, a: &Kv, b: &Kv) -> Ordering {
    match target {
        SortTarget::Key => a.key.cmp(&b.key),
        SortTarget::Version => a.version.cmp(&b.version),
        SortTarget::Create => a.create_revision.cmp(&b.create_revision),
        SortTarget::Modified => a.mod_revision.cmp(&b.mod_revision),
        SortTarget::Value => a.value.cmp(&b.value),
    }
}
