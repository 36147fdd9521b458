//! `metastore-core prestop [seconds]`: keeps clients away before the process is told to stop.
//!
//! Endpoints disappear while kubelet already waits to send SIGTERM. Readiness fails from now on,
//! and the seconds are for those who still have the old address; core serves them meanwhile.

use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use metastore_proto::admin::DrainRequest;

use crate::admin_call::{self, Silence, settings};

const PAUSE: Duration = Duration::from_secs(5);
/// More would be longer than any pod takes to end.
const SECONDS_MAX: u64 = 600;
const DEADLINE: Duration = Duration::from_secs(2);

/// The whole command; the arguments are those after `prestop`. Always a success: a hook that fails
/// would keep nothing from stopping, and only alarm people.
pub(crate) fn execute(arguments: &[String]) -> ExitCode {
    let begun = Instant::now();
    let argument = arguments.first().map(String::as_str);
    let pause = pause(argument).unwrap_or_else(|| {
        let given = argument.unwrap_or_default();
        crate::tell(&format!("not a number of seconds up to {SECONDS_MAX}: {given}"));
        PAUSE
    });
    crate::tell(&drain());
    sleep(pause.saturating_sub(begun.elapsed()));
    ExitCode::SUCCESS
}

fn pause(argument: Option<&str>) -> Option<Duration> {
    let Some(argument) = argument else {
        return Some(PAUSE);
    };
    let seconds = argument.parse().ok().filter(|seconds| *seconds <= SECONDS_MAX);
    seconds.map(Duration::from_secs)
}

fn drain() -> String {
    let Some(settings) = settings() else {
        return "the settings are wrong: core was not asked to drain".to_owned();
    };
    let asked = admin_call::call(&settings.admin.socket, DEADLINE, async |mut client| {
        client.drain(DrainRequest {}).await
    });
    match asked {
        Ok(_) => "draining".to_owned(),
        Err(Silence::Gone(_)) => "core does not run".to_owned(),
        Err(Silence::Unknown(why)) => format!("core could not be asked to drain: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_is_in_seconds() {
        for (argument, expected) in [
            (None, Some(5)),
            (Some("0"), Some(0)),
            (Some("12"), Some(12)),
            (Some("600"), Some(600)),
            (Some("601"), None),
            (Some("-1"), None),
            (Some("5s"), None),
        ] {
            assert_eq!(pause(argument), expected.map(Duration::from_secs), "{argument:?}");
        }
    }
}
