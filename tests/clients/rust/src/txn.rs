//! Transactions: conditions, both branches, nesting, one revision.

use etcd_client::{Compare, CompareOp, GetOptions, Txn, TxnOp, TxnOpResponse};

use crate::{Check, Outcome, Scope, checks};

pub const CHECKS: &[Check] =
    checks![compare_and_swap, conditions, a_txn_is_one_revision, nested_transactions];

async fn compare_and_swap(mut s: Scope) -> Outcome {
    s.put("a", "1").await?;
    let key = s.key("a");
    let swap = |from: &str, to: &str| {
        Txn::new()
            .when([Compare::value(key.clone(), CompareOp::Equal, from)])
            .and_then([TxnOp::put(key.clone(), to, None)])
            .or_else([TxnOp::get(key.clone(), None)])
    };
    let first = s.client.txn(swap("1", "2")).await?;
    assert!(first.succeeded(), "the value was 1");
    let late = s.client.txn(swap("1", "3")).await?;
    assert!(!late.succeeded(), "the value is not 1 any more");
    match late.op_responses().as_slice() {
        [TxnOpResponse::Get(got)] => assert_eq!(got.kvs()[0].value(), b"2"),
        other => panic!("the answer of one get, not {other:?}"),
    }
    assert_eq!(s.get("a").await?.as_deref(), Some("2"));
    Ok(())
}

async fn conditions(mut s: Scope) -> Outcome {
    let first = s.put("a", "1").await?;
    let second = s.put("a", "2").await?;
    let (a, new) = (s.key("a"), s.key("new"));
    let cases = [
        (Compare::version(a.clone(), CompareOp::Equal, 2), true),
        (Compare::version(new.clone(), CompareOp::Equal, 0), true),
        (Compare::version(new.clone(), CompareOp::Greater, 0), false),
        (Compare::create_revision(a.clone(), CompareOp::Equal, first), true),
        (Compare::mod_revision(a.clone(), CompareOp::Less, second), false),
        (Compare::mod_revision(a.clone(), CompareOp::NotEqual, first), true),
        (Compare::value(new, CompareOp::NotEqual, "x"), false),
        (Compare::lease(a, CompareOp::Equal, 0), true),
        (Compare::value(s.key(""), CompareOp::Equal, "2").with_prefix(), true),
    ];
    for (condition, want) in cases {
        let asked = s.client.txn(Txn::new().when([condition.clone()])).await?;
        assert_eq!(asked.succeeded(), want, "{condition:?}");
    }
    Ok(())
}

async fn a_txn_is_one_revision(mut s: Scope) -> Outcome {
    let before = s.put("a", "1").await?;
    let operations = [
        TxnOp::put(s.key("b"), "1", None),
        TxnOp::put(s.key("c"), "1", None),
        TxnOp::delete(s.key("a"), None),
        TxnOp::get(s.key(""), Some(GetOptions::new().with_prefix())),
    ];
    let done = s.client.txn(Txn::new().and_then(operations)).await?;
    assert_eq!(done.header().unwrap().revision(), before + 1);
    match done.op_responses().as_slice() {
        [_, _, TxnOpResponse::Delete(deleted), TxnOpResponse::Get(got)] => {
            assert_eq!(deleted.deleted(), 1);
            let keys: Vec<_> = got.kvs().iter().map(|kv| s.short(kv.key())).collect();
            assert_eq!(keys, ["b", "c"], "a read sees the writes before it");
            assert!(got.kvs().iter().all(|kv| kv.mod_revision() == before + 1));
        }
        other => panic!("put, put, delete, get, not {other:?}"),
    }
    Ok(())
}

async fn nested_transactions(mut s: Scope) -> Outcome {
    s.put("a", "1").await?;
    let inner = Txn::new()
        .when([Compare::value(s.key("a"), CompareOp::Equal, "other")])
        .and_then([TxnOp::put(s.key("taken"), "wrong", None)])
        .or_else([TxnOp::put(s.key("taken"), "right", None)]);
    let outer = Txn::new()
        .when([Compare::value(s.key("a"), CompareOp::Equal, "1")])
        .and_then([TxnOp::txn(inner)]);
    let done = s.client.txn(outer).await?;
    match done.op_responses().as_slice() {
        [TxnOpResponse::Txn(inner)] => assert!(!inner.succeeded(), "the inner condition fails"),
        other => panic!("the answer of one transaction, not {other:?}"),
    }
    assert_eq!(s.get("taken").await?.as_deref(), Some("right"));
    Ok(())
}
