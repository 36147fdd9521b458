//! Rows of an answer, encoded as they come, in parts that never move.

use bytes::{Bytes, BytesMut};

use super::convert;
use crate::domain::RowRef;

/// Whole HTTP/2 frames as every client takes them (16 KiB).
const PART_BYTES: usize = 64 << 10;
/// Room beyond that for the row that crosses the end.
const SPARE_BYTES: usize = 4 << 10;

/// Encoded rows.
#[derive(Debug, Default)]
pub struct Rows {
    /// Of [`PART_BYTES`] each.
    full: Vec<Bytes>,
    open: BytesMut,
}

impl Rows {
    pub fn append(&mut self, row: RowRef<'_>) {
        if self.open.capacity() == 0 {
            self.open.reserve(PART_BYTES + SPARE_BYTES);
        }
        convert::append_row(&mut self.open, row);
        if self.open.len() < PART_BYTES {
            return;
        }
        while self.open.len() >= PART_BYTES {
            self.full.push(self.open.split_to(PART_BYTES).freeze());
        }
        // What is left lies in the memory of the last full part.
        let mut open = BytesMut::with_capacity(PART_BYTES + SPARE_BYTES);
        open.extend_from_slice(&self.open);
        self.open = open;
    }

    /// The first part, and those that follow it.
    pub fn finish(self) -> (Bytes, Vec<Bytes>) {
        let Self { full, open } = self;
        let mut parts = full.into_iter();
        match parts.next() {
            None => (open.freeze(), Vec::new()),
            Some(first) => (first, parts.chain([open.freeze()]).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Revision, Version};

    #[test]
    fn parts_are_full_but_for_the_last_and_together_all_rows() {
        let version = Version::encode(2, Revision::new(2, 0), 1, &[7; 999], 0);
        for count in [0, 1, 60, 70, 300] {
            let (mut rows, mut whole) = (Rows::default(), BytesMut::new());
            for number in 0..count {
                let key = format!("{number:05}");
                let row = RowRef {
                    key: key.as_bytes(),
                    modified: version.modified,
                    fields: &version.fields,
                };
                rows.append(row);
                convert::append_row(&mut whole, row);
            }
            let (first, rest) = rows.finish();
            let parts: Vec<Bytes> = std::iter::once(first).chain(rest).collect();
            let (_last, full) = parts.split_last().unwrap();
            assert!(full.iter().all(|part| part.len() == PART_BYTES));
            assert_eq!(parts.concat(), whole);
        }
    }

    #[test]
    fn a_row_longer_than_a_part_is_cut() {
        let version = Version::encode(2, Revision::new(2, 0), 1, &[7; 3 * PART_BYTES], 0);
        let mut rows = Rows::default();
        rows.append(RowRef { key: b"k", modified: version.modified, fields: &version.fields });
        let (first, rest) = rows.finish();
        assert_eq!((first.len(), rest.len()), (PART_BYTES, 3));
    }
}
