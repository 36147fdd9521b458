//! JSON as it is answered.

use metastore_proto::environment::harmless_json;
use serde::Serialize;

/// A document of this value, which may be printed anywhere.
pub fn text(value: &impl Serialize) -> String {
    let document = serde_json::to_string(value);
    harmless_json(&document.expect("texts, numbers and lists can always be written"))
}
