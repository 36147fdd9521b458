//! Put: a new version of one key.

use crate::domain::command::Put;
use crate::domain::lease::Leases;
use crate::domain::{Fault, KeyValue, Rejection, Version, View};

use super::Writer;

/// Checks the put, then does it. Answers the previous version when the put asks for it.
pub fn checked<V: View>(
    writer: &mut Writer<'_, '_, V>,
    leases: &Leases,
    put: Put,
) -> Result<Result<Option<KeyValue>, Rejection>, Fault> {
    match check(writer.view(), leases, &put)? {
        Ok(()) => run(writer, put).map(Ok),
        Err(rejection) => Ok(Err(rejection)),
    }
}

/// Whether the put may happen: its lease exists, and so does the key if a part of it is kept.
pub fn check(view: &impl View, leases: &Leases, put: &Put) -> Result<Result<(), Rejection>, Fault> {
    if put.lease != 0 && !leases.contains(put.lease) {
        return Ok(Err(Rejection::LeaseNotFound(put.lease)));
    }
    if (put.ignore_value || put.ignore_lease) && view.live(&put.key)?.is_none() {
        return Ok(Err(Rejection::KeyNotFound));
    }
    Ok(Ok(()))
}

/// Does a put that was checked.
pub fn run<V: View>(writer: &mut Writer<'_, '_, V>, put: Put) -> Result<Option<KeyValue>, Fault> {
    let old = writer.view().live(&put.key)?;
    let previous = old.clone();
    let seen = previous.as_ref().map(Version::fields).unwrap_or_default();
    let value = if put.ignore_value { seen.value } else { put.value.as_ref() };
    let lease = if put.ignore_lease { seen.lease } else { put.lease };
    writer.set(put.key.clone(), old, |at| {
        let create = if seen.version == 0 { at.main } else { seen.create };
        Version::encode(create, at, seen.version + 1, value, lease)
    })?;
    Ok(previous.filter(|_| put.prev_kv).map(|version| KeyValue { key: put.key, version }))
}
