use std::io::Write;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::Path;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::*;
use crate::listen;

/// Far below what a silent client is given, and far above what an answer takes.
const SOON: Duration = Duration::from_secs(2);
/// More than all the buffers between two sockets.
const LARGE: usize = 32 << 20;

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

async fn start(places: usize, router: Router) -> SocketAddr {
    let listener = Arc::new(listen::bind("127.0.0.1:0".parse().unwrap()).unwrap());
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve_in(Places::new(places), listener, router));
    address
}

async fn ask(stream: &mut TcpStream, path: &str) {
    stream.write_all(request(path).as_bytes()).await.unwrap();
}

/// What has come; nothing at the end of the connection.
async fn heard(stream: &mut TcpStream) -> String {
    let mut answer = [0; 512];
    // One that is closed although it has sent something is reset.
    let read = stream.read(&mut answer).await.unwrap_or_default();
    String::from_utf8_lossy(answer.get(..read).unwrap()).into_owned()
}

/// Everybody has had several turns.
async fn turns() {
    for _ in 0..100 {
        yield_now().await;
    }
}

#[tokio::test]
async fn answers_follow_each_other_on_one_connection() {
    let mut stream = TcpStream::connect(start(1, hello()).await).await.unwrap();
    for _ in 0..2 {
        ask(&mut stream, "/").await;
        let answer = heard(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_let_go() {
    let mut stream = TcpStream::connect(start(1, hello()).await).await.unwrap();
    stream.write_all(b"GET / HT").await.unwrap();
    let mut answer = Vec::new();
    // The end of the stream, by the server.
    drop(timeout(2 * HEAD_TIMEOUT, stream.read_to_end(&mut answer)).await.unwrap());
}

/// As somebody does it who wants to keep others out: a connection that is closed is made again.
async fn hold_a_place(mut stream: TcpStream, address: SocketAddr) {
    loop {
        while !heard(&mut stream).await.is_empty() {}
        stream = TcpStream::connect(address).await.unwrap();
    }
}

#[tokio::test]
async fn silent_connections_keep_nobody_out() {
    let address = start(CONNECTIONS_MAX, hello()).await;
    let said: [&[u8]; 3] = [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"];
    for said in said.into_iter().cycle().take(CONNECTIONS_MAX) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(said).await.unwrap();
        tokio::spawn(hold_a_place(stream, address));
    }
    for _ in 0..20 {
        let begun = Instant::now();
        let mut stream = TcpStream::connect(address).await.unwrap();
        ask(&mut stream, "/").await;
        let answer = timeout(SOON, heard(&mut stream)).await.expect("an answer, and soon");
        assert!(answer.ends_with("hello"), "{answer} after {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn who_is_being_answered_keeps_the_place_and_gives_it_then() {
    static BEGUN: Semaphore = Semaphore::const_new(0);
    static GATE: Semaphore = Semaphore::const_new(0);
    let slow = || async {
        BEGUN.add_permits(1);
        GATE.acquire().await.unwrap().forget();
        "slow"
    };
    let address = start(1, hello().route("/slow", get(slow))).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    ask(&mut first, "/slow").await;
    BEGUN.acquire().await.unwrap().forget();
    let mut newcomer = TcpStream::connect(address).await.unwrap();
    ask(&mut newcomer, "/").await;
    turns().await;
    assert!(newcomer.try_read(&mut [0; 1]).is_err(), "there is no place");
    GATE.add_permits(1);
    let answer = heard(&mut first).await;
    assert!(answer.contains("connection: close") && answer.ends_with("slow"), "{answer}");
    assert!(heard(&mut newcomer).await.ends_with("hello"));
    assert_eq!(heard(&mut first).await, "", "who was answered has left");
}

#[tokio::test]
async fn an_answer_that_is_read_slowly_is_written_to_its_end() {
    let large = || async { vec![b'x'; LARGE] };
    let address = start(1, hello().route("/large", get(large))).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    ask(&mut first, "/large").await;
    let mut begin = [0; 12];
    first.read_exact(&mut begin).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
    let mut newcomer = TcpStream::connect(address).await.unwrap();
    ask(&mut newcomer, "/").await;
    turns().await;
    let mut rest = 0;
    let mut part = vec![0; 1 << 20];
    while rest < LARGE {
        let read = first.read(&mut part).await.unwrap();
        assert!(read > 0, "the answer was cut off after {rest} bytes");
        rest += read;
    }
    assert!(heard(&mut newcomer).await.ends_with("hello"));
}

/// Connections in memory, whose bytes are there when they are written.
struct Memory {
    places: Arc<Places>,
    turns: Arc<Semaphore>,
    router: Router,
}

impl Memory {
    fn new(places: usize, router: Router) -> Self {
        Self { places: Places::new(places), turns: Arc::new(Semaphore::new(TURN_MAX)), router }
    }

    async fn connect(&self) -> DuplexStream {
        self.connect_through(1 << 20).await
    }

    /// With room for so many bytes that nobody has read.
    async fn connect_through(&self, room: usize) -> DuplexStream {
        let (near, far) = duplex(room);
        let place = Arc::new(self.places.take().await);
        let (router, turns) = (self.router.clone(), Arc::clone(&self.turns));
        drop(tokio::spawn(connection(far, Requests { router, turns, place })));
        near
    }
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

#[tokio::test]
async fn what_one_connection_asks_at_once_keeps_no_other_waiting() {
    static ORDER: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let noted = |Path(name): Path<String>| async move { ORDER.lock().unwrap().push(name) };
    let memory = Memory::new(2, Router::new().route("/{name}", get(noted)));
    let (mut greedy, mut probe) = (memory.connect().await, memory.connect().await);
    greedy.write_all(request("/page").repeat(100).as_bytes()).await.unwrap();
    probe.write_all(request("/probe").as_bytes()).await.unwrap();
    let answer = &mut [0; 12];
    probe.read_exact(answer).await.unwrap();
    let order = ORDER.lock().unwrap().clone();
    let before = order.iter().position(|name| name == "probe").unwrap();
    // hyper by itself takes sixteen in a turn.
    assert!(before <= 2, "{before} pages were made before the probe: {order:?}");
}

#[tokio::test]
async fn of_more_than_there_are_places_everybody_is_answered() {
    let address = start(16, hello()).await;
    // All of them before the server has its turn.
    let streams: Vec<_> = (0..500)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.write_all(request("/").as_bytes()).unwrap();
            stream.set_nonblocking(true).unwrap();
            stream
        })
        .collect();
    for stream in streams {
        let answer = heard(&mut TcpStream::from_std(stream).unwrap()).await;
        assert!(answer.ends_with("hello"), "{answer}");
    }
}

/// As core's observer has one: it needs a turn for each step of its question and of the answer.
#[tokio::test]
async fn whatever_a_crowd_asks_everything_else_has_its_turn_in_between() {
    const CROWD: usize = 50;
    static ANSWERED: AtomicUsize = AtomicUsize::new(0);
    let count = async || _ = ANSWERED.fetch_add(1, Ordering::Relaxed);
    let memory = Memory::new(CROWD, Router::new().route("/", get(count)));
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        let mut greedy = memory.connect().await;
        greedy.write_all(request("/").repeat(10).as_bytes()).await.unwrap();
        crowd.push(greedy);
    }
    let mut before = 0;
    while before < CROWD * 10 {
        yield_now().await;
        let answered = ANSWERED.load(Ordering::Relaxed);
        assert!(answered - before <= TURN_MAX, "{} requests in a turn", answered - before);
        before = answered;
    }
}

/// With as many again that come after them, and before the probe.
#[tokio::test(start_paused = true)]
async fn who_reads_nothing_keeps_nobody_out() {
    const PLACES: usize = 16;
    let memory = Memory::new(PLACES, hello().route("/large", get(async || vec![b'x'; 1 << 20])));
    let mut crowd = Vec::new();
    let begun = Instant::now();
    for _ in 0..2 * PLACES {
        let mut slow = memory.connect_through(1 << 10).await;
        slow.write_all(request("/large").as_bytes()).await.unwrap();
        crowd.push(slow);
        turns().await;
    }
    let mut probe = memory.connect().await;
    probe.write_all(request("/").as_bytes()).await.unwrap();
    let answer = &mut [0; 12];
    probe.read_exact(answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 200");
    // Each of the crowd keeps its place for a second, and all of them at the same time.
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_request_head_has_a_bound() {
    for (bytes, expected) in [(HEAD_MAX - 100, "200"), (HEAD_MAX, "431"), (1 << 20, "431")] {
        let mut stream = Memory::new(1, hello()).connect().await;
        let padding = "x".repeat(bytes);
        let head = format!("GET / HTTP/1.1\r\nConnection: close\r\nX: {padding}\r\n\r\n");
        // It may hang up before it has everything.
        stream.write_all(head.as_bytes()).await.ok();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer.split(' ').nth(1), Some(expected), "{bytes} bytes: {answer}");
    }
}
