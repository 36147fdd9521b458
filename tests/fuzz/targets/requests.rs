//! Messages of clients and of the sidecar: decode, check, convert; what the checks let through
//! comes back from the raft log as it was (`core/src/api/etcd/check.rs`, `convert.rs`).
//!
//! Input: which message (1), its bytes.

#![no_main]

use std::fmt::Debug;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use metastore_core::api::etcd::{check, convert};
use metastore_core::domain::command::{Command, Operation, Range, Txn};
use metastore_core::raft::{Proposal, ProposalId, payload};
use metastore_proto::etcdserverpb as pb;
use metastore_proto::{admin, health, v3electionpb, v3lockpb};
use prost::Message;

/// `METASTORE_MAX_TXN_OPS` by default.
const OPERATIONS_MAX: usize = 128;

fuzz_target!(|data: &[u8]| {
    let Some((kind, bytes)) = data.split_first() else { return };
    let bytes = Bytes::copy_from_slice(bytes);
    match kind {
        0 => with(bytes, |request: pb::RangeRequest| {
            if check::range(&request).is_ok() {
                comes_back(Command::Txn(reading(convert::range(request))));
            }
        }),
        1 => with(bytes, |request: pb::PutRequest| {
            if check::put(&request).is_ok() {
                comes_back(Command::Put(convert::put(request)));
            }
        }),
        2 => with(bytes, |request: pb::DeleteRangeRequest| {
            if check::delete(&request).is_ok() {
                comes_back(Command::DeleteRange(convert::delete(request)));
            }
        }),
        3 => with(bytes, |request: pb::TxnRequest| {
            let operations = operations(&request);
            if check::txn(&request, OPERATIONS_MAX).is_ok() {
                let txn = convert::txn(request);
                assert_eq!(converted(&txn), operations, "an operation was lost");
                comes_back(Command::Txn(txn));
            }
        }),
        4 => with(bytes, |request: pb::WatchRequest| {
            if let Some(pb::watch_request::RequestUnion::CreateRequest(create)) =
                request.request_union
            {
                let range = convert::watch_range(&create);
                assert!(!range.start().is_empty(), "a watch begins at the first possible key");
                assert_eq!(range.wire_end(), create.range_end);
            }
        }),
        5 => with(bytes, |request: pb::AlarmRequest| _ = convert::alarm_kind(request.alarm)),
        6 => with(bytes, |request: pb::LeaseGrantRequest| {
            comes_back(Command::LeaseGrant { id: request.id, ttl: request.ttl });
        }),
        7 => with(bytes, |request: admin::AlarmRequest| _ = request.cause()),
        other => decode_any(*other, bytes),
    }
});

/// Messages that are looked at field by field, if at all.
fn decode_any(kind: u8, bytes: Bytes) {
    match kind {
        8 => with(bytes, |_: pb::CompactionRequest| ()),
        9 => with(bytes, |_: pb::HashKvRequest| ()),
        10 => with(bytes, |_: pb::LeaseTimeToLiveRequest| ()),
        11 => with(bytes, |_: pb::LeaseKeepAliveRequest| ()),
        12 => with(bytes, |_: pb::MemberAddRequest| ()),
        13 => with(bytes, |_: pb::AuthUserAddRequest| ()),
        14 => with(bytes, |_: health::HealthCheckRequest| ()),
        15 => with(bytes, |_: admin::CompactRequest| ()),
        16 => with(bytes, |_: admin::ObserveResponse| ()),
        17 => with(bytes, |_: v3lockpb::LockRequest| ()),
        18 => with(bytes, |_: v3electionpb::CampaignRequest| ()),
        19 => with(bytes, |_: pb::WatchResponse| ()),
        20 => with(bytes, |_: pb::TxnResponse| ()),
        _ => {}
    }
}

/// Decodes; then what was decoded must survive being encoded.
fn with<M: Message + Default + Debug + PartialEq>(bytes: Bytes, then: impl FnOnce(M)) {
    let Ok(message) = M::decode(bytes) else { return };
    let encoded = message.encode_to_vec();
    assert_eq!(encoded.len(), message.encoded_len());
    let again = M::decode(encoded.as_slice()).expect("what was encoded decodes");
    assert!(again == message, "{again:?} was {message:?}");
    then(message);
}

fn reading(range: Range) -> Txn {
    Txn { compare: Vec::new(), success: vec![Operation::Range(range)], failure: Vec::new() }
}

fn comes_back(command: Command) {
    let proposal = Proposal { id: ProposalId::default(), proposed_at: 0, command };
    let decoded = payload::decode(payload::encode(&proposal).into()).expect("it is in the log");
    assert_eq!(decoded, proposal);
}

fn operations(request: &pb::TxnRequest) -> usize {
    let inner = |operation: &pb::RequestOp| match &operation.request {
        Some(pb::request_op::Request::RequestTxn(nested)) => 1 + operations(nested),
        _ => 1,
    };
    request.compare.len() + request.success.iter().chain(&request.failure).map(inner).sum::<usize>()
}

fn converted(txn: &Txn) -> usize {
    let inner = |operation: &Operation| match operation {
        Operation::Txn(nested) => 1 + converted(nested),
        Operation::Range(_) | Operation::Put(_) | Operation::DeleteRange(_) => 1,
    };
    txn.compare.len() + txn.success.iter().chain(&txn.failure).map(inner).sum::<usize>()
}
