//! From verdicts to status codes and bodies: the shapes that etcd's clients know.

use std::fmt::Write;
use std::time::SystemTime;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use metastore_proto::admin::Role;
use metastore_proto::environment::harmless;
use serde::Serialize;

use super::ask::Ask;
use super::pieces::Pieces;
use crate::disk::Space;
use crate::health::{Check, Part, Probe, Status, Verdict};
use crate::json;
use crate::wall_clock::rfc3339;

fn code(passes: bool) -> StatusCode {
    if passes { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

fn as_json(code: StatusCode, body: &impl Serialize) -> Response {
    (code, [(CONTENT_TYPE, "application/json")], json::text(body)).into_response()
}

/// `ok`, or 503 with all checks; JSON where that is asked for.
pub(super) fn probe(
    probe: Probe,
    checks: &[&Check],
    ask: &Ask,
    unmatched: Vec<&str>,
    now: SystemTime,
) -> Response {
    let failure = checks.iter().find_map(|check| check.failure());
    let passes = failure.is_none();
    if ask.json {
        let body = ProbeJson {
            probe: name(probe),
            status: if passes { "ok" } else { "failed" },
            reason: failure.unwrap_or_default(),
            timestamp: rfc3339(now),
            checks: checks.iter().map(|check| Detail::of(check)).collect(),
            unmatched_exclude: unmatched,
        };
        return as_json(code(passes), &body);
    }
    let mut text = if passes && !ask.verbose { String::new() } else { list(checks) };
    if passes {
        text.push_str("ok\n");
    }
    (code(passes), text).into_response()
}

fn name(probe: Probe) -> &'static str {
    match probe {
        Probe::Startup => "startup",
        Probe::Live => "liveness",
        Probe::Ready => "readiness",
        Probe::Health => "health",
    }
}

fn list(checks: &[&Check]) -> String {
    let mut list = String::new();
    for Check { name, status, .. } in checks {
        match status {
            Status::Ok => writeln!(list, "[+]{name} ok"),
            Status::Failed(reason) => writeln!(list, "[-]{name} failed: {}", harmless(reason)),
            Status::Unknown => writeln!(list, "[?]{name} unknown"),
        }
        .expect("writing to a string cannot fail");
    }
    list
}

#[derive(Serialize)]
struct ProbeJson<'a> {
    probe: &'static str,
    status: &'static str,
    reason: &'a str,
    timestamp: String,
    checks: Vec<Detail<'a>>,
    /// Excluded, and unknown here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unmatched_exclude: Vec<&'a str>,
}

/// A check with what it rests on.
#[derive(Serialize)]
struct Detail<'a> {
    name: &'static str,
    status: &'static str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<f64>,
}

impl<'a> Detail<'a> {
    fn of(check: &'a Check) -> Self {
        let reading = check.reading;
        Self {
            name: check.name,
            status: match check.status {
                Status::Ok => "ok",
                Status::Failed(_) => "failed",
                Status::Unknown => "unknown",
            },
            reason: check.failure().unwrap_or_default(),
            value: reading.map(|reading| to_ms(reading.value)),
            threshold: reading.map(|reading| to_ms(reading.threshold)),
            unit: reading.map(|reading| reading.unit),
            age_seconds: check.age.map(|age| to_ms(age.as_secs_f64())),
        }
    }
}

/// To three digits, of which the last is a millisecond where the unit is a second.
fn to_ms(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// etcd's shape (`health` is a text there) with more beside it.
#[derive(Serialize)]
struct Health<'a> {
    health: &'static str,
    reason: &'a str,
    status: &'static str,
    timestamp: String,
    checks: Parts,
    details: Vec<Detail<'a>>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Parts {
    store: String,
    raft: String,
    disk: String,
}

pub(super) fn health(
    verdict: &Verdict,
    checks: &[&Check],
    warnings: Vec<String>,
    disk: Option<Space>,
    now: SystemTime,
) -> Response {
    let failure = checks.iter().find_map(|check| check.failure());
    let healthy = failure.is_none();
    let used = disk.map(|space| format!("{}% used", space.used_percent()));
    let body = Health {
        health: if healthy { "true" } else { "false" },
        reason: failure.unwrap_or_default(),
        status: if healthy { "healthy" } else { "unhealthy" },
        timestamp: rfc3339(now),
        checks: Parts {
            store: part(checks, Part::Store, None),
            raft: part(checks, Part::Raft, Some(role(verdict.role))),
            disk: part(checks, Part::Disk, used.as_deref()),
        },
        details: checks.iter().map(|check| Detail::of(check)).collect(),
        warnings,
    };
    as_json(code(healthy), &body)
}

/// The first failure of a part, or that all is well, with what else there is to say.
fn part(checks: &[&Check], part: Part, remark: Option<&str>) -> String {
    let of_part = || checks.iter().filter(|check| check.part == part);
    let failure = of_part().find_map(|check| check.failure());
    let word = match failure {
        Some(reason) => format!("failed: {reason}"),
        // What alone is known of a part says enough.
        None if of_part().any(|check| check.status == Status::Ok) => "ok".to_owned(),
        None => return "unknown".to_owned(),
    };
    match remark {
        Some(remark) if !remark.is_empty() => format!("{word} ({remark})"),
        Some(_) | None => word,
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Unspecified => "",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
        Role::Leader => "leader",
        Role::Learner => "learner",
    }
}

/// That the sidecar itself answers.
pub(super) fn itself(ask: &Ask) -> Response {
    if ask.json {
        as_json(StatusCode::OK, &Itself { status: "ok" })
    } else {
        "ok\n".into_response()
    }
}

#[derive(Serialize)]
struct Itself {
    status: &'static str,
}

pub(super) fn too_long() -> Response {
    (StatusCode::URI_TOO_LONG, "414 path and query too long\n").into_response()
}

pub(super) fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "404 page not found\n").into_response()
}

#[derive(Serialize)]
struct Version {
    sidecar: &'static str,
    /// `null` before core has answered.
    core: Option<String>,
}

pub(super) fn version(core: Option<String>) -> Response {
    as_json(StatusCode::OK, &Version { sidecar: env!("CARGO_PKG_VERSION"), core })
}

/// Ours, then core's.
pub(super) fn metrics(ours: String, cores: Bytes) -> Response {
    let kind = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, Body::new(Pieces([ours.into(), cores].into()))).into_response()
}
