//! Transactions: conditions, branches, nesting, and their one revision.

use metastore_proto::etcdserverpb as pb;
use metastore_tests::client::{Client, revision};
use metastore_tests::requests::{
    Operation, branches, bytes, compare, delete, key, missing, prefix, prefix_end, put, txn,
};
use metastore_tests::store::Store;
use pb::compare::CompareResult::{Equal, Greater, Less, NotEqual};
use pb::compare::TargetUnion::{CreateRevision, Lease, ModRevision, Value, Version};
use pb::compare::{CompareResult, CompareTarget, TargetUnion};
use pb::response_op::Response;

async fn holds(client: &Client, condition: pb::Compare) -> bool {
    client.txn(branches([condition], [], [])).await.unwrap().succeeded
}

fn value(text: &str) -> TargetUnion {
    Value(bytes(text))
}

#[tokio::test]
async fn conditions_compare_what_a_key_is() {
    let store = Store::start().await;
    let client = &store.client;
    let lease = client.granted(60).await;
    let create = client.set("a", "1").await;
    let request = pb::PutRequest { lease, ..put("a", "5") };
    client.put(request).await.unwrap();
    let cases: Vec<(CompareResult, TargetUnion, bool)> = vec![
        (Equal, Version(2), true),
        (Equal, Version(1), false),
        (Greater, Version(1), true),
        (Less, Version(2), false),
        (NotEqual, Version(3), true),
        (Equal, CreateRevision(create), true),
        (Less, CreateRevision(create), false),
        (Equal, ModRevision(create + 1), true),
        (Greater, ModRevision(create), true),
        (Equal, value("5"), true),
        (Greater, value("44"), true),
        (Less, value("50"), true),
        (NotEqual, value("5"), false),
        (Equal, Lease(lease), true),
        (NotEqual, Lease(0), true),
    ];
    for (result, operand, expected) in cases {
        let seen = holds(client, compare("a", result, operand.clone())).await;
        assert_eq!(seen, expected, "{result:?} {operand:?}");
    }
}

#[tokio::test]
async fn a_missing_key_is_all_zero_and_has_no_value() {
    let store = Store::start().await;
    let cases: Vec<(CompareResult, TargetUnion, bool)> = vec![
        (Equal, Version(0), true),
        (Greater, Version(0), false),
        (Equal, CreateRevision(0), true),
        (Equal, ModRevision(0), true),
        (Less, ModRevision(1), true),
        (Equal, Lease(0), true),
        (Equal, value(""), false),
        (NotEqual, value("x"), false),
        (Less, value("x"), false),
        (Greater, value(""), false),
    ];
    for (result, operand, expected) in cases {
        let seen = holds(&store.client, compare("a", result, operand.clone())).await;
        assert_eq!(seen, expected, "{result:?} {operand:?}");
    }
}

#[tokio::test]
async fn an_operand_may_be_left_out() {
    let store = Store::start().await;
    store.client.set("a", "").await;
    let bare = |target: CompareTarget, name: &str| pb::Compare {
        target: target as i32,
        target_union: None,
        ..missing(name)
    };
    assert!(!holds(&store.client, bare(CompareTarget::Version, "a")).await);
    assert!(holds(&store.client, bare(CompareTarget::Version, "x")).await);
    assert!(holds(&store.client, bare(CompareTarget::Value, "a")).await);
    assert!(holds(&store.client, bare(CompareTarget::Lease, "a")).await);
}

#[tokio::test]
async fn a_condition_on_a_range_holds_for_every_key() {
    let store = Store::start().await;
    let client = &store.client;
    for name in ["k1", "k2", "k3"] {
        client.set(name, "v").await;
    }
    client.set("k3", "v").await;
    let over = |prefix: &str, result, operand| pb::Compare {
        range_end: prefix_end(prefix.as_bytes()),
        ..compare(prefix, result, operand)
    };
    assert!(holds(client, over("k", Greater, Version(0))).await);
    assert!(!holds(client, over("k", Equal, Version(1))).await, "k3 has version 2");
    assert!(holds(client, over("k", Equal, value("v"))).await);
    assert!(holds(client, over("none", Equal, Version(0))).await, "an empty range is zero");
    assert!(!holds(client, over("none", Greater, Version(0))).await);
    assert!(!holds(client, over("none", Equal, value(""))).await);
}

#[tokio::test]
async fn the_taken_branch_runs_and_only_that() {
    let store = Store::start().await;
    let client = &store.client;
    let create = || branches([missing("a")], [put("a", "1").op()], [key("a").op()]);
    let first = client.txn(create()).await.unwrap();
    assert!(first.succeeded);
    let second = client.txn(create()).await.unwrap();
    assert!(!second.succeeded);
    let Some(Response::ResponseRange(range)) = &second.responses[0].response else {
        panic!("{second:?}")
    };
    assert_eq!(range.kvs[0].value, "1");
    assert_eq!(revision(&second.header), revision(&first.header), "a read has no revision");
    // What is wrong in the other branch does no harm.
    let leased = pb::PutRequest { lease: 99, ..put("a", "2") };
    client.txn(branches([missing("a")], [leased.op()], [])).await.unwrap();
}

#[tokio::test]
async fn reads_see_the_writes_before_them() {
    let store = Store::start().await;
    let base = store.client.set("a", "0").await;
    let previous = pb::PutRequest { prev_kv: true, ..put("a", "1") };
    let operations =
        [key("a").op(), previous.op(), key("a").op(), put("b", "2").op(), prefix("b").op()];
    let answer = store.client.txn(txn(operations)).await.unwrap();
    let values: Vec<_> = answer.responses.iter().map(seen).collect();
    assert_eq!(values, ["0", "was 0", "1", "", "2"]);
    assert_eq!(revision(&answer.header), base + 1);
    let b = store.client.get("b").await.unwrap();
    assert_eq!((b.create_revision, b.mod_revision), (base + 1, base + 1));
}

/// The value that a response shows.
fn seen(response: &pb::ResponseOp) -> String {
    let text = |value: &bytes::Bytes| String::from_utf8_lossy(value).into_owned();
    match response.response.as_ref().unwrap() {
        Response::ResponseRange(range) => text(&range.kvs[0].value),
        Response::ResponsePut(put) => {
            put.prev_kv.as_ref().map(|kv| format!("was {}", text(&kv.value))).unwrap_or_default()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_transaction_is_one_revision_or_none() {
    let store = Store::start().await;
    let client = &store.client;
    let base = client.set("a", "0").await;
    let many = client.txn(txn((0..10).map(|n| put(format!("k{n}"), "1").op()))).await.unwrap();
    assert_eq!(revision(&many.header), base + 1);
    for response in &many.responses {
        let Some(Response::ResponsePut(put)) = &response.response else { panic!("{response:?}") };
        let header = put.header.unwrap();
        assert_eq!((header.revision, header.cluster_id, header.raft_term), (base + 1, 0, 0));
    }
    for idle in [txn([]), txn([delete("none").op()]), txn([key("a").op(), key("b").op()])] {
        assert_eq!(revision(&client.txn(idle).await.unwrap().header), base + 1);
    }
    let mixed = client.txn(txn([delete("none").op(), delete("a").op()])).await.unwrap();
    assert_eq!(revision(&mixed.header), base + 2);
}

#[tokio::test]
async fn nested_conditions_are_judged_before_anything_is_written() {
    let store = Store::start().await;
    let inner = branches([missing("a")], [put("b", "absent").op()], [put("b", "present").op()]);
    let answer = store.client.txn(txn([put("a", "1").op(), inner.op()])).await.unwrap();
    assert_eq!(store.client.value("b").await, "absent");
    let Some(Response::ResponseTxn(nested)) = &answer.responses[1].response else {
        panic!("{answer:?}")
    };
    assert!(nested.succeeded);
    assert_eq!(nested.header.unwrap().revision, 0, "only the outer answer has the revision");
    let deep = txn([txn([txn([put("deep", "1").op()]).op()]).op()]);
    store.client.txn(deep).await.unwrap();
    assert_eq!(store.client.value("deep").await, "1");
}

#[tokio::test]
async fn an_unknown_condition_is_not_an_error() {
    let store = Store::start().await;
    store.client.set("a", "1").await;
    let result = pb::Compare { result: 9, ..missing("a") };
    let target = pb::Compare { target: 9, ..missing("a") };
    let one = store.client.txn(branches([result], [], [])).await.unwrap();
    let other = store.client.txn(branches([target], [], [])).await.unwrap();
    assert_eq!((one.succeeded, other.succeeded), (true, true));
}
