//! Requests to commands, and outcomes to messages; nothing is decided here.

use bytes::{Bytes, BytesMut};
use metastore_proto::etcdserverpb as pb;
use metastore_proto::mvccpb;
use pb::range_request::{SortOrder, SortTarget as WireTarget};
use pb::request_op::Request;
use pb::response_op::Response as WireResponse;

use crate::domain::alarm::{Alarm, AlarmKind};
use crate::domain::command::{
    Compare, DeleteRange, Operand, Operation, Put, Range, Relation, Sort, SortTarget, Txn,
};
use crate::domain::effects::{OperationAnswer, OperationResponse, RangeResponse, TxnResponse};
use crate::domain::key::detached;
use crate::domain::{KeyRange, KeyValue, RowRef};

/// Field 2 of `RangeResponse`, a message.
pub const RANGE_KVS_TAG: u8 = (2 << 3) | 2;

pub fn range(request: pb::RangeRequest) -> Range {
    let target = match request.sort_target() {
        WireTarget::Key => SortTarget::Key,
        WireTarget::Version => SortTarget::Version,
        WireTarget::Create => SortTarget::Create,
        WireTarget::Mod => SortTarget::Modified,
        WireTarget::Value => SortTarget::Value,
    };
    let sort = match request.sort_order() {
        // A target without an order means ascending.
        SortOrder::None if target == SortTarget::Key => None,
        SortOrder::None | SortOrder::Ascend => Some(Sort { target, descending: false }),
        SortOrder::Descend => Some(Sort { target, descending: true }),
    };
    Range {
        range: KeyRange::from_wire(request.key, request.range_end),
        limit: request.limit,
        revision: request.revision,
        sort,
        keys_only: request.keys_only,
        count_only: request.count_only,
        min_modified: request.min_mod_revision,
        max_modified: request.max_mod_revision,
        min_create: request.min_create_revision,
        max_create: request.max_create_revision,
    }
}

pub fn put(request: pb::PutRequest) -> Put {
    Put {
        key: request.key,
        value: request.value,
        lease: request.lease,
        prev_kv: request.prev_kv,
        ignore_value: request.ignore_value,
        ignore_lease: request.ignore_lease,
    }
}

pub fn delete(request: pb::DeleteRangeRequest) -> DeleteRange {
    DeleteRange {
        range: KeyRange::from_wire(request.key, request.range_end),
        prev_kv: request.prev_kv,
    }
}

pub fn txn(request: pb::TxnRequest) -> Txn {
    let branch = |operations: Vec<pb::RequestOp>| {
        operations.into_iter().filter_map(|it| it.request.map(operation)).collect()
    };
    Txn {
        compare: request.compare.into_iter().map(compare).collect(),
        success: branch(request.success),
        failure: branch(request.failure),
    }
}

/// The keys of a watch. An empty key means the first possible one. What outlives the request is
/// copied out of it.
pub fn watch_range(request: &pb::WatchCreateRequest) -> KeyRange {
    let key =
        if request.key.is_empty() { Bytes::from_static(b"\0") } else { detached(&request.key) };
    KeyRange::from_wire(key, detached(&request.range_end))
}

fn operation(request: Request) -> Operation {
    match request {
        Request::RequestRange(request) => Operation::Range(range(request)),
        Request::RequestPut(request) => Operation::Put(put(request)),
        Request::RequestDeleteRange(request) => Operation::DeleteRange(delete(request)),
        Request::RequestTxn(request) => Operation::Txn(txn(request)),
    }
}

fn compare(compare: pb::Compare) -> Compare {
    use pb::compare::{CompareResult, CompareTarget, TargetUnion};
    let relation = match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => Relation::Equal,
        Ok(CompareResult::Greater) => Relation::Greater,
        Ok(CompareResult::Less) => Relation::Less,
        Ok(CompareResult::NotEqual) => Relation::NotEqual,
        Err(_unknown) => Relation::Any,
    };
    // An operand of another kind than the target counts as missing: zero, or no bytes.
    let union = compare.target_union;
    let operand = match CompareTarget::try_from(compare.target) {
        Ok(CompareTarget::Version) => Operand::Version(match union {
            Some(TargetUnion::Version(version)) => version,
            _ => 0,
        }),
        Ok(CompareTarget::Create) => Operand::Create(match union {
            Some(TargetUnion::CreateRevision(revision)) => revision,
            _ => 0,
        }),
        Ok(CompareTarget::Mod) => Operand::Modified(match union {
            Some(TargetUnion::ModRevision(revision)) => revision,
            _ => 0,
        }),
        Ok(CompareTarget::Value) => Operand::Value(match union {
            Some(TargetUnion::Value(value)) => value,
            _ => Bytes::new(),
        }),
        Ok(CompareTarget::Lease) => Operand::Lease(match union {
            Some(TargetUnion::Lease(lease)) => lease,
            _ => 0,
        }),
        Err(_unknown) => Operand::Unknown,
    };
    Compare { range: KeyRange::from_wire(compare.key, compare.range_end), relation, operand }
}

pub fn key_value(kv: KeyValue) -> mvccpb::KeyValue {
    let value = kv.version.value();
    let fields = kv.version.fields();
    mvccpb::KeyValue {
        create_revision: fields.create,
        mod_revision: fields.modified,
        version: fields.version,
        value,
        lease: fields.lease,
        key: kv.key,
    }
}

/// Appends a row to an encoded `RangeResponse`, as it lies in the store.
pub fn append_row(out: &mut BytesMut, row: RowRef<'_>) {
    crate::domain::mvcc::range::put_framed(out, RANGE_KVS_TAG, row);
}

pub fn txn_response(response: TxnResponse) -> (bool, Vec<pb::ResponseOp>) {
    (response.succeeded, response.results.into_iter().map(operation_response).collect())
}

/// The answers inside a transaction carry a header with nothing but the revision.
fn operation_response(answer: OperationAnswer) -> pb::ResponseOp {
    let OperationAnswer { revision, response } = answer;
    let header = Some(pb::ResponseHeader { revision, ..Default::default() });
    let response = match response {
        OperationResponse::Range(range) => {
            WireResponse::ResponseRange(range_response(range, header))
        }
        OperationResponse::Put { previous } => {
            WireResponse::ResponsePut(pb::PutResponse { header, prev_kv: previous.map(key_value) })
        }
        OperationResponse::DeleteRange { deleted, previous } => {
            WireResponse::ResponseDeleteRange(pb::DeleteRangeResponse {
                header,
                deleted,
                prev_kvs: previous.into_iter().map(key_value).collect(),
            })
        }
        OperationResponse::Txn(nested) => {
            let (succeeded, responses) = txn_response(nested);
            // Of a nested transaction not even the revision is said.
            let header = Some(pb::ResponseHeader::default());
            WireResponse::ResponseTxn(pb::TxnResponse { header, succeeded, responses })
        }
    };
    pb::ResponseOp { response: Some(response) }
}

pub fn range_response(
    range: RangeResponse,
    header: Option<pb::ResponseHeader>,
) -> pb::RangeResponse {
    pb::RangeResponse {
        header,
        kvs: range.kvs.into_iter().map(key_value).collect(),
        more: range.more,
        count: range.count,
    }
}

pub fn alarm(alarm: Alarm) -> pb::AlarmMember {
    pb::AlarmMember { member_id: alarm.member, alarm: alarm.kind as i32 }
}

/// A kind of alarm as requests name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireAlarm {
    Every,
    One(AlarmKind),
    /// A number that etcd does not know.
    Unknown,
}

pub fn alarm_kind(number: i32) -> WireAlarm {
    match pb::AlarmType::try_from(number) {
        Ok(pb::AlarmType::None) => WireAlarm::Every,
        Ok(pb::AlarmType::Nospace) => WireAlarm::One(AlarmKind::NoSpace),
        Ok(pb::AlarmType::Corrupt) => WireAlarm::One(AlarmKind::Corrupt),
        Err(_unknown) => WireAlarm::Unknown,
    }
}
