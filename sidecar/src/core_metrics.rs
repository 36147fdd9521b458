//! Core's metrics, fetched in the background, so that one scrape of the sidecar has them too.

use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tracing::debug;

use crate::core_client::CoreClient;
use crate::metrics::OWN_PREFIXES;

/// How often they are fetched; scrapes are rarely more frequent.
const INTERVAL: Duration = Duration::from_secs(5);

/// Publishes core's newest metrics; empty while core is silent, so that no old value looks new. They
/// are large: all who read them share one copy.
pub struct CoreMetrics<C> {
    pub core: C,
    pub publish: watch::Sender<Bytes>,
}

impl<C: CoreClient> CoreMetrics<C> {
    /// Runs until dropped.
    pub async fn run(self) {
        let mut fetches = interval(INTERVAL);
        fetches.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            fetches.tick().await;
            let text = self.core.metrics().await.unwrap_or_else(|error| {
                debug!(%error, "no metrics of core");
                String::new()
            });
            self.publish.send_replace(without_ours(&text).into());
        }
    }
}

/// The text without families of the sidecar's names: a family may appear only once in a scrape.
fn without_ours(text: &str) -> String {
    let kept = text.lines().filter(|line| !line.is_empty() && !is_ours(line));
    kept.flat_map(|line| [line, "\n"]).collect()
}

fn is_ours(line: &str) -> bool {
    let described = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE "));
    let name = described.unwrap_or(line);
    OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::core_client::CoreError;
    use crate::fake_core::FakeCore;

    #[test]
    fn families_of_our_names_are_left_out() {
        let text = "# HELP a Words: metastore_sidecar_x\n# TYPE a gauge\na 1\n\
            # TYPE metastore_core_up gauge\nmetastore_core_up 1\n\n\
            # TYPE etcd_server_healthcheck gauge\netcd_server_healthcheck{name=\"b\"} 1\n\
            etcd_server_health_success 1\nmetastore_sidecar_x{a=\"b\"} 2\n\
            metastore_store_bytes 3";
        assert_eq!(
            without_ours(text),
            "# HELP a Words: metastore_sidecar_x\n# TYPE a gauge\na 1\nmetastore_store_bytes 3\n"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_core_has_no_metrics() {
        let core = Arc::new(FakeCore::default());
        core.will_say_metrics([Ok("a 1".to_owned()), Err(CoreError::Silent(INTERVAL))]);
        let (publish, mut published) = watch::channel(Bytes::new());
        let task = tokio::spawn(CoreMetrics { core, publish }.run());
        published.changed().await.unwrap();
        assert_eq!(*published.borrow_and_update(), "a 1\n");
        published.changed().await.unwrap();
        assert_eq!(*published.borrow(), "");
        task.abort();
    }
}
