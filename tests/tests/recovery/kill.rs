//! `kill -9` in the middle of writes, fifty times.

use metastore_tests::member::Core;
use rand::Rng;

use crate::load::{Load, seeded};

const ROUNDS: usize = 50;
const WATCHERS: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_member_keeps_what_it_acknowledged() {
    let mut random = seeded();
    let mut core = Core::start().await;
    let mut load = Load::start(&core, WATCHERS).await;
    for round in 0..ROUNDS {
        let target = random.random_range(1..600);
        let acknowledged = load.write_until(&mut core, round, target, Core::kill).await;
        core.restart().await;
        load.judge(&core, &acknowledged).await;
    }
    eprintln!("{} acknowledged writes over {ROUNDS} kills", load.acknowledged_total);
    load.stop().await;
}
