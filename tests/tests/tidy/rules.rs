//! Each rule as a function from text to findings, with what is allowed above and, at the end, text
//! that breaks it. Knows nothing of directories.

use crate::text::Word;
use crate::text::is_identifier;
use crate::text::leading_identifier;
use crate::text::without_comments_and_strings;
use crate::text::words;

// What is allowed: edit here, and ARCHITECTURE.md with it.

pub(crate) struct Layer {
    pub(crate) name: &'static str,
    /// Layers it may name besides itself.
    may_name: &'static [&'static str],
    /// Identifiers it may not contain, and why.
    banned: &'static [(&'static str, &'static str)],
}

pub(crate) const LAYERS: &[Layer] = &[
    Layer {
        name: "domain",
        may_name: &[],
        banned: &[
            ("tokio", "rules do no I/O"),
            ("tonic", "rules do not know the wire"),
            ("rocksdb", "rules read through `View`"),
            ("Instant", "`now` is an argument"),
            ("SystemTime", "`now` is an argument"),
            ("rand", "randomness is stamped before proposing"),
            ("async", "rules do not wait"),
        ],
    },
    Layer { name: "store", may_name: &["domain"], banned: &[] },
    Layer { name: "raft", may_name: &["store", "domain"], banned: &[] },
    Layer {
        name: "replica",
        may_name: &["raft", "store", "domain"],
        banned: &[
            ("tonic", "the wire belongs to `api`"),
            ("prost", "the wire belongs to `api`, the log's bytes to `raft`"),
            ("async", "a member is stepped; waiting is the caller's"),
        ],
    },
    Layer {
        name: "api",
        may_name: &["replica", "domain"],
        banned: &[("rocksdb", "the edge translates and stores nothing")],
    },
];

/// Small modules at the top of core that every layer except `domain` may name. They name no layer
/// but `domain` themselves.
const LEAVES: &[&str] = &["clock"];

/// The consensus library's crates; only the layer `raft` may use them.
const RAFT_CRATES: &[&str] = &["raft", "raft_proto"];

const LINES_MAX: usize = 700;
pub(crate) const LINES_REPORTED: usize = 500;

/// Spelt in halves, so that this file passes its own rule.
const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!")];

/// Forbidden arrows, groups and words of one file of `core/src`, given its path below that.
pub(crate) fn layering(path: &str, source: &str) -> Vec<String> {
    let code = without_comments_and_strings(source);
    let area = area(path);
    let layer = LAYERS.iter().find(|layer| layer.name == area);
    // After these lines `raft::` is our layer: a local name hides the library's.
    let ours = ["use crate::raft;", "mod raft;"];
    let raft_is_ours = ours.iter().any(|name| code.contains(name));
    let mut found = Vec::new();
    for (number, line) in (1..).zip(code.lines()) {
        let mut problems = crate_paths(line, area, layer);
        problems.extend(climbing(path, line));
        for (word, reason) in layer.map_or(&[][..], |layer| layer.banned) {
            if words(line).any(|found| found.text == *word) {
                problems.push(format!("`{word}` in {area}: {reason}"));
            }
        }
        if area != "raft" && !raft_is_ours {
            problems.extend(raft_library(line));
        }
        found.extend(problems.iter().map(|what| format!("core/src/{path}:{number}: {what}")));
    }
    found
}

/// `store` for `store/batch.rs`, `clock` for `clock.rs`.
pub(crate) fn area(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or(path);
    first.strip_suffix(".rs").unwrap_or(first)
}

fn crate_paths(line: &str, area: &str, layer: Option<&Layer>) -> Vec<String> {
    let mut found = Vec::new();
    for word in words(line).filter(|word| word.text == "crate") {
        let Some(path) = word.after.strip_prefix("::") else {
            continue;
        };
        let target = leading_identifier(path);
        if target.is_empty() {
            found
                .push("one `use crate::<module>::…` a line, so that arrows can be searched".into());
            continue;
        }
        let allowed = match layer {
            Some(layer) => {
                target == layer.name
                    || layer.may_name.contains(&target)
                    || (layer.name != "domain" && LEAVES.contains(&target))
            }
            None if LEAVES.contains(&area) => target == "domain" || !is_layer(target),
            None => true,
        };
        if !allowed {
            found.push(format!("{area} may not name `crate::{target}`"));
        }
    }
    found
}

/// A `super` path that leaves its layer: it would be an arrow that nobody sees.
fn climbing(path: &str, line: &str) -> Option<String> {
    let depth = path.split('/').filter(|part| *part != "mod.rs").count();
    for word in words(line).filter(|word| word.text == "super") {
        let mut steps = 1;
        let mut rest = word.after;
        while let Some(next) = rest.strip_prefix("::super") {
            steps += 1;
            rest = next;
        }
        let target = rest.strip_prefix("::").map_or("", leading_identifier);
        if steps > depth || (steps == depth && is_layer(target)) {
            return Some("a path that climbs out of its layer: write `crate::…`".into());
        }
    }
    None
}

fn raft_library(line: &str) -> Option<String> {
    let names_it = |word: &Word<'_>| {
        let parent = word.before.strip_suffix("::");
        let begins_a_path = parent.is_none_or(|parent| !parent.ends_with(is_identifier));
        let is_a_path = word.after.starts_with("::") || word.before.trim_end().ends_with("use");
        RAFT_CRATES.contains(&word.text) && begins_a_path && is_a_path
    };
    words(line)
        .find(names_it)
        .map(|word| format!("`{}` is the library: only core/src/raft may name it", word.text))
}

pub(crate) fn unfinished(path: &str, source: &str) -> Vec<String> {
    let mark = |line: &str| UNFINISHED.iter().find(|mark| line.contains(**mark)).copied();
    (1..)
        .zip(source.lines())
        .filter_map(|(number, line)| Some((number, mark(line)?)))
        .map(|(number, mark)| format!("{path}:{number}: `{mark}`: finish it, or open an issue"))
        .collect()
}

pub(crate) fn too_long(path: &str, source: &str) -> Option<String> {
    let lines = source.lines().count();
    (lines > LINES_MAX).then(|| format!("{path}: {lines} lines, the most is {LINES_MAX}"))
}

/// What a document names in backticks and the tree does not have. Paths may be short: below
/// `core/src` or `sidecar/src`.
pub(crate) fn named_but_absent(text: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let roots = ["", "core/src/", "sidecar/src/"];
    let tops = ["core/", "sidecar/", "proto/", "tests/", "docs/", "helm/", ".ci/"];
    let plain = |c: char| is_identifier(c) || "/.-".contains(c);
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| name.contains('/') && name.chars().all(plain))
        .filter(|name| {
            tops.iter().any(|top| name.starts_with(top))
                || [".rs", ".proto", ".md"].iter().any(|end| name.ends_with(end))
        })
        .filter(|name| !roots.iter().any(|root| exists(&format!("{root}{name}"))))
        .map(|name| format!("`{name}` is named and does not exist"))
        .collect()
}

/// The RPCs of a proto file that the document does not mention.
pub(crate) fn rpcs_not_mentioned(proto: &str, document: &str) -> Vec<String> {
    let code = without_comments_and_strings(proto);
    code.lines()
        .filter_map(|line| line.trim_start().strip_prefix("rpc "))
        .map(leading_identifier)
        .filter(|rpc| !words(document).any(|word| word.text == *rpc))
        .map(|rpc| format!("RPC {rpc} is not in docs/compatibility.md"))
        .collect()
}

fn is_layer(name: &str) -> bool {
    LAYERS.iter().any(|layer| layer.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_none(findings: &[String]) {
        assert!(findings.is_empty(), "{}", findings.join("\n"));
    }

    #[test]
    fn a_forbidden_arrow_is_found() {
        let bad = [
            ("api/etcd/kv.rs", "use crate::store::Store;"),
            ("api/etcd/kv.rs", "    let log = crate::raft::log::open();"),
            ("replica/apply.rs", "use crate::api::etcd::convert;"),
            ("raft/driver.rs", "use crate::replica::Replica;"),
            ("store/batch.rs", "use crate::raft::Index;"),
            ("store/batch.rs", "use crate::server::Server;"),
            ("domain/mvcc/put.rs", "use crate::store::Row;"),
            ("domain/mvcc/put.rs", "use crate::clock::Clock;"),
            ("clock.rs", "use crate::store::Store;"),
            ("api/etcd/kv.rs", "use crate::{domain::Key, replica::Replica};"),
            ("store/batch.rs", "use super::super::raft::Index;"),
            ("store/mod.rs", "use super::raft::Index;"),
            ("store/mod.rs", "pub use super::super::Anything;"),
        ];
        for (path, line) in bad {
            assert_eq!(layering(path, line).len(), 1, "{path}: {line}");
        }
    }

    #[test]
    fn an_allowed_arrow_passes() {
        let good = [
            ("api/etcd/kv.rs", "use crate::replica::Replica;\nuse crate::domain::key::Key;"),
            (
                "replica/apply.rs",
                "use crate::raft::Entry;\nuse crate::store::Store;\nuse crate::clock::Clock;",
            ),
            ("raft/log.rs", "use raft::prelude::Entry;\nuse crate::store::Fault;"),
            (
                "domain/mvcc/put.rs",
                "use super::super::revision::Revision;\nuse crate::domain::{\n View};",
            ),
            ("store/mod.rs", "mod tests { use super::*; }"),
            (
                "replica/propose.rs",
                "pub(crate) fn f() -> crate::raft::Handle {}\nuse crate::raft;\nraft::new()",
            ),
            ("server.rs", "use crate::api::Api;\nuse crate::store::Store;"),
            ("store/batch.rs", "// never `crate::raft::x`\nlet s = \"crate::api::x\";"),
        ];
        for (path, source) in good {
            assert_none(&layering(path, source));
        }
    }

    #[test]
    fn a_banned_word_is_found_in_code_only() {
        let bad = [
            ("domain/lease/expiry.rs", "use std::time::Instant;"),
            ("domain/lease/expiry.rs", "let id = rand::random();"),
            ("domain/txn/evaluate.rs", "async fn f() {}"),
            ("domain/txn/evaluate.rs", "fn f(e: raft::Entry) {}"),
            ("replica/read.rs", "pub async fn read() {}"),
            ("replica/read.rs", "Err(tonic::Status::ok(\"\"))"),
            ("api/etcd/kv.rs", "let db = rocksdb::DB::open();"),
            ("api/etcd/kv.rs", "use raft::prelude::Message;"),
            ("server.rs", "fn f() -> Vec<raft::eraftpb::Entry> {}"),
        ];
        for (path, line) in bad {
            assert_eq!(layering(path, line).len(), 1, "{path}: {line}");
            assert_none(&layering(path, &format!("//! {line}\n/* {line}\n */ r#\"{line}\"#")));
        }
        assert_none(&layering("domain/key.rs", "let operand = grand; let c = '\"'; fn f<'a>() {}"));
    }

    #[test]
    fn unfinished_and_long_files_are_found() {
        let note = format!("fn f() {{\n    // {}: later\n}}", UNFINISHED.first().unwrap());
        assert_eq!(unfinished("a.rs", &note).len(), 1);
        assert!(unfinished("a.rs", &note).first().unwrap().starts_with("a.rs:2:"));
        assert!(too_long("a.rs", &"x\n".repeat(LINES_MAX + 1)).is_some());
        assert!(too_long("a.rs", &"x\n".repeat(LINES_MAX)).is_none());
    }

    #[test]
    fn a_named_file_that_is_absent_is_found() {
        let exists = |path: &str| ["core/src/store/columns.rs", "docs/adr"].contains(&path);
        let text = "`store/columns.rs`, `core/src/store/columns.rs`, `docs/adr`, `and/or`, `/health`, \
                    `tests/*`, but `store/absent.rs` and `docs/absent.md`";
        assert_eq!(
            named_but_absent(text, exists),
            [
                "`store/absent.rs` is named and does not exist",
                "`docs/absent.md` is named and does not exist"
            ]
        );
    }

    #[test]
    fn an_rpc_that_the_page_forgets_is_found() {
        let proto =
            "service KV {\n  // rpc Old(A)\n  rpc Range(A) returns (B);\n  rpc RangeStream(A);\n}";
        assert_eq!(
            rpcs_not_mentioned(proto, "| KV.RangeStream | done |"),
            ["RPC Range is not in docs/compatibility.md"]
        );
        assert_none(&rpcs_not_mentioned(proto, "Range, RangeStream"));
    }
}
