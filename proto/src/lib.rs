//! What core, the sidecar and their clients agree on.
//!
//! The messages and services of the `.proto` files, the table of environment variables with the one
//! way to read it ([`environment`]), and what an error of the admin socket means ([`cause`]). Nothing
//! here does anything by itself: no socket, no clock, and a file only when it is told to.

pub mod cause;
pub mod environment;

pub use generated::{
    admin, authpb, etcdserverpb, health, mvccpb, replicated, v3electionpb, v3lockpb,
};

// The modules are siblings because generated code names other packages as `super::mvccpb`.
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    unused_qualifications,
    reason = "generated code"
)]
mod generated {
    /// Keys with their versions, and events (`etcd/kv.proto`).
    pub mod mvccpb {
        tonic::include_proto!("mvccpb");
    }
    /// The services of etcd v3 (`etcd/rpc.proto`).
    pub mod etcdserverpb {
        tonic::include_proto!("etcdserverpb");
    }
    /// Users, roles, permissions (`etcd/auth.proto`).
    pub mod authpb {
        tonic::include_proto!("authpb");
    }
    /// Locks (`etcd/lock.proto`).
    pub mod v3lockpb {
        tonic::include_proto!("v3lockpb");
    }
    /// Elections (`etcd/election.proto`).
    pub mod v3electionpb {
        tonic::include_proto!("v3electionpb");
    }
    /// gRPC's health protocol (`etcd/health.proto`).
    pub mod health {
        tonic::include_proto!("grpc.health.v1");
    }
    /// The API between sidecar and core (`metastore/admin/v1/admin.proto`).
    pub mod admin {
        tonic::include_proto!("metastore.admin.v1");
    }
    /// What a raft log entry holds (`metastore/raft/v1/command.proto`).
    pub mod replicated {
        tonic::include_proto!("metastore.raft.v1");
    }
}
