//! gRPC over raw HTTP/2: as little of it as a load needs.
//!
//! An answer is kept as the chunks that arrived; its bytes are looked at only when somebody decodes it.

use std::net::SocketAddr;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderValue, Method as Verb, Request, Uri};
use prost::Message;
use tokio::net::TcpStream;

use crate::Failure;

/// What the server may send before the load reads it.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;

/// Compressed or not, and the length.
const PREFIX_BYTES: usize = 5;

/// A remote procedure at an endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Method(Uri);

impl Method {
    pub(crate) fn new(endpoint: SocketAddr, path: &str) -> Result<Self, Failure> {
        Ok(Self(format!("http://{endpoint}{path}").parse()?))
    }

    fn request(&self) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = Verb::POST;
        *request.uri_mut() = self.0.clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        request
    }
}

pub(crate) fn encode(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + length);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(length).expect("a request is small"));
    message.encode(&mut framed).expect("the buffer grows as needed");
    framed.freeze()
}

/// The body of a unary answer whose status was OK.
pub(crate) struct Answer {
    chunks: Vec<Bytes>,
    bytes: usize,
}

impl Answer {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn decode<M: Message + Default>(&self) -> Result<M, Failure> {
        let mut body = Bytes::from(self.chunks.concat());
        body.advance(PREFIX_BYTES);
        Ok(M::decode(body)?)
    }

    /// The five bytes in front must announce what came.
    fn is_whole(&self) -> bool {
        let mut prefix = self.chunks.iter().flatten().take(PREFIX_BYTES);
        let compressed = prefix.next();
        let announced = prefix.fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        compressed == Some(&0) && announced + PREFIX_BYTES == self.bytes
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Connection(SendRequest<Bytes>);

impl Connection {
    pub(crate) async fn open(endpoint: SocketAddr) -> Result<Self, Failure> {
        let socket = TcpStream::connect(endpoint).await?;
        socket.set_nodelay(true)?;
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(socket)
            .await?;
        // Its failure is the failure of every call on it.
        tokio::task::spawn_local(async { connection.await.ok() });
        Ok(Self(sender))
    }

    pub(crate) async fn call(&self, method: &Method, message: Bytes) -> Result<Answer, Failure> {
        let mut sender = self.0.clone().ready().await?;
        let (answer, mut stream) = sender.send_request(method.request(), false)?;
        stream.send_data(message, true)?;
        let (head, mut body) = answer.await?.into_parts();
        let mut answer = Answer { chunks: Vec::new(), bytes: 0 };
        while let Some(chunk) = body.data().await {
            let chunk = chunk?;
            body.flow_control().release_capacity(chunk.len())?;
            answer.bytes += chunk.len();
            answer.chunks.push(chunk);
        }
        let trailers = body.trailers().await?;
        status(trailers.as_ref().unwrap_or(&head.headers))?;
        if answer.is_whole() {
            Ok(answer)
        } else {
            Err("the answer's length is not what its prefix says".into())
        }
    }

    /// A stream in both directions, with its first message sent.
    pub(crate) async fn stream(
        &self,
        method: &Method,
        first: Bytes,
    ) -> Result<(SendStream<Bytes>, Messages), Failure> {
        let mut sender = self.0.clone().ready().await?;
        let (answer, mut requests) = sender.send_request(method.request(), false)?;
        requests.send_data(first, false)?;
        let body = answer.await?.into_body();
        let messages = Messages { body, rest: BytesMut::new() };
        Ok((requests, messages))
    }
}

fn status(trailers: &HeaderMap) -> Result<(), Failure> {
    let text = |name| trailers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    match text("grpc-status") {
        Some(code) if code == "0" => Ok(()),
        Some(code) => {
            Err(format!("status {code}: {}", text("grpc-message").unwrap_or_default()).into())
        }
        None => Err("no grpc-status".into()),
    }
}

/// The messages of a streamed answer.
pub(crate) struct Messages {
    body: RecvStream,
    rest: BytesMut,
}

impl Messages {
    /// Gives every message that is complete after the next chunk to `take`; false at the stream's end.
    pub(crate) async fn next(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<bool, Failure> {
        let Some(chunk) = self.body.data().await else {
            return Ok(false);
        };
        let chunk = chunk?;
        self.body.flow_control().release_capacity(chunk.len())?;
        // Mostly a chunk holds whole messages: then nothing is copied.
        if self.rest.is_empty() {
            let used = whole_messages(&chunk, &mut take)?;
            self.rest.extend_from_slice(chunk.get(used..).unwrap_or_default());
        } else {
            self.rest.extend_from_slice(&chunk);
            let used = whole_messages(&self.rest, &mut take)?;
            self.rest.advance(used);
        }
        Ok(true)
    }
}

/// How many bytes the whole messages at the front of `bytes` take.
fn whole_messages(
    bytes: &[u8],
    take: &mut impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<usize, Failure> {
    let mut rest = bytes;
    while let Some((&[_, a, b, c, d], after)) = rest.split_first_chunk() {
        let length = u32::from_be_bytes([a, b, c, d]);
        let Some((message, after)) = after.split_at_checked(usize::try_from(length)?) else {
            break;
        };
        take(message)?;
        rest = after;
    }
    Ok(bytes.len() - rest.len())
}
