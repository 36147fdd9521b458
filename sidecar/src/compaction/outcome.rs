//! How a run ends, and in which words.

use thiserror::Error;

use crate::core_client::CoreError;

/// How a run ended.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Outcome {
    #[error("compacted to revision {revision}, {removed} revisions removed")]
    Compacted {
        /// The oldest one that can be read.
        revision: i64,
        /// Revisions that no longer can.
        removed: u64,
    },
    /// The policy keeps all there is.
    #[error("nothing to do")]
    Nothing,
    #[error("skipped: {0}")]
    Skipped(Skip),
    #[error("failed: {0}")]
    Failed(CoreError),
}

impl Outcome {
    /// Every word of [`Outcome::result`].
    pub const RESULTS: [&str; 4] = ["compacted", "nothing", "skipped", "failed"];

    /// In one word, for metrics.
    pub fn result(&self) -> &'static str {
        let [compacted, nothing, skipped, failed] = Self::RESULTS;
        match self {
            Self::Compacted { .. } => compacted,
            Self::Nothing => nothing,
            Self::Skipped(_) => skipped,
            Self::Failed(_) => failed,
        }
    }

    /// Whether history is now as the policy wants it.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Compacted { .. } | Self::Nothing)
    }
}

/// Why a run did nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Skip {
    #[error("core is not ready: {0}")]
    NotReady(String),
    #[error("this member does not lead")]
    NotLeader,
    #[error("core is {0} log entries behind")]
    Behind(u64),
    #[error("core makes a snapshot")]
    Snapshot,
}

impl Skip {
    /// Every word of [`Skip::reason`].
    pub const REASONS: [&str; 4] = ["not_ready", "not_leader", "behind", "snapshot"];

    /// In one word, for metrics.
    pub fn reason(&self) -> &'static str {
        let [not_ready, not_leader, behind, snapshot] = Self::REASONS;
        match self {
            Self::NotReady(_) => not_ready,
            Self::NotLeader => not_leader,
            Self::Behind(_) => behind,
            Self::Snapshot => snapshot,
        }
    }
}
