//! Looks at the machine. Bounded: a file system that hangs costs a few seconds, and says so.

use std::time::Duration;

use metastore_proto::environment::Settings;
use tokio::time::timeout;

use super::files::{self, Files};
use super::ports::{self, Port};

/// How long a file system may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// All that the rules want to know.
#[derive(Clone, Debug)]
pub struct Facts {
    /// `None`: no answer in time.
    pub files: Option<Files>,
    pub ports: Vec<Port>,
}

/// Why somebody looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// A sidecar that is about to take its own port, which shows whether that is free.
    AtStart,
    /// A person; a sidecar may be running.
    OnRequest,
}

impl Facts {
    /// Needs a tokio runtime around it, which must not wait for its blocking threads at the end.
    pub async fn gather(settings: &Settings, look: Look) -> Self {
        let (data, socket) = (settings.member.data_dir.clone(), settings.admin.socket.clone());
        let looking = tokio::task::spawn_blocking(move || files::look(&data, &socket));
        let files = timeout(DEADLINE, looking).await.ok().and_then(Result::ok);
        Self { files, ports: ports::look(settings, look) }
    }
}
