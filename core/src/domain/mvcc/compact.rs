//! Which revisions may be compacted, and which may be read.

use crate::domain::{At, Rejection};

/// A compaction moves forward, and not past the present.
pub fn check(revision: i64, compacted: i64, current: i64) -> Result<(), Rejection> {
    if revision <= compacted {
        return Err(Rejection::Compacted { asked: revision, compacted });
    }
    if revision > current {
        return Err(Rejection::FutureRevision { asked: revision, current });
    }
    Ok(())
}

/// When to read for a request that names `asked`. Reading *at* the compacted revision is allowed.
pub fn readable(asked: i64, compacted: i64, current: i64) -> Result<At, Rejection> {
    if asked > current {
        return Err(Rejection::FutureRevision { asked, current });
    }
    if asked <= 0 || asked == current {
        return Ok(At::Now);
    }
    if asked < compacted {
        return Err(Rejection::Compacted { asked, compacted });
    }
    Ok(At::Revision(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_at_the_compacted_revision_is_allowed() {
        assert_eq!(readable(4, 4, 9), Ok(At::Revision(4)));
        assert_eq!(readable(3, 4, 9), Err(Rejection::Compacted { asked: 3, compacted: 4 }));
        assert_eq!(readable(10, 4, 9), Err(Rejection::FutureRevision { asked: 10, current: 9 }));
        assert_eq!(readable(0, 4, 9), Ok(At::Now));
    }

    #[test]
    fn compacting_twice_is_refused() {
        assert!(check(4, -1, 9).is_ok());
        assert_eq!(check(4, 4, 9), Err(Rejection::Compacted { asked: 4, compacted: 4 }));
        assert_eq!(check(10, 4, 9), Err(Rejection::FutureRevision { asked: 10, current: 9 }));
    }
}
