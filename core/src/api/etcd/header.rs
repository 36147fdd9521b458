//! The header of every answer.

use metastore_proto::etcdserverpb::ResponseHeader;

use crate::api::context::Context;

/// A header with the newest revision that the answer knows of.
pub fn at(context: &Context, revision: i64) -> ResponseHeader {
    ResponseHeader {
        cluster_id: context.identity.cluster_id,
        member_id: context.identity.member_id,
        revision,
        raft_term: context.board.term(),
    }
}

/// A header of an answer that has nothing to do with a revision.
pub fn now(context: &Context) -> ResponseHeader {
    at(context, context.board.revision())
}
