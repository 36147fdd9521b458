//! Why a call of core's admin socket has no answer.

use std::error::Error;
use std::io;

/// The first cause of an error.
pub fn root<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    error.source().map_or(error, root)
}

/// Whether the cause is that nobody listens: no such socket, or nobody behind it. Core binds it
/// before it opens its store and holds it until it ends, so whoever meets this is without a core.
pub fn nobody_listens(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let kind = root(error).downcast_ref::<io::Error>()?.kind();
    matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused).then_some(kind)
}

#[cfg(test)]
mod tests {
    use thiserror::Error as ThisError;

    use super::*;

    #[derive(Debug, ThisError)]
    #[error("outside")]
    struct Outside(#[source] io::Error);

    #[test]
    fn only_a_socket_without_anybody_behind_it_is_nobody() {
        use io::ErrorKind::{ConnectionRefused, ConnectionReset, NotFound, PermissionDenied};
        for (kind, is_nobody) in [
            (NotFound, true),
            (ConnectionRefused, true),
            (ConnectionReset, false),
            (PermissionDenied, false),
        ] {
            let error = Outside(kind.into());
            assert_eq!(nobody_listens(&error), is_nobody.then_some(kind));
            assert_eq!(root(&error).to_string(), io::Error::from(kind).to_string());
        }
        assert_eq!(nobody_listens(&std::fmt::Error), None);
    }
}
