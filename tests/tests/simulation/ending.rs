//! The end of a run: the storm is over, and nothing may be left undone.

use metastore_core::domain::Command;
use metastore_core::domain::alarm::{Alarm, AlarmCause};
use metastore_core::domain::watch::WatcherId;

use crate::finding::{Verdict, require};
use crate::judges::{reads, state};
use crate::streams::everything;
use crate::workload;
use crate::world::World;

impl World {
    /// Faults end; everybody gets what they wait for, and the whole state is compared.
    pub(crate) fn finish(&mut self) -> Verdict {
        self.is_stormy = false;
        self.machine.power.restore();
        while self.member.is_none() {
            self.start()?;
        }
        self.pump()?;
        require(self.answers.waiting() == 0, || "a proposal is never answered".into())?;
        require(self.linear.waiting() == 0, || "a linearizable read is never released".into())?;
        self.end_leases()?;
        self.drain_streams()?;
        let Some(member) = &self.member else { return Ok(()) };
        let model = &self.history.model;
        state::check_machine(member.replica.machine(), &self.history)?;
        let readable = model.compacted.max(1) - 1..=model.revision();
        state::check_rows(&member.reader, &self.history, readable)?;
        reads::check_events(&member.reader, &everything(), (model.compacted.max(1), 3), model)
    }

    /// When alarms are cleared and time passes, every lease ends.
    fn end_leases(&mut self) -> Verdict {
        for Alarm { member, kind, .. } in self.history.model.alarms.clone() {
            self.ask(Command::ClearAlarm { member, kind, cause: AlarmCause::Operator })?;
        }
        self.pump()?;
        for _ in 0..2 {
            self.tick(1000 * (workload::TTL_MAX + 2))?;
            self.pump()?;
        }
        let left = &self.history.model.leases;
        require(left.is_empty(), || format!("leases that never end: {left:?}"))
    }

    fn drain_streams(&mut self) -> Verdict {
        while self.member.as_ref().is_some_and(|member| !member.published.is_empty()) {
            self.publish()?;
        }
        // Each pass leaves some out.
        for _ in 0..200 {
            self.catch_up()?;
        }
        self.check_streams()?;
        let Some(member) = &self.member else { return Ok(()) };
        let newest = member.hub.revision();
        for (id, stream) in &self.streams {
            let is_live = member.hub.is_live(WatcherId(*id));
            require(is_live || stream.next > newest, || format!("watch {id} lags for ever"))?;
        }
        Ok(())
    }
}
