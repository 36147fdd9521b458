//! The state machine's rows: what is kept, how it is encoded, and how it is read back.
//!
//! `columns.rs` is the page of bytes. The rows live behind the port [`Engine`]: RocksDB in
//! production, memory with crashes in the simulator.

pub mod ahead;
pub mod ballast;
pub mod batch;
pub mod codec;
pub mod columns;
pub mod counts;
pub mod directory;
pub mod engine;
pub mod hash;
pub mod memory;
pub mod open;
pub mod rocks;
pub mod view;
pub mod write_probe;

pub use ahead::Ahead;
pub use batch::Batch;
pub use columns::Column;
pub use counts::Counts;
pub use engine::{Cursor, Engine, Reads};
pub use open::{Applied, Recovered};
pub use view::Rows;

use std::sync::Arc;

use bytes::Bytes;

use crate::domain::Fault;

/// The rows of one member.
#[derive(Clone)]
pub struct Store {
    engine: Arc<dyn Engine>,
    counts: Arc<Counts>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine, counts: Arc::default() }
    }

    pub fn engine(&self) -> &dyn Engine {
        self.engine.as_ref()
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Reads the newest rows, each read by itself. For the thread that writes, and for single
    /// rows.
    pub fn newest(&self) -> Rows<'_> {
        Rows::new(self.engine.newest())
    }

    /// Reads the newest live versions of many keys at once. They are the newest until the next
    /// write, so this is for the thread that writes.
    pub fn read_ahead(&self, keys: Vec<Bytes>) -> Result<Ahead, Fault> {
        Ahead::read(self.engine.newest(), keys)
    }

    /// Runs `read` on rows that all belong to one moment. The moment must be short: RocksDB keeps
    /// everything that a snapshot can see.
    pub fn at_one_moment<T>(&self, read: impl FnOnce(&Rows<'_>) -> T) -> T {
        let snapshot = self.engine.snapshot();
        read(&Rows::counted(snapshot.as_ref(), &self.counts, self.engine.newest()))
    }
}
