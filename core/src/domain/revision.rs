//! Positions in the history of the store.

/// A position: the revision of a transaction, and the place of one write inside it.
///
/// An empty store is at revision 1; the first write makes 2. All writes of one transaction share
/// `main` and are numbered 0, 1, 2… in `sub`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision {
    pub main: i64,
    pub sub: i64,
}

impl Revision {
    /// The revision of a store that was never written to.
    pub const FIRST: i64 = 1;

    pub const fn new(main: i64, sub: i64) -> Self {
        Self { main, sub }
    }

    /// The first position of revision `main`.
    pub const fn start_of(main: i64) -> Self {
        Self { main, sub: 0 }
    }
}
