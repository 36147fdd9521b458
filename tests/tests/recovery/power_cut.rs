//! The power fails in the middle of writes, twenty times: a kill leaves the page cache, this does not.

use metastore_tests::member::Core;
use metastore_tests::volume::Volume;
use rand::Rng;

use crate::load::{Load, seeded};

const ROUNDS: usize = 20;
const WATCHERS: usize = 3;
const VOLUME_MIB: u64 = 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_loses_nothing_acknowledged() {
    let Some(volume) = Volume::new(VOLUME_MIB, "power cuts") else { return };
    let mut random = seeded();
    let mut core = Core::launch_on(&volume.path().join("data"), &[]);
    core.ready().await;
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
