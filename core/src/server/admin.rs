//! The admin socket, on a thread of its own: it answers while the store opens, replays or hangs.

use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;
use std::sync::Arc;

use metastore_proto::admin::admin_server::AdminServer;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::{Fault, spawn};
use crate::api::Edge;
use crate::api::admin::AdminService;
use crate::replica::Board;

const MODE: u32 = 0o660;
const QUEUE: usize = 16;

/// The service, and the way to give its thread an edge.
pub(super) struct AdminThread {
    pub service: AdminService,
    edge: oneshot::Sender<Arc<Edge>>,
}

impl AdminThread {
    /// The store is open.
    pub(super) fn connect(self, edge: Arc<Edge>) {
        // The thread lives as long as the process.
        drop(self.edge.send(edge));
    }
}

/// Binds the socket and starts the thread. The data directory is locked: whatever socket lies
/// there was left by a process that is gone.
pub(super) fn start(path: &Path, board: Arc<Board>) -> Result<AdminThread, Fault> {
    let listener = bind(path)?;
    let service = AdminService::new(board);
    let (edge, connected) = oneshot::channel();
    let served = service.clone();
    spawn("admin".to_owned(), move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(serve(served, listener, connected)),
            Err(error) => tracing::error!(%error, "the admin service cannot start"),
        }
    })?;
    Ok(AdminThread { service, edge })
}

fn bind(path: &Path) -> Result<StdListener, Fault> {
    let cannot = |verb: &str, error: &std::io::Error| {
        Fault::taken(format!("{}: cannot {verb} the admin socket: {error}", path.display()))
    };
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            std::fs::remove_file(path).map_err(|error| cannot("replace", &error))?;
        }
        Ok(_) => {
            return Err(Fault::taken(format!(
                "{}: there is a file that is not a socket",
                path.display()
            )));
        }
        Err(_missing) => {}
    }
    let listener = StdListener::bind(path).map_err(|error| cannot("bind", &error))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE))
        .and_then(|()| listener.set_nonblocking(true))
        .map_err(|error| cannot("prepare", &error))?;
    Ok(listener)
}

async fn serve(
    service: AdminService,
    listener: StdListener,
    connected: oneshot::Receiver<Arc<Edge>>,
) {
    let edged = service.clone();
    tokio::spawn(async move {
        if let Ok(edge) = connected.await {
            edged.connect(Arc::clone(&edge));
            edge.hand_out().await;
        }
    });
    let listener = match UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the admin socket cannot be served");
            return;
        }
    };
    let (sender, accepted) = mpsc::channel(QUEUE);
    tokio::spawn(accept(listener, sender));
    let server = tonic::transport::Server::builder()
        .http2_max_pending_accept_reset_streams(Some(1024))
        .add_service(AdminServer::new(service))
        .serve_with_incoming(ReceiverStream::new(accepted));
    if let Err(error) = server.await {
        tracing::error!(%error, "the admin service ended");
    }
}

type Accepted = Result<UnixStream, std::io::Error>;

async fn accept(listener: UnixListener, sender: mpsc::Sender<Accepted>) {
    let group = listener
        .local_addr()
        .ok()
        .and_then(|address| Some(std::fs::metadata(address.as_pathname()?).ok()?.gid()));
    loop {
        match listener.accept().await {
            Ok((stream, _)) if is_admitted(&stream, group) => {
                if sender.send(Ok(stream)).await.is_err() {
                    return;
                }
            }
            Ok(_) => tracing::warn!("a stranger knocked at the admin socket"),
            Err(error) => {
                tracing::warn!(%error, "cannot accept on the admin socket");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

/// Root, the user of this process, and the group of the socket.
fn is_admitted(stream: &UnixStream, group: Option<u32>) -> bool {
    let Ok(peer) = stream.peer_cred() else {
        return false;
    };
    let own = rustix::process::geteuid().as_raw();
    peer.uid() == 0 || peer.uid() == own || Some(peer.gid()) == group
}
