//! The page for people, at `/`.
//!
//! | path | answer |
//! |---|---|
//! | `/` | the report: HTML for browsers, else text; `?format=html`, `text` or `json` decides |
//! | `/report.json` | the same as JSON |
//! | `/favicon.ico` | 204: the icon is in the page |
//!
//! One document without outside resources, so that it can be saved and sent to a colleague. Its
//! script fetches the document again and patches what differs: there is one renderer, and words
//! and units are made in one place. Without a script the browser reloads it.

mod chart;
mod html;
mod markup;

use std::sync::LazyLock;

use axum::Json;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::header::{
    ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, VARY,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::probes::Known;
use crate::report::text::{Colour, render};
use crate::report::{Facts, Report, compose};

/// The routes, for the router of all endpoints.
pub fn routes() -> Router<Known> {
    Router::new()
        .route("/", get(page))
        .route("/report.json", get(json))
        .route("/favicon.ico", get(StatusCode::NO_CONTENT))
}

async fn page(
    State(known): State<Known>,
    Query(pairs): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    let asked = pairs.iter().find(|(name, _)| name == "format").map(|(_, value)| value.as_str());
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match Form::of(asked, accepted) {
        Some(form) => form.answer(&report(&known)),
        None => {
            (StatusCode::BAD_REQUEST, "format: needs one of html, text, json\n").into_response()
        }
    }
}

async fn json(State(known): State<Known>) -> Response {
    Form::Json.answer(&report(&known))
}

fn report(known: &Known) -> Report {
    let hour = known.hour.borrow();
    compose(&Facts {
        observation: &known.observed.borrow(),
        verdict: &known.verdict(),
        tunable: &known.tunable.borrow(),
        disk: &known.disk.borrow(),
        compaction: &known.compaction.borrow(),
        warnings: &known.warnings(),
        hour: &hour,
        started: hour.start(),
        now: Instant::now(),
        time: (known.clock)(),
    })
}

/// What an answer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Html,
    Text,
    Json,
}

impl Form {
    /// `None` when something is asked that there is not. A browser says that it takes HTML; curl says
    /// that it takes anything, and gets text.
    fn of(asked: Option<&str>, accepted: &str) -> Option<Self> {
        match asked {
            Some("html") => Some(Self::Html),
            Some("text") => Some(Self::Text),
            Some("json") => Some(Self::Json),
            Some(_) => None,
            None if accepted.contains("text/html") => Some(Self::Html),
            None if accepted.contains("application/json") => Some(Self::Json),
            None => Some(Self::Text),
        }
    }

    fn answer(self, report: &Report) -> Response {
        match self {
            Self::Html => {
                let security: [(HeaderName, &str); 3] = [
                    (CONTENT_TYPE, "text/html; charset=utf-8"),
                    (REFERRER_POLICY, "no-referrer"),
                    (VARY, "Accept"),
                ];
                let policy = [(CONTENT_SECURITY_POLICY, POLICY.as_str())];
                (security, policy, html::render(report)).into_response()
            }
            Self::Text => {
                let text = render(report, Colour::Off);
                let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (VARY, "Accept")];
                (headers, text).into_response()
            }
            Self::Json => ([(VARY, "Accept")], Json(report)).into_response(),
        }
    }
}

/// Nothing is loaded but what the document has in it, and the document itself again. Style and script
/// run by their hashes: markup that somebody smuggled in could neither run nor hide anything.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(html::STYLE),
        hash(html::SCRIPT),
    )
});

#[cfg(test)]
mod tests;
