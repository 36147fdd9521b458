//! THE page of bytes: every column family, the layout of its keys and values, and who owns it.
//!
//! Numbers are big endian, so that byte order is number order. `position` is a revision's main
//! and sub part, 8 + 8 bytes. An *escaped* key has each 00 written as 00 FF and ends with 00 01:
//! byte order stays key order, and no key is a prefix of another. Ids and layouts are never
//! reused; [`FORMAT`] guards the directory. See `docs/storage-format.md`.
//!
//! | column | key | value |
//! |---|---|---|
//! | `latest` | user key | row: position of the write, then fields 2–6 of `mvccpb.KeyValue` |
//! | `history` | escaped key, position of the write that superseded it | row, as in `latest` |
//! | `events` | position | flags (1 delete, 2 created), dead rows (8), dead bytes (8), user key |
//! | `births` | position | 1 born or 0 ceased, user key |
//! | `marks` | milliseconds since the epoch (8) | revision (8) |
//! | `lease` | lease id (8) | time to live in seconds (8) |
//! | `lease_keys` | lease id (8), user key | nothing |
//! | `members` | member id (8) | JSON |
//! | `counts` | first key of a chunk of neighbours | live keys in the chunk (8) |
//! | `meta` | a name below | see `codec.rs` |

/// The format of a data directory. A program opens its own format and older ones it can migrate.
pub const FORMAT: u32 = 1;

/// A column family. The discriminant is its number in every batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Column {
    /// Live versions. Written by every put and delete.
    Latest = 0,
    /// Superseded versions, until compaction.
    History = 1,
    /// One row a change, for watchers that catch up; below the compacted revision dropped.
    Events = 2,
    /// Creations and deletions only, for counts at older revisions; dropped like events.
    Births = 3,
    /// Points in time with their revision, at least ten seconds apart.
    Marks = 4,
    Lease = 5,
    LeaseKeys = 6,
    Members = 7,
    /// Live keys per chunk of neighbours: counts without counting. Derived, local to a member.
    Counts = 8,
    Meta = 9,
}

impl Column {
    pub const ALL: [Self; 10] = [
        Self::Latest,
        Self::History,
        Self::Events,
        Self::Births,
        Self::Marks,
        Self::Lease,
        Self::LeaseKeys,
        Self::Members,
        Self::Counts,
        Self::Meta,
    ];

    /// Its name in RocksDB.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::History => "history",
            Self::Events => "events",
            Self::Births => "births",
            Self::Marks => "marks",
            Self::Lease => "lease",
            Self::LeaseKeys => "lease_keys",
            Self::Members => "members",
            Self::Counts => "counts",
            Self::Meta => "meta",
        }
    }
}

/// `meta`: applied index and term, revisions and totals, in the same write as what they describe.
pub const META_STATE: &[u8] = b"state";
/// `meta`: who votes, as raft-rs encodes its `ConfState`.
pub const META_CONFIGURATION: &[u8] = b"configuration";
/// `meta`: the alarms that are raised, 10 bytes each: member (8), kind (1), cause (1).
pub const META_ALARMS: &[u8] = b"alarms";
/// `meta`: [`FORMAT`], 4 bytes.
pub const META_FORMAT: &[u8] = b"format";
