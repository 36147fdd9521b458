//! A disk that others fill: the guard's alarm, what works meanwhile, and how it ends.
//!
//! On small loop-mounted ext4 of their own (root). The marks are raised so that the guard, not
//! core, is first even there: core by itself refuses growth below 128 MiB.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it measured"
)]

mod filler;
mod pod;
mod writer;

mod capacity;
mod fills;
mod whose;
