//! Delete: the end of keys.

use std::ops::ControlFlow;

use bytes::Bytes;

use crate::domain::command::DeleteRange;
use crate::domain::{At, Fault, KeyValue, View};

use super::Writer;

/// What a delete removed.
#[derive(Debug, Default)]
pub struct Removed {
    pub count: i64,
    /// Filled only when the request asks for it.
    pub previous: Vec<KeyValue>,
}

/// Deletes every key of the range, ascending, all at one revision. Deleting nothing makes no
/// revision.
pub fn range<V: View>(
    writer: &mut Writer<'_, '_, V>,
    delete: &DeleteRange,
) -> Result<Removed, Fault> {
    let doomed = collect(writer.view(), delete)?;
    let mut removed = Removed { count: doomed.len() as i64, previous: Vec::new() };
    for kv in doomed {
        if delete.prev_kv {
            removed.previous.push(kv.clone());
        }
        writer.remove(kv.key, kv.version);
    }
    Ok(removed)
}

/// Deletes those of the keys that are live.
pub fn keys<V: View>(writer: &mut Writer<'_, '_, V>, keys: Vec<Bytes>) -> Result<(), Fault> {
    for key in keys {
        if let Some(version) = writer.view().live(&key)? {
            writer.remove(key, version);
        }
    }
    Ok(())
}

fn collect(view: &impl View, delete: &DeleteRange) -> Result<Vec<KeyValue>, Fault> {
    if let Some(key) = delete.range.as_single() {
        let version = view.live(key)?;
        return Ok(version
            .map(|version| KeyValue { key: key.clone(), version })
            .into_iter()
            .collect());
    }
    let mut found = Vec::new();
    view.scan(&delete.range, At::Now, &mut |row| {
        found.push(row.to_owned());
        ControlFlow::Continue(())
    })?;
    Ok(found)
}
