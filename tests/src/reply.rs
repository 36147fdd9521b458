//! What a client is told, in the words of the wire, so that answers of the model, of the replica
//! and of a real server compare with `==`.

use metastore_core::domain::alarm::Alarm;
use metastore_core::domain::effects::{
    Event, OperationResponse, RangeResponse, Response, TxnResponse,
};
use metastore_core::domain::{KeyValue, Version};
use metastore_proto::mvccpb;

pub type Kv = mvccpb::KeyValue;

/// What a range says.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub kvs: Vec<Kv>,
    pub more: bool,
    pub count: i64,
}

/// The answer to a command, or to one operation of a transaction.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Put {
        previous: Option<Kv>,
    },
    DeleteRange {
        deleted: i64,
        previous: Vec<Kv>,
    },
    Range(Found),
    /// Each operation's answer, with the store's revision right after it.
    Txn {
        succeeded: bool,
        results: Vec<(i64, Reply)>,
    },
    Compact,
    LeaseGrant {
        id: i64,
        ttl: i64,
    },
    LeaseRevoke,
    Alarms(Vec<Alarm>),
    PublishMember,
}

pub fn kv(kv: &KeyValue) -> Kv {
    version(&kv.key, &kv.version)
}

fn version(key: &bytes::Bytes, version: &Version) -> Kv {
    let fields = version.fields();
    Kv {
        key: key.clone(),
        create_revision: fields.create,
        mod_revision: fields.modified,
        version: fields.version,
        value: version.value(),
        lease: fields.lease,
    }
}

/// The event as a watch with or without `prev_kv` shows it.
pub fn event(event: &Event, prev_kv: bool) -> mvccpb::Event {
    let mod_revision = event.at.main;
    let tombstone = || Kv { key: event.key.clone(), mod_revision, ..Kv::default() };
    let previous = event.previous.as_ref().filter(|_| prev_kv);
    mvccpb::Event {
        r#type: i32::from(event.version.is_none()),
        kv: Some(event.version.as_ref().map_or_else(tombstone, |it| version(&event.key, it))),
        prev_kv: previous.map(|it| version(&event.key, it)),
    }
}

fn kvs(found: &[KeyValue]) -> Vec<Kv> {
    found.iter().map(kv).collect()
}

impl From<&Response> for Reply {
    fn from(response: &Response) -> Self {
        match response {
            Response::Put { previous } => Self::Put { previous: previous.as_ref().map(kv) },
            Response::DeleteRange { deleted, previous } => {
                Self::DeleteRange { deleted: *deleted, previous: kvs(previous) }
            }
            Response::Txn(txn) => txn.into(),
            Response::Compact => Self::Compact,
            Response::LeaseGrant { id, ttl } => Self::LeaseGrant { id: *id, ttl: *ttl },
            Response::LeaseRevoke => Self::LeaseRevoke,
            Response::Alarms(alarms) => Self::Alarms(alarms.clone()),
            Response::PublishMember => Self::PublishMember,
        }
    }
}

impl From<&TxnResponse> for Reply {
    fn from(txn: &TxnResponse) -> Self {
        let results = txn.results.iter();
        Self::Txn {
            succeeded: txn.succeeded,
            results: results.map(|it| (it.revision, (&it.response).into())).collect(),
        }
    }
}

impl From<&OperationResponse> for Reply {
    fn from(response: &OperationResponse) -> Self {
        match response {
            OperationResponse::Range(RangeResponse { kvs: found, more, count }) => {
                Self::Range(Found { kvs: kvs(found), more: *more, count: *count })
            }
            OperationResponse::Put { previous } => {
                Self::Put { previous: previous.as_ref().map(kv) }
            }
            OperationResponse::DeleteRange { deleted, previous } => {
                Self::DeleteRange { deleted: *deleted, previous: kvs(previous) }
            }
            OperationResponse::Txn(nested) => nested.into(),
        }
    }
}
