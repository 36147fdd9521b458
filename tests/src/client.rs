//! A terse client of etcd's API: one method an RPC, and short forms for what tests do all the time.

use std::time::Duration;

use bytes::Bytes;
use metastore_proto::etcdserverpb as pb;
use metastore_proto::mvccpb;
use pb::alarm_request::AlarmAction;
use pb::cluster_client::ClusterClient;
use pb::kv_client::KvClient;
use pb::lease_client::LeaseClient;
use pb::maintenance_client::MaintenanceClient;
use pb::watch_client::WatchClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::requests::{bytes, delete_everything, key, put};

/// How long an answer may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub type Answer<T> = Result<T, Status>;

/// One connection; clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
}

macro_rules! unary {
    ($($method:ident = $service:ident.$rpc:ident($request:ident) -> $response:ident;)+) => { $(
        pub async fn $method(&self, request: pb::$request) -> Answer<pb::$response> {
            Ok(self.$service().$rpc(request).await?.into_inner())
        }
    )+ };
}

impl Client {
    /// A client of `http://host:port`, which connects when it is used, and again after a loss.
    pub fn new(url: &str) -> Self {
        let endpoint = Endpoint::from_shared(url.to_owned()).expect("a URL");
        Self { channel: endpoint.tcp_nodelay(true).connect_lazy() }
    }

    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel()).max_decoding_message_size(usize::MAX)
    }

    fn lease(&self) -> LeaseClient<Channel> {
        LeaseClient::new(self.channel())
    }

    fn maintenance(&self) -> MaintenanceClient<Channel> {
        MaintenanceClient::new(self.channel())
    }

    fn cluster(&self) -> ClusterClient<Channel> {
        ClusterClient::new(self.channel())
    }

    pub(crate) fn watcher(&self) -> WatchClient<Channel> {
        WatchClient::new(self.channel()).max_decoding_message_size(usize::MAX)
    }

    unary! {
        range = kv.range(RangeRequest) -> RangeResponse;
        put = kv.put(PutRequest) -> PutResponse;
        delete = kv.delete_range(DeleteRangeRequest) -> DeleteRangeResponse;
        txn = kv.txn(TxnRequest) -> TxnResponse;
        compact = kv.compact(CompactionRequest) -> CompactionResponse;
        grant = lease.lease_grant(LeaseGrantRequest) -> LeaseGrantResponse;
        revoke = lease.lease_revoke(LeaseRevokeRequest) -> LeaseRevokeResponse;
        time_to_live = lease.lease_time_to_live(LeaseTimeToLiveRequest) -> LeaseTimeToLiveResponse;
        leases = lease.lease_leases(LeaseLeasesRequest) -> LeaseLeasesResponse;
        status = maintenance.status(StatusRequest) -> StatusResponse;
        alarm = maintenance.alarm(AlarmRequest) -> AlarmResponse;
        hash = maintenance.hash(HashRequest) -> HashResponse;
        hash_kv = maintenance.hash_kv(HashKvRequest) -> HashKvResponse;
        defragment = maintenance.defragment(DefragmentRequest) -> DefragmentResponse;
        move_leader = maintenance.move_leader(MoveLeaderRequest) -> MoveLeaderResponse;
        downgrade = maintenance.downgrade(DowngradeRequest) -> DowngradeResponse;
        member_list = cluster.member_list(MemberListRequest) -> MemberListResponse;
        member_add = cluster.member_add(MemberAddRequest) -> MemberAddResponse;
        member_remove = cluster.member_remove(MemberRemoveRequest) -> MemberRemoveResponse;
        member_update = cluster.member_update(MemberUpdateRequest) -> MemberUpdateResponse;
        member_promote = cluster.member_promote(MemberPromoteRequest) -> MemberPromoteResponse;
    }

    /// All pieces of a `RangeStream`.
    pub async fn range_stream(&self, request: pb::RangeRequest) -> Answer<Vec<pb::RangeResponse>> {
        let mut stream = self.kv().range_stream(request).await?.into_inner();
        let mut pieces = Vec::new();
        while let Some(piece) = stream.message().await? {
            pieces.extend(piece.range_response);
        }
        Ok(pieces)
    }

    /// All blobs of a `Snapshot`.
    pub async fn snapshot(&self) -> Answer<Vec<Bytes>> {
        let mut client = self.maintenance();
        let mut stream = client.snapshot(pb::SnapshotRequest {}).await?.into_inner();
        let mut blobs = Vec::new();
        while let Some(part) = stream.message().await? {
            blobs.push(part.blob);
        }
        Ok(blobs)
    }

    /// The answers to keep-alives of these leases, all on one stream.
    pub async fn keep_alive(&self, ids: &[i64]) -> Answer<Vec<pb::LeaseKeepAliveResponse>> {
        let requests: Vec<_> = ids.iter().map(|&id| pb::LeaseKeepAliveRequest { id }).collect();
        let requests = tokio_stream::iter(requests);
        let mut stream = self.lease().lease_keep_alive(requests).await?.into_inner();
        let mut answers = Vec::new();
        while answers.len() < ids.len() {
            match stream.message().await? {
                Some(answer) => answers.push(answer),
                None => break,
            }
        }
        Ok(answers)
    }

    /// Puts, and answers the revision.
    pub async fn set(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> i64 {
        revision(&self.put(put(key, value)).await.expect("a put").header)
    }

    /// The newest version of a key.
    pub async fn get(&self, name: impl AsRef<[u8]>) -> Option<mvccpb::KeyValue> {
        self.range(key(name)).await.expect("a range").kvs.pop()
    }

    /// The value of a key as text; empty for a missing key.
    pub async fn value(&self, name: impl AsRef<[u8]>) -> String {
        let kv = self.get(name).await.unwrap_or_default();
        String::from_utf8_lossy(&kv.value).into_owned()
    }

    /// The newest revision.
    pub async fn revision(&self) -> i64 {
        revision(&self.range(key("none")).await.expect("a range").header)
    }

    /// Makes revisions below this one unreadable.
    pub async fn compact_to(&self, revision: i64) {
        let request = pb::CompactionRequest { revision, physical: true };
        self.compact(request).await.expect("a compaction");
    }

    /// Grants a lease of these seconds with an id that the server chooses.
    pub async fn granted(&self, ttl: i64) -> i64 {
        self.grant(pb::LeaseGrantRequest { ttl, id: 0 }).await.expect("a grant").id
    }

    /// Raises, clears or lists alarms of the member.
    pub async fn alarms(&self, action: AlarmAction, kind: pb::AlarmType) -> Vec<pb::AlarmMember> {
        let status = self.status(pb::StatusRequest {}).await.expect("a status");
        let request = pb::AlarmRequest {
            action: action as i32,
            member_id: status.header.expect("a header").member_id,
            alarm: kind as i32,
        };
        self.alarm(request).await.expect("an alarm answer").alarms
    }

    /// Removes every key, lease and alarm, and their history. The revision stays.
    pub async fn wipe(&self) {
        for raised in self.alarms(AlarmAction::Get, pb::AlarmType::None).await {
            let action = AlarmAction::Deactivate as i32;
            let pb::AlarmMember { member_id, alarm } = raised;
            let request = pb::AlarmRequest { action, member_id, alarm };
            self.alarm(request).await.expect("an alarm answer");
        }
        for lease in self.leases(pb::LeaseLeasesRequest {}).await.expect("leases").leases {
            // It may expire at this moment.
            self.revoke(pb::LeaseRevokeRequest { id: lease.id }).await.ok();
        }
        let deleted = self.delete(delete_everything()).await.expect("a delete");
        let request = pb::CompactionRequest { revision: revision(&deleted.header), physical: true };
        // Nothing was written since the last one.
        self.compact(request).await.ok();
        self.defragment(pb::DefragmentRequest {}).await.expect("a defragmentation");
    }
}

/// The revision of a header.
pub fn revision(header: &Option<pb::ResponseHeader>) -> i64 {
    header.as_ref().expect("a header").revision
}

/// The keys of a range, as text.
pub fn keys(range: &pb::RangeResponse) -> Vec<String> {
    range.kvs.iter().map(|kv| String::from_utf8_lossy(&kv.key).into_owned()).collect()
}

/// The request was refused with exactly this code and text.
#[track_caller]
pub fn assert_refused<T: std::fmt::Debug>(answer: Answer<T>, code: Code, text: &str) {
    let status = answer.expect_err(text);
    assert_eq!((status.code(), status.message()), (code, text));
}

/// Keys in the order of their names: `key(3)` sorts after `key(2)`.
pub fn numbered(name: &str, number: usize) -> Bytes {
    bytes(format!("{name}/{number:08}"))
}
