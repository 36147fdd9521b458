//! Asks core how it is, again and again, and publishes what is known.
//!
//! In step while core serves; in a hurry while it comes or goes, so that a probe hears of neither
//! a second late: kubelet may start core again, and ask, before the next question in step is due.

use std::mem::discriminant;
use std::time::Duration;

use metastore_proto::admin::{ObserveResponse, Phase, Process};
use tokio::select;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::trend::phase;
use super::{Observation, Patience};
use crate::core_client::{CoreClient, CoreError};
use crate::tunable::Tunable;

/// Between two questions in a hurry, at least.
const HURRY: Duration = Duration::from_millis(100);

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
        loop {
            let asked = Instant::now();
            self.ask(asked).await;
            select! {
                () = sleep_until(asked + self.pace()) => {}
                // Whoever accepts and hangs up again and again is not asked more often for it.
                () = self.core.hung_up() => sleep_until(asked + HURRY.min(self.interval)).await,
            }
        }
    }

    fn pace(&self) -> Duration {
        if is_on_the_way(&self.publish.borrow()) { HURRY.min(self.interval) } else { self.interval }
    }

    async fn ask(&self, asked: Instant) {
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

/// Whether core may serve any moment. A replay is watched in step: that it gets on shows between
/// two answers.
fn is_on_the_way(known: &Observation) -> bool {
    let phase = known.answer.as_ref().map(|answer| phase(&answer.said));
    known.is_gone() || matches!(phase, Some(Phase::Starting | Phase::Opening))
}

/// Says only what changed.
fn log_answer(known: &Observation, said: &ObserveResponse) {
    let process = said.process.clone().unwrap_or_default();
    let before = known.answer.as_ref().and_then(|answer| answer.said.process.as_ref());
    match before {
        None => info!(version = process.version, "core answers"),
        Some(before) if has_restarted(before, &process) => {
            info!(version = process.version, "core has restarted");
        }
        Some(before) if before.phase != process.phase => {
            info!(phase = process.phase().as_str_name(), "core's phase has changed");
        }
        Some(_) if known.silence.is_some() || known.refusal.is_some() => {
            info!("core answers again");
        }
        Some(_) => {}
    }
}

/// A core that has only just started does not know its number yet: that is no other one.
fn has_restarted(before: &Process, now: &Process) -> bool {
    before.boot_id != 0 && before.boot_id != now.boot_id
}

fn log_error(known: &Observation, error: &CoreError) {
    if is_news(known, error) {
        warn!(%error, "core does not answer");
    }
}

/// A failure that comes again and again is said once: how a connection breaks is chance, and with
/// what words core refuses is core's.
fn is_news(known: &Observation, error: &CoreError) -> bool {
    let before = known.silence.as_ref().map(|silence| &silence.cause);
    let before = before.or(known.refusal.as_ref());
    before.is_none_or(|before| discriminant(before) != discriminant(error))
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

    /// When each of so many questions was asked, since the start.
    async fn questions(
        core: &Arc<FakeCore>,
        number: usize,
        mut between: impl FnMut(usize),
    ) -> Vec<Duration> {
        let (publish, mut observed) = watch::channel(Observation::default());
        let start = Instant::now();
        let task = tokio::spawn(observer(Arc::clone(core), publish).run());
        let mut asked = Vec::new();
        for number in 0..number {
            observed.changed().await.unwrap();
            asked.push(start.elapsed());
            between(number);
        }
        task.abort();
        asked
    }

    #[test]
    fn a_failure_that_comes_again_and_again_is_said_once() {
        let gone = CoreError::Gone(io::ErrorKind::NotFound);
        let silent = CoreError::Silent(SECOND);
        let broken = |why: &str| CoreError::Broken(why.to_owned());
        let refused = |message: &str| CoreError::Refused {
            code: tonic::Code::Unimplemented,
            message: message.to_owned(),
        };
        let mut observation = Observation::default();
        for (error, is_said) in [
            (gone.clone(), true),
            (gone.clone(), false),
            (silent.clone(), true),
            (broken("reset"), true),
            (broken("broken pipe"), false),
            (refused("no such method"), true),
            (refused("no such method, again"), false),
            (gone, true),
        ] {
            assert_eq!(is_news(&observation, &error), is_said, "{error}");
            observation.unheard(Instant::now(), Instant::now(), error);
        }
        observation.heard(serving(), Instant::now());
        assert!(is_news(&observation, &silent), "it has answered in between");
    }

    #[test]
    fn a_start_is_no_restart() {
        let of = |boot_id| Process { boot_id, ..Process::default() };
        for (before, now, restarted) in [(0, 7, false), (7, 7, false), (7, 8, true), (7, 0, true)] {
            assert_eq!(has_restarted(&of(before), &of(now)), restarted, "{before} then {now}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_core_that_comes_is_asked_in_a_hurry_until_it_serves() {
        let core = Arc::new(FakeCore::default());
        let mut opening = serving();
        opening.process.as_mut().unwrap().set_phase(Phase::Opening);
        let gone = CoreError::Gone(io::ErrorKind::NotFound);
        core.will_observe([
            Err(gone.clone()),
            Err(gone),
            Ok(opening),
            Ok(serving()),
            Ok(serving()),
        ]);
        let asked = questions(&core, 5, |_| {}).await;
        assert_eq!(asked, [Duration::ZERO, HURRY, HURRY * 2, HURRY * 3, HURRY * 3 + SECOND]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_ends_is_asked_about_at_once_and_not_in_a_loop() {
        let core = Arc::new(FakeCore::default());
        let broken = CoreError::Broken("reset".to_owned());
        core.will_observe([Ok(serving()), Err(broken.clone()), Err(broken), Ok(serving())]);
        let asked = questions(&core, 4, |number| {
            if number < 2 {
                core.hang_up();
            }
        });
        assert_eq!(asked.await, [Duration::ZERO, HURRY, HURRY * 2, HURRY * 2 + SECOND]);
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
