//! From verdicts to status codes and bodies: the shapes that etcd's clients know.

use std::fmt::Write;
use std::time::SystemTime;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use metastore_proto::admin::Role;
use serde::Serialize;

use crate::disk::Space;
use crate::health::{Check, Part, Probe, Status, Verdict};
use crate::wall_clock::rfc3339;

/// When a probe's answer lists its checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    OnFailure,
    Always,
}

/// `ok`, or 503 with all checks.
pub(super) fn probe(verdict: &Verdict, probe: Probe, detail: Detail) -> Response {
    if verdict.passes(probe) {
        let list = match detail {
            Detail::Always => list(verdict, probe),
            Detail::OnFailure => String::new(),
        };
        return (StatusCode::OK, format!("{list}ok\n")).into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, list(verdict, probe)).into_response()
}

fn list(verdict: &Verdict, probe: Probe) -> String {
    let mut list = String::new();
    for Check { name, status, .. } in verdict.checks_of(probe) {
        match status {
            Status::Ok => writeln!(list, "[+]{name} ok"),
            Status::Failed(reason) => writeln!(list, "[-]{name} failed: {reason}"),
            Status::Unknown => writeln!(list, "[?]{name} unknown"),
        }
        .expect("writing to a string cannot fail");
    }
    list
}

/// etcd's shape (`health` is a text there) with more beside it.
#[derive(Serialize)]
struct Health<'a> {
    health: &'static str,
    reason: &'a str,
    status: &'static str,
    timestamp: String,
    checks: Parts,
}

#[derive(Serialize)]
struct Parts {
    store: String,
    raft: String,
    disk: String,
}

pub(super) fn health(verdict: &Verdict, disk: Option<Space>, now: SystemTime) -> Response {
    let reason = verdict.reason(Probe::Health);
    let healthy = reason.is_none();
    let used = disk.map(|space| format!("{}% used", space.used_percent()));
    let body = Health {
        health: if healthy { "true" } else { "false" },
        reason: reason.unwrap_or_default(),
        status: if healthy { "healthy" } else { "unhealthy" },
        timestamp: rfc3339(now),
        checks: Parts {
            store: part(verdict, Part::Store, None),
            raft: part(verdict, Part::Raft, Some(role(verdict.role))),
            disk: part(verdict, Part::Disk, used.as_deref()),
        },
    };
    let code = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(body)).into_response()
}

/// The first failure of a part, or that all is well, with what else there is to say.
fn part(verdict: &Verdict, part: Part, remark: Option<&str>) -> String {
    let mut word = "ok".to_owned();
    for check in verdict.checks_of(Probe::Health).filter(|check| check.part == part) {
        match &check.status {
            Status::Ok => {}
            Status::Unknown => "unknown".clone_into(&mut word),
            Status::Failed(reason) => {
                word = format!("failed: {reason}");
                break;
            }
        }
    }
    match remark {
        Some(remark) if !remark.is_empty() && word != "unknown" => format!("{word} ({remark})"),
        _ => word,
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

#[derive(Serialize)]
struct Version {
    sidecar: &'static str,
    /// `null` before core has answered.
    core: Option<String>,
}

pub(super) fn version(core: Option<String>) -> Response {
    Json(Version { sidecar: env!("CARGO_PKG_VERSION"), core }).into_response()
}

pub(super) fn metrics(text: String) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
