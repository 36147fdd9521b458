//! Put, get with its options, delete.

use etcd_client::{DeleteOptions, GetOptions, GetResponse, PutOptions, SortOrder, SortTarget};

use crate::{Check, Outcome, Scope, checks};

pub const CHECKS: &[Check] = checks![
    put_get_delete,
    a_put_may_return_and_keep_what_was_there,
    binary,
    ranges_and_limits,
    sorting,
    older_revisions,
    a_range_in_pieces,
    deletes_say_what_they_deleted,
];

async fn put_get_delete(mut s: Scope) -> Outcome {
    assert_eq!(s.get("a").await?, None, "a key before its first put");
    let first = s.put("a", "1").await?;
    let second = s.put("a", "2").await?;
    assert_eq!(second, first + 1, "a put is one revision");
    let got = s.client.get(s.key("a"), None).await?;
    let [kv] = got.kvs() else { panic!("one key, not {:?}", got.kvs()) };
    assert_eq!((s.short(kv.key()), kv.value()), ("a", b"2".as_slice()));
    assert_eq!((kv.create_revision(), kv.mod_revision()), (first, second), "create, mod");
    assert_eq!((kv.version(), kv.lease()), (2, 0), "version, lease");
    assert_eq!((got.count(), got.more()), (1, false));
    let deleted = s.client.delete(s.key("a"), None).await?;
    assert_eq!(deleted.deleted(), 1);
    assert_eq!(s.get("a").await?, None, "a key after its delete");
    s.put("a", "3").await?;
    let again = s.client.get(s.key("a"), None).await?;
    assert_eq!(again.kvs()[0].version(), 1, "the version restarts after a delete");
    Ok(())
}

async fn a_put_may_return_and_keep_what_was_there(mut s: Scope) -> Outcome {
    let with_previous = || Some(PutOptions::new().with_prev_key());
    let put = s.client.put(s.key("a"), "1", with_previous()).await?;
    assert!(put.prev_key().is_none(), "there was nothing before the first put");
    let put = s.client.put(s.key("a"), "2", with_previous()).await?;
    assert_eq!(put.prev_key().map(|kv| kv.value()), Some(b"1".as_slice()));
    s.put_with("a", "", PutOptions::new().with_ignore_value()).await?;
    assert_eq!(s.get("a").await?.as_deref(), Some("2"), "the value was to be kept");
    Ok(())
}

async fn binary(mut s: Scope) -> Outcome {
    let every: Vec<u8> = (0..=255).collect();
    let key = [s.key("").into_bytes(), every.clone()].concat();
    s.client.put(key.clone(), every.clone(), None).await?;
    let got = s.client.get(key, None).await?;
    assert_eq!(got.kvs()[0].value(), every, "a value of all bytes");
    Ok(())
}

/// The keys of an answer, without the prefix.
fn names(s: &Scope, got: &GetResponse) -> Vec<String> {
    got.kvs().iter().map(|kv| s.short(kv.key()).to_owned()).collect()
}

async fn ranges_and_limits(mut s: Scope) -> Outcome {
    for name in ["a", "b", "c", "d"] {
        s.put(name, "value").await?;
    }
    let prefix = GetOptions::new().with_prefix();
    let all = s.client.get(s.key(""), Some(prefix.clone())).await?;
    assert_eq!(names(&s, &all), ["a", "b", "c", "d"], "a prefix");
    let page = s.client.get(s.key(""), Some(prefix.clone().with_limit(3))).await?;
    assert_eq!(names(&s, &page), ["a", "b", "c"], "a page");
    assert_eq!((page.more(), page.count()), (true, 4), "more and count of a page");
    let last = GetOptions::new().with_range(s.key("e")).with_limit(3);
    let last = s.client.get(s.key("d"), Some(last)).await?;
    assert_eq!((names(&s, &last), last.more()), (vec!["d".to_owned()], false), "the last page");
    let span = GetOptions::new().with_range(s.key("d"));
    let span = s.client.get(s.key("b"), Some(span)).await?;
    assert_eq!(names(&s, &span), ["b", "c"], "a span leaves its end out");
    let counted = s.client.get(s.key(""), Some(prefix.clone().with_count_only())).await?;
    assert_eq!((counted.kvs().len(), counted.count()), (0, 4), "count only");
    let keys = s.client.get(s.key(""), Some(prefix.with_keys_only().with_serializable())).await?;
    assert_eq!(names(&s, &keys), ["a", "b", "c", "d"]);
    assert!(keys.kvs().iter().all(|kv| kv.value().is_empty()), "keys only has no values");
    Ok(())
}

async fn sorting(mut s: Scope) -> Outcome {
    for (name, value) in [("b", "1"), ("c", "3"), ("a", "2")] {
        s.put(name, value).await?;
    }
    s.put("b", "1").await?;
    let cases = [
        (SortTarget::Key, SortOrder::Ascend, ["a", "b", "c"]),
        (SortTarget::Key, SortOrder::Descend, ["c", "b", "a"]),
        (SortTarget::Value, SortOrder::Ascend, ["b", "a", "c"]),
        (SortTarget::Create, SortOrder::Descend, ["a", "c", "b"]),
        (SortTarget::Mod, SortOrder::Ascend, ["c", "a", "b"]),
    ];
    for (target, order, want) in cases {
        let options = GetOptions::new().with_prefix().with_sort(target, order);
        let got = s.client.get(s.key(""), Some(options)).await?;
        assert_eq!(names(&s, &got), want, "by {target:?}, {order:?}");
    }
    let newest = GetOptions::new().with_prefix().with_sort(SortTarget::Version, SortOrder::Descend);
    let newest = s.client.get(s.key(""), Some(newest.with_limit(1))).await?;
    assert_eq!(names(&s, &newest), ["b"], "the limit comes after the sort");
    Ok(())
}

async fn older_revisions(mut s: Scope) -> Outcome {
    let first = s.put("a", "1").await?;
    s.put("a", "2").await?;
    let both = s.put("b", "1").await?;
    s.client.delete(s.key(""), Some(DeleteOptions::new().with_prefix())).await?;
    for (revision, want) in [(first - 1, vec![]), (first, vec!["1"]), (both, vec!["2", "1"])] {
        let options = GetOptions::new().with_prefix().with_revision(revision);
        let got = s.client.get(s.key(""), Some(options)).await?;
        let values: Vec<_> = got.kvs().iter().map(|kv| kv.value_str().unwrap()).collect();
        assert_eq!(values, want, "at revision {revision}");
    }
    let changed = GetOptions::new().with_prefix().with_revision(both).with_min_mod_revision(both);
    let changed = s.client.get(s.key(""), Some(changed)).await?;
    assert_eq!(names(&s, &changed), ["b"], "what changed at or after {both}");
    Ok(())
}

async fn a_range_in_pieces(mut s: Scope) -> Outcome {
    let want: Vec<String> = (0..500).map(|n| format!("{n:03}")).collect();
    for name in &want {
        s.put(name, &name.repeat(300)).await?;
    }
    let options = GetOptions::new().with_prefix();
    let mut stream = s.client.kv_client().get_stream(s.key(""), Some(options)).await?;
    let mut got = Vec::new();
    while let Some(piece) = stream.message().await? {
        got.extend(names(&s, &piece));
    }
    assert_eq!(got, want, "the pieces of a stream are the range");
    Ok(())
}

async fn deletes_say_what_they_deleted(mut s: Scope) -> Outcome {
    for name in ["a", "b", "c"] {
        s.put(name, name).await?;
    }
    let options = DeleteOptions::new().with_range(s.key("c")).with_prev_key();
    let deleted = s.client.delete(s.key("a"), Some(options.clone())).await?;
    assert_eq!(deleted.deleted(), 2);
    let previous: Vec<_> = deleted.prev_kvs().iter().map(|kv| s.short(kv.key())).collect();
    assert_eq!(previous, ["a", "b"], "the previous versions");
    let revision = deleted.header().unwrap().revision();
    let nothing = s.client.delete(s.key("a"), Some(options)).await?;
    assert_eq!((nothing.deleted(), nothing.prev_kvs().len()), (0, 0));
    assert_eq!(nothing.header().unwrap().revision(), revision, "deleting nothing is no revision");
    Ok(())
}
