//! The service Watch.
//!
//! [`Watching`] is one serving thread's: it asks the hub who gets what, encodes each share once
//! and puts it into the outboxes. A stream whose outbox is full lags, and holds nothing.

mod encode;
mod outbox;
mod stream;
mod watching;

pub use stream::watch;
pub use watching::Watching;
