//! The service Maintenance: status, alarms, hashes; and a defragmentation, which has nothing to do.

use std::sync::Arc;

use metastore_proto::etcdserverpb as pb;
use pb::alarm_request::AlarmAction;
use tonic::Status;

use super::convert::WireAlarm;
use super::{convert, header, status};
use crate::api::edge::Edge;
use crate::api::rpc::Reply;
use crate::domain::Command;
use crate::domain::alarm::{Alarm, AlarmCause, AlarmKind, Alarms};
use crate::domain::effects::Response;
use crate::replica::{Role, Unreadable};

/// The level of etcd's API that is served; clients choose their ways by it.
pub const API_VERSION: &str = "3.7.1";
const STORAGE_VERSION: &str = "3.7.0";

pub async fn status(edge: Arc<Edge>, _request: pb::StatusRequest) -> Result<Reply, Status> {
    let context = &edge.context;
    let board = &context.board;
    let mut errors = Vec::new();
    if board.leader() == 0 {
        errors.push(status::NO_LEADER.text.to_owned());
    }
    for alarm in board.alarms() {
        let kind = match alarm.kind {
            AlarmKind::NoSpace => "NOSPACE",
            AlarmKind::Corrupt => "CORRUPT",
        };
        errors.push(format!("memberID:{} alarm:{kind} ", alarm.member));
    }
    let bytes = board.logical_bytes();
    Ok(Reply::of(&pb::StatusResponse {
        header: Some(header::now(context)),
        version: API_VERSION.to_owned(),
        db_size: bytes,
        leader: board.leader(),
        raft_index: board.commit_index(),
        raft_term: board.term(),
        raft_applied_index: board.applied_index(),
        errors,
        db_size_in_use: bytes,
        is_learner: board.role() == Role::Learner,
        storage_version: STORAGE_VERSION.to_owned(),
        db_size_quota: board.quota_bytes().max(0),
        downgrade_info: Some(pb::DowngradeInfo::default()),
    }))
}

pub async fn alarm(edge: Arc<Edge>, request: pb::AlarmRequest) -> Result<Reply, Status> {
    let kind = convert::alarm_kind(request.alarm);
    let member = request.member_id;
    let cause = AlarmCause::Operator;
    let alarms = match (AlarmAction::try_from(request.action), kind) {
        (Ok(AlarmAction::Get), kind) => listed(&edge, kind),
        (Ok(AlarmAction::Activate), WireAlarm::One(kind)) => {
            propose(&edge, Command::RaiseAlarm { member, kind, cause }).await?
        }
        (Ok(AlarmAction::Deactivate), WireAlarm::One(kind)) => {
            propose(&edge, Command::ClearAlarm { member, kind, cause }).await?
        }
        // etcd does nothing about what it does not know.
        _ => Vec::new(),
    };
    Ok(Reply::of(&pb::AlarmResponse {
        header: Some(header::now(&edge.context)),
        alarms: alarms.into_iter().map(convert::alarm).collect(),
    }))
}

fn listed(edge: &Edge, kind: WireAlarm) -> Vec<Alarm> {
    let mut alarms = Alarms::new(edge.context.board.alarms()).listed();
    if let WireAlarm::One(kind) = kind {
        alarms.retain(|alarm| alarm.kind == kind);
    }
    alarms
}

async fn propose(edge: &Edge, command: Command) -> Result<Vec<Alarm>, Status> {
    match edge.propose(command).await? {
        (Response::Alarms(alarms), _) => Ok(alarms),
        _ => Err(super::kv::unexpected()),
    }
}

/// There is nothing to defragment: space comes back by itself.
pub async fn defragment(
    _edge: Arc<Edge>,
    _request: pb::DefragmentRequest,
) -> Result<Reply, Status> {
    Ok(Reply::of(&pb::DefragmentResponse { header: None }))
}

pub async fn hash(edge: Arc<Edge>, _request: pb::HashRequest) -> Result<Reply, Status> {
    let reader = edge.context.reader.clone();
    let hashed = tokio::task::spawn_blocking(move || reader.hash_all()).await;
    let hashed = hashed.map_err(|_stopping| Status::from(status::STOPPED))?;
    let (hash, revision) = hashed.map_err(|fault| status::fault(&fault))?;
    let header = Some(header::at(&edge.context, revision));
    Ok(Reply::of(&pb::HashResponse { header, hash }))
}

pub async fn hash_kv(edge: Arc<Edge>, request: pb::HashKvRequest) -> Result<Reply, Status> {
    let reader = edge.context.reader.clone();
    let hashed = tokio::task::spawn_blocking(move || reader.hash_kv(request.revision)).await;
    let hashed = hashed.map_err(|_stopping| Status::from(status::STOPPED))?;
    let (hashed, revision) = hashed.map_err(|error: Unreadable| status::unreadable(&error))?;
    Ok(Reply::of(&pb::HashKvResponse {
        header: Some(header::at(&edge.context, revision)),
        hash: hashed.hash,
        compact_revision: hashed.compacted,
        hash_revision: hashed.revision,
    }))
}
