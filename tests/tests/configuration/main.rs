//! What the real programs say of a wrong environment, and of a wrong machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod machine;
mod mistakes;

use std::path::Path;
use std::process::Command;

use metastore_tests::member::sidecar_binary;
use serde_json::Value;

/// How `metastore-sidecar validate` ended, and what it printed.
fn validate(words: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = Command::new(sidecar_binary())
        .env_clear()
        .arg("validate")
        .args(words)
        .envs(variables.iter().copied())
        .output()
        .expect("the program starts");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), text)
}

fn validate_as_json(words: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, Value) {
    let (code, text) = validate(&[&["--format", "json"], words].concat(), variables);
    (code, serde_json::from_str(&text).expect("JSON"))
}

/// The variables that a list of findings is about.
fn variables_of(findings: &Value) -> Vec<&str> {
    findings.as_array().unwrap().iter().map(|it| it["variable"].as_str().unwrap()).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of a test is text")
}
