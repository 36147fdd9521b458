//! Watches: many of everything while others write, and many that resume from an old revision.
//!
//! Events are counted by walking over the outermost fields of a response; decoding them would cost more
//! than sending them costs the server.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use bytes::{Buf, Bytes};
use h2::SendStream;
use metastore_proto::etcdserverpb::watch_request::RequestUnion;
use metastore_proto::etcdserverpb::{WatchCreateRequest, WatchRequest};
use prost::encoding::{WireType, decode_key, decode_varint};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Failure;
use crate::keyspace::Keyspace;
use crate::measure::{Latencies, Stretch};
use crate::options::Options;
use crate::wire::{Connection, Messages, Method, encode};

/// Field numbers of a watch response.
const WATCH_ID: u32 = 2;
const CANCELED: u32 = 4;
const EVENTS: u32 = 11;

#[derive(Debug, Default, PartialEq, Eq)]
struct Glance {
    watch_id: u64,
    canceled: bool,
    events: u64,
}

fn glance(mut message: &[u8]) -> Result<Glance, Failure> {
    let mut found = Glance::default();
    while message.has_remaining() {
        let (field, wire_type) = decode_key(&mut message)?;
        match (field, wire_type) {
            (WATCH_ID, WireType::Varint) => found.watch_id = decode_varint(&mut message)?,
            (CANCELED, WireType::Varint) => found.canceled = decode_varint(&mut message)? != 0,
            (_, WireType::Varint) => {
                decode_varint(&mut message)?;
            }
            (_, WireType::LengthDelimited) => {
                let length = usize::try_from(decode_varint(&mut message)?)?;
                message = message.get(length..).ok_or("a field is cut short")?;
                found.events += u64::from(field == EVENTS);
            }
            _ => return Err("not a watch response".into()),
        }
    }
    Ok(found)
}

fn create(key: Bytes, range_end: Bytes, start_revision: i64) -> Bytes {
    let request =
        WatchCreateRequest { key, range_end, start_revision, ..WatchCreateRequest::default() };
    encode(&WatchRequest { request_union: Some(RequestUnion::CreateRequest(request)) })
}

/// Streams that each watch every key; somebody else writes.
pub(crate) async fn fan_out(options: &Options) -> Result<Value, Failure> {
    let method = Method::new(options.endpoint, "/etcdserverpb.Watch/Watch")?;
    let keyspace = Keyspace::new(options);
    let everything = create(keyspace.key(0), keyspace.end(), 0);
    let events = Rc::new(Cell::new(0));
    let broken = Rc::new(Cell::new(0));
    let mut connections = Vec::new();
    for _ in 0..options.connections {
        connections.push(Connection::open(options.endpoint).await?);
    }
    let mut open = Vec::new();
    for connection in connections.iter().cycle().take(options.streams) {
        let (requests, messages) = connection.stream(&method, everything.clone()).await?;
        open.push(requests);
        let (events, broken) = (Rc::clone(&events), Rc::clone(&broken));
        tokio::task::spawn_local(async move {
            if count(messages, &events).await.is_err() {
                broken.set(broken.get() + 1);
            }
        });
    }
    sleep(options.warmup).await;
    let before = events.get();
    let stretch = Stretch::begin(options.pid);
    sleep(options.measured).await;
    let mut report = stretch.report(events.get() - before);
    report.insert("errors".into(), json!(broken.get()));
    Ok(report.into())
}

async fn count(mut messages: Messages, events: &Cell<u64>) -> Result<(), Failure> {
    let take = |message: &[u8]| {
        let seen = glance(message)?;
        events.set(events.get() + seen.events);
        if seen.canceled {
            return Err("the watch was cancelled".into());
        }
        Ok(())
    };
    while messages.next(take).await? {}
    Err("the stream ended".into())
}

/// Watchers of one key each, on few streams of one connection, all from one old revision. Done when each has
/// `--events` events; their number must be right.
pub(crate) async fn resume(options: &Options) -> Result<Value, Failure> {
    let method = Method::new(options.endpoint, "/etcdserverpb.Watch/Watch")?;
    let connection = Connection::open(options.endpoint).await?;
    let keyspace = Keyspace::new(options);
    let streams = u64::try_from(options.streams)?;
    let stretch = Rc::new(Stretch::begin(options.pid));
    let latencies = Rc::new(RefCell::new(Latencies::default()));
    let mut tasks = JoinSet::new();
    for first in 0..streams.min(options.watchers) {
        let mut creates = (first..options.watchers)
            .step_by(options.streams)
            .map(|number| create(keyspace.key(number), Bytes::new(), options.revision));
        let begin = creates.next().ok_or("a stream without watchers")?;
        let creates: Vec<_> = creates.collect();
        let (requests, messages) = connection.stream(&method, begin).await?;
        let caught_up = CaughtUp {
            watchers: creates.len() + 1,
            events: options.events,
            stretch: Rc::clone(&stretch),
            latencies: Rc::clone(&latencies),
        };
        tasks.spawn_local(async move {
            let outcome = caught_up.wait(requests, creates, messages).await;
            outcome.map_err(|failure| failure.to_string())
        });
    }
    let mut received = 0;
    while let Some(outcome) = tasks.join_next().await {
        received += outcome??;
    }
    let mut report = stretch.report(received);
    let right = options.watchers * options.events;
    report.insert("errors".into(), json!(received.abs_diff(right)));
    latencies.take().report(&mut report);
    Ok(report.into())
}

/// What one stream waits for.
struct CaughtUp {
    watchers: usize,
    events: u64,
    stretch: Rc<Stretch>,
    latencies: Rc<RefCell<Latencies>>,
}

impl CaughtUp {
    async fn wait(
        self,
        mut requests: SendStream<Bytes>,
        creates: Vec<Bytes>,
        mut messages: Messages,
    ) -> Result<u64, Failure> {
        for create in creates {
            requests.send_data(create, false)?;
        }
        let (mut seen, mut behind, mut received) = (HashMap::new(), self.watchers, 0);
        while behind > 0 {
            let take = |message: &[u8]| {
                let glance = glance(message)?;
                if glance.canceled {
                    return Err("a watch was cancelled".into());
                }
                received += glance.events;
                let so_far: &mut u64 = seen.entry(glance.watch_id).or_default();
                let before = *so_far;
                *so_far += glance.events;
                if before < self.events && *so_far >= self.events {
                    behind -= 1;
                    self.latencies.borrow_mut().add(self.stretch.elapsed());
                }
                Ok(())
            };
            if !messages.next(take).await? {
                return Err("a watch stream ended".into());
            }
        }
        Ok(received)
    }
}

#[cfg(test)]
mod tests {
    use metastore_proto::etcdserverpb::{ResponseHeader, WatchResponse};
    use metastore_proto::mvccpb::Event;
    use prost::Message;

    use super::*;

    #[test]
    fn a_glance_sees_what_decoding_sees() {
        let response = WatchResponse {
            header: Some(ResponseHeader::default()),
            watch_id: 7,
            canceled: true,
            cancel_reason: "because".into(),
            events: vec![Event::default(); 3],
            ..WatchResponse::default()
        };
        let seen = glance(&response.encode_to_vec()).unwrap();
        let right = Glance { watch_id: 7, canceled: true, events: 3 };
        assert_eq!(seen, right);
        assert!(glance(&[0x5a, 200, 1]).is_err());
    }
}
