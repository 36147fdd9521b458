//! Rows to bytes and back. Decoders refuse what encoders never write: a row that does not decode
//! stops the member.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::columns::Column;
use crate::domain::alarm::{Alarm, AlarmCause, AlarmKind, Alarms};
use crate::domain::effects::LoggedEvent;
use crate::domain::member::Member;
use crate::domain::mvcc::{DeadTotals, Totals};
use crate::domain::version::Fields;
use crate::domain::{Fault, Revision, Version};

/// Bytes of a position.
pub const POSITION_LEN: usize = 16;
const DELETE_FLAG: u8 = 1;
const CREATED_FLAG: u8 = 2;
const STATE_LAYOUT: u8 = 1;

pub fn number(number: i64) -> [u8; 8] {
    number.to_be_bytes()
}

pub fn take_number(bytes: &[u8]) -> Option<i64> {
    bytes.try_into().ok().map(i64::from_be_bytes)
}

pub fn position(at: Revision) -> [u8; POSITION_LEN] {
    let mut bytes = [0; POSITION_LEN];
    let (main, sub) = bytes.split_at_mut(8);
    main.copy_from_slice(&at.main.to_be_bytes());
    sub.copy_from_slice(&at.sub.to_be_bytes());
    bytes
}

/// Negative numbers are refused: their bytes sort behind all others, and cursors go by bytes.
pub fn take_position(bytes: &[u8]) -> Option<Revision> {
    let (main, sub) = bytes.split_at_checked(8)?;
    let (main, sub) = (take_number(main)?, take_number(sub)?);
    (main >= 0 && sub >= 0).then_some(Revision::new(main, sub))
}

/// A key in a form whose byte order is key order even with bytes after it.
pub fn escaped(key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + 2 + POSITION_LEN);
    escape_into(key, &mut out);
    out.extend_from_slice(&[0, 1]);
    out
}

/// The escaped bytes of `key` without their end: a lower bound for every key from `key` on.
pub fn escaped_prefix(key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + POSITION_LEN);
    escape_into(key, &mut out);
    out
}

fn escape_into(key: &[u8], out: &mut Vec<u8>) {
    for part in key.split_inclusive(|byte| *byte == 0) {
        out.extend_from_slice(part);
        if part.ends_with(&[0]) {
            out.push(0xff);
        }
    }
}

/// The user key and the position behind it, of a row of `history`.
pub fn take_history_key(bytes: &[u8]) -> Option<(Vec<u8>, Revision)> {
    let (escaped, at) = split_history_key(bytes)?;
    let mut key = Vec::with_capacity(escaped.len());
    let mut rest = escaped.strip_suffix(&[0, 1])?.iter();
    while let Some(&byte) = rest.next() {
        key.push(byte);
        if byte == 0 && rest.next() != Some(&0xff) {
            return None;
        }
    }
    Some((key, at))
}

/// The escaped key, end included, and the position behind it.
pub fn split_history_key(bytes: &[u8]) -> Option<(&[u8], Revision)> {
    let (escaped, at) = bytes.split_at_checked(bytes.len().checked_sub(POSITION_LEN)?)?;
    Some((escaped, take_position(at)?))
}

/// A row of `latest` or `history`, checked.
pub fn take_version(row: Bytes) -> Option<Version> {
    let modified = take_position(row.get(..POSITION_LEN)?)?;
    let fields = row.slice(POSITION_LEN..);
    let decoded = Fields::decode(&fields)?;
    (decoded.modified == modified.main).then_some(Version { modified, fields })
}

pub fn event_head(event: &LoggedEvent) -> [u8; 17] {
    let mut head = [0; 17];
    let flags = if event.is_delete { DELETE_FLAG } else { 0 }
        | if event.created { CREATED_FLAG } else { 0 };
    let (first, rest) = head.split_at_mut(1);
    let (rows, bytes) = rest.split_at_mut(8);
    first.copy_from_slice(&[flags]);
    rows.copy_from_slice(&number(event.dead_rows));
    bytes.copy_from_slice(&number(event.dead_bytes));
    head
}

pub fn take_event(key: &[u8], row: &Bytes) -> Option<LoggedEvent> {
    let flags = *row.first().filter(|flags| **flags <= DELETE_FLAG | CREATED_FLAG)?;
    Some(LoggedEvent {
        at: take_position(key)?,
        is_delete: flags & DELETE_FLAG != 0,
        created: flags & CREATED_FLAG != 0,
        dead_rows: take_number(row.get(1..9)?)?,
        dead_bytes: take_number(row.get(9..17)?)?,
        key: row.slice(17..),
    })
}

pub fn alarms(alarms: &Alarms) -> Vec<u8> {
    let mut out = Vec::new();
    for alarm in alarms.all() {
        out.extend_from_slice(&alarm.member.to_be_bytes());
        out.extend_from_slice(&[alarm.kind as u8, alarm.cause as u8]);
    }
    out
}

pub fn take_alarms(bytes: &[u8]) -> Option<Alarms> {
    let mut raised = Vec::new();
    for row in bytes.chunks(10) {
        let (member, [kind, cause]) = row.split_at_checked(8)? else {
            return None;
        };
        let kind = match kind {
            1 => AlarmKind::NoSpace,
            2 => AlarmKind::Corrupt,
            _ => return None,
        };
        let cause = match cause {
            1 => AlarmCause::Quota,
            2 => AlarmCause::Disk,
            3 => AlarmCause::Operator,
            _ => return None,
        };
        raised.push(Alarm { member: u64::from_be_bytes(member.try_into().ok()?), kind, cause });
    }
    Some(Alarms::new(raised))
}

/// A member's row. JSON: read by people when things are bad, and fields may be added.
#[derive(Serialize, Deserialize)]
struct MemberRow {
    name: String,
    peer_urls: Vec<String>,
    client_urls: Vec<String>,
    is_learner: bool,
}

pub fn member(member: &Member) -> Vec<u8> {
    let row = MemberRow {
        name: member.name.clone(),
        peer_urls: member.peer_urls.clone(),
        client_urls: member.client_urls.clone(),
        is_learner: member.is_learner,
    };
    serde_json::to_vec(&row).unwrap_or_default()
}

pub fn take_member(key: &[u8], bytes: &[u8]) -> Option<Member> {
    let row: MemberRow = serde_json::from_slice(bytes).ok()?;
    Some(Member {
        id: u64::from_be_bytes(key.try_into().ok()?),
        name: row.name,
        peer_urls: row.peer_urls,
        client_urls: row.client_urls,
        is_learner: row.is_learner,
    })
}

/// The row `meta/state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateRow {
    pub applied_index: u64,
    pub applied_term: u64,
    pub revision: i64,
    pub compacted: i64,
    pub totals: Totals,
}

impl StateRow {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![STATE_LAYOUT];
        out.extend_from_slice(&self.applied_index.to_be_bytes());
        out.extend_from_slice(&self.applied_term.to_be_bytes());
        let Totals { live_rows, live_bytes, dead, forgotten } = self.totals;
        let numbers = [
            self.revision,
            self.compacted,
            live_rows,
            live_bytes,
            dead.rows,
            dead.bytes,
            forgotten.rows,
            forgotten.bytes,
        ];
        for it in numbers {
            out.extend_from_slice(&number(it));
        }
        out
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&layout, rest) = bytes.split_first()?;
        let (numbers, []) = rest.as_chunks::<8>() else {
            return None;
        };
        let [index, term, signed @ ..] = numbers else {
            return None;
        };
        let signed: Vec<i64> = signed.iter().map(|it| i64::from_be_bytes(*it)).collect();
        let [revision, compacted, live_rows, live_bytes, dr, db, fr, fb] = *signed else {
            return None;
        };
        let can_be =
            (Revision::FIRST..i64::MAX).contains(&revision) && (-1..=revision).contains(&compacted);
        (layout == STATE_LAYOUT && can_be).then_some(Self {
            applied_index: u64::from_be_bytes(*index),
            applied_term: u64::from_be_bytes(*term),
            revision,
            compacted,
            totals: Totals {
                live_rows,
                live_bytes,
                dead: DeadTotals { rows: dr, bytes: db },
                forgotten: DeadTotals { rows: fr, bytes: fb },
            },
        })
    }
}

/// A row that an encoder here cannot have written.
pub fn bad_row(column: Column, key: &[u8]) -> Fault {
    Fault::corrupt(format!("column {}: the row at key {key:02x?} does not decode", column.name()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn escaped_keys_sort_like_keys(
            a in proptest::collection::vec(0u8..3, 0..6),
            b in proptest::collection::vec(0u8..3, 0..6),
        ) {
            prop_assert_eq!(escaped(&a).cmp(&escaped(&b)), a.cmp(&b));
        }

        #[test]
        fn a_history_key_survives_the_round_trip(
            key in proptest::collection::vec(any::<u8>(), 0..40), main in 0i64.., sub in 0i64..,
        ) {
            let mut row = escaped(&key);
            row.extend_from_slice(&position(Revision::new(main, sub)));
            prop_assert_eq!(take_history_key(&row), Some((key, Revision::new(main, sub))));
        }

        #[test]
        fn decoders_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let row = Bytes::from(bytes.clone());
            let _version = take_version(row.clone());
            let _event = take_event(&bytes, &row);
            let _key = take_history_key(&bytes);
            let _alarms = take_alarms(&bytes);
            let _member = take_member(&bytes, &bytes);
            let _state = StateRow::decode(&bytes);
        }

        #[test]
        fn an_event_survives_the_round_trip(
            main in 0i64.., sub in 0i64.., is_delete: bool, created: bool, dead_rows: i64, dead_bytes: i64,
            key in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let event = LoggedEvent {
                at: Revision::new(main, sub), key: key.into(), is_delete, created, dead_rows,
                dead_bytes,
            };
            let mut row = event_head(&event).to_vec();
            row.extend_from_slice(&event.key);
            prop_assert_eq!(take_event(&position(event.at), &row.into()), Some(event));
        }
    }

    #[test]
    fn a_negative_position_is_refused() {
        // Its bytes sort behind all others: whoever seeks by them would never arrive.
        for (main, sub) in [(-1, 0), (1, -1), (i64::MIN, i64::MIN)] {
            assert_eq!(take_position(&position(Revision::new(main, sub))), None);
        }
    }

    #[test]
    fn an_event_with_unknown_flags_is_refused() {
        let key = position(Revision::new(2, 0));
        let row = |flags: u8| Bytes::from([&[flags][..], &[0; 16], b"key"].concat());
        assert!(take_event(&key, &row(DELETE_FLAG)).is_some());
        assert_eq!(take_event(&key, &row(4 | CREATED_FLAG)), None);
    }

    #[test]
    fn a_state_that_no_member_can_be_in_is_refused() {
        let good = StateRow { revision: 5, compacted: 3, ..StateRow::default() };
        assert_eq!(StateRow::decode(&good.encode()), Some(good));
        for bad in [
            StateRow { revision: 0, ..good },
            StateRow { revision: i64::MAX, ..good },
            StateRow { compacted: -2, ..good },
            StateRow { compacted: 6, ..good },
        ] {
            assert_eq!(StateRow::decode(&bad.encode()), None, "{bad:?}");
        }
    }

    #[test]
    fn the_state_row_survives_the_round_trip() {
        let row = StateRow {
            applied_index: 9,
            applied_term: 2,
            revision: 5,
            compacted: -1,
            totals: Totals { live_rows: 1, live_bytes: 2, ..Totals::default() },
        };
        assert_eq!(StateRow::decode(&row.encode()), Some(row));
    }

    #[test]
    fn alarms_survive_the_round_trip() {
        let alarm = Alarm { member: 3, kind: AlarmKind::NoSpace, cause: AlarmCause::Disk };
        let raised = Alarms::new(vec![alarm]);
        assert_eq!(take_alarms(&alarms(&raised)), Some(raised));
        assert_eq!(take_alarms(&[1, 2, 3]), None);
    }
}
