//! The report for a terminal: at most 80 columns, readable without colour. Whoever made the report,
//! and whatever stands in it, steers nothing.

use metastore_proto::environment::harmless;

use super::drawing::{Drawing, HEIGHT, drawings};
use super::model::Report;
use super::rows::{Level, Row, headline, reading, sections, stale, status};
use super::words::moment;

const WIDTH: usize = 80;
const LABEL: usize = 16;
/// Of the member's name in the first line.
const NAME_MAX: usize = 36;
/// Columns of a drawing.
const COLUMNS: usize = 40;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Whether levels are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Off,
    On,
}

impl Colour {
    fn paint(self, level: Level, text: &str) -> String {
        let code = match (self, level) {
            (Self::Off, _) | (Self::On, Level::Plain | Level::Unknown) => return text.to_owned(),
            (Self::On, Level::Good) => "32",
            (Self::On, Level::Warn) => "33",
            (Self::On, Level::Bad) => "1;31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    fn bold(self, text: &str) -> String {
        match self {
            Self::Off => text.to_owned(),
            Self::On => format!("\x1b[1m{text}\x1b[0m"),
        }
    }
}

/// All of it, with a line end behind the last line.
pub fn render(report: &Report, colour: Colour) -> String {
    let mut page = Page { text: String::new(), colour };
    page.head(report);
    page.probes(report);
    page.list(
        "ALARMS",
        report.alarms.iter().map(|alarm| {
            (Level::Bad, format!("{}: {} (member {})", alarm.kind, alarm.cause, alarm.member_id))
        }),
    );
    page.list("WARNINGS", report.warnings.iter().map(|warning| (Level::Warn, warning.clone())));
    for section in sections(report) {
        page.title(&section.title.to_uppercase());
        for row in &section.rows {
            page.row(row);
        }
    }
    page.title("LAST HOUR");
    for drawing in drawings(report) {
        page.drawing(&drawing);
    }
    page.checks(report);
    page.text
}

struct Page {
    text: String,
    colour: Colour,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn title(&mut self, title: &str) {
        let title = self.colour.bold(title);
        self.line(&format!("\n{title}"));
    }

    /// A line that begins with something of `indent` columns, and goes on below itself.
    fn wrapped(&mut self, begin: &str, indent: usize, level: Level, text: &str) {
        let mut begin = begin.to_owned();
        for line in wrap(text, WIDTH - indent) {
            let line = self.colour.paint(level, &line);
            self.line(&format!("{begin}{line}"));
            begin = " ".repeat(indent);
        }
    }

    fn head(&mut self, report: &Report) {
        let headline = headline(report);
        let name = report.member.as_ref().map(|member| harmless(&member.name)).unwrap_or_default();
        // A name of any length leaves room for the word and the time.
        let name: String = name.chars().take(NAME_MAX).collect();
        let word = headline.word.to_uppercase();
        let left = if name.is_empty() { String::new() } else { format!("{name}  ") };
        let at = harmless(&moment(&report.at));
        let taken = left.chars().count() + word.len() + at.len();
        let gap = " ".repeat(WIDTH.saturating_sub(taken).max(1));
        let word = self.colour.paint(headline.level, &word);
        self.line(&format!("{left}{word}{gap}{at}"));
        self.wrapped("", 0, Level::Plain, &headline.sentence);
        if let Some(advice) = headline.advice {
            self.wrapped("", 0, Level::Plain, advice);
        }
        if let Some(old) = stale(report) {
            self.wrapped("", 0, Level::Warn, &old);
        }
    }

    fn probes(&mut self, report: &Report) {
        self.title("PROBES");
        for probe in &report.probes {
            let (level, word) =
                if probe.passes { (Level::Good, "ok") } else { (Level::Bad, "FAILS") };
            let word = self.colour.paint(level, &format!("{word:<6}"));
            let reason = probe.reason.as_deref().unwrap_or_default();
            let begin = format!("  {:<14}{word}", harmless(&probe.name));
            self.wrapped(&begin, 22, Level::Plain, reason);
        }
    }

    fn checks(&mut self, report: &Report) {
        self.title("CHECKS");
        for check in &report.checks {
            let (level, word) = status(check.status);
            let word = self.colour.paint(level, &format!("{word:<9}"));
            let read = reading(check.reading.as_ref());
            let used = format!("({})", check.probes.join(", "));
            let said = check.reason.clone().unwrap_or(read);
            let begin = format!("  {:<20}{word}", harmless(&check.name));
            self.wrapped(&begin, 31, Level::Plain, &format!("{said} {used}"));
        }
    }

    fn list(&mut self, title: &str, items: impl Iterator<Item = (Level, String)>) {
        self.title(title);
        let mut is_empty = true;
        for (level, text) in items {
            is_empty = false;
            self.wrapped("  - ", 4, level, &text);
        }
        if is_empty {
            self.line("  none");
        }
    }

    fn row(&mut self, row: &Row) {
        let note = if row.note.is_empty() { String::new() } else { format!(" ({})", row.note) };
        let label = format!("  {:<LABEL$}", row.label);
        self.wrapped(&label, LABEL + 2, row.level, &format!("{}{note}", row.value));
    }

    /// Two lines: words, then the bars.
    fn drawing(&mut self, drawing: &Drawing) {
        let range = match drawing.range.as_str() {
            "" => String::new(),
            range => format!(" ({range})"),
        };
        let words = format!("{}: {}{range}", drawing.title, drawing.now);
        self.wrapped("  ", 2, Level::Plain, &words);
        self.line(&format!("  -60 min |{}| now", bars(drawing)));
    }
}

/// The greatest point of each column; an empty column is a gap. The newest stands at the right.
fn bars(drawing: &Drawing) -> String {
    let places = drawing.places.max(1);
    let missing = places.saturating_sub(drawing.points.len());
    let mut columns = [None; COLUMNS];
    for (at, point) in (missing..places).zip(&drawing.points) {
        if let Some(column) = columns.get_mut(at.saturating_mul(COLUMNS) / places) {
            *column = (*column).max(*point);
        }
    }
    columns.iter().map(|column| column.map_or(' ', bar)).collect()
}

fn bar(point: u64) -> char {
    let last = BARS.len() as u64 - 1;
    let at = usize::try_from(point * last / HEIGHT).unwrap_or_default();
    BARS.get(at).copied().unwrap_or('█')
}

/// Lines of at most so many columns, broken at spaces where there are any, in which nothing steers the
/// terminal. At least one line.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    let text = harmless(text);
    for piece in text.split_whitespace().flat_map(|word| pieces(word, width)) {
        let taken = line.chars().count();
        if taken > 0 && taken + 1 + piece.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&piece);
    }
    lines.push(line);
    lines
}

fn pieces(word: &str, width: usize) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    letters.chunks(width).map(|piece| piece.iter().collect()).collect()
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
