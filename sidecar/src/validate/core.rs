//! Whether core is there, and what it says of itself.

use std::io::{self, ErrorKind};
use std::path::Path;

use metastore_proto::environment::{Finding, Settings};
use tokio::net::UnixStream;

use crate::core_client::{CoreClient, CoreError, SocketCore};

/// Who is at the other end of the admin socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoreState {
    /// Nobody.
    Absent,
    /// Nobody knows: this user may not use the socket, which may be one that was left behind. With
    /// the reason.
    Unknown(String),
    /// A process that takes calls and does not answer: core may be stopped, or hang. With the reason.
    Silent(String),
    /// Core, with its warnings, one sentence each.
    Answers(Vec<String>),
}

impl CoreState {
    /// One that hangs holds its port and its directory, too. A socket alone shows nothing.
    pub fn is_there(&self) -> bool {
        match self {
            Self::Absent | Self::Unknown(_) => false,
            Self::Silent(_) | Self::Answers(_) => true,
        }
    }

    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Unknown(_) => "unknown",
            Self::Silent(_) => "silent",
            Self::Answers(_) => "answers",
        }
    }

    /// Why nobody could find out.
    pub fn warning(&self, settings: &Settings) -> Option<Finding> {
        let Self::Unknown(reason) = self else { return None };
        let socket = settings.admin.socket.display();
        let reason = format!("whether core is there is not known: {socket}: {reason}");
        let remedy = "run this as a user of its group (in a pod: fsGroup)";
        Some(settings.finding("METASTORE_ADMIN_SOCKET", reason, remedy))
    }
}

/// Asks once; takes a second at most.
pub async fn ask(socket: &Path) -> CoreState {
    if let Err(error) = UnixStream::connect(socket).await {
        return unconnected(&error);
    }
    match SocketCore::new(socket.to_owned()).observe().await {
        Ok(said) => CoreState::Answers(said.warnings),
        Err(CoreError::Gone(_)) => CoreState::Absent,
        Err(error) => CoreState::Silent(error.to_string()),
    }
}

fn unconnected(error: &io::Error) -> CoreState {
    match error.kind() {
        ErrorKind::PermissionDenied => CoreState::Unknown(error.to_string()),
        // More callers than it takes: it is somebody's who does not take them.
        ErrorKind::WouldBlock => CoreState::Silent(error.to_string()),
        _ => CoreState::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Root may use every socket, so this is not tried with one.
    #[test]
    fn a_socket_that_may_not_be_used_shows_no_core() {
        for (kind, state, is_there) in [
            (ErrorKind::PermissionDenied, "unknown", false),
            (ErrorKind::WouldBlock, "silent", true),
            (ErrorKind::NotFound, "absent", false),
            (ErrorKind::ConnectionRefused, "absent", false),
        ] {
            let found = unconnected(&kind.into());
            assert_eq!((found.as_str(), found.is_there()), (state, is_there), "{kind}");
        }
    }
}
