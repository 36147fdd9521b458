//! A machine on which core cannot run keeps a sidecar from starting, unless core runs there.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use metastore_proto::admin::ObserveRequest;
use metastore_proto::admin::admin_client::AdminClient;
use metastore_tests::eventually::eventually;
use metastore_tests::member::{Core, Sidecar, sidecar_binary};
use metastore_tests::volume::Volume;
use tonic::transport::Endpoint;

use crate::{text, validate_as_json, variables_of};

const LIMIT: Duration = Duration::from_secs(20);
/// More than any disk of a test has.
const QUOTA: (&str, &str) = ("METASTORE_QUOTA_BACKEND_BYTES", "1000000TiB");

const DATA: &str = "METASTORE_DATA_DIR";
/// Whatever else listens on this machine.
const FREE_PORTS: [(&str, &str); 3] = [
    ("METASTORE_LISTEN_CLIENT_URLS", "http://127.0.0.1:0"),
    ("METASTORE_ADVERTISE_CLIENT_URLS", "http://here.example:1"),
    ("METASTORE_SIDECAR_LISTEN", "127.0.0.1:0"),
];

/// Waits until the sidecar answers its own probe.
async fn up(sidecar: &mut Sidecar) {
    let address = sidecar.address();
    let process = sidecar.process();
    eventually("the sidecar is up", LIMIT, async || {
        let ended = process.has_ended();
        assert!(ended.is_none(), "{ended:?}: {}", process.output());
        let answer = metastore_tests::http::get(&address, "/sidecar/livez").await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_a_core_a_sidecar_does_not_start() {
    let place = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", taken.local_addr().unwrap());
    let variables = [QUOTA, ("METASTORE_LISTEN_CLIENT_URLS", &url)];
    let mut sidecar = Sidecar::launch(&place.path().join("data"), &variables);
    let ended = sidecar.process().ended().await;
    let output = sidecar.process().output();
    assert_eq!(ended.code(), Some(64), "{output}");
    assert!(output.contains("more than the volume has"), "{output}");
    assert!(output.contains("another process has the port"), "{output}");
}

#[tokio::test]
async fn beside_a_core_it_only_warns() {
    let core = Core::start().await;
    let url = core.url();
    let variables = [QUOTA, ("METASTORE_LISTEN_CLIENT_URLS", &url)];
    let mut sidecar = Sidecar::launch(core.data(), &variables);
    up(&mut sidecar).await;
    let output = sidecar.process().output();
    assert!(output.contains("more than the volume has"), "{output}");
    assert!(output.contains("another process has the port"), "{output}");

    let data = ("METASTORE_DATA_DIR", text(core.data()));
    let listen = sidecar.address();
    let own = ("METASTORE_SIDECAR_LISTEN", listen.as_str());
    let (code, said) = validate_as_json(&[], &[&variables[..], &[data, own]].concat());
    assert_eq!((code, &said["core"]["state"]), (Some(0), &"answers".into()), "{said}");
    let warned = variables_of(&said["warnings"]);
    assert!(warned.contains(&QUOTA.0) && warned.contains(&"METASTORE_LISTEN_CLIENT_URLS"));
    assert!(!warned.contains(&own.0), "a sidecar has it, as it should: {said}");
}

#[tokio::test]
async fn beside_a_core_that_hangs_it_starts_too() {
    let core = Core::start().await;
    core.pause();
    let url = core.url();
    let mut sidecar =
        Sidecar::launch(core.data(), &[("METASTORE_LISTEN_CLIENT_URLS", url.as_str())]);
    up(&mut sidecar).await;
    core.resume();
}

#[tokio::test]
async fn a_core_that_starts_at_the_same_time_is_waited_for() {
    let mut core = Core::start().await;
    let url = core.url();
    for _ in 0..5 {
        core.kill();
        core.launch_again();
        let mut sidecar =
            Sidecar::launch(core.data(), &[("METASTORE_LISTEN_CLIENT_URLS", url.as_str())]);
        up(&mut sidecar).await;
        core.ready().await;
    }
}

#[tokio::test]
async fn core_tells_its_warnings_and_what_its_disk_can_do() {
    let core = Core::start_with(&[("METASTORE_ELECTION_TIMEOUT", "600"), ("ETCD_NAME", "x")]).await;
    let socket = core.data().join("admin.sock");
    let endpoint = Endpoint::from_shared(format!("unix://{}", text(&socket))).unwrap();
    let mut admin = AdminClient::new(endpoint.connect().await.unwrap());
    let said = admin.observe(ObserveRequest {}).await.unwrap().into_inner();
    let warns = |name: &str| said.warnings.iter().any(|it| it.starts_with(name));
    assert!(warns("METASTORE_ELECTION_TIMEOUT") && warns("ETCD_NAME"), "{:?}", said.warnings);
    assert!(said.disk.unwrap().probed_sync_us > 0);
    let (_, said) = validate_as_json(&[], &[("METASTORE_DATA_DIR", text(core.data()))]);
    let warned = said["core"]["warnings"].to_string();
    assert!(warned.contains("METASTORE_ELECTION_TIMEOUT"), "{warned}");
}

#[tokio::test]
async fn core_makes_its_directory_for_itself_and_its_group() {
    let core = Core::start().await;
    let mode = std::fs::metadata(core.data()).unwrap().permissions().mode();
    assert_eq!(mode & 0o007, 0, "{mode:o}");
    assert!(!core.data().join("PROBE").exists());
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_stops_core() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mut core = Core::launch_on(&file.join("data"), &[]);
    let ended = core.process().ended().await;
    assert_eq!(ended.code(), Some(74), "{}", core.output());
    assert!(core.output().contains(text(&file)), "{}", core.output());
}

#[tokio::test]
async fn a_volume_that_is_mounted_read_only_stops_core() {
    let Some(volume) = Volume::new(64, "a read-only volume") else { return };
    let remount = |options: &str| {
        let path = volume.path();
        let words = ["-o", options, text(&path)];
        assert!(Command::new("mount").args(words).status().unwrap().success(), "{options}");
    };
    remount("remount,ro");
    let data = volume.path().join("data");
    let mut core = Core::launch_on(&data, &[]);
    let ended = core.process().ended().await;
    let output = core.output();
    assert_eq!(ended.code(), Some(74), "{output}");
    assert!(output.contains("must not be mounted read-only"), "{output}");
    remount("remount,rw");
}

#[tokio::test]
async fn what_core_refuses_as_its_directory_validate_refuses_too() {
    let place = tempfile::tempdir().unwrap();
    let link = place.path().join("link");
    symlink(place.path().join("nowhere"), &link).unwrap();
    for (data, reason) in [
        (link.clone(), "/link is a link that leads nowhere"),
        (link.join("data"), "/link is a link that leads nowhere"),
        ("/proc".into(), "it is on proc, where the kernel keeps no files"),
        ("/proc/metastore".into(), "it is on proc, where the kernel keeps no files"),
    ] {
        let mut core = Core::launch_on(&data, &[]);
        let ended = core.process().ended().await;
        assert!(!ended.success(), "{}: {}", data.display(), core.output());
        let (code, said) =
            validate_as_json(&[], &[&FREE_PORTS[..], &[(DATA, text(&data))]].concat());
        let errors = said["errors"].as_array().unwrap();
        assert_eq!((code, errors.len(), &errors[0]["variable"]), (Some(64), 1, &DATA.into()));
        let found = errors[0]["reason"].as_str().unwrap();
        assert!(found.ends_with(reason), "{}: {found}", data.display());
    }
}

/// `metastore-sidecar validate` by a user who may use no socket of others. Root would become one;
/// it may use every socket.
fn validate_as_another(place: &Path, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    const NOBODY: u32 = 65534;
    let program = place.join("metastore-sidecar");
    std::fs::copy(sidecar_binary(), &program).unwrap();
    let mut command = Command::new(program);
    command.env_clear().arg("validate").envs(variables.iter().copied());
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_socket_that_may_not_be_used_is_no_core() {
    let place = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(place.path(), 0o777);
    let socket = place.path().join("admin.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    mode(&socket, 0);
    let data = place.path().join("data");
    let own = [QUOTA, (DATA, text(&data)), ("METASTORE_ADMIN_SOCKET", text(&socket))];
    let (code, said) = validate_as_another(place.path(), &[&FREE_PORTS[..], &own].concat());
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("error: METASTORE_QUOTA_BACKEND_BYTES"), "{said}");
    assert!(said.contains("whether core is there is not known"), "{said}");
}
