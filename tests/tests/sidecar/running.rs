//! The sidecar as a process: settings that change while it runs, and its end.

use std::path::PathBuf;
use std::time::Duration;

use metastore_tests::eventually::{eventually, throughout};
use metastore_tests::member::{Core, Sidecar};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::time::Instant;

use super::{LIMIT, until};

/// A file of settings beside a core.
struct File {
    path: PathBuf,
    _place: TempDir,
}

impl File {
    fn new(content: &str) -> Self {
        let place = tempfile::Builder::new().prefix("ms-").tempdir().unwrap();
        let file = Self { path: place.path().join("settings"), _place: place };
        file.write(content);
        file
    }

    /// As Kubernetes does it: another file takes the place of the one before.
    fn write(&self, content: &str) {
        let new = self.path.with_extension("new");
        std::fs::write(&new, content).unwrap();
        std::fs::rename(new, &self.path).unwrap();
    }

    fn variable(&self) -> (&str, &str) {
        ("METASTORE_ENV_FILE", self.path.to_str().unwrap())
    }
}

async fn until_metric(sidecar: &Sidecar, line: &str) {
    eventually(line, LIMIT, async || {
        let text = sidecar.probe("/metrics").await.body;
        text.lines().any(|found| found == line).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_changed_file_is_taken_over() {
    let core = Core::start().await;
    let client = core.client();
    let first = client.set("a", "1").await;
    for _ in 0..50 {
        client.set("a", "2").await;
    }
    let file = File::new("METASTORE_AUTO_COMPACT=false\nMETASTORE_CHECK_INTERVAL=1s\n");
    let sidecar = Sidecar::start(&core, &[file.variable()]).await;
    until(&sidecar, "/readiness", 200, LIMIT).await;
    let at = |revision| {
        client.range(metastore_proto::etcdserverpb::RangeRequest {
            revision,
            ..metastore_tests::requests::key("a")
        })
    };
    throughout("nothing is compacted while that is off", Duration::from_secs(2), async || {
        at(first).await.is_ok()
    })
    .await;
    file.write(
        "METASTORE_CHECK_INTERVAL=1s\nMETASTORE_KEEP_REVISIONS=10\nMETASTORE_KEEP_DURATION=0\n",
    );
    eventually("history is compacted", LIMIT, async || at(first).await.err()).await;
    until_metric(&sidecar, "metastore_sidecar_config_reloads_total{result=\"taken\"} 1").await;
}

#[tokio::test]
async fn a_wrong_file_changes_nothing_and_shows() {
    let core = Core::start().await;
    let file = File::new("METASTORE_KEEP_REVISIONS=10\n");
    let mut sidecar = Sidecar::start(&core, &[file.variable()]).await;
    until(&sidecar, "/readiness", 200, LIMIT).await;
    file.write("METASTORE_KEEP_REVISIONS=none\nMETASTORE_NAME=other\n");
    sidecar.process().signal(Signal::HUP);
    until_metric(&sidecar, "metastore_sidecar_config_last_reload_successful 0").await;
    let health = until(&sidecar, "/health", 200, LIMIT).await;
    assert!(health.contains("METASTORE_KEEP_REVISIONS"), "{health}");
    file.write("METASTORE_KEEP_REVISIONS=10\nMETASTORE_NAME=other\n");
    until_metric(&sidecar, "metastore_sidecar_config_last_reload_successful 1").await;
    let health = until(&sidecar, "/health", 200, LIMIT).await;
    assert!(health.contains("METASTORE_NAME has changed"), "{health}");
    assert!(!health.contains("METASTORE_KEEP_REVISIONS"), "{health}");
}

#[tokio::test]
async fn it_answers_as_long_as_core_is_there() {
    let mut core = Core::start().await;
    let mut sidecar = Sidecar::start(&core, &[]).await;
    until(&sidecar, "/readiness", 200, LIMIT).await;
    sidecar.process().signal(Signal::TERM);
    throughout("it goes on answering", Duration::from_secs(2), async || {
        sidecar.probe("/liveness").await.status == 200
    })
    .await;
    core.stop().await;
    let gone = Instant::now();
    assert!(sidecar.process().ended().await.success());
    assert!(gone.elapsed() < Duration::from_secs(3), "{:?}", gone.elapsed());
}

#[tokio::test]
async fn it_ends_after_its_grace_at_the_latest() {
    let core = Core::start().await;
    let grace = [("METASTORE_SIDECAR_SHUTDOWN_GRACE", "1s")];
    let mut sidecar = Sidecar::start(&core, &grace).await;
    until(&sidecar, "/readiness", 200, LIMIT).await;
    assert!(sidecar.process().stop().await.success());
}

#[tokio::test]
async fn it_ends_at_once_where_there_is_no_core() {
    let place = tempfile::Builder::new().prefix("ms-").tempdir().unwrap();
    let mut sidecar = Sidecar::start_on(place.path(), &[]).await;
    let told = Instant::now();
    assert!(sidecar.process().stop().await.success());
    assert!(told.elapsed() < Duration::from_secs(3), "{:?}", told.elapsed());
}

/// Kubelet's volume may go wrong in many ways; probes must not be among what suffers.
#[tokio::test]
async fn a_file_that_nobody_can_read_hurts_no_probe() {
    let core = Core::start().await;
    let file = File::new("METASTORE_KEEP_REVISIONS=10\n");
    let mut sidecar = Sidecar::start(&core, &[file.variable()]).await;
    until(&sidecar, "/readiness", 200, LIMIT).await;
    std::fs::remove_file(&file.path).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &file.path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    sidecar.process().signal(Signal::HUP);
    until_metric(&sidecar, "metastore_sidecar_config_last_reload_successful 0").await;
    std::fs::remove_file(&file.path).unwrap();
    let lines: Vec<_> = (0..5_000).map(|n| format!("METASTORE_KEEP_REVISION_{n}=1")).collect();
    file.write(&format!("METASTORE_{}=1\n{}\n", "A".repeat(300_000), lines.join("\n")));
    sidecar.process().signal(Signal::HUP);
    eventually("the mistakes are shown, some of them", LIMIT, async || {
        let asked = Instant::now();
        let health = sidecar.probe("/health").await;
        // A debug build on a busy machine; what it waits for takes seconds there.
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        assert_eq!(health.status, 200);
        health.body.contains("more mistakes").then_some(())
    })
    .await;
    assert!(sidecar.probe("/health").await.body.len() < 100_000);
}

#[tokio::test]
async fn a_socket_that_only_listens_is_given_up_for_the_core_that_comes() {
    let mut core = Core::start().await;
    core.kill();
    let socket = core.data().join("admin.sock");
    std::fs::remove_file(&socket).ok();
    let silent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let sidecar = Sidecar::start(&core, &[]).await;
    // It is connected, and nobody will ever speak there.
    let accepted = tokio::task::spawn_blocking(move || silent.accept().map(|it| (it, silent)));
    let _kept = accepted.await.unwrap().unwrap();
    std::fs::remove_file(&socket).unwrap();
    core.restart().await;
    until(&sidecar, "/readiness", 200, LIMIT).await;
}

/// What collects the log may stall; a pipe holds 64 KiB.
#[tokio::test]
async fn a_log_that_nobody_reads_stops_nothing() {
    const ROUNDS: usize = 60;
    let place = tempfile::Builder::new().prefix("ms-").tempdir().unwrap();
    let lines: Vec<_> = (0..100).map(|n| format!("METASTORE_UNKNOWN_{n}=1\n")).collect();
    let file = File::new("");
    let port = metastore_tests::member::free_port();
    let listen = format!("127.0.0.1:{port}");
    let mut sidecar = std::process::Command::new(metastore_tests::member::sidecar_binary())
        .env_clear()
        .env("METASTORE_DATA_DIR", place.path())
        .env("METASTORE_SIDECAR_LISTEN", &listen)
        .env(file.variable().0, file.variable().1)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let get = async |path: &str| metastore_tests::http::get(&listen, path).await.ok();
    eventually("the sidecar answers", LIMIT, async || get("/sidecar/livez").await).await;
    let pid = rustix::process::Pid::from_raw(sidecar.id().cast_signed()).unwrap();
    for round in 1..=ROUNDS {
        file.write(&format!("# {round}\n{}", lines.concat()));
        rustix::process::kill_process(pid, Signal::HUP).unwrap();
        eventually("it is refused once more", LIMIT, async || {
            let metrics = get("/metrics").await?.body;
            let refused = metrics.lines().find_map(|line| {
                line.strip_prefix("metastore_sidecar_config_reloads_total{result=\"refused\"} ")
            })?;
            (refused.parse::<usize>().unwrap() >= round).then_some(())
        })
        .await;
    }
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    eventually("it ends", LIMIT, async || sidecar.try_wait().unwrap()).await;
}
