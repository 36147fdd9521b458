//! The operations API on a Unix socket, for the sidecar: `proto/metastore/admin/v1`.

pub mod observe;
mod service;

pub use service::AdminService;
