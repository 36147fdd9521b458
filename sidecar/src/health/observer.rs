//! Asks core how it is, again and again, and publishes what is known.

use std::time::Duration;

use metastore_proto::admin::ObserveResponse;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{info, warn};

use super::{Observation, Patience};
use crate::core_client::{CoreClient, CoreError};
use crate::tunable::Tunable;

/// The one task that writes the observation.
pub struct Observer<C> {
    pub core: C,
    pub interval: Duration,
    pub tunable: watch::Receiver<Tunable>,
    pub publish: watch::Sender<Observation>,
}

impl<C: CoreClient> Observer<C> {
    /// Runs until dropped. One question at a time.
    pub async fn run(self) {
        let mut questions = interval(self.interval);
        questions.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            questions.tick().await;
            self.ask().await;
        }
    }

    async fn ask(&self) {
        let asked = Instant::now();
        let answer = self.core.observe().await;
        let at = Instant::now();
        let patience = Patience::from(&self.tunable.borrow().health);
        self.publish.send_modify(|observation| match answer {
            Ok(said) => {
                log_answer(observation, &said);
                observation.patience = patience;
                observation.heard(said, at);
            }
            Err(error) => {
                log_error(observation, &error);
                observation.unheard(asked, at, error);
            }
        });
    }
}

/// Says only what changed.
fn log_answer(known: &Observation, said: &ObserveResponse) {
    let process = said.process.clone().unwrap_or_default();
    let before = known.answer.as_ref().and_then(|answer| answer.said.process.as_ref());
    match before {
        None => info!(version = process.version, "core answers"),
        Some(before) if before.boot_id != process.boot_id => {
            info!(version = process.version, "core has restarted");
        }
        Some(before) if before.phase != process.phase => {
            info!(phase = process.phase().as_str_name(), "core's phase has changed");
        }
        Some(_) if known.silence.is_some() => info!("core answers again"),
        Some(_) => {}
    }
}

fn log_error(known: &Observation, error: &CoreError) {
    let before = known.silence.as_ref().map(|silence| &silence.cause);
    if before != Some(error) {
        warn!(%error, "core does not answer");
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;
    use crate::fake_core::{FakeCore, serving};

    const SECOND: Duration = Duration::from_secs(1);

    fn observer(
        core: Arc<FakeCore>,
        publish: watch::Sender<Observation>,
    ) -> Observer<Arc<FakeCore>> {
        let tunable = watch::channel(Tunable::default()).1;
        Observer { core, interval: SECOND, tunable, publish }
    }

    #[tokio::test(start_paused = true)]
    async fn what_core_says_is_published_each_interval() {
        let core = Arc::new(FakeCore::default());
        core.will_observe([Ok(serving()), Ok(serving())]);
        let (publish, mut observed) = watch::channel(Observation::default());
        let start = Instant::now();
        let task = tokio::spawn(observer(core, publish).run());

        observed.changed().await.unwrap();
        assert_eq!(observed.borrow_and_update().answer.as_ref().unwrap().at, start);
        observed.changed().await.unwrap();
        assert_eq!(observed.borrow().answer.as_ref().unwrap().at, start + SECOND);
        task.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_keeps_the_last_answer_and_counts() {
        let core = Arc::new(FakeCore::default());
        let gone = CoreError::Gone(io::ErrorKind::NotFound);
        core.will_observe([Ok(serving()), Err(gone.clone()), Err(gone)]);
        let (publish, mut observed) = watch::channel(Observation::default());
        let start = Instant::now();
        let task = tokio::spawn(observer(core, publish).run());

        let twice = |known: &Observation| known.silence.as_ref().is_some_and(|s| s.questions == 2);
        let known = observed.wait_for(twice).await.unwrap().clone();
        assert_eq!(known.answer.unwrap().at, start);
        assert_eq!(known.silence.unwrap().since, start + SECOND);
        task.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn patience_comes_from_the_settings() {
        let core = Arc::new(FakeCore::default());
        let mut without = serving();
        without.consensus.as_mut().unwrap().leader_id = 0;
        let answers = [serving(), without.clone(), without.clone(), without];
        core.will_observe(answers.map(Ok));
        let (publish, mut observed) = watch::channel(Observation::default());
        let task = tokio::spawn(observer(core, publish).run());
        let mut seen = Vec::new();
        for _ in 0..4 {
            observed.changed().await.unwrap();
            seen.push(observed.borrow_and_update().trend.leader.holds());
        }
        assert_eq!(seen, [true, true, true, false]);
        task.abort();
    }
}
