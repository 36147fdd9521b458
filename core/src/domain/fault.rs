//! What stops a member.

use std::fmt;

/// A failure that a member cannot answer around: it stops, and says which file and why.
///
/// A refusal that every member agrees on is a [`super::Rejection`], never this.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{kind}: {detail}")]
pub struct Fault {
    pub kind: FaultKind,
    pub detail: String,
}

/// Why a member stops; decides the exit code of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The data is foreign, newer than this program, or damaged. Exit code 65.
    Corrupt,
    /// The disk refused a read or a write. Exit code 74.
    Disk,
    /// The directory or a port belongs to another process. Exit code 69.
    Taken,
}

impl FaultKind {
    /// The exit code of a process that stops for this reason (sysexits.h).
    pub const fn exit_code(self) -> i32 {
        match self {
            Self::Corrupt => 65,
            Self::Taken => 69,
            Self::Disk => 74,
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Corrupt => "damaged or foreign data",
            Self::Disk => "disk fault",
            Self::Taken => "already in use",
        })
    }
}

impl Fault {
    pub fn corrupt(detail: impl Into<String>) -> Self {
        Self { kind: FaultKind::Corrupt, detail: detail.into() }
    }

    pub fn disk(detail: impl Into<String>) -> Self {
        Self { kind: FaultKind::Disk, detail: detail.into() }
    }

    /// Whether there was no room for a write: on the volume (ENOSPC), or in a quota of it (EDQUOT).
    pub fn is_disk_full(&self) -> bool {
        let texts = ["No space left", "Disk quota exceeded"];
        self.kind == FaultKind::Disk && texts.iter().any(|text| self.detail.contains(text))
    }

    pub fn taken(detail: impl Into<String>) -> Self {
        Self { kind: FaultKind::Taken, detail: detail.into() }
    }
}
