//! THE table: our refusals to gRPC codes and etcd's exact texts. Clients look errors up by these
//! texts; `tests/tests/compat/errors.rs` compares them with etcd's.

use tonic::{Code, Status};

use crate::domain::{Fault, Rejection};
use crate::replica::{Unavailable, Unreadable};

/// A refusal with the code and text that clients know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    pub code: Code,
    pub text: &'static str,
}

const fn known(code: Code, text: &'static str) -> Known {
    Known { code, text }
}

pub const EMPTY_KEY: Known = known(Code::InvalidArgument, "etcdserver: key is not provided");
pub const KEY_NOT_FOUND: Known = known(Code::InvalidArgument, "etcdserver: key not found");
pub const VALUE_PROVIDED: Known = known(Code::InvalidArgument, "etcdserver: value is provided");
pub const LEASE_PROVIDED: Known = known(Code::InvalidArgument, "etcdserver: lease is provided");
pub const TOO_MANY_OPERATIONS: Known =
    known(Code::InvalidArgument, "etcdserver: too many operations in txn request");
pub const DUPLICATE_KEY: Known =
    known(Code::InvalidArgument, "etcdserver: duplicate key given in txn request");
pub const INVALID_SORT: Known = known(Code::InvalidArgument, "etcdserver: invalid sort option");
pub const REQUEST_TOO_LARGE: Known =
    known(Code::InvalidArgument, "etcdserver: request is too large");
pub const COMPACTED: Known =
    known(Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted");
pub const FUTURE_REVISION: Known =
    known(Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision");
pub const NO_SPACE: Known =
    known(Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded");
pub const LEASE_NOT_FOUND: Known = known(Code::NotFound, "etcdserver: requested lease not found");
pub const LEASE_EXISTS: Known = known(Code::FailedPrecondition, "etcdserver: lease already exists");
pub const LEASE_TTL_TOO_LARGE: Known = known(Code::OutOfRange, "etcdserver: too large lease TTL");
pub const CORRUPT: Known = known(Code::DataLoss, "etcdserver: corrupt cluster");
pub const NO_LEADER: Known = known(Code::Unavailable, "etcdserver: no leader");
pub const STOPPED: Known = known(Code::Unavailable, "etcdserver: server stopped");
pub const TIMED_OUT: Known = known(Code::Unavailable, "etcdserver: request timed out");
/// etcd's server sends this one as Unknown.
pub const TOO_MANY_REQUESTS: Known = known(Code::Unknown, "etcdserver: too many requests");
pub const AUTH_NOT_ENABLED: Known =
    known(Code::FailedPrecondition, "etcdserver: authentication is not enabled");

impl From<Known> for Status {
    fn from(known: Known) -> Self {
        Self::new(known.code, known.text)
    }
}

/// A refusal that all members agree on.
pub fn rejected(rejection: Rejection) -> Status {
    let known = match rejection {
        Rejection::Compacted { .. } => COMPACTED,
        Rejection::FutureRevision { .. } => FUTURE_REVISION,
        Rejection::KeyNotFound => KEY_NOT_FOUND,
        Rejection::LeaseNotFound(_) => LEASE_NOT_FOUND,
        Rejection::LeaseExists(_) => LEASE_EXISTS,
        Rejection::NoSpace => NO_SPACE,
        Rejection::Corrupt => CORRUPT,
    };
    known.into()
}

/// An in-doubt write gets a text that no client retries by itself.
pub fn unavailable(unavailable: Unavailable) -> Status {
    let known = match unavailable {
        Unavailable::NoLeader => NO_LEADER,
        Unavailable::Overloaded => TOO_MANY_REQUESTS,
        Unavailable::Stopping => STOPPED,
        Unavailable::TimedOut => TIMED_OUT,
    };
    known.into()
}

/// The member is about to stop.
pub fn fault(fault: &Fault) -> Status {
    tracing::error!(%fault, "a read failed");
    Status::new(Code::Internal, format!("metastore: {fault}"))
}

pub fn unreadable(unreadable: &Unreadable) -> Status {
    match unreadable {
        Unreadable::Rejected(rejection) => rejected(*rejection),
        Unreadable::Fault(broken) => fault(broken),
    }
}

/// An RPC that is not served yet says so.
pub fn later(method: &str) -> Status {
    Status::unimplemented(format!("metastore: {method} is not served yet"))
}
