//! `metastore-core probe` and `metastore-core prestop`, as kubelet executes them.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use metastore_proto::admin::Phase;
use metastore_tests::member::{Core, Sidecar, core_binary, free_port};
use metastore_tests::stand_in::{Asked, Manner, StandIn};

use crate::{until, within};

/// The command beside a core: its directory, and where its sidecar would listen.
struct Bench {
    variables: Vec<(&'static str, String)>,
}

impl Bench {
    fn new(data: &Path, sidecar: &str) -> Self {
        let data = data.to_string_lossy().into_owned();
        let listen = sidecar.to_owned();
        let variables = vec![("METASTORE_DATA_DIR", data), ("METASTORE_SIDECAR_LISTEN", listen)];
        Self { variables }
    }

    /// Without a sidecar.
    fn alone(data: &Path) -> Self {
        Self::new(data, &format!("127.0.0.1:{}", free_port()))
    }

    async fn run(&self, arguments: &[&str]) -> (Option<i32>, String, Duration) {
        let mut command = Command::new(core_binary());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("METASTORE_") {
                command.env_remove(name);
            }
        }
        command.args(arguments).envs(self.variables.iter().map(|(name, value)| (name, value)));
        // A stand-in answers on this thread.
        let (output, took) = tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            (command.output().unwrap(), begun.elapsed())
        })
        .await
        .unwrap();
        let Output { status, stdout, stderr } = output;
        let text = [stdout, stderr].concat();
        (status.code(), String::from_utf8_lossy(&text).into_owned(), took)
    }

    /// The exit codes of the three questions; each answers in time, and with one line.
    async fn ask(&self) -> [i32; 3] {
        let mut codes = [0; 3];
        for (code, question) in codes.iter_mut().zip(["startup", "ready", "live"]) {
            let (ended, text, took) = self.run(&["probe", question]).await;
            assert_eq!(text.lines().count(), 1, "{question}: {text}");
            assert!(took < Duration::from_secs(5), "{question} took {took:?}");
            *code = ended.unwrap();
        }
        codes
    }
}

#[tokio::test]
async fn beside_a_sidecar_its_word_counts() {
    let mut core = Core::start().await;
    let window = [("METASTORE_LIVENESS_WINDOW", "3s")];
    let sidecar = Sidecar::start(&core, &window).await;
    until(&sidecar, "/readiness", 200).await;
    let bench = Bench::new(core.data(), &sidecar.address());
    assert_eq!(bench.ask().await, [0, 0, 0]);
    core.pause();
    until(&sidecar, "/readiness", 503).await;
    let (code, text, _) = bench.run(&["probe", "ready"]).await;
    assert_eq!((code, text.as_str()), (Some(1), "failed: observed failed: stale\n"));
    assert_eq!(bench.run(&["probe", "live"]).await.0, Some(0));
    until(&sidecar, "/liveness", 503).await;
    assert_eq!(bench.run(&["probe", "live"]).await.0, Some(1));
    core.resume();
    until(&sidecar, "/readiness", 200).await;
    assert_eq!(bench.ask().await, [0, 0, 0]);
    core.kill();
    until(&sidecar, "/readiness", 503).await;
    assert_eq!(bench.run(&["probe", "live"]).await.0, Some(0), "the window has not passed");
    until(&sidecar, "/liveness", 503).await;
    assert_eq!(bench.ask().await, [1, 1, 1]);
}

#[tokio::test]
async fn without_a_sidecar_core_is_asked() {
    let mut core = Core::start().await;
    let bench = Bench::alone(core.data());
    assert_eq!(bench.ask().await, [0, 0, 0]);
    core.pause();
    assert_eq!(bench.ask().await, [1, 1, 0], "a core that may only be busy is not killed");
    core.resume();
    assert_eq!(bench.ask().await, [0, 0, 0]);
    core.kill();
    let (code, text, _) = bench.run(&["probe", "live"]).await;
    assert_eq!(code, Some(1));
    assert!(text.starts_with("failed: core does not run (connection refused)"), "{text}");
    assert_eq!(bench.ask().await, [1, 1, 1]);
}

/// As long as kubelet may ask a core that stands still: the socket's queue must not fill.
#[tokio::test]
async fn many_probes_of_a_stopped_core_still_end() {
    let core = Core::start().await;
    core.pause();
    let bench = Bench::alone(core.data());
    let mut probes = tokio::task::JoinSet::new();
    for _ in 0..150 {
        let variables = bench.variables.clone();
        probes.spawn(async move { Bench { variables }.run(&["probe", "live"]).await.0 });
    }
    while let Some(code) = probes.join_next().await {
        assert_eq!(code.unwrap(), Some(0));
    }
    core.resume();
    assert_eq!(bench.ask().await, [0, 0, 0]);
}

#[tokio::test]
async fn nobody_there() {
    let place = tempfile::tempdir().unwrap();
    assert_eq!(Bench::alone(place.path()).ask().await, [1, 1, 1]);
}

#[tokio::test]
async fn what_is_not_a_sidecar_does_not_count() {
    let core = Core::start().await;
    // Core itself: it knows /livez and no /liveness.
    assert_eq!(Bench::new(core.data(), &core.address()).ask().await, [0, 0, 0]);
    // One that accepts and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = mute.local_addr().unwrap().to_string();
    assert_eq!(Bench::new(core.data(), &address).ask().await, [0, 0, 0]);
}

#[tokio::test]
async fn what_core_says_counts_without_a_sidecar() {
    let place = tempfile::tempdir().unwrap();
    let mut stand_in = StandIn::start(place.path());
    let bench = Bench::alone(place.path());
    assert_eq!(bench.ask().await, [0, 0, 0]);
    for (phase, expected) in [
        (Phase::Starting, [1, 1, 0]),
        (Phase::Opening, [1, 1, 0]),
        (Phase::Replaying, [0, 1, 0]),
        (Phase::Serving, [0, 0, 0]),
        (Phase::Draining, [0, 1, 0]),
        (Phase::Faulted, [1, 1, 0]),
    ] {
        stand_in.changes(|said| said.process.as_mut().unwrap().set_phase(phase));
        assert_eq!(bench.ask().await, expected, "{phase:?}");
    }
    stand_in.behaves(Manner::Hangs);
    assert_eq!(bench.ask().await, [1, 1, 0]);
    stand_in.behaves(Manner::Refuses(tonic::Code::Unimplemented));
    assert_eq!(bench.ask().await, [1, 1, 0], "an older core");
    stand_in.vanish().await;
    assert_eq!(bench.ask().await, [1, 1, 1]);
}

#[tokio::test]
async fn a_wrong_command_is_64_and_a_wrong_environment_kills_nothing() {
    let place = tempfile::tempdir().unwrap();
    let mut bench = Bench::alone(place.path());
    for arguments in [&["probe"][..], &["probe", "dead"], &["probe", "live", "now"], &["prob"]] {
        assert_eq!(bench.run(arguments).await.0, Some(64), "{arguments:?}");
    }
    bench.variables.push(("METASTORE_OBSERVE_INTERVAL", "often".to_owned()));
    assert_eq!(bench.ask().await, [1, 1, 0]);
}

#[tokio::test]
async fn prestop_drains_and_clients_are_still_served() {
    let core = Core::start().await;
    let sidecar = Sidecar::start(&core, &[]).await;
    until(&sidecar, "/readiness", 200).await;
    let bench = Bench::alone(core.data());
    let (code, text, took) = bench.run(&["prestop", "1"]).await;
    assert_eq!((code, text.as_str()), (Some(0), "draining\n"));
    assert!(took >= Duration::from_secs(1), "{took:?}");
    let body = within(&sidecar, "/readiness", 503, Duration::from_secs(3)).await;
    assert!(body.contains("[-]serving failed: draining"), "{body}");
    core.client().set("a", "1").await;
    assert_eq!(core.client().value("a").await, "1");
    assert_eq!(sidecar.probe("/liveness").await.status, 200);
}

#[tokio::test]
async fn prestop_never_fails() {
    let place = tempfile::tempdir().unwrap();
    let bench = Bench::alone(place.path());
    assert_eq!(bench.run(&["prestop", "0"]).await.0, Some(0), "nobody there");
    let stand_in = StandIn::start(place.path());
    assert_eq!(bench.run(&["prestop", "0"]).await.0, Some(0));
    assert_eq!(stand_in.asked(), [Asked::Drain]);
    stand_in.behaves(Manner::Hangs);
    let (code, text, took) = bench.run(&["prestop", "0"]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(took < Duration::from_secs(4), "{took:?}");
}
