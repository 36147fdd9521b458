//! Single calls that prepare a measurement.

use std::time::Duration;

use metastore_proto::etcdserverpb::{CompactionRequest, RangeRequest, RangeResponse};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::Failure;
use crate::keyspace::Keyspace;
use crate::measure::Stretch;
use crate::options::Options;
use crate::wire::{Connection, Method, encode};
use crate::work::range_method;

/// Between two attempts to reach a server that starts.
const RETRY: Duration = Duration::from_millis(2);

/// The store's revision.
pub(crate) async fn revision(options: &Options) -> Result<Value, Failure> {
    let header = read(options).await?.header.unwrap_or_default();
    Ok(json!({ "revision": header.revision }))
}

/// Compacts up to `--revision`, and how long the server took to say yes.
pub(crate) async fn compact(options: &Options) -> Result<Value, Failure> {
    let connection = Connection::open(options.endpoint).await?;
    let method = Method::new(options.endpoint, "/etcdserverpb.KV/Compact")?;
    let request = CompactionRequest { revision: options.revision, ..CompactionRequest::default() };
    let stretch = Stretch::begin(options.pid);
    connection.call(&method, encode(&request)).await?;
    Ok(stretch.report(1).into())
}

/// Waits until the server answers a linearizable read.
pub(crate) async fn first_read(options: &Options) -> Result<Value, Failure> {
    let stretch = Stretch::begin(options.pid);
    while read(options).await.is_err() {
        sleep(RETRY).await;
    }
    Ok(stretch.report(1).into())
}

async fn read(options: &Options) -> Result<RangeResponse, Failure> {
    let connection = Connection::open(options.endpoint).await?;
    let request = RangeRequest { key: Keyspace::new(options).key(0), ..RangeRequest::default() };
    let method = range_method(options.endpoint)?;
    connection.call(&method, encode(&request)).await?.decode()
}
