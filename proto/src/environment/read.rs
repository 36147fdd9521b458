//! From the variables of a process to settings, or to all that is wrong with them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;

use super::shown::harmless;
use super::strangers::{ETCD_PREFIX, Stranger, stranger};
use super::table::{Fields, PREFIX, Standing, TABLE, Texts, Variable};
use super::{Finding, Given, Mistake, Settings, Warning, advice, check};

const ENV_FILE: &str = "METASTORE_ENV_FILE";

/// All that there is to say of an environment.
#[derive(Debug)]
pub struct Review {
    /// In force if there is no mistake; what is a mistake has its default here.
    pub settings: Settings,
    pub mistakes: Vec<Mistake>,
    pub warnings: Vec<Warning>,
}

/// The settings of either process with what is only doubtful, or every mistake, not only the first.
/// Takes what [`review`] takes.
pub fn read(
    vars: impl IntoIterator<Item = (OsString, OsString)>,
    file: impl Fn(&Path) -> io::Result<String>,
) -> Result<(Settings, Vec<Warning>), Vec<Mistake>> {
    let Review { settings, mistakes, warnings } = review(vars, file);
    if mistakes.is_empty() { Ok((settings, warnings)) } else { Err(mistakes) }
}

/// Reads the environment of either process.
///
/// `vars` is the process environment, `file` reads the file that METASTORE_ENV_FILE names (the
/// process environment wins over it). An empty value counts as not set. The values of secrets, and
/// of variables that nobody knows, are never part of what is said.
pub fn review(
    vars: impl IntoIterator<Item = (OsString, OsString)>,
    file: impl Fn(&Path) -> io::Result<String>,
) -> Review {
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
    let is_mistaken = |it: &Warning| mistakes.iter().any(|other| other.variable == it.variable);
    let advice = advice::warnings(&fields, &settings);
    warnings.extend(advice.into_iter().filter(|it| !is_mistaken(it)));
    Review { settings, mistakes, warnings }
}

/// Where the text in force comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Default,
    Process,
    File,
}

impl Source {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Process => "environment",
            Self::File => "file",
        }
    }
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

    /// The text, as far as it may be printed; `None` where there is none.
    pub fn given(&self) -> Option<Given> {
        (!self.text.is_empty()).then(|| Given::of(self.variable, &self.text))
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = self.given();
        let text = harmless(given.as_ref().map_or("", Given::as_str));
        write!(f, "{}={text} ({})", self.variable.name, self.source.as_str())
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
            let reason = format!("cannot be read: {error}");
            self.mistakes.push(of_file(path, reason, "write the path of a readable text file"));
            String::new()
        });
        for (line, content) in (1..).zip(lines_of(&content)) {
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            match assignment(content) {
                None => {
                    let reason = format!("line {line} is not an assignment");
                    self.mistakes.push(of_file(
                        path,
                        reason,
                        "write NAME=VALUE, or # and a comment",
                    ));
                }
                Some((ENV_FILE, _)) => {
                    let reason = format!("line {line} names another file");
                    self.mistakes.push(of_file(path, reason, "write everything into one file"));
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
                        self.warnings.push(Finding::of_name(row.name, reason, "remove it"));
                    }
                    (Standing::Read, Some(text)) => _ = known.insert(row.name, (text, source)),
                    (Standing::Read, None) => {
                        let reason = "the value is not valid UTF-8";
                        self.mistakes.push(Finding::of_name(row.name, reason, "write it in UTF-8"));
                    }
                },
                (None, text) => match stranger(&name, &text.unwrap_or_default()) {
                    Stranger::ServiceLink => {}
                    Stranger::Etcd(warning) => self.warnings.push(warning),
                    Stranger::Unknown(mistake) => self.mistakes.push(mistake),
                },
            }
        }
        known
    }
}

fn of_file(path: &Path, reason: String, remedy: &str) -> Mistake {
    let value = Some(Given::Text(path.display().to_string()));
    Finding { value, ..Finding::of_name(ENV_FILE, reason, remedy) }
}

/// Adds a variable unless it is another program's, empty, or set already.
fn add(given: &mut AllGiven, name: String, text: Option<String>, source: Source) {
    let concerns_us = name.starts_with(PREFIX) || name.starts_with(ETCD_PREFIX);
    let text = text.map(|text| text.trim().to_owned());
    if concerns_us && text.as_deref() != Some("") {
        given.entry(name).or_insert((text, source));
    }
}

/// Lines without the spaces around them. Some editors begin a file with a byte order mark.
fn lines_of(content: &str) -> impl Iterator<Item = &str> {
    content.strip_prefix('\u{feff}').unwrap_or(content).lines().map(str::trim)
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

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
