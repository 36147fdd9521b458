//! Refusals: etcd's codes and texts, as the client hands them on.

use etcd_client::{Error, GetOptions, LeaseGrantOptions, PutOptions, Txn, TxnOp};
use tonic::Code;

use crate::{Check, Outcome, Scope, checks};

pub const CHECKS: &[Check] = checks![
    a_compacted_revision_is_out_of_range,
    bad_requests_have_etcds_codes_and_texts,
    a_refused_txn_leaves_nothing_behind,
];

/// The code and the text of a refusal.
#[track_caller]
fn assert_refused<T>(answer: Result<T, Error>, code: Code, text: &str) {
    match answer {
        Ok(_) => panic!("answered, and not refused with {code:?}: {text}"),
        Err(Error::GRpcStatus(status)) => {
            assert_eq!((status.code(), status.message()), (code, text));
        }
        Err(other) => panic!("{other}, and not {code:?}: {text}"),
    }
}

async fn a_compacted_revision_is_out_of_range(mut s: Scope) -> Outcome {
    let first = s.put("a", "1").await?;
    let second = s.put("a", "2").await?;
    let newest = s.put("a", "3").await?;
    s.client.compact(second, None).await?;
    let at = |revision| Some(GetOptions::new().with_revision(revision));
    let compacted = "etcdserver: mvcc: required revision has been compacted";
    let future = "etcdserver: mvcc: required revision is a future revision";
    let old = s.client.get(s.key("a"), at(first)).await;
    assert_refused(old, Code::OutOfRange, compacted);
    let kept = s.client.get(s.key("a"), at(second)).await?;
    assert_eq!(kept.kvs()[0].value(), b"2", "the compacted revision itself is kept");
    let ahead = s.client.get(s.key("a"), at(newest + 1_000_000)).await;
    assert_refused(ahead, Code::OutOfRange, future);
    assert_refused(s.client.compact(second, None).await, Code::OutOfRange, compacted);
    assert_refused(s.client.compact(newest + 1_000_000, None).await, Code::OutOfRange, future);
    let read = TxnOp::get(s.key("a"), at(first));
    let txn = s.client.txn(Txn::new().and_then([read])).await;
    assert_refused(txn, Code::OutOfRange, compacted);
    Ok(())
}

async fn bad_requests_have_etcds_codes_and_texts(mut s: Scope) -> Outcome {
    let key = s.key("a");
    let client = &mut s.client;
    let empty = "etcdserver: key is not provided";
    assert_refused(client.put("", "1", None).await, Code::InvalidArgument, empty);
    assert_refused(client.get("", None).await, Code::InvalidArgument, empty);
    assert_refused(client.delete("", None).await, Code::InvalidArgument, empty);
    let missing = "etcdserver: requested lease not found";
    let on_it = PutOptions::new().with_lease(1234);
    assert_refused(client.put(key.clone(), "1", Some(on_it)).await, Code::NotFound, missing);
    assert_refused(client.lease_revoke(1234).await, Code::NotFound, missing);
    let kept = PutOptions::new().with_ignore_value();
    assert_refused(
        client.put(key.clone(), "", Some(kept.clone())).await,
        Code::InvalidArgument,
        "etcdserver: key not found",
    );
    assert_refused(
        client.put(key.clone(), "1", Some(kept)).await,
        Code::InvalidArgument,
        "etcdserver: value is provided",
    );
    let id = client.lease_grant(60, None).await?.id();
    assert_refused(
        client.lease_grant(60, Some(LeaseGrantOptions::new().with_id(id))).await,
        Code::FailedPrecondition,
        "etcdserver: lease already exists",
    );
    client.lease_revoke(id).await?;
    assert_refused(
        client.put(key, vec![0; 1_800_000], None).await,
        Code::InvalidArgument,
        "etcdserver: request is too large",
    );
    Ok(())
}

async fn a_refused_txn_leaves_nothing_behind(mut s: Scope) -> Outcome {
    let before = s.put("a", "1").await?;
    let twice = [TxnOp::put(s.key("b"), "1", None), TxnOp::put(s.key("b"), "2", None)];
    assert_refused(
        s.client.txn(Txn::new().and_then(twice)).await,
        Code::InvalidArgument,
        "etcdserver: duplicate key given in txn request",
    );
    let many: Vec<_> = (0..129).map(|n| TxnOp::put(s.key(&n.to_string()), "", None)).collect();
    assert_refused(
        s.client.txn(Txn::new().and_then(many)).await,
        Code::InvalidArgument,
        "etcdserver: too many operations in txn request",
    );
    let late = [
        TxnOp::put(s.key("b"), "1", None),
        TxnOp::put(s.key("c"), "1", Some(PutOptions::new().with_lease(1234))),
    ];
    assert_refused(
        s.client.txn(Txn::new().and_then(late)).await,
        Code::NotFound,
        "etcdserver: requested lease not found",
    );
    assert_eq!(s.get("b").await?, None, "a part of a refused transaction");
    assert_eq!(s.put("a", "2").await?, before + 1, "a refusal is no revision");
    Ok(())
}
