//! Is this environment right, and can core run on this machine? Answered to a person or a pipeline
//! by `metastore-sidecar validate`, and to the sidecar itself before it starts.
//!
//! A mistake of the environment is always an error. What concerns the machine is one only while no
//! core is there: a core that runs has shown that it can, and its sidecar must not stay away because
//! of a port that core itself holds. A socket alone shows no core: it may have been left behind.

pub mod command;
pub mod core;
pub mod print;

use std::time::Duration;

use metastore_proto::environment::{Finding, Process, Review, Settings, Variable, Warning};
use tokio::time::{Instant, sleep};

use self::core::CoreState;
use crate::machine::{Facts, Found, Look, rules};

/// How long a core that is just starting may take until it answers: it takes its port first.
const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(100);

/// Everything that was found, in two lists.
#[derive(Clone, Debug)]
pub struct Report {
    pub settings: Settings,
    pub core: CoreState,
    pub errors: Vec<Finding>,
    pub warnings: Vec<Finding>,
}

/// Looks at everything.
pub async fn report(review: Review) -> Report {
    let facts = Facts::gather(&review.settings, Look::OnRequest).await;
    let core = core::ask(&review.settings.admin.socket).await;
    judge(review, &facts, core)
}

/// Pure.
fn judge(review: Review, facts: &Facts, core: CoreState) -> Report {
    let Review { settings, mistakes, warnings } = review;
    let machine = rules::judge(facts, &settings).without_those_of(&mistakes);
    let machine = if core.is_there() { machine.softened() } else { machine };
    let unknown = core.warning(&settings).into_iter().collect();
    let errors = [mistakes, machine.errors].concat();
    let warnings = [warnings, machine.warnings, unknown].concat();
    Report { settings, core, errors, warnings }
}

/// What a sidecar should know before it starts: warnings, one sentence each, or the reasons not to
/// start. `known` are the warnings of the environment, which is right.
pub async fn at_start(settings: &Settings, known: &[Warning]) -> Result<Vec<String>, Vec<Finding>> {
    let facts = Facts::gather(settings, Look::AtStart).await;
    let Found { errors, warnings } = rules::judge(&facts, settings);
    if !errors.is_empty()
        && let Err(core) = comes_up(settings).await
    {
        return Err(errors.into_iter().chain(core.warning(settings)).collect());
    }
    let known = known.iter().filter(|it| is_for_the_sidecar(it));
    Ok(known.chain(&errors).chain(&warnings).map(Finding::to_string).collect())
}

/// Of what core alone reads, core itself warns: in a pod its container may have other variables.
pub fn is_for_the_sidecar(warning: &Warning) -> bool {
    let variable = Variable::find(&warning.variable);
    variable.is_none_or(|variable| variable.process.concerns(Process::Sidecar))
}

/// Or what is there instead, after a while.
async fn comes_up(settings: &Settings) -> Result<(), CoreState> {
    let given_up = Instant::now() + PATIENCE;
    loop {
        let core = core::ask(&settings.admin.socket).await;
        if core.is_there() {
            return Ok(());
        }
        if Instant::now() >= given_up {
            return Err(core);
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
