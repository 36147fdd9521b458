//! The power fails in the middle of writes, twenty times: a kill leaves the page cache, this does not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;

use metastore_tests::member::Core;
use metastore_tests::volume::Volume;
use rand::Rng;
use rand::rngs::StdRng;

use crate::load::{Load, seeded};

const ROUNDS: usize = 20;
const WATCHERS: usize = 3;
const VOLUME_MIB: u64 = 1024;

const NO_SYNC: &str = r#"
extern "C" int fsync(int) { return 0; }
extern "C" int fdatasync(int) { return 0; }
extern "C" int sync_file_range(int, long, long, unsigned) { return 0; }
"#;

/// Cuts the power in the middle of writes again and again; panics when something is lost.
async fn rounds(volume: Volume, mut core: Core, mut random: StdRng) {
    let mut load = Load::start(&core, WATCHERS).await;
    for round in 0..ROUNDS {
        let target = random.random_range(1..600);
        let cut = |core: &mut Core| {
            volume.cut_power();
            core.kill();
        };
        let acknowledged = load.write_until(&mut core, round, target, cut).await;
        volume.remount();
        core.restart().await;
        load.judge(&core, &acknowledged).await;
    }
    eprintln!("{} acknowledged writes over {ROUNDS} power cuts", load.acknowledged_total);
    load.stop().await;
    core.kill();
}

async fn start(volume: &Volume) -> Core {
    let mut core = Core::launch_on(&volume.path().join("data"), &[]);
    core.ready().await;
    core
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_loses_nothing_acknowledged() {
    if let Some(volume) = Volume::new(VOLUME_MIB, "power cuts") {
        let core = start(&volume).await;
        rounds(volume, core, seeded()).await;
    }
}

/// The test above would notice: it fails for a core whose syncs do nothing.
#[test]
fn a_core_that_does_not_sync_is_found_out() {
    let Some(volume) = Volume::new(VOLUME_MIB, "power cuts without sync") else { return };
    let place = tempfile::tempdir().unwrap();
    let library = without_sync(place.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let unsynced = async {
        // What a new directory needs is synced; what is written later is not.
        let mut core = start(&volume).await;
        assert_eq!(core.stop().await.code(), Some(0));
        core.set("LD_PRELOAD", library.to_str().unwrap());
        core.restart().await;
        rounds(volume, core, seeded()).await;
    };
    let result = catch_unwind(AssertUnwindSafe(|| runtime.block_on(unsynced)));
    let panic = result.expect_err("power cuts lost nothing, though nothing was synced");
    let why = panic.downcast::<String>().unwrap();
    assert!(why.contains("is lost") || why.contains("ended instead of serving"), "{why}");
}

/// A library that takes the place of libc's syncs. The compiler is there: RocksDB needed it.
fn without_sync(place: &Path) -> PathBuf {
    let (source, library) = (place.join("nosync.cc"), place.join("nosync.so"));
    std::fs::write(&source, NO_SYNC).unwrap();
    let mut compiler = Command::new("c++");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    assert!(compiler.status().unwrap().success(), "c++ cannot compile {NO_SYNC}");
    library
}
