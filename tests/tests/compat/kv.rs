//! KV: Range with every option, Put, DeleteRange, Compact, and how revisions count.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use metastore_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use metastore_proto::etcdserverpb::{PutRequest, RangeRequest, RangeResponse};
use metastore_tests::client::{Client, keys, revision};
use metastore_tests::requests::{
    OPEN, Operation, bytes, delete, delete_span, everything, key, prefix, put, span, txn,
};
use metastore_tests::store::Store;
use tonic::Code;

/// A request with the keys, the count and the `more` that it must answer.
struct Case {
    what: &'static str,
    request: RangeRequest,
    keys: &'static [&'static str],
    count: i64,
    more: bool,
}

fn case(
    what: &'static str,
    request: RangeRequest,
    keys: &'static [&'static str],
    count: i64,
) -> Case {
    Case { what, request, keys, count, more: false }
}

impl Case {
    fn more(self) -> Self {
        Self { more: true, ..self }
    }
}

async fn check(client: &Client, cases: Vec<Case>) {
    for case in cases {
        for serializable in [false, true] {
            let request = RangeRequest { serializable, ..case.request.clone() };
            let answer = client.range(request).await.unwrap();
            let seen = (keys(&answer), answer.count, answer.more);
            let expected: Vec<_> = case.keys.iter().map(|key| (*key).to_owned()).collect();
            assert_eq!(seen, (expected, case.count, case.more), "{}", case.what);
        }
    }
}

/// Keys a to e at base+1 to base+5 with values 5 to 1; b is put again at base+6 with value 9.
async fn letters(client: &Client) -> i64 {
    let base = client.revision().await;
    for (name, value) in [("a", "5"), ("b", "4"), ("c", "3"), ("d", "2"), ("e", "1")] {
        client.set(name, value).await;
    }
    client.set("b", "9").await;
    base
}

#[tokio::test]
async fn a_range_selects_keys() {
    let store = Store::start().await;
    letters(&store.client).await;
    check(
        &store.client,
        vec![
            case("one key", key("c"), &["c"], 1),
            case("a missing key", key("x"), &[], 0),
            case("a span", span("b", "d"), &["b", "c"], 2),
            case("a span between keys", span("bb", "dd"), &["c", "d"], 2),
            case("a prefix", prefix("c"), &["c"], 1),
            case("from a key on", span("d", OPEN), &["d", "e"], 2),
            case("everything", everything(), &["a", "b", "c", "d", "e"], 5),
            case("an inverted span", span("d", "b"), &[], 0),
            case("an empty span", span("b", "b"), &[], 0),
            case("the key zero alone", key(OPEN), &[], 0),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_limit_shortens_the_page_and_not_the_count() {
    let store = Store::start().await;
    letters(&store.client).await;
    let limited = |limit| RangeRequest { limit, ..everything() };
    let from_c = RangeRequest { limit: 1, ..span("c", OPEN) };
    check(
        &store.client,
        vec![
            case("two of five", limited(2), &["a", "b"], 5).more(),
            case("exactly all", limited(5), &["a", "b", "c", "d", "e"], 5),
            case("more than all", limited(9), &["a", "b", "c", "d", "e"], 5),
            case("zero is no limit", limited(0), &["a", "b", "c", "d", "e"], 5),
            case("negative is no limit", limited(-1), &["a", "b", "c", "d", "e"], 5),
            case("the count begins at the key", from_c, &["c"], 3).more(),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_range_at_a_revision_sees_that_revision() {
    let store = Store::start().await;
    let base = letters(&store.client).await;
    let at = |revision| RangeRequest { revision, ..everything() };
    let counted = RangeRequest { count_only: true, ..at(base + 4) };
    let limited = RangeRequest { limit: 1, ..at(base + 3) };
    check(
        &store.client,
        vec![
            case("after three", at(base + 3), &["a", "b", "c"], 3),
            case("a page of it", limited, &["a"], 3).more(),
            case("its count", counted, &[], 4),
            case("zero is the newest", at(0), &["a", "b", "c", "d", "e"], 5),
            case("negative is the newest", at(-7), &["a", "b", "c", "d", "e"], 5),
        ],
    )
    .await;
    let old = store.client.range(at(base + 3)).await.unwrap();
    assert_eq!(revision(&old.header), base + 6, "the header has the newest revision");
    assert_eq!(old.kvs[1].value, "4", "the value of that revision");
    assert_eq!((old.kvs[1].mod_revision, old.kvs[1].version), (base + 2, 1));
}

#[tokio::test]
async fn a_range_may_leave_out_values_or_keys() {
    let store = Store::start().await;
    letters(&store.client).await;
    let count_only = RangeRequest { count_only: true, ..everything() };
    let limited_count = RangeRequest { limit: 2, ..count_only.clone() };
    let keys_only = RangeRequest { keys_only: true, ..everything() };
    let limited_keys = RangeRequest { limit: 2, ..keys_only.clone() };
    check(
        &store.client,
        vec![
            case("count only", count_only, &[], 5),
            case("count only ignores the limit", limited_count, &[], 5),
            case("keys only", keys_only.clone(), &["a", "b", "c", "d", "e"], 5),
            case("keys only, limited", limited_keys, &["a", "b"], 5).more(),
        ],
    )
    .await;
    let answer = store.client.range(keys_only).await.unwrap();
    assert!(answer.kvs.iter().all(|kv| kv.value.is_empty() && kv.mod_revision > 0));
    assert_eq!(answer.kvs[1].version, 2);
}

#[tokio::test]
async fn keys_only_answers_have_no_lease() {
    let store = Store::start().await;
    let lease = store.client.granted(60).await;
    store.client.put(PutRequest { lease, ..put("a", "1") }).await.unwrap();
    let keys_only = RangeRequest { keys_only: true, ..key("a") };
    let by_value = RangeRequest { sort_target: SortTarget::Value as i32, ..keys_only.clone() };
    assert_eq!(store.client.range(keys_only).await.unwrap().kvs[0].lease, 0);
    // Sorting by value reads the rows, and then the lease is there.
    let sorted = store.client.range(by_value).await.unwrap().kvs.pop().unwrap();
    assert_eq!((sorted.lease, sorted.value.len()), (lease, 0));
}

#[tokio::test]
async fn a_range_sorts() {
    use SortOrder::{Ascend, Descend, None};
    use SortTarget::{Create, Key, Mod, Value, Version};
    let store = Store::start().await;
    letters(&store.client).await;
    let sorted = |order: SortOrder, target: SortTarget| RangeRequest {
        sort_order: order as i32,
        sort_target: target as i32,
        ..everything()
    };
    let top = RangeRequest { limit: 2, ..sorted(Descend, Mod) };
    let top_keys = RangeRequest { limit: 1, ..sorted(Descend, Key) };
    let keys_by_value = RangeRequest { keys_only: true, ..sorted(Ascend, Value) };
    check(
        &store.client,
        vec![
            case("key up", sorted(Ascend, Key), &["a", "b", "c", "d", "e"], 5),
            case("key down", sorted(Descend, Key), &["e", "d", "c", "b", "a"], 5),
            case("version down", sorted(Descend, Version), &["b", "a", "c", "d", "e"], 5),
            case("version up", sorted(Ascend, Version), &["a", "c", "d", "e", "b"], 5),
            case("create down", sorted(Descend, Create), &["e", "d", "c", "b", "a"], 5),
            case("mod up", sorted(Ascend, Mod), &["a", "c", "d", "e", "b"], 5),
            case("mod down", sorted(Descend, Mod), &["b", "e", "d", "c", "a"], 5),
            case("value up", sorted(Ascend, Value), &["e", "d", "c", "a", "b"], 5),
            case("value, no order", sorted(None, Value), &["e", "d", "c", "a", "b"], 5),
            case("keys only by value", keys_by_value, &["e", "d", "c", "a", "b"], 5),
            case("the limit is after the sort", top, &["b", "e"], 5).more(),
            case("the last key", top_keys, &["e"], 5).more(),
        ],
    )
    .await;
}

#[tokio::test]
async fn revision_filters_leave_the_count_alone() {
    let store = Store::start().await;
    let base = letters(&store.client).await;
    let all = everything;
    let min_mod = RangeRequest { min_mod_revision: base + 4, ..all() };
    let max_mod = RangeRequest { max_mod_revision: base + 4, ..all() };
    let min_create = RangeRequest { min_create_revision: base + 4, ..all() };
    let max_create = RangeRequest { max_create_revision: base + 2, ..all() };
    let both = RangeRequest { max_mod_revision: base + 5, ..min_mod.clone() };
    let limited = RangeRequest { limit: 2, ..min_mod.clone() };
    let exact = RangeRequest { limit: 3, ..min_mod.clone() };
    let keys_only = RangeRequest { keys_only: true, ..min_mod.clone() };
    check(
        &store.client,
        vec![
            case("min mod", min_mod, &["b", "d", "e"], 5),
            case("max mod", max_mod, &["a", "c", "d"], 5),
            case("min create", min_create, &["d", "e"], 5),
            case("max create", max_create, &["a", "b"], 5),
            case("between", both, &["d", "e"], 5),
            case("limited after the filter", limited, &["b", "d"], 5).more(),
            case("`more` is about the filtered", exact, &["b", "d", "e"], 5),
            case("keys only", keys_only, &["b", "d", "e"], 5),
        ],
    )
    .await;
}

/// `None` where the server does not know the call: etcd before 3.7.
async fn pieces(store: &Store, request: RangeRequest) -> Option<Vec<RangeResponse>> {
    match store.client.range_stream(request).await {
        Ok(pieces) => Some(pieces),
        Err(status) => {
            assert_eq!(status.code(), Code::Unimplemented);
            let version = store.client.status(Default::default()).await.unwrap().version;
            assert!(version.starts_with("3.6."), "{version} promises RangeStream");
            None
        }
    }
}

#[tokio::test]
async fn a_range_in_pieces_is_the_range() {
    let store = Store::start().await;
    for number in 0..100 {
        store.client.set(format!("k{number:03}"), "v".repeat(100)).await;
    }
    let limits =
        [0, 1, 10, 11, 77, 99, 100, 101].map(|limit| RangeRequest { limit, ..prefix("k") });
    let none = RangeRequest { limit: 5, ..prefix("none") };
    let counted = RangeRequest { count_only: true, ..prefix("k") };
    for request in limits.into_iter().chain([prefix("none"), none, counted]) {
        let whole = store.client.range(request.clone()).await.unwrap();
        let Some(pieces) = pieces(&store, request.clone()).await else { return };
        let (last, others) = pieces.split_last().unwrap();
        let is_plain = |piece: &RangeResponse| {
            piece.header.is_none() && piece.count == 0 && !piece.more && !piece.kvs.is_empty()
        };
        assert!(others.iter().all(is_plain), "{request:?}");
        assert!(others.is_empty() || !last.kvs.is_empty(), "the last has rows too: {request:?}");
        assert_eq!((last.count, last.more), (whole.count, whole.more), "{request:?}");
        assert_eq!(revision(&last.header), revision(&whole.header));
        let kvs: Vec<_> = pieces.iter().flat_map(|piece| piece.kvs.clone()).collect();
        assert_eq!(kvs, whole.kvs);
    }
}

#[tokio::test]
async fn large_rows_behind_small_ones_come_in_messages_of_their_own() {
    let store = Store::start().await;
    if !store.is_ours("messages of bounded size, which etcd's are not") {
        return;
    }
    for number in 0..2000 {
        store.client.set(format!("r0{number:04}"), "v").await;
    }
    for number in 0..12 {
        store.client.set(format!("r1{number:04}"), "v".repeat(1 << 20)).await;
    }
    let pieces = pieces(&store, prefix("r")).await.unwrap();
    let sizes = pieces.iter().map(prost::Message::encoded_len);
    assert!(sizes.max().unwrap() < 5 << 20, "twice the limit of a request, and a row");
    assert_eq!(pieces.iter().map(|piece| piece.kvs.len()).sum::<usize>(), 2012);
    assert_eq!(pieces.last().unwrap().count, 2012);
}

/// Lists, and believes that it may watch from the header's revision on.
#[tokio::test]
async fn pieces_have_all_that_their_header_claims() {
    let store = Store::start().await;
    let (client, done) = (store.client.clone(), Arc::new(AtomicBool::new(false)));
    let is_done = Arc::clone(&done);
    let writer = tokio::spawn(async move {
        let mut number = 0;
        while !is_done.load(Ordering::Relaxed) {
            client.set(format!("p{number:06}"), "v".repeat(1000)).await;
            number += 1;
        }
    });
    for _ in 0..50 {
        let Some(pieces) = pieces(&store, prefix("p")).await else { break };
        let last = pieces.last().unwrap();
        let claimed = revision(&last.header);
        let whole = RangeRequest { revision: claimed, ..prefix("p") };
        let whole = store.client.range(whole).await.unwrap();
        let kvs: Vec<_> = pieces.iter().flat_map(|piece| piece.kvs.clone()).collect();
        assert_eq!((kvs.len(), last.count), (whole.kvs.len(), whole.count), "at {claimed}");
        assert_eq!(kvs, whole.kvs, "at {claimed}");
    }
    done.store(true, Ordering::Relaxed);
    writer.await.unwrap();
}

#[tokio::test]
async fn a_new_store_is_at_revision_one() {
    let store = Store::start().await;
    if store.is_ours("the first revisions, which need an empty server") {
        assert_eq!(store.client.revision().await, 1);
        assert_eq!(store.client.set("a", "1").await, 2);
    }
}

#[tokio::test]
async fn versions_restart_after_a_delete() {
    let store = Store::start().await;
    let client = &store.client;
    let base = client.revision().await;
    client.set("a", "1").await;
    client.set("a", "2").await;
    let kv = client.get("a").await.unwrap();
    assert_eq!((kv.create_revision - base, kv.mod_revision - base, kv.version), (1, 2, 2));
    client.delete(delete("a")).await.unwrap();
    client.set("a", "3").await;
    let kv = client.get("a").await.unwrap();
    assert_eq!((kv.create_revision - base, kv.mod_revision - base, kv.version), (4, 4, 1));
}

#[tokio::test]
async fn a_put_may_return_and_keep_what_was_there() {
    let store = Store::start().await;
    let client = &store.client;
    let with_previous = |value: &str| PutRequest { prev_kv: true, ..put("a", value) };
    assert_eq!(client.put(with_previous("1")).await.unwrap().prev_kv, None);
    let previous = client.put(with_previous("2")).await.unwrap().prev_kv.unwrap();
    assert_eq!((previous.value, previous.version), (bytes("1"), 1));
    assert_eq!(client.put(put("a", "3")).await.unwrap().prev_kv, None, "not asked for");

    let lease = client.granted(60).await;
    client.put(PutRequest { lease, ignore_value: true, ..put("a", "") }).await.unwrap();
    let kv = client.get("a").await.unwrap();
    assert_eq!((kv.value, kv.lease, kv.version), (bytes("3"), lease, 4));
    client.put(PutRequest { ignore_lease: true, ..put("a", "4") }).await.unwrap();
    let kv = client.get("a").await.unwrap();
    assert_eq!((kv.value, kv.lease), (bytes("4"), lease));
    client.set("a", "").await;
    let kv = client.get("a").await.unwrap();
    assert_eq!((kv.value, kv.lease), (bytes(""), 0), "an empty value, and no lease any more");
}

#[tokio::test]
async fn keys_and_values_are_any_bytes() {
    let store = Store::start().await;
    let odd: [&[u8]; 5] = [b"\0", b"\0\0", b"\xff", b"\xff\xff", b"a\0b"];
    for name in odd {
        store.client.set(name, name).await;
    }
    let all = store.client.range(everything()).await.unwrap();
    let seen: Vec<_> = all.kvs.iter().map(|kv| (kv.key.to_vec(), kv.value.to_vec())).collect();
    let mut expected = odd;
    expected.sort_unstable();
    assert_eq!(seen, expected.map(|name| (name.to_vec(), name.to_vec())));
}

#[tokio::test]
async fn a_delete_is_one_revision_or_none() {
    let store = Store::start().await;
    let client = &store.client;
    letters(client).await;
    let before = client.revision().await;
    let nothing = client.delete(delete("x")).await.unwrap();
    assert_eq!((nothing.deleted, revision(&nothing.header)), (0, before));
    let inverted = client.delete(delete_span("d", "b")).await.unwrap();
    assert_eq!((inverted.deleted, revision(&inverted.header)), (0, before));

    let mut request = delete_span("b", "d");
    request.prev_kv = true;
    let some = client.delete(request).await.unwrap();
    assert_eq!((some.deleted, revision(&some.header)), (2, before + 1));
    let values: Vec<_> = some.prev_kvs.iter().map(|kv| kv.value.clone()).collect();
    assert_eq!(values, ["9", "3"]);

    let open = client.delete(delete_span("a", OPEN)).await.unwrap();
    assert_eq!((open.deleted, open.prev_kvs.len()), (3, 0));
    assert_eq!(client.revision().await, before + 2);
}

#[tokio::test]
async fn a_compaction_keeps_its_own_revision_readable() {
    let store = Store::start().await;
    let client = &store.client;
    let base = letters(client).await;
    client.delete(delete("c")).await.unwrap();
    client.compact_to(base + 7).await;
    client.set("z", "1").await;
    let at = |revision| RangeRequest { revision, ..everything() };
    check(
        client,
        vec![
            case("at the compacted revision", at(base + 7), &["a", "b", "d", "e"], 4),
            case("the newest", at(0), &["a", "b", "d", "e", "z"], 5),
        ],
    )
    .await;
    let refused = client.range(at(base + 6)).await;
    let text = "etcdserver: mvcc: required revision has been compacted";
    metastore_tests::client::assert_refused(refused, Code::OutOfRange, text);
    let kv = client.get("b").await.unwrap();
    assert_eq!((kv.version, kv.create_revision), (2, base + 2), "what lives is untouched");
}

#[tokio::test]
async fn headers_name_the_cluster_the_member_and_the_term() {
    let store = Store::start().await;
    let status = store.client.status(Default::default()).await.unwrap();
    let ours = status.header.unwrap();
    assert!(ours.cluster_id != 0 && ours.member_id != 0 && ours.raft_term > 0);
    let answer = store.client.txn(txn([put("a", "1").op()])).await.unwrap().header.unwrap();
    let same = (answer.cluster_id, answer.member_id, answer.raft_term);
    assert_eq!(same, (ours.cluster_id, ours.member_id, ours.raft_term));
}
