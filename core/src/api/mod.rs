//! The edges: decode, check, call, encode. Nothing is decided here.
//!
//! [`router`] is the table of every RPC and path on the client port. A request lives and dies on
//! the serving thread ([`edge::Edge`]) that took its connection.

pub mod admin;
pub mod context;
pub mod edge;
pub mod etcd;
pub mod http;
pub mod message_limit;
pub mod metrics;
mod process_metrics;
pub mod reply_body;
pub mod router;
pub mod rpc;
pub mod waiting;

pub use context::{Context, Identity, Limits, Reclaim};
pub use edge::{Edge, EdgePort};
