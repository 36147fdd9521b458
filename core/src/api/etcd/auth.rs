//! The service Auth, as far as it goes while authentication cannot be turned on: clients that were
//! given a name ask for a token first, and take this answer for "none is needed".

use std::sync::Arc;

use metastore_proto::etcdserverpb as pb;
use tonic::Status;

use super::{header, status};
use crate::api::edge::Edge;
use crate::api::rpc::Reply;

/// The revision of authentication tables that were never changed.
const FIRST_REVISION: u64 = 1;

pub async fn status(edge: Arc<Edge>, _request: pb::AuthStatusRequest) -> Result<Reply, Status> {
    let header = Some(header::now(&edge.context));
    Ok(Reply::of(&pb::AuthStatusResponse { header, enabled: false, auth_revision: FIRST_REVISION }))
}

pub async fn authenticate(
    _edge: Arc<Edge>,
    _request: pb::AuthenticateRequest,
) -> Result<Reply, Status> {
    Err(status::AUTH_NOT_ENABLED.into())
}
