//! The real programs as processes of a test: started, paused, killed, started again.
//!
//! `METASTORE_CORE_BIN` and `METASTORE_SIDECAR_BIN` name the binaries; without them those beside the test
//! binary are taken. No variable of ours from the test's own environment reaches them.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::Client;
use crate::eventually::eventually;
use crate::http;

/// How long a start or a stop may take on a slow machine.
pub const START_LIMIT: Duration = Duration::from_secs(40);

/// Lines of output that a failed test shows.
const SHOWN_LINES: usize = 60;

/// A process whose output goes to a file.
#[derive(Debug)]
pub struct Process {
    child: Child,
    output: PathBuf,
}

impl Process {
    /// Starts `program` with these variables and none of ours besides. Output is appended.
    pub fn start(program: &Path, output: &Path, variables: &[(String, String)]) -> Self {
        Self::start_with(program, &[], output, variables)
    }

    /// The same, with arguments.
    pub fn start_with(
        program: &Path,
        arguments: &[&str],
        output: &Path,
        variables: &[(String, String)],
    ) -> Self {
        let file = File::options().create(true).append(true).open(output).expect("an output file");
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("METASTORE_") || name.starts_with("ETCD_") {
                command.env_remove(name);
            }
        }
        let child = command
            .args(arguments)
            .envs(variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        Self { child, output: output.to_owned() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that the process and its predecessors printed.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a pid is not 0");
        // A process that has ended needs no signal.
        kill_process(pid, signal).ok();
    }

    /// Ends the process without a chance to write anything.
    pub fn kill(&mut self) {
        self.child.kill().expect("our child can be killed");
        self.child.wait().expect("our child can be waited for");
    }

    /// How the process ended; it must within the limit.
    pub async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually("the process ends", START_LIMIT, async || child.try_wait().expect("our child"))
            .await
    }

    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our child")
    }

    /// SIGTERM, and how the process ended.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Resident memory.
    pub fn rss_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most that was ever resident.
    pub fn peak_bytes(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, name: &str) -> u64 {
        let status = format!("/proc/{}/status", self.pid());
        let text = std::fs::read_to_string(status).expect("the process runs");
        let line = text.lines().find(|line| line.starts_with(name)).expect(name);
        let kib: u64 = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
        kib * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            let output = self.output();
            let lines: Vec<_> = output.lines().collect();
            let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
            eprintln!("--- end of {}\n{}\n---", self.output.display(), shown.join("\n"));
        }
    }
}

/// A core with its data directory, on a port of its own that stays the same over restarts.
#[derive(Debug)]
pub struct Core {
    process: Process,
    place: Place,
    port: u16,
    variables: Vec<(String, String)>,
}

/// Where a core keeps its data and its output.
#[derive(Debug)]
struct Place {
    data: PathBuf,
    output: PathBuf,
    _temporary: TempDir,
}

impl Place {
    fn new() -> Self {
        let temporary = tempfile::Builder::new().prefix("ms-").tempdir().expect("a directory");
        let (data, output) = (temporary.path().join("data"), temporary.path().join("output"));
        Self { data, output, _temporary: temporary }
    }
}

impl Core {
    /// A core on an empty directory, ready to serve.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(variables: &[(&str, &str)]) -> Self {
        let mut core = Self::launch(variables);
        core.ready().await;
        core
    }

    /// A core on a directory that the test keeps; not waited for.
    pub fn launch_on(data: &Path, variables: &[(&str, &str)]) -> Self {
        Self::launch_in(Place { data: data.to_owned(), ..Place::new() }, free_port(), variables)
    }

    /// A core on an empty directory; not waited for.
    pub fn launch(variables: &[(&str, &str)]) -> Self {
        Self::launch_in(Place::new(), free_port(), variables)
    }

    /// A core on an empty directory and a given port; not waited for.
    pub fn launch_at(port: u16, variables: &[(&str, &str)]) -> Self {
        Self::launch_in(Place::new(), port, variables)
    }

    fn launch_in(place: Place, port: u16, variables: &[(&str, &str)]) -> Self {
        let variables = core_variables(&place.data, port, variables);
        let process = Process::start(&core_binary(), &place.output, &variables);
        Self { process, place, port, variables }
    }

    /// Starts the program again on the same data and port; not waited for. It must have ended.
    pub fn launch_again(&mut self) {
        self.process = Process::start(&core_binary(), &self.place.output, &self.variables);
    }

    pub async fn restart(&mut self) {
        self.launch_again();
        self.ready().await;
    }

    /// Waits until `/readyz` is 200; the process must not end meanwhile.
    pub async fn ready(&mut self) {
        let ended = self.settled().await;
        assert!(ended.is_none(), "core ended instead of serving: {ended:?}");
    }

    /// Waits until core serves (`None`) or has ended.
    pub async fn settled(&mut self) -> Option<ExitStatus> {
        let address = self.address();
        let process = &mut self.process;
        eventually("core serves or ends", START_LIMIT, async || {
            if let Some(status) = process.has_ended() {
                return Some(Some(status));
            }
            let answer = http::get(&address, "/readyz").await.ok()?;
            (answer.status == 200).then_some(None)
        })
        .await
    }

    /// Sets or replaces a variable for the next start.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    pub fn kill(&mut self) {
        self.process.kill();
    }

    pub async fn stop(&mut self) -> ExitStatus {
        self.process.stop().await
    }

    /// SIGSTOP, until [`Self::resume`].
    pub fn pause(&self) {
        self.process.signal(Signal::STOP);
    }

    pub fn resume(&self) {
        self.process.signal(Signal::CONT);
    }

    pub fn rss_bytes(&self) -> u64 {
        self.process.rss_bytes()
    }

    pub fn peak_bytes(&self) -> u64 {
        self.process.peak_bytes()
    }

    pub fn output(&self) -> String {
        self.process.output()
    }

    pub fn data(&self) -> &Path {
        &self.place.data
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// A client with a connection of its own.
    pub fn client(&self) -> Client {
        Client::new(&self.url())
    }
}

fn core_variables(data: &Path, port: u16, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let data = data.to_string_lossy().into_owned();
    let listen = format!("http://127.0.0.1:{port}");
    let defaults = [
        ("METASTORE_DATA_DIR", data.as_str()),
        ("METASTORE_LISTEN_CLIENT_URLS", listen.as_str()),
        ("METASTORE_BALLAST_BYTES", "1MiB"),
    ];
    let given = |name: &str| more.iter().any(|(other, _)| *other == name);
    let defaults = defaults.iter().filter(|(name, _)| !given(name));
    defaults.chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A sidecar of a core.
#[derive(Debug)]
pub struct Sidecar {
    process: Process,
    port: u16,
    _place: Place,
}

impl Sidecar {
    /// A sidecar beside `core`, once it answers at all.
    pub async fn start(core: &Core, variables: &[(&str, &str)]) -> Self {
        Self::start_on(core.data(), variables).await
    }

    /// A sidecar of a data directory, once it answers at all.
    pub async fn start_on(data: &Path, variables: &[(&str, &str)]) -> Self {
        let mut sidecar = Self::launch(data, variables);
        let address = sidecar.address();
        eventually("the sidecar answers", START_LIMIT, async || {
            let ended = sidecar.process.has_ended();
            assert!(ended.is_none(), "the sidecar ended: {ended:?}");
            http::get(&address, "/liveness").await.ok()
        })
        .await;
        sidecar
    }

    /// Not waited for.
    pub fn launch(data: &Path, variables: &[(&str, &str)]) -> Self {
        let (place, port) = (Place::new(), free_port());
        let listen = format!("127.0.0.1:{port}");
        let data = data.to_string_lossy().into_owned();
        let own = [("METASTORE_DATA_DIR", data.as_str()), ("METASTORE_SIDECAR_LISTEN", &listen)];
        let given = own.iter().chain(variables);
        let given: Vec<_> =
            given.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let process = Process::start(&sidecar_binary(), &place.output, &given);
        Self { process, port, _place: place }
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The status and body of a path.
    pub async fn probe(&self, path: &str) -> http::Answer {
        http::get(&self.address(), path).await.expect("the sidecar answers")
    }
}

pub fn core_binary() -> PathBuf {
    binary("METASTORE_CORE_BIN", "metastore-core")
}

pub fn sidecar_binary() -> PathBuf {
    binary("METASTORE_SIDECAR_BIN", "metastore-sidecar")
}

fn binary(variable: &str, name: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test.parent().and_then(Path::parent).expect("target/<profile>/deps");
    let path = profile.join(name);
    assert!(path.exists(), "{} is missing: cargo build --bins, or set {variable}", path.display());
    path
}

/// A loopback port that is free, below those that the kernel gives to clients: nobody takes it
/// between two starts of a process.
pub fn free_port() -> u16 {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let candidate = || rand::random_range(12_000_u16..32_000);
    std::iter::repeat_with(candidate).find(free).expect("endless")
}
