//! The HTTP endpoints. Every answer comes from memory; no handler waits for anything.
//!
//! | path | answer |
//! |---|---|
//! | `/health` | one JSON object of all parts; 503 when something is wrong |
//! | `/readiness`, `/readyz` | should clients be sent here |
//! | `/liveness`, `/livez` | 503 only if a restart would help |
//! | `/startup` | has core opened its store |
//! | `/sidecar/livez` | does the sidecar itself answer |
//! | `/version` | JSON with both processes' versions |
//! | `/metrics` | the sidecar's metrics and core's |
//!
//! GET and HEAD. The probes list their checks when they fail, or with `?verbose`.

mod respond;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::disk::Space;
use crate::health::{Observation, Probe, Thresholds, Verdict, evaluate};
use crate::metrics::Metrics;
use crate::wall_clock::WallClock;
use respond::Detail;

/// Everything that answers are made of.
#[derive(Clone)]
pub struct Known {
    pub observed: watch::Receiver<Observation>,
    pub thresholds: Thresholds,
    pub disk: watch::Receiver<Option<Space>>,
    pub core_metrics: watch::Receiver<String>,
    pub metrics: Arc<Metrics>,
    pub clock: WallClock,
}

/// The routes.
pub fn router(known: Known) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/readiness", get(readiness))
        .route("/readyz", get(readiness))
        .route("/liveness", get(liveness))
        .route("/livez", get(liveness))
        .route("/startup", get(startup))
        .route("/sidecar/livez", get(itself))
        .route("/version", get(version))
        .route("/metrics", get(metrics))
        .layer(map_response(guard))
        .with_state(known)
}

impl Known {
    fn verdict(&self) -> Verdict {
        evaluate(&self.observed.borrow(), self.thresholds, Instant::now())
    }

    fn core_version(&self) -> Option<String> {
        let observation = self.observed.borrow();
        let process = observation.answer.as_ref()?.said.process.as_ref()?;
        Some(process.version.clone())
    }
}

async fn health(State(known): State<Known>) -> Response {
    respond::health(&known.verdict(), *known.disk.borrow(), (known.clock)())
}

type Pairs = Query<Vec<(String, String)>>;

async fn readiness(State(known): State<Known>, pairs: Pairs) -> Response {
    respond::probe(&known.verdict(), Probe::Ready, detail(&pairs))
}

async fn liveness(State(known): State<Known>, pairs: Pairs) -> Response {
    respond::probe(&known.verdict(), Probe::Live, detail(&pairs))
}

async fn startup(State(known): State<Known>, pairs: Pairs) -> Response {
    respond::probe(&known.verdict(), Probe::Startup, detail(&pairs))
}

async fn itself() -> &'static str {
    "ok\n"
}

async fn version(State(known): State<Known>) -> Response {
    respond::version(known.core_version())
}

async fn metrics(State(known): State<Known>) -> Response {
    let mut text = known.metrics.text(&known.verdict(), *known.disk.borrow());
    text.push_str(&known.core_metrics.borrow());
    respond::metrics(text)
}

/// `verbose` counts when it is there, whatever its value (as in etcd).
fn detail(pairs: &Pairs) -> Detail {
    let verbose = pairs.iter().any(|(name, _)| name == "verbose");
    if verbose { Detail::Always } else { Detail::OnFailure }
}

/// No proxy keeps an answer, no browser guesses what it is.
async fn guard(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests;
