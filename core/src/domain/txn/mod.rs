//! Transactions: compares choose a branch, and its operations happen at one revision.

pub mod compare;
pub mod evaluate;

use super::lease::Leases;

/// What a transaction is judged against.
#[derive(Debug)]
pub struct Context<'c> {
    pub leases: &'c Leases,
    /// The newest revision before the transaction.
    pub now: i64,
    pub compacted: i64,
}
