//! A hundred writers and some watchers over a core that breaks in the middle, round after round.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use metastore_proto::etcdserverpb::WatchCreateRequest;
use metastore_tests::client::{Client, revision};
use metastore_tests::eventually::{eventually, pause};
use metastore_tests::history::{Truth, Write};
use metastore_tests::member::Core;
use metastore_tests::requests::{bytes, put, watch_create, watch_everything};
use metastore_tests::watching::Watching;
use parking_lot::Mutex;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::task::JoinSet;

const WRITERS: usize = 100;
const CONNECTIONS: usize = 10;
const CATCH_UP: Duration = Duration::from_secs(60);

/// The seed of a test: `METASTORE_TESTS_SEED`, or a new one, which a failure shows.
pub(crate) fn seeded() -> StdRng {
    let given = std::env::var("METASTORE_TESTS_SEED").ok();
    let seed = given.map_or_else(rand::random, |seed| seed.parse().unwrap());
    eprintln!("seed {seed} (again: METASTORE_TESTS_SEED={seed})");
    StdRng::seed_from_u64(seed)
}

/// Watchers that last over the rounds, and where the history is.
pub(crate) struct Load {
    watchers: Vec<Arc<Watcher>>,
    tasks: JoinSet<()>,
    /// All up to here was judged.
    base: i64,
    pub(crate) acknowledged_total: usize,
}

impl Load {
    pub(crate) async fn start(core: &Core, watchers: usize) -> Self {
        let base = core.client().revision().await;
        let watchers: Vec<_> = (0..watchers).map(|_| Arc::new(Watcher::new(base))).collect();
        let mut tasks = JoinSet::new();
        for watcher in &watchers {
            tasks.spawn(Arc::clone(watcher).run(core.url()));
        }
        Self { watchers, tasks, base, acknowledged_total: 0 }
    }

    /// Writes until `target` writes are acknowledged, calls `cut` in the middle of it all, and returns
    /// what was acknowledged until the last writer met an error.
    pub(crate) async fn write_until(
        &mut self,
        core: &mut Core,
        round: usize,
        target: usize,
        cut: impl FnOnce(&mut Core),
    ) -> Vec<Write> {
        let count = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..CONNECTIONS).map(|_| core.client()).collect();
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let client = clients[writer % CONNECTIONS].clone();
            writers.spawn(write(client, round, writer, Arc::clone(&count)));
        }
        eventually("enough acknowledged writes", CATCH_UP, async || {
            (count.load(Ordering::Relaxed) >= target).then_some(())
        })
        .await;
        cut(core);
        let acknowledged = writers.join_all().await.concat();
        self.acknowledged_total += acknowledged.len();
        acknowledged
    }

    /// Compares the history since the last judgement with the promises and the watchers.
    pub(crate) async fn judge(&mut self, core: &Core, acknowledged: &[Write]) {
        let client = core.client();
        let newest = client.revision().await;
        let truth = Truth::new(self.base, replay(&client, self.base, newest).await);
        truth.assert_holds(acknowledged);
        for (number, watcher) in self.watchers.iter().enumerate() {
            watcher.caught_up(newest).await;
            truth.assert_seen(number, &watcher.seen.lock().split_off(0));
        }
        self.base = newest;
    }

    /// Ends the watchers.
    pub(crate) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Puts values of its own until the first error; what it was promised.
async fn write(client: Client, round: usize, writer: usize, count: Arc<AtomicUsize>) -> Vec<Write> {
    let key = bytes(format!("w{writer:03}"));
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let value = bytes(format!("{round}-{writer}-{number}"));
        let Ok(answer) = client.put(put(&key, &value)).await else { break };
        let revision = revision(&answer.header);
        acknowledged.push(Write { revision, key: key.clone(), value });
        count.fetch_add(1, Ordering::Relaxed);
    }
    acknowledged
}

/// The writes after `base` up to `newest`, by a watch from there.
async fn replay(client: &Client, base: i64, newest: i64) -> Vec<Write> {
    let start_revision = base + 1;
    if newest < start_revision {
        return Vec::new();
    }
    let create = WatchCreateRequest { start_revision, ..watch_everything() };
    let mut stream = Watching::one(client, create).await;
    let mut writes: Vec<Write> = Vec::new();
    while writes.last().is_none_or(|write| write.revision < newest) {
        let response = stream.next().await;
        assert!(!response.canceled, "{response:?}");
        writes.extend(response.events.into_iter().map(Write::from));
    }
    writes
}

/// One client that watches everything and resumes where it was.
struct Watcher {
    seen: Mutex<Vec<Write>>,
    last: AtomicI64,
}

impl Watcher {
    fn new(base: i64) -> Self {
        Self { seen: Mutex::default(), last: AtomicI64::new(base) }
    }

    async fn run(self: Arc<Self>, url: String) {
        loop {
            // A connection of its own each time, as another process would have.
            self.connect(&Client::new(&url)).await;
            pause().await;
        }
    }

    /// Watches until the stream breaks, or at once when there is nobody to watch.
    async fn connect(&self, client: &Client) {
        let start_revision = self.last.load(Ordering::Relaxed) + 1;
        let create = WatchCreateRequest { start_revision, ..watch_everything() };
        let Ok(mut stream) = Watching::open(client, [watch_create(create)]).await else { return };
        while let Ok(Some(response)) = stream.wait().await {
            assert!(!response.canceled, "{response:?}");
            let writes: Vec<_> = response.events.into_iter().map(Write::from).collect();
            let Some(last) = writes.last() else { continue };
            let last = last.revision;
            self.seen.lock().extend(writes);
            self.last.store(last, Ordering::Relaxed);
        }
    }

    async fn caught_up(&self, newest: i64) {
        eventually("a watcher catches up", CATCH_UP, async || {
            let last = self.last.load(Ordering::Relaxed);
            assert!(last <= newest, "an event of revision {last}, which does not exist");
            (last == newest).then_some(())
        })
        .await;
    }
}
