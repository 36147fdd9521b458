//! What compaction by time keeps, whatever happens to the sidecar, to core and to the time of day.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod shifted_clock;
mod writer;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metastore_tests::eventually::{eventually, pause};
use metastore_tests::member::{Core, Sidecar};
use serde_json::Value;
use shifted_clock::ShiftedClock;
use tokio::time::Instant;
use writer::Writer;

const HOUR_S: i64 = 3600;
const SECOND: Duration = Duration::from_secs(1);
/// Between a write that is old enough and the compaction that takes it: marks are ten seconds
/// apart, checks one; the rest is for a slow machine.
const SLACK: Duration = Duration::from_secs(30);

/// A little more than marks are apart: at the end there is one from between.
const MARK_APART: Duration = Duration::from_secs(11);

/// Everything older than the window goes, as soon as may be.
fn keeping(window: &str) -> [(&str, &str); 3] {
    [
        ("METASTORE_KEEP_REVISIONS", "1"),
        ("METASTORE_KEEP_DURATION", window),
        ("METASTORE_CHECK_INTERVAL", "1s"),
    ]
}

/// Waits until a revision is compacted away. All the time, nothing of the window may be.
async fn until_gone(writer: &Writer, revision: i64, window: Duration) {
    let deadline = Instant::now() + window + SLACK;
    while writer.can_read(revision).await {
        assert!(Instant::now() < deadline, "revision {revision} is never compacted");
        writer.check_window(window).await;
        pause().await;
    }
    writer.check_window(window).await;
    let age = writer.superseded(revision).elapsed();
    assert!(age >= window, "revision {revision} went after {age:?}");
}

#[tokio::test]
async fn a_sidecar_that_dies_again_and_again_keeps_the_window() {
    const WINDOW: Duration = Duration::from_secs(12);
    let core = Core::start().await;
    let writer = Writer::start(core.client());
    let first = writer.next().await;
    let mut lives = 0;
    let dying = async {
        loop {
            let mut sidecar = Sidecar::start(&core, &keeping("12s")).await;
            tokio::time::sleep(4 * SECOND).await;
            sidecar.process().kill();
            lives += 1;
        }
    };
    tokio::select! {
        () = until_gone(&writer, first, WINDOW) => {}
        () = dying => unreachable!("it dies for ever"),
    }
    assert!(lives >= 3, "the sidecar died {lives} times: none lived as long as the window");
}

#[tokio::test]
async fn a_time_of_day_that_is_set_moves_no_window() {
    const WINDOW: Duration = Duration::from_secs(6);
    let clock = ShiftedClock::new();
    let mut core = Core::start_with(&clock.with(&[])).await;
    assert!(clock.is_in(core.process().pid()));
    let sidecar = Sidecar::start(&core, &clock.with(&keeping("6s"))).await;
    let writer = Writer::start(core.client());
    writer.next().await;
    // A mark is made when the first one is ten seconds old: a second ago. When a revision goes, the
    // mark that lets it is as old as the window: a few seconds more until the next.
    let mut until_mark = MARK_APART;
    for shift_s in [HOUR_S, -HOUR_S] {
        tokio::time::sleep(until_mark).await;
        until_mark = MARK_APART - WINDOW;
        clock.set(shift_s);
        let seen_s = shift_seen(&sidecar).await;
        assert!((seen_s - shift_s).abs() < 60, "the sidecar's clock is wrong by {seen_s} s");
        until_gone(&writer, writer.next().await, WINDOW).await;
    }
}

#[tokio::test]
async fn a_time_of_day_that_is_set_while_core_is_down_makes_nothing_old() {
    const WINDOW: Duration = Duration::from_secs(40);
    let clock = ShiftedClock::new();
    let mut core = Core::start_with(&clock.with(&[])).await;
    let sidecar = Sidecar::start(&core, &clock.with(&keeping("40s"))).await;
    for shift_s in [HOUR_S, -HOUR_S] {
        let writer = Writer::start(core.client());
        let first = writer.next().await;
        tokio::time::sleep(MARK_APART).await;
        writer.stop().await;
        core.kill();
        clock.set(shift_s);
        core.restart().await;
        let before = runs(&sidecar).await;
        eventually("the sidecar looks again", SLACK, async || {
            (runs(&sidecar).await >= before + 3).then_some(())
        })
        .await;
        let age = writer.superseded(first).elapsed();
        if age < WINDOW {
            assert!(writer.can_read(first).await, "compacted after {age:?}, by {shift_s} s");
        } else {
            eprintln!("a slow machine: the restart took {age:?}, nothing is proven");
        }
    }
}

/// A burst of writes and then silence: all of it shares one mark, and most is younger than that.
#[tokio::test]
async fn the_last_writes_age_as_well() {
    let core = Core::start().await;
    let client = core.client();
    let _sidecar = Sidecar::start(&core, &keeping("3s")).await;
    client.set("k", "0").await;
    let mut newest = 0;
    for number in 0..200 {
        newest = client.set("k", number.to_string()).await;
    }
    let written = Instant::now();
    let last_but_one = Writer::reader(client);
    eventually("the newest but one is compacted", SLACK, async || {
        (!last_but_one.can_read(newest - 2).await).then_some(())
    })
    .await;
    assert!(written.elapsed() >= 3 * SECOND, "too early: {:?}", written.elapsed());
    assert!(last_but_one.can_read(newest - 1).await, "METASTORE_KEEP_REVISIONS is 1");
}

/// By how many seconds the sidecar's time of day is wrong.
async fn shift_seen(sidecar: &Sidecar) -> i64 {
    let health: Value = serde_json::from_str(&sidecar.probe("/health").await.body).unwrap();
    let said = health["timestamp"].as_str().unwrap().to_owned();
    let output = std::process::Command::new("date").args(["-u", "+%s", "-d", &said]).output();
    let said: i64 = String::from_utf8(output.unwrap().stdout).unwrap().trim().parse().unwrap();
    let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
    said - real
}

/// Runs of the scheduler that looked at core's history.
async fn runs(sidecar: &Sidecar) -> u64 {
    let text = sidecar.probe("/metrics").await.body;
    let of = |result: &str| {
        let name = format!("metastore_sidecar_compaction_runs_total{{result=\"{result}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&name));
        value.expect("the metric is there").parse::<u64>().unwrap()
    };
    of("nothing") + of("compacted")
}
