//! One property a file. A judge sees what a client could see, and the ledger of the log.

pub(crate) mod answers;
pub(crate) mod hash;
pub(crate) mod history;
pub(crate) mod leases;
pub(crate) mod reads;
pub(crate) mod stamps;
pub(crate) mod state;
pub(crate) mod watches;
