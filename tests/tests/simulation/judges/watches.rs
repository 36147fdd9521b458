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
        let wanted = wanted(model, &self.spec, (self.next, revision), events);
        let what = format!("events of revisions {} to {revision} for {:?}", self.next, self.spec);
        same(&what, &events, &wanted.as_slice())?;
        self.next = revision + 1;
        self.complete = self.complete.max(self.next);
        Ok(())
    }

    /// The member says that the stream lacks nothing up to `revision`.
    pub(crate) fn check_complete(&mut self, revision: i64, model: &Model) -> Verdict {
        if self.complete <= revision {
            let missing = wanted(model, &self.spec, (self.next, revision), &[]);
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

/// What a watch must have got instead of `got`. At the compacted revision, as in etcd, two things
/// may be there or not: a previous version, and a put that the same transaction undid.
pub(crate) fn wanted(
    model: &Model,
    spec: &Spec,
    (from, until): (i64, i64),
    got: &[mvccpb::Event],
) -> Vec<mvccpb::Event> {
    let mut wanted = model.watch(spec, from, until);
    let is_there = |event: &mvccpb::Event| got.iter().any(|it| it.kv == event.kv);
    wanted.retain(|event| !may_be_gone(event, model) || is_there(event));
    for (wanted, got) in wanted.iter_mut().zip(got) {
        let at = wanted.kv.as_ref().map_or(0, |kv| kv.mod_revision);
        if got.prev_kv.is_none() && at <= model.compacted {
            wanted.prev_kv = None;
        }
    }
    wanted
}

fn may_be_gone(event: &mvccpb::Event, model: &Model) -> bool {
    let is_put = event.r#type == i32::from(false);
    event.kv.as_ref().is_some_and(|kv| {
        let at = kv.mod_revision;
        is_put && at <= model.compacted && model.at(at).get(&kv.key) != Some(kv)
    })
}
