//! Maintenance: Status, hashes, alarms and the quota.

use metastore_proto::etcdserverpb as pb;
use metastore_tests::client::{Client, assert_refused, numbered, revision};
use metastore_tests::requests::{
    Operation, branches, delete, delete_everything, everything, key, missing, put, txn,
};
use metastore_tests::store::Store;
use pb::AlarmType::{Corrupt, None as Every, Nospace};
use pb::alarm_request::AlarmAction::{self, Activate, Deactivate, Get};
use tonic::Code;

const NO_SPACE: &str = "etcdserver: mvcc: database space exceeded";
const CORRUPT: &str = "etcdserver: corrupt cluster";

async fn status(client: &Client) -> pb::StatusResponse {
    client.status(pb::StatusRequest {}).await.unwrap()
}

#[tokio::test]
async fn status_describes_the_member() {
    let store = Store::start().await;
    let newest = store.client.set("a", "1").await;
    let status = status(&store.client).await;
    let header = status.header.unwrap();
    assert_eq!(header.revision, newest);
    assert_eq!((status.leader, status.raft_term), (header.member_id, header.raft_term));
    assert!(status.raft_index > 0 && status.raft_applied_index > 0);
    assert!(status.raft_applied_index <= status.raft_index);
    assert!(status.db_size > 0 && status.db_size_in_use > 0);
    assert!(status.db_size_quota > 0, "the effective quota");
    assert!(!status.is_learner && status.errors.is_empty());
    let numbers: Vec<u32> = status.version.split('.').map(|part| part.parse().unwrap()).collect();
    assert!(numbers.len() == 3 && numbers >= vec![3, 6, 0], "{}", status.version);
    assert!(status.storage_version.starts_with("3."), "{}", status.storage_version);
    let downgrade = status.downgrade_info.unwrap_or_default();
    assert!(!downgrade.enabled && downgrade.target_version.is_empty());
}

#[tokio::test]
async fn a_hash_covers_a_revision_and_what_is_kept() {
    let store = Store::start().await;
    let client = &store.client;
    let first = client.set("a", "1").await;
    let hash = async |revision| client.hash_kv(pb::HashKvRequest { revision }).await.unwrap();
    let then = hash(first).await;
    assert_eq!(then.hash_revision, first);
    let second = client.set("b", "2").await;
    assert_eq!(hash(first).await.hash, then.hash, "the past does not change");
    let newest = hash(0).await;
    assert_ne!(newest.hash, then.hash);
    assert_eq!((newest.hash, newest.hash_revision), (hash(second).await.hash, second));
    assert_eq!(revision(&newest.header), second);
    client.compact_to(second).await;
    assert_eq!(hash(0).await.compact_revision, second);
    assert_ne!(client.hash(pb::HashRequest {}).await.unwrap().hash, 0);
}

#[tokio::test]
async fn a_defragmentation_answers() {
    let store = Store::start().await;
    store.client.set("a", "1").await;
    store.client.defragment(pb::DefragmentRequest {}).await.unwrap();
    assert_eq!(store.client.value("a").await, "1");
}

#[tokio::test]
async fn alarms_are_listed_raised_and_cleared() {
    let store = Store::start().await;
    let client = &store.client;
    let member_id = status(client).await.header.unwrap().member_id;
    assert_eq!(client.alarms(Get, Every).await, []);
    assert_eq!(client.alarms(Deactivate, Nospace).await, [], "nothing to clear");
    let raised = [pb::AlarmMember { member_id, alarm: Nospace as i32 }];
    assert_eq!(client.alarms(Activate, Nospace).await, raised);
    assert_eq!(client.alarms(Activate, Nospace).await, raised, "once is enough");
    assert_eq!(client.alarms(Get, Every).await, raised);
    assert_eq!(client.alarms(Get, Nospace).await, raised);
    assert_eq!(client.alarms(Get, Corrupt).await, []);
    let errors = status(client).await.errors;
    let words: Vec<_> = errors[0].split_whitespace().collect();
    assert_eq!(words, [format!("memberID:{member_id}").as_str(), "alarm:NOSPACE"]);
    assert_eq!(client.alarms(Deactivate, Nospace).await, raised);
    assert_eq!(client.alarms(Get, Every).await, []);
    client.set("a", "1").await;
}

/// Member 0 is a member like any other here: etcdctl's `alarm disarm` names each.
#[tokio::test]
async fn an_alarm_belongs_to_the_member_that_the_request_names() {
    let store = Store::start().await;
    let client = &store.client;
    let of_nobody = |action: AlarmAction| {
        let (action, alarm) = (action as i32, Nospace as i32);
        client.alarm(pb::AlarmRequest { action, member_id: 0, alarm })
    };
    client.alarms(Activate, Nospace).await;
    assert_eq!(of_nobody(Deactivate).await.unwrap().alarms, []);
    assert_eq!(client.alarms(Get, Every).await.len(), 1, "the member's alarm stays");
    client.alarms(Deactivate, Nospace).await;
    let raised = [pb::AlarmMember { member_id: 0, alarm: Nospace as i32 }];
    assert_eq!(of_nobody(Activate).await.unwrap().alarms, raised);
    assert_refused(client.put(put("a", "1")).await, Code::ResourceExhausted, NO_SPACE);
    assert_eq!(of_nobody(Deactivate).await.unwrap().alarms, raised);
    client.set("a", "1").await;
}

#[tokio::test]
async fn without_space_only_growth_is_refused() {
    let store = Store::start().await;
    let client = &store.client;
    let newest = client.set("a", "1").await;
    client.set("b", "1").await;
    client.alarms(Activate, Nospace).await;
    assert_refused(client.put(put("a", "2")).await, Code::ResourceExhausted, NO_SPACE);
    let write = txn([put("a", "2").op()]);
    assert_refused(client.txn(write).await, Code::ResourceExhausted, NO_SPACE);
    let other_branch = branches([missing("a")], [put("a", "2").op()], []);
    assert_refused(client.txn(other_branch).await, Code::ResourceExhausted, NO_SPACE);
    let grant = client.grant(pb::LeaseGrantRequest { ttl: 60, id: 0 }).await;
    assert_refused(grant, Code::ResourceExhausted, NO_SPACE);
    assert_eq!(client.value("a").await, "1");
    client.txn(txn([delete("b").op(), key("a").op()])).await.unwrap();
    client.compact_to(newest).await;
    client.delete(delete("a")).await.unwrap();
    client.alarms(Deactivate, Nospace).await;
    client.set("a", "3").await;
}

#[tokio::test]
async fn a_corrupt_store_refuses_writes() {
    let store = Store::start().await;
    let client = &store.client;
    let newest = client.set("a", "1").await;
    let lease = client.granted(60).await;
    client.alarms(Activate, Corrupt).await;
    let loss = Code::DataLoss;
    assert_refused(client.put(put("a", "2")).await, loss, CORRUPT);
    assert_refused(client.delete(delete("a")).await, loss, CORRUPT);
    assert_refused(client.txn(txn([put("a", "2").op()])).await, loss, CORRUPT);
    let compact = pb::CompactionRequest { revision: newest, physical: false };
    assert_refused(client.compact(compact).await, loss, CORRUPT);
    let grant = client.grant(pb::LeaseGrantRequest { ttl: 60, id: 0 }).await;
    assert_refused(grant, loss, CORRUPT);
    assert_refused(client.revoke(pb::LeaseRevokeRequest { id: lease }).await, loss, CORRUPT);
    assert_eq!(client.value("a").await, "1", "reads go on");
    client.txn(txn([key("a").op()])).await.unwrap();
    client.alarms(Deactivate, Corrupt).await;
    client.set("a", "2").await;
}

/// The largest quota that a test fills.
const FILLED_MAX: i64 = 64 << 20;

#[tokio::test]
async fn a_full_quota_raises_the_alarm_and_space_clears_it() {
    let store = Store::start_with(&[("METASTORE_QUOTA_BACKEND_BYTES", "16MiB")]).await;
    let client = &store.client;
    let quota = status(client).await.db_size_quota;
    if quota > FILLED_MAX {
        eprintln!("SKIPPED: the quota of {quota} bytes is too large to fill");
        return;
    }
    let value = vec![7; 100_000];
    let mut written = 0;
    let refused = loop {
        match client.put(put(numbered("k", written), &value)).await {
            Ok(_) => written += 1,
            refused => break refused,
        }
        assert!(written < 1_000, "100 MB fit in a quota of {quota} bytes");
    };
    assert_refused(refused, Code::ResourceExhausted, NO_SPACE);
    assert!(written > 50, "only {written} values of 100 kB fit in {quota} bytes");
    assert_eq!(client.alarms(Get, Every).await.len(), 1);
    // The entry that found the disk full may have been applied all the same; the others are there.
    assert!(client.range(everything()).await.unwrap().count >= written as i64);
    make_room(client).await;
    client.alarms(Deactivate, Nospace).await;
    client.set("a", "1").await;
}

async fn make_room(client: &Client) {
    let deleted = revision(&client.delete(delete_everything()).await.unwrap().header);
    client.compact_to(deleted).await;
    client.defragment(pb::DefragmentRequest {}).await.unwrap();
}
