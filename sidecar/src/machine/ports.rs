//! Whether the ports are free. Each is taken for an instant, and given back.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use metastore_proto::environment::Settings;
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use super::facts::Look;

/// For the one that has the port to say who it is.
const GREETING: Duration = Duration::from_millis(500);

/// A port that somebody needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Where it is set.
    pub variable: &'static str,
    /// What of that needs it.
    pub listener: String,
    pub state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Free,
    Taken,
    /// Taken by a sidecar, which is what it is for.
    TakenBySidecar,
    /// With the reason of the system.
    Impossible(String),
}

/// Tries every port.
pub fn look(settings: &Settings, look: Look) -> Vec<Port> {
    let clients = settings.listen.client_urls.iter().map(|url| Port {
        variable: "METASTORE_LISTEN_CLIENT_URLS",
        listener: url.text.clone(),
        state: of_either(url.addresses()),
    });
    let own = (look == Look::OnRequest).then(|| own_port(settings.sidecar.listen));
    clients.chain(own).collect()
}

fn own_port(address: SocketAddr) -> Port {
    let state = match bind(address) {
        // As the sidecar itself does it.
        Err(_) if is_absent(&bind(address)) && address.ip().is_unspecified() => {
            state(&bind((Ipv4Addr::UNSPECIFIED, address.port()).into()))
        }
        tried => state(&tried),
    };
    let is_sidecar = state == State::Taken && is_sidecar(address);
    Port {
        variable: "METASTORE_SIDECAR_LISTEN",
        listener: address.to_string(),
        state: if is_sidecar { State::TakenBySidecar } else { state },
    }
}

/// Of localhost's two addresses one may not exist.
fn of_either(addresses: Vec<SocketAddr>) -> State {
    let tried: Vec<_> = addresses.into_iter().map(bind).collect();
    let present = tried.iter().filter(|it| !is_absent(it));
    let worst = present.map(state).max_by_key(|state| *state != State::Free);
    worst.or_else(|| tried.first().map(state)).unwrap_or(State::Free)
}

fn bind(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.bind(&address.into())?;
    // Without it, two that may reuse the address would not notice each other.
    socket.listen(1)
}

fn state(tried: &io::Result<()>) -> State {
    match tried {
        Ok(()) => State::Free,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => State::Taken,
        Err(error) => State::Impossible(error.to_string()),
    }
}

fn is_absent(tried: &io::Result<()>) -> bool {
    let codes = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].map(Errno::raw_os_error);
    let code = tried.as_ref().err().and_then(io::Error::raw_os_error);
    code.is_some_and(|code| codes.contains(&code))
}

/// Whether a sidecar of ours answers there.
fn is_sidecar(address: SocketAddr) -> bool {
    let mut reachable = address;
    if address.ip().is_unspecified() {
        reachable.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let greet = || -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&reachable, GREETING)?;
        stream.set_read_timeout(Some(GREETING))?;
        stream.set_write_timeout(Some(GREETING))?;
        stream.write_all(b"GET /sidecar/livez HTTP/1.0\r\n\r\n")?;
        let mut answer = [0; 1024];
        let length = stream.read(&mut answer)?;
        Ok(String::from_utf8_lossy(answer.get(..length).unwrap_or_default()).into_owned())
    };
    greet().is_ok_and(|answer| answer.starts_with("HTTP/1.0 200"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn local(port: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, port).into()
    }

    #[test]
    fn a_port_is_free_until_somebody_listens() {
        let listener = TcpListener::bind(local(0)).unwrap();
        let address = listener.local_addr().unwrap();
        let own = own_port(address);
        assert_eq!((own.variable, own.state), ("METASTORE_SIDECAR_LISTEN", State::Taken));
        assert_eq!(of_either(vec![address, local(0)]), State::Taken, "the worst of both");
        drop(listener);
        assert_eq!(of_either(vec![address]), State::Free);
        assert_eq!(of_either(vec![address]), State::Free, "it was given back");
    }

    #[test]
    fn an_address_of_another_host_is_impossible() {
        let other: SocketAddr = "192.0.2.1:1".parse().unwrap();
        assert!(matches!(of_either(vec![other]), State::Impossible(_)));
        assert_eq!(of_either(vec![other, local(0)]), State::Free, "one of two may be missing");
    }

    #[test]
    fn a_sidecar_that_runs_may_have_its_port() {
        let listener = TcpListener::bind(local(0)).unwrap();
        let address = listener.local_addr().unwrap();
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 64];
            assert!(stream.read(&mut request).unwrap() > 0);
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nok\n").unwrap();
            // Kept until now: the port is taken while it is asked for.
            drop(listener);
        });
        assert_eq!(own_port(address).state, State::TakenBySidecar);
        answering.join().unwrap();
    }
}
