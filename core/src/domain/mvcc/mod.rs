//! Versions of keys: how they are written, read, counted and forgotten.

pub mod compact;
pub mod delete;
pub mod put;
pub mod range;
mod writer;

pub use writer::{DeadTotals, Totals, Writer};
