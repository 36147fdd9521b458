//! From the variables of a process to settings, or to all that is wrong with them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;

use super::table::{Fields, Kind, PREFIX, Standing, TABLE, Texts, Variable};
use super::{Mistake, Settings, Warning, check};

const ENV_FILE: &str = "METASTORE_ENV_FILE";
const ETCD_PREFIX: &str = "ETCD_";

/// Reads the environment of either process.
///
/// `vars` is the process environment, `file` reads the file that METASTORE_ENV_FILE names (the
/// process environment wins over it). An empty value counts as not set. Reports every mistake, not
/// only the first; the values of secrets are never part of one.
pub fn read(
    vars: impl IntoIterator<Item = (OsString, OsString)>,
    file: impl Fn(&Path) -> io::Result<String>,
) -> Result<(Settings, Vec<Warning>), Vec<Mistake>> {
    let mut findings = Findings::default();
    let given = findings.gather(vars, file);
    let known = findings.known(given);
    let Findings { mut mistakes, mut warnings } = findings;

    let effective = TABLE.iter().filter(|row| row.standing == Standing::Read);
    let effective = effective.map(|row| Effective::new(row, known.get(row.name))).collect();
    let texts = known.into_iter().map(|(name, (text, _))| (name.to_owned(), text));
    let texts: Texts =
        envy::prefixed(PREFIX).from_iter(texts).expect("a struct of optional texts takes any");
    let fields = Fields::from(texts);

    let settings = Settings::parse(&fields, effective, &mut mistakes);
    mistakes.extend(check::mistakes(&fields, &settings, &mistakes));
    warnings.extend(check::warnings(&fields, &settings));
    if mistakes.is_empty() { Ok((settings, warnings)) } else { Err(mistakes) }
}

/// Where the text in force comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Default,
    Process,
    File,
}

/// A variable with the text in force. Prints as a line, secrets as `***`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    pub variable: &'static Variable,
    pub source: Source,
    text: String,
}

impl Effective {
    fn new(variable: &'static Variable, known: Option<&(String, Source)>) -> Self {
        let default = || (variable.default.to_owned(), Source::Default);
        let (text, source) = known.cloned().unwrap_or_else(default);
        Self { variable, source, text }
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.variable.kind {
            Kind::Secret => "***",
            _ => self.text.as_str(),
        };
        let source = match self.source {
            Source::Default => "default",
            Source::Process => "environment",
            Source::File => "file",
        };
        write!(f, "{}={text} ({source})", self.variable.name)
    }
}

/// What was given, by name; without a text where that is not UTF-8.
type AllGiven = BTreeMap<String, (Option<String>, Source)>;

/// What is left of it: valid texts of variables that are read.
type Known = BTreeMap<&'static str, (String, Source)>;

#[derive(Default)]
struct Findings {
    mistakes: Vec<Mistake>,
    warnings: Vec<Warning>,
}

impl Findings {
    /// Everything that is set and carries one of the two prefixes.
    fn gather(
        &mut self,
        vars: impl IntoIterator<Item = (OsString, OsString)>,
        file: impl Fn(&Path) -> io::Result<String>,
    ) -> AllGiven {
        let mut given = AllGiven::new();
        for (name, text) in vars {
            let name = name.to_string_lossy().into_owned();
            add(&mut given, name, text.into_string().ok(), Source::Process);
        }
        if let Some((Some(path), _)) = given.get(ENV_FILE) {
            for (name, text) in self.file_lines(Path::new(path), file) {
                add(&mut given, name, Some(text), Source::File);
            }
        }
        given
    }

    fn file_lines(
        &mut self,
        path: &Path,
        file: impl Fn(&Path) -> io::Result<String>,
    ) -> BTreeMap<String, String> {
        let mut lines = BTreeMap::new();
        let content = file(path).unwrap_or_else(|error| {
            let reason = error.to_string();
            self.mistakes.push(Mistake::FileUnreadable { path: path.to_owned(), reason });
            String::new()
        });
        for (line, content) in (1..).zip(content.lines().map(str::trim)) {
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            match assignment(content) {
                None => self.mistakes.push(Mistake::FileLine { path: path.to_owned(), line }),
                Some((ENV_FILE, _)) => {
                    self.mistakes.push(Mistake::FileInFile { path: path.to_owned(), line });
                }
                Some((name, text)) => _ = lines.insert(name.to_owned(), text.to_owned()),
            }
        }
        lines
    }

    fn known(&mut self, given: AllGiven) -> Known {
        let mut known = Known::new();
        for (name, (text, source)) in given {
            match (Variable::find(&name), text) {
                (Some(row), text) => match (row.standing, text) {
                    (Standing::Ignored(reason), _) => {
                        self.warnings.push(Warning::Ignored { name: row.name, reason });
                    }
                    (Standing::Read, Some(text)) => _ = known.insert(row.name, (text, source)),
                    (Standing::Read, None) => {
                        self.mistakes.push(Mistake::NotUtf8 { name: row.name });
                    }
                },
                (None, text) => self.stranger(name, &text.unwrap_or_default()),
            }
        }
        known
    }

    fn stranger(&mut self, name: String, text: &str) {
        if is_service_link(&name, text) {
            return;
        }
        if let Some(flag) = name.strip_prefix(ETCD_PREFIX) {
            let ours = Variable::find(&format!("{PREFIX}{flag}"));
            let ours = ours.filter(|row| row.standing == Standing::Read).map(|row| row.name);
            self.warnings.push(Warning::EtcdVariable { name, ours });
        } else {
            let nearest = nearest(&name);
            self.mistakes.push(Mistake::Unknown { name, nearest });
        }
    }
}

/// Adds a variable unless it is another program's, empty, or set already.
fn add(given: &mut AllGiven, name: String, text: Option<String>, source: Source) {
    let concerns_us = name.starts_with(PREFIX) || name.starts_with(ETCD_PREFIX);
    let text = text.map(|text| text.trim().to_owned());
    if concerns_us && text.as_deref() != Some("") {
        given.entry(name).or_insert((text, source));
    }
}

/// The name and the text of a line `NAME=VALUE`, `NAME="VALUE"` or `NAME='VALUE'`.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, text) = line.split_once('=')?;
    let (name, text) = (name.trim_end(), text.trim_start());
    let is_name = !name.is_empty() && !name.contains(char::is_whitespace);
    let unquoted = ['"', '\'']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote).and_then(|opened| opened.strip_suffix(quote)));
    is_name.then_some((name, unquoted.unwrap_or(text)))
}

/// Whether Kubernetes set it for a Service whose name begins with ours (or with `etcd`).
///
/// For a Service `metastore`: METASTORE_SERVICE_HOST, METASTORE_SERVICE_PORT,
/// METASTORE_SERVICE_PORT_CLIENT, METASTORE_PORT, METASTORE_PORT_2379_TCP and
/// METASTORE_PORT_2379_TCP_ADDR (_PORT, _PROTO); for `metastore-client` the same, longer.
fn is_service_link(name: &str, text: &str) -> bool {
    let is_url = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| text.starts_with(scheme));
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && is_url)
        || name.match_indices("_PORT_").any(|(at, found)| {
            let tail = name.get(at + found.len()..).unwrap_or_default();
            is_numbered_port(tail)
        })
}

/// `2379_TCP`, `2379_TCP_ADDR`, ….
fn is_numbered_port(tail: &str) -> bool {
    let mut words = tail.split('_');
    let number = words.next().unwrap_or_default();
    let protocol = words.next().unwrap_or_default();
    !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && ["TCP", "UDP", "SCTP"].contains(&protocol)
        && words.next().is_none_or(|detail| ["PROTO", "PORT", "ADDR"].contains(&detail))
        && words.next().is_none()
}

/// The variable that is most alike, if it is alike at all.
fn nearest(name: &str) -> Option<&'static str> {
    let typed = name.strip_prefix(PREFIX)?.to_uppercase();
    let known = TABLE.iter().filter_map(|row| Some((row.name, row.name.strip_prefix(PREFIX)?)));
    let (distance, nearest) =
        known.map(|(full, known)| (edit_distance(&typed, known), full)).min()?;
    (distance <= (typed.len() / 4).max(1)).then_some(nearest)
}

/// Levenshtein's: letters to insert, remove or replace.
fn edit_distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (at, letter) in (1..).zip(from.bytes()) {
        // The distances of `from`'s first `at` letters, from those of one letter fewer.
        let mut next = vec![at];
        for ((above, diagonal), other) in row.iter().skip(1).zip(&row).zip(to.bytes()) {
            let left = next.last().copied().unwrap_or(at);
            let replaced = diagonal + usize::from(letter != other);
            next.push(replaced.min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
