//! A volume that others use too: the configured capacity is the member's, however much is free.

use metastore_proto::etcdserverpb as pb;
use metastore_tests::client::{Client, numbered};
use metastore_tests::eventually::eventually;
use metastore_tests::member::{Core, Sidecar};
use metastore_tests::requests::put;
use pb::alarm_request::AlarmAction::Get;
use rand::RngCore;

use crate::pod::LIMIT;

const SHARED: [(&str, &str); 7] = [
    ("METASTORE_DISK_CAPACITY_BYTES", "100MiB"),
    ("METASTORE_BALLAST_BYTES", "1MiB"),
    ("METASTORE_DISK_WARN_FREE", "60%"),
    ("METASTORE_DISK_LOW_FREE", "50%"),
    ("METASTORE_DISK_CLEAR_FREE", "55%"),
    ("METASTORE_DISK_CLEAR_AFTER", "1s"),
    ("METASTORE_AUTO_COMPACT", "false"),
];
const VALUE_BYTES: usize = 100_000;
/// 70 MB of values are past the mark, in whatever form they lie.
const VALUES: usize = 700;

async fn nospace(client: &Client, is_raised: bool) {
    eventually(&format!("NOSPACE: {is_raised}"), LIMIT, async || {
        let alarms = client.alarms(Get, pb::AlarmType::None).await;
        (alarms.is_empty() != is_raised).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_that_is_used_up_is_a_low_disk() {
    let core = Core::start_with(&SHARED).await;
    let client = core.client();
    let status = client.status(pb::StatusRequest {}).await.unwrap();
    assert_eq!(status.db_size_quota, 100 * (1 << 20) / 100 * 80, "of the share, not of the volume");
    let sidecar = Sidecar::start(&core, &SHARED).await;
    let metrics = sidecar.probe("/metrics").await.body;
    assert!(metrics.contains("\nmetastore_sidecar_disk_total_bytes 104857600\n"), "{metrics}");

    let mut value = vec![0; VALUE_BYTES];
    for number in 0..VALUES {
        rand::rng().fill_bytes(&mut value);
        if client.put(put(numbered("k", number), &value)).await.is_err() {
            break;
        }
    }
    nospace(&client, true).await;
    let range_end = numbered("k", VALUES);
    let delete = pb::DeleteRangeRequest { key: numbered("k", 0), range_end, prev_kv: false };
    let deleted = client.delete(delete).await.unwrap();
    client.compact_to(deleted.header.unwrap().revision).await;
    nospace(&client, false).await;
    client.set("again", "1").await;
}
