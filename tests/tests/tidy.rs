//! What the compiler does not check: which layer may name which, what a layer may not do, how long a
//! file may be, and that documents name things that exist.
//!
//! Needs only std, so `make tidy` compiles it alone, in a second. Here the tree is read; the rules
//! and their own tests are in tidy/rules.rs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/text.rs"]
mod text;

use rules::LAYERS;
use rules::LINES_REPORTED;
use rules::area;
use rules::layering;
use rules::named_but_absent;
use rules::rpcs_not_mentioned;
use rules::too_long;
use rules::unfinished;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file below `dir` as (path from the root, text); what is not text is left out.
fn files(dir: &str) -> Vec<(String, String)> {
    let root = root();
    let mut open = vec![root.join(dir)];
    let mut found = Vec::new();
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_symlink()
                || ["target", "node_modules", "__pycache__", "bin"].contains(&&*name)
            {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let path = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<(String, String)> {
    let written_by_hand = |path: &str| match path.rsplit('/').next().unwrap().rsplit_once('.') {
        Some((_, end)) => ["rs", "proto", "go", "py", "js", "mjs", "ts", "txt"].contains(&end),
        None => true,
    };
    let dirs = ["core", "sidecar", "proto", "tests", ".ci"];
    dirs.iter().flat_map(|dir| files(dir)).filter(|(path, _)| written_by_hand(path)).collect()
}

fn assert_none(findings: &[String]) {
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn layers_name_only_what_they_may() {
    let core = files("core/src");
    let below = |path: &str| path.strip_prefix("core/src/").map(str::to_owned);
    for layer in LAYERS {
        let is_there =
            core.iter().any(|(path, _)| below(path).is_some_and(|p| area(&p) == layer.name));
        assert!(is_there, "core/src/{} is gone: then its rules check nothing", layer.name);
    }
    let rust = core.iter().filter(|(path, _)| path.ends_with(".rs"));
    let findings: Vec<_> =
        rust.flat_map(|(path, text)| layering(&below(path).unwrap(), text)).collect();
    assert_none(&findings);
}

#[test]
fn the_two_processes_do_not_depend_on_each_other() {
    for (package, other) in [("core", "metastore-sidecar"), ("sidecar", "metastore-core")] {
        let manifest = fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
        assert!(!manifest.contains(other), "{package} must not depend on {other}");
    }
}

#[test]
fn no_file_is_too_long() {
    let rust: Vec<_> = sources().into_iter().filter(|(path, _)| path.ends_with(".rs")).collect();
    for (path, text) in &rust {
        let lines = text.lines().count();
        if lines > LINES_REPORTED {
            // Past the capture of test output: a remark, not a failure.
            let note = format!("{path}: {lines} lines: does it still answer one question?\n");
            std::io::stderr().write_all(note.as_bytes()).unwrap();
        }
    }
    let findings: Vec<_> = rust.iter().filter_map(|(path, text)| too_long(path, text)).collect();
    assert_none(&findings);
}

#[test]
fn nothing_is_left_unfinished() {
    let findings: Vec<_> =
        sources().iter().flat_map(|(path, text)| unfinished(path, text)).collect();
    assert_none(&findings);
}

#[test]
fn documents_name_files_that_exist() {
    for document in ["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md", "docs/operations.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        let absent = named_but_absent(&text, |path| root().join(path).exists());
        assert!(absent.is_empty(), "{document}: {}", absent.join("\n"));
    }
}

#[test]
fn the_compatibility_page_mentions_every_rpc() {
    let page = fs::read_to_string(root().join("docs/compatibility.md")).unwrap();
    let protos = files("proto/etcd");
    let findings: Vec<_> =
        protos.iter().flat_map(|(_, proto)| rpcs_not_mentioned(proto, &page)).collect();
    assert_none(&findings);
}
