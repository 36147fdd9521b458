//! etcd's v3 API, a file a service. Errors have etcd's codes and texts: `status.rs`. What is served
//! of each RPC and option, and which test shows it, is in docs/compatibility.md.

pub mod auth;
pub mod check;
pub mod cluster;
pub mod convert;
pub mod header;
pub mod health;
pub mod kv;
pub mod lease;
pub mod maintenance;
pub mod range_stream;
pub mod rows;
pub mod status;
pub mod watch;
