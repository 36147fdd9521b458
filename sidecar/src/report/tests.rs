use metastore_proto::admin::{AlarmCause, AlarmKind, Phase, RaisedAlarm, Role, TimeMark};

use super::model::Status;
use super::rows::{Level, headline, sections, stale};
use super::samples::{AT, Known, hostile};
use super::*;
use crate::disk;

/// The value and the note of a row.
fn row(report: &Report, section: &str, label: &str) -> (String, String) {
    let sections = sections(report);
    let section = sections.iter().find(|found| found.id == section).expect(section);
    let row = section.rows.iter().find(|row| row.label == label).expect(label);
    (row.value.clone(), row.note.clone())
}

fn words(known: &Known) -> (&'static str, String) {
    let headline = headline(&known.report());
    (headline.word, headline.sentence)
}

#[test]
fn a_report_survives_its_json() {
    for known in [Known::nothing(), Known::well(), hostile()] {
        let report = known.report();
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }
}

#[test]
fn nothing_is_known_at_first() {
    let report = Known::nothing().report();
    assert!(!report.healthy && report.heard.age_ms.is_none() && report.core.is_none());
    assert_eq!(report.at, AT);
    let shown: Vec<_> = sections(&report).iter().map(|section| section.id).collect();
    assert_eq!(shown, ["revisions", "storage", "processes"]);
    assert_eq!(row(&report, "storage", "disk"), ("cannot be measured".into(), String::new()));
    assert_eq!(row(&report, "processes", "core answered").0, "never");
    assert!(report.last_hour.free_bytes.iter().all(Option::is_none));
}

#[test]
fn headlines() {
    let phase = |phase| Known::says(move |said| said.process.as_mut().unwrap().set_phase(phase));
    let alarm = |kind: AlarmKind| {
        let alarm = RaisedAlarm { kind: kind.into(), ..RaisedAlarm::default() };
        Known::says(move |said| said.alarms.push(alarm))
    };
    let role = |role| Known::says(move |said| said.consensus.as_mut().unwrap().set_role(role));
    for (known, expected) in [
        (Known::well(), ("Healthy", "core serves clients and leads")),
        (role(Role::Follower), ("Healthy", "core serves clients and follows a leader")),
        (phase(Phase::Opening), ("Starting", "opening the store")),
        (phase(Phase::Draining), ("Not ready", "draining")),
        (alarm(AlarmKind::Nospace), ("Not healthy", "ALARM NOSPACE")),
        (alarm(AlarmKind::Corrupt), ("Not ready", "ALARM CORRUPT")),
        (Known::nothing(), ("Waiting for core", "core has not answered yet")),
        (
            Known::nothing().silent(5),
            ("Waiting for core", "core has not answered yet: no answer within 1s"),
        ),
        (
            Known::well().silent(5),
            ("Core is silent", "core last answered 5 s ago: no answer within 1s"),
        ),
        (
            Known::well().silent(61),
            ("Not alive", "core has not answered for 61s: no answer within 1s"),
        ),
    ] {
        assert_eq!(words(&known), (expected.0, expected.1.to_owned()));
    }
}

#[test]
fn every_failure_of_core_has_advice() {
    let phase = Known::says(|said| said.process.as_mut().unwrap().set_phase(Phase::Draining));
    for known in [phase, Known::well().silent(5), Known::well().silent(61), hostile()] {
        let headline = headline(&known.report());
        assert!(headline.advice.is_some(), "{headline:?}");
    }
    assert_eq!(headline(&Known::well().report()).advice, None);
    for known in [Known::well().silent(70), hostile()] {
        for check in known.report().checks.iter().filter(|check| check.status == Status::Failed) {
            assert!(advice::advice(&check.name).is_some(), "{}", check.name);
        }
    }
}

#[test]
fn a_disk_that_fills_is_told_before_it_fails_anything() {
    let mut known = Known::well();
    known.disk.level = disk::Level::Warn;
    known.disk.full_in = Some(std::time::Duration::from_secs(7200));
    let report = known.report();
    assert_eq!(headline(&report).level, Level::Warn);
    assert!(report.healthy);
    assert_eq!(row(&report, "storage", "disk, free").1, "getting full: 60 % of 100 GiB");
    assert_eq!(row(&report, "storage", "full in").0, "2 h");
    assert_eq!(
        row(&report, "storage", "watermarks"),
        ("warning below 20.0 GiB".into(), "alarm below 10.0 GiB".into())
    );
}

#[test]
fn what_a_healthy_leader_says() {
    let report = Known::well().report();
    for (section, label, value, note) in [
        ("member", "id", "8e9e05c52164694d", ""),
        ("member", "role", "leader", "term 2"),
        ("member", "leader", "this member", ""),
        ("member", "applied index", "5,004", "all that is committed"),
        ("revisions", "current", "5,000", "10 live keys"),
        ("revisions", "compacted", "2,000", "reads before it fail"),
        ("revisions", "kept history", "3,000 revisions", "at least 30 min"),
        (
            "revisions",
            "last run",
            "compacted to revision 2000, 1500 revisions removed",
            "10 min ago",
        ),
        ("revisions", "next run", "in 50 min", ""),
        ("storage", "disk, free", "60.0 GiB", "60 % of 100 GiB"),
        ("storage", "database", "1.21 GiB", "quota 8.00 GiB"),
        ("storage", "last log sync", "1.2 ms", ""),
        ("work", "watchers", "1,200", "none lags"),
        ("processes", "core", "0.1.0, serving", "up 3 h 4 min, process 12"),
        ("processes", "sidecar", env!("CARGO_PKG_VERSION"), "up 1 min 30 s"),
    ] {
        let expected = (value.to_owned(), note.to_owned());
        assert_eq!(row(&report, section, label), expected, "{section}, {label}");
    }
    let policy = row(&report, "revisions", "policy").0;
    assert_eq!(
        policy,
        "keep the newest 100,000 revisions and the last 10 min; considered every 1 h"
    );
}

#[test]
fn policies_in_words() {
    let mut known = Known::well();
    let policy = |known: &Known| row(&known.report(), "revisions", "policy").0;
    known.tunable.compaction.keep_revisions = 1;
    known.tunable.compaction.keep_duration = std::time::Duration::ZERO;
    assert_eq!(policy(&known), "keep the newest revision; considered every 1 h");
    known.tunable.compaction.enabled = false;
    assert_eq!(policy(&known), "off: history is kept until a client compacts it");
}

#[test]
fn runs_that_failed_or_wait() {
    use crate::compaction::{Outcome, Skip};
    let mut known = Known::well();
    known.compaction.last.as_mut().unwrap().outcome = Outcome::Skipped(Skip::NotLeader);
    known.compaction.next_due = Some(samples::TIME);
    let report = known.report();
    assert_eq!(row(&report, "revisions", "last run").0, "skipped: this member does not lead");
    assert_eq!(row(&report, "revisions", "next run").0, "as soon as nothing is in its way");
    known.compaction.last = None;
    assert_eq!(row(&known.report(), "revisions", "last run").0, "none since the sidecar started");
}

#[test]
fn old_words_of_core_are_marked_as_old() {
    assert_eq!(stale(&Known::well().report()), None);
    assert_eq!(stale(&Known::nothing().report()), None);
    let report = Known::well().silent(5).report();
    assert_eq!(stale(&report).unwrap(), "What follows about core is 5 s old.");
    assert!(report.member.is_some(), "it keeps standing");
}

/// Numbers of a core that is broken, or not one.
#[test]
fn no_number_is_too_large_or_too_small() {
    let extremes = [i64::MIN, -1, 0, i64::MAX];
    for (at, number) in extremes.into_iter().enumerate() {
        let other = extremes[extremes.len() - 1 - at];
        let known = Known::says(|said| {
            let history = said.history.as_mut().unwrap();
            (history.revision, history.compacted_revision, history.keys) = (number, other, number);
            history.marks = vec![TimeMark { unix_ms: other, revision: i64::MAX }];
            history.now_ms = number;
            let disk = said.disk.as_mut().unwrap();
            (disk.logical_bytes, disk.physical_bytes, disk.quota_bytes) = (number, other, number);
            let unsigned = number.cast_unsigned();
            (disk.last_sync_us, disk.ballast_bytes) = (unsigned, unsigned);
            let consensus = said.consensus.as_mut().unwrap();
            (consensus.commit_index, consensus.applied_index) = (unsigned, other.cast_unsigned());
            let liveness = said.liveness.as_mut().unwrap();
            (liveness.tick_age_ms, liveness.local_read_age_ms) = (u64::MAX, u64::MAX);
            let process = said.process.as_mut().unwrap();
            (process.uptime_ms, process.phase) = (u64::MAX, i32::MIN);
        });
        let report = known.report();
        text::render(&report, text::Colour::Off);
        drawing::drawings(&report);
    }
}

#[test]
fn alarms_have_their_cause() {
    for (cause, expected) in [
        (AlarmCause::Quota, "the database is larger than its quota"),
        (AlarmCause::Disk, "the disk has too little room"),
        (AlarmCause::Operator, "raised by an operator"),
    ] {
        let known = Known::says(move |said| {
            let kind = AlarmKind::Nospace.into();
            said.alarms.push(RaisedAlarm { member_id: 0xab, kind, cause: cause.into() });
        });
        let alarm = known.report().alarms.remove(0);
        assert_eq!((alarm.kind, alarm.cause), ("NOSPACE".to_owned(), expected.to_owned()));
        assert_eq!(alarm.member_id, "ab");
    }
}

#[test]
fn the_hour_ends_now() {
    let report = Known::well().report();
    let hour = &report.last_hour;
    assert_eq!(hour.free_bytes, [Some(60 << 30)]);
    assert_eq!(hour.revision, [Some(5000)]);
    assert_eq!((hour.interval_s, hour.places), (15, 241));
    let late = Known::well().silent(16).report();
    assert_eq!(late.last_hour.revision, [None], "core has not said that");
}
