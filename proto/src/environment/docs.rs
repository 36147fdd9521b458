//! The table as people read it: `docs/configuration.md` and `--help`.

use std::fmt::Write;

use super::table::{Kind, Process, Standing, TABLE, Variable};

const VALIDATION: &str = "
## Is it right?

`metastore-sidecar validate` reads the same environment, looks at the machine, and prints every error
and every warning at once, each with the variable, its value, the reason, and what to do instead. It
exits with 0, or with 64 if there is an error. A sidecar that starts does the same, so that in a pod
where it is started first, core does not start on what is wrong.

* `--explain` prints every variable too, with the value in force and where it comes from (`default`,
  `environment` or `file`). Secrets are `***`, and what might be one is not printed at all.
* `--format json` prints one object: `valid`, `errors` and `warnings` (lists of `variable`, `value`,
  `reason`, `remedy`), `core` (its `state`: `absent`, `silent`, `answers`, or `unknown` where its socket
  may not be used; and its own `warnings`), and with `--explain` the list `settings` (`variable`,
  `value`, `source`, `at_run_time`). A value that is empty, or must not be printed, is `null`. Keys are
  only ever added.
* Users and passwords in URLs are refused, and shown as `http://…@host:port`. Control characters are
  shown as `\\u{1b}`.

What is wrong with the environment is always an error. What is wrong with the machine (the directory
cannot be written, is below `/run` or `/proc`, or is a link that leads nowhere, the quota does not fit
on the volume, a port is taken, there is no directory for the admin socket) is one only while no core
is there: beside a core that takes calls on its socket it is a warning. What each container has for
itself core finds out when it starts, and says among its warnings: too few open files, too little
memory for `METASTORE_BLOCK_CACHE_BYTES`, less than a processor, a disk whose synced writes take longer
than 10ms.
";

const INTRODUCTION: &str = "\
# Configuration

<!-- Generated from proto/src/environment/table.rs by `cargo run -p metastore-proto --example configuration`. -->

Everything is set by environment variables. All of them are optional. Both processes accept the
whole table, and refuse to start, with exit code 64 and a list of every mistake, on a value that
they cannot read or on a `METASTORE_` variable that is not in it.

* `METASTORE_ENV_FILE` names a file of `NAME=VALUE` lines (`#` begins a comment line, quotes around
  a value are optional). The process environment wins over the file.
* An empty value counts as not set.
* Durations have units: `500ms`, `10s`, `1h30m`. Sizes are bytes, or have units: `64MiB`, `2GB`.
* Where etcd has the same setting, the name after the prefix is that of etcd's flag. Variables that
  begin with `ETCD_` are not read; each is a warning that names ours and says whether it means the
  same.
* The variables that Kubernetes sets for a Service named `metastore` (`METASTORE_PORT` and so on)
  are recognised and left alone.
* ↻: the sidecar takes a new value over while it runs, when the file has changed or on SIGHUP.
";

/// The text of `docs/configuration.md`.
pub fn markdown() -> String {
    let sections = [
        (Process::Both, "Core and sidecar"),
        (Process::Core, "Core"),
        (Process::Sidecar, "Sidecar"),
    ];
    let mut text = INTRODUCTION.to_owned();
    for (process, title) in sections {
        text += &format!(
            "\n## {title}\n\n| variable | type | default | meaning |\n|---|---|---|---|\n"
        );
        let of_process = |row: &&Variable| row.process == process && row.standing == Standing::Read;
        text.extend(TABLE.iter().filter(of_process).map(markdown_row));
    }
    text += VALIDATION;
    text += "\n## Known from etcd, ignored with a warning\n\n| variable | because |\n|---|---|\n";
    for row in TABLE {
        if let Standing::Ignored(reason) = row.standing {
            text += &format!("| `{}` | {reason} |\n", row.name);
        }
    }
    text
}

fn markdown_row(row: &Variable) -> String {
    let default = if row.default.is_empty() { String::new() } else { format!("`{}`", row.default) };
    let mark = if row.is_at_run_time() { " ↻" } else { "" };
    format!("| `{}`{mark} | {} | {default} | {} |\n", row.name, row.kind.words(), row.sentence)
}

/// The variables of a process, as `--help` shows them.
pub fn help(process: Process) -> String {
    let mut text = "Environment variables (all optional):\n".to_owned();
    let read = TABLE.iter().filter(|row| row.standing == Standing::Read);
    for row in read.filter(|row| row.process.concerns(process)) {
        let (name, default) = (row.name, row.default);
        let (words, sentence) = (row.kind.words(), row.sentence.replace('`', ""));
        writeln!(text, "\n  {name}={default}\n      {sentence} ({words})")
            .expect("writing to a string cannot fail");
    }
    text
}

impl Kind {
    /// How a value is written, in a few words.
    fn words(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Secret => "secret".to_owned(),
            Self::Path => "path".to_owned(),
            Self::Urls => "URLs, by commas".to_owned(),
            Self::Members => "name=URL pairs, by commas".to_owned(),
            Self::Address => "IP address:port".to_owned(),
            Self::Bytes => "size".to_owned(),
            Self::Share => "percentage or size".to_owned(),
            Self::Duration => "duration".to_owned(),
            Self::Milliseconds => "duration, or milliseconds".to_owned(),
            Self::Count(what) => format!("number of {what}"),
            Self::Bool => "true or false".to_owned(),
            Self::Choice(names) => names.join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_page_is_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
        let page = std::fs::read_to_string(path).unwrap();
        assert!(
            page == markdown(),
            "run: cargo run -p metastore-proto --example configuration > docs/configuration.md"
        );
    }

    #[test]
    fn help_shows_what_concerns_the_process_and_nothing_ignored() {
        let core = help(Process::Core);
        assert!(core.contains("METASTORE_NAME=default\n"));
        assert!(core.contains("METASTORE_ELECTION_TIMEOUT=1000ms\n"));
        assert!(!core.contains("METASTORE_KEEP_REVISIONS"));
        assert!(!core.contains("METASTORE_WAL_DIR"));
        assert!(help(Process::Sidecar).contains("METASTORE_KEEP_REVISIONS=100000\n"));
    }
}
