//! Whose alarm it is: the guard clears what stands for the disk, and nothing else.

use metastore_proto::etcdserverpb::AlarmType;
use metastore_proto::etcdserverpb::alarm_request::AlarmAction::{Activate, Deactivate};
use metastore_tests::eventually::throughout;
use rustix::process::Signal;

use crate::filler;
use crate::pod::{CLEAR_AFTER, Pod, until_metric};

/// Below the guard's mark, above core's.
const LEFT: u64 = 160 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_that_restarts_takes_the_alarm_over() {
    let Some(mut pod) = Pod::start("a sidecar that restarts on a low disk").await else { return };
    let mut sidecar = pod.sidecar().await;
    filler::fill_at_once(&pod.volume(), LEFT);
    pod.until_alarms(1).await;
    sidecar.process().signal(Signal::KILL);
    sidecar.process().ended().await;
    pod.assert_refuses_writes().await;

    // Still low: nothing is raised twice, nothing is cleared.
    let mut sidecar = pod.sidecar().await;
    until_metric(&sidecar, "metastore_sidecar_disk_level{level=\"low\"} 1").await;
    pod.until_alarms(1).await;
    sidecar.process().signal(Signal::KILL);
    sidecar.process().ended().await;

    // Space comes back while nobody looks.
    filler::free(&pod.volume());
    throughout("nobody clears it", CLEAR_AFTER, async || {
        pod.assert_refuses_writes().await;
        true
    })
    .await;
    let _sidecar = pod.sidecar().await;
    pod.until_alarms(0).await;
    pod.assert_takes_writes().await;
    pod.core.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_alarm_of_an_operator_stays() {
    let Some(mut pod) = Pod::start("an operator's alarm").await else { return };
    let sidecar = pod.sidecar().await;
    pod.client.alarms(Activate, AlarmType::Nospace).await;
    throughout("the operator's alarm stays", CLEAR_AFTER * 2, async || {
        pod.assert_refuses_writes().await;
        true
    })
    .await;
    // One of the disk comes beside it, and goes; the operator's stays.
    filler::fill_at_once(&pod.volume(), LEFT);
    let action = "metastore_sidecar_disk_alarm_actions_total";
    until_metric(&sidecar, &format!("{action}{{action=\"raise\",result=\"done\"}} 1")).await;
    filler::free(&pod.volume());
    until_metric(&sidecar, &format!("{action}{{action=\"clear\",result=\"done\"}} 1")).await;
    pod.until_alarms(1).await;
    pod.assert_refuses_writes().await;
    pod.client.alarms(Deactivate, AlarmType::Nospace).await;
    pod.until_alarms(0).await;
    pod.assert_takes_writes().await;
    pod.core.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_core_raised_by_itself_the_sidecar_clears() {
    let Some(mut pod) = Pod::start("a disk that fills without a sidecar").await else { return };
    filler::fill_at_once(&pod.volume(), 64 << 20);
    metastore_tests::eventually::eventually("core refuses", CLEAR_AFTER * 5, async || {
        pod.client.put(metastore_tests::requests::put("a", "1")).await.err()
    })
    .await;
    pod.until_alarms(1).await;
    filler::free(&pod.volume());
    pod.assert_refuses_writes().await;
    let _sidecar = pod.sidecar().await;
    pod.until_alarms(0).await;
    pod.assert_takes_writes().await;
    pod.core.kill();
}
