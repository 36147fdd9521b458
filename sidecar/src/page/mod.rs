//! The page for people, at `/`.
//!
//! | path | answer |
//! |---|---|
//! | `/` | the report: HTML for browsers, else text; `?format=html`, `text` or `json` decides |
//! | `/report.json` | the same as JSON |
//! | `/favicon.ico` | 204: the icon is in the page |
//!
//! Each is rendered once a second at most, however many ask.
//!
//! One document without outside resources, so that it can be saved and sent to a colleague. Its
//! script fetches the document again and patches what differs: there is one renderer, and words
//! and units are made in one place. Without a script the browser reloads it.

mod chart;
mod html;
mod markup;
mod memory;

use std::sync::{Arc, LazyLock};

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::header::{
    ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, VARY,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::json;
use crate::probes::Known;
use crate::report::text::{Colour, render};
use crate::report::{Facts, Report, compose};
use memory::Memory;

/// The routes, for the router of all endpoints.
pub fn routes() -> Router<Known> {
    Router::new()
        .route("/", get(page))
        .route("/report.json", get(report_json))
        .layer(Extension(Arc::<Memory>::default()))
        .route("/favicon.ico", get(StatusCode::NO_CONTENT))
}

async fn page(
    State(known): State<Known>,
    Extension(memory): Extension<Arc<Memory>>,
    Query(pairs): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    let asked = pairs.iter().find(|(name, _)| name == "format").map(|(_, value)| value.as_str());
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match Form::of(asked, accepted) {
        Some(form) => form.answer(&known, &memory),
        None => {
            (StatusCode::BAD_REQUEST, "format: needs one of html, text, json\n").into_response()
        }
    }
}

async fn report_json(
    State(known): State<Known>,
    Extension(memory): Extension<Arc<Memory>>,
) -> Response {
    Form::Json.answer(&known, &memory)
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

    fn answer(self, known: &Known, memory: &Memory) -> Response {
        let body = memory.recall(self, || self.render(&report(known)));
        let named = |kind| [(CONTENT_TYPE, kind), (VARY, "Accept")];
        match self {
            Self::Html => {
                let security: [(HeaderName, &str); 2] =
                    [(REFERRER_POLICY, "no-referrer"), (CONTENT_SECURITY_POLICY, POLICY.as_str())];
                (named("text/html; charset=utf-8"), security, body).into_response()
            }
            Self::Text => (named("text/plain; charset=utf-8"), body).into_response(),
            Self::Json => (named("application/json"), body).into_response(),
        }
    }

    fn render(self, report: &Report) -> Bytes {
        match self {
            Self::Html => html::render(report).into(),
            Self::Text => render(report, Colour::Off).into(),
            Self::Json => json::text(report).into(),
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
