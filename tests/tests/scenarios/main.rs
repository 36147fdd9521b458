//! What each probe says in each situation: `docs/probes.md` has the table, and each row is a test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, and prints its row"
)]

mod real;
mod stand_in;
mod table;
mod under_load;
