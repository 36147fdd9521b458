//! `grpc.health.v1.Health` for the service "": serving, as long as anybody answers.

use std::sync::Arc;

use metastore_proto::health as pb;
use pb::health_check_response::ServingStatus;
use tokio_stream::StreamExt;
use tonic::Status;

use crate::api::edge::Edge;
use crate::api::rpc::{Replies, Reply};

pub async fn check(_edge: Arc<Edge>, request: pb::HealthCheckRequest) -> Result<Reply, Status> {
    known(&request)?;
    Ok(serving())
}

/// Says it once, and keeps the stream open: it does not change while the server runs.
pub async fn watch(_edge: Arc<Edge>, request: pb::HealthCheckRequest) -> Result<Replies, Status> {
    known(&request)?;
    let once = tokio_stream::once(Ok(serving()));
    Ok(Box::pin(once.chain(tokio_stream::pending())))
}

fn known(request: &pb::HealthCheckRequest) -> Result<(), Status> {
    if request.service.is_empty() { Ok(()) } else { Err(Status::not_found("unknown service")) }
}

fn serving() -> Reply {
    Reply::of(&pb::HealthCheckResponse { status: ServingStatus::Serving as i32 })
}
