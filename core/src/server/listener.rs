//! The client port: bound at once, so that a second process notices; listened on when there is
//! something to serve.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use metastore_proto::environment::ListenUrl;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::serving::Serving;
use crate::domain::Fault;
use crate::replica::Board;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

pub(super) fn bind(urls: &[ListenUrl]) -> Result<Vec<Socket>, Fault> {
    let mut bound = Vec::new();
    for url in urls {
        let mut failed = None;
        let before = bound.len();
        for address in url.addresses() {
            match bind_one(address) {
                Ok(socket) => bound.push(socket),
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                    return Err(Fault::taken(format!("{}: {address} is in use", url.text)));
                }
                Err(error) => failed = Some((address, error)),
            }
        }
        // Of localhost's two addresses one may not exist here.
        if let (Some((address, error)), true) = (failed, bound.len() == before) {
            let text = format!("{}: cannot listen on {address}: {error}", url.text);
            return Err(Fault::taken(text));
        }
    }
    Ok(bound)
}

fn bind_one(address: SocketAddr) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` means both families, as for etcd.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Accepts until it is stopped.
pub(super) struct Acceptor {
    tasks: Vec<JoinHandle<()>>,
}

impl Acceptor {
    pub(super) fn stop(self) {
        for task in self.tasks {
            task.abort();
        }
    }
}

pub(super) fn listen(
    sockets: Vec<Socket>,
    serving: &[Serving],
    board: &Arc<Board>,
) -> Result<Acceptor, Fault> {
    let mut tasks = Vec::new();
    for socket in sockets {
        let listener = begin(socket).map_err(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => Fault::taken("the client port is in use"),
            _ => Fault::taken(format!("cannot listen: {error}")),
        })?;
        tasks.push(tokio::spawn(accept(listener, serving.to_vec(), Arc::clone(board))));
    }
    Ok(Acceptor { tasks })
}

fn begin(socket: Socket) -> std::io::Result<TcpListener> {
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(StdListener::from(socket))
}

/// Hands each connection to the thread that has the fewest.
async fn accept(listener: TcpListener, serving: Vec<Serving>, board: Arc<Board>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _peer)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: others will be closed.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(stream) = stream.into_std() else {
            continue;
        };
        drop(stream.set_nodelay(true));
        let least = serving.iter().min_by_key(|it| it.connections.load(Ordering::Relaxed));
        if let Some(thread) = least {
            thread.take(stream, &board).await;
        }
    }
}
