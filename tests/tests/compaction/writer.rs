//! Writes all the time, and knows what was the newest revision when.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metastore_proto::etcdserverpb::RangeRequest;
use metastore_tests::client::Client;
use metastore_tests::eventually::eventually;
use metastore_tests::requests::key;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const PAUSE: Duration = Duration::from_millis(50);
/// What a question may take: the window moves on meanwhile.
const QUESTION: Duration = Duration::from_millis(500);

/// A write before this moment there was none of the revision.
#[derive(Debug, Clone, Copy)]
struct Write {
    revision: i64,
    sent: Instant,
}

pub(crate) struct Writer {
    client: Client,
    writes: Arc<Mutex<Vec<Write>>>,
    stopping: Arc<AtomicBool>,
    task: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(client: Client) -> Self {
        let mut writer = Self::reader(client);
        let (client, writes) = (writer.client.clone(), Arc::clone(&writer.writes));
        let stopping = Arc::clone(&writer.stopping);
        writer.task = Some(tokio::spawn(async move {
            while !stopping.load(Ordering::Acquire) {
                let sent = Instant::now();
                let revision = client.set("written", "again").await;
                writes.lock().push(Write { revision, sent });
                tokio::time::sleep(PAUSE).await;
            }
        }));
        writer
    }

    /// One that does not write.
    pub(crate) fn reader(client: Client) -> Self {
        let (writes, stopping) = (Arc::default(), Arc::default());
        Self { client, writes, stopping, task: None }
    }

    /// The write under way is the last.
    pub(crate) async fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        eventually("the writer stops", Duration::from_secs(20), async || {
            self.task.as_ref().is_none_or(JoinHandle::is_finished).then_some(())
        })
        .await;
    }

    /// The revision of a write that comes from now on, once there is one after it.
    pub(crate) async fn next(&self) -> i64 {
        let now = Instant::now();
        eventually("two writes", Duration::from_secs(20), async || {
            let writes = self.writes.lock();
            let mut after = writes.iter().filter(|write| write.sent >= now);
            let (write, _) = after.next().zip(after.next())?;
            Some(write.revision)
        })
        .await
    }

    /// Until when, at least, a revision was the newest one.
    pub(crate) fn superseded(&self, revision: i64) -> Instant {
        let writes = self.writes.lock();
        let next = writes.iter().find(|write| write.revision > revision);
        next.expect("a write after it").sent
    }

    pub(crate) async fn can_read(&self, revision: i64) -> bool {
        let request = RangeRequest { revision, ..key("written") };
        match self.client.range(request).await {
            Ok(_) => true,
            Err(status) if status.message().contains("has been compacted") => false,
            Err(status) => panic!("a read at revision {revision}: {status}"),
        }
    }

    /// The oldest revision that was the newest one within the window can be read.
    pub(crate) async fn check_window(&self, window: Duration) {
        let asked = Instant::now();
        let Some(begin) = asked.checked_sub(window).map(|begin| begin + QUESTION) else { return };
        let oldest = {
            let writes = self.writes.lock();
            let mut pairs = writes.iter().zip(writes.iter().skip(1));
            pairs.find(|(_, next)| next.sent > begin).map(|(write, _)| write.revision)
        };
        let Some(oldest) = oldest else { return };
        if !self.can_read(oldest).await && asked.elapsed() < QUESTION {
            let age = self.superseded(oldest).elapsed();
            panic!("revision {oldest} was the newest {age:?} ago, and is gone");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
