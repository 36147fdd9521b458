//! Which watchers an event concerns.
//!
//! Pure: holds ids and ranges, never channels (those are in `api/etcd/watch`).

mod range_index;
mod registry;
mod spec;

pub use registry::{GroupId, Registry, WatcherId};
pub use spec::Spec;
