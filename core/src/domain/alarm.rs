//! Alarms, and what each forbids.

use super::Rejection;

/// What is wrong. The numbers are etcd's `AlarmType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlarmKind {
    NoSpace = 1,
    Corrupt = 2,
}

/// Why it was raised. By itself only `Disk` is cleared: by the sidecar, whoever raised it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlarmCause {
    Quota = 1,
    Disk = 2,
    Operator = 3,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alarm {
    pub member: u64,
    pub kind: AlarmKind,
    pub cause: AlarmCause,
}

/// The alarms that are raised, replicated like every other state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alarms {
    raised: Vec<Alarm>,
}

impl Alarms {
    pub fn new(mut raised: Vec<Alarm>) -> Self {
        raised.sort();
        Self { raised }
    }

    /// Every alarm, one a member and kind: clients do not know causes.
    pub fn listed(&self) -> Vec<Alarm> {
        let mut listed = self.raised.clone();
        listed.dedup_by_key(|alarm| (alarm.member, alarm.kind));
        listed
    }

    pub fn all(&self) -> &[Alarm] {
        &self.raised
    }

    pub fn is_raised(&self, kind: AlarmKind) -> bool {
        self.raised.iter().any(|alarm| alarm.kind == kind)
    }

    pub fn raise(&mut self, alarm: Alarm) {
        if let Err(place) = self.raised.binary_search(&alarm) {
            self.raised.insert(place, alarm);
        }
    }

    /// Removes what matches, and returns it. An operator clears every cause.
    pub fn clear(&mut self, member: u64, kind: AlarmKind, cause: AlarmCause) -> Vec<Alarm> {
        let matches = |alarm: &Alarm| {
            alarm.member == member
                && alarm.kind == kind
                && (cause == AlarmCause::Operator || alarm.cause == cause)
        };
        let cleared = self.raised.iter().copied().filter(matches).collect();
        self.raised.retain(|alarm| !matches(alarm));
        cleared
    }

    /// Whether a write that makes the store grow is refused.
    pub fn refuse_growth(&self) -> Result<(), Rejection> {
        self.refuse_everything()?;
        if self.is_raised(AlarmKind::NoSpace) { Err(Rejection::NoSpace) } else { Ok(()) }
    }

    /// Whether every change is refused.
    pub fn refuse_everything(&self) -> Result<(), Rejection> {
        if self.is_raised(AlarmKind::Corrupt) { Err(Rejection::Corrupt) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(cause: AlarmCause) -> Alarm {
        Alarm { member: 7, kind: AlarmKind::NoSpace, cause }
    }

    #[test]
    fn an_alarm_of_two_causes_stays_until_both_are_gone() {
        let mut alarms = Alarms::default();
        alarms.raise(alarm(AlarmCause::Quota));
        alarms.raise(alarm(AlarmCause::Disk));
        assert_eq!(alarms.listed().len(), 1);
        assert_eq!(alarms.clear(7, AlarmKind::NoSpace, AlarmCause::Disk).len(), 1);
        assert!(alarms.refuse_growth().is_err());
        assert_eq!(alarms.clear(7, AlarmKind::NoSpace, AlarmCause::Operator).len(), 1);
        assert!(alarms.refuse_growth().is_ok());
    }

    #[test]
    fn raising_twice_is_raising_once() {
        let mut alarms = Alarms::default();
        alarms.raise(alarm(AlarmCause::Quota));
        alarms.raise(alarm(AlarmCause::Quota));
        assert_eq!(alarms.all().len(), 1);
    }
}
