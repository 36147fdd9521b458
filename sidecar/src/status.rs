//! `metastore-sidecar status`: what the running sidecar reports, in a terminal.
//!
//! Asks over HTTP like everybody else, so that it works through `kubectl exec` in an image without a
//! shell. Reads nothing but METASTORE_SIDECAR_LISTEN: an environment with a mistake elsewhere must
//! not keep somebody from looking.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use metastore_proto::environment::{self, harmless, harmless_json};
use thiserror::Error;

use crate::report::Report;
use crate::report::text::{Colour, render};

/// For an answer that comes from memory on the same machine.
const LIMIT: Duration = Duration::from_secs(5);
/// The sidecar's own answers have a hundredth of it.
const ANSWER_MAX: u64 = 4 << 20;
/// Between two looks.
const PERIOD: Duration = Duration::from_secs(2);

const LISTEN: &str = "METASTORE_SIDECAR_LISTEN";
const ENV_FILE: &str = "METASTORE_ENV_FILE";

/// What to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Again and again, until a signal ends the process.
    pub watch: bool,
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

/// What the look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Healthy,
    Unhealthy,
    /// No sidecar answers there.
    Nobody,
}

/// Why there is no report.
#[derive(Debug, Error)]
pub enum StatusError {
    #[error("no sidecar answers on {address}: {cause} (set {LISTEN} as the sidecar has it)")]
    Unreachable { address: SocketAddr, cause: io::Error },
    #[error("what answers on {address} is no sidecar of this version: {cause}")]
    Strange { address: SocketAddr, cause: String },
}

/// From the arguments behind `status`; `None` when they say nothing that there is.
pub fn options(arguments: &[Option<&str>]) -> Option<Options> {
    let mut options = Options { watch: false, format: Format::Text };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match (*argument)? {
            "--watch" | "-w" => options.watch = true,
            "--format" => options.format = format(rest.next().copied().flatten()?)?,
            other => options.format = format(other.strip_prefix("--format=")?)?,
        }
    }
    Some(options)
}

fn format(name: &str) -> Option<Format> {
    match name {
        "text" => Some(Format::Text),
        "json" => Some(Format::Json),
        _ => None,
    }
}

/// Where a sidecar with this environment answers.
pub fn address(variables: impl IntoIterator<Item = (OsString, OsString)>) -> SocketAddr {
    let relevant = |name: &OsString| name == LISTEN || name == ENV_FILE;
    let variables: Vec<_> = variables.into_iter().filter(|(name, _)| relevant(name)).collect();
    let alone = variables.iter().filter(|(name, _)| name == LISTEN).cloned().collect();
    let read = |variables: Vec<_>| {
        environment::read(variables, environment::read_file).ok().map(|(read, _)| read)
    };
    // A file with a mistake in it says nothing; then the variable itself, then the default.
    let settings = read(variables).or_else(|| read(alone)).or_else(|| read(Vec::new()));
    let listen = settings.expect("defaults are valid (tested)").sidecar.listen;
    SocketAddr::new(reachable(listen.ip()), listen.port())
}

/// A wildcard is everywhere, so it is here.
fn reachable(ip: IpAddr) -> IpAddr {
    // An IPv6 wildcard means IPv4 as well, which every machine has.
    if ip.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { ip }
}

/// Shows the status once, or until nobody reads it any more.
pub fn show(address: SocketAddr, options: Options) -> io::Result<Found> {
    let mut out = io::stdout().lock();
    let is_terminal = out.is_terminal();
    let colour = colour(is_terminal, std::env::var_os("NO_COLOR"));
    loop {
        let (found, text) = look(address, options.format, colour);
        if options.watch && is_terminal && options.format == Format::Text {
            out.write_all(over_the_last(&text).as_bytes())?;
        } else if found == Found::Nobody {
            drop(io::stderr().write_all(text.as_bytes()));
        } else {
            out.write_all(text.as_bytes())?;
        }
        out.flush()?;
        if !options.watch {
            return Ok(found);
        }
        thread::sleep(PERIOD);
    }
}

fn colour(is_terminal: bool, no_color: Option<OsString>) -> Colour {
    // https://no-color.org: set and not empty.
    let is_unwanted = no_color.is_some_and(|value| !value.is_empty());
    if is_terminal && !is_unwanted { Colour::On } else { Colour::Off }
}

/// Each line replaces the one that stood there: no empty screen in between.
fn over_the_last(text: &str) -> String {
    let lines: String = text.lines().map(|line| format!("{line}\x1b[K\n")).collect();
    format!("\x1b[H{lines}\x1b[J")
}

fn look(address: SocketAddr, format: Format, colour: Colour) -> (Found, String) {
    let (body, report) = match ask(address) {
        Ok(answer) => answer,
        // What answers instead of a sidecar is quoted.
        Err(error) => {
            let error = harmless(&error.to_string());
            return (Found::Nobody, format!("metastore-sidecar status: {error}\n"));
        }
    };
    let found = if report.healthy { Found::Healthy } else { Found::Unhealthy };
    match format {
        Format::Text => (found, render(&report, colour)),
        Format::Json => (found, format!("{}\n", harmless_json(&body))),
    }
}

fn ask(address: SocketAddr) -> Result<(String, Report), StatusError> {
    let strange = |cause: String| StatusError::Strange { address, cause };
    let answer = get(address).map_err(|cause| StatusError::Unreachable { address, cause })?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| strange("the answer is not HTTP".to_owned()))?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(strange(status.to_owned()));
    }
    let report = serde_json::from_str(body).map_err(|error| strange(error.to_string()))?;
    Ok((body.to_owned(), report))
}

/// HTTP/1.0: the body ends where the connection does.
fn get(address: SocketAddr) -> io::Result<String> {
    let end = Instant::now() + LIMIT;
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_write_timeout(Some(LIMIT))?;
    stream.write_all(format!("GET /report.json HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => answer.extend(piece.iter().take(length)),
            // A read that times out says that it would block.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(error) => return Err(error),
        }
        if answer.len() as u64 > ANSWER_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
    String::from_utf8(answer).map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::TcpListener;

    use super::*;
    use crate::report::samples::hostile;

    fn parsed(arguments: &str) -> Option<Options> {
        let arguments: Vec<_> = arguments.split_whitespace().map(Some).collect();
        options(&arguments)
    }

    #[test]
    fn arguments() {
        use Format::{Json, Text};
        for (arguments, expected) in [
            ("", Some((false, Text))),
            ("--watch", Some((true, Text))),
            ("--format json", Some((false, Json))),
            ("--format=json --watch", Some((true, Json))),
            ("-w --format text", Some((true, Text))),
            ("--format", None),
            ("--format yaml", None),
            ("--wait", None),
            ("all", None),
        ] {
            let expected = expected.map(|(watch, format)| Options { watch, format });
            assert_eq!(parsed(arguments), expected, "{arguments}");
        }
        assert_eq!(options(&[None]), None, "what is not UTF-8");
    }

    #[test]
    fn where_the_sidecar_answers() {
        for (listen, expected) in [
            (None, "127.0.0.1:2381"),
            (Some("[::]:99"), "127.0.0.1:99"),
            (Some("0.0.0.0:99"), "127.0.0.1:99"),
            (Some("10.1.2.3:99"), "10.1.2.3:99"),
            (Some("[::1]:99"), "[::1]:99"),
            (Some("nonsense"), "127.0.0.1:2381"),
        ] {
            let others = [("METASTORE_KEEP_REVISIONS", "a mistake"), ("PATH", "/bin")];
            let given = others.into_iter().chain(listen.map(|listen| (LISTEN, listen)));
            let given = given.map(|(name, value)| (name.into(), value.into()));
            assert_eq!(address(given).to_string(), expected, "{listen:?}");
        }
    }

    #[test]
    fn a_broken_file_does_not_hide_the_variable() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("settings");
        fs::write(&file, "METASTORE_KEEP_REVISIONS=often\n").unwrap();
        let given = [(ENV_FILE.into(), file.clone().into()), (LISTEN.into(), "[::]:7".into())];
        assert_eq!(address(given).to_string(), "127.0.0.1:7");
        fs::write(&file, "METASTORE_SIDECAR_LISTEN=127.0.0.1:8\n").unwrap();
        assert_eq!(address([(ENV_FILE.into(), file.into())]).to_string(), "127.0.0.1:8");
    }

    #[test]
    fn colour_only_in_a_terminal_that_wants_it() {
        assert_eq!(colour(true, None), Colour::On);
        assert_eq!(colour(true, Some("".into())), Colour::On);
        assert_eq!(colour(true, Some("1".into())), Colour::Off);
        assert_eq!(colour(false, None), Colour::Off);
    }

    /// A server of one answer.
    fn says(answer: impl Into<String>) -> SocketAddr {
        let answer = answer.into();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).unwrap() > 0);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        address
    }

    #[test]
    fn what_is_no_sidecar_is_told_apart_from_nobody() {
        for (answer, expected) in [
            ("HTTP/1.0 404 Not Found\r\n\r\n", "HTTP/1.0 404 Not Found"),
            ("HTTP/1.0 200 OK\r\n\r\n{\"a\":1}", "missing field"),
            ("SSH-2.0", "not HTTP"),
        ] {
            let error = ask(says(answer)).unwrap_err().to_string();
            assert!(
                error.contains("no sidecar of this version") && error.contains(expected),
                "{error}"
            );
        }
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (found, text) = look(free, Format::Text, Colour::Off);
        assert_eq!(found, Found::Nobody);
        assert!(text.contains("no sidecar answers on 127.0.0.1:"), "{text}");
    }

    /// Whoever answers on the port, and whatever core and the environment have told it.
    #[test]
    fn nothing_that_is_answered_steers_the_terminal() {
        let report = serde_json::to_string(&hostile().report()).unwrap();
        let name = serde_json::from_str::<Report>(&report).unwrap().member.unwrap().name;
        let answer = format!("HTTP/1.0 200 OK\r\n\r\n{report}");
        let found = look(says(answer.clone()), Format::Json, Colour::Off);
        let read: Report = serde_json::from_str(&found.1).unwrap();
        assert_eq!((found.0, read.member.unwrap().name), (Found::Unhealthy, name));
        for (answer, format) in [
            (answer.clone(), Format::Json),
            (answer, Format::Text),
            ("HTTP/1.0 200 \u{1b}[2J\u{9b}\r\n\r\n{\"\u{1b}".to_owned(), Format::Text),
            ("HTTP/1.0 404 \u{1b}[2J\u{9b}\u{202e}\r\n\r\n".to_owned(), Format::Text),
        ] {
            let (_, text) = look(says(answer), format, Colour::Off);
            for line in text.lines() {
                assert_eq!(harmless(line), line);
            }
        }
    }

    #[test]
    fn a_frame_replaces_the_last() {
        assert_eq!(over_the_last("a\nb\n"), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
    }
}
