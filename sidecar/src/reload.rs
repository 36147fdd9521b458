//! Takes changed settings over while the sidecar runs: on SIGHUP, and when METASTORE_ENV_FILE has
//! another content.
//!
//! A new environment is validated first. With a mistake in it nothing of it is taken over; what
//! cannot change at run time is reported and waits for the next start.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use metastore_proto::environment::{Effective, LogLevel, Mistake, Settings, Warning, read_file};
use prometheus::core::Collector;
use prometheus::{IntCounterVec, IntGauge};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, info, warn};

use crate::metrics::{VALID, opts};
use crate::tunable::Tunable;
use crate::validate::is_for_the_sidecar;

/// How often the file is looked at. Kubernetes itself takes up to a minute to change one.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// Mistakes of a refused file that are shown and logged.
const SHOWN_MAX: usize = 20;

/// Reads the whole environment anew.
pub type ReadEnvironment = fn() -> Result<(Settings, Vec<Warning>), Vec<Mistake>>;

/// The one task that changes settings.
pub struct Reloader<H> {
    pub in_force: Settings,
    pub read: ReadEnvironment,
    /// Resolves at each SIGHUP.
    pub hangup: H,
    pub tune: watch::Sender<Tunable>,
    pub log_level: Box<dyn Fn(LogLevel) + Send>,
    /// What is known since the start; shown for ever.
    pub known: Vec<String>,
    pub warn: watch::Sender<Arc<[String]>>,
    pub metrics: ReloadMetrics,
}

/// A signal to wait for.
pub trait Hangup: Send + 'static {
    /// Resolves at the next one.
    fn next(&mut self) -> impl Future<Output = ()> + Send;
}

impl Hangup for tokio::signal::unix::Signal {
    async fn next(&mut self) {
        // `None` would mean that no further signal can come.
        if self.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// What a new environment changes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Change {
    /// Variables taken over now.
    now: Vec<&'static str>,
    /// Variables that only the next start takes over.
    later: Vec<&'static str>,
}

impl<H: Hangup> Reloader<H> {
    /// Runs until dropped.
    pub async fn run(mut self) {
        let file = self.in_force.env_file.clone();
        let mut seen = content(file.as_deref()).await;
        loop {
            let cause = tokio::select! {
                () = self.hangup.next() => "SIGHUP",
                changed = another_content(file.as_deref(), &seen) => {
                    seen = changed;
                    "METASTORE_ENV_FILE has changed"
                }
            };
            // A network share may hang, and a large file takes a while: probes go on meanwhile.
            match tokio::task::spawn_blocking(self.read).await {
                Ok(Ok((fresh, warnings))) => self.take(cause, fresh, &warnings),
                Ok(Err(mistakes)) => self.refuse(cause, &mistakes),
                Err(error) => error!(cause, %error, "settings could not be read again"),
            }
        }
    }

    /// The settings in force stay as they are where they only count at a start, so that a variable
    /// is reported until the process is restarted or the variable is set back.
    fn take(&mut self, cause: &str, fresh: Settings, warnings: &[Warning]) {
        let change = difference(&self.in_force.effective, &fresh.effective);
        info!(cause, now = ?change.now, at_next_start = ?change.later, "settings were read again");
        (self.log_level)(fresh.log.level);
        self.tune.send_replace(Tunable::from(&fresh));
        self.metrics.taken();
        let later = change.later.iter().map(|name| {
            format!("{name} has changed: the new value takes effect at the next start")
        });
        let warnings = warnings.iter().filter(|it| is_for_the_sidecar(it));
        self.show(warnings.map(Warning::to_string).chain(later));
        // Only what was taken over is in force now.
        let taken = fresh.effective.into_iter().zip(&mut self.in_force.effective);
        for (new, old) in taken.filter(|(new, _)| new.variable.is_at_run_time()) {
            *old = new;
        }
    }

    fn refuse(&mut self, cause: &str, mistakes: &[Mistake]) {
        error!(cause, "settings were read again and refused: those before stay in force");
        self.metrics.refused();
        for mistake in mistakes.iter().take(SHOWN_MAX) {
            warn!(%mistake, "configuration");
        }
        let shown = mistakes.iter().take(SHOWN_MAX);
        let shown = shown.map(|mistake| format!("not taken over: {mistake}"));
        let hidden = mistakes.len().saturating_sub(SHOWN_MAX);
        let rest = (hidden > 0).then(|| format!("not taken over: {hidden} more mistakes"));
        self.show(shown.chain(rest));
    }

    fn show(&self, found: impl IntoIterator<Item = String>) {
        let mut all = self.known.clone();
        for warning in found {
            if !all.contains(&warning) {
                all.push(warning);
            }
        }
        self.warn.send_replace(all.into());
    }
}

/// Both lists have every variable, in the table's order.
fn difference(before: &[Effective], after: &[Effective]) -> Change {
    let mut change = Change::default();
    for (_, new) in before.iter().zip(after).filter(|(old, new)| old != new) {
        let is_now = new.variable.is_at_run_time();
        let names = if is_now { &mut change.now } else { &mut change.later };
        names.push(new.variable.name);
    }
    change
}

/// `None` where there is no file, or it cannot be read now.
async fn content(file: Option<&Path>) -> Option<String> {
    let file = file?.to_owned();
    // A network share may hang: then only this task waits.
    tokio::task::spawn_blocking(move || read_file(&file).ok()).await.ok().flatten()
}

/// Resolves when the file can be read and holds something else.
async fn another_content(file: Option<&Path>, seen: &Option<String>) -> Option<String> {
    if file.is_none() {
        return std::future::pending().await;
    }
    loop {
        sleep(LOOK_INTERVAL).await;
        let found = content(file).await;
        if found.is_some() && found != *seen {
            return found;
        }
    }
}

/// How reading again went. A clone counts the same.
#[derive(Clone)]
pub struct ReloadMetrics {
    reloads: IntCounterVec,
    last_ok: IntGauge,
}

impl Default for ReloadMetrics {
    fn default() -> Self {
        let reloads = opts("config_reloads_total", "Times that settings were read again.");
        let reloads = IntCounterVec::new(reloads, &["result"]).expect(VALID);
        for result in ["taken", "refused"] {
            reloads.with_label_values(&[result]);
        }
        let last_ok = opts(
            "config_last_reload_successful",
            "Whether the newest reading was taken over; 1 before any.",
        );
        let last_ok = IntGauge::with_opts(last_ok).expect(VALID);
        last_ok.set(1);
        Self { reloads, last_ok }
    }
}

impl ReloadMetrics {
    fn taken(&self) {
        self.reloads.with_label_values(&["taken"]).inc();
        self.last_ok.set(1);
    }

    fn refused(&self) {
        self.reloads.with_label_values(&["refused"]).inc();
        self.last_ok.set(0);
    }

    /// To be registered once.
    pub fn families(&self) -> [Box<dyn Collector>; 2] {
        [Box::new(self.reloads.clone()), Box::new(self.last_ok.clone())]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::OsString;
    use std::fs;
    use std::io;
    use std::sync::Mutex;

    use metastore_proto::environment;
    use tokio::sync::mpsc;

    use super::*;

    impl Hangup for mpsc::Receiver<()> {
        async fn next(&mut self) {
            if self.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// What `read` finds; tests of this module run one at a time.
    static VARIABLES: Mutex<BTreeMap<&str, &str>> = Mutex::new(BTreeMap::new());
    static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    fn read() -> Result<(Settings, Vec<Warning>), Vec<Mistake>> {
        let variables = VARIABLES.lock().unwrap().clone();
        let variables = variables.into_iter().map(|(k, v)| (OsString::from(k), OsString::from(v)));
        environment::read(variables, |_| Err(io::ErrorKind::NotFound.into()))
    }

    fn set(name: &'static str, value: &'static str) {
        VARIABLES.lock().unwrap().insert(name, value);
    }

    struct Bench {
        hangup: mpsc::Sender<()>,
        tunable: watch::Receiver<Tunable>,
        warnings: watch::Receiver<Arc<[String]>>,
        metrics: ReloadMetrics,
    }

    fn start() -> Bench {
        VARIABLES.lock().unwrap().clear();
        let in_force = read().unwrap().0;
        let (hangup, signals) = mpsc::channel(1);
        let (tune, tunable) = watch::channel(Tunable::from(&in_force));
        let (warn, warnings) = watch::channel(Arc::from([]));
        let metrics = ReloadMetrics::default();
        let reloader = Reloader {
            in_force,
            read,
            hangup: signals,
            tune,
            log_level: Box::new(|_| {}),
            known: vec!["known".to_owned()],
            warn,
            metrics: metrics.clone(),
        };
        tokio::spawn(reloader.run());
        Bench { hangup, tunable, warnings, metrics }
    }

    impl Bench {
        async fn reload(&mut self) -> Vec<String> {
            self.hangup.send(()).await.unwrap();
            self.warnings.changed().await.unwrap();
            self.warnings.borrow_and_update().to_vec()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_change_is_taken_over() {
        let _alone = ONE_AT_A_TIME.lock().await;
        let mut bench = start();
        set("METASTORE_KEEP_REVISIONS", "7");
        assert_eq!(bench.reload().await, ["known"]);
        assert_eq!(bench.tunable.borrow().compaction.keep_revisions, 7);
        assert_eq!(bench.metrics.reloads.with_label_values(&["taken"]).get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_not_is_reported_until_it_is_set_back() {
        let _alone = ONE_AT_A_TIME.lock().await;
        let mut bench = start();
        set("METASTORE_NAME", "other");
        for _ in 0..2 {
            let said = bench.reload().await;
            assert!(said.get(1).is_some_and(|it| it.starts_with("METASTORE_NAME has")), "{said:?}");
        }
        set("METASTORE_NAME", "");
        assert_eq!(bench.reload().await, ["known"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_mistake_refuses_the_whole() {
        let _alone = ONE_AT_A_TIME.lock().await;
        let mut bench = start();
        set("METASTORE_KEEP_REVISIONS", "7");
        set("METASTORE_LIVENESS_WINDOW", "soon");
        let said = bench.reload().await;
        assert!(said.iter().any(|it| it.contains("METASTORE_LIVENESS_WINDOW")), "{said:?}");
        assert_eq!(bench.tunable.borrow().compaction.keep_revisions, 100_000);
        assert_eq!(bench.metrics.last_ok.get(), 0);
        set("METASTORE_LIVENESS_WINDOW", "90s");
        assert_eq!(bench.reload().await, ["known"]);
        assert_eq!(bench.tunable.borrow().compaction.keep_revisions, 7);
        assert_eq!(bench.metrics.last_ok.get(), 1);
    }

    #[tokio::test]
    async fn another_content_of_the_file_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("settings");
        fs::write(&file, "A=1").unwrap();
        let seen = content(Some(&file)).await;
        assert_eq!(seen.as_deref(), Some("A=1"));
        // Gone for a moment, as when Kubernetes exchanges it: no change yet.
        fs::remove_file(&file).unwrap();
        assert_eq!(content(Some(&file)).await, None);
        fs::write(&file, "A=2").unwrap();
        let found = another_content(Some(&file), &seen).await;
        assert_eq!(found.as_deref(), Some("A=2"));
    }
}
