//! What the server says of itself: status, members, alarms, hashes.

use etcd_client::{AlarmAction, AlarmType};

use crate::{Check, Outcome, Scope, checks};

pub const CHECKS: &[Check] = checks![status_and_members, hashes, maintenance];

async fn status_and_members(mut s: Scope) -> Outcome {
    let revision = s.put("a", "1").await?;
    let status = s.client.status().await?;
    let header = status.header().expect("an answer has a header");
    assert!(header.revision() >= revision, "status is behind the put: {header:?}");
    assert_eq!(status.leader(), header.member_id(), "the only member leads");
    assert!(status.version().starts_with("3."), "version {}", status.version());
    assert!(status.db_size() > 0 && status.raft_used_db_size() > 0, "{status:?}");
    assert!(status.raft_term() > 0 && status.raft_index() > 0, "{status:?}");
    assert!(status.raft_applied_index() <= status.raft_index(), "{status:?}");
    assert!(!status.is_learner() && status.errors().is_empty(), "{status:?}");
    let listed = s.client.member_list().await?;
    let [member] = listed.members() else { panic!("one member, not {:?}", listed.members()) };
    assert_eq!(member.id(), header.member_id());
    assert_eq!((member.name(), member.is_learner()), ("default", false));
    assert!(!member.client_urls().is_empty() && !member.peer_urls().is_empty(), "{member:?}");
    Ok(())
}

async fn hashes(mut s: Scope) -> Outcome {
    let first = s.put("a", "1").await?;
    let before = s.client.hash_kv(first).await?;
    s.put("a", "2").await?;
    let after = s.client.hash_kv(first).await?;
    assert_eq!(before.hash(), after.hash(), "the hash of a revision that is past");
    assert_ne!(s.client.hash_kv(0).await?.hash(), before.hash(), "the hash of the newest");
    s.client.hash().await?;
    Ok(())
}

async fn maintenance(mut s: Scope) -> Outcome {
    let alarms = s.client.alarm(AlarmAction::Get, AlarmType::None, None).await?;
    assert!(alarms.alarms().is_empty(), "{alarms:?}");
    s.client.defragment().await?;
    assert_eq!(s.get("a").await?, None, "it serves after a defragmentation");
    Ok(())
}
