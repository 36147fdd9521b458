//! The body of a call's only answer: one gRPC message, then that it went well.
//!
//! tonic would copy the message into a buffer of its own. This hands a long one on in the parts in
//! which it was made.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec::IntoIter;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use tonic::Status;

use super::rpc::Reply;

/// In front of the message: compressed or not (1), length (4).
const PREFIX_LEN: usize = 5;
/// A part that is no longer goes into one piece with the prefix: a copy is cheaper than a frame.
const COPIED_MAX: usize = 4 << 10;

/// Frames of one answer.
#[derive(Debug)]
pub struct ReplyBody<K> {
    first: Option<Bytes>,
    parts: IntoIter<Bytes>,
    is_told: bool,
    _kept: K,
}

impl<K> ReplyBody<K> {
    /// Keeps `kept` until all is handed on, or the client has gone. `None` when the message is
    /// longer than gRPC can say.
    pub fn of(reply: Reply, kept: K) -> Option<Self> {
        let len = u32::try_from(reply.len()).ok()?;
        let Reply { head, body, rest } = reply;
        let joined = if body.len() <= COPIED_MAX { body.len() } else { 0 };
        let mut first = BytesMut::with_capacity(PREFIX_LEN + head.len() + joined);
        first.put_u8(0);
        first.put_u32(len);
        first.put_slice(&head);
        let mut parts = Vec::new();
        if joined == body.len() {
            first.put_slice(&body);
        } else {
            parts.reserve_exact(1 + rest.len());
            parts.push(body);
        }
        parts.extend(rest);
        let first = Some(first.freeze());
        Some(Self { first, parts: parts.into_iter(), is_told: false, _kept: kept })
    }
}

impl<K: Unpin> Body for ReplyBody<K> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let part = self.first.take().or_else(|| self.parts.next());
        if let Some(part) = part {
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
        if std::mem::replace(&mut self.is_told, true) {
            return Poll::Ready(None);
        }
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_told
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn sent(reply: Reply) -> (Vec<usize>, Vec<u8>) {
        let body = ReplyBody::of(reply, ()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut body = std::pin::pin!(body);
            let (mut lens, mut bytes) = (Vec::new(), Vec::new());
            while let Some(frame) = body.frame().await {
                match frame.unwrap().into_data() {
                    Ok(data) => {
                        lens.push(data.len());
                        bytes.extend_from_slice(&data);
                    }
                    Err(last) => {
                        assert_eq!(last.into_trailers().unwrap()["grpc-status"], "0");
                        assert!(body.is_end_stream());
                    }
                }
            }
            (lens, bytes)
        })
    }

    #[test]
    fn a_short_message_is_one_piece() {
        let reply = Reply { head: "ab".into(), body: "cd".into(), rest: Vec::new() };
        assert_eq!(sent(reply), (vec![9], b"\0\0\0\0\x04abcd".to_vec()));
    }

    #[test]
    fn a_long_message_goes_out_in_its_parts() {
        let long = vec![7; COPIED_MAX + 1];
        let reply =
            Reply { head: "ab".into(), body: long.clone().into(), rest: vec![long.clone().into()] };
        let whole = reply.len();
        let (lens, bytes) = sent(reply);
        assert_eq!(lens, [PREFIX_LEN + 2, long.len(), long.len()]);
        assert_eq!(bytes.get(1..5), Some(&u32::try_from(whole).unwrap().to_be_bytes()[..]));
        assert_eq!(bytes.len(), PREFIX_LEN + whole);
    }
}
