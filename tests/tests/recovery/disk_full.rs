//! The disk fills up: an alarm, or a clean stop; then it opens again and deletes make room.

use std::time::Duration;

use metastore_proto::etcdserverpb as pb;
use metastore_tests::client::{Client, numbered, revision};
use metastore_tests::eventually::eventually;
use metastore_tests::member::Core;
use metastore_tests::requests::{key, put};
use metastore_tests::volume::Volume;
use pb::alarm_request::AlarmAction::{Deactivate, Get};
use rand::RngCore;
use tonic::Code;

const VOLUME_MIB: u64 = 512;
const VALUE_BYTES: usize = 100_000;
/// 10 MB of values.
const DELETED_AT_ONCE: usize = 100;
const ROOM_LIMIT: Duration = Duration::from_secs(30);

/// Puts values of 100 kB until one is refused or nobody answers. The number that were acknowledged.
async fn fill(client: &Client) -> (usize, tonic::Status) {
    let mut value = vec![0; VALUE_BYTES];
    for number in 0_usize.. {
        rand::rng().fill_bytes(&mut value);
        value[..8].copy_from_slice(&number.to_be_bytes());
        if let Err(status) = client.put(put(numbered("k", number), &value)).await {
            return (number, status);
        }
        assert!(number < 10_000, "1 GB does not fit into {VOLUME_MIB} MiB");
    }
    unreachable!("an endless loop")
}

async fn assert_all_there(client: &Client, count: usize) {
    for number in 0..count {
        let kv = client.range(key(numbered("k", number))).await.unwrap().kvs.remove(0);
        assert_eq!((kv.value.len(), &kv.value[..8]), (VALUE_BYTES, &number.to_be_bytes()[..]));
    }
}

/// Deletes everything, piece by piece: what is deleted is history first, which takes room until it
/// is compacted. Then there is room again, maybe not at once.
async fn recover(client: &Client, count: usize) {
    for first in (0..count).step_by(DELETED_AT_ONCE) {
        let piece = pb::DeleteRangeRequest {
            key: numbered("k", first),
            range_end: numbered("k", first + DELETED_AT_ONCE),
            prev_kv: false,
        };
        let deleted = revision(&client.delete(piece).await.unwrap().header);
        client.compact_to(deleted).await;
    }
    eventually("deletes make room", ROOM_LIMIT, async || {
        client.alarms(Deactivate, pb::AlarmType::Nospace).await;
        client.put(put("again", "1")).await.ok()
    })
    .await;
    assert_eq!(client.value("again").await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quota_stops_writes_before_the_disk_is_full() {
    let Some(volume) = Volume::new(VOLUME_MIB, "a full quota of the volume") else { return };
    let mut core =
        Core::launch_on(&volume.path().join("data"), &[("METASTORE_BALLAST_BYTES", "64MiB")]);
    core.ready().await;
    let client = core.client();
    let (count, status) = fill(&client).await;
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert_eq!(status.message(), "etcdserver: mvcc: database space exceeded");
    assert_eq!(client.alarms(Get, pb::AlarmType::Nospace).await.len(), 1);
    assert_all_there(&client, count).await;
    core.kill();
    core.restart().await;
    let client = core.client();
    assert_all_there(&client, count).await;
    recover(&client, count).await;
    core.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_nothing_acknowledged() {
    let Some(volume) = Volume::new(VOLUME_MIB, "a full disk") else { return };
    let variables = [("METASTORE_BALLAST_BYTES", "64MiB"), ("METASTORE_QUOTA_BACKEND_BYTES", "-1")];
    let mut core = Core::launch_on(&volume.path().join("data"), &variables);
    core.ready().await;
    let (count, status) = fill(&core.client()).await;
    let refused = status.code() == Code::ResourceExhausted;
    if !refused {
        let ended = core.process().ended().await;
        assert_eq!(ended.code(), Some(74), "after {status:?}");
        core.restart().await;
    }
    assert!(count > 100, "only {count} values fit");
    let client = core.client();
    assert_all_there(&client, count).await;
    recover(&client, count).await;
    core.kill();
}
