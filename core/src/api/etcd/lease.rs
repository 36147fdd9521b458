//! The service Lease. Keep-alives never go through the log.

use std::sync::Arc;

use metastore_proto::etcdserverpb as pb;
use rand::Rng;
use tokio_stream::StreamExt;
use tonic::{Status, Streaming};

use super::{header, status};
use crate::api::edge::Edge;
use crate::api::rpc::{Replies, Reply};
use crate::clock;
use crate::domain::Command;
use crate::domain::effects::Response;

/// The longest time to live, in seconds.
const TTL_MAX: i64 = 9_000_000_000;

/// A time to live below the floor is raised in silence, and 0 asks for a random id.
pub async fn grant(edge: Arc<Edge>, request: pb::LeaseGrantRequest) -> Result<Reply, Status> {
    if request.ttl > TTL_MAX {
        return Err(status::LEASE_TTL_TOO_LARGE.into());
    }
    let id = if request.id == 0 { rand::rng().random_range(1..=i64::MAX) } else { request.id };
    let ttl = request.ttl.max(edge.context.limits.lease_ttl_min());
    let (response, revision) = edge.propose(Command::LeaseGrant { id, ttl }).await?;
    edge.context.metrics.leases_granted.inc();
    let Response::LeaseGrant { id, ttl } = response else {
        return Err(super::kv::unexpected());
    };
    let header = Some(header::at(&edge.context, revision));
    Ok(Reply::of(&pb::LeaseGrantResponse { header, id, ttl, error: String::new() }))
}

pub async fn revoke(edge: Arc<Edge>, request: pb::LeaseRevokeRequest) -> Result<Reply, Status> {
    let (_response, revision) = edge.propose(Command::LeaseRevoke { id: request.id }).await?;
    edge.context.metrics.leases_revoked.inc();
    let header = Some(header::at(&edge.context, revision));
    Ok(Reply::of(&pb::LeaseRevokeResponse { header }))
}

/// A lease that has ended is answered with a time to live of 0; the stream goes on.
pub async fn keep_alive(
    edge: Arc<Edge>,
    requests: Streaming<pb::LeaseKeepAliveRequest>,
) -> Result<Replies, Status> {
    Ok(Box::pin(requests.map(move |request| {
        let id = request?.id;
        if !edge.context.leases.is_kept_here() {
            return Err(status::NO_LEADER.into());
        }
        edge.context.metrics.leases_renewed.inc();
        let header = Some(header::now(&edge.context));
        let ttl = edge.context.leases.renew(id, clock::monotonic_ms()).unwrap_or(0);
        Ok(Reply::of(&pb::LeaseKeepAliveResponse { header, id, ttl }))
    })))
}

/// A lease that does not exist is answered with a time to live of −1.
pub async fn time_to_live(
    edge: Arc<Edge>,
    request: pb::LeaseTimeToLiveRequest,
) -> Result<Reply, Status> {
    edge.linearize().await?;
    let id = request.id;
    let header = Some(header::now(&edge.context));
    let found = edge.context.leases.time_to_live(id, clock::monotonic_ms());
    let Some((granted_ttl, ttl)) = found else {
        let gone = pb::LeaseTimeToLiveResponse {
            header,
            id,
            ttl: -1,
            ..pb::LeaseTimeToLiveResponse::default()
        };
        return Ok(Reply::of(&gone));
    };
    let keys = if request.keys {
        edge.context.reader.lease_keys(id).map_err(|fault| status::fault(&fault))?
    } else {
        Vec::new()
    };
    Ok(Reply::of(&pb::LeaseTimeToLiveResponse { header, id, ttl, granted_ttl, keys }))
}

pub async fn leases(edge: Arc<Edge>, _request: pb::LeaseLeasesRequest) -> Result<Reply, Status> {
    let ids = edge.context.leases.by_deadline();
    let leases = ids.into_iter().map(|id| pb::LeaseStatus { id }).collect();
    let header = Some(header::now(&edge.context));
    Ok(Reply::of(&pb::LeaseLeasesResponse { header, leases }))
}
