//! The rules of the store, pure.
//!
//! A [`Machine`] takes a [`Command`] and a [`View`] of what is stored, and returns [`Effects`]: the
//! answer, the rows to write and the events to publish. Nothing here reads a clock, a disk or a
//! random number, so every member that applies the same commands reaches the same state.

pub mod alarm;
pub mod command;
pub mod effects;
pub mod fault;
pub mod foresight;
pub mod key;
pub mod lease;
pub mod marks;
pub mod member;
pub mod mvcc;
pub mod rejection;
pub mod revision;
pub mod state_machine;
pub mod txn;
pub mod version;
pub mod view;
pub mod watch;

pub use command::Command;
pub use effects::{Effects, Event, Mutation, Response};
pub use fault::{Fault, FaultKind};
pub use key::KeyRange;
pub use rejection::Rejection;
pub use revision::Revision;
pub use state_machine::Machine;
pub use version::{KeyValue, RowRef, Version};
pub use view::{At, Overlay, View};
