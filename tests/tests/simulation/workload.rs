//! What clients ask for: few keys, awkward ones, so that requests meet.

use bytes::Bytes;
use metastore_core::domain::KeyRange;
use metastore_core::domain::alarm::{AlarmCause, AlarmKind};
use metastore_core::domain::command::{
    Command, Compare, DeleteRange, Operand, Operation, Put, Range, Relation, Sort, SortTarget, Txn,
};
use metastore_core::domain::watch::Spec;

use crate::dice::Dice;

/// Keys that only escaping keeps apart and in order.
const KEYS: [&[u8]; 14] = [
    b"\0",
    b"\0\0",
    b"\0\xff",
    b"a",
    b"a\0",
    b"a\0\0",
    b"a\0\x01",
    b"a\0\xff",
    b"ab",
    b"a\xff",
    b"b",
    b"k/1",
    b"\xff",
    b"\xff\xff",
];
const RELATIONS: [Relation; 5] =
    [Relation::Equal, Relation::Greater, Relation::Less, Relation::NotEqual, Relation::Any];
const TARGETS: [SortTarget; 5] = [
    SortTarget::Key,
    SortTarget::Version,
    SortTarget::Create,
    SortTarget::Modified,
    SortTarget::Value,
];
const LEASES: i64 = 5;
pub(crate) const TTL_MAX: i64 = 20;

/// What the clients know of the store.
pub(crate) struct Known {
    pub(crate) revision: i64,
    pub(crate) compacted: i64,
    pub(crate) is_alarmed: bool,
    /// Proposals so far: makes values differ.
    pub(crate) number: u64,
    /// Keys besides the few: enough of them, and the store cuts its counts into chunks. 0: none.
    pub(crate) crowd: usize,
}

pub(crate) fn command(dice: &mut Dice, known: &Known) -> Command {
    if known.is_alarmed && dice.percent(15) {
        return clear_alarm(dice);
    }
    if known.crowd > 0 && dice.percent(15) {
        return many_puts(dice, known);
    }
    match dice.below(100) {
        0..45 => Command::Put(put(dice, known)),
        45..60 => Command::DeleteRange(delete_range(dice, known)),
        60..80 => Command::Txn(txn(dice, known, &mut Touched::default(), 3)),
        80..86 => Command::Compact { revision: compact_revision(dice, known) },
        86..93 => {
            Command::LeaseGrant { id: dice.between(1, LEASES), ttl: dice.between(1, TTL_MAX) }
        }
        93..97 => Command::LeaseRevoke { id: dice.between(1, LEASES) },
        97..98 => publish_member(known),
        _ => raise_alarm(dice),
    }
}

pub(crate) fn key(dice: &mut Dice, known: &Known) -> Bytes {
    if known.crowd > 0 && dice.percent(60) {
        return crowd_key(dice.below(known.crowd));
    }
    Bytes::from_static(KEYS[dice.below(KEYS.len())])
}

fn crowd_key(number: usize) -> Bytes {
    Bytes::from(format!("crowd/{number:04}"))
}

/// Single keys, spans (now and then inverted), open ends, and everything.
pub(crate) fn range(dice: &mut Dice, known: &Known) -> KeyRange {
    match dice.below(10) {
        0..4 => KeyRange::single(key(dice, known)),
        4..8 => KeyRange::from_wire(key(dice, known), key(dice, known)),
        8 => KeyRange::from_wire(key(dice, known), Bytes::from_static(b"\0")),
        _ => KeyRange::all(),
    }
}

/// A read with every option, each of them rarely.
pub(crate) fn query(dice: &mut Dice, known: &Known) -> Range {
    let mut query = Range { revision: revision(dice, known), ..Range::of(range(dice, known)) };
    if dice.percent(30) {
        query.limit = dice.between(-1, 4);
    }
    if dice.percent(30) {
        query.sort = Some(Sort { target: *dice.pick(&TARGETS), descending: dice.percent(50) });
    }
    query.keys_only = dice.percent(20);
    query.count_only = dice.percent(10);
    let bounds = [
        &mut query.min_modified,
        &mut query.max_modified,
        &mut query.min_create,
        &mut query.max_create,
    ];
    for bound in bounds {
        if dice.percent(8) {
            *bound = dice.between(0, known.revision);
        }
    }
    query
}

/// A read of what is newest, or just how much that is.
pub(crate) fn glance(dice: &mut Dice, known: &Known) -> Range {
    Range { count_only: dice.percent(40), ..Range::of(range(dice, known)) }
}

pub(crate) fn spec(dice: &mut Dice, known: &Known) -> Spec {
    Spec {
        range: range(dice, known),
        skip_puts: dice.percent(10),
        skip_deletes: dice.percent(10),
        prev_kv: dice.percent(50),
    }
}

/// Now, the past, the compacted past, and sometimes the future.
pub(crate) fn revision(dice: &mut Dice, known: &Known) -> i64 {
    match dice.below(10) {
        0..3 => 0,
        3..9 => dice.between((known.compacted - 2).max(0), known.revision),
        _ => dice.between(known.revision - 1, known.revision + 3),
    }
}

fn put(dice: &mut Dice, known: &Known) -> Put {
    let value = match dice.below(10) {
        0..2 => Bytes::new(),
        2 => Bytes::from(vec![0xff; dice.below(300)]),
        _ => Bytes::from(format!("value {}", known.number)),
    };
    Put {
        key: key(dice, known),
        value,
        lease: if dice.percent(25) { dice.between(1, LEASES) } else { 0 },
        prev_kv: dice.percent(40),
        ignore_value: dice.percent(8),
        ignore_lease: dice.percent(8),
    }
}

/// Neighbours, in one transaction.
fn many_puts(dice: &mut Dice, known: &Known) -> Command {
    let first = dice.below(known.crowd);
    let neighbours = (first..known.crowd).take(100);
    let puts = neighbours.map(|number| Put { key: crowd_key(number), ..put(dice, known) });
    let puts = puts.map(|put| Put { lease: 0, ignore_value: false, ignore_lease: false, ..put });
    let success = puts.map(Operation::Put).collect();
    Command::Txn(Txn { compare: Vec::new(), success, failure: Vec::new() })
}

fn delete_range(dice: &mut Dice, known: &Known) -> DeleteRange {
    // A delete of everything is rare, or there would never be much.
    let range =
        if dice.percent(60) { KeyRange::single(key(dice, known)) } else { range(dice, known) };
    DeleteRange { range, prev_kv: dice.percent(40) }
}

/// Mostly what can be compacted; sometimes what is compacted already, or not there yet.
fn compact_revision(dice: &mut Dice, known: &Known) -> i64 {
    if dice.percent(20) {
        return dice.between(known.compacted - 1, known.revision + 2);
    }
    dice.between((known.compacted + 1).min(known.revision), known.revision)
}

/// What a transaction writes so far: etcd refuses one that puts a key twice, or after deleting it.
#[derive(Default)]
struct Touched {
    puts: Vec<Bytes>,
    deletes: Vec<KeyRange>,
}

fn txn(dice: &mut Dice, known: &Known, touched: &mut Touched, depth: usize) -> Txn {
    let compares = dice.below(3);
    Txn {
        compare: (0..compares).map(|_| compare(dice, known)).collect(),
        success: operations(dice, known, touched, depth),
        failure: operations(dice, known, touched, depth),
    }
}

fn operations(
    dice: &mut Dice,
    known: &Known,
    touched: &mut Touched,
    depth: usize,
) -> Vec<Operation> {
    let mut operations = Vec::new();
    for _ in 0..dice.below(4) {
        match dice.below(10) {
            0..5 => {
                let put = put(dice, known);
                let is_deleted = touched.deletes.iter().any(|range| range.contains(&put.key));
                if !is_deleted && !touched.puts.contains(&put.key) {
                    touched.puts.push(put.key.clone());
                    operations.push(Operation::Put(put));
                }
            }
            5..7 => {
                let delete = delete_range(dice, known);
                touched.deletes.push(delete.range.clone());
                operations.push(Operation::DeleteRange(delete));
            }
            7..9 => operations.push(Operation::Range(query(dice, known))),
            _ if depth > 0 => {
                operations.push(Operation::Txn(txn(dice, known, touched, depth - 1)));
            }
            _ => {}
        }
    }
    operations
}

fn compare(dice: &mut Dice, known: &Known) -> Compare {
    let range =
        if dice.percent(70) { KeyRange::single(key(dice, known)) } else { range(dice, known) };
    let operand = match dice.below(6) {
        0 => Operand::Version(dice.between(0, 3)),
        1 => Operand::Create(dice.between(0, known.revision)),
        2 => Operand::Modified(dice.between(0, known.revision)),
        3 => Operand::Value(Bytes::from(format!("value {}", known.number / 2))),
        4 => Operand::Lease(dice.between(0, LEASES)),
        _ => Operand::Unknown,
    };
    Compare { range, relation: *dice.pick(&RELATIONS), operand }
}

fn raise_alarm(dice: &mut Dice) -> Command {
    let kind = if dice.percent(70) { AlarmKind::NoSpace } else { AlarmKind::Corrupt };
    let member = dice.between(1, 2).cast_unsigned();
    Command::RaiseAlarm { member, kind, cause: cause(dice) }
}

fn clear_alarm(dice: &mut Dice) -> Command {
    let kinds = [AlarmKind::NoSpace, AlarmKind::Corrupt];
    let member = dice.between(0, 2).cast_unsigned();
    Command::ClearAlarm { member, kind: *dice.pick(&kinds), cause: cause(dice) }
}

fn cause(dice: &mut Dice) -> AlarmCause {
    *dice.pick(&[AlarmCause::Quota, AlarmCause::Disk, AlarmCause::Operator])
}

fn publish_member(known: &Known) -> Command {
    let name = format!("member {}", known.number);
    Command::PublishMember { id: 1, name, client_urls: vec!["http://127.0.0.1:2379".into()] }
}
