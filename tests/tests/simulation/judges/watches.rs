//! A watch gets every event of its range once and in order, whatever happens to its stream.

use metastore_core::domain::watch::Spec;
use metastore_proto::mvccpb;
use metastore_tests::model::Model;

use crate::finding::{Verdict, require, same};

/// A watch as its client sees it: it outlives crashes, by asking again for what comes next.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) spec: Spec,
    /// The client has everything before this revision.
    pub(crate) next: i64,
    /// There is nothing for it before this revision but what it has.
    complete: i64,
}

impl Stream {
    pub(crate) fn new(spec: Spec, next: i64) -> Self {
        Self { spec, next, complete: next }
    }

    /// `events` arrived, and with them everything up to `revision`.
    pub(crate) fn deliver(
        &mut self,
        events: &[mvccpb::Event],
        revision: i64,
        model: &Model,
    ) -> Verdict {
        let wanted = model.watch(&self.spec, self.next, revision);
        let what = format!("events of revisions {} to {revision} for {:?}", self.next, self.spec);
        same(&what, &events, &wanted.as_slice())?;
        self.next = revision + 1;
        self.complete = self.complete.max(self.next);
        Ok(())
    }

    /// The member says that the stream lacks nothing up to `revision`.
    pub(crate) fn check_complete(&mut self, revision: i64, model: &Model) -> Verdict {
        if self.complete <= revision {
            let missing = model.watch(&self.spec, self.next, revision);
            same(&format!("events that never came for {:?}", self.spec), &missing, &Vec::new())?;
            self.complete = revision + 1;
        }
        Ok(())
    }

    /// The member says that what comes next is compacted. The client goes on from there.
    pub(crate) fn compacted(&mut self, compacted: i64, model: &Model) -> Verdict {
        same("the compacted revision that a watch is told", &compacted, &model.compacted)?;
        let next = self.next;
        require(next < compacted, || format!("{next} is not compacted, {compacted} is"))?;
        (self.next, self.complete) = (compacted, compacted);
        Ok(())
    }
}
