//! The port of probes and metrics.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Listens on an address; an IPv6 wildcard means IPv4 as well, and only IPv4 on a machine that has
/// no IPv6.
///
/// Needs a tokio runtime around it.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    bind_exactly(address).or_else(|error| match without_ipv6(address, &error) {
        Some(fallback) => bind_exactly(fallback),
        None => Err(error),
    })
}

fn bind_exactly(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A sidecar that was restarted takes its port again at once.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Where to listen instead, if the error means that there is no IPv6.
fn without_ipv6(address: SocketAddr, error: &io::Error) -> Option<SocketAddr> {
    let missing = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL];
    let missing = missing.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
    let wildcard = address.is_ipv6() && address.ip().is_unspecified();
    (missing && wildcard).then(|| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os_error(errno: Errno) -> io::Error {
        io::Error::from_raw_os_error(errno.raw_os_error())
    }

    #[test]
    fn only_a_missing_ipv6_falls_back_to_ipv4() {
        let wildcard: SocketAddr = "[::]:2381".parse().unwrap();
        let ipv4 = "0.0.0.0:2381".parse().ok();
        let one: SocketAddr = "[::1]:2381".parse().unwrap();
        assert_eq!(without_ipv6(wildcard, &os_error(Errno::AFNOSUPPORT)), ipv4);
        assert_eq!(without_ipv6(wildcard, &os_error(Errno::ADDRNOTAVAIL)), ipv4);
        assert_eq!(without_ipv6(wildcard, &os_error(Errno::ADDRINUSE)), None);
        assert_eq!(without_ipv6(one, &os_error(Errno::ADDRNOTAVAIL)), None);
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = bind(first.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
