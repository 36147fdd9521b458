//! Entries of the raft log (`core/src/raft/payload.rs`).

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use metastore_core::raft::payload;

fuzz_target!(|data: &[u8]| {
    let Ok(proposal) = payload::decode(Bytes::copy_from_slice(data)) else { return };
    let encoded = Bytes::from(payload::encode(&proposal));
    let again = payload::decode(encoded.clone()).expect("what was encoded decodes");
    assert_eq!(again, proposal);
    assert_eq!(payload::encode(&again), encoded, "one proposal has one encoding");
});
