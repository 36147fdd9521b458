//! Every metric: name, labels and help, once. etcd's names where the meaning is etcd's; which of
//! etcd's are missing is in docs/compatibility.md.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::Response;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry, TextEncoder,
};
use tonic::Code;
use tonic::body::Body;

use super::Context;
use super::etcd::maintenance::API_VERSION;
use super::process_metrics::ProcessMetrics;
use super::router::RPCS;
use crate::replica::Role;

/// The shape of an RPC, in the words of the gRPC metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Unary,
    ServerStream,
    BidiStream,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::ServerStream => "server_stream",
            Self::BidiStream => "bidi_stream",
        }
    }
}

/// Codes in the order of their numbers, as the metrics call them.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// Counters that others count with, and gauges read from the board when somebody asks.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    started: Vec<IntCounter>,
    handled: Vec<Vec<IntCounter>>,
    handling: Option<HistogramVec>,
    pub puts: IntCounter,
    pub deletes: IntCounter,
    pub txns: IntCounter,
    pub ranges: IntCounter,
    pub events: IntCounter,
    pub proposals_failed: IntCounter,
    pub leases_granted: IntCounter,
    pub leases_revoked: IntCounter,
    pub leases_renewed: IntCounter,
    pub received_bytes: IntCounter,
    pub sent_bytes: IntCounter,
    pub log_sync: Histogram,
    pub store_write: Histogram,
    health_success: IntCounter,
    health_failures: IntCounter,
    healthcheck: prometheus::IntGaugeVec,
    healthchecks: IntCounterVec,
    gauges: Gauges,
}

#[derive(Debug)]
struct Gauges {
    has_leader: IntGauge,
    is_leader: IntGauge,
    leader_changes: IntCounter,
    committed: IntGauge,
    applied: IntGauge,
    pending: IntGauge,
    total_size: IntGauge,
    in_use: IntGauge,
    quota: IntGauge,
    keys: IntGauge,
    revision: IntGauge,
    compacted: IntGauge,
    streams: IntGauge,
    watchers: IntGauge,
    slow_watchers: IntGauge,
    physical: IntGauge,
    connections: IntGauge,
}

type Registered<T> = Result<T, prometheus::Error>;

impl Metrics {
    /// `is_extensive` adds histograms of request latency, as etcd's `--metrics=extensive`.
    #[expect(clippy::too_many_lines, reason = "a list of metrics")]
    pub fn new(is_extensive: bool, member_id: u64) -> Registered<Arc<Self>> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessMetrics::new()?))?;
        let build = labelled_gauge(
            &registry,
            "metastore_build_info",
            "Version of this program.",
            "version",
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let help = "The level of etcd's API that is served.";
        let level = labelled_gauge(&registry, "etcd_server_version", help, "server_version")?;
        level.with_label_values(&[API_VERSION]).set(1);
        let id = labelled_gauge(&registry, "etcd_server_id", "The member.", "server_id")?;
        id.with_label_values(&[&format!("{member_id:x}")]).set(1);
        let help = "Whether a check held when it was last asked for.";
        let healthcheck = prometheus::IntGaugeVec::new(
            Opts::new("etcd_server_healthcheck", help),
            &["type", "name"],
        )?;
        registry.register(Box::new(healthcheck.clone()))?;
        let healthchecks = IntCounterVec::new(
            Opts::new("etcd_server_healthchecks_total", "Checks that were asked for."),
            &["type", "name", "status"],
        )?;
        registry.register(Box::new(healthchecks.clone()))?;
        let rpc_labels = ["grpc_type", "grpc_service", "grpc_method"];
        let started = IntCounterVec::new(
            Opts::new("grpc_server_started_total", "RPCs that were started."),
            &rpc_labels,
        )?;
        let handled = IntCounterVec::new(
            Opts::new("grpc_server_handled_total", "RPCs that were answered, by code."),
            &["grpc_type", "grpc_service", "grpc_method", "grpc_code"],
        )?;
        registry.register(Box::new(started.clone()))?;
        registry.register(Box::new(handled.clone()))?;
        let handling = is_extensive.then(|| handling(&registry)).transpose()?;
        let labels = |rpc: &super::router::Rpc| [rpc.kind.name(), rpc.service, rpc.method];
        let of_codes = |rpc: &super::router::Rpc| {
            let [kind, service, method] = labels(rpc);
            let code = |code| handled.with_label_values(&[kind, service, method, code]);
            CODES.map(code).to_vec()
        };
        Ok(Arc::new(Self {
            started: RPCS.iter().map(|rpc| started.with_label_values(&labels(rpc))).collect(),
            handled: RPCS.iter().map(of_codes).collect(),
            handling,
            puts: counter(&registry, "etcd_mvcc_put_total", "Puts.")?,
            deletes: counter(&registry, "etcd_mvcc_delete_total", "Deletes.")?,
            txns: counter(&registry, "etcd_mvcc_txn_total", "Transactions.")?,
            ranges: counter(&registry, "etcd_mvcc_range_total", "Ranges.")?,
            events: counter(
                &registry,
                "etcd_debugging_mvcc_events_total",
                "Events sent to watchers.",
            )?,
            proposals_failed: counter(
                &registry,
                "etcd_server_proposals_failed_total",
                "Proposals without an answer.",
            )?,
            leases_granted: counter(
                &registry,
                "etcd_debugging_lease_granted_total",
                "Leases granted.",
            )?,
            leases_revoked: counter(
                &registry,
                "etcd_debugging_lease_revoked_total",
                "Leases revoked by clients.",
            )?,
            leases_renewed: counter(
                &registry,
                "etcd_debugging_lease_renewed_total",
                "Leases renewed.",
            )?,
            received_bytes: counter(
                &registry,
                "etcd_network_client_grpc_received_bytes_total",
                "Bytes of messages from clients.",
            )?,
            sent_bytes: counter(
                &registry,
                "etcd_network_client_grpc_sent_bytes_total",
                "Bytes of messages to clients.",
            )?,
            log_sync: seconds(
                &registry,
                "etcd_disk_wal_fsync_duration_seconds",
                "Duration of syncs of the raft log.",
            )?,
            store_write: seconds(
                &registry,
                "etcd_disk_backend_commit_duration_seconds",
                "Duration of writes of applied commands.",
            )?,
            health_success: counter(&registry, "etcd_server_health_success", "Healthy answers.")?,
            health_failures: counter(
                &registry,
                "etcd_server_health_failures",
                "Unhealthy answers.",
            )?,
            healthcheck,
            healthchecks,
            gauges: Gauges::new(&registry)?,
            registry,
        }))
    }

    /// A call of the `number`th RPC of the table begins.
    pub fn started(self: &Arc<Self>, number: usize) -> Call {
        if let Some(started) = self.started.get(number) {
            started.inc();
        }
        let since = self.handling.is_some().then(crate::clock::monotonic_us);
        Call { metrics: Arc::clone(self), number, since }
    }

    pub fn health(&self, is_healthy: bool) {
        let counter = if is_healthy { &self.health_success } else { &self.health_failures };
        counter.inc();
    }

    /// A check of a probe (`livez`, `readyz`) was answered.
    pub fn healthcheck(&self, probe: &str, check: &str, holds: bool) {
        let status = if holds { "success" } else { "error" };
        self.healthcheck.with_label_values(&[probe, check]).set(holds.into());
        self.healthchecks.with_label_values(&[probe, check, status]).inc();
    }

    /// All metrics in the Prometheus text format.
    pub fn render(&self, context: &Context) -> String {
        self.gauges.show(context);
        let mut out = Vec::new();
        let families = self.registry.gather();
        if let Err(error) = TextEncoder::new().encode(&families, &mut out) {
            tracing::warn!(%error, "metrics do not encode");
        }
        String::from_utf8(out).unwrap_or_default()
    }
}

/// A call under way.
#[derive(Debug)]
pub struct Call {
    metrics: Arc<Metrics>,
    number: usize,
    since: Option<i64>,
}

impl Call {
    /// Counts the answer. A stream that has begun well counts as OK when its head is sent.
    pub fn observe(self, response: Response<Body>) -> Response<Body> {
        let status = tonic::Status::from_header_map(response.headers());
        let code = status.map_or(Code::Ok, |status| status.code());
        let of_rpc = self.metrics.handled.get(self.number);
        if let Some(handled) = of_rpc.and_then(|codes| codes.get(code as usize)) {
            handled.inc();
        }
        if let (Some(since), Some(histogram), Some(rpc)) =
            (self.since, &self.metrics.handling, RPCS.get(self.number))
        {
            let took = crate::clock::monotonic_us() - since;
            let labels = [rpc.kind.name(), rpc.service, rpc.method];
            histogram.with_label_values(&labels).observe(took as f64 / 1e6);
        }
        response
    }
}

impl Gauges {
    fn new(registry: &Registry) -> Registered<Self> {
        let gauge = |name, help| gauge(registry, name, help);
        Ok(Self {
            has_leader: gauge("etcd_server_has_leader", "Whether a leader is known.")?,
            is_leader: gauge("etcd_server_is_leader", "Whether this member leads.")?,
            leader_changes: counter(
                registry,
                "etcd_server_leader_changes_seen_total",
                "Changes of leader that this member saw.",
            )?,
            committed: gauge("etcd_server_proposals_committed_total", "Newest committed index.")?,
            applied: gauge("etcd_server_proposals_applied_total", "Newest applied index.")?,
            pending: gauge("etcd_server_proposals_pending", "Proposals without an answer yet.")?,
            total_size: gauge(
                "etcd_mvcc_db_total_size_in_bytes",
                "Bytes of live rows and kept history.",
            )?,
            in_use: gauge(
                "etcd_mvcc_db_total_size_in_use_in_bytes",
                "The same: nothing is ever fragmented.",
            )?,
            quota: gauge("etcd_server_quota_backend_bytes", "The quota in force; 0: none.")?,
            keys: gauge("etcd_debugging_mvcc_keys_total", "Live keys.")?,
            revision: gauge("etcd_debugging_mvcc_current_revision", "The newest revision.")?,
            compacted: gauge("etcd_debugging_mvcc_compact_revision", "The compacted revision.")?,
            streams: gauge("etcd_debugging_mvcc_watch_stream_total", "Watch streams.")?,
            watchers: gauge("etcd_debugging_mvcc_watcher_total", "Watchers.")?,
            slow_watchers: gauge("etcd_debugging_mvcc_slow_watcher_total", "Lagging watchers.")?,
            physical: gauge("metastore_physical_bytes", "Bytes of the files.")?,
            connections: gauge("metastore_connections", "Open client connections.")?,
        })
    }

    fn show(&self, context: &Context) {
        let board = &context.board;
        let int = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.has_leader.set(i64::from(board.leader() != 0));
        self.is_leader.set(i64::from(board.role() == Role::Leader));
        let seen = self.leader_changes.get();
        self.leader_changes.inc_by(board.leader_changes().saturating_sub(seen));
        self.committed.set(int(board.commit_index()));
        self.applied.set(int(board.applied_index()));
        self.pending.set(count(board.pending_proposals.load(Ordering::Relaxed)));
        self.total_size.set(board.logical_bytes());
        self.in_use.set(board.logical_bytes());
        self.quota.set(board.quota_bytes().max(0));
        self.keys.set(board.keys());
        self.revision.set(board.revision());
        self.compacted.set(board.compacted());
        self.streams.set(count(board.watch_streams.load(Ordering::Relaxed)));
        self.watchers.set(count(board.watchers.load(Ordering::Relaxed)));
        self.slow_watchers.set(count(board.lagging_watchers.load(Ordering::Relaxed)));
        self.physical.set(context.quota.physical_bytes());
        self.connections.set(count(board.connections.load(Ordering::Relaxed)));
    }
}

fn counter(registry: &Registry, name: &str, help: &str) -> Registered<IntCounter> {
    let counter = IntCounter::new(name, help)?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Registered<IntGauge> {
    let gauge = IntGauge::new(name, help)?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

fn labelled_gauge(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
) -> Registered<prometheus::IntGaugeVec> {
    let gauge = prometheus::IntGaugeVec::new(Opts::new(name, help), &[label])?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

/// etcd's buckets: a millisecond, doubled thirteen times.
fn seconds(registry: &Registry, name: &str, help: &str) -> Registered<Histogram> {
    let buckets = prometheus::exponential_buckets(0.001, 2.0, 14)?;
    let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?;
    registry.register(Box::new(histogram.clone()))?;
    Ok(histogram)
}

fn handling(registry: &Registry) -> Registered<HistogramVec> {
    let opts = HistogramOpts::new("grpc_server_handling_seconds", "Time to the answer's head.");
    let histogram = HistogramVec::new(opts, &["grpc_type", "grpc_service", "grpc_method"])?;
    registry.register(Box::new(histogram.clone()))?;
    Ok(histogram)
}
