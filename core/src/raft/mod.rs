//! Consensus: the only place that names the raft library and its log.
//!
//! [`Driver`] is stepped: proposals, ticks and reads go in, and each [`Turn`] comes back with what
//! is committed by then. The log behind it is a [`LogStore`]: RocksDB in production, memory that
//! forgets what was not synced in the simulator.

pub mod driver;
pub mod log;
pub mod log_memory;
pub mod log_rocks;
mod log_view;
pub mod payload;
mod slog_bridge;

pub use driver::{Committed, Driver, DriverConfig, Role, Standing, Turn};
pub use log::{LogEntry, LogStart, LogStore, LogVote, LogWrite};
pub use payload::{Proposal, ProposalId};
