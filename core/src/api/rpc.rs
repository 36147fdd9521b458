//! gRPC calls as functions: decode the message, call, encode the reply.
//!
//! A reply is bytes already: rows and watch events are copied as they lie in the store, never
//! decoded and encoded again.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use futures_core::Stream;
use prometheus::IntCounter;
use prost::Message;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, ServerStreamingService, StreamingService, UnaryService};
use tonic::{Request, Response, Status, Streaming};

use super::edge::{Edge, UnderWay};
use super::etcd::status;
use super::message_limit::Limited;
use super::reply_body::ReplyBody;

/// An encoded message, in parts so that the second may be shared between replies, and so that a
/// long one need not be moved while it grows.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub head: Bytes,
    pub body: Bytes,
    /// What follows `body`; mostly nothing does.
    pub rest: Vec<Bytes>,
}

impl Reply {
    pub fn of(message: &impl Message) -> Self {
        Self::new(message.encode_to_vec().into(), Bytes::new())
    }

    pub fn new(head: Bytes, body: Bytes) -> Self {
        Self { head, body, rest: Vec::new() }
    }

    #[expect(clippy::len_without_is_empty, reason = "nobody asks whether an answer is empty")]
    pub fn len(&self) -> usize {
        self.head.len() + self.body.len() + self.rest.iter().map(Bytes::len).sum::<usize>()
    }
}

/// Replies of a stream.
pub type Replies = Pin<Box<dyn Stream<Item = Result<Reply, Status>> + Send>>;

type Served = http::Response<Body>;
type Promised<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;

/// Answers a call with one message each way.
pub async fn unary<M, F, W>(edge: Arc<Edge>, request: http::Request<Limited>, call: F) -> Served
where
    M: Message + Default + Send + 'static,
    F: Fn(Arc<Edge>, M) -> W + Send,
    W: Future<Output = Result<Reply, Status>> + Send + 'static,
{
    let sent = edge.context.metrics.sent_bytes.clone();
    let under_way = UnderWay::on(&edge);
    let mut served = grpc::<M>(&edge).unary(Calling { edge, call }, request).await;
    // tonic has encoded nothing yet; its body would do that when it is polled.
    let Some(reply) = served.extensions_mut().remove::<Reply>() else { return served };
    let len = reply.len() as u64;
    match ReplyBody::of(reply, under_way) {
        Some(body) => {
            sent.inc_by(len);
            served.map(|_tonics| Body::new(body))
        }
        None => Status::out_of_range("metastore: the answer is longer than 4 GiB").into_http(),
    }
}

/// Answers a call with one message from the client and a stream to it.
pub async fn server_stream<M, F, W>(
    edge: Arc<Edge>,
    request: http::Request<Limited>,
    call: F,
) -> Served
where
    M: Message + Default + Send + 'static,
    F: Fn(Arc<Edge>, M) -> W + Send,
    W: Future<Output = Result<Replies, Status>> + Send + 'static,
{
    grpc::<M>(&edge).server_streaming(Calling { edge, call }, request).await
}

/// Answers a call with a stream each way.
pub async fn streams<M, F, W>(edge: Arc<Edge>, request: http::Request<Limited>, call: F) -> Served
where
    M: Message + Default + Send + 'static,
    F: Fn(Arc<Edge>, Streaming<M>) -> W + Send,
    W: Future<Output = Result<Replies, Status>> + Send + 'static,
{
    grpc::<M>(&edge).streaming(Calling { edge, call }, request).await
}

fn grpc<M: Message + Default + Send + 'static>(edge: &Edge) -> Grpc<Wire<M>> {
    // The limit is kept in `message_limit.rs`, with gRPC's own code and text.
    Grpc::new(Wire { sent: edge.context.metrics.sent_bytes.clone(), message: PhantomData })
        .apply_max_message_size_config(Some(usize::MAX), Some(usize::MAX))
}

struct Calling<F> {
    edge: Arc<Edge>,
    call: F,
}

impl<M, F, W> UnaryService<M> for Calling<F>
where
    F: Fn(Arc<Edge>, M) -> W + Send,
    W: Future<Output = Result<Reply, Status>> + Send + 'static,
{
    type Response = Reply;
    type Future = Promised<Reply>;

    fn call(&mut self, request: Request<M>) -> Self::Future {
        let called = (self.call)(Arc::clone(&self.edge), request.into_inner());
        Box::pin(async move {
            let reply = called.await?;
            // It travels beside an empty message: see `unary`.
            let mut response = Response::new(Reply::default());
            response.extensions_mut().insert(reply);
            Ok(response)
        })
    }
}

impl<M, F, W> ServerStreamingService<M> for Calling<F>
where
    F: Fn(Arc<Edge>, M) -> W + Send,
    W: Future<Output = Result<Replies, Status>> + Send + 'static,
{
    type Response = Reply;
    type ResponseStream = Replies;
    type Future = Promised<Replies>;

    fn call(&mut self, request: Request<M>) -> Self::Future {
        let called = (self.call)(Arc::clone(&self.edge), request.into_inner());
        Box::pin(async move { called.await.map(Response::new) })
    }
}

impl<M, F, W> StreamingService<M> for Calling<F>
where
    F: Fn(Arc<Edge>, Streaming<M>) -> W + Send,
    W: Future<Output = Result<Replies, Status>> + Send + 'static,
{
    type Response = Reply;
    type ResponseStream = Replies;
    type Future = Promised<Replies>;

    fn call(&mut self, request: Request<Streaming<M>>) -> Self::Future {
        let called = (self.call)(Arc::clone(&self.edge), request.into_inner());
        Box::pin(async move { called.await.map(Response::new) })
    }
}

/// Messages in, bytes out.
struct Wire<M> {
    sent: IntCounter,
    message: PhantomData<M>,
}

impl<M: Message + Default + Send + 'static> Codec for Wire<M> {
    type Encode = Reply;
    type Decode = M;
    type Encoder = ReplyEncoder;
    type Decoder = MessageDecoder<M>;

    fn encoder(&mut self) -> ReplyEncoder {
        ReplyEncoder { sent: self.sent.clone() }
    }

    fn decoder(&mut self) -> MessageDecoder<M> {
        MessageDecoder(PhantomData)
    }
}

struct ReplyEncoder {
    sent: IntCounter,
}

impl Encoder for ReplyEncoder {
    type Item = Reply;
    type Error = Status;

    fn encode(&mut self, reply: Reply, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        self.sent.inc_by(reply.len() as u64);
        out.reserve(reply.len());
        out.put_slice(&reply.head);
        out.put_slice(&reply.body);
        for part in &reply.rest {
            out.put_slice(part);
        }
        Ok(())
    }
}

/// How prost says that a message nests too deep.
const TOO_DEEP: &str = "recursion limit reached";

struct MessageDecoder<M>(PhantomData<M>);

impl<M: Message + Default> Decoder for MessageDecoder<M> {
    type Item = M;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<M>, Status> {
        M::decode(bytes).map(Some).map_err(|error| {
            let text = error.to_string();
            if text.ends_with(TOO_DEEP) {
                // Nothing but transactions nests like this, and etcd counts how deep they go.
                return status::TOO_MANY_OPERATIONS.into();
            }
            Status::internal(format!("grpc: error unmarshalling request: {text}"))
        })
    }
}
