//! Every refusal that one request can provoke: code and text, which clients match.

use metastore_proto::etcdserverpb as pb;
use metastore_tests::client::{Client, assert_refused};
use metastore_tests::requests::{
    Operation, branches, delete, everything, key, missing, put, span, txn,
};
use metastore_tests::store::Store;
use pb::{PutRequest, RangeRequest};
use tonic::Code;

const EMPTY_KEY: &str = "etcdserver: key is not provided";
const FUTURE: &str = "etcdserver: mvcc: required revision is a future revision";
const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";
const TOO_MANY: &str = "etcdserver: too many operations in txn request";
const LEASE_NOT_FOUND: &str = "etcdserver: requested lease not found";
const TOO_LARGE: &str = "etcdserver: request is too large";

async fn ranges(client: &Client, cases: Vec<(RangeRequest, Code, &str)>) {
    for (request, code, text) in cases {
        assert_refused(client.range(request).await, code, text);
    }
}

async fn puts(client: &Client, cases: Vec<(PutRequest, Code, &str)>) {
    for (request, code, text) in cases {
        assert_refused(client.put(request).await, code, text);
    }
}

async fn txns(client: &Client, cases: Vec<(pb::TxnRequest, Code, &str)>) {
    for (request, code, text) in cases {
        assert_refused(client.txn(request).await, code, text);
    }
}

#[tokio::test]
async fn a_bad_range_is_refused() {
    let store = Store::start().await;
    let revision = store.client.set("a", "1").await;
    let sort = "etcdserver: invalid sort option";
    ranges(
        &store.client,
        vec![
            (key(""), Code::InvalidArgument, EMPTY_KEY),
            (span("", "b"), Code::InvalidArgument, EMPTY_KEY),
            (RangeRequest { revision: revision + 1, ..key("a") }, Code::OutOfRange, FUTURE),
            (RangeRequest { revision: i64::MAX, ..key("a") }, Code::OutOfRange, FUTURE),
            (RangeRequest { sort_order: 3, ..key("a") }, Code::InvalidArgument, sort),
            (RangeRequest { sort_target: 5, ..key("a") }, Code::InvalidArgument, sort),
            (RangeRequest { sort_order: -1, ..key("a") }, Code::InvalidArgument, sort),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_bad_put_is_refused() {
    let store = Store::start().await;
    let not_found = "etcdserver: key not found";
    let value = "etcdserver: value is provided";
    let lease = "etcdserver: lease is provided";
    puts(
        &store.client,
        vec![
            (put("", "1"), Code::InvalidArgument, EMPTY_KEY),
            (PutRequest { lease: 99, ..put("a", "1") }, Code::NotFound, LEASE_NOT_FOUND),
            (PutRequest { lease: -1, ..put("a", "1") }, Code::NotFound, LEASE_NOT_FOUND),
            (PutRequest { ignore_value: true, ..put("a", "1") }, Code::InvalidArgument, value),
            (PutRequest { ignore_value: true, ..put("a", "") }, Code::InvalidArgument, not_found),
            (
                PutRequest { ignore_lease: true, lease: 1, ..put("a", "1") },
                Code::InvalidArgument,
                lease,
            ),
            (PutRequest { ignore_lease: true, ..put("a", "1") }, Code::InvalidArgument, not_found),
            (put("a", vec![0; 1_600_000]), Code::InvalidArgument, TOO_LARGE),
        ],
    )
    .await;
    assert_eq!(store.client.get("a").await, None);
}

#[tokio::test]
async fn a_bad_delete_is_refused() {
    let store = Store::start().await;
    assert_refused(store.client.delete(delete("")).await, Code::InvalidArgument, EMPTY_KEY);
}

#[tokio::test]
async fn a_bad_transaction_is_refused_whole() {
    let store = Store::start().await;
    let revision = store.client.set("a", "1").await;
    let nothing = pb::RequestOp { request: None };
    let future = RangeRequest { revision: revision + 9, ..key("a") };
    let negative = RangeRequest { revision: -1, ..key("a") };
    let leased = PutRequest { lease: 99, ..put("a", "2") };
    let writes = |last: pb::RequestOp| txn([put("b", "1").op(), last]);
    txns(
        &store.client,
        vec![
            (txn([nothing]), Code::InvalidArgument, "etcdserver: key not found"),
            (txn([put("", "1").op()]), Code::InvalidArgument, EMPTY_KEY),
            (txn([delete("").op()]), Code::InvalidArgument, EMPTY_KEY),
            (txn([key("").op()]), Code::InvalidArgument, EMPTY_KEY),
            (branches([missing("")], [], []), Code::InvalidArgument, EMPTY_KEY),
            (branches([], [], [put("", "1").op()]), Code::InvalidArgument, EMPTY_KEY),
            (writes(txn([put("", "1").op()]).op()), Code::InvalidArgument, EMPTY_KEY),
            (writes(leased.op()), Code::NotFound, LEASE_NOT_FOUND),
            (writes(future.op()), Code::OutOfRange, FUTURE),
            (writes(negative.op()), Code::OutOfRange, COMPACTED),
        ],
    )
    .await;
    assert_eq!((store.client.revision().await, store.client.get("b").await), (revision, None));
}

#[tokio::test]
async fn a_transaction_has_a_budget_of_operations() {
    let store = Store::start().await;
    let many = |count: usize| (0..count).map(|n| put(format!("k{n}"), "1").op());
    let nested = |inner: usize, beside: usize| {
        let range = std::iter::repeat_with(|| key("a").op()).take(beside);
        txn(range.chain([txn(many(inner)).op()]))
    };
    store.client.txn(txn(many(128))).await.unwrap();
    // The nested transaction counts as one operation of the outer, and has what is left.
    store.client.txn(nested(126, 1)).await.unwrap();
    let compares =
        pb::TxnRequest { compare: (0..129).map(|_| missing("a")).collect(), ..Default::default() };
    txns(
        &store.client,
        vec![
            (txn(many(129)), Code::InvalidArgument, TOO_MANY),
            (nested(127, 1), Code::InvalidArgument, TOO_MANY),
            (nested(1, 127), Code::InvalidArgument, TOO_MANY),
            (compares, Code::InvalidArgument, TOO_MANY),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_key_is_written_once_a_transaction() {
    let store = Store::start().await;
    let duplicate = "etcdserver: duplicate key given in txn request";
    let a = || put("a", "1").op();
    let cut = || metastore_tests::requests::delete_span("a", "c").op();
    let either = |success: Vec<pb::RequestOp>, failure: Vec<pb::RequestOp>| {
        pb::TxnRequest { compare: vec![missing("x")], success, failure }.op()
    };
    let refused = [
        txn([a(), a()]),
        txn([a(), cut()]),
        txn([cut(), a()]),
        branches([], [], [a(), a()]),
        txn([a(), either(vec![a()], vec![])]),
        txn([either(vec![], vec![a()]), a()]),
        txn([either(vec![cut()], vec![]), a()]),
        txn([either(vec![a()], vec![]), cut()]),
        txn([either(vec![a()], vec![]), either(vec![a()], vec![])]),
    ];
    for request in refused {
        assert_refused(store.client.txn(request).await, Code::InvalidArgument, duplicate);
    }
    let allowed = [
        txn([cut(), cut(), delete("a").op()]),
        branches([], [a()], [a()]),
        txn([either(vec![a()], vec![a()])]),
        txn([either(vec![a()], vec![cut()])]),
        txn([key("a").op(), a(), key("a").op()]),
        txn([put("c", "1").op(), cut()]),
    ];
    for request in allowed {
        store.client.txn(request).await.unwrap();
    }
}

#[tokio::test]
async fn a_bad_compaction_is_refused() {
    let store = Store::start().await;
    let client = &store.client;
    client.set("a", "1").await;
    let newest = client.set("a", "2").await;
    let compact = |revision| pb::CompactionRequest { revision, physical: false };
    assert_refused(client.compact(compact(newest + 1)).await, Code::OutOfRange, FUTURE);
    client.compact(compact(newest)).await.unwrap();
    for revision in [newest, newest - 1, 0, -1] {
        assert_refused(client.compact(compact(revision)).await, Code::OutOfRange, COMPACTED);
    }
    let old = RangeRequest { revision: newest - 1, ..everything() };
    ranges(client, vec![(old.clone(), Code::OutOfRange, COMPACTED)]).await;
    txns(client, vec![(txn([put("b", "1").op(), old.op()]), Code::OutOfRange, COMPACTED)]).await;
    assert_refused(
        client.hash_kv(pb::HashKvRequest { revision: newest - 1 }).await,
        Code::OutOfRange,
        COMPACTED,
    );
}

#[tokio::test]
async fn a_bad_lease_is_refused() {
    let store = Store::start().await;
    let client = &store.client;
    let grant = |ttl, id| pb::LeaseGrantRequest { ttl, id };
    client.grant(grant(60, 77)).await.unwrap();
    let exists = "etcdserver: lease already exists";
    assert_refused(client.grant(grant(60, 77)).await, Code::FailedPrecondition, exists);
    let large = "etcdserver: too large lease TTL";
    assert_refused(client.grant(grant(9_000_000_001, 78)).await, Code::OutOfRange, large);
    for id in [0, 78, -1] {
        let revoked = client.revoke(pb::LeaseRevokeRequest { id }).await;
        assert_refused(revoked, Code::NotFound, LEASE_NOT_FOUND);
    }
}

#[tokio::test]
async fn a_future_hash_is_refused() {
    let store = Store::start().await;
    let newest = store.client.set("a", "1").await;
    let request = pb::HashKvRequest { revision: newest + 1 };
    assert_refused(store.client.hash_kv(request).await, Code::OutOfRange, FUTURE);
}

#[tokio::test]
async fn authentication_is_off() {
    let store = Store::start().await;
    let mut auth = pb::auth_client::AuthClient::new(store.client.channel());
    let request = pb::AuthenticateRequest { name: "root".into(), password: "x".into() };
    let text = "etcdserver: authentication is not enabled";
    assert_refused(auth.authenticate(request).await, Code::FailedPrecondition, text);
    let status = auth.auth_status(pb::AuthStatusRequest {}).await.unwrap().into_inner();
    assert!(!status.enabled);
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let store = Store::start().await;
    let mut grpc = tonic::client::Grpc::new(store.client.channel());
    grpc.ready().await.unwrap();
    let path = "/etcdserverpb.KV/Nothing".parse().unwrap();
    let codec = tonic_codec();
    let answer = grpc.unary(tonic::Request::new(put("a", "1")), path, codec).await;
    assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
    assert_eq!(store.client.value("a").await, "", "nothing was put");
}

fn tonic_codec() -> tonic_prost::ProstCodec<PutRequest, pb::PutResponse> {
    tonic_prost::ProstCodec::default()
}
