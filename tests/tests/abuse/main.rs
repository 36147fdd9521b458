//! Clients that behave badly: nothing is lost, nobody else is harmed, and memory stays bounded.
//!
//! Like `compat`, these run against another server with `METASTORE_TESTS_ENDPOINT`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skips"
)]

mod connections;
mod requests;
mod streams;
