//! RangeStream: a range in messages of about one request's size.
//!
//! All messages are read at the revision of the first, which is the header's: whoever watches from
//! there on misses nothing. Header, `more` and `count` come with the last rows; only an empty range
//! has a message without rows, because clients take such a one, where more may follow, for an error.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use metastore_proto::etcdserverpb as pb;
use pb::range_request::SortOrder;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{check, convert, header, status};
use crate::api::edge::{Edge, UnderWay};
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
    let under_way = UnderWay::on(&edge);
    tokio::spawn(async move {
        if let Err(status) = stream(&edge, query, &sender).await {
            // The client may have gone.
            drop(sender.send(Err(status)).await);
        }
    });
    Ok(Box::pin(ReceiverStream::new(receiver).map(move |message| {
        let _until_all_are_handed_on = &under_way;
        message
    })))
}

type Sender = mpsc::Sender<Result<Reply, Status>>;

async fn stream(edge: &Arc<Edge>, query: Range, sender: &Sender) -> Result<(), Status> {
    if query.count_only {
        let (count, revision) = count(edge, query).await?;
        return send(sender, said(edge, revision, false, count), Bytes::new()).await;
    }
    let mut left = if query.limit > 0 { query.limit } else { i64::MAX };
    let mut page = Range { limit: FIRST_ROWS.min(left), ..query.clone() };
    let mut sent = 0;
    let mut first_newest = None;
    loop {
        let read = read_page(edge, page.clone()).await?;
        let newest = *first_newest.get_or_insert(read.newest);
        (sent, left) = (sent + read.taken, left - read.taken);
        if page.revision <= 0 {
            page.revision = newest;
        }
        if read.more {
            page.range = query.range.starting_at(successor(&read.last));
        }
        if !read.more || left == 0 {
            let rest = if read.more { count(edge, page).await?.0 } else { 0 };
            return send(sender, said(edge, newest, read.more, sent + rest), read.rows).await;
        }
        page.limit = next_limit(page.limit, read.rows.len(), edge.context.limits.request_bytes);
        page.limit = page.limit.min(left);
        send(sender, pb::RangeResponse::default(), read.rows).await?;
    }
}

/// So that the next message comes near `target` bytes.
fn next_limit(limit: i64, bytes: usize, target: usize) -> i64 {
    let next = match bytes {
        few if few < target / 2 => limit * 2,
        many if many > target * 2 => limit / 2,
        _ => limit,
    };
    next.clamp(1, ROWS_MAX)
}

fn said(edge: &Edge, revision: i64, more: bool, count: i64) -> pb::RangeResponse {
    let header = Some(header::at(&edge.context, revision));
    pb::RangeResponse { header, kvs: Vec::new(), more, count }
}

/// The rows are fields of the `RangeResponse` inside a `RangeStreamResponse`, as `said` is: fields
/// of a message come in any order.
async fn send(sender: &Sender, said: pb::RangeResponse, rows: Bytes) -> Result<(), Status> {
    const RANGE_RESPONSE_TAG: u8 = (1 << 3) | 2;
    let said_len = said.encoded_len();
    let mut head = BytesMut::with_capacity(8 + said_len);
    head.put_u8(RANGE_RESPONSE_TAG);
    put_varint(&mut head, (said_len + rows.len()) as u64);
    said.encode_raw(&mut head);
    let reply = Reply::new(head.freeze(), rows);
    sender.send(Ok(reply)).await.map_err(|_gone| Status::cancelled("the client has gone"))
}

struct Page {
    rows: Bytes,
    taken: i64,
    last: Bytes,
    more: bool,
    /// The store's newest revision when it was read.
    newest: i64,
}

async fn read_page(edge: &Arc<Edge>, page: Range) -> Result<Page, Status> {
    let reader = edge.context.reader.clone();
    // Few of the rows before say nothing of the size of those to come.
    let bytes_max = 2 * edge.context.limits.request_bytes;
    let read = tokio::task::spawn_blocking(move || {
        let mut rows = BytesMut::new();
        let mut last = Bytes::new();
        let mut taken = 0;
        let (more, newest) = reader.page(&page, &mut |row| {
            taken += 1;
            last = Bytes::copy_from_slice(row.key);
            convert::append_row(&mut rows, row);
            if rows.len() < bytes_max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(Page { rows: rows.freeze(), taken, last, more, newest })
    });
    let read = read.await.map_err(|_stopping| Status::from(status::STOPPED))?;
    read.map_err(|error| status::unreadable(&error))
}

/// The number of keys of a query's range, and the store's newest revision then.
async fn count(edge: &Arc<Edge>, query: Range) -> Result<(i64, i64), Status> {
    let reader = edge.context.reader.clone();
    let counting = Range { count_only: true, ..query };
    let counted = tokio::task::spawn_blocking(move || reader.range(&counting, &mut |_row| ()));
    let counted = counted.await.map_err(|_stopping| Status::from(status::STOPPED))?;
    let counted = counted.map_err(|error| status::unreadable(&error))?;
    Ok((counted.summary.count, counted.revision))
}
