//! The store. The layers, from the rules outwards:
//!
//! - [`domain`]: pure rules. A command and a view in, effects out.
//! - [`store`]: the rows on disk.
//! - [`raft`]: consensus; the only place that names the raft library.
//! - [`replica`]: one member at work, synchronous.
//! - [`api`]: the edges: decode, check, call, encode.
//!
//! [`server`] puts them together. ARCHITECTURE.md walks a Put through the files.

pub mod api;
pub mod clock;
pub mod domain;
pub mod raft;
pub mod replica;
pub mod server;
pub mod store;
