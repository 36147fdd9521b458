//! Everything that the sidecar knows, for people: one value, shown by the page, in a terminal and
//! as JSON.
//!
//! ```text
//!  Known ─► compose ─► Report ─┬─► rows ─┬─► page (HTML)
//!             ▲                │         └─► text (terminals)
//!          history             └─► JSON ─► `metastore-sidecar status`
//! ```
//!
//! Words and units are made once, in [`rows`] and [`words`]: HTML and text differ in their markup only.

pub mod advice;
pub mod compose;
pub mod drawing;
pub mod history;
pub mod model;
pub mod rows;
pub mod text;
pub mod words;

pub use compose::{Facts, compose};
pub use history::{Historian, LastHour};
pub use model::Report;

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
