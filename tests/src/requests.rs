//! Requests with defaults: a test names only what it is about, the rest by `..put("a", "1")`.

use bytes::Bytes;
use metastore_proto::etcdserverpb as pb;
use pb::compare::{CompareResult, CompareTarget, TargetUnion};
use pb::request_op::Request;
use pb::watch_request::RequestUnion;

/// The range end, or the key, that stands for the end of the key space.
pub const OPEN: &str = "\0";

pub fn bytes(text: impl AsRef<[u8]>) -> Bytes {
    Bytes::copy_from_slice(text.as_ref())
}

/// One key.
pub fn key(key: impl AsRef<[u8]>) -> pb::RangeRequest {
    pb::RangeRequest { key: bytes(key), ..Default::default() }
}

/// The keys of `[from, to)`.
pub fn span(from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> pb::RangeRequest {
    pb::RangeRequest { key: bytes(from), range_end: bytes(to), ..Default::default() }
}

pub fn prefix(prefix: impl AsRef<[u8]>) -> pb::RangeRequest {
    let end = prefix_end(prefix.as_ref());
    span(prefix, end)
}

pub fn everything() -> pb::RangeRequest {
    span(OPEN, OPEN)
}

/// The first key after all keys that begin with `prefix`, which does not end in 0xff.
pub fn prefix_end(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    let last = end.last_mut().expect("a prefix has a byte");
    *last += 1;
    end.into()
}

pub fn put(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> pb::PutRequest {
    pb::PutRequest { key: bytes(key), value: bytes(value), ..Default::default() }
}

pub fn delete(key: impl AsRef<[u8]>) -> pb::DeleteRangeRequest {
    pb::DeleteRangeRequest { key: bytes(key), ..Default::default() }
}

pub fn delete_span(from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> pb::DeleteRangeRequest {
    pb::DeleteRangeRequest { key: bytes(from), range_end: bytes(to), prev_kv: false }
}

pub fn delete_everything() -> pb::DeleteRangeRequest {
    delete_span(OPEN, OPEN)
}

/// A transaction whose conditions hold.
pub fn txn(success: impl IntoIterator<Item = pb::RequestOp>) -> pb::TxnRequest {
    pb::TxnRequest { success: success.into_iter().collect(), ..Default::default() }
}

/// A whole transaction.
pub fn branches<const C: usize, const S: usize, const F: usize>(
    compare: [pb::Compare; C],
    success: [pb::RequestOp; S],
    failure: [pb::RequestOp; F],
) -> pb::TxnRequest {
    pb::TxnRequest { compare: compare.into(), success: success.into(), failure: failure.into() }
}

/// Something that may stand in a transaction.
pub trait Operation {
    fn op(self) -> pb::RequestOp;
}

macro_rules! operations {
    ($($request:ty => $variant:ident,)+) => { $(
        impl Operation for $request {
            fn op(self) -> pb::RequestOp {
                pb::RequestOp { request: Some(Request::$variant(self)) }
            }
        }
    )+ };
}

operations! {
    pb::RangeRequest => RequestRange,
    pb::PutRequest => RequestPut,
    pb::DeleteRangeRequest => RequestDeleteRange,
    pb::TxnRequest => RequestTxn,
}

/// The condition `key's target result operand`; the target follows from the operand.
pub fn compare(key: impl AsRef<[u8]>, result: CompareResult, operand: TargetUnion) -> pb::Compare {
    let target = match &operand {
        TargetUnion::Version(_) => CompareTarget::Version,
        TargetUnion::CreateRevision(_) => CompareTarget::Create,
        TargetUnion::ModRevision(_) => CompareTarget::Mod,
        TargetUnion::Value(_) => CompareTarget::Value,
        TargetUnion::Lease(_) => CompareTarget::Lease,
    };
    pb::Compare {
        result: result as i32,
        target: target as i32,
        key: bytes(key),
        target_union: Some(operand),
        range_end: Bytes::new(),
    }
}

/// The condition that a key is missing.
pub fn missing(key: impl AsRef<[u8]>) -> pb::Compare {
    compare(key, CompareResult::Equal, TargetUnion::Version(0))
}

/// A watch of one key.
pub fn watch(key: impl AsRef<[u8]>) -> pb::WatchCreateRequest {
    pb::WatchCreateRequest { key: bytes(key), ..Default::default() }
}

pub fn watch_prefix(prefix: impl AsRef<[u8]>) -> pb::WatchCreateRequest {
    let range_end = prefix_end(prefix.as_ref());
    pb::WatchCreateRequest { range_end, ..watch(prefix) }
}

pub fn watch_everything() -> pb::WatchCreateRequest {
    pb::WatchCreateRequest { range_end: bytes(OPEN), ..watch(OPEN) }
}

pub fn watch_create(create: pb::WatchCreateRequest) -> pb::WatchRequest {
    pb::WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) }
}

pub fn watch_cancel(watch_id: i64) -> pb::WatchRequest {
    let cancel = pb::WatchCancelRequest { watch_id };
    pb::WatchRequest { request_union: Some(RequestUnion::CancelRequest(cancel)) }
}

pub fn watch_progress() -> pb::WatchRequest {
    let progress = pb::WatchProgressRequest {};
    pb::WatchRequest { request_union: Some(RequestUnion::ProgressRequest(progress)) }
}
