//! `metastore-core probe startup|ready|live`: kubelet's question, asked from inside the container,
//! for images without a shell.
//!
//! The sidecar knows best. If it does not answer, core's own socket is asked, so that a sidecar
//! that is down takes no healthy core with it:
//!
//! | sidecar | core's socket | `startup` | `ready` | `live` |
//! |---|---|---|---|---|
//! | 200 | – | 0 | 0 | 0 |
//! | 503 | – | 1 | 1 | 1 |
//! | no answer | nobody listens | 1 | 1 | 1 |
//! | no answer | no answer in time | 1 | 1 | 0: busy, or hung: nobody knows |
//! | no answer | answers | 0 once it replays or serves | 0 while it serves | 0 |

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use metastore_proto::admin::{AlarmKind, ObserveRequest, ObserveResponse, Phase, Process, Role};
use metastore_proto::environment::{ReadinessMode, Settings};

use crate::admin_call::{self, Silence, settings, usage};

/// The sidecar answers from memory.
const SIDECAR_DEADLINE: Duration = Duration::from_millis(900);
/// So does core. Both deadlines together are shorter than the timeout of every probe that the chart
/// gives core; of those it has kubelet run this for liveness only.
const CORE_DEADLINE: Duration = Duration::from_millis(900);
/// Bytes of an answer that are read.
const ANSWER_MAX: u64 = 16 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Startup,
    Ready,
    Live,
}

/// One line for a person, and the verdict for kubelet.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    passes: bool,
    line: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passes { "ok" } else { "failed" };
        write!(out, "{verdict}: {}", self.line)
    }
}

impl Question {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "startup" => Some(Self::Startup),
            "ready" => Some(Self::Ready),
            "live" => Some(Self::Live),
            _ => None,
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Startup => "/startup",
            Self::Ready => "/readiness",
            Self::Live => "/liveness",
        }
    }
}

/// The whole command; the arguments are those after `probe`.
pub(crate) fn execute(arguments: &[String]) -> ExitCode {
    let question = match arguments {
        [word] => Question::parse(word),
        _ => None,
    };
    let Some(question) = question else {
        return usage("probe startup|ready|live");
    };
    let finding = match settings() {
        Some(settings) => ask(question, &settings),
        None => without_settings(question),
    };
    crate::tell(&finding.to_string());
    if finding.passes { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What can be said when the environment itself is wrong: a process that runs began with another
/// one, and must not die of it.
fn without_settings(question: Question) -> Finding {
    let passes = question == Question::Live;
    Finding { passes, line: "the settings are wrong: nobody was asked".to_owned() }
}

fn ask(question: Question, settings: &Settings) -> Finding {
    let deadline = Instant::now() + SIDECAR_DEADLINE;
    let answers = addresses(settings.sidecar.listen);
    let answers = answers.iter().filter_map(|at| ask_sidecar(*at, question, deadline).ok());
    if let Some(finding) = answers.filter_map(|answer| of_sidecar(&answer)).next() {
        return finding;
    }
    let said = admin_call::call(&settings.admin.socket, CORE_DEADLINE, async |mut client| {
        client.observe(ObserveRequest {}).await
    });
    of_core(question, &said, settings.sidecar.health.readiness_mode)
}

/// Where this container reaches what the sidecar listens on.
fn addresses(listen: SocketAddr) -> Vec<SocketAddr> {
    let hosts: Vec<IpAddr> = match listen.ip() {
        ip if !ip.is_unspecified() => vec![ip],
        IpAddr::V4(_) => vec![Ipv4Addr::LOCALHOST.into()],
        // The IPv6 wildcard means both, and either may be missing.
        IpAddr::V6(_) => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
    };
    hosts.into_iter().map(|host| SocketAddr::new(host, listen.port())).collect()
}

fn ask_sidecar(at: SocketAddr, question: Question, deadline: Instant) -> io::Result<Vec<u8>> {
    let left = || match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::Error::from(io::ErrorKind::TimedOut)),
        left => Ok(left),
    };
    let mut stream = TcpStream::connect_timeout(&at, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    let path = question.path();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut part) = (Vec::new(), [0; 2048]);
    let mut stream = stream.take(ANSWER_MAX);
    loop {
        stream.get_ref().set_read_timeout(Some(left()?))?;
        match stream.read(&mut part)? {
            0 => return Ok(answer),
            read => answer.extend_from_slice(part.get(..read).unwrap_or_default()),
        }
    }
}

/// `None`: it is not the answer of a probe. Whoever gave it, nothing is known.
fn of_sidecar(answer: &[u8]) -> Option<Finding> {
    let answer = String::from_utf8_lossy(answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let version_and_status = head.lines().next()?;
    let status = version_and_status.strip_prefix("HTTP/1.1 ")?.get(..3)?;
    let passes = match status {
        "200" => true,
        "503" => false,
        _ => return None,
    };
    let failure = body.lines().find_map(|line| line.strip_prefix("[-]"));
    let line = if passes { "the sidecar says so" } else { failure? };
    Some(Finding { passes, line: line.to_owned() })
}

fn of_core(
    question: Question,
    said: &Result<ObserveResponse, Silence>,
    mode: ReadinessMode,
) -> Finding {
    let (passes, what) = match said {
        Err(Silence::Gone(kind)) => (false, format!("core does not run ({kind})")),
        Err(Silence::Unknown(why)) => {
            (question == Question::Live, format!("core does not tell: {why}"))
        }
        Ok(said) => match question {
            Question::Startup => started(said),
            Question::Ready => ready(said, mode),
            Question::Live => (true, "core answers".to_owned()),
        },
    };
    Finding { passes, line: format!("{what}; the sidecar does not answer") }
}

fn phase(said: &ObserveResponse) -> Phase {
    said.process.as_ref().map_or(Phase::Unspecified, Process::phase)
}

fn started(said: &ObserveResponse) -> (bool, String) {
    let phase = phase(said);
    let passes = match phase {
        // Whether a replay gets on takes two looks; a restart would begin it again.
        Phase::Replaying | Phase::Serving | Phase::Draining => true,
        Phase::Unspecified | Phase::Starting | Phase::Opening | Phase::Faulted => false,
    };
    (passes, format!("core is in {}", phase.as_str_name()))
}

/// What a single answer shows of all that the sidecar would ask for.
fn ready(said: &ObserveResponse, mode: ReadinessMode) -> (bool, String) {
    let phase = phase(said);
    if phase != Phase::Serving {
        return (false, format!("core is in {}", phase.as_str_name()));
    }
    if said.alarms.iter().any(|alarm| alarm.kind() == AlarmKind::Corrupt) {
        return (false, "ALARM CORRUPT".to_owned());
    }
    let Some(consensus) = &said.consensus else {
        return (true, "core serves".to_owned());
    };
    if consensus.role() == Role::Learner {
        return (false, "the member is a learner".to_owned());
    }
    if mode == ReadinessMode::Quorum && consensus.leader_id == 0 {
        return (false, "RAFT NO LEADER".to_owned());
    }
    (true, "core serves".to_owned())
}

#[cfg(test)]
mod tests {
    use metastore_proto::admin::{Consensus, RaisedAlarm};

    use super::*;

    #[test]
    fn a_wildcard_is_asked_on_loopback() {
        for (listen, expected) in [
            ("0.0.0.0:2381", &["127.0.0.1:2381"][..]),
            ("[::]:2381", &["127.0.0.1:2381", "[::1]:2381"]),
            ("10.0.0.7:2381", &["10.0.0.7:2381"]),
        ] {
            let found: Vec<_> =
                addresses(listen.parse().unwrap()).iter().map(SocketAddr::to_string).collect();
            assert_eq!(found, expected, "{listen}");
        }
    }

    #[test]
    fn only_the_answer_of_a_probe_counts() {
        let finding = |passes, line: &str| Some(Finding { passes, line: line.to_owned() });
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\nA: b\r\n\r\nok\n", finding(true, "the sidecar says so")),
            (
                "HTTP/1.1 503 Service Unavailable\r\n\r\n[+]observed ok\n[-]serving failed: draining\n",
                finding(false, "serving failed: draining"),
            ),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\nupstream is down", None),
            ("HTTP/1.1 404 Not Found\r\n\r\n404 page not found\n", None),
            ("HTTP/1.1 200 OK\r\nA: b", None),
            ("220 smtp\r\n\r\n", None),
            ("", None),
        ] {
            assert_eq!(of_sidecar(answer.as_bytes()), expected, "{answer}");
        }
    }

    fn said(phase: Phase, role: Role, leader_id: u64) -> ObserveResponse {
        ObserveResponse {
            process: Some(Process { phase: phase.into(), ..Process::default() }),
            consensus: Some(Consensus { role: role.into(), leader_id, ..Consensus::default() }),
            ..ObserveResponse::default()
        }
    }

    #[test]
    fn core_is_asked_when_the_sidecar_is_silent() {
        use Phase::{Draining, Opening, Replaying, Serving};
        use Role::{Candidate, Leader, Learner};
        let quorum = ReadinessMode::Quorum;
        let gone = || Err(Silence::Gone(io::ErrorKind::ConnectionRefused));
        let slow = || Err(Silence::Unknown("no answer".to_owned()));
        let mut corrupt = said(Serving, Leader, 7);
        let kind = AlarmKind::Corrupt.into();
        corrupt.alarms.push(RaisedAlarm { kind, ..RaisedAlarm::default() });
        for (name, said, mode, startup, ready, live) in [
            ("gone", gone(), quorum, false, false, false),
            ("slow", slow(), quorum, false, false, true),
            ("opening", Ok(said(Opening, Role::Unspecified, 0)), quorum, false, false, true),
            ("replaying", Ok(said(Replaying, Role::Follower, 0)), quorum, true, false, true),
            ("serving", Ok(said(Serving, Leader, 7)), quorum, true, true, true),
            ("draining", Ok(said(Draining, Leader, 7)), quorum, true, false, true),
            ("no leader", Ok(said(Serving, Candidate, 0)), quorum, true, false, true),
            ("alone", Ok(said(Serving, Candidate, 0)), ReadinessMode::Local, true, true, true),
            ("learner", Ok(said(Serving, Learner, 7)), quorum, true, false, true),
            ("corrupt", Ok(corrupt), quorum, true, false, true),
            ("other version", Ok(ObserveResponse::default()), quorum, false, false, true),
        ] {
            for (question, expected) in
                [(Question::Startup, startup), (Question::Ready, ready), (Question::Live, live)]
            {
                let finding = of_core(question, &said, mode);
                assert_eq!(finding.passes, expected, "{name}, {question:?}: {finding}");
            }
        }
    }
}
