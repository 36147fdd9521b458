//! Requests of a size or a shape that nobody means well with.

use metastore_proto::etcdserverpb as pb;
use metastore_tests::client::{Client, PATIENCE, assert_refused, numbered, revision};
use metastore_tests::requests::{
    Operation, delete, delete_everything, key, put, txn, watch_everything,
};
use metastore_tests::store::Store;
use metastore_tests::watching::{Watching, brief};
use pb::RangeRequest;
use tonic::Code;

/// What is deleted at once: 200 MB.
const DELETED: usize = 200;
const DELETED_BYTES: usize = 1_000_000;
/// Resident memory that it may cost, filling caches and memtables included: what is deleted is held
/// once.
const DELETE_COST_MAX: u64 = 550 << 20;

#[tokio::test]
async fn a_value_of_ten_mebibytes_is_refused_by_the_transport() {
    let store = Store::start().await;
    let refused = store.client.put(put("a", vec![0; 10 << 20])).await;
    let text = "grpc: received message larger than max (10485768 vs. 2097152)";
    assert_refused(refused, Code::ResourceExhausted, text);
    assert_eq!(store.client.get("a").await, None);
    store.client.set("a", "1").await;
}

#[tokio::test]
async fn a_transaction_of_ten_thousand_operations_is_refused() {
    let store = Store::start().await;
    let request = txn((0..10_000).map(|number| put(numbered("k", number), "").op()));
    let text = "etcdserver: too many operations in txn request";
    assert_refused(store.client.txn(request).await, Code::InvalidArgument, text);
}

fn nested(depth: usize) -> pb::TxnRequest {
    (0..depth).fold(txn([put("deep", "1").op()]), |inner, _| txn([inner.op()]))
}

#[tokio::test]
async fn deep_nesting_is_refused() {
    let store = Store::start().await;
    store.client.txn(nested(20)).await.unwrap();
    assert_eq!(store.client.value("deep").await, "1");
    store.client.delete(delete("deep")).await.unwrap();
    let text = "etcdserver: too many operations in txn request";
    let refused = store.client.txn(nested(1_000)).await;
    assert_refused(refused, Code::InvalidArgument, text);
    assert_eq!(store.client.value("deep").await, "");
}

#[tokio::test]
async fn odd_numbers_do_no_harm() {
    let store = Store::start().await;
    let client = &store.client;
    let newest = client.set("a", "1").await;
    let future = RangeRequest { revision: i64::MAX, ..key("a") };
    assert_eq!(client.range(future).await.unwrap_err().code(), Code::OutOfRange);
    let lowest = RangeRequest { revision: i64::MIN, limit: i64::MIN, ..key("a") };
    assert_eq!(client.range(lowest).await.unwrap().kvs.len(), 1);
    let limit = RangeRequest { limit: i64::MAX, min_mod_revision: i64::MIN, ..key("a") };
    assert_eq!(client.range(limit).await.unwrap().kvs.len(), 1);
    let compact = pb::CompactionRequest { revision: i64::MAX, physical: true };
    assert_eq!(client.compact(compact).await.unwrap_err().code(), Code::OutOfRange);
    for ttl in [-1, i64::MIN] {
        let granted = client.grant(pb::LeaseGrantRequest { ttl, id: 0 }).await.unwrap();
        assert_eq!(granted.ttl, 2, "a lease of {ttl} s");
    }
    assert_eq!(client.revision().await, newest);
}

/// A million; fewer in a slow build.
const MANY: usize = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
const IN_FLIGHT: usize = 32;

async fn fill(client: &Client) {
    let mut tasks = tokio::task::JoinSet::new();
    let mut starts = (0..MANY).step_by(100);
    while !tasks.is_empty() || starts.len() > 0 {
        while tasks.len() < IN_FLIGHT
            && let Some(start) = starts.next()
        {
            let puts = (start..start + 100).map(|number| put(numbered("k", number), "").op());
            let (client, request) = (client.clone(), txn(puts));
            tasks.spawn(async move { client.txn(request).await.unwrap() });
        }
        tasks.join_next().await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_delete_of_a_million_keys_is_one_revision() {
    let store = Store::start().await;
    let client = &store.client;
    fill(client).await;
    let before = client.set("other", "1").await;
    let mut stream = Watching::one(client, watch_everything()).await;
    let deleted = client.delete(delete_everything()).await.unwrap();
    assert_eq!((deleted.deleted, revision(&deleted.header)), (MANY as i64 + 1, before + 1));
    let response = tokio::time::timeout(PATIENCE, stream.next()).await.unwrap();
    assert_eq!((response.events.len(), response.fragment), (MANY + 1, false));
    assert_eq!(brief(&response.events[0]), "DELETE k/00000000");
    client.set("a", "1").await;
    assert_eq!(client.range(metastore_tests::requests::everything()).await.unwrap().count, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_of_many_large_values_does_not_cost_several_times_what_they_take() {
    let store = Store::start().await;
    let value = vec![7; DELETED_BYTES];
    for number in 0..DELETED {
        store.client.put(put(numbered("k", number), &value)).await.unwrap();
    }
    let before = store.core.as_ref().map(|core| core.rss_bytes());
    let newest = store.client.revision().await;
    let deleted = store.client.delete(delete_everything()).await.unwrap();
    assert_eq!(deleted.deleted, DELETED as i64);
    if let (Some(core), Some(before)) = (&store.core, before) {
        let cost = core.peak_bytes().saturating_sub(before);
        assert!(cost < DELETE_COST_MAX, "the delete costs {cost} bytes");
    }
    let last = numbered("k", DELETED - 1);
    let older = RangeRequest { revision: newest, ..key(last) };
    assert_eq!(store.client.range(older).await.unwrap().kvs[0].value.len(), DELETED_BYTES);
}
