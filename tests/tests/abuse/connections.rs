//! Connections that are too many, or speak something else.

use metastore_tests::http;
use metastore_tests::store::Store;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CONNECTIONS: usize = 5_000;
/// Resident memory of core that so many connections may cost.
const COST_MAX: u64 = 200 << 20;

/// Lets this process, and those that it starts, open as many files as it may.
fn raise_file_limit() -> u64 {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    maximum.unwrap_or(u64::MAX)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_idle_connections_do_no_harm() {
    let limit = raise_file_limit();
    assert!(limit > CONNECTIONS as u64 + 500, "only {limit} files may be open here");
    let store = Store::start().await;
    let before = store.core.as_ref().map(|core| core.rss_bytes());
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(&store.address).await.unwrap();
        // Half of them begin as HTTP/2 does.
        if idle.len() % 2 == 0 {
            stream
                .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
                .await
                .unwrap();
        }
        idle.push(stream);
    }
    store.client.set("a", "1").await;
    assert_eq!(http::get(&store.address, "/health").await.unwrap().status, 200);
    if let (Some(core), Some(before)) = (&store.core, before) {
        let cost = core.rss_bytes().saturating_sub(before);
        assert!(cost < COST_MAX, "{CONNECTIONS} connections cost {cost} bytes");
    }
    drop(idle);
    store.client.set("a", "2").await;
}

#[tokio::test]
async fn garbage_ends_its_own_connection_only() {
    let store = Store::start().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut garbage: Vec<Vec<u8>> = vec![
        vec![0; 1_000],
        vec![0xff; 100_000],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        [&preface[..], &[0xff; 5_000]].concat(),
        [&preface[..], b"\xff\xff\xff\x00\x00\x00\x00\x00\x00"].concat(),
    ];
    garbage.extend((0..50).map(|_| (0..2_000).map(|_| rand::random()).collect()));
    for bytes in garbage {
        let mut stream = TcpStream::connect(&store.address).await.unwrap();
        // The server may hang up before it has everything.
        stream.write_all(&bytes).await.ok();
        stream.shutdown().await.ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
    }
    store.client.set("a", "1").await;
}

#[tokio::test]
async fn http_1_on_a_grpc_path_is_refused() {
    let store = Store::start().await;
    for path in ["/etcdserverpb.KV/Put", "/etcdserverpb.Watch/Watch", "/nothing"] {
        let answer = http::request(&store.address, "POST", path, "{}").await.unwrap();
        assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
    }
    store.client.set("a", "1").await;
}

#[tokio::test]
async fn a_request_that_never_ends_holds_up_nobody() {
    let store = Store::start().await;
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(&store.address).await.unwrap();
        stream.write_all(b"POST /health HTTP/1.1\r\nContent-Length: 1000000\r\n").await.unwrap();
        slow.push(stream);
    }
    store.client.set("a", "1").await;
    assert_eq!(http::get(&store.address, "/readyz").await.unwrap().status, 200);
}
