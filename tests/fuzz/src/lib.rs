//! How the targets cut their input, and how seeds are put together so that it can be cut.

use metastore_core::store::Column;

/// Bytes from the fuzzer, taken from the front; `None` when they run out.
pub struct Input<'d> {
    rest: &'d [u8],
}

impl<'d> Input<'d> {
    pub fn new(data: &'d [u8]) -> Self {
        Self { rest: data }
    }

    fn take(&mut self, len: usize) -> Option<&'d [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// Numbers of 8 bytes each.
    pub fn numbers<const N: usize>(&mut self) -> Option<[u64; N]> {
        let (chunks, _) = self.take(8 * N)?.as_chunks::<8>();
        let chunks: [[u8; 8]; N] = chunks.try_into().ok()?;
        Some(chunks.map(u64::from_be_bytes))
    }

    /// Bytes behind their length in one byte.
    pub fn short_bytes(&mut self) -> Option<&'d [u8]> {
        let len = self.byte()?;
        self.take(len.into())
    }

    /// Bytes behind their length in two bytes.
    pub fn bytes(&mut self) -> Option<&'d [u8]> {
        let len = [self.byte()?, self.byte()?];
        self.take(u16::from_be_bytes(len).into())
    }

    /// A row of the store: see [`put_row`].
    pub fn row(&mut self) -> Option<(Column, &'d [u8], &'d [u8])> {
        let column = usize::from(self.byte()?) % Column::ALL.len();
        let (key, value) = (self.byte()?, self.byte()?);
        Some((Column::ALL[column], self.take(key.into())?, self.take(value.into())?))
    }
}

/// Appends what [`Input::short_bytes`] takes.
pub fn put_short_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(u8::try_from(bytes.len()).expect("seeds are short"));
    out.extend_from_slice(bytes);
}

/// Appends what [`Input::bytes`] takes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u16::try_from(bytes.len()).expect("seeds are short").to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends what [`Input::row`] takes.
pub fn put_row(out: &mut Vec<u8>, column: Column, key: &[u8], value: &[u8]) {
    let len = |bytes: &[u8]| u8::try_from(bytes.len()).expect("seeds are short");
    out.extend_from_slice(&[column as u8, len(key), len(value)]);
    out.extend_from_slice(key);
    out.extend_from_slice(value);
}
