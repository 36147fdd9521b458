//! The service KV: range, put, delete, txn, compact. RangeStream is in `range_stream.rs`.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use metastore_proto::etcdserverpb as pb;
use prost::Message;
use tonic::Status;

use super::rows::Rows;
use super::{check, convert, header, status};
use crate::api::edge::Edge;
use crate::api::rpc::Reply;
use crate::domain::command::{Command, DeleteRange, Range, Txn};
use crate::domain::effects::Response;
use crate::domain::mvcc::range::Summary;
use crate::domain::{KeyValue, Rejection, RowRef};
use crate::replica::{Answered, Unreadable};

/// What etcd's raft payload has beside the request: header, field number, length.
const PAYLOAD_OVERHEAD: usize = 20;

pub async fn range(edge: Arc<Edge>, request: pb::RangeRequest) -> Result<Reply, Status> {
    check::range(&request)?;
    if !request.serializable {
        edge.linearize().await?;
    }
    let query = convert::range(request);
    edge.context.metrics.ranges.inc();
    if is_get(&query) {
        return get(&edge, &query);
    }
    let mut rows = Rows::default();
    let take = &mut |row: RowRef<'_>| rows.append(row);
    let short = edge.context.reader.short_range(&query, take);
    match short.map_err(|error| status::unreadable(&error))? {
        Some(answered) => Ok(range_reply(&edge, answered, rows)),
        None => long_range(edge, query).await,
    }
}

/// One key, now: what most reads are.
fn is_get(query: &Range) -> bool {
    query.range.as_single().is_some()
        && query.revision == 0
        && !query.keys_only
        && !query.count_only
        && !query.is_filtered()
}

fn get(edge: &Edge, query: &Range) -> Result<Reply, Status> {
    let found = edge.context.reader.get(query.range.start());
    let (version, revision) = found.map_err(|fault| status::fault(&fault))?;
    let count = i64::from(version.is_some());
    let mut row = BytesMut::new();
    if let Some(version) = version {
        let kv = KeyValue { key: query.range.start().clone(), version };
        convert::append_row(&mut row, kv.as_row());
    }
    let summary = Summary { more: false, count };
    let head = range_head(edge, Answered { summary, revision });
    Ok(Reply::new(head, row.freeze()))
}

/// A read that takes its time takes it on the pool.
async fn long_range(edge: Arc<Edge>, query: Range) -> Result<Reply, Status> {
    let reader = edge.context.reader.clone();
    let read = tokio::task::spawn_blocking(move || {
        let mut rows = Rows::default();
        let answered = reader.range(&query, &mut |row| rows.append(row))?;
        Ok::<_, Unreadable>((answered, rows))
    });
    let read = read.await.map_err(|_stopping| Status::from(status::STOPPED))?;
    let (answered, rows) = read.map_err(|error| status::unreadable(&error))?;
    Ok(range_reply(&edge, answered, rows))
}

/// The rows are encoded already; protobuf does not mind in which order fields come.
fn range_reply(edge: &Edge, answered: Answered, rows: Rows) -> Reply {
    let (body, rest) = rows.finish();
    Reply { head: range_head(edge, answered), body, rest }
}

/// All of the answer but its rows.
fn range_head(edge: &Edge, answered: Answered) -> Bytes {
    let head = pb::RangeResponse {
        header: Some(header::at(&edge.context, answered.revision)),
        kvs: Vec::new(),
        more: answered.summary.more,
        count: answered.summary.count,
    };
    head.encode_to_vec().into()
}

pub async fn put(edge: Arc<Edge>, request: pb::PutRequest) -> Result<Reply, Status> {
    check::put(&request)?;
    check_size(&edge, &request)?;
    let (response, revision) = edge.propose(Command::Put(convert::put(request))).await?;
    let Response::Put { previous } = response else {
        return Err(unexpected());
    };
    edge.context.metrics.puts.inc();
    Ok(Reply::of(&pb::PutResponse {
        header: Some(header::at(&edge.context, revision)),
        prev_kv: previous.map(convert::key_value),
    }))
}

pub async fn delete(edge: Arc<Edge>, request: pb::DeleteRangeRequest) -> Result<Reply, Status> {
    check::delete(&request)?;
    check_size(&edge, &request)?;
    let delete = convert::delete(request);
    check_room(&edge, &delete)?;
    let command = Command::DeleteRange(delete);
    let (response, revision) = edge.propose(command).await?;
    let Response::DeleteRange { deleted, previous } = response else {
        return Err(unexpected());
    };
    edge.context.metrics.deletes.inc();
    Ok(Reply::of(&pb::DeleteRangeResponse {
        header: Some(header::at(&edge.context, revision)),
        deleted,
        prev_kvs: previous.into_iter().map(convert::key_value).collect(),
    }))
}

/// A transaction of nothing but ranges is served like a read.
pub async fn txn(edge: Arc<Edge>, request: pb::TxnRequest) -> Result<Reply, Status> {
    check::txn(&request, edge.context.limits.txn_operations)?;
    check_size(&edge, &request)?;
    edge.context.metrics.txns.inc();
    let (is_read, is_serializable) = reads_only(&request);
    let txn = convert::txn(request);
    let (succeeded, responses, revision) = if is_read {
        read_txn(&edge, txn, is_serializable).await?
    } else {
        write_txn(&edge, txn).await?
    };
    let header = Some(header::at(&edge.context, revision));
    Ok(Reply::of(&pb::TxnResponse { header, succeeded, responses }))
}

type TxnAnswer = (bool, Vec<pb::ResponseOp>, i64);

async fn write_txn(edge: &Edge, txn: Txn) -> Result<TxnAnswer, Status> {
    let (response, revision) = edge.propose(Command::Txn(txn)).await?;
    let Response::Txn(response) = response else {
        return Err(unexpected());
    };
    let (succeeded, responses) = convert::txn_response(response);
    Ok((succeeded, responses, revision))
}

/// Whether there is nothing but ranges in it, and whether all of them are serializable.
fn reads_only(request: &pb::TxnRequest) -> (bool, bool) {
    let operations = || request.success.iter().chain(&request.failure);
    let range = |operation: &pb::RequestOp| match &operation.request {
        Some(pb::request_op::Request::RequestRange(range)) => Some(range.serializable),
        _ => None,
    };
    let is_read = operations().all(|it| range(it).is_some());
    (is_read, operations().all(|it| range(it) == Some(true)))
}

async fn read_txn(edge: &Edge, txn: Txn, is_serializable: bool) -> Result<TxnAnswer, Status> {
    if !is_serializable {
        edge.linearize().await?;
    }
    let reader = edge.context.reader.clone();
    let read = tokio::task::spawn_blocking(move || reader.txn(txn));
    let read = read.await.map_err(|_stopping| Status::from(status::STOPPED))?;
    let (response, revision) = read.map_err(|error| status::unreadable(&error))?;
    let (succeeded, responses) = convert::txn_response(response);
    Ok((succeeded, responses, revision))
}

pub async fn compact(edge: Arc<Edge>, request: pb::CompactionRequest) -> Result<Reply, Status> {
    let revision = request.revision;
    let (_response, newest) = edge.propose(Command::Compact { revision }).await?;
    if request.physical && !edge.context.reclaim.wait(revision).await {
        return Err(status::STOPPED.into());
    }
    let header = Some(header::at(&edge.context, newest));
    Ok(Reply::of(&pb::CompactionResponse { header }))
}

/// A delete of many keys needs room for the history that it makes.
fn check_room(edge: &Edge, delete: &DeleteRange) -> Result<(), Status> {
    if delete.range.as_single().is_some() {
        return Ok(());
    }
    let counting = Range { count_only: true, ..Range::of(delete.range.clone()) };
    let counted = edge.context.reader.range(&counting, &mut |_row| ());
    let keys = counted.map_err(|error| status::unreadable(&error))?.summary.count;
    if edge.context.quota.admits_delete(keys) {
        return Ok(());
    }
    Err(status::rejected(Rejection::NoSpace))
}

/// etcd measures the request as it goes into the raft log.
fn check_size(edge: &Edge, request: &impl Message) -> Result<(), Status> {
    let bytes = request.encoded_len() + PAYLOAD_OVERHEAD;
    if bytes > edge.context.limits.request_bytes {
        return Err(status::REQUEST_TOO_LARGE.into());
    }
    Ok(())
}

pub(super) fn unexpected() -> Status {
    Status::internal("metastore: the answer belongs to another kind of command")
}
