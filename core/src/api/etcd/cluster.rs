//! The service Cluster: who the members are. They cannot be changed yet.

use std::sync::Arc;

use metastore_proto::etcdserverpb as pb;
use tonic::Status;

use crate::api::edge::Edge;
use crate::api::rpc::Reply;

pub async fn member_list(edge: Arc<Edge>, request: pb::MemberListRequest) -> Result<Reply, Status> {
    if request.linearizable {
        edge.linearize().await?;
    }
    let context = &edge.context;
    let members = context.board.members();
    let members = members.iter().map(|member| pb::Member {
        id: member.id,
        name: member.name.clone(),
        peer_ur_ls: member.peer_urls.clone(),
        client_ur_ls: member.client_urls.clone(),
        is_learner: member.is_learner,
    });
    // The headers of this service carry no revision.
    let header = pb::ResponseHeader {
        cluster_id: context.identity.cluster_id,
        member_id: context.identity.member_id,
        revision: 0,
        raft_term: context.board.term(),
    };
    Ok(Reply::of(&pb::MemberListResponse { header: Some(header), members: members.collect() }))
}
