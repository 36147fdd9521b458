//! What survives: kills, power cuts, damage, a full disk, restarts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skips"
)]

mod load;

mod kill;
mod power_cut;

mod damage;
mod disk_full;

mod restart;
mod stop;
mod taken;
