//! Clients that want to keep the probes from being answered.

use std::time::Duration;

use metastore_tests::http;
use metastore_tests::member::Sidecar;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

/// As many connections as the sidecar has places.
const CROWD: usize = 512;
/// A debug build on a busy machine; what it would wait for takes ten.
const SOON: Duration = Duration::from_secs(1);

/// Says nothing that could be answered; a connection that is closed is made again.
async fn hold_a_place(mut stream: TcpStream, address: String) {
    loop {
        stream.read_to_end(&mut Vec::new()).await.ok();
        match TcpStream::connect(&address).await {
            Ok(again) => stream = again,
            Err(_) => return,
        }
    }
}

#[tokio::test]
async fn silent_connections_keep_no_probe_waiting() {
    let place = tempfile::Builder::new().prefix("ms-").tempdir().unwrap();
    let sidecar = Sidecar::start_on(place.path(), &[]).await;
    let address = sidecar.address();
    for at in 0..CROWD {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        if at % 2 == 0 {
            stream.write_all(b"GET /livez HT").await.unwrap();
        }
        tokio::spawn(hold_a_place(stream, address.clone()));
    }
    for _ in 0..20 {
        let asked = Instant::now();
        let answer = http::get(&address, "/sidecar/livez").await.unwrap();
        assert_eq!(answer.status, 200);
        assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    }
}

/// Asks for more pages than the sockets hold, and reads none of them.
async fn read_nothing(address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let request = "GET /?format=html HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(request.repeat(100).as_bytes()).await.unwrap();
    stream
}

/// A quarter more than there are places: those wait to be accepted, and the probes behind them.
#[tokio::test]
async fn who_reads_nothing_keeps_no_probe_waiting() {
    let place = tempfile::Builder::new().prefix("ms-").tempdir().unwrap();
    let sidecar = Sidecar::start_on(place.path(), &[]).await;
    let address = sidecar.address();
    let mut crowd = Vec::new();
    for _ in 0..CROWD + CROWD / 4 {
        crowd.push(read_nothing(&address).await);
    }
    for _ in 0..5 {
        let asked = Instant::now();
        let answer = http::get(&address, "/sidecar/livez").await.unwrap();
        assert_eq!(answer.status, 200);
        // They keep their places for a second, all of them at the same time.
        assert!(asked.elapsed() < 3 * SOON, "{:?}", asked.elapsed());
    }
}
