//! Watch: many watches on a stream, from any revision, filtered, in pieces, with progress.

use metastore_proto::etcdserverpb as pb;
use metastore_proto::mvccpb::event::EventType;
use metastore_tests::client::{Client, numbered, revision};
use metastore_tests::requests::{
    OPEN, Operation, bytes, delete, delete_span, put, txn, watch, watch_cancel, watch_create,
    watch_everything, watch_prefix, watch_progress,
};
use metastore_tests::store::Store;
use metastore_tests::watching::{Watching, brief, briefs};
use pb::WatchCreateRequest;
use pb::watch_create_request::FilterType;

fn from(revision: i64) -> WatchCreateRequest {
    WatchCreateRequest { start_revision: revision, ..watch_everything() }
}

#[tokio::test]
async fn a_watch_reports_what_happens_from_now_on() {
    let store = Store::start().await;
    let client = &store.client;
    let base = client.set("a", "before").await;
    let mut stream = Watching::one(client, watch_prefix("a")).await;
    client.set("a", "1").await;
    client.set("b", "elsewhere").await;
    client.delete(delete("a")).await.unwrap();
    let put = stream.next().await;
    assert_eq!((put.watch_id, revision(&put.header)), (0, base + 1));
    let kv = put.events[0].kv.clone().unwrap();
    assert_eq!((kv.mod_revision, kv.create_revision, kv.version), (base + 1, base, 2));
    assert_eq!(put.events[0].prev_kv, None, "not asked for");
    let deleted = stream.events(1).await.remove(0);
    assert_eq!(deleted.r#type(), EventType::Delete);
    let kv = deleted.kv.unwrap();
    assert_eq!((kv.key, kv.mod_revision), (bytes("a"), base + 3));
    assert_eq!(
        (kv.create_revision, kv.version, kv.value.len()),
        (0, 0, 0),
        "only key and revision"
    );
}

#[tokio::test]
async fn a_watch_replays_from_a_revision() {
    let store = Store::start().await;
    let client = &store.client;
    let base = client.revision().await;
    for value in ["1", "2", "3"] {
        client.set("a", value).await;
    }
    let mut stream = Watching::one(client, from(base + 2)).await;
    assert_eq!(briefs(&stream.events(2).await), ["PUT a=2", "PUT a=3"]);
    client.set("a", "4").await;
    assert_eq!(briefs(&stream.events(1).await), ["PUT a=4"]);
}

#[tokio::test]
async fn a_watch_may_begin_in_the_future() {
    let store = Store::start().await;
    let client = &store.client;
    let base = client.revision().await;
    let mut stream = Watching::one(client, from(base + 3)).await;
    for value in ["1", "2", "3"] {
        client.set("a", value).await;
    }
    assert_eq!(briefs(&stream.events(1).await), ["PUT a=3"]);
}

#[tokio::test]
async fn the_events_of_a_revision_come_together_and_in_order() {
    let store = Store::start().await;
    let client = &store.client;
    let base = client.set("z", "old").await;
    let mut live = Watching::one(client, watch_everything()).await;
    let operations = [put("b", "1").op(), delete("z").op(), put("a", "2").op()];
    client.txn(txn(operations)).await.unwrap();
    let mut replayed = Watching::one(client, from(base + 1)).await;
    for stream in [&mut live, &mut replayed] {
        let response = stream.next().await;
        assert_eq!(briefs(&response.events), ["PUT b=1", "DELETE z", "PUT a=2"]);
        let revisions = response.events.iter().map(|event| event.kv.as_ref().unwrap().mod_revision);
        assert!(revisions.into_iter().all(|revision| revision == base + 1));
    }
}

#[tokio::test]
async fn a_watch_may_carry_what_was_before() {
    let store = Store::start().await;
    let client = &store.client;
    let base = client.revision().await;
    let with_previous = |create| WatchCreateRequest { prev_kv: true, ..create };
    let mut live = Watching::one(client, with_previous(watch_everything())).await;
    client.set("a", "1").await;
    client.set("a", "2").await;
    client.delete(delete("a")).await.unwrap();
    client.set("a", "3").await;
    let mut replayed = Watching::one(client, with_previous(from(base + 1))).await;
    for stream in [&mut live, &mut replayed] {
        let events = stream.events(4).await;
        let previous = events.iter().map(|event| event.prev_kv.clone().map(|kv| kv.value));
        let expected = [None, Some(bytes("1")), Some(bytes("2")), None];
        assert_eq!(previous.collect::<Vec<_>>(), expected);
        assert_eq!(events[2].prev_kv.as_ref().unwrap().mod_revision, base + 2);
    }
}

#[tokio::test]
async fn what_was_before_is_gone_when_it_was_compacted() {
    let store = Store::start().await;
    let client = &store.client;
    let base = client.revision().await;
    client.set("a", "1").await;
    client.set("a", "2").await;
    client.set("a", "3").await;
    client.compact_to(base + 2).await;
    let create = WatchCreateRequest { prev_kv: true, ..from(base + 2) };
    let mut stream = Watching::one(client, create).await;
    let previous: Vec<_> = stream.events(2).await.into_iter().map(|event| event.prev_kv).collect();
    assert_eq!(previous[0], None, "version 1 is compacted");
    assert_eq!(previous[1].as_ref().unwrap().value, "2");
}

#[tokio::test]
async fn filters_drop_events() {
    let store = Store::start().await;
    let client = &store.client;
    let filtered = |filters: &[FilterType]| WatchCreateRequest {
        filters: filters.iter().map(|filter| *filter as i32).collect(),
        ..watch_everything()
    };
    let mut no_puts = Watching::one(client, filtered(&[FilterType::Noput])).await;
    let mut no_deletes = Watching::one(client, filtered(&[FilterType::Nodelete])).await;
    let base = client.set("a", "1").await;
    client.delete(delete("a")).await.unwrap();
    client.set("b", "2").await;
    client.delete(delete("b")).await.unwrap();
    assert_eq!(briefs(&no_puts.events(2).await), ["DELETE a", "DELETE b"]);
    assert_eq!(briefs(&no_deletes.events(2).await), ["PUT a=1", "PUT b=2"]);
    let replay = WatchCreateRequest { start_revision: base, ..filtered(&[FilterType::Noput]) };
    let mut replayed = Watching::one(client, replay).await;
    assert_eq!(briefs(&replayed.events(2).await), ["DELETE a", "DELETE b"]);
}

#[tokio::test]
async fn a_watch_selects_keys_as_a_range_does() {
    let store = Store::start().await;
    let client = &store.client;
    let base = client.revision().await;
    let spans = [("b", "", "b"), ("b", "d", "bc"), ("c", OPEN, "cd"), ("", OPEN, "abcd")];
    for name in ["a", "b", "c", "d"] {
        client.set(name, "").await;
    }
    for (key, end, expected) in spans {
        let create = WatchCreateRequest { range_end: bytes(end), ..watch(key) };
        let create = WatchCreateRequest { start_revision: base + 1, ..create };
        let mut stream = Watching::one(client, create).await;
        let events = stream.events(expected.len()).await;
        let seen: String =
            events.iter().map(|event| text(&event.kv.as_ref().unwrap().key)).collect();
        assert_eq!(seen, expected, "[{key:?}, {end:?})");
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn watches_of_a_stream_are_told_apart_by_their_ids() {
    let store = Store::start().await;
    let client = &store.client;
    let numbered = |watch_id| WatchCreateRequest { watch_id, ..watch("a") };
    let creates = [numbered(0), numbered(7), numbered(0)].map(watch_create);
    let mut stream = Watching::open(client, creates).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let created = stream.next().await;
        assert!(created.created);
        ids.push(created.watch_id);
    }
    assert_eq!(ids, [0, 7, 1]);
    stream.create(numbered(7)).await;
    let refused = stream.next().await;
    assert_eq!((refused.created, refused.canceled, refused.watch_id), (true, true, -1));
    assert_eq!(refused.cancel_reason, "mvcc: duplicate watch ID provided on the WatchStream");
    client.set("a", "1").await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let response = stream.next().await;
        assert_eq!(briefs(&response.events), ["PUT a=1"]);
        seen.push(response.watch_id);
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 7]);
}

#[tokio::test]
async fn an_empty_span_is_refused_and_the_stream_goes_on() {
    let store = Store::start().await;
    let empty = |key, end| WatchCreateRequest { range_end: bytes(end), ..watch(key) };
    let creates = [empty("b", "b"), empty("c", "b")].map(watch_create);
    let mut stream = Watching::open(&store.client, creates).await.unwrap();
    for _ in 0..2 {
        let refused = stream.next().await;
        assert_eq!((refused.created, refused.canceled, refused.watch_id), (true, true, -1));
        assert_eq!(refused.cancel_reason, "mvcc: watcher range is empty");
    }
    stream.create(watch("a")).await;
    assert_eq!(stream.next().await.watch_id, 0);
}

#[tokio::test]
async fn a_negative_start_is_refused() {
    let store = Store::start().await;
    let mut stream = Watching::open(&store.client, [watch_create(from(-1))]).await.unwrap();
    let refused = stream.next().await;
    assert_eq!((refused.created, refused.canceled), (true, true));
    assert_eq!(refused.cancel_reason, COMPACTED);
}

const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";

#[tokio::test]
async fn a_compacted_start_ends_the_watch() {
    let store = Store::start().await;
    let client = &store.client;
    let base = client.revision().await;
    for value in ["1", "2", "3"] {
        client.set("a", value).await;
    }
    client.compact_to(base + 2).await;
    let mut stream = Watching::one(client, from(base + 1)).await;
    let ended = stream.next().await;
    assert!(ended.canceled && !ended.created);
    assert_eq!((ended.watch_id, ended.compact_revision), (0, base + 2));
    assert_eq!(ended.cancel_reason, "", "the revision says it");
    stream.create(from(base + 2)).await;
    let created = stream.next().await;
    assert!(created.created && !created.canceled);
    assert_eq!(briefs(&stream.events(2).await), ["PUT a=2", "PUT a=3"]);
}

#[tokio::test]
async fn a_delete_at_the_compacted_revision_is_still_reported() {
    let store = Store::start().await;
    let client = &store.client;
    client.set("a", "1").await;
    client.set("b", "1").await;
    let deleted = revision(&client.delete(delete("a")).await.unwrap().header);
    client.compact_to(deleted).await;
    let mut stream = Watching::one(client, from(deleted)).await;
    assert_eq!(briefs(&stream.events(1).await), ["DELETE a"]);
}

#[tokio::test]
async fn a_cancelled_watch_is_silent() {
    let store = Store::start().await;
    let client = &store.client;
    let creates = [watch("a"), watch("a")].map(watch_create);
    let mut stream = Watching::open(client, creates).await.unwrap();
    for _ in 0..2 {
        assert!(stream.next().await.created);
    }
    // Nobody answers for an id that does not exist.
    stream.cancel(99).await;
    stream.cancel(0).await;
    let cancelled = stream.next().await;
    assert_eq!((cancelled.watch_id, cancelled.canceled, cancelled.created), (0, true, false));
    assert_eq!((cancelled.compact_revision, cancelled.cancel_reason.as_str()), (0, ""));
    client.set("a", "1").await;
    assert_eq!(stream.next().await.watch_id, 1);
    stream.send(watch_cancel(1)).await;
    assert!(stream.next().await.canceled, "the first event went to watch 1 only");
}

/// A transaction that writes 4 keys of 350 kB each, which a watch with `prev_kv` sees as 2.8 MB.
async fn large_txn(client: &Client) -> i64 {
    let value = vec![7; 350_000];
    let puts = (0..4).map(|number| put(format!("big{number}"), &value).op());
    revision(&client.txn(txn(puts)).await.unwrap().header)
}

#[tokio::test]
async fn a_large_revision_comes_in_pieces_when_asked() {
    let store = Store::start().await;
    let client = &store.client;
    large_txn(client).await;
    let create = WatchCreateRequest { prev_kv: true, fragment: true, ..watch_everything() };
    let mut stream = Watching::one(client, create).await;
    let mut whole =
        Watching::one(client, WatchCreateRequest { prev_kv: true, ..watch_everything() }).await;
    let second = large_txn(client).await;
    let mut pieces = Vec::new();
    loop {
        pieces.push(stream.next().await);
        if !pieces.last().unwrap().fragment {
            break;
        }
    }
    assert!(pieces.len() > 1, "2.8 MB are more than one piece");
    let events: Vec<_> = pieces.iter().flat_map(|piece| piece.events.clone()).collect();
    let names: Vec<_> = events.iter().map(|event| text(&event.kv.as_ref().unwrap().key)).collect();
    assert_eq!(names, ["big0", "big1", "big2", "big3"]);
    assert!(events.iter().all(|event| event.kv.as_ref().unwrap().mod_revision == second));
    let response = whole.next().await;
    assert_eq!((response.events.len(), response.fragment), (4, false), "whole when not asked");
}

#[tokio::test]
async fn progress_is_reported_when_every_watch_has_caught_up() {
    let store = Store::start().await;
    let client = &store.client;
    let mut stream = Watching::one(client, watch("quiet")).await;
    let newest = client.set("other", "1").await;
    // The request is dropped while a watch lags, so clients ask again.
    let progress = loop {
        stream.ask_progress().await;
        let response = stream.next().await;
        if revision(&response.header) >= newest {
            break response;
        }
    };
    assert_eq!((progress.watch_id, progress.events.len()), (-1, 0));
    assert!(!progress.created && !progress.canceled);
}

#[tokio::test]
async fn progress_of_a_stream_without_watches_is_silent() {
    let store = Store::start().await;
    let first = [watch_progress(), watch_create(watch("a"))];
    let mut stream = Watching::open(&store.client, first).await.unwrap();
    assert!(stream.next().await.created, "the first answer is to the second request");
}

#[tokio::test]
async fn progress_says_nothing_before_a_future_start() {
    let store = Store::start().await;
    let base = store.client.revision().await;
    let mut stream = Watching::one(&store.client, from(base + 2)).await;
    stream.ask_progress().await;
    store.client.set("a", "1").await;
    store.client.set("a", "2").await;
    let first = stream.next().await;
    assert_eq!(briefs(&first.events), ["PUT a=2"], "no progress at {base} or {}", base + 1);
}

#[tokio::test]
async fn a_quiet_watch_hears_of_progress_when_it_asked_for_it() {
    let interval = ("METASTORE_WATCH_PROGRESS_NOTIFY_INTERVAL", "200ms");
    let store = Store::start_with(&[interval]).await;
    if !store.is_ours("a short progress interval") {
        return;
    }
    let create = WatchCreateRequest { progress_notify: true, ..watch("quiet") };
    let mut stream = Watching::one(&store.client, create).await;
    let newest = store.client.set("other", "1").await;
    loop {
        let progress = stream.next().await;
        assert_eq!((progress.watch_id, progress.events.len()), (0, 0));
        if revision(&progress.header) == newest {
            break;
        }
    }
}

#[tokio::test]
async fn a_lagging_watch_loses_nothing() {
    let store = Store::start().await;
    let client = &store.client;
    let base = client.revision().await;
    let mut stream = Watching::one(client, watch_everything()).await;
    let value = "v".repeat(10_000);
    for number in 0..2_000 {
        client.set(numbered("k", number), &value).await;
    }
    for (number, event) in (1..).zip(stream.events(2_000).await) {
        assert_eq!(event.kv.unwrap().mod_revision, base + number);
    }
}

#[tokio::test]
async fn a_delete_of_many_keys_is_one_response() {
    let store = Store::start().await;
    let client = &store.client;
    for number in 0..50 {
        client.set(numbered("k", number), "").await;
    }
    let mut stream = Watching::one(client, watch_everything()).await;
    client.delete(delete_span("k", "l")).await.unwrap();
    let response = stream.next().await;
    assert_eq!(response.events.len(), 50);
    assert_eq!(brief(&response.events[0]), "DELETE k/00000000");
    assert!(response.events.is_sorted_by_key(|event| event.kv.as_ref().unwrap().key.clone()));
}

#[tokio::test]
async fn a_watch_may_require_a_leader() {
    let store = Store::start().await;
    let requests = tokio_stream::iter([watch_create(watch("a"))]);
    let mut request = tonic::Request::new(requests);
    request.metadata_mut().insert("hasleader", "true".parse().unwrap());
    let mut client = pb::watch_client::WatchClient::new(store.client.channel());
    let mut stream = client.watch(request).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().unwrap().created, "there is a leader");
}
