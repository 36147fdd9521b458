//! Short histories, each of which was answered wrongly once. The judges do the checking.

use bytes::Bytes;
use metastore_core::domain::KeyRange;
use metastore_core::domain::alarm::{AlarmCause, AlarmKind};
use metastore_core::domain::command::{Command, DeleteRange, Operation, Put, Txn};

use crate::finding::Verdict;
use crate::member::MEMBER;
use crate::run::Plan;
use crate::streams::everything;
use crate::world::World;

const KEY: Bytes = Bytes::from_static(b"key");

fn put() -> Put {
    Put {
        key: KEY,
        value: Bytes::from_static(b"value"),
        lease: 0,
        prev_kv: false,
        ignore_value: false,
        ignore_lease: false,
    }
}

/// One transaction that puts a key and then deletes it: etcd admits that only in siblings.
fn put_and_delete() -> Command {
    let all = |success| Txn { compare: Vec::new(), success, failure: Vec::new() };
    let delete = DeleteRange { range: KeyRange::single(KEY), prev_kv: false };
    Command::Txn(all(vec![
        Operation::Txn(all(vec![Operation::Put(put())])),
        Operation::Txn(all(vec![Operation::DeleteRange(delete)])),
    ]))
}

/// A calm world in which `commands` are done, one after the other.
fn after(commands: impl IntoIterator<Item = Command>) -> Verdict<World> {
    let mut world = World::new(1, Plan::Honest);
    world.is_stormy = false;
    world.start()?;
    for command in commands {
        world.ask(command)?;
        world.pump()?;
    }
    Ok(world)
}

#[test]
fn the_previous_version_is_that_of_the_revision_before() -> Verdict {
    let mut world = after([Command::Put(put())])?;
    world.begin_watch(everything(), 0)?;
    world.begin_watch(everything(), 1)?;
    world.ask(put_and_delete())?;
    world.pump()?;
    world.finish()
}

#[test]
fn a_put_undone_at_the_compacted_revision_is_no_delete() -> Verdict {
    let mut world = after([put_and_delete(), Command::Compact { revision: 2 }])?;
    world.settle()?;
    world.begin_watch(everything(), 2)?;
    world.finish()
}

#[test]
fn a_lease_ends_though_its_end_was_refused_once() -> Verdict {
    let (member, kind, cause) = (MEMBER, AlarmKind::Corrupt, AlarmCause::Operator);
    let mut world = after([Command::LeaseGrant { id: 1, ttl: 1 }])?;
    // The alarm is ahead of the revocation that is proposed before it is applied.
    world.ask(Command::RaiseAlarm { member, kind, cause })?;
    world.pump_for(0)?;
    world.tick(2000)?;
    world.pump()?;
    world.finish()
}
