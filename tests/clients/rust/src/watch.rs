//! Watches: live, from a revision, resumed by another client, filtered, cancelled, compacted.

use etcd_client::{
    Client, DeleteOptions, Error, EventType, Txn, TxnOp, WatchFilterType, WatchOptions,
    WatchResponse, WatchStream,
};

use crate::{Check, Outcome, Scope, checks};

pub const CHECKS: &[Check] = checks![
    events_with_what_was_before,
    a_transaction_is_one_response,
    resumed_from_a_revision_nothing_is_lost_or_twice,
    filters_ids_and_cancel,
    progress_on_request,
    a_compacted_start_ends_the_watch,
];

async fn next(stream: &mut WatchStream) -> Result<WatchResponse, Error> {
    Ok(stream.message().await?.expect("the stream goes on"))
}

/// A watch of all keys of the check; it is there when this returns.
async fn watch(
    client: &mut Client,
    s: &Scope,
    options: WatchOptions,
) -> Result<WatchStream, Error> {
    let mut stream = client.watch(s.key(""), Some(options.with_prefix())).await?;
    let created = next(&mut stream).await?;
    assert!(created.created() && !created.canceled(), "the first answer: {created:?}");
    Ok(stream)
}

/// The next `count` events, such as "put a=2 was 1", with their revisions.
async fn events(
    s: &Scope,
    stream: &mut WatchStream,
    count: usize,
) -> Result<Vec<(i64, String)>, Error> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let response = next(stream).await?;
        assert!(!response.canceled(), "the watch ends: {response:?}");
        seen.extend(response.events().iter().map(|event| {
            let kv = event.kv().expect("an event has a key");
            let mut text = match event.event_type() {
                EventType::Put => {
                    format!("put {}={}", s.short(kv.key()), kv.value_str().unwrap())
                }
                EventType::Delete => format!("delete {}", s.short(kv.key())),
            };
            if let Some(previous) = event.prev_kv() {
                text += &format!(" was {}", previous.value_str().unwrap());
            }
            (kv.mod_revision(), text)
        }));
    }
    assert_eq!(seen.len(), count, "more events than writes: {seen:?}");
    Ok(seen)
}

async fn events_with_what_was_before(mut s: Scope) -> Outcome {
    let mut client = s.other_client().await?;
    let mut stream = watch(&mut client, &s, WatchOptions::new().with_prev_key()).await?;
    let first = s.put("a", "1").await?;
    s.put("a", "2").await?;
    s.put("b", "1").await?;
    s.client.delete(s.key("a"), None).await?;
    let want = ["put a=1", "put a=2 was 1", "put b=1", "delete a was 2"];
    let want: Vec<_> = (first..).zip(want.map(str::to_owned)).collect();
    assert_eq!(events(&s, &mut stream, 4).await?, want);
    Ok(())
}

async fn a_transaction_is_one_response(mut s: Scope) -> Outcome {
    let mut client = s.other_client().await?;
    let mut stream = watch(&mut client, &s, WatchOptions::new()).await?;
    let puts: Vec<_> = ["a", "b", "c"].map(|it| TxnOp::put(s.key(it), it, None)).into();
    let done = s.client.txn(Txn::new().and_then(puts)).await?;
    s.client.delete(s.key(""), Some(DeleteOptions::new().with_prefix())).await?;
    for kind in [EventType::Put, EventType::Delete] {
        let response = next(&mut stream).await?;
        let kinds: Vec<_> = response.events().iter().map(|it| it.event_type()).collect();
        assert_eq!(kinds, [kind; 3], "a revision comes in one response");
    }
    assert!(done.succeeded());
    Ok(())
}

async fn resumed_from_a_revision_nothing_is_lost_or_twice(mut s: Scope) -> Outcome {
    const WRITES: i64 = 300;
    let mut client = s.other_client().await?;
    let first = s.put("a", "0").await?;
    let mut seen = Vec::new();
    let mut written = 1;
    while (seen.len() as i64) < WRITES {
        // Written while nobody watches, and while somebody does.
        for value in written..(written + 10).min(WRITES) {
            s.put("a", &value.to_string()).await?;
        }
        let from = first + seen.len() as i64;
        let options = WatchOptions::new().with_start_revision(from);
        let mut stream = watch(&mut client, &s, options).await?;
        for value in written + 10..(written + 20).min(WRITES) {
            s.put("a", &value.to_string()).await?;
        }
        written = (written + 20).min(WRITES);
        // The client goes away with events on their way to it.
        let taken = (written as usize - seen.len()).div_ceil(if written < WRITES { 2 } else { 1 });
        while seen.len() < (from - first) as usize + taken {
            let response = next(&mut stream).await?;
            seen.extend(response.events().iter().map(|it| it.kv().unwrap().clone()));
        }
        client = s.other_client().await?;
    }
    for (at, kv) in (0..WRITES).zip(&seen) {
        assert_eq!(kv.value_str()?, at.to_string(), "write {at} of {WRITES}");
        assert_eq!((kv.mod_revision(), kv.version()), (first + at, at + 1), "of write {at}");
    }
    assert_eq!(seen.len() as i64, WRITES);
    Ok(())
}

async fn filters_ids_and_cancel(mut s: Scope) -> Outcome {
    let mut client = s.other_client().await?;
    let options = WatchOptions::new().with_watch_id(7).with_filters([WatchFilterType::NoPut]);
    let mut stream = watch(&mut client, &s, options).await?;
    stream.watch(s.key("b"), Some(WatchOptions::new().with_watch_id(8))).await?;
    let second = next(&mut stream).await?;
    assert!(second.created() && second.watch_id() == 8, "{second:?}");
    s.put("a", "1").await?;
    s.put("b", "1").await?;
    s.client.delete(s.key("a"), None).await?;
    let put = next(&mut stream).await?;
    assert_eq!((put.watch_id(), put.events()[0].event_type()), (8, EventType::Put));
    let deleted = next(&mut stream).await?;
    assert_eq!((deleted.watch_id(), deleted.events()[0].event_type()), (7, EventType::Delete));
    stream.cancel(8).await?;
    let cancelled = next(&mut stream).await?;
    assert!(cancelled.canceled() && cancelled.watch_id() == 8, "{cancelled:?}");
    s.put("b", "2").await?;
    s.client.delete(s.key("b"), None).await?;
    let only = next(&mut stream).await?;
    assert_eq!((only.watch_id(), only.events().len()), (7, 1), "the cancelled one is silent");
    Ok(())
}

async fn progress_on_request(mut s: Scope) -> Outcome {
    let mut client = s.other_client().await?;
    let mut stream = watch(&mut client, &s, WatchOptions::new()).await?;
    let revision = s.put("a", "1").await?;
    assert_eq!(events(&s, &mut stream, 1).await?, [(revision, "put a=1".to_owned())]);
    stream.request_progress().await?;
    let progress = next(&mut stream).await?;
    assert!(progress.events().is_empty() && progress.watch_id() == -1, "{progress:?}");
    assert!(progress.header().unwrap().revision() >= revision, "{progress:?}");
    Ok(())
}

async fn a_compacted_start_ends_the_watch(mut s: Scope) -> Outcome {
    let first = s.put("a", "1").await?;
    let second = s.put("a", "2").await?;
    s.client.compact(second, None).await?;
    let mut client = s.other_client().await?;
    let options = WatchOptions::new().with_start_revision(first);
    let mut stream = watch(&mut client, &s, options).await?;
    let end = next(&mut stream).await?;
    assert!(end.canceled() && end.events().is_empty(), "{end:?}");
    assert_eq!(end.compact_revision(), second, "{end:?}");
    // A client takes up the watch from what it was told.
    let options = WatchOptions::new().with_start_revision(end.compact_revision());
    let mut stream = watch(&mut client, &s, options).await?;
    assert_eq!(events(&s, &mut stream, 1).await?, [(second, "put a=2".to_owned())]);
    Ok(())
}
