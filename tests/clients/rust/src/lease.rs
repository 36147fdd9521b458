//! Leases: grant, keep-alive, time to live, revoke, expiry.

use std::time::Duration;

use etcd_client::{LeaseGrantOptions, LeaseTimeToLiveOptions, PutOptions};

use crate::{Check, Outcome, Scope, checks};

pub const CHECKS: &[Check] = checks![
    a_lease_holds_its_keys_until_it_is_revoked,
    a_lease_is_kept_alive,
    a_lease_expires_with_its_keys,
    the_id_may_be_chosen,
];

async fn a_lease_holds_its_keys_until_it_is_revoked(mut s: Scope) -> Outcome {
    let granted = s.client.lease_grant(600, None).await?;
    assert_eq!((granted.ttl(), granted.error()), (600, ""));
    let id = granted.id();
    let on_it = || PutOptions::new().with_lease(id);
    s.put_with("a", "1", on_it()).await?;
    s.put_with("b", "1", on_it()).await?;
    s.put("left", "1").await?;
    assert_eq!(s.client.get(s.key("a"), None).await?.kvs()[0].lease(), id);
    let options = LeaseTimeToLiveOptions::new().with_keys();
    let left = s.client.lease_time_to_live(id, Some(options)).await?;
    assert_eq!(left.granted_ttl(), 600);
    assert!((590..=600).contains(&left.ttl()), "{} s are left of 600", left.ttl());
    let keys: Vec<_> = left.keys().iter().map(|key| s.short(key)).collect();
    assert_eq!(keys, ["a", "b"], "the keys of the lease");
    let all = s.client.leases().await?;
    assert!(all.leases().iter().any(|it| it.id() == id), "the lease is not listed");
    let before = s.put("left", "2").await?;
    let revoked = s.client.lease_revoke(id).await?;
    assert_eq!(revoked.header().unwrap().revision(), before + 1, "all keys in one revision");
    let gone = (s.get("a").await?, s.get("b").await?);
    assert_eq!(gone, (None, None), "keys of a revoked lease");
    assert_eq!(s.get("left").await?.as_deref(), Some("2"), "a key without a lease");
    assert_eq!(s.client.lease_time_to_live(id, None).await?.ttl(), -1, "a revoked lease");
    assert!(s.client.lease_keep_alive(id).await.is_err(), "a revoked lease is kept alive");
    Ok(())
}

async fn a_lease_is_kept_alive(mut s: Scope) -> Outcome {
    let id = s.client.lease_grant(3, None).await?.id();
    s.put_with("a", "1", PutOptions::new().with_lease(id)).await?;
    let (mut keeper, mut answers) = s.client.lease_keep_alive(id).await?;
    // Longer than the lease would live by itself.
    for _ in 0..5 {
        keeper.keep_alive().await?;
        let answer = answers.message().await?.expect("the stream goes on");
        assert_eq!((answer.id(), answer.ttl()), (id, 3));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(s.get("a").await?.as_deref(), Some("1"), "the key of a lease that is kept alive");
    s.client.lease_revoke(id).await?;
    keeper.keep_alive().await?;
    let answer = answers.message().await?.expect("the stream goes on");
    assert_eq!((answer.id(), answer.ttl()), (id, 0), "the lease is gone, and the answer says so");
    Ok(())
}

async fn a_lease_expires_with_its_keys(mut s: Scope) -> Outcome {
    let id = s.client.lease_grant(2, None).await?.id();
    s.put_with("a", "1", PutOptions::new().with_lease(id)).await?;
    // Ends by the check's deadline.
    while s.get("a").await?.is_some() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(s.client.lease_time_to_live(id, None).await?.ttl(), -1);
    Ok(())
}

async fn the_id_may_be_chosen(mut s: Scope) -> Outcome {
    let other = s.client.lease_grant(60, None).await?.id();
    let chosen = other ^ 1;
    let options = LeaseGrantOptions::new().with_id(chosen);
    assert_eq!(s.client.lease_grant(60, Some(options)).await?.id(), chosen);
    for id in [other, chosen] {
        s.client.lease_revoke(id).await?;
    }
    Ok(())
}
