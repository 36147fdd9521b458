//! A client's message may be only so long: refused by its prefix, before it is read.
//!
//! tonic has a limit too, but answers it with another code than gRPC's own servers.

use std::fmt::Display;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use prometheus::IntCounter;
use tonic::Status;

/// Bytes in front of each message: compressed or not (1), length (4).
const PREFIX_LEN: usize = 5;

/// A request body that ends in an error at the first message longer than the limit.
#[derive(Debug)]
pub struct Limited<B = Incoming> {
    body: B,
    limit: usize,
    received: IntCounter,
    /// The part of a prefix that has come.
    prefix: Vec<u8>,
    /// Bytes of the current message that are to come.
    rest: usize,
}

impl<B> Limited<B> {
    pub fn new(body: B, limit: usize, received: IntCounter) -> Self {
        Self { body, limit, received, prefix: Vec::with_capacity(PREFIX_LEN), rest: 0 }
    }

    fn inspect(&mut self, mut data: &[u8]) -> Result<(), Status> {
        self.received.inc_by(data.len() as u64);
        while !data.is_empty() {
            if self.rest > 0 {
                let part = self.rest.min(data.len());
                data.advance(part);
                self.rest -= part;
                continue;
            }
            let part = (PREFIX_LEN - self.prefix.len()).min(data.len());
            let (head, tail) = data.split_at(part);
            self.prefix.extend_from_slice(head);
            data = tail;
            if let [_compressed, a, b, c, d] = *self.prefix.as_slice() {
                self.prefix.clear();
                self.rest = u32::from_be_bytes([a, b, c, d]) as usize;
                self.admit()?;
            }
        }
        Ok(())
    }

    fn admit(&self) -> Result<(), Status> {
        if self.rest > self.limit {
            return Err(Status::resource_exhausted(format!(
                "grpc: received message larger than max ({} vs. {})",
                self.rest, self.limit
            )));
        }
        Ok(())
    }
}

impl<B> Body for Limited<B>
where
    B: Body<Data = Bytes, Error: Display> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        polled.map(|frame| match frame? {
            Ok(frame) => {
                let verdict = frame.data_ref().map_or(Ok(()), |data| self.inspect(data));
                Some(verdict.map(|()| frame))
            }
            Err(error) => Some(Err(Status::unavailable(error.to_string()))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
