//! Whether core is there, and what it says of itself.

use std::io::ErrorKind::{PermissionDenied, WouldBlock};
use std::path::Path;

use tokio::net::UnixStream;

use crate::core_client::{CoreClient, CoreError, SocketCore};

/// Who is at the other end of the admin socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoreState {
    /// Nobody.
    Absent,
    /// Somebody who does not answer: core may be stopped, or hang. With the reason.
    Silent(String),
    /// Core, with its warnings, one sentence each.
    Answers(Vec<String>),
}

impl CoreState {
    /// One that hangs holds its port and its directory, too.
    pub fn is_there(&self) -> bool {
        match self {
            Self::Absent => false,
            Self::Silent(_) | Self::Answers(_) => true,
        }
    }

    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Silent(_) => "silent",
            Self::Answers(_) => "answers",
        }
    }
}

/// Asks once; takes a second at most.
pub async fn ask(socket: &Path) -> CoreState {
    match UnixStream::connect(socket).await {
        Ok(_) => {}
        // A socket that may not be used, or that has more callers than it takes, is somebody's.
        Err(error) if [PermissionDenied, WouldBlock].contains(&error.kind()) => {
            return CoreState::Silent(error.to_string());
        }
        Err(_) => return CoreState::Absent,
    }
    match SocketCore::new(socket.to_owned()).observe().await {
        Ok(said) => CoreState::Answers(said.warnings),
        Err(CoreError::Gone(_)) => CoreState::Absent,
        Err(error) => CoreState::Silent(error.to_string()),
    }
}
