//! The table, and waiting until a sidecar says what a row of it says.

use std::time::Duration;

use metastore_tests::eventually::{eventually, throughout};
use metastore_tests::member::Sidecar;

/// How long a situation may take to show on all probes.
const LIMIT: Duration = Duration::from_secs(40);
/// For how long it then has to stay like that.
const SPAN: Duration = Duration::from_millis(1_500);

const PATHS: [&str; 4] = ["/startup", "/liveness", "/readiness", "/health"];

/// A row: for each path the status, and a part of the body.
#[derive(Debug)]
struct Row {
    expected: Vec<(u16, String)>,
}

impl Row {
    fn find(scenario: &str) -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/probes.md");
        let page = std::fs::read_to_string(path).unwrap();
        let line = page.lines().find(|line| line.starts_with(&format!("| {scenario} |")));
        let line = line.unwrap_or_else(|| panic!("docs/probes.md has no row {scenario:?}"));
        let cells = line.trim_matches('|').split('|').skip(1).map(str::trim);
        let expected = cells.map(|cell| {
            let (status, reason) = cell.split_once(' ').unwrap_or((cell, ""));
            (status.parse().expect("a status"), reason.to_owned())
        });
        Self { expected: expected.collect() }
    }

    /// The first cell that is not so.
    async fn contradiction(&self, sidecar: &Sidecar) -> Option<String> {
        for (path, (status, reason)) in PATHS.iter().zip(&self.expected) {
            let answer = sidecar.probe(path).await;
            if answer.status != *status || !answer.body.contains(reason) {
                return Some(format!("{path}: {} {}", answer.status, answer.body));
            }
        }
        None
    }
}

/// Waits until the probes say what the row says; then they have to go on saying so.
pub(crate) async fn check(scenario: &str, sidecar: &Sidecar) {
    reached(scenario, sidecar).await;
    let row = Row::find(scenario);
    throughout(scenario, SPAN, async || row.contradiction(sidecar).await.is_none()).await;
}

/// Waits until the probes say what the row says.
pub(crate) async fn reached(scenario: &str, sidecar: &Sidecar) {
    let row = Row::find(scenario);
    let mut shown = String::new();
    eventually(scenario, LIMIT, async || {
        let contradiction = row.contradiction(sidecar).await;
        if let Some(text) = &contradiction
            && *text != shown
        {
            shown.clone_from(text);
            eprintln!("{scenario}: not yet, {shown}");
        }
        contradiction.is_none().then_some(())
    })
    .await;
    eprintln!("{scenario}: {:?}", row.expected);
}

#[test]
fn every_row_has_a_test() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/probes.md"));
    let page = page.unwrap();
    let tests = [include_str!("real.rs"), include_str!("stand_in.rs")].concat();
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.contains("`/startup`"));
    for row in rows {
        let scenario = row.split('|').nth(1).unwrap().trim();
        assert!(tests.contains(&format!("(\"{scenario}\"")), "no test drives {scenario:?}");
    }
}
