//! The file IDENTITY (`core/src/store/directory.rs`).

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use metastore_core::store::columns::FORMAT;
use metastore_core::store::directory::{Directory, Identity};

fuzz_target!(|data: &[u8]| {
    // In memory where there is such a place: the file is made anew each time.
    let base = Path::new("/dev/shm");
    let place = if base.is_dir() { tempfile::tempdir_in(base) } else { tempfile::tempdir() };
    let place = place.expect("a temporary directory");
    read(place.path(), data);
    // No chance finds a checksum: so what is inside gets the right one.
    if let Ok(identity) = serde_json::from_slice::<Identity>(data) {
        let checksum = crc32c::crc32c(&serde_json::to_vec(&identity).expect("it is JSON"));
        let sealed = serde_json::json!({ "identity": identity, "checksum": checksum });
        let found = read(place.path(), sealed.to_string().as_bytes());
        assert_eq!(found.is_some(), identity.format == FORMAT, "{identity:?}");
    }
});

/// What is read can be written and read again.
fn read(place: &Path, text: &[u8]) -> Option<Identity> {
    std::fs::write(place.join("IDENTITY"), text).expect("a file is written");
    let directory = Directory::take(place).expect("nobody else has it");
    let identity = directory.identity().ok()??;
    directory.begin().expect("a mark is made");
    directory.finish(&identity).expect("it is written");
    assert_eq!(directory.identity().expect("it is sound"), Some(identity.clone()));
    Some(identity)
}
