//! The length in front of each gRPC message, however the bytes are cut into frames
//! (`core/src/api/message_limit.rs`).
//!
//! Input: the limit (2 bytes), then frames: length (1), bytes.

#![no_main]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame};
use libfuzzer_sys::fuzz_target;
use metastore_core::api::message_limit::Limited;
use metastore_fuzz::Input;
use prometheus::IntCounter;
use tonic::Code;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let (Some(high), Some(low)) = (input.byte(), input.byte()) else { return };
    let limit = usize::from(u16::from_be_bytes([high, low]));
    let mut frames = VecDeque::new();
    while let Some(frame) = input.short_bytes() {
        frames.push_back(Bytes::copy_from_slice(frame));
    }
    let whole: Vec<u8> = frames.iter().flatten().copied().collect();
    let refused_at = first_too_long(&whole, limit);

    let received = IntCounter::new("received", "bytes").expect("a name");
    let mut limited = Limited::new(Frames(frames.clone()), limit, received.clone());
    let mut context = Context::from_waker(Waker::noop());
    let mut seen = 0;
    for frame in frames {
        seen += frame.len();
        match Pin::new(&mut limited).poll_frame(&mut context) {
            Poll::Ready(Some(Ok(passed))) => {
                assert_eq!(passed.data_ref(), Some(&frame), "a frame passes unchanged");
                assert!(refused_at.is_none_or(|at| at > seen), "a message of {limit} or less");
            }
            Poll::Ready(Some(Err(status))) => {
                assert_eq!(status.code(), Code::ResourceExhausted);
                let at = refused_at.expect("no message is too long");
                assert!((seen - frame.len()..=seen).contains(&at), "refused late or early");
                assert_eq!(received.get(), seen as u64);
                return;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(refused_at.is_none(), "a message that is too long was let through");
    assert_eq!(received.get(), seen as u64);
});

/// Where the prefix of the first message above the limit ends.
fn first_too_long(bytes: &[u8], limit: usize) -> Option<usize> {
    let mut at = 0;
    while let Some([_, a, b, c, d]) = bytes.get(at..at + 5) {
        let len = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        if len > limit {
            return Some(at + 5);
        }
        at += 5 + len;
    }
    None
}

struct Frames(VecDeque<Bytes>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|bytes| Ok(Frame::data(bytes))))
    }
}
