//! Watch streams that are not read, half closed, or carry far too many watches.

use metastore_proto::etcdserverpb::WatchCreateRequest;
use metastore_tests::client::{Client, PATIENCE, numbered};
use metastore_tests::eventually::eventually;
use metastore_tests::http;
use metastore_tests::requests::{put, watch, watch_create, watch_everything};
use metastore_tests::store::Store;
use metastore_tests::watching::{Watching, brief};

const WATCHES: usize = 10_000;

/// The events that a client does not read: 100 MB.
const UNREAD: usize = 1_000;
const UNREAD_BYTES: usize = 100_000;
/// The events that a watch missed: 300 MB.
const MISSED: usize = 300;
const MISSED_BYTES: usize = 1_000_000;
/// Resident memory that one client may cost.
const COST_MAX: u64 = 150 << 20;

async fn write_unread(client: &Client) {
    let value = vec![7; UNREAD_BYTES];
    for number in 0..UNREAD {
        client.put(put(numbered("k", number), &value)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_costs_little_and_loses_nothing() {
    let store = Store::start().await;
    // The store's own caches fill first, so that the difference is the client's.
    write_unread(&store.client).await;
    let before = store.core.as_ref().map(|core| core.rss_bytes());
    let (url, watch) = (format!("http://{}", store.address), watch_everything);
    let mut deaf = Watching::one(&Client::new(&url), watch()).await;
    let mut other = Watching::one(&Client::new(&url), watch()).await;
    let reader = tokio::spawn(async move { other.events(UNREAD).await.len() });
    write_unread(&store.client).await;
    assert_eq!(reader.await.unwrap(), UNREAD, "the other watch has everything");
    if let (Some(core), Some(before)) = (&store.core, before) {
        let cost = core.rss_bytes().saturating_sub(before);
        assert!(cost < COST_MAX, "an unread watch costs {cost} bytes");
    }
    for (number, event) in deaf.events(UNREAD).await.iter().enumerate() {
        assert_eq!(event.kv.as_ref().unwrap().key, numbered("k", number));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_catches_up_on_large_values_costs_little() {
    let store = Store::start().await;
    let base = store.client.set("first", "1").await;
    let value = vec![7; MISSED_BYTES];
    for number in 0..MISSED {
        store.client.put(put(numbered("k", number), &value)).await.unwrap();
    }
    let before = store.core.as_ref().map(|core| core.peak_bytes());
    let create = WatchCreateRequest { start_revision: base + 1, ..watch_everything() };
    let mut late = Watching::one(&store.client, create).await;
    for (number, event) in late.events(MISSED).await.iter().enumerate() {
        assert_eq!(event.kv.as_ref().unwrap().key, numbered("k", number));
    }
    if let (Some(core), Some(before)) = (&store.core, before) {
        let cost = core.peak_bytes().saturating_sub(before);
        assert!(cost < COST_MAX, "catching up costs {cost} bytes");
    }
}

#[tokio::test]
async fn a_half_closed_stream_still_hears() {
    let store = Store::start().await;
    let mut halves = Vec::new();
    for _ in 0..100 {
        halves.push(Watching::one(&store.client, watch("a")).await.close_requests());
    }
    store.client.set("a", "1").await;
    for half in &mut halves {
        let response = tokio::time::timeout(PATIENCE, half.message()).await.unwrap();
        assert_eq!(brief(&response.unwrap().unwrap().events[0]), "PUT a=1");
    }
    drop(halves);
    watchers_are(&store, 0).await;
}

/// Waits until the server has so many watches.
async fn watchers_are(store: &Store, count: usize) {
    let line = format!("etcd_debugging_mvcc_watcher_total {count}");
    eventually("what a client dropped is gone", PATIENCE, async || {
        let metrics = http::get(&store.address, "/metrics").await.unwrap().body;
        metrics.lines().any(|found| found == line).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_watches_share_a_stream() {
    let store = Store::start().await;
    let creates = (0..WATCHES).map(|_| watch_create(watch("a")));
    let mut stream = Watching::open(&store.client, creates).await.unwrap();
    for id in 0..WATCHES {
        let created = stream.next().await;
        assert_eq!((created.created, created.watch_id), (true, id as i64));
    }
    store.client.set("a", "1").await;
    let mut ids = Vec::new();
    for _ in 0..WATCHES {
        let response = stream.next().await;
        assert_eq!(response.events.len(), 1);
        ids.push(response.watch_id);
    }
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..WATCHES as i64), "each heard once");
    for id in 0..WATCHES as i64 {
        stream.cancel(id).await;
    }
    for _ in 0..WATCHES {
        assert!(stream.next().await.canceled);
    }
    watchers_are(&store, 0).await;
    stream.create(watch("a")).await;
    assert!(stream.next().await.created, "the stream still works");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_vanish_leave_nothing_behind() {
    let store = Store::start().await;
    let url = format!("http://{}", store.address);
    for _ in 0..20 {
        let client = Client::new(&url);
        let mut streams = Vec::new();
        for _ in 0..25 {
            streams.push(Watching::one(&client, watch_everything()).await);
        }
        store.client.set("a", "1").await;
    }
    watchers_are(&store, 0).await;
}
