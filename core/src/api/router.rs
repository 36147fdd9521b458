//! THE table of the client port: every RPC of etcd's API with what serves it, then HTTP.

use std::convert::Infallible;
use std::sync::Arc;

use http::{HeaderMap, Request, Response, header};
use hyper::body::Incoming;
use tonic::body::Body;

use super::edge::Edge;
use super::etcd::{auth, cluster, health, kv, lease, maintenance, range_stream, status, watch};
use super::message_limit::Limited;
use super::metrics::Kind;
use super::{http as plain, rpc};

/// One RPC: its path, and how its calls look in the metrics.
#[derive(Debug)]
pub struct Rpc {
    pub service: &'static str,
    pub method: &'static str,
    pub kind: Kind,
}

const fn rpc(service: &'static str, method: &'static str, kind: Kind) -> Rpc {
    Rpc { service, method, kind }
}

const KV: &str = "etcdserverpb.KV";
const WATCH: &str = "etcdserverpb.Watch";
const LEASE: &str = "etcdserverpb.Lease";
const CLUSTER: &str = "etcdserverpb.Cluster";
const MAINTENANCE: &str = "etcdserverpb.Maintenance";
const AUTH: &str = "etcdserverpb.Auth";
const LOCK: &str = "v3lockpb.Lock";
const ELECTION: &str = "v3electionpb.Election";
const HEALTH: &str = "grpc.health.v1.Health";

/// Every RPC of etcd's API, the busiest first: it is searched from the front.
pub static RPCS: &[Rpc] = &[
    rpc(KV, "Range", Kind::Unary),
    rpc(KV, "Put", Kind::Unary),
    rpc(KV, "Txn", Kind::Unary),
    rpc(KV, "DeleteRange", Kind::Unary),
    rpc(KV, "Compact", Kind::Unary),
    rpc(KV, "RangeStream", Kind::ServerStream),
    rpc(WATCH, "Watch", Kind::BidiStream),
    rpc(LEASE, "LeaseGrant", Kind::Unary),
    rpc(LEASE, "LeaseRevoke", Kind::Unary),
    rpc(LEASE, "LeaseKeepAlive", Kind::BidiStream),
    rpc(LEASE, "LeaseTimeToLive", Kind::Unary),
    rpc(LEASE, "LeaseLeases", Kind::Unary),
    rpc(CLUSTER, "MemberList", Kind::Unary),
    rpc(CLUSTER, "MemberAdd", Kind::Unary),
    rpc(CLUSTER, "MemberRemove", Kind::Unary),
    rpc(CLUSTER, "MemberUpdate", Kind::Unary),
    rpc(CLUSTER, "MemberPromote", Kind::Unary),
    rpc(MAINTENANCE, "Status", Kind::Unary),
    rpc(MAINTENANCE, "Alarm", Kind::Unary),
    rpc(MAINTENANCE, "Defragment", Kind::Unary),
    rpc(MAINTENANCE, "Hash", Kind::Unary),
    rpc(MAINTENANCE, "HashKV", Kind::Unary),
    rpc(MAINTENANCE, "Snapshot", Kind::ServerStream),
    rpc(MAINTENANCE, "MoveLeader", Kind::Unary),
    rpc(MAINTENANCE, "Downgrade", Kind::Unary),
    rpc(HEALTH, "Check", Kind::Unary),
    rpc(HEALTH, "Watch", Kind::ServerStream),
    rpc(AUTH, "AuthEnable", Kind::Unary),
    rpc(AUTH, "AuthDisable", Kind::Unary),
    rpc(AUTH, "AuthStatus", Kind::Unary),
    rpc(AUTH, "Authenticate", Kind::Unary),
    rpc(AUTH, "UserAdd", Kind::Unary),
    rpc(AUTH, "UserGet", Kind::Unary),
    rpc(AUTH, "UserList", Kind::Unary),
    rpc(AUTH, "UserDelete", Kind::Unary),
    rpc(AUTH, "UserChangePassword", Kind::Unary),
    rpc(AUTH, "UserGrantRole", Kind::Unary),
    rpc(AUTH, "UserRevokeRole", Kind::Unary),
    rpc(AUTH, "RoleAdd", Kind::Unary),
    rpc(AUTH, "RoleGet", Kind::Unary),
    rpc(AUTH, "RoleList", Kind::Unary),
    rpc(AUTH, "RoleDelete", Kind::Unary),
    rpc(AUTH, "RoleGrantPermission", Kind::Unary),
    rpc(AUTH, "RoleRevokePermission", Kind::Unary),
    rpc(LOCK, "Lock", Kind::Unary),
    rpc(LOCK, "Unlock", Kind::Unary),
    rpc(ELECTION, "Campaign", Kind::Unary),
    rpc(ELECTION, "Proclaim", Kind::Unary),
    rpc(ELECTION, "Leader", Kind::Unary),
    rpc(ELECTION, "Observe", Kind::ServerStream),
    rpc(ELECTION, "Resign", Kind::Unary),
];

/// Serves one request, whatever it is.
pub async fn serve(
    edge: Arc<Edge>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    if !is_grpc(request.headers()) {
        let (head, _body) = request.into_parts();
        return Ok(plain::serve(&edge, &head).await);
    }
    let Some((number, rpc)) = find(request.uri().path()) else {
        let text = format!("unknown method {}", request.uri().path());
        return Ok(tonic::Status::unimplemented(text).into_http());
    };
    let metrics = Arc::clone(&edge.context.metrics);
    let call = metrics.started(number);
    let response = if needs_leader(request.headers()) && edge.context.board.leader() == 0 {
        tonic::Status::from(status::NO_LEADER).into_http()
    } else {
        let limit = edge.context.limits.message_bytes();
        let received = edge.context.metrics.received_bytes.clone();
        let request = request.map(|body| Limited::new(body, limit, received));
        dispatch(edge, rpc, request).await
    };
    Ok(call.observe(response))
}

fn find(path: &str) -> Option<(usize, &'static Rpc)> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let mut rpcs = RPCS.iter().enumerate();
    rpcs.find(|(_, rpc)| rpc.method == method && rpc.service == service)
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// etcd's clients say so when an answer without a leader is of no use to them.
fn needs_leader(headers: &HeaderMap) -> bool {
    headers.get("hasleader").is_some_and(|value| value.as_bytes() == b"true")
}

#[expect(clippy::cognitive_complexity, reason = "a table, one line an RPC")]
async fn dispatch(edge: Arc<Edge>, rpc: &Rpc, request: Request<Limited>) -> Response<Body> {
    match (rpc.service, rpc.method) {
        (KV, "Range") => rpc::unary(edge, request, kv::range).await,
        (KV, "Put") => rpc::unary(edge, request, kv::put).await,
        (KV, "Txn") => rpc::unary(edge, request, kv::txn).await,
        (KV, "DeleteRange") => rpc::unary(edge, request, kv::delete).await,
        (KV, "Compact") => rpc::unary(edge, request, kv::compact).await,
        (KV, "RangeStream") => rpc::server_stream(edge, request, range_stream::range_stream).await,
        (WATCH, "Watch") => rpc::streams(edge, request, watch::watch).await,
        (LEASE, "LeaseGrant") => rpc::unary(edge, request, lease::grant).await,
        (LEASE, "LeaseRevoke") => rpc::unary(edge, request, lease::revoke).await,
        (LEASE, "LeaseKeepAlive") => rpc::streams(edge, request, lease::keep_alive).await,
        (LEASE, "LeaseTimeToLive") => rpc::unary(edge, request, lease::time_to_live).await,
        (LEASE, "LeaseLeases") => rpc::unary(edge, request, lease::leases).await,
        (CLUSTER, "MemberList") => rpc::unary(edge, request, cluster::member_list).await,
        (MAINTENANCE, "Status") => rpc::unary(edge, request, maintenance::status).await,
        (MAINTENANCE, "Alarm") => rpc::unary(edge, request, maintenance::alarm).await,
        (MAINTENANCE, "Defragment") => rpc::unary(edge, request, maintenance::defragment).await,
        (MAINTENANCE, "Hash") => rpc::unary(edge, request, maintenance::hash).await,
        (MAINTENANCE, "HashKV") => rpc::unary(edge, request, maintenance::hash_kv).await,
        (AUTH, "AuthStatus") => rpc::unary(edge, request, auth::status).await,
        (AUTH, "Authenticate") => rpc::unary(edge, request, auth::authenticate).await,
        (HEALTH, "Check") => rpc::unary(edge, request, health::check).await,
        (HEALTH, "Watch") => rpc::server_stream(edge, request, health::watch).await,
        (_, method) => status::later(method).into_http(),
    }
}
