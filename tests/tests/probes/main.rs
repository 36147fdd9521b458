//! Probes as Kubernetes asks them: over HTTP at the sidecar, and as a command beside core.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skips"
)]

mod conventions;
mod exec;
mod situations;

use std::time::Duration;

use metastore_tests::eventually::eventually;
use metastore_tests::member::Sidecar;

const LIMIT: Duration = Duration::from_secs(20);

/// Waits until a probe has this status; its body.
async fn until(sidecar: &Sidecar, path: &str, status: u16) -> String {
    within(sidecar, path, status, LIMIT).await
}

async fn within(sidecar: &Sidecar, path: &str, status: u16, limit: Duration) -> String {
    eventually(&format!("{path} answers {status}"), limit, async || {
        let answer = sidecar.probe(path).await;
        (answer.status == status).then_some(answer.body)
    })
    .await
}
