//! What each kind of call asks, and what a right answer holds.

use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use metastore_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use metastore_proto::etcdserverpb::request_op::Request;
use metastore_proto::etcdserverpb::{
    Compare, PutRequest, PutResponse, RangeRequest, RangeResponse, RequestOp, TxnRequest,
    TxnResponse,
};
use rand::Rng;
use rand::rngs::SmallRng;

use crate::Failure;
use crate::keyspace::Keyspace;
use crate::options::Options;
use crate::wire::{Answer, Method, encode};

/// What a load consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mix {
    Put,
    /// Linearizable.
    Get,
    SerializableGet,
    /// `limit` neighbouring keys, without a limit in the request.
    Range,
    /// The first `limit` of (nearly) all keys, at `revision`.
    Page,
    /// A put under the condition that the key exists.
    Txn,
    /// 20 % put, 80 % get.
    PutAndGet,
    /// Puts in the order of the keys, `total` of them.
    Fill,
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Put,
    Range { keys: u32 },
    Txn,
}

/// A request ready to send, and how to judge its answer.
pub(crate) struct Prepared {
    call: Call,
    pub(crate) method: Method,
    pub(crate) message: Bytes,
}

/// Makes the requests of a mix.
pub(crate) struct Work {
    mix: Mix,
    options: Rc<Options>,
    keyspace: Keyspace,
    put: Method,
    range: Method,
    txn: Method,
}

impl Work {
    pub(crate) fn new(mix: Mix, options: Rc<Options>) -> Result<Self, Failure> {
        let method = |path| Method::new(options.endpoint, path);
        Ok(Self {
            mix,
            keyspace: Keyspace::new(&options),
            put: method("/etcdserverpb.KV/Put")?,
            range: range_method(options.endpoint)?,
            txn: method("/etcdserverpb.KV/Txn")?,
            options,
        })
    }

    /// The `number`-th request of the load.
    pub(crate) fn prepare(&self, number: u64, rng: &mut SmallRng) -> Prepared {
        let keys = self.options.keys;
        let any = rng.random_range(0..keys);
        match self.mix {
            Mix::Fill => self.prepare_put(number % keys, rng),
            Mix::Put => self.prepare_put(any, rng),
            Mix::PutAndGet if rng.random_ratio(1, 5) => self.prepare_put(any, rng),
            Mix::Get | Mix::PutAndGet => self.prepare_range(RangeRequest {
                key: self.keyspace.key(any),
                ..RangeRequest::default()
            }),
            Mix::SerializableGet => self.prepare_range(RangeRequest {
                key: self.keyspace.key(any),
                serializable: true,
                ..RangeRequest::default()
            }),
            Mix::Range => {
                let limit = u64::from(self.options.limit);
                let first = rng.random_range(0..keys - limit);
                self.prepare_range(RangeRequest {
                    key: self.keyspace.key(first),
                    range_end: self.keyspace.key(first + limit),
                    ..RangeRequest::default()
                })
            }
            Mix::Page => self.prepare_range(RangeRequest {
                // Not always the same page, and still nearly all keys behind it.
                key: self.keyspace.key(any / 100),
                range_end: self.keyspace.end(),
                limit: self.options.limit.into(),
                revision: self.options.revision,
                ..RangeRequest::default()
            }),
            Mix::Txn => self.prepare_txn(any, rng),
        }
    }

    fn prepare_put(&self, number: u64, rng: &mut SmallRng) -> Prepared {
        let request = PutRequest {
            key: self.keyspace.key(number),
            value: self.keyspace.value(rng),
            ..PutRequest::default()
        };
        Prepared { call: Call::Put, method: self.put.clone(), message: encode(&request) }
    }

    fn prepare_range(&self, request: RangeRequest) -> Prepared {
        let keys = if request.range_end.is_empty() { 1 } else { self.options.limit };
        Prepared {
            call: Call::Range { keys },
            method: self.range.clone(),
            message: encode(&request),
        }
    }

    fn prepare_txn(&self, number: u64, rng: &mut SmallRng) -> Prepared {
        let key = self.keyspace.key(number);
        let exists = Compare {
            result: CompareResult::Greater.into(),
            target: CompareTarget::Mod.into(),
            key: key.clone(),
            target_union: Some(TargetUnion::ModRevision(0)),
            ..Compare::default()
        };
        let put = PutRequest {
            key: key.clone(),
            value: self.keyspace.value(rng),
            ..PutRequest::default()
        };
        let get = RangeRequest { key, ..RangeRequest::default() };
        let branch = |request| vec![RequestOp { request: Some(request) }];
        let request = TxnRequest {
            compare: vec![exists],
            success: branch(Request::RequestPut(put)),
            failure: branch(Request::RequestRange(get)),
        };
        Prepared { call: Call::Txn, method: self.txn.clone(), message: encode(&request) }
    }
}

pub(crate) fn range_method(endpoint: SocketAddr) -> Result<Method, Failure> {
    Method::new(endpoint, "/etcdserverpb.KV/Range")
}

impl Prepared {
    /// Decodes the answer: a fast server that answers something else is not fast.
    pub(crate) fn judge(&self, answer: &Answer) -> Result<(), Failure> {
        match self.call {
            Call::Put => {
                let header = answer.decode::<PutResponse>()?.header;
                let revision = header.map_or(0, |header| header.revision);
                expect("a put has a revision", 1, i64::from(revision > 0))
            }
            Call::Range { keys } => {
                let found = answer.decode::<RangeResponse>()?.kvs.len();
                expect("keys", keys.into(), i64::try_from(found)?)
            }
            Call::Txn => {
                let succeeded = answer.decode::<TxnResponse>()?.succeeded;
                expect("the condition holds", 1, succeeded.into())
            }
        }
    }
}

fn expect(what: &str, right: i64, found: i64) -> Result<(), Failure> {
    if right == found { Ok(()) } else { Err(format!("{what}: {found} instead of {right}").into()) }
}
