//! The methods of the operations API.

use std::sync::{Arc, OnceLock};

use metastore_proto::admin as pb;
use pb::admin_server::Admin;
use tonic::{Request, Response, Status};

use super::observe::{Process, alarm, observe};
use crate::api::edge::Edge;
use crate::domain::Command;
use crate::domain::alarm::{AlarmCause, AlarmKind};
use crate::replica::{Board, Phase};

/// Answers from the first moment; what needs the store is refused until it is open.
#[derive(Debug, Clone)]
pub struct AdminService {
    board: Arc<Board>,
    process: Arc<OnceLock<Process>>,
    edge: Arc<OnceLock<Arc<Edge>>>,
}

impl AdminService {
    pub fn new(board: Arc<Board>) -> Self {
        Self { board, process: Arc::default(), edge: Arc::default() }
    }

    /// The directory's identity is known.
    pub fn introduce(&self, process: Process) {
        // Done once, at start.
        drop(self.process.set(process));
    }

    /// The store is open: `edge` takes proposals for this service.
    pub fn connect(&self, edge: Arc<Edge>) {
        drop(self.edge.set(edge));
    }

    fn edge(&self) -> Result<&Arc<Edge>, Status> {
        self.edge.get().ok_or_else(|| Status::unavailable("metastore: the store is not open yet"))
    }
}

/// What a process is before it has read its directory.
fn unknown() -> Process {
    Process { boot: 0, name: String::new(), cluster_id: 0, member_id: 0 }
}

#[tonic::async_trait]
impl Admin for AdminService {
    async fn observe(
        &self,
        _request: Request<pb::ObserveRequest>,
    ) -> Result<Response<pb::ObserveResponse>, Status> {
        self.board.show_admin_call(crate::clock::monotonic_ms());
        let process = self.process.get().cloned().unwrap_or_else(unknown);
        let context = self.edge.get().map(|edge| &edge.context);
        let physical = context.map_or(0, |context| context.quota.physical_bytes());
        let waiting = context.map_or(0, |context| context.inbox.waiting());
        Ok(Response::new(observe(&self.board, &process, physical, waiting)))
    }

    async fn compact(
        &self,
        request: Request<pb::CompactRequest>,
    ) -> Result<Response<pb::CompactResponse>, Status> {
        let pb::CompactRequest { revision, physical } = request.into_inner();
        let edge = self.edge()?;
        edge.propose(Command::Compact { revision }).await?;
        if physical && !edge.context.reclaim.wait(revision).await {
            return Err(Status::unavailable("metastore: stopping"));
        }
        let compacted_revision = self.board.compacted();
        Ok(Response::new(pb::CompactResponse { compacted_revision }))
    }

    async fn alarm(
        &self,
        request: Request<pb::AlarmRequest>,
    ) -> Result<Response<pb::AlarmResponse>, Status> {
        let request = request.into_inner();
        let cause = match request.cause() {
            pb::AlarmCause::Quota => AlarmCause::Quota,
            pb::AlarmCause::Disk => AlarmCause::Disk,
            pb::AlarmCause::Operator => AlarmCause::Operator,
            pb::AlarmCause::Unspecified => {
                return Err(Status::invalid_argument("metastore: an alarm needs a cause"));
            }
        };
        let edge = self.edge()?;
        let member = edge.context.identity.member_id;
        let kind = AlarmKind::NoSpace;
        let command = if request.raise {
            Command::RaiseAlarm { member, kind, cause }
        } else {
            Command::ClearAlarm { member, kind, cause }
        };
        edge.propose(command).await?;
        let alarms = self.board.alarms().into_iter().map(alarm).collect();
        Ok(Response::new(pb::AlarmResponse { alarms }))
    }

    async fn metrics(
        &self,
        _request: Request<pb::MetricsRequest>,
    ) -> Result<Response<pb::MetricsResponse>, Status> {
        let edge = self.edge()?;
        let text = edge.context.metrics.render(&edge.context);
        Ok(Response::new(pb::MetricsResponse { text }))
    }

    async fn drain(
        &self,
        _request: Request<pb::DrainRequest>,
    ) -> Result<Response<pb::DrainResponse>, Status> {
        if self.board.phase() == Phase::Serving {
            self.board.show_phase(Phase::Draining);
        }
        Ok(Response::new(pb::DrainResponse {}))
    }
}
