//! Which keys a request means.

use bytes::Bytes;

/// A set of neighbouring keys, as etcd's `key` and `range_end` say it: see [`Self::from_wire`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyRange {
    start: Bytes,
    end: End,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum End {
    /// Just the key at `start`.
    Single,
    Before(Bytes),
    Unbounded,
}

impl KeyRange {
    /// No `range_end`: one key. `"\0"`: every key from `key` on. Otherwise `[key, range_end)`,
    /// which is empty when it is inverted.
    pub fn from_wire(key: Bytes, range_end: Bytes) -> Self {
        let end = match range_end.as_ref() {
            [] => End::Single,
            [0] => End::Unbounded,
            _ => End::Before(range_end),
        };
        Self { start: key, end }
    }

    pub fn single(key: Bytes) -> Self {
        Self { start: key, end: End::Single }
    }

    /// Keys from `start` up to, not including, `end`; without one, all from `start` on.
    pub fn between(start: Bytes, end: Option<Bytes>) -> Self {
        Self { start, end: end.map_or(End::Unbounded, End::Before) }
    }

    /// Every key there is.
    pub fn all() -> Self {
        Self { start: Bytes::new(), end: End::Unbounded }
    }

    /// The same keys, from `start` on; for reading on after a page.
    pub fn starting_at(&self, start: Bytes) -> Self {
        Self { start, end: self.end.clone() }
    }

    /// The one key, if this can hold only one.
    pub fn as_single(&self) -> Option<&Bytes> {
        match self.end {
            End::Single => Some(&self.start),
            End::Before(_) | End::Unbounded => None,
        }
    }

    pub fn start(&self) -> &Bytes {
        &self.start
    }

    /// The first key after the range; `None` when there is no bound. A single key ends before
    /// its own successor, which is not allocated: ask [`Self::as_single`] first.
    pub fn end(&self) -> Option<&Bytes> {
        match &self.end {
            End::Before(end) => Some(end),
            End::Single | End::Unbounded => None,
        }
    }

    pub fn is_empty(&self) -> bool {
        matches!(&self.end, End::Before(end) if *end <= self.start)
    }

    pub fn contains(&self, key: &[u8]) -> bool {
        match &self.end {
            End::Single => key == self.start,
            End::Before(end) => self.start.as_ref() <= key && key < end.as_ref(),
            End::Unbounded => self.start.as_ref() <= key,
        }
    }

    /// The `range_end` that a client would have sent.
    pub fn wire_end(&self) -> Bytes {
        match &self.end {
            End::Single => Bytes::new(),
            End::Before(end) => end.clone(),
            End::Unbounded => Bytes::from_static(b"\0"),
        }
    }
}

/// Copies a key out of the request that brought it, so that what outlives the request does not
/// pin its whole buffer.
pub fn detached(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(key: &'static str, end: &'static str) -> KeyRange {
        KeyRange::from_wire(Bytes::from_static(key.as_bytes()), Bytes::from_static(end.as_bytes()))
    }

    #[test]
    fn a_key_without_an_end_holds_only_itself() {
        assert!(range("a", "").contains(b"a"));
        assert!(!range("a", "").contains(b"a\0"));
    }

    #[test]
    fn an_end_of_zero_has_no_bound() {
        assert!(range("b", "\0").contains(b"zz"));
        assert!(!range("b", "\0").contains(b"a"));
    }

    #[test]
    fn an_inverted_range_is_empty() {
        assert!(range("b", "a").is_empty());
        assert!(range("b", "b").is_empty());
        assert!(!range("b", "c").is_empty());
        assert!(!range("b", "a").contains(b"b"));
    }
}
