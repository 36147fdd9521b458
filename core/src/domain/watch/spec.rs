//! What a watch asks for.

use crate::domain::KeyRange;
use crate::domain::effects::Event;

/// Watches that ask for the same share one group, and their events are encoded once for all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spec {
    pub range: KeyRange,
    pub skip_puts: bool,
    pub skip_deletes: bool,
    pub prev_kv: bool,
}

impl Spec {
    /// Whether an event on a key of the range is wanted.
    pub fn wants(&self, event: &Event) -> bool {
        if event.version.is_some() { !self.skip_puts } else { !self.skip_deletes }
    }

    /// Whether the event is one of this watch.
    pub fn covers(&self, event: &Event) -> bool {
        self.wants(event) && self.range.contains(&event.key)
    }
}
