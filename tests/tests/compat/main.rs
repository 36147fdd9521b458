//! What clients may rely on, against a core started for each test.
//!
//! `METASTORE_TESTS_ENDPOINT=http://127.0.0.1:2379 cargo test -p metastore-tests --test compat` runs the
//! same bodies against another server: etcd is the judge of what is asserted here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skips"
)]

mod errors;
mod kv;
mod txn;

mod watch;

mod lease;

mod cluster;
mod maintenance;

mod http;
