//! Leases: which exist, and when they end.

pub mod expiry;
mod table;

pub use table::Leases;
