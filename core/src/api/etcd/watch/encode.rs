//! Watch responses as bytes: events once for all who get them, the rest per watcher.

use bytes::{BufMut, Bytes, BytesMut};
use metastore_proto::etcdserverpb as pb;
use prost::Message;

use crate::api::rpc::Reply;
use crate::domain::version::{put_varint, varint_len};
use crate::domain::{Event, Version};

const EVENTS_TAG: u8 = (11 << 3) | 2;
const EVENT_TYPE_TAG: u8 = 1 << 3;
const EVENT_KV_TAG: u8 = (2 << 3) | 2;
const EVENT_PREV_TAG: u8 = (3 << 3) | 2;
const KEY_TAG: u8 = (1 << 3) | 2;
const MODIFIED_TAG: u8 = 3 << 3;

/// Bytes of events in one response, about; a revision is never split but on request.
const CHUNK_BYTES: usize = 1 << 20;

/// Encoded events of whole revisions.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    /// The revision of the first event.
    pub first: i64,
    pub events: Bytes,
    /// Ends of the single events in `events`.
    pub ends: Vec<usize>,
}

/// Encodes events in order, cut between revisions.
pub(super) fn chunks(events: &[&Event], with_previous: bool) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut out = BytesMut::with_capacity(estimate(events, with_previous));
    let mut ends = Vec::new();
    let mut first = 0;
    let mut last = 0;
    for event in events {
        let main = event.at.main;
        if !ends.is_empty() && main != last && out.len() >= CHUNK_BYTES {
            let events = out.split().freeze();
            chunks.push(Chunk { first, events, ends: std::mem::take(&mut ends) });
        }
        if ends.is_empty() {
            first = main;
        }
        last = main;
        put_event(&mut out, event, with_previous);
        ends.push(out.len());
    }
    if !ends.is_empty() {
        chunks.push(Chunk { first, events: out.freeze(), ends });
    }
    chunks
}

fn estimate(events: &[&Event], with_previous: bool) -> usize {
    let version = |version: &Option<Version>| version.as_ref().map_or(0, |it| it.fields.len());
    let event = |event: &&Event| {
        let previous = if with_previous { version(&event.previous) + event.key.len() } else { 0 };
        event.key.len() + version(&event.version) + previous + 40
    };
    events.iter().map(event).sum::<usize>().min(2 * CHUNK_BYTES)
}

fn put_event(out: &mut BytesMut, event: &Event, with_previous: bool) {
    let kv_len = match &event.version {
        Some(version) => message_kv_len(&event.key, version),
        None => tombstone_len(event),
    };
    let previous = event.previous.as_ref().filter(|_| with_previous);
    let kind_len = if event.version.is_some() { 0 } else { 2 };
    let previous_len = previous.map_or(0, |it| message_len(message_kv_len(&event.key, it)));
    let len = kind_len + message_len(kv_len) + previous_len;
    put_head(out, EVENTS_TAG, len);
    match &event.version {
        Some(version) => {
            put_head(out, EVENT_KV_TAG, kv_len);
            put_kv(out, &event.key, version);
        }
        None => {
            out.put_slice(&[EVENT_TYPE_TAG, 1]);
            put_head(out, EVENT_KV_TAG, kv_len);
            put_key(out, &event.key);
            out.put_u8(MODIFIED_TAG);
            put_varint(out, event.at.main.cast_unsigned());
        }
    }
    if let Some(previous) = previous {
        put_head(out, EVENT_PREV_TAG, message_kv_len(&event.key, previous));
        put_kv(out, &event.key, previous);
    }
}

fn put_kv(out: &mut BytesMut, key: &[u8], version: &Version) {
    put_key(out, key);
    out.put_slice(&version.fields);
}

fn put_key(out: &mut BytesMut, key: &[u8]) {
    put_head(out, KEY_TAG, key.len());
    out.put_slice(key);
}

fn put_head(out: &mut BytesMut, tag: u8, len: usize) {
    out.put_u8(tag);
    put_varint(out, len as u64);
}

fn message_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

fn message_kv_len(key: &[u8], version: &Version) -> usize {
    message_len(key.len()) + version.fields.len()
}

/// A delete carries its key and where it happened.
fn tombstone_len(event: &Event) -> usize {
    message_len(event.key.len()) + 1 + varint_len(event.at.main.cast_unsigned())
}

/// A response with events.
pub(super) fn response(
    header: pb::ResponseHeader,
    watch_id: i64,
    is_part: bool,
    events: Bytes,
) -> Reply {
    let rest = pb::WatchResponse {
        header: Some(header),
        watch_id,
        fragment: is_part,
        ..pb::WatchResponse::default()
    };
    Reply::new(rest.encode_to_vec().into(), events)
}

#[cfg(test)]
mod tests {
    use metastore_proto::mvccpb;

    use super::*;
    use crate::domain::Revision;

    fn put(main: i64, key: &'static str, value: &[u8]) -> Event {
        let at = Revision::new(main, 0);
        let version = Some(Version::encode(main, at, 1, value, 0));
        Event { at, key: Bytes::from_static(key.as_bytes()), version, previous: None }
    }

    #[test]
    fn events_decode_as_etcds_do() {
        let mut changed = put(7, "a", b"new");
        changed.previous = Some(Version::encode(3, Revision::new(3, 0), 1, b"old", 9));
        let mut deleted = put(8, "a", b"");
        deleted.version = None;
        let chunks = chunks(&[&changed, &deleted], true);
        let header = pb::ResponseHeader::default();
        let reply = response(header, 5, false, chunks[0].events.clone());
        let bytes = [reply.head, reply.body].concat();
        let decoded = pb::WatchResponse::decode(bytes.as_slice()).unwrap();
        assert_eq!(decoded.watch_id, 5);
        let [first, second] = decoded.events.as_slice() else { panic!("two events") };
        assert_eq!(first.kv.as_ref().unwrap().value.as_ref(), b"new");
        assert_eq!(first.prev_kv.as_ref().unwrap().value.as_ref(), b"old");
        assert_eq!(first.prev_kv.as_ref().unwrap().lease, 9);
        assert_eq!(second.r#type, mvccpb::event::EventType::Delete as i32);
        assert_eq!(second.kv.as_ref().unwrap().mod_revision, 8);
    }

    #[test]
    fn a_revision_is_never_cut() {
        let value = vec![7; CHUNK_BYTES / 2];
        let events = [put(1, "a", &value), put(2, "b", &value), put(3, "c", &value)];
        let mut same = put(2, "c", &value);
        same.at.sub = 1;
        let all = [&events[0], &events[1], &same, &events[2]];
        let cut: Vec<_> = chunks(&all, false).iter().map(|it| (it.first, it.ends.len())).collect();
        assert_eq!(cut, vec![(1, 3), (3, 1)]);
    }
}
