//! What a stop does to answers that are being read.

use std::time::Duration;

use metastore_proto::etcdserverpb as pb;
use metastore_tests::client::{Client, numbered};
use metastore_tests::eventually::throughout;
use metastore_tests::member::Core;
use metastore_tests::requests::{everything, put};
use rustix::process::Signal;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{IntoRequest, Streaming};
use tonic_prost::ProstCodec;

/// All of them are far more than core can send to a client that does not read.
const KEYS: usize = 40;
const VALUE_BYTES: usize = 500_000;
/// Less than core's grace, more than it gives those who have nothing under way.
const UNREAD: Duration = Duration::from_secs(1);

/// A range with one answer, as a stream: nothing is read before it is asked for a message.
async fn begun(client: &Client) -> Streaming<pb::RangeResponse> {
    let mut grpc = Grpc::new(client.channel()).max_decoding_message_size(usize::MAX);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/etcdserverpb.KV/Range");
    let codec = ProstCodec::<pb::RangeRequest, _>::default();
    grpc.server_streaming(everything().into_request(), path, codec).await.unwrap().into_inner()
}

#[tokio::test]
async fn answers_that_are_read_slowly_arrive_whole() {
    let mut core = Core::start().await;
    for number in 0..KEYS {
        core.client().put(put(numbered("k", number), vec![7; VALUE_BYTES])).await.unwrap();
    }
    let mut whole = begun(&core.client()).await;
    let in_pieces = core.client().kv().range_stream(everything()).await;
    let mut in_pieces = in_pieces.unwrap().into_inner();

    core.process().signal(Signal::TERM);
    throughout("core waits for its readers", UNREAD, async || core.process().has_ended().is_none())
        .await;
    assert_eq!(whole.message().await.unwrap().unwrap().kvs.len(), KEYS);
    assert_eq!(whole.message().await.unwrap(), None);
    let mut read = 0;
    while let Some(piece) = in_pieces.message().await.unwrap() {
        read += piece.range_response.unwrap().kvs.len();
    }
    assert_eq!(read, KEYS);
    assert_eq!(core.process().ended().await.code(), Some(0));
}
