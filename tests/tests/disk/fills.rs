//! A volume is filled to the last byte, or inode: from the alarm to its end.

use metastore_proto::etcdserverpb::DeleteRangeRequest;
use metastore_tests::client::numbered;
use metastore_tests::eventually::eventually;
use metastore_tests::member::Sidecar;
use tokio::time::Instant;

use crate::filler;
use crate::pod::{CLEAR_AFTER, LIMIT, Pod, assert_alarm_is_visible, until, until_metric};
use crate::writer::{Writer, assert_all_there};

const RATE: u64 = 50_000_000;
/// Deleted while the disk is full.
const DELETED: usize = 10;

/// The alarm is up; then the disk is as full as it gets.
async fn assert_works_while_full(pod: &mut Pod, sidecar: &Sidecar) {
    pod.until_alarms(1).await;
    pod.assert_refuses_writes().await;
    assert_alarm_is_visible(sidecar).await;
    let raised = "metastore_sidecar_disk_alarm_actions_total{action=\"raise\",result=\"done\"} 1";
    until_metric(sidecar, raised).await;
    let delete = DeleteRangeRequest {
        key: numbered("k", 0),
        range_end: numbered("k", DELETED),
        prev_kv: false,
    };
    let deleted = pod.client.delete(delete).await.expect("deletes work on a full disk");
    assert_eq!(deleted.deleted, i64::try_from(DELETED).unwrap());
    pod.client.compact_to(deleted.header.unwrap().revision).await;
    assert_all_there(&pod.client, DELETED, DELETED + 10).await;
    assert_eq!(pod.core.process().has_ended(), None, "core goes on");
}

/// There is room again: the alarm ends by itself, not too soon, and nothing was lost.
async fn assert_ends_well(mut pod: Pod, sidecar: Sidecar, writer: Writer) {
    let freed = Instant::now();
    filler::free(&pod.volume());
    pod.until_alarms(0).await;
    let took = freed.elapsed();
    assert!(took >= CLEAR_AFTER, "cleared after {took:?}");
    pod.assert_takes_writes().await;
    until(&sidecar, "/health", 200).await;
    until_metric(&sidecar, "metastore_sidecar_disk_level{level=\"ok\"} 1").await;
    let cleared = "metastore_sidecar_disk_alarm_actions_total{action=\"clear\",result=\"done\"} 1";
    until_metric(&sidecar, cleared).await;

    assert!(writer.refused() > 0, "the writer met the alarm");
    let count = writer.stop().await;
    assert_all_there(&pod.client, DELETED, count).await;
    pod.core.kill();
    pod.core.restart().await;
    assert_all_there(&pod.core.client(), DELETED, count).await;
    eprintln!("{count} writes acknowledged, all there; cleared {took:?} after the space was freed");
    pod.core.kill();
}

/// Waits until the writer has something to delete.
async fn enough_is_written(pod: &Pod) {
    eventually("enough is written", LIMIT, async || {
        pod.client.get(numbered("k", 2 * DELETED)).await
    })
    .await;
}

/// Seconds until the disk is full, as the sidecar foretells it.
async fn full_in(sidecar: &Sidecar) -> Option<f64> {
    let metrics = sidecar.probe("/metrics").await.body;
    let name = "metastore_sidecar_disk_full_in_seconds ";
    let seconds = metrics.lines().find_map(|line| line.strip_prefix(name)).expect("the gauge");
    seconds.parse().ok().filter(|seconds: &f64| seconds.is_finite())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_another_process_at_50_mb_a_second() {
    let Some(mut pod) = Pod::start("a disk that fills at 50 MB/s").await else { return };
    let sidecar = pod.sidecar().await;
    let writer = Writer::start(pod.client.clone());
    enough_is_written(&pod).await;
    let filling = filler::fill_slowly(&pod.volume(), RATE);
    pod.until_alarms(1).await;
    let left = filler::free_bytes(&pod.volume());
    assert!(left > 128 << 20, "{left} bytes were left when the alarm was raised");
    let full_in = eventually("an end is foretold", LIMIT, async || full_in(&sidecar).await).await;
    // 40 % of 512 MiB at 50 MB/s are 4 s; the slope is the mean of the seconds before.
    assert!((0.0..30.0).contains(&full_in), "full in {full_in} s");
    filling.join().unwrap();
    until_metric(&sidecar, "metastore_sidecar_disk_level{level=\"floor\"} 1").await;
    assert_works_while_full(&mut pod, &sidecar).await;
    eprintln!("50 MB/s: {} MB were left at the alarm; {full_in} s were foretold", left / 1_000_000);
    assert_ends_well(pod, sidecar, writer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_another_process_in_a_single_step() {
    let Some(mut pod) = Pod::start("a disk that fills at once").await else { return };
    let sidecar = pod.sidecar().await;
    let writer = Writer::start(pod.client.clone());
    enough_is_written(&pod).await;
    let filled = Instant::now();
    filler::fill_at_once(&pod.volume(), 0);
    pod.until_alarms(1).await;
    eprintln!("in a single step: alarm after {:?}", filled.elapsed());
    assert_works_while_full(&mut pod, &sidecar).await;
    assert_ends_well(pod, sidecar, writer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_files_until_no_inode_is_left() {
    let Some(mut pod) = Pod::start("a volume without inodes").await else { return };
    let sidecar = pod.sidecar().await;
    let writer = Writer::start(pod.client.clone());
    enough_is_written(&pod).await;
    filler::use_up_inodes(&pod.volume());
    until_metric(&sidecar, "metastore_sidecar_disk_level{level=\"floor\"} 1").await;
    assert_works_while_full(&mut pod, &sidecar).await;
    assert_ends_well(pod, sidecar, writer).await;
}
