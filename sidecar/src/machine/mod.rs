//! The machine that core is to run on, as far as the sidecar can see it.
//!
//! ```text
//!  facts (looks, never writes, never hangs) ──► rules (pure) ──► Found
//! ```
//!
//! Containers of a pod share the network and the volumes: that is what is looked at here. What each
//! has for itself (memory, processors, open files) core finds out about itself, and so it does with
//! what needs writing: the sidecar's mount may be read-only.

pub mod facts;
pub mod files;
pub mod ports;
pub mod rules;

use metastore_proto::environment::Finding;

pub use facts::{Facts, Look};

/// What is to be said of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Core would not start, or not do what the settings promise.
    pub errors: Vec<Finding>,
    pub warnings: Vec<Finding>,
}

impl Found {
    /// A core that runs has shown that it can: then nothing of it keeps anybody from starting.
    pub fn softened(mut self) -> Self {
        self.errors.append(&mut self.warnings);
        Self { errors: Vec::new(), warnings: self.errors }
    }

    /// Without what rests on a variable of these findings: its value is not what was meant.
    pub fn without_those_of(mut self, mistakes: &[Finding]) -> Self {
        let is_sound = |it: &Finding| !mistakes.iter().any(|other| other.variable == it.variable);
        self.errors.retain(is_sound);
        self.warnings.retain(is_sound);
        self
    }
}
