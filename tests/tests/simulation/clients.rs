//! What happens in one step of a run, by chance: clients ask, time passes, power fails.

use bytes::Bytes;
use metastore_core::domain::Command;
use metastore_core::replica::{Input, Stamp, propose};

use crate::finding::{Finding, Verdict};
use crate::judges::reads;
use crate::judges::{hash, state};
use crate::member::MEMBER;
use crate::workload;
use crate::world::World;

/// Proposals that wait at most: few clients, each waiting for its answer.
const CLIENTS: usize = 8;

impl World {
    /// One thing happens.
    pub(crate) fn step(&mut self) -> Verdict {
        if self.member.is_none() {
            return self.start();
        }
        match self.dice.below(100) {
            0..22 => self.propose(),
            22..36 => self.pump(),
            36..42 => {
                let turns = 1 + self.dice.below(2);
                self.pump_for(turns)
            }
            42..50 => {
                let by_ms = self.dice.between(10, 3000);
                self.tick(by_ms)
            }
            50..54 => self.settle(),
            54..70 => self.read(),
            70..74 => self.ask_linear_read(),
            74..78 => self.renew_lease(),
            78..83 => self.watch(),
            83..90 => self.publish(),
            90..95 => self.catch_up(),
            95..98 => {
                let points = self.dice.below(16);
                self.machine.power.fail_in(points);
                self.trace.line(format!("power fails in {points}"));
                Ok(())
            }
            98 => self.crash(),
            _ => self.check_machine(),
        }?;
        if self.machine.power.has_failed() { self.crash() } else { self.check_streams() }
    }

    /// Some clients that do not wait for an answer ask for something.
    fn propose(&mut self) -> Verdict {
        let known = self.known();
        let aim = self.dice.percent(30).then(|| workload::glance(&mut self.dice, &known));
        for _ in 0..=self.dice.below(4) {
            if self.answers.waiting() >= CLIENTS {
                break;
            }
            let command = workload::command(&mut self.dice, &known);
            self.ask(command)?;
        }
        if let Some(member) = &self.member {
            member.probe.aim(aim);
        }
        Ok(())
    }

    /// One client asks for one thing.
    pub(crate) fn ask(&mut self, command: Command) -> Verdict {
        let counter = propose::counter(0, self.next_proposal());
        let Some(member) = &self.member else { return Ok(()) };
        let stamp = Stamp { member: MEMBER, boot: member.boot };
        self.trace.line(format!("propose {counter} {command:?}"));
        self.answers.proposed(counter, command.clone());
        self.stamps.proposed((member.boot, counter), self.now_ms);
        let steady_ms = member.board.steady_ms();
        put(member.inbox.put(Input::Propose(stamp.proposal(counter, steady_ms, command))))
    }

    fn read(&mut self) -> Verdict {
        let known = self.known();
        let query = workload::query(&mut self.dice, &known);
        let revision = workload::revision(&mut self.dice, &known);
        let key: Bytes = workload::key(&mut self.dice, &known);
        let from = self.dice.between(1, known.revision + 1);
        let (spec, max) = (workload::spec(&mut self.dice, &known), self.dice.below(5));
        let Some(member) = &self.member else { return Ok(()) };
        let model = &self.history.model;
        reads::check_range(&member.reader, &query, model)?;
        let shown = reads::check_get(&member.reader, &key, model)?;
        if member.board.reads_are_linear() {
            reads::check_fresh(shown, self.answers.newest())?;
        }
        reads::check_events(&member.reader, &spec, (from, max), model)?;
        hash::check(&member.reader, revision, model)?;
        self.trace.line(format!("read {query:?} at {shown}"));
        Ok(())
    }

    fn ask_linear_read(&mut self) -> Verdict {
        let Some(member) = &mut self.member else { return Ok(()) };
        member.number += 1;
        self.linear.asked(member.number, self.answers.newest());
        put(member.inbox.put(Input::Read { context: member.number }))
    }

    fn renew_lease(&mut self) -> Verdict {
        let lease = self.dice.between(1, 6);
        let Some(member) = &self.member else { return Ok(()) };
        let now_ms = self.now_ms;
        let renewed = member.leases.renew(lease, now_ms);
        self.trace.line(format!("renew {lease}: {renewed:?}"));
        self.leases.renewed(lease, renewed, now_ms)
    }

    fn check_machine(&mut self) -> Verdict {
        let Some(member) = &self.member else { return Ok(()) };
        state::check_machine(member.replica.machine(), &self.history)
    }
}

fn put(put: Result<(), metastore_core::replica::Unavailable>) -> Verdict {
    put.map_err(|refused| Finding(format!("the inbox refuses: {refused}")))
}
