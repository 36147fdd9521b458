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
//! | `/`, `/report.json` | all of it for people; see `page` |
//!
//! GET and HEAD. Below a probe's path each of its checks has one of its own, as
//! `/readyz/data_corruption`. Queries, each as etcd has it: `verbose` lists the checks of a probe that
//! succeeds too, `exclude=<check>` (on `/health`: `exclude=NOSPACE`) leaves one out,
//! `serializable=true` on `/health` asks about this member alone. Beyond etcd: `format=json`. A path
//! and query that are longer than all of that are refused unread, with 414.

mod ask;
pub mod counts;
mod pieces;
mod respond;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::debug;

use crate::compaction::CompactionState;
use crate::disk::DiskState;
use crate::health::disk::disk;
use crate::health::warnings::warnings;
use crate::health::{Check, Observation, Probe, Verdict, evaluate};
use crate::metrics::Metrics;
use crate::page;
use crate::report::LastHour;
use crate::tunable::Tunable;
use crate::wall_clock::WallClock;
use ask::Ask;

/// Bytes of path and query, and parameters in it. Whoever leaves out every check by name has a
/// quarter of them; thousands would take their time from the probes.
const TARGET_MAX: usize = 2 << 10;
const PARAMETERS_MAX: usize = 64;

/// Everything that answers are made of.
#[derive(Clone)]
pub struct Known {
    pub observed: watch::Receiver<Observation>,
    pub tunable: watch::Receiver<Tunable>,
    pub disk: watch::Receiver<DiskState>,
    pub compaction: watch::Receiver<CompactionState>,
    /// What an operator should know about the configuration, one sentence each.
    pub warnings: watch::Receiver<Arc<[String]>>,
    pub core_metrics: watch::Receiver<Bytes>,
    pub hour: watch::Receiver<LastHour>,
    pub metrics: Arc<Metrics>,
    pub clock: WallClock,
}

/// The routes.
pub fn router(known: Known) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/readiness", all(Probe::Ready))
        .route("/readiness/{check}", one(Probe::Ready))
        .route("/readyz", all(Probe::Ready))
        .route("/readyz/{check}", one(Probe::Ready))
        .route("/liveness", all(Probe::Live))
        .route("/liveness/{check}", one(Probe::Live))
        .route("/livez", all(Probe::Live))
        .route("/livez/{check}", one(Probe::Live))
        .route("/startup", all(Probe::Startup))
        .route("/startup/{check}", one(Probe::Startup))
        .route("/sidecar/livez", get(itself))
        .route("/version", get(version))
        .route("/metrics", get(metrics))
        .merge(page::routes())
        .fallback(async || respond::not_found())
        .layer(from_fn(bound))
        .layer(map_response(guard))
        .with_state(known)
}

impl Known {
    /// All that can be judged now.
    pub fn verdict(&self) -> Verdict {
        let (now, tunable) = (Instant::now(), self.tunable.borrow());
        let verdict = evaluate(&self.observed.borrow(), &tunable.health, now);
        verdict.and(disk(&self.disk.borrow(), &tunable.disk, now))
    }

    /// What an operator should know now although no probe fails for it.
    pub fn warnings(&self) -> Vec<String> {
        let age_max = self.tunable.borrow().health.observation_max_age;
        let (configuration, now) = (self.warnings.borrow(), Instant::now());
        warnings(&configuration, &self.observed.borrow(), &self.disk.borrow(), age_max, now)
    }

    fn core_version(&self) -> Option<String> {
        let observation = self.observed.borrow();
        let process = observation.answer.as_ref()?.said.process.as_ref()?;
        Some(process.version.clone())
    }

    /// All checks of a probe that the query does not exclude.
    fn answer(&self, probe: Probe, pairs: &Pairs) -> Response {
        let (verdict, ask) = (self.verdict(), Ask::of(pairs));
        let all: Vec<_> = verdict.checks_of(probe).collect();
        let unmatched = ask.unmatched(&all);
        if !unmatched.is_empty() {
            debug!(?probe, names = ?unmatched, "no such checks to exclude");
        }
        let checks: Vec<_> = all.iter().copied().filter(|check| ask.wants(check)).collect();
        self.tell(probe, &checks, &ask, unmatched)
    }

    /// One check of a probe, by its name.
    fn answer_of(&self, probe: Probe, name: &str, pairs: &Pairs) -> Response {
        let (verdict, ask) = (self.verdict(), Ask::of(pairs));
        let check: Vec<_> = verdict.checks_of(probe).filter(|check| check.name == name).collect();
        if check.is_empty() {
            return respond::not_found();
        }
        self.tell(probe, &check, &ask, Vec::new())
    }

    fn tell(&self, probe: Probe, checks: &[&Check], ask: &Ask, unmatched: Vec<&str>) -> Response {
        self.metrics.answers.probe(probe, checks);
        respond::probe(probe, checks, ask, unmatched, (self.clock)())
    }
}

async fn health(State(known): State<Known>, pairs: Pairs) -> Response {
    let (verdict, ask) = (known.verdict(), Ask::of(&pairs));
    let checks = verdict.checks_of(Probe::Health).filter(|check| ask.wants_of_health(check));
    let checks: Vec<_> = checks.collect();
    known.metrics.answers.health(checks.iter().all(|check| check.failure().is_none()));
    let space = known.disk.borrow().space;
    respond::health(&verdict, &checks, known.warnings(), space, (known.clock)())
}

type Pairs = Query<Vec<(String, String)>>;

/// All checks of a probe.
fn all(probe: Probe) -> MethodRouter<Known> {
    get(move |State(known): State<Known>, pairs: Pairs| async move { known.answer(probe, &pairs) })
}

/// The check of a probe that the path names.
fn one(probe: Probe) -> MethodRouter<Known> {
    get(move |State(known): State<Known>, Path(check): Path<String>, pairs: Pairs| async move {
        known.answer_of(probe, &check, &pairs)
    })
}

async fn itself(pairs: Pairs) -> Response {
    respond::itself(&Ask::of(&pairs))
}

async fn version(State(known): State<Known>) -> Response {
    respond::version(known.core_version())
}

async fn metrics(State(known): State<Known>) -> Response {
    let warnings = known.warnings.borrow().len();
    let ours = known.metrics.text(&known.verdict(), warnings);
    respond::metrics(ours, known.core_metrics.borrow().clone())
}

/// Nothing of what is too long is looked at.
async fn bound(request: Request, next: Next) -> Response {
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    let parameters = target.matches('&').count() + 1;
    match target.len() > TARGET_MAX || parameters > PARAMETERS_MAX {
        true => respond::too_long(),
        false => next.run(request).await,
    }
}

/// No proxy keeps an answer, no browser guesses what it is.
async fn guard(mut response: Response) -> Response {
    let is_refused = response.status() == StatusCode::METHOD_NOT_ALLOWED;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_refused {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

#[cfg(test)]
mod tests;
