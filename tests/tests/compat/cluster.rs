//! The member list, gRPC's health, and what is not served yet.

use metastore_proto::etcdserverpb as pb;
use metastore_proto::health::HealthCheckRequest;
use metastore_proto::health::health_check_response::ServingStatus;
use metastore_proto::health::health_client::HealthClient;
use metastore_proto::{v3electionpb, v3lockpb};
use metastore_tests::client::Answer;
use metastore_tests::requests::{bytes, key};
use metastore_tests::store::Store;
use tonic::Code;

#[tokio::test]
async fn the_member_lists_itself() {
    let store = Store::start().await;
    let ours = store.client.range(key("a")).await.unwrap().header.unwrap();
    for linearizable in [false, true] {
        let request = pb::MemberListRequest { linearizable };
        let list = store.client.member_list(request).await.unwrap();
        let header = list.header.unwrap();
        assert_eq!((header.revision, header.member_id), (0, ours.member_id), "no revision here");
        assert_eq!(list.members.len(), 1);
        let member = &list.members[0];
        assert_eq!((member.id, member.name.as_str()), (ours.member_id, "default"));
        assert_eq!(member.peer_ur_ls, ["http://localhost:2380"]);
        assert_eq!(member.client_ur_ls, [format!("http://{}", store.address)]);
        assert!(!member.is_learner);
    }
}

#[tokio::test]
async fn health_is_serving() {
    let store = Store::start().await;
    let mut health = HealthClient::new(store.client.channel());
    let whole = HealthCheckRequest { service: String::new() };
    let answer = health.check(whole.clone()).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::Serving);
    let mut watch = health.watch(whole).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    let other = HealthCheckRequest { service: "nothing".into() };
    let refused = health.check(other).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::NotFound, "unknown service"));
}

/// Collects what is not answered by Unimplemented.
#[derive(Default)]
struct Served(Vec<String>);

impl Served {
    fn check<T>(&mut self, rpc: &str, answer: Answer<T>) {
        let seen = answer.err().map(|status| (status.code(), status.message().to_owned()));
        match seen {
            Some((Code::Unimplemented, text)) if !text.is_empty() => {}
            other => self.0.push(format!("{rpc}: {other:?}")),
        }
    }
}

#[tokio::test]
async fn what_comes_later_says_so() {
    let store = Store::start().await;
    if !store.is_ours("what etcd serves and we do not yet") {
        return;
    }
    let client = &store.client;
    let mut served = Served::default();
    served.check("MemberAdd", client.member_add(Default::default()).await);
    served.check("MemberRemove", client.member_remove(Default::default()).await);
    served.check("MemberUpdate", client.member_update(Default::default()).await);
    served.check("MemberPromote", client.member_promote(Default::default()).await);
    served.check("MoveLeader", client.move_leader(Default::default()).await);
    served.check("Downgrade", client.downgrade(Default::default()).await);
    served.check("Snapshot", client.snapshot().await);
    let mut auth = pb::auth_client::AuthClient::new(client.channel());
    served.check("AuthEnable", auth.auth_enable(pb::AuthEnableRequest {}).await);
    served.check("UserAdd", auth.user_add(pb::AuthUserAddRequest::default()).await);
    served.check("RoleAdd", auth.role_add(pb::AuthRoleAddRequest::default()).await);
    served.check("UserList", auth.user_list(pb::AuthUserListRequest {}).await);
    assert!(served.0.is_empty(), "{:#?}", served.0);
}

#[tokio::test]
async fn locks_and_elections_come_later() {
    let store = Store::start().await;
    if !store.is_ours("what etcd serves and we do not yet") {
        return;
    }
    let channel = store.client.channel();
    let mut served = Served::default();
    let mut lock = v3lockpb::lock_client::LockClient::new(channel.clone());
    let request = v3lockpb::LockRequest { name: bytes("l"), ..Default::default() };
    served.check("Lock", lock.lock(request).await);
    served.check("Unlock", lock.unlock(v3lockpb::UnlockRequest::default()).await);
    let mut election = v3electionpb::election_client::ElectionClient::new(channel);
    served.check("Campaign", election.campaign(v3electionpb::CampaignRequest::default()).await);
    served.check("Proclaim", election.proclaim(v3electionpb::ProclaimRequest::default()).await);
    served.check("Leader", election.leader(v3electionpb::LeaderRequest::default()).await);
    served.check("Resign", election.resign(v3electionpb::ResignRequest::default()).await);
    served.check("Observe", election.observe(v3electionpb::LeaderRequest::default()).await);
    assert!(served.0.is_empty(), "{:#?}", served.0);
}
