//! Requests of every kind with every field set somewhere.

use bytes::Bytes;
use metastore_proto::etcdserverpb as pb;
use metastore_proto::{admin, health, v3lockpb};
use pb::compare::{CompareResult, CompareTarget, TargetUnion};
use pb::request_op::Request;
use pb::watch_request::RequestUnion;
use prost::Message;

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub fn put(key: &str, lease: i64) -> pb::PutRequest {
    pb::PutRequest { key: text(key), value: text("value"), lease, ..Default::default() }
}

pub fn delete(key: &str, end: &str) -> pb::DeleteRangeRequest {
    pb::DeleteRangeRequest { key: text(key), range_end: text(end), prev_kv: true }
}

fn range(key: &str, end: &str) -> pb::RangeRequest {
    pb::RangeRequest {
        key: text(key),
        range_end: text(end),
        limit: 3,
        sort_order: 2,
        sort_target: 4,
        min_mod_revision: 1,
        max_create_revision: 100,
        ..Default::default()
    }
}

fn compare(key: &str, target: CompareTarget, union: TargetUnion) -> pb::Compare {
    pb::Compare {
        result: CompareResult::Equal.into(),
        target: target.into(),
        key: text(key),
        range_end: Bytes::new(),
        target_union: Some(union),
    }
}

fn operation(request: Request) -> pb::RequestOp {
    pb::RequestOp { request: Some(request) }
}

pub fn txns() -> Vec<pb::TxnRequest> {
    let puts = |keys: &[&str]| -> Vec<pb::RequestOp> {
        keys.iter().map(|key| operation(Request::RequestPut(put(key, 0)))).collect()
    };
    let first = pb::TxnRequest { success: puts(&["a", "b", "c/1"]), ..Default::default() };
    let nested = pb::TxnRequest {
        compare: vec![compare("c", CompareTarget::Create, TargetUnion::CreateRevision(2))],
        success: puts(&["d", "e"]),
        failure: vec![operation(Request::RequestRange(range("a", "z")))],
    };
    let second = pb::TxnRequest {
        compare: vec![
            compare("a", CompareTarget::Version, TargetUnion::Version(1)),
            compare("b", CompareTarget::Value, TargetUnion::Value(text("value"))),
            compare("a", CompareTarget::Mod, TargetUnion::ModRevision(2)),
            compare("new", CompareTarget::Lease, TargetUnion::Lease(0)),
        ],
        success: vec![
            operation(Request::RequestPut(put("a", 0))),
            operation(Request::RequestDeleteRange(delete("c", "d"))),
            operation(Request::RequestTxn(nested)),
            operation(Request::RequestRange(range("a", "\0"))),
        ],
        failure: puts(&["a"]),
    };
    let mut deep = pb::TxnRequest::default();
    for _ in 0..39 {
        let success = vec![operation(Request::RequestTxn(deep))];
        deep = pb::TxnRequest { success, ..Default::default() };
    }
    vec![first, second, deep]
}

/// Each behind the number that the target `requests` knows it by.
pub fn tagged() -> Vec<Vec<u8>> {
    let create = pb::WatchCreateRequest {
        key: text("a"),
        range_end: text("b"),
        start_revision: 1,
        progress_notify: true,
        filters: vec![0, 1],
        prev_kv: true,
        watch_id: 5,
        fragment: true,
    };
    let watch = pb::WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    let mut seeds = vec![
        tag(0, &range("a", "b")),
        tag(1, &put("a", 7)),
        tag(2, &delete("a", "b")),
        tag(4, &watch),
        tag(5, &pb::AlarmRequest { action: 1, member_id: 1, alarm: 1 }),
        tag(6, &pb::LeaseGrantRequest { ttl: 60, id: 7 }),
        tag(7, &admin::AlarmRequest { raise: true, cause: 2 }),
        tag(8, &pb::CompactionRequest { revision: 5, physical: true }),
        tag(14, &health::HealthCheckRequest { service: "kv".to_owned() }),
        tag(15, &admin::CompactRequest { revision: 5, physical: true }),
        tag(17, &v3lockpb::LockRequest { name: text("a"), lease: 7 }),
    ];
    seeds.extend(txns().iter().map(|txn| tag(3, txn)));
    seeds
}

fn tag(kind: u8, message: &impl Message) -> Vec<u8> {
    [&[kind][..], &message.encode_to_vec()].concat()
}
