//! Leases: grants, keep-alives, what hangs on them, revocation and expiry.

use std::time::Duration;

use metastore_proto::etcdserverpb as pb;
use metastore_tests::client::{Client, revision};
use metastore_tests::eventually::eventually;
use metastore_tests::requests::{delete, put, watch_everything};
use metastore_tests::store::Store;
use metastore_tests::watching::{Watching, briefs};

async fn attach(client: &Client, key: &str, lease: i64) {
    client.put(pb::PutRequest { lease, ..put(key, "") }).await.unwrap();
}

async fn time_to_live(client: &Client, id: i64) -> pb::LeaseTimeToLiveResponse {
    client.time_to_live(pb::LeaseTimeToLiveRequest { id, keys: true }).await.unwrap()
}

#[tokio::test]
async fn a_grant_has_an_id_and_a_floor() {
    let store = Store::start().await;
    let grant =
        async |ttl, id| store.client.grant(pb::LeaseGrantRequest { ttl, id }).await.unwrap();
    let chosen = grant(60, 0).await;
    assert!(chosen.id > 0);
    assert_eq!((chosen.ttl, chosen.error.as_str()), (60, ""));
    assert_eq!(grant(60, 1234).await.id, 1234);
    assert_eq!(grant(60, -5).await.id, -5);
    for (asked, effective) in [(1, 2), (0, 2), (-1, 2), (2, 2), (3, 3)] {
        assert_eq!(grant(asked, 0).await.ttl, effective, "{asked} s");
    }
    assert_eq!(grant(9_000_000_000, 0).await.ttl, 9_000_000_000);
}

#[tokio::test]
async fn a_grant_does_not_move_the_revision() {
    let store = Store::start().await;
    let before = store.client.revision().await;
    let granted = store.client.grant(pb::LeaseGrantRequest { ttl: 60, id: 0 }).await.unwrap();
    assert_eq!(revision(&granted.header), before);
    let revoked = store.client.revoke(pb::LeaseRevokeRequest { id: granted.id }).await.unwrap();
    assert_eq!(revision(&revoked.header), before, "nothing hung on it");
}

#[tokio::test]
async fn a_keep_alive_answers_for_every_lease() {
    let store = Store::start().await;
    let lease = store.client.granted(60).await;
    let answers = store.client.keep_alive(&[lease, 99, lease]).await.unwrap();
    let seen: Vec<_> = answers.iter().map(|answer| (answer.id, answer.ttl)).collect();
    assert_eq!(seen, [(lease, 60), (99, 0), (lease, 60)], "a missing lease has no time left");
}

#[tokio::test]
async fn time_to_live_lists_the_keys() {
    let store = Store::start().await;
    let client = &store.client;
    let lease = client.granted(60).await;
    for name in ["b", "a", "c"] {
        attach(client, name, lease).await;
    }
    client.set("c", "detached").await;
    let mut answer = time_to_live(client, lease).await;
    answer.keys.sort_unstable();
    assert_eq!(answer.keys, ["a", "b"]);
    assert_eq!((answer.id, answer.granted_ttl), (lease, 60));
    assert!((58..=60).contains(&answer.ttl), "{}", answer.ttl);
    let brief = pb::LeaseTimeToLiveRequest { id: lease, keys: false };
    assert_eq!(client.time_to_live(brief).await.unwrap().keys.len(), 0);
}

#[tokio::test]
async fn time_to_live_of_a_missing_lease_is_minus_one() {
    let store = Store::start().await;
    let answer = time_to_live(&store.client, 99).await;
    assert_eq!((answer.id, answer.ttl, answer.granted_ttl), (99, -1, 0));
}

#[tokio::test]
async fn leases_are_listed_by_their_end() {
    let store = Store::start().await;
    for (id, ttl) in [(1, 500), (2, 100), (3, 300)] {
        store.client.grant(pb::LeaseGrantRequest { ttl, id }).await.unwrap();
    }
    let listed = store.client.leases(pb::LeaseLeasesRequest {}).await.unwrap().leases;
    assert_eq!(listed.iter().map(|lease| lease.id).collect::<Vec<_>>(), [2, 3, 1]);
}

#[tokio::test]
async fn a_revocation_deletes_its_keys_in_one_revision() {
    let store = Store::start().await;
    let client = &store.client;
    let lease = client.granted(60).await;
    for name in ["c", "a", "b"] {
        attach(client, name, lease).await;
    }
    let before = client.set("other", "1").await;
    let mut stream = Watching::one(client, watch_everything()).await;
    let revoked = client.revoke(pb::LeaseRevokeRequest { id: lease }).await.unwrap();
    assert_eq!(revision(&revoked.header), before + 1);
    let response = stream.next().await;
    assert_eq!(briefs(&response.events), ["DELETE a", "DELETE b", "DELETE c"]);
    assert_eq!(time_to_live(client, lease).await.ttl, -1);
    assert_eq!(client.value("other").await, "1");
}

#[tokio::test]
async fn a_key_hangs_on_the_lease_of_its_last_put() {
    let store = Store::start().await;
    let client = &store.client;
    let (first, second) = (client.granted(60).await, client.granted(60).await);
    attach(client, "a", first).await;
    attach(client, "a", second).await;
    attach(client, "b", first).await;
    client.delete(delete("b")).await.unwrap();
    client.set("b", "free").await;
    client.revoke(pb::LeaseRevokeRequest { id: first }).await.unwrap();
    assert_eq!(client.get("a").await.unwrap().lease, second);
    assert_eq!(client.value("b").await, "free");
    client.revoke(pb::LeaseRevokeRequest { id: second }).await.unwrap();
    assert_eq!(client.get("a").await, None);
}

#[tokio::test]
async fn a_lease_expires_with_its_keys() {
    let store = Store::start().await;
    let client = &store.client;
    let (short, kept) = (client.granted(2).await, client.granted(2).await);
    for (name, lease) in [("a", short), ("b", short), ("kept", kept)] {
        attach(client, name, lease).await;
    }
    let before = client.revision().await;
    let mut stream = Watching::one(client, watch_everything()).await;
    let granted = tokio::time::Instant::now();
    eventually("the short lease expires", Duration::from_secs(10), async || {
        assert_eq!(client.keep_alive(&[kept]).await.unwrap()[0].ttl, 2);
        (time_to_live(client, short).await.ttl == -1).then_some(())
    })
    .await;
    assert!(granted.elapsed() > Duration::from_millis(1500), "{:?}", granted.elapsed());
    let response = stream.next().await;
    assert_eq!(briefs(&response.events), ["DELETE a", "DELETE b"]);
    assert_eq!(revision(&response.header), before + 1);
    assert_eq!(client.get("kept").await.unwrap().lease, kept);
}
