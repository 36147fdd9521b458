//! The shape of KV's requests, before anything else is asked: pure.

use std::collections::HashSet;

use bytes::Bytes;
use metastore_proto::etcdserverpb as pb;
use pb::range_request::{SortOrder, SortTarget};
use pb::request_op::Request;

use super::status::{self, Known};
use crate::domain::KeyRange;
use crate::domain::command::TXN_DEPTH_MAX;

pub fn range(request: &pb::RangeRequest) -> Result<(), Known> {
    if request.key.is_empty() {
        return Err(status::EMPTY_KEY);
    }
    let order = SortOrder::try_from(request.sort_order);
    let target = SortTarget::try_from(request.sort_target);
    if order.is_err() || target.is_err() { Err(status::INVALID_SORT) } else { Ok(()) }
}

pub fn put(request: &pb::PutRequest) -> Result<(), Known> {
    if request.key.is_empty() {
        return Err(status::EMPTY_KEY);
    }
    if request.ignore_value && !request.value.is_empty() {
        return Err(status::VALUE_PROVIDED);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(status::LEASE_PROVIDED);
    }
    Ok(())
}

pub fn delete(request: &pb::DeleteRangeRequest) -> Result<(), Known> {
    if request.key.is_empty() { Err(status::EMPTY_KEY) } else { Ok(()) }
}

pub fn txn(request: &pb::TxnRequest, operations_max: usize) -> Result<(), Known> {
    txn_shape(request, operations_max, TXN_DEPTH_MAX)?;
    let _written = written(&request.success)?;
    let _written = written(&request.failure)?;
    Ok(())
}

fn txn_shape(request: &pb::TxnRequest, budget: usize, depth: usize) -> Result<(), Known> {
    let lists = [request.compare.len(), request.success.len(), request.failure.len()];
    let longest = lists.into_iter().max().unwrap_or_default();
    let Some(rest) = budget.checked_sub(longest) else {
        return Err(status::TOO_MANY_OPERATIONS);
    };
    let Some(depth) = depth.checked_sub(1) else {
        return Err(status::TOO_MANY_OPERATIONS);
    };
    if request.compare.iter().any(|compare| compare.key.is_empty()) {
        return Err(status::EMPTY_KEY);
    }
    for operation in request.success.iter().chain(&request.failure) {
        match &operation.request {
            Some(Request::RequestRange(request)) => range(request)?,
            Some(Request::RequestPut(request)) => put(request)?,
            Some(Request::RequestDeleteRange(request)) => delete(request)?,
            Some(Request::RequestTxn(request)) => txn_shape(request, rest, depth)?,
            None => return Err(status::KEY_NOT_FOUND),
        }
    }
    Ok(())
}

/// What a branch writes.
#[derive(Default)]
struct Written {
    puts: HashSet<Bytes>,
    deletes: Vec<KeyRange>,
}

impl Written {
    fn deletes(&self, key: &Bytes) -> bool {
        self.deletes.iter().any(|range| range.contains(key))
    }
}

/// No key may be put twice in a branch, nor put and deleted; the two branches of a nested
/// transaction exclude each other, so they may write the same.
fn written(operations: &[pb::RequestOp]) -> Result<Written, Known> {
    let mut branch = Written::default();
    for operation in operations {
        if let Some(Request::RequestDeleteRange(delete)) = &operation.request {
            // etcd takes the open end for a key here, before which nothing lies.
            if delete.range_end.as_ref() != b"\0" {
                let range = KeyRange::from_wire(delete.key.clone(), delete.range_end.clone());
                branch.deletes.push(range);
            }
        }
    }
    for operation in operations {
        if let Some(Request::RequestTxn(nested)) = &operation.request {
            merge(&mut branch, written(&nested.success)?, written(&nested.failure)?)?;
        }
    }
    for operation in operations {
        let Some(Request::RequestPut(put)) = &operation.request else {
            continue;
        };
        if branch.deletes(&put.key) || !branch.puts.insert(put.key.clone()) {
            return Err(status::DUPLICATE_KEY);
        }
    }
    Ok(branch)
}

fn merge(branch: &mut Written, success: Written, failure: Written) -> Result<(), Known> {
    for key in &success.puts {
        if branch.puts.contains(key) || branch.deletes(key) {
            return Err(status::DUPLICATE_KEY);
        }
    }
    for key in &failure.puts {
        let collides = branch.puts.contains(key) && !success.puts.contains(key);
        if collides || branch.deletes(key) {
            return Err(status::DUPLICATE_KEY);
        }
    }
    branch.puts.extend(success.puts);
    branch.puts.extend(failure.puts);
    branch.deletes.extend(success.deletes);
    branch.deletes.extend(failure.deletes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put_of(key: &'static str) -> pb::RequestOp {
        let put = pb::PutRequest { key: Bytes::from_static(key.as_bytes()), ..Default::default() };
        pb::RequestOp { request: Some(Request::RequestPut(put)) }
    }

    fn delete_of(key: &'static str, end: &'static str) -> pb::RequestOp {
        let delete = pb::DeleteRangeRequest {
            key: Bytes::from_static(key.as_bytes()),
            range_end: Bytes::from_static(end.as_bytes()),
            prev_kv: false,
        };
        pb::RequestOp { request: Some(Request::RequestDeleteRange(delete)) }
    }

    fn nested(success: Vec<pb::RequestOp>, failure: Vec<pb::RequestOp>) -> pb::RequestOp {
        let txn = pb::TxnRequest { compare: vec![], success, failure };
        pb::RequestOp { request: Some(Request::RequestTxn(txn)) }
    }

    fn verdict(success: Vec<pb::RequestOp>) -> Result<(), Known> {
        txn(&pb::TxnRequest { compare: vec![], success, failure: vec![] }, 128)
    }

    #[test]
    fn a_key_is_written_once_in_a_branch() {
        assert_eq!(verdict(vec![put_of("a"), put_of("b")]), Ok(()));
        assert_eq!(verdict(vec![put_of("a"), put_of("a")]), Err(status::DUPLICATE_KEY));
        assert_eq!(verdict(vec![put_of("b"), delete_of("a", "c")]), Err(status::DUPLICATE_KEY));
        assert_eq!(verdict(vec![delete_of("a", "c"), delete_of("a", "")]), Ok(()));
    }

    #[test]
    fn branches_of_a_nested_transaction_exclude_each_other() {
        assert_eq!(verdict(vec![nested(vec![put_of("a")], vec![put_of("a")])]), Ok(()));
        assert_eq!(
            verdict(vec![put_of("a"), nested(vec![], vec![put_of("a")])]),
            Err(status::DUPLICATE_KEY)
        );
        assert_eq!(
            verdict(vec![nested(vec![delete_of("a", "")], vec![]), put_of("a")]),
            Err(status::DUPLICATE_KEY)
        );
    }

    #[test]
    fn nested_transactions_share_the_budget() {
        let many = |count| vec![put_of("a"); count];
        assert_eq!(verdict(many(129)), Err(status::TOO_MANY_OPERATIONS));
        let inner = nested((0..128).map(|_| delete_of("a", "")).collect(), vec![]);
        assert_eq!(verdict(vec![inner]), Err(status::TOO_MANY_OPERATIONS));
        let mut deep = nested(vec![], vec![]);
        for _ in 0..60 {
            deep = nested(vec![deep], vec![]);
        }
        assert_eq!(verdict(vec![deep]), Err(status::TOO_MANY_OPERATIONS));
    }

    #[test]
    fn an_operation_without_content_is_refused() {
        assert_eq!(verdict(vec![pb::RequestOp { request: None }]), Err(status::KEY_NOT_FOUND));
        assert_eq!(verdict(vec![put_of("")]), Err(status::EMPTY_KEY));
    }
}
