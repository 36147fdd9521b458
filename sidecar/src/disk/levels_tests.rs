//! The specification of the levels: stories of measurements, one a table.

use std::time::Duration;

use super::super::space::Space;
use super::*;
use crate::tunable::Tunable;

/// The defaults: warn 20 %, low 10 %, clear 15 %, floor 2 %, for 60 s.
fn settings() -> DiskSettings {
    Tunable::default().disk
}

/// So much of 1000 bytes is free.
fn bytes(free: u64) -> Room {
    Room { bytes: Space { total: 1000, free }, inodes: None, suits_core: true }
}

/// So many of 1000 inodes are free, and plenty of bytes.
fn inodes(free: u64) -> Room {
    Room { inodes: Some(Space { total: 1000, free }), ..bytes(900) }
}

/// One row: seconds since the start, the room then, and the level that follows.
fn check(settings: &DiskSettings, rows: &[(u64, Room, Level)]) {
    let start = Instant::now();
    let mut standing = Standing::default();
    for (second, room, level) in rows {
        standing = judge(&standing, room, settings, start + Duration::from_secs(*second));
        assert_eq!(standing.level, *level, "after {second} s with {room:?}");
    }
}

#[test]
fn each_mark_is_the_first_amount_that_is_enough() {
    for (free, level) in [
        (1000, Level::Ok),
        (200, Level::Ok),
        (199, Level::Warn),
        (100, Level::Warn),
        (99, Level::Low),
        (20, Level::Low),
        (19, Level::Floor),
        (0, Level::Floor),
    ] {
        check(&settings(), &[(0, bytes(free), level)]);
        check(&settings(), &[(0, inodes(free), level)]);
    }
}

#[test]
fn the_scarcer_of_bytes_and_inodes_decides() {
    let both = |free, left| Room { inodes: inodes(left).inodes, ..bytes(free) };
    check(&settings(), &[(0, both(900, 50), Level::Low)]);
    check(&settings(), &[(0, both(50, 900), Level::Low)]);
    check(&settings(), &[(0, both(150, 10), Level::Floor)]);
}

#[test]
fn a_mark_in_bytes_says_nothing_about_inodes() {
    let settings = DiskSettings { low: Share::Bytes(500), floor: Share::Bytes(1), ..settings() };
    check(&settings, &[(0, inodes(5), Level::Warn), (1, bytes(499), Level::Low)]);
}

#[test]
fn worse_comes_at_once() {
    use Level::{Floor, Low, Ok, Warn};
    let rows = [(0, bytes(500), Ok), (1, bytes(150), Warn), (2, bytes(90), Low)];
    check(&settings(), &rows);
    check(&settings(), &[(0, bytes(500), Ok), (1, bytes(1), Floor)]);
}

#[test]
fn back_from_low_only_above_clear_for_as_long_as_asked() {
    use Level::{Low, Ok, Warn};
    let rows = [
        (0, bytes(99), Low),
        (1, bytes(149), Low),
        (600, bytes(149), Low),
        (601, bytes(150), Low),
        (660, bytes(150), Low),
        (661, bytes(150), Warn),
        (700, bytes(101), Warn),
        (701, bytes(250), Warn),
        (760, bytes(250), Warn),
        (761, bytes(250), Ok),
    ];
    check(&settings(), &rows);
}

#[test]
fn a_dip_begins_the_wait_again() {
    use Level::{Low, Ok};
    let rows = [
        (0, bytes(50), Low),
        (10, bytes(500), Low),
        (69, bytes(149), Low),
        (71, bytes(500), Low),
        (130, bytes(500), Low),
        (131, bytes(500), Ok),
    ];
    check(&settings(), &rows);
}

#[test]
fn from_the_floor_to_plenty_is_one_wait() {
    use Level::{Floor, Low, Ok};
    let rows = [(0, bytes(5), Floor), (1, bytes(500), Floor), (61, bytes(500), Ok)];
    check(&settings(), &rows);
    let rows = [
        (0, bytes(5), Floor),
        (1, bytes(50), Floor),
        (31, bytes(500), Floor),
        (61, bytes(500), Low),
        (91, bytes(500), Ok),
    ];
    check(&settings(), &rows);
}

#[test]
fn without_a_wait_better_comes_at_once_too() {
    let settings = DiskSettings { clear_after: Duration::ZERO, ..settings() };
    check(&settings, &[(0, bytes(50), Level::Low), (1, bytes(500), Level::Ok)]);
}

#[test]
fn what_core_refuses_is_not_roomy() {
    let start = Instant::now();
    let refused = Room { suits_core: false, ..bytes(500) };
    let standing = judge(&Standing::default(), &refused, &settings(), start);
    assert_eq!((standing.level, standing.roomy_since()), (Level::Ok, None));
    let later = start + Duration::from_secs(1);
    let standing = judge(&standing, &bytes(500), &settings(), later);
    assert_eq!(standing.roomy_since(), Some(later));
}

#[test]
fn what_is_not_measured_does_not_count_as_room() {
    let start = Instant::now();
    let low = judge(&Standing::default(), &bytes(50), &settings(), start);
    let roomy = judge(&low, &bytes(500), &settings(), start + Duration::from_secs(1));
    let unknown = roomy.unmeasured();
    assert_eq!((unknown.level, unknown.roomy_since()), (Level::Low, None));
    let again = judge(&unknown, &bytes(500), &settings(), start + Duration::from_secs(61));
    assert_eq!(again.level, Level::Low, "the wait begins again");
}

#[test]
fn a_level_keeps_its_beginning() {
    let start = Instant::now();
    let at = |second| start + Duration::from_secs(second);
    let first = judge(&Standing::default(), &bytes(150), &settings(), at(0));
    let second = judge(&first, &bytes(140), &settings(), at(5));
    assert_eq!(second.since, Some(at(0)));
    let third = judge(&second, &bytes(50), &settings(), at(7));
    assert_eq!(third.since, Some(at(7)));
}
