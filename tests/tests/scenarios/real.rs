//! Situations of a real core and its real disk.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use metastore_proto::etcdserverpb::alarm_request::AlarmAction;
use metastore_proto::etcdserverpb::{AlarmRequest, AlarmType};
use metastore_tests::eventually::eventually;
use metastore_tests::member::{Core, Process, Sidecar, core_binary};
use metastore_tests::volume::Volume;

use super::table::{check, reached};

const FAST: [(&str, &str); 3] = [
    ("METASTORE_OBSERVE_INTERVAL", "200ms"),
    ("METASTORE_LIVENESS_WINDOW", "6s"),
    ("METASTORE_DISK_CLEAR_AFTER", "1s"),
];

async fn beside(core: &Core) -> Sidecar {
    Sidecar::start(core, &FAST).await
}

#[tokio::test]
async fn not_started() {
    let place = tempfile::Builder::new().prefix("ms-").tempdir().unwrap();
    let sidecar = Sidecar::start_on(place.path(), &FAST).await;
    check("core not started", &sidecar).await;
}

#[tokio::test]
async fn stopped() {
    let core = Core::start().await;
    let sidecar = beside(&core).await;
    check("serving", &sidecar).await;
    core.pause();
    reached("stopped by SIGSTOP, inside the window", &sidecar).await;
    check("stopped by SIGSTOP, past the window", &sidecar).await;
    core.resume();
    check("serving", &sidecar).await;
}

#[tokio::test]
async fn killed() {
    let mut core = Core::start().await;
    let sidecar = beside(&core).await;
    reached("serving", &sidecar).await;
    core.kill();
    reached("killed", &sidecar).await;
    check("killed, past the window", &sidecar).await;
    core.restart().await;
    check("serving", &sidecar).await;
}

/// Liveness must not ask for one more restart while core is being restarted anyway.
#[tokio::test]
async fn restarting_in_a_loop() {
    let mut core = Core::start().await;
    let sidecar = beside(&core).await;
    reached("serving", &sidecar).await;
    for _ in 0..8 {
        core.kill();
        assert_eq!(sidecar.probe("/liveness").await.status, 200);
        core.launch_again();
        eventually("core answers the sidecar", Duration::from_secs(20), async || {
            assert_eq!(sidecar.probe("/liveness").await.status, 200);
            (sidecar.probe("/startup").await.status == 200).then_some(())
        })
        .await;
    }
    core.ready().await;
    check("restarted in a loop, in the end", &sidecar).await;
}

async fn raise(core: &Core, alarm: AlarmType) {
    let request =
        AlarmRequest { action: AlarmAction::Activate.into(), member_id: 0, alarm: alarm.into() };
    core.client().alarm(request).await.unwrap();
}

#[tokio::test]
async fn alarms() {
    let core = Core::start().await;
    let sidecar = beside(&core).await;
    reached("serving", &sidecar).await;
    raise(&core, AlarmType::Nospace).await;
    check("alarm NOSPACE", &sidecar).await;
    let core = Core::start().await;
    let sidecar = beside(&core).await;
    raise(&core, AlarmType::Corrupt).await;
    check("alarm CORRUPT", &sidecar).await;
}

/// Leaves `free` MiB of a volume, by a file of another process.
fn leave(volume: &Path, free: u64) {
    let filler = File::create(volume.join("filler")).unwrap();
    let figures = rustix::fs::statvfs(volume).unwrap();
    let available = figures.f_bavail * figures.f_frsize;
    let length = available.saturating_sub(free << 20);
    rustix::fs::fallocate(&filler, rustix::fs::FallocateFlags::empty(), 0, length).unwrap();
}

#[tokio::test]
async fn a_disk_that_fills() {
    let Some(volume) = Volume::new(1024, "a disk at each of its marks") else { return };
    let data = volume.path().join("data");
    let mut core = Core::launch_on(&data, &[]);
    core.ready().await;
    let sidecar = beside(&core).await;
    reached("serving", &sidecar).await;
    leave(&volume.path(), 180);
    reached("disk below the warning mark", &sidecar).await;
    eventually("the warning shows", Duration::from_secs(20), async || {
        let health = sidecar.probe("/health").await.body;
        (health.contains("\"warnings\"") && health.contains("free")).then_some(())
    })
    .await;
    leave(&volume.path(), 70);
    check("disk below the low mark", &sidecar).await;
    leave(&volume.path(), 12);
    check("disk below the floor", &sidecar).await;
    std::fs::remove_file(volume.path().join("filler")).unwrap();
    check("serving", &sidecar).await;
    drop(core);
}

#[tokio::test]
async fn inodes_that_run_out() {
    let Some(volume) = Volume::new(256, "a disk without inodes") else { return };
    let data = volume.path().join("data");
    let mut core = Core::launch_on(&data, &[]);
    core.ready().await;
    let sidecar = beside(&core).await;
    reached("serving", &sidecar).await;
    let many = volume.path().join("many");
    std::fs::create_dir(&many).unwrap();
    // All but some dozens: enough for what core itself creates now and then.
    let free = rustix::fs::statvfs(volume.path()).unwrap().f_ffree;
    for number in 0..free.saturating_sub(64) {
        File::create(many.join(number.to_string())).unwrap();
    }
    check("inodes used up", &sidecar).await;
    std::fs::remove_dir_all(&many).unwrap();
    check("serving", &sidecar).await;
    drop(core);
}

#[tokio::test]
async fn draining() {
    let mut core = Core::start().await;
    let sidecar = beside(&core).await;
    reached("serving", &sidecar).await;
    let data = core.data().to_string_lossy().into_owned();
    let output = core.data().with_extension("prestop");
    let variables = [("METASTORE_DATA_DIR".to_owned(), data)];
    let mut prestop = Process::start_with(&core_binary(), &["prestop", "0"], &output, &variables);
    assert!(prestop.ended().await.success(), "{}", prestop.output());
    check("draining", &sidecar).await;
    core.stop().await;
}

#[tokio::test]
async fn a_sidecar_restarted() {
    let core = Core::start().await;
    let mut first = beside(&core).await;
    reached("serving", &first).await;
    first.process().kill();
    let second = beside(&core).await;
    check("the sidecar restarted", &second).await;
}
