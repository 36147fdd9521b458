//! Proposals as bytes in the log, and back. The bytes are forever (`proto/metastore/raft/v1`).

use bytes::Bytes;
use metastore_proto::replicated as wire;
use prost::Message;

use crate::domain::alarm::{AlarmCause, AlarmKind};
use crate::domain::command::{
    Command, Compare, DeleteRange, Operand, Operation, Put, Range, Relation, Sort, SortTarget,
    TXN_DEPTH_MAX, Txn,
};
use crate::domain::{Fault, KeyRange};

const FORMAT: u32 = 1;

/// Names a proposal, so that nobody else's commit can answer it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ProposalId {
    pub member: u64,
    /// Random at each start.
    pub boot: u64,
    pub counter: u64,
}

/// A command with everything that must not be decided twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    pub id: ProposalId,
    /// The proposer's steady time, milliseconds since the epoch.
    pub proposed_at: i64,
    pub command: Command,
}

/// The bytes of a log entry.
pub fn encode(proposal: &Proposal) -> Vec<u8> {
    let envelope = wire::Envelope {
        format: FORMAT,
        member: proposal.id.member,
        boot: proposal.id.boot,
        counter: proposal.id.counter,
        proposed_at: proposal.proposed_at,
        user: String::new(),
        auth_revision: 0,
        command: Some(command_to_wire(&proposal.command)),
    };
    envelope.encode_to_vec()
}

/// Reads a log entry. What does not decode stops the member: skipping it would make members
/// differ.
pub fn decode(payload: Bytes) -> Result<Proposal, Fault> {
    let envelope = wire::Envelope::decode(payload)
        .map_err(|error| Fault::corrupt(format!("an entry of the raft log: {error}")))?;
    if envelope.format != FORMAT {
        return Err(Fault::corrupt(format!(
            "an entry of the raft log has format {}, this program knows {FORMAT}: run a newer one",
            envelope.format
        )));
    }
    let command = envelope.command.and_then(command_from_wire);
    Ok(Proposal {
        id: ProposalId { member: envelope.member, boot: envelope.boot, counter: envelope.counter },
        proposed_at: envelope.proposed_at,
        command: command
            .ok_or_else(|| Fault::corrupt("an entry of the raft log has an unknown command"))?,
    })
}

fn command_to_wire(command: &Command) -> wire::envelope::Command {
    use wire::envelope::Command as Wire;
    match command {
        Command::Put(put) => Wire::Put(put_to_wire(put)),
        Command::DeleteRange(delete) => Wire::DeleteRange(delete_to_wire(delete)),
        Command::Txn(txn) => Wire::Txn(txn_to_wire(txn)),
        Command::Compact { revision } => Wire::Compact(wire::Compact { revision: *revision }),
        Command::LeaseGrant { id, ttl } => {
            Wire::LeaseGrant(wire::LeaseGrant { id: *id, ttl: *ttl })
        }
        Command::LeaseRevoke { id } => Wire::LeaseRevoke(wire::LeaseRevoke { id: *id }),
        Command::RaiseAlarm { member, kind, cause } => Wire::Alarm(wire::Alarm {
            action: 0,
            member: *member,
            kind: *kind as u32,
            cause: *cause as u32,
        }),
        Command::ClearAlarm { member, kind, cause } => Wire::Alarm(wire::Alarm {
            action: 1,
            member: *member,
            kind: *kind as u32,
            cause: *cause as u32,
        }),
        Command::PublishMember { id, name, client_urls } => {
            Wire::PublishMember(wire::PublishMember {
                id: *id,
                name: name.clone(),
                client_urls: client_urls.clone(),
            })
        }
    }
}

fn command_from_wire(command: wire::envelope::Command) -> Option<Command> {
    use wire::envelope::Command as Wire;
    Some(match command {
        Wire::Put(put) => Command::Put(put_from_wire(put)),
        Wire::DeleteRange(delete) => Command::DeleteRange(delete_from_wire(delete)),
        Wire::Txn(txn) => Command::Txn(txn_from_wire(txn, TXN_DEPTH_MAX)?),
        Wire::Compact(compact) => Command::Compact { revision: compact.revision },
        Wire::LeaseGrant(grant) => Command::LeaseGrant { id: grant.id, ttl: grant.ttl },
        Wire::LeaseRevoke(revoke) => Command::LeaseRevoke { id: revoke.id },
        Wire::Alarm(alarm) => alarm_from_wire(&alarm)?,
        Wire::PublishMember(it) => {
            Command::PublishMember { id: it.id, name: it.name, client_urls: it.client_urls }
        }
    })
}

fn alarm_from_wire(alarm: &wire::Alarm) -> Option<Command> {
    let kind = match alarm.kind {
        1 => AlarmKind::NoSpace,
        2 => AlarmKind::Corrupt,
        _ => return None,
    };
    let cause = match alarm.cause {
        1 => AlarmCause::Quota,
        2 => AlarmCause::Disk,
        3 => AlarmCause::Operator,
        _ => return None,
    };
    match alarm.action {
        0 => Some(Command::RaiseAlarm { member: alarm.member, kind, cause }),
        1 => Some(Command::ClearAlarm { member: alarm.member, kind, cause }),
        _ => None,
    }
}

fn put_to_wire(put: &Put) -> wire::Put {
    wire::Put {
        key: put.key.clone(),
        value: put.value.clone(),
        lease: put.lease,
        prev_kv: put.prev_kv,
        ignore_value: put.ignore_value,
        ignore_lease: put.ignore_lease,
    }
}

fn put_from_wire(put: wire::Put) -> Put {
    Put {
        key: put.key,
        value: put.value,
        lease: put.lease,
        prev_kv: put.prev_kv,
        ignore_value: put.ignore_value,
        ignore_lease: put.ignore_lease,
    }
}

fn delete_to_wire(delete: &DeleteRange) -> wire::DeleteRange {
    wire::DeleteRange {
        key: delete.range.start().clone(),
        range_end: delete.range.wire_end(),
        prev_kv: delete.prev_kv,
    }
}

fn delete_from_wire(delete: wire::DeleteRange) -> DeleteRange {
    DeleteRange {
        range: KeyRange::from_wire(delete.key, delete.range_end),
        prev_kv: delete.prev_kv,
    }
}

fn txn_to_wire(txn: &Txn) -> wire::Txn {
    wire::Txn {
        compare: txn.compare.iter().map(compare_to_wire).collect(),
        success: txn.success.iter().map(operation_to_wire).collect(),
        failure: txn.failure.iter().map(operation_to_wire).collect(),
    }
}

fn txn_from_wire(txn: wire::Txn, depth: usize) -> Option<Txn> {
    let depth = depth.checked_sub(1)?;
    let branch = |operations: Vec<wire::Operation>| {
        operations.into_iter().map(|it| operation_from_wire(it, depth)).collect::<Option<Vec<_>>>()
    };
    Some(Txn {
        compare: txn.compare.into_iter().map(compare_from_wire).collect::<Option<Vec<_>>>()?,
        success: branch(txn.success)?,
        failure: branch(txn.failure)?,
    })
}

fn operation_to_wire(operation: &Operation) -> wire::Operation {
    use wire::operation::Operation as Wire;
    let operation = match operation {
        Operation::Range(range) => Wire::Range(range_to_wire(range)),
        Operation::Put(put) => Wire::Put(put_to_wire(put)),
        Operation::DeleteRange(delete) => Wire::DeleteRange(delete_to_wire(delete)),
        Operation::Txn(txn) => Wire::Txn(txn_to_wire(txn)),
    };
    wire::Operation { operation: Some(operation) }
}

fn operation_from_wire(operation: wire::Operation, depth: usize) -> Option<Operation> {
    use wire::operation::Operation as Wire;
    Some(match operation.operation? {
        Wire::Range(range) => Operation::Range(range_from_wire(range)?),
        Wire::Put(put) => Operation::Put(put_from_wire(put)),
        Wire::DeleteRange(delete) => Operation::DeleteRange(delete_from_wire(delete)),
        Wire::Txn(txn) => Operation::Txn(txn_from_wire(txn, depth)?),
    })
}

fn range_to_wire(range: &Range) -> wire::Range {
    let (sort_order, sort_target) = match range.sort {
        None => (0, 0),
        Some(Sort { target, descending }) => (if descending { 2 } else { 1 }, target as u32),
    };
    wire::Range {
        key: range.range.start().clone(),
        range_end: range.range.wire_end(),
        limit: range.limit,
        revision: range.revision,
        sort_order,
        sort_target,
        keys_only: range.keys_only,
        count_only: range.count_only,
        min_mod_revision: range.min_modified,
        max_mod_revision: range.max_modified,
        min_create_revision: range.min_create,
        max_create_revision: range.max_create,
    }
}

fn range_from_wire(range: wire::Range) -> Option<Range> {
    let target = match range.sort_target {
        0 => SortTarget::Key,
        1 => SortTarget::Version,
        2 => SortTarget::Create,
        3 => SortTarget::Modified,
        4 => SortTarget::Value,
        _ => return None,
    };
    let sort = match range.sort_order {
        0 => None,
        1 => Some(Sort { target, descending: false }),
        2 => Some(Sort { target, descending: true }),
        _ => return None,
    };
    Some(Range {
        range: KeyRange::from_wire(range.key, range.range_end),
        limit: range.limit,
        revision: range.revision,
        sort,
        keys_only: range.keys_only,
        count_only: range.count_only,
        min_modified: range.min_mod_revision,
        max_modified: range.max_mod_revision,
        min_create: range.min_create_revision,
        max_create: range.max_create_revision,
    })
}

fn compare_to_wire(compare: &Compare) -> wire::Compare {
    use wire::compare::Operand as Wire;
    wire::Compare {
        key: compare.range.start().clone(),
        range_end: compare.range.wire_end(),
        result: compare.relation as u32,
        operand: match &compare.operand {
            Operand::Version(version) => Some(Wire::Version(*version)),
            Operand::Create(revision) => Some(Wire::CreateRevision(*revision)),
            Operand::Modified(revision) => Some(Wire::ModRevision(*revision)),
            Operand::Value(value) => Some(Wire::Value(value.clone())),
            Operand::Lease(lease) => Some(Wire::Lease(*lease)),
            Operand::Unknown => None,
        },
    }
}

fn compare_from_wire(compare: wire::Compare) -> Option<Compare> {
    use wire::compare::Operand as Wire;
    Some(Compare {
        range: KeyRange::from_wire(compare.key, compare.range_end),
        relation: match compare.result {
            0 => Relation::Equal,
            1 => Relation::Greater,
            2 => Relation::Less,
            3 => Relation::NotEqual,
            4 => Relation::Any,
            _ => return None,
        },
        operand: match compare.operand {
            Some(Wire::Version(version)) => Operand::Version(version),
            Some(Wire::CreateRevision(revision)) => Operand::Create(revision),
            Some(Wire::ModRevision(revision)) => Operand::Modified(revision),
            Some(Wire::Value(value)) => Operand::Value(value),
            Some(Wire::Lease(lease)) => Operand::Lease(lease),
            None => Operand::Unknown,
        },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes() -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(any::<u8>(), 0..12).prop_map(Bytes::from)
    }

    fn range_of_keys() -> impl Strategy<Value = KeyRange> {
        (bytes(), bytes()).prop_map(|(key, end)| KeyRange::from_wire(key, end))
    }

    fn put() -> impl Strategy<Value = Put> {
        (bytes(), bytes(), any::<i64>(), any::<[bool; 3]>()).prop_map(
            |(key, value, lease, flags)| {
                let [prev_kv, ignore_value, ignore_lease] = flags;
                Put { key, value, lease, prev_kv, ignore_value, ignore_lease }
            },
        )
    }

    fn delete() -> impl Strategy<Value = DeleteRange> {
        (range_of_keys(), any::<bool>()).prop_map(|(range, prev_kv)| DeleteRange { range, prev_kv })
    }

    fn range() -> impl Strategy<Value = Range> {
        let targets = prop_oneof![
            Just(SortTarget::Key),
            Just(SortTarget::Version),
            Just(SortTarget::Create),
            Just(SortTarget::Modified),
            Just(SortTarget::Value),
        ];
        let sort = proptest::option::of((targets, any::<bool>()));
        (range_of_keys(), any::<[i64; 6]>(), any::<[bool; 2]>(), sort).prop_map(
            |(range, numbers, flags, sort)| {
                let [limit, revision, min_modified, max_modified, min_create, max_create] = numbers;
                let [keys_only, count_only] = flags;
                let sort = sort.map(|(target, descending)| Sort { target, descending });
                Range {
                    range,
                    limit,
                    revision,
                    sort,
                    keys_only,
                    count_only,
                    min_modified,
                    max_modified,
                    min_create,
                    max_create,
                }
            },
        )
    }

    fn compare() -> impl Strategy<Value = Compare> {
        let relation = prop_oneof![
            Just(Relation::Equal),
            Just(Relation::Greater),
            Just(Relation::Less),
            Just(Relation::NotEqual),
            Just(Relation::Any),
        ];
        let operand = prop_oneof![
            any::<i64>().prop_map(Operand::Version),
            any::<i64>().prop_map(Operand::Create),
            any::<i64>().prop_map(Operand::Modified),
            bytes().prop_map(Operand::Value),
            any::<i64>().prop_map(Operand::Lease),
            Just(Operand::Unknown),
        ];
        (range_of_keys(), relation, operand).prop_map(|(range, relation, operand)| Compare {
            range,
            relation,
            operand,
        })
    }

    fn operation() -> impl Strategy<Value = Operation> {
        let leaf = prop_oneof![
            range().prop_map(Operation::Range),
            put().prop_map(Operation::Put),
            delete().prop_map(Operation::DeleteRange),
        ];
        leaf.prop_recursive(4, 12, 3, |inner| txn_of(inner).prop_map(Operation::Txn))
    }

    fn txn_of(inner: impl Strategy<Value = Operation> + Clone) -> impl Strategy<Value = Txn> {
        let branch = || proptest::collection::vec(inner.clone(), 0..3);
        (proptest::collection::vec(compare(), 0..3), branch(), branch())
            .prop_map(|(compare, success, failure)| Txn { compare, success, failure })
    }

    fn command() -> impl Strategy<Value = Command> {
        prop_oneof![
            put().prop_map(Command::Put),
            delete().prop_map(Command::DeleteRange),
            txn_of(operation().boxed()).prop_map(Command::Txn),
            any::<i64>().prop_map(|revision| Command::Compact { revision }),
            any::<(i64, i64)>().prop_map(|(id, ttl)| Command::LeaseGrant { id, ttl }),
            any::<i64>().prop_map(|id| Command::LeaseRevoke { id }),
            any::<u64>().prop_map(|member| Command::RaiseAlarm {
                member,
                kind: AlarmKind::NoSpace,
                cause: AlarmCause::Disk,
            }),
            any::<u64>().prop_map(|member| Command::ClearAlarm {
                member,
                kind: AlarmKind::Corrupt,
                cause: AlarmCause::Operator,
            }),
            any::<(u64, String)>().prop_map(|(id, name)| Command::PublishMember {
                id,
                client_urls: vec![name.clone()],
                name,
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_proposal_survives_the_round_trip(
            command in command(), member: u64, boot: u64, counter: u64, proposed_at: i64,
        ) {
            let id = ProposalId { member, boot, counter };
            let proposal = Proposal { id, proposed_at, command };
            prop_assert_eq!(decode(encode(&proposal).into()).unwrap(), proposal);
        }

        #[test]
        fn garbage_is_refused_and_never_panics(
            garbage in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let _refused_or_not = decode(garbage.into());
        }
    }

    /// What the API lets through always comes back from the log.
    #[test]
    fn the_deepest_transaction_survives_the_round_trip() {
        let mut txn = Txn { compare: vec![], success: vec![], failure: vec![] };
        for _ in 1..TXN_DEPTH_MAX {
            let success = vec![Operation::Txn(txn)];
            txn = Txn { compare: vec![], success, failure: vec![] };
        }
        let command = Command::Txn(txn);
        let proposal = Proposal { id: ProposalId::default(), proposed_at: 0, command };
        assert_eq!(decode(encode(&proposal).into()).unwrap(), proposal);
    }
}
