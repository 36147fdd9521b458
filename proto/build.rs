//! Generates the types and services of the `.proto` files into `OUT_DIR`, without protoc.
//!
//! Clients for everything (tests and tools use them); a server only for the admin API: core serves
//! etcd's services from its own handlers.

use std::error::Error;

const ETCD: [&str; 6] = [
    "etcd/kv.proto",
    "etcd/auth.proto",
    "etcd/rpc.proto",
    "etcd/lock.proto",
    "etcd/election.proto",
    "etcd/health.proto",
];
const RAFT: &str = "metastore/raft/v1/command.proto";
const ADMIN: &str = "metastore/admin/v1/admin.proto";

fn main() -> Result<(), Box<dyn Error>> {
    for changed in ["build.rs", "etcd", "metastore"] {
        println!("cargo:rerun-if-changed={changed}");
    }
    generate(ETCD.into_iter().chain([RAFT]), Serve::No)?;
    generate([ADMIN], Serve::Yes)
}

#[derive(PartialEq)]
enum Serve {
    Yes,
    No,
}

fn generate(
    files: impl IntoIterator<Item = &'static str>,
    serve: Serve,
) -> Result<(), Box<dyn Error>> {
    tonic_prost_build::configure()
        .bytes(".")
        .build_server(serve == Serve::Yes)
        .compile_fds(protox::compile(files, ["."])?)?;
    Ok(())
}
