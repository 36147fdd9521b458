//! One version of a key, kept in the form in which it travels.
//!
//! The bytes are fields 2 to 6 of etcd's `mvccpb.KeyValue` in canonical order (`create_revision`,
//! `mod_revision`, `version`, `value`, `lease`; zero fields left out). They are encoded once, when
//! the put is applied; the row on disk, the answer to a range, the watch event and HashKV all copy
//! them. In front of them the key makes a whole `KeyValue`.

use bytes::{BufMut, Bytes, BytesMut};

use super::Revision;

const CREATE_TAG: u8 = 2 << 3;
const MODIFIED_TAG: u8 = 3 << 3;
const VERSION_TAG: u8 = 4 << 3;
const VALUE_TAG: u8 = (5 << 3) | 2;
const LEASE_TAG: u8 = 6 << 3;

/// One version of a key: where it was written, and its encoded fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub modified: Revision,
    pub fields: Bytes,
}

/// A key with one of its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    pub key: Bytes,
    pub version: Version,
}

/// A key with one of its versions, borrowed from where it is stored.
#[derive(Debug, Clone, Copy)]
pub struct RowRef<'a> {
    pub key: &'a [u8],
    pub modified: Revision,
    pub fields: &'a [u8],
}

/// The decoded fields of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fields<'a> {
    pub create: i64,
    pub modified: i64,
    pub version: i64,
    pub value: &'a [u8],
    pub lease: i64,
    /// Length of the fields before the value: all that a keys-only answer carries.
    pub head_len: usize,
}

impl Version {
    pub fn encode(create: i64, modified: Revision, version: i64, value: &[u8], lease: i64) -> Self {
        let mut out = BytesMut::with_capacity(value.len() + 36);
        put_number(&mut out, CREATE_TAG, create);
        put_number(&mut out, MODIFIED_TAG, modified.main);
        put_number(&mut out, VERSION_TAG, version);
        if !value.is_empty() {
            out.put_u8(VALUE_TAG);
            put_varint(&mut out, value.len() as u64);
            out.put_slice(value);
        }
        put_number(&mut out, LEASE_TAG, lease);
        Self { modified, fields: out.freeze() }
    }

    /// The decoded fields. Rows are checked when they are read from disk
    /// (`store/codec.rs`), so that a version in memory always decodes.
    pub fn fields(&self) -> Fields<'_> {
        Fields::decode(&self.fields).unwrap_or_default()
    }

    pub fn value(&self) -> Bytes {
        self.fields.slice_ref(self.fields().value)
    }
}

impl KeyValue {
    pub fn as_row(&self) -> RowRef<'_> {
        RowRef { key: &self.key, modified: self.version.modified, fields: &self.version.fields }
    }
}

impl RowRef<'_> {
    pub fn fields(&self) -> Fields<'_> {
        Fields::decode(self.fields).unwrap_or_default()
    }

    pub fn to_owned(&self) -> KeyValue {
        KeyValue {
            key: Bytes::copy_from_slice(self.key),
            version: Version {
                modified: self.modified,
                fields: Bytes::copy_from_slice(self.fields),
            },
        }
    }
}

impl<'a> Fields<'a> {
    /// `None` when the bytes are not the canonical encoding of a version.
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut fields = Self {
            create: take_number(&mut rest, CREATE_TAG)?,
            modified: take_number(&mut rest, MODIFIED_TAG)?,
            version: take_number(&mut rest, VERSION_TAG)?,
            head_len: bytes.len() - rest.len(),
            ..Self::default()
        };
        if let [VALUE_TAG, after @ ..] = rest {
            rest = after;
            let len = usize::try_from(take_varint(&mut rest)?).ok().filter(|len| *len > 0)?;
            (fields.value, rest) = rest.split_at_checked(len)?;
        }
        fields.lease = take_number(&mut rest, LEASE_TAG)?;
        rest.is_empty().then_some(fields)
    }
}

fn put_number(out: &mut BytesMut, tag: u8, number: i64) {
    if number != 0 {
        out.put_u8(tag);
        put_varint(out, number.cast_unsigned());
    }
}

/// Appends a protobuf varint.
pub fn put_varint(out: &mut BytesMut, mut number: u64) {
    while number >= 0x80 {
        out.put_u8((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.put_u8(number as u8);
}

/// Bytes that [`put_varint`] takes for a number.
pub const fn varint_len(number: u64) -> usize {
    let bits = 64 - (number | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// A field that is absent is zero, and zero is never written out.
fn take_number(rest: &mut &[u8], tag: u8) -> Option<i64> {
    match rest {
        [first, after @ ..] if *first == tag => {
            *rest = after;
            take_varint(rest).filter(|number| *number != 0).map(u64::cast_signed)
        }
        _ => Some(0),
    }
}

/// The shortest encoding of a number; no other.
fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            let is_shortest = byte != 0 || shift == 0;
            let fits = byte <= 1 || shift < 63;
            return (is_shortest && fits).then_some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_canonical_encoding_decodes() {
        let encodings: [&[u8]; 6] = [
            // A zero that is written out; a number and a length with a needless last byte.
            &[CREATE_TAG, 0],
            &[CREATE_TAG, 0x81, 0],
            &[VALUE_TAG, 0],
            &[VALUE_TAG, 0x81, 0, b'v'],
            // More bits than a number has; fields in another order.
            &[CREATE_TAG, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
            &[MODIFIED_TAG, 1, CREATE_TAG, 1],
        ];
        for bytes in encodings {
            assert_eq!(Fields::decode(bytes), None, "{bytes:02x?}");
        }
        let largest = Version::encode(-1, Revision::new(i64::MAX, 0), 1, b"v", i64::MIN);
        assert_eq!(largest.fields().create, -1);
        assert_eq!(largest.fields().lease, i64::MIN);
    }

    proptest! {
        #[test]
        fn fields_survive_the_round_trip(
            create in 0i64.., main in 1i64.., version in 0i64.., lease: i64,
            value in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let at = Revision::new(main, 3);
            let encoded = Version::encode(create, at, version, &value, lease);
            let fields = encoded.fields();
            prop_assert_eq!(fields.create, create);
            prop_assert_eq!(fields.modified, main);
            prop_assert_eq!(fields.version, version);
            prop_assert_eq!(fields.value, &value[..]);
            prop_assert_eq!(fields.lease, lease);
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _decoded = Fields::decode(&bytes);
        }

        #[test]
        fn varint_len_is_what_put_varint_writes(number: u64) {
            let mut out = BytesMut::new();
            put_varint(&mut out, number);
            prop_assert_eq!(out.len(), varint_len(number));
        }
    }
}
