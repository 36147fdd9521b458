//! Rows of the store: what decodes is what an encoder would have written, byte for byte
//! (`core/src/store/codec.rs`, `core/src/domain/version.rs`).

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use metastore_core::domain::Version;
use metastore_core::domain::version::Fields;
use metastore_core::store::codec::{self, POSITION_LEN, StateRow};

fuzz_target!(|data: &[u8]| {
    let row = Bytes::copy_from_slice(data);
    history_key(data);
    version(&row);
    fields(data);
    event(data, &row);
    if let Some(alarms) = codec::take_alarms(data) {
        let again = codec::take_alarms(&codec::alarms(&alarms));
        assert_eq!(again, Some(alarms), "alarms");
    }
    if let Some(state) = StateRow::decode(data) {
        assert_eq!(state.encode(), data, "the state");
    }
    let (id, json) = data.split_at(data.len().min(8));
    if let Some(member) = codec::take_member(id, json) {
        assert_eq!(codec::take_member(id, &codec::member(&member)), Some(member), "a member");
    }
    assert_eq!(codec::take_number(data).map(codec::number).is_some(), data.len() == 8);
    if let Some(at) = codec::take_position(data) {
        assert_eq!(codec::position(at).as_slice(), data, "a position");
    }
    any_key_is_escaped_in_order(data);
});

fn history_key(data: &[u8]) {
    if let Some((key, at)) = codec::take_history_key(data) {
        let again = [codec::escaped(&key), codec::position(at).to_vec()].concat();
        assert_eq!(again, data, "a key of history");
        let (escaped, split_at) = codec::split_history_key(data).expect("it is a key of history");
        assert_eq!((escaped, split_at), (codec::escaped(&key).as_slice(), at));
    }
}

/// Two keys sort as their escaped forms do, whatever follows them.
fn any_key_is_escaped_in_order(data: &[u8]) {
    let (a, b) = data.split_at(data.len() / 2);
    assert_eq!(codec::escaped(a).cmp(&codec::escaped(b)), a.cmp(b));
    let (a, b) = (codec::escaped(a), codec::escaped_prefix(b));
    assert!(!a.is_empty() && a.ends_with(&[0, 1]) && !b.ends_with(&[0, 1]));
}

fn version(row: &Bytes) {
    let Some(version) = codec::take_version(row.clone()) else { return };
    let fields = version.fields();
    assert_eq!(fields.modified, version.modified.main);
    let again = Version::encode(
        fields.create,
        version.modified,
        fields.version,
        fields.value,
        fields.lease,
    );
    assert_eq!(again, version, "a version");
    assert_eq!(version.value(), fields.value);
}

fn fields(data: &[u8]) {
    let Some(fields) = Fields::decode(data) else { return };
    let at = metastore_core::domain::Revision::new(fields.modified, 0);
    let again = Version::encode(fields.create, at, fields.version, fields.value, fields.lease);
    assert_eq!(again.fields, data, "fields of a version");
}

fn event(data: &[u8], row: &Bytes) {
    let (key, rest) = data.split_at(data.len().min(POSITION_LEN));
    let row = row.slice(row.len() - rest.len()..);
    let Some(event) = codec::take_event(key, &row) else { return };
    assert_eq!(codec::position(event.at), key);
    assert_eq!([&codec::event_head(&event), &event.key[..]].concat(), row, "an event");
}
