//! Waiting for a condition, with a deadline: the only waiting that tests do.

use std::time::Duration;

use tokio::time::Instant;

const PAUSE: Duration = Duration::from_millis(10);

/// The first `Some` of `check`; panics with `what` when there is none within `limit`.
pub async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut check: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        pause().await;
    }
}

/// Between two attempts of something that is tried again and again.
pub async fn pause() {
    tokio::time::sleep(PAUSE).await;
}

/// `check` holds all the time for as long as `span`.
pub async fn throughout(what: &str, span: Duration, mut check: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + span;
    while Instant::now() < end {
        assert!(check().await, "did not hold for {span:?}: {what}");
        pause().await;
    }
}
