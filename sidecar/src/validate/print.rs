//! A report as text and as JSON. Secrets never get here: what is printed of a value is decided
//! where it is read. Findings print as what steers no terminal; what core says is made so here.

use std::fmt::Write;

use metastore_proto::environment::{Effective, Finding, Given, harmless};
use serde::Serialize;

use super::Report;
use super::core::CoreState;

/// How much is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    Findings,
    /// Every variable as well.
    Everything,
}

/// For people.
pub fn text(report: &Report, extent: Extent) -> String {
    let mut text = String::new();
    if extent == Extent::Everything {
        for effective in &report.settings.effective {
            text += &format!("{effective}\n");
        }
        text.push('\n');
    }
    for error in &report.errors {
        text += &format!("error: {error}\n");
    }
    for warning in &report.warnings {
        text += &format!("warning: {warning}\n");
    }
    match &report.core {
        // Why it is unknown is a warning.
        CoreState::Absent | CoreState::Unknown(_) => {}
        CoreState::Silent(reason) => {
            text += &format!("core does not answer: {}\n", harmless(reason));
        }
        CoreState::Answers(warnings) => {
            for warning in warnings {
                text += &format!("core warns: {}\n", harmless(warning));
            }
        }
    }
    let (errors, warnings) = (report.errors.len(), report.warnings.len());
    writeln!(text, "{}, {}", counted(errors, "error"), counted(warnings, "warning"))
        .expect("writing to a string cannot fail");
    text
}

fn counted(number: usize, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {what}{ending}")
}

/// For programs; `docs/configuration.md` has the form. Keys are only ever added.
pub fn json(report: &Report, extent: Extent) -> String {
    let warnings = match &report.core {
        CoreState::Answers(warnings) => warnings.iter().map(|it| harmless(it)).collect(),
        CoreState::Absent | CoreState::Unknown(_) | CoreState::Silent(_) => Vec::new(),
    };
    let settings = match extent {
        Extent::Everything => Some(report.settings.effective.iter().map(Setting::from).collect()),
        Extent::Findings => None,
    };
    let document = Document {
        valid: report.errors.is_empty(),
        errors: &report.errors,
        warnings: &report.warnings,
        core: Core { state: report.core.as_str(), warnings },
        settings,
    };
    let text = serde_json::to_string_pretty(&document);
    text.expect("texts and lists can always be written") + "\n"
}

#[derive(Serialize)]
struct Document<'r> {
    valid: bool,
    errors: &'r [Finding],
    warnings: &'r [Finding],
    core: Core,
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<Vec<Setting>>,
}

#[derive(Serialize)]
struct Core {
    state: &'static str,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Setting {
    variable: &'static str,
    value: Option<Given>,
    source: &'static str,
    at_run_time: bool,
}

impl From<&Effective> for Setting {
    fn from(effective: &Effective) -> Self {
        Self {
            variable: effective.variable.name,
            value: effective.given(),
            source: effective.source.as_str(),
            at_run_time: effective.variable.is_at_run_time(),
        }
    }
}
