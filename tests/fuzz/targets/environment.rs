//! The environment: any names, any values, any file. What is not ours to print is not printed, and
//! what is in force reads back as itself (`proto/src/environment/read.rs`).
//!
//! Input: lines NAME=VALUE, a zero byte, the file that METASTORE_ENV_FILE names.

#![no_main]

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use metastore_proto::environment::{self, Mistake, Settings, Warning};

const SECRET: &str = "hunter2";
type Variables = Vec<(OsString, OsString)>;
type Outcome = Result<(Settings, Vec<Warning>), Vec<Mistake>>;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let variables = variables(parts.next().unwrap_or_default());
    let file = String::from_utf8(parts.next().unwrap_or_default().to_vec());
    let file = |path: &Path| match &file {
        Ok(text) if path != Path::new("missing") => Ok(text.clone()),
        _ => Err(io::Error::other("no file")),
    };
    match environment::read(variables.clone(), file) {
        Ok((settings, _warnings)) => reads_back(&settings),
        Err(mistakes) => assert!(!mistakes.is_empty(), "refused without a reason"),
    }
    if !String::from_utf8_lossy(data).contains(SECRET) {
        keeps_secrets(variables, file);
    }
});

fn variables(lines: &[u8]) -> Variables {
    let lines = lines.split(|byte| *byte == b'\n');
    let pairs = lines.map(|line| {
        let at = line.iter().position(|byte| *byte == b'=').unwrap_or(line.len());
        let (name, value) = line.split_at(at);
        (name.to_vec(), value.get(1..).unwrap_or_default().to_vec())
    });
    pairs.map(|(name, value)| (OsString::from_vec(name), OsString::from_vec(value))).collect()
}

/// The texts in force, taken for an environment, mean the same. A line that shows one may be printed
/// anywhere.
fn reads_back(settings: &Settings) {
    let variables = settings.effective.iter().map(|effective| {
        let (name, source) = (effective.variable.name, effective.source.as_str());
        let line = effective.to_string();
        assert!(line.starts_with(&format!("{name}=")), "a line is NAME=VALUE: {line}");
        assert!(line.ends_with(&format!(" ({source})")), "a line ends with its source: {line}");
        assert!(!line.contains(char::is_control), "a line steers the terminal: {line:?}");
        let text = effective.given().map_or(String::new(), |given| given.as_str().to_owned());
        (OsString::from(name), OsString::from(text))
    });
    let again = environment::read(variables.collect::<Vec<_>>(), |_| Ok(String::new()));
    let (again, _warnings) = again.expect("what is in force is valid");
    assert_eq!(without_sources(again), without_sources(settings.clone()));
}

fn without_sources(settings: Settings) -> String {
    let settings = Settings { effective: Vec::new(), ..settings };
    format!("{settings:?}")
}

/// Values of names that nobody knows, and lines that are no assignments, may be secrets.
fn keeps_secrets(mut variables: Variables, file: impl Fn(&Path) -> io::Result<String>) {
    for name in ["METASTORE_PASSWORD", "ETCD_ROOT_PASSWORD", "PASSWORD", "METASTORE_"] {
        variables.push((name.into(), SECRET.into()));
    }
    let with_secrets = |path: &Path| {
        file(path).map(|text| format!("METASTORE_TOKEN={SECRET}\n{SECRET}\n{text}\n{SECRET} = x"))
    };
    let outcome: Outcome = environment::read(variables, with_secrets);
    let said = match &outcome {
        Ok((settings, warnings)) => {
            let lines: Vec<_> = settings.effective.iter().map(ToString::to_string).collect();
            format!("{settings:?} {lines:?} {warnings:?} {}", joined(warnings))
        }
        Err(mistakes) => format!("{mistakes:?} {}", joined(mistakes)),
    };
    assert!(!said.contains(SECRET), "a secret is printed: {said}");
}

fn joined<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
