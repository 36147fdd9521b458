//! What the commands have in common that kubelet executes beside a running core: its settings, and
//! one call to its admin socket.

use std::future::Future;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use metastore_proto::admin::admin_client::AdminClient;
use metastore_proto::cause::{nobody_listens, root};
use metastore_proto::environment::{self, Settings};
use tonic::transport::{self, Channel, Endpoint};
use tonic::{Response, Status};

use crate::EX_USAGE;

/// As the core beside us has them; `None` when they are wrong, which that core complains of.
pub(crate) fn settings() -> Option<Settings> {
    let read = environment::read(std::env::vars_os(), environment::read_file);
    read.ok().map(|(settings, _warnings)| settings)
}

/// Says how a command is written.
#[expect(clippy::print_stderr, reason = "there is no log yet")]
pub(crate) fn usage(command: &str) -> ExitCode {
    eprintln!("usage: metastore-core {command}");
    ExitCode::from(EX_USAGE)
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Silence {
    /// Nobody listens ([`nobody_listens`]).
    Gone(io::ErrorKind),
    /// Anything else, a core that is slow among it.
    Unknown(String),
}

/// Connects and calls, within a deadline for both.
pub(crate) fn call<T, F>(
    socket: &Path,
    deadline: Duration,
    call: impl FnOnce(AdminClient<Channel>) -> F,
) -> Result<T, Silence>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Silence::Unknown(format!("no runtime: {error}")))?;
    let answer = runtime.block_on(async {
        tokio::time::timeout(deadline, async {
            let channel = connect(socket).await?;
            let answer = call(AdminClient::new(channel)).await;
            answer.map_err(|status| Silence::Unknown(status.message().to_owned()))
        })
        .await
    });
    match answer {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_elapsed) => Err(Silence::Unknown(format!("no answer within {deadline:?}"))),
    }
}

async fn connect(socket: &Path) -> Result<Channel, Silence> {
    let silence = |error: transport::Error| match nobody_listens(&error) {
        Some(kind) => Silence::Gone(kind),
        None => Silence::Unknown(root(&error).to_string()),
    };
    let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display())).map_err(silence)?;
    endpoint.connect().await.map_err(silence)
}
