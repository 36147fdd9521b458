//! What the commands have in common that kubelet executes beside a running core: its settings, and
//! one call to its admin socket.

use std::error::Error;
use std::future::Future;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use metastore_proto::admin::admin_client::AdminClient;
use metastore_proto::environment::{self, Settings};
use tonic::transport::{Channel, Endpoint};
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
    /// Nobody listens: no such socket, or nobody behind it. Core binds it before it opens its
    /// store and holds it until it ends.
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
    let unknown = |error: &dyn Error| Silence::Unknown(root(error).to_string());
    let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display()));
    let endpoint = endpoint.map_err(|error| unknown(&error))?;
    endpoint.connect().await.map_err(|error| match kind(&error) {
        Some(kind @ (io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)) => {
            Silence::Gone(kind)
        }
        Some(_) | None => unknown(&error),
    })
}

fn kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind).last()
}

fn root(error: &dyn Error) -> &dyn Error {
    error.source().map_or(error, |source| root(source))
}
