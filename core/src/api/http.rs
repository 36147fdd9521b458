//! Plain HTTP on the client port: health, metrics, version, where etcd has them. Which paths these
//! are is in docs/compatibility.md.

use std::fmt::Write;

use http::request::Parts;
use http::{Method, Response, StatusCode, header};
use tonic::body::Body;

use super::edge::Edge;
use super::etcd::maintenance::API_VERSION;
use crate::domain::alarm::AlarmKind;
use crate::replica::{Phase, Role};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A check and why it fails.
type Check = (&'static str, Result<(), String>);

pub(super) async fn serve(edge: &Edge, request: &Parts) -> Response<Body> {
    let path = request.uri.path();
    let query = request.uri.query().unwrap_or_default();
    if !is_known(path) {
        return text(StatusCode::NOT_FOUND, "404 page not found\n");
    }
    if !matches!(request.method, Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
        response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/health" => health(edge, query).await,
        "/metrics" => text(StatusCode::OK, edge.context.metrics.render(&edge.context)),
        "/version" => json(StatusCode::OK, version()),
        _ if is_probe(path, "/livez") => probe(edge, path, "/livez", query, live(edge)),
        _ => probe(edge, path, "/readyz", query, ready(edge).await),
    }
}

fn is_known(path: &str) -> bool {
    matches!(path, "/health" | "/metrics" | "/version")
        || is_probe(path, "/livez")
        || is_probe(path, "/readyz")
}

/// The probe itself, or something below it.
fn is_probe(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

async fn health(edge: &Edge, query: &str) -> Response<Body> {
    let excluded: Vec<&str> = values(query, "exclude").collect();
    let is_local = values(query, "serializable").any(|value| value == "true");
    let reason = unhealthy(edge, &excluded, is_local).await;
    edge.context.metrics.health(reason.is_none());
    let code = match reason {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body = serde_json::json!({
        "health": if reason.is_none() { "true" } else { "false" },
        "reason": reason.unwrap_or_default(),
    });
    json(code, body.to_string())
}

async fn unhealthy(edge: &Edge, excluded: &[&str], is_local: bool) -> Option<String> {
    let board = &edge.context.board;
    for (kind, name) in [(AlarmKind::NoSpace, "NOSPACE"), (AlarmKind::Corrupt, "CORRUPT")] {
        if board.has_alarm(kind) && !excluded.contains(&name) {
            return Some(format!("ALARM {name}"));
        }
    }
    if is_local {
        return local_read(edge).err().map(|why| format!("RANGE ERROR:{why}"));
    }
    if board.leader() == 0 {
        return Some("RAFT NO LEADER".to_owned());
    }
    let linear = edge.linearize().await.map_err(|status| status.message().to_owned());
    linear.and_then(|()| local_read(edge)).err().map(|why| format!("RANGE ERROR:{why}"))
}

fn local_read(edge: &Edge) -> Result<(), String> {
    edge.context.reader.get(b"\0").map(|_found| ()).map_err(|fault| fault.to_string())
}

fn live(edge: &Edge) -> Vec<Check> {
    vec![("serializable_read", local_read(edge))]
}

async fn ready(edge: &Edge) -> Vec<Check> {
    let board = &edge.context.board;
    let linear = edge.linearize().await.map_err(|status| status.message().to_owned());
    let fails = |is_bad: bool, why: &str| if is_bad { Err(why.to_owned()) } else { Ok(()) };
    let mut checks = vec![
        ("data_corruption", fails(board.has_alarm(AlarmKind::Corrupt), "alarm activated: CORRUPT")),
        ("serializable_read", local_read(edge)),
        ("linearizable_read", linear),
        ("non_learner", fails(board.role() == Role::Learner, "not supported for learner")),
    ];
    if board.phase() == Phase::Draining {
        checks.push(("draining", Err("the member is stopping".to_owned())));
    }
    checks
}

/// All checks, or the one that the path names; a failure shows every line. `/health` counts as a
/// whole, these check by check, as in etcd.
fn probe(
    edge: &Edge,
    path: &str,
    root: &'static str,
    query: &str,
    checks: Vec<Check>,
) -> Response<Body> {
    let excluded: Vec<&str> = values(query, "exclude").collect();
    let one = path.strip_prefix(root).and_then(|rest| rest.strip_prefix('/'));
    let asked: Vec<Check> = match one {
        Some(one) => checks.into_iter().filter(|(name, _)| *name == one).collect(),
        None => checks.into_iter().filter(|(name, _)| !excluded.contains(name)).collect(),
    };
    if one.is_some() && asked.is_empty() {
        return text(StatusCode::NOT_FOUND, "404 page not found\n");
    }
    for (name, verdict) in &asked {
        let kind = root.trim_start_matches('/');
        edge.context.metrics.healthcheck(kind, name, verdict.is_ok());
    }
    let mut lines = String::new();
    for (name, verdict) in &asked {
        // Writing to a string cannot fail.
        let _written = match verdict {
            Ok(()) => writeln!(lines, "[+]{name} ok"),
            Err(why) => writeln!(lines, "[-]{name} failed: {why}"),
        };
    }
    if asked.iter().any(|(_, verdict)| verdict.is_err()) {
        return text(StatusCode::SERVICE_UNAVAILABLE, lines);
    }
    let is_verbose = query.split('&').any(|pair| pair.split('=').next() == Some("verbose"));
    text(StatusCode::OK, if is_verbose { lines + "ok\n" } else { "ok\n".to_owned() })
}

fn version() -> String {
    let body = serde_json::json!({
        "etcdserver": API_VERSION,
        "etcdcluster": "3.7.0",
        "storage": "3.7.0",
        "metastore": VERSION,
    });
    body.to_string()
}

fn values<'q>(query: &'q str, name: &'q str) -> impl Iterator<Item = &'q str> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(move |(key, _)| *key == name).map(|(_, value)| value)
}

fn text(code: StatusCode, body: impl Into<String>) -> Response<Body> {
    respond(code, "text/plain; charset=utf-8", body.into())
}

fn json(code: StatusCode, body: String) -> Response<Body> {
    respond(code, "application/json", body)
}

fn respond(code: StatusCode, kind: &'static str, body: String) -> Response<Body> {
    let body = Body::new(http_body_util::Full::new(bytes::Bytes::from(body)));
    let mut response = Response::new(body);
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    let nosniff = header::HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}
