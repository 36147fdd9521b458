//! What a restart must not change.

use metastore_proto::etcdserverpb as pb;
use metastore_tests::client::{Client, assert_refused, revision};
use metastore_tests::member::Core;
use metastore_tests::requests::{delete, key, put, watch_everything};
use metastore_tests::watching::{Watching, briefs};
use pb::AlarmType::Nospace;
use pb::alarm_request::AlarmAction::{Activate, Deactivate, Get};
use tonic::Code;

/// Stops in order, then by force.
async fn twice(core: &mut Core, check: impl AsyncFn(&Client)) {
    check(&core.client()).await;
    assert_eq!(core.stop().await.code(), Some(0));
    core.restart().await;
    check(&core.client()).await;
    core.kill();
    core.restart().await;
    check(&core.client()).await;
}

#[tokio::test]
async fn keys_and_revisions_survive() {
    let mut core = Core::start().await;
    let client = core.client();
    client.set("a", "1").await;
    client.set("b", "2").await;
    client.delete(delete("b")).await.unwrap();
    let newest = client.set("a", "3").await;
    let before = client.get("a").await;
    let hash = client.hash_kv(pb::HashKvRequest { revision: newest }).await.unwrap().hash;
    twice(&mut core, async |client| {
        assert_eq!(client.get("a").await, before);
        assert_eq!(client.get("b").await, None);
        assert_eq!(client.revision().await, newest);
        let answer = client.hash_kv(pb::HashKvRequest { revision: newest }).await.unwrap();
        assert_eq!(answer.hash, hash);
        let old = pb::RangeRequest { revision: newest - 2, ..key("b") };
        assert_eq!(client.range(old).await.unwrap().kvs[0].value, "2", "history too");
    })
    .await;
    assert_eq!(core.client().set("a", "4").await, newest + 1);
}

#[tokio::test]
async fn a_compaction_survives() {
    let mut core = Core::start().await;
    let client = core.client();
    client.set("a", "1").await;
    let compacted = client.set("a", "2").await;
    client.set("a", "3").await;
    client.compact_to(compacted).await;
    twice(&mut core, async |client| {
        let at = |revision| client.range(pb::RangeRequest { revision, ..key("a") });
        let text = "etcdserver: mvcc: required revision has been compacted";
        assert_refused(at(compacted - 1).await, Code::OutOfRange, text);
        assert_eq!(at(compacted).await.unwrap().kvs[0].value, "2");
    })
    .await;
}

#[tokio::test]
async fn leases_survive_with_their_keys() {
    let mut core = Core::start().await;
    let client = core.client();
    let lease = client.granted(60).await;
    client.put(pb::PutRequest { lease, ..put("a", "1") }).await.unwrap();
    twice(&mut core, async |client| {
        let request = pb::LeaseTimeToLiveRequest { id: lease, keys: true };
        let left = client.time_to_live(request).await.unwrap();
        assert_eq!((left.granted_ttl, left.keys), (60, vec!["a".into()]));
        assert!((50..=61).contains(&left.ttl), "{}", left.ttl);
        assert_eq!(client.keep_alive(&[lease]).await.unwrap()[0].ttl, 60);
    })
    .await;
    let client = core.client();
    client.revoke(pb::LeaseRevokeRequest { id: lease }).await.unwrap();
    assert_eq!(client.get("a").await, None);
}

#[tokio::test]
async fn a_lease_still_expires_after_a_restart() {
    let mut core = Core::start().await;
    let client = core.client();
    let lease = client.granted(2).await;
    let base =
        revision(&client.put(pb::PutRequest { lease, ..put("a", "1") }).await.unwrap().header);
    core.kill();
    core.restart().await;
    let create = pb::WatchCreateRequest { start_revision: base + 1, ..watch_everything() };
    let mut stream = Watching::one(&core.client(), create).await;
    assert_eq!(briefs(&stream.events(1).await), ["DELETE a"]);
}

#[tokio::test]
async fn alarms_survive() {
    let mut core = Core::start().await;
    core.client().alarms(Activate, Nospace).await;
    twice(&mut core, async |client| {
        assert_eq!(client.alarms(Get, Nospace).await.len(), 1);
        assert_eq!(client.put(put("a", "1")).await.unwrap_err().code(), Code::ResourceExhausted);
    })
    .await;
    core.client().alarms(Deactivate, Nospace).await;
    core.client().set("a", "1").await;
}

#[tokio::test]
async fn a_watch_resumes_from_before_the_restart() {
    let mut core = Core::start().await;
    let base = core.client().set("a", "1").await;
    core.client().set("a", "2").await;
    core.kill();
    core.restart().await;
    let client = core.client();
    let create =
        pb::WatchCreateRequest { start_revision: base, prev_kv: true, ..watch_everything() };
    let mut stream = Watching::one(&client, create).await;
    client.set("a", "3").await;
    let events = stream.events(3).await;
    assert_eq!(briefs(&events), ["PUT a=1", "PUT a=2", "PUT a=3"]);
    assert_eq!(events[2].prev_kv.as_ref().unwrap().value, "2");
}

#[tokio::test]
async fn identities_stay_and_terms_do_not_go_back() {
    let mut core = Core::start().await;
    let header = async |core: &Core| core.client().range(key("a")).await.unwrap().header.unwrap();
    let before = header(&core).await;
    core.kill();
    core.restart().await;
    let after = header(&core).await;
    assert_eq!((after.cluster_id, after.member_id), (before.cluster_id, before.member_id));
    assert!(after.raft_term >= before.raft_term);
    assert!(core.output().contains("ready to serve client requests"));
}
