use serde_json::Value;

use super::*;
use crate::report::samples::{Known, TEXT, hostile};

fn longest(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or_default()
}

#[test]
fn no_line_is_longer_than_a_terminal() {
    for known in [Known::nothing(), Known::well(), Known::well().silent(90), hostile()] {
        let text = render(&known.report(), Colour::Off);
        assert!(longest(&text) <= WIDTH, "{} columns:\n{text}", longest(&text));
        assert!(text.ends_with('\n') && !text.contains(" \n"), "{text}");
    }
}

#[test]
fn the_first_lines_tell_most() {
    let text = render(&Known::well().report(), Colour::Off);
    let first = "alpha  HEALTHY                                           2023-11-14 22:13:20 UTC";
    assert_eq!(text.lines().next(), Some(first), "{text}");
    for line in ["PROBES", "CHECKS", "ALARMS", "MEMBER", "STORAGE", "QUEUES", "LAST HOUR", "  none"]
    {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    let text = render(&Known::nothing().report(), Colour::Off);
    assert!(text.starts_with("WAITING FOR CORE   "), "{text}");
}

/// Of any text that there is in a report: whoever answers on the port may have written it.
#[test]
fn no_text_of_a_report_steers_the_terminal() {
    fn spoil(value: &mut Value) {
        match value {
            Value::String(text) => TEXT.clone_into(text),
            Value::Array(values) => values.iter_mut().for_each(spoil),
            Value::Object(fields) => {
                // Of these words a report has no others.
                let texts = fields.iter_mut().filter(|(name, _)| *name != "status");
                texts.for_each(|(_, value)| spoil(value));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut report = serde_json::to_value(hostile().report()).unwrap();
    spoil(&mut report);
    let text = render(&serde_json::from_value(report).unwrap(), Colour::Off);
    assert!(text.contains("\\u{1b}[31m\\n\\u{7f}\\u{9b}2J\\u{202e}"), "it is shown: {text}");
    for line in text.lines() {
        assert_eq!(harmless(line), line);
    }
}

#[test]
fn colour_adds_nothing_but_colour() {
    let report = hostile().report();
    let (plain, coloured) = (render(&report, Colour::Off), render(&report, Colour::On));
    assert!(!plain.contains('\x1b'), "what others say must not steer the terminal");
    let stripped = ["\x1b[32m", "\x1b[33m", "\x1b[1;31m", "\x1b[1m", "\x1b[0m"]
        .iter()
        .fold(coloured, |text, code| text.replace(code, ""));
    let ends = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    assert_eq!(ends(&stripped), ends(&plain));
}

#[test]
fn long_words_are_broken() {
    assert_eq!(wrap("", 5), [""]);
    assert_eq!(wrap("a bc  def", 5), ["a bc", "def"]);
    assert_eq!(wrap("ab cdefghijklm no", 5), ["ab", "cdefg", "hijkl", "m no"]);
}

#[test]
fn bars_stand_at_the_right_and_leave_gaps() {
    let drawing = Drawing {
        id: "a",
        title: "A",
        now: String::new(),
        range: String::new(),
        points: vec![Some(0), None, Some(100)],
        places: COLUMNS,
    };
    assert_eq!(bars(&drawing).trim_start(), "▁ █");
    assert_eq!(bars(&drawing).chars().count(), COLUMNS);
    let endless = Drawing { places: usize::MAX, ..drawing.clone() };
    assert_eq!(bars(&endless).chars().count(), COLUMNS);
    assert_eq!(bars(&Drawing { points: vec![], ..drawing }).trim(), "");
}
