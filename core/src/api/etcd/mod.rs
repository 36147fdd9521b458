//! etcd's v3 API. Errors have etcd's codes and texts: `status.rs`.

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
