//! Harness for tests against the real binaries.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a harness fails by panicking, and says what it skips"
)]

pub mod client;
pub mod eventually;
pub mod history;
pub mod http;
pub mod member;
pub mod model;
pub mod reply;
pub mod requests;
pub mod stand_in;
pub mod store;
pub mod volume;
pub mod watching;
