//! RangeStream: a range in messages of about one request's size (contract section 1.2).
//!
//! All messages are read at the revision of the first. Header, `more` and `count` come last.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use metastore_proto::etcdserverpb as pb;
use pb::range_request::SortOrder;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{check, convert, header, status};
use crate::api::edge::Edge;
use crate::api::rpc::{Replies, Reply};
use crate::domain::command::Range;
use crate::domain::mvcc::range::{is_natural, successor};
use crate::domain::version::put_varint;

/// Rows of the first message.
const FIRST_ROWS: i64 = 10;
const ROWS_MAX: i64 = 10_000;
/// Messages that may wait for the client.
const QUEUE: usize = 2;

pub async fn range_stream(edge: Arc<Edge>, request: pb::RangeRequest) -> Result<Replies, Status> {
    check::range(&request)?;
    if !request.serializable {
        edge.linearize().await?;
    }
    let is_unordered = request.sort_order() == SortOrder::None;
    let mut query = convert::range(request);
    if is_unordered {
        // A stream takes a target without an order for no wish at all.
        query.sort = None;
    }
    if !is_natural(&query) {
        return Err(Status::unimplemented(
            "metastore: a range stream has no sort order and no revision filter",
        ));
    }
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        if let Err(status) = stream(&edge, query, &sender).await {
            // The client may have gone.
            drop(sender.send(Err(status)).await);
        }
    });
    Ok(Box::pin(ReceiverStream::new(receiver)))
}

type Sender = mpsc::Sender<Result<Reply, Status>>;

async fn stream(edge: &Arc<Edge>, query: Range, sender: &Sender) -> Result<(), Status> {
    let mut left = if query.limit > 0 { query.limit } else { i64::MAX };
    let mut page = Range { limit: FIRST_ROWS.min(left), ..query.clone() };
    let mut sent = 0;
    let target = edge.context.limits.request_bytes;
    let mut is_last = query.count_only;
    while !is_last {
        let (rows, taken, read) = read_page(edge, page.clone()).await?;
        let bytes = rows.len();
        (sent, left) = (sent + taken, left - taken);
        page.revision = read.at;
        page.range = query.range.starting_at(successor(&read.last));
        is_last = !read.more || left == 0;
        if sender.send(Ok(chunk(rows))).await.is_err() {
            return Ok(());
        }
        let next = if bytes < target / 2 { page.limit * 2 } else { (page.limit / 2).max(1) };
        page.limit = next.clamp(1, ROWS_MAX).min(left);
    }
    finish(edge, query, page.revision, sent, sender).await
}

/// The rows are fields of the `RangeResponse` inside a `RangeStreamResponse`.
fn chunk(rows: Bytes) -> Reply {
    const RANGE_RESPONSE_TAG: u8 = (1 << 3) | 2;
    let mut head = BytesMut::with_capacity(8);
    head.put_u8(RANGE_RESPONSE_TAG);
    put_varint(&mut head, rows.len() as u64);
    Reply::new(head.freeze(), rows)
}

struct Page {
    at: i64,
    last: Bytes,
    more: bool,
}

async fn read_page(edge: &Arc<Edge>, page: Range) -> Result<(Bytes, i64, Page), Status> {
    let reader = edge.context.reader.clone();
    let read = tokio::task::spawn_blocking(move || {
        let mut rows = BytesMut::new();
        let mut last = Bytes::new();
        let mut taken = 0;
        let (more, newest) = reader.page(&page, &mut |row| {
            taken += 1;
            last = Bytes::copy_from_slice(row.key);
            convert::append_row(&mut rows, row);
        })?;
        let at = if page.revision > 0 { page.revision } else { newest };
        Ok((rows.freeze(), taken, Page { at, last, more }))
    });
    let read = read.await.map_err(|_stopping| Status::from(status::STOPPED))?;
    read.map_err(|error| status::unreadable(&error))
}

/// The last message: what is left to say, and no rows.
async fn finish(
    edge: &Arc<Edge>,
    query: Range,
    at: i64,
    sent: i64,
    sender: &Sender,
) -> Result<(), Status> {
    let reader = edge.context.reader.clone();
    let only_count = query.count_only;
    let counting = Range { count_only: true, revision: at, ..query };
    let counted = tokio::task::spawn_blocking(move || reader.range(&counting, &mut |_row| ()));
    let counted = counted.await.map_err(|_stopping| Status::from(status::STOPPED))?;
    let counted = counted.map_err(|error| status::unreadable(&error))?;
    let last = pb::RangeStreamResponse {
        range_response: Some(pb::RangeResponse {
            header: Some(header::at(&edge.context, counted.revision)),
            kvs: Vec::new(),
            more: !only_count && sent < counted.summary.count,
            count: counted.summary.count,
        }),
    };
    drop(sender.send(Ok(Reply::of(&last))).await);
    Ok(())
}
