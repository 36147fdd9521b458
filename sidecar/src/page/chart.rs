//! A series of the last hour as a small drawing, in SVG that takes its colours from the style.

use std::fmt::Write;

use super::markup::Markup;
use crate::report::drawing::{Drawing, HEIGHT};

/// A figure with its caption and its scale.
pub(super) fn chart(markup: &mut Markup, drawing: &Drawing) {
    markup.raw("<figure").attribute("id", drawing.id).raw("><figcaption>");
    markup.element("<span class=\"what\">", drawing.title, "</span> ");
    markup.element("<b class=\"now\">", &drawing.now, "</b></figcaption><svg role=\"img\"");
    markup.attribute("aria-label", &in_words(drawing));
    let width = drawing.places.saturating_sub(1).max(1);
    markup.attribute("viewBox", &format!("0 -4 {width} {}", HEIGHT + 8));
    markup.raw(" preserveAspectRatio=\"none\"><path class=\"base\"");
    markup.attribute("d", &format!("M0 {HEIGHT}H{width}")).raw("/>");
    let (area, line) = paths(drawing);
    markup.raw("<path class=\"area\"").attribute("d", &area).raw("/>");
    markup.raw("<path class=\"line\"").attribute("d", &line).raw("/></svg>");
    markup.raw("<p class=\"scale\" aria-hidden=\"true\"><span>−60 min</span>");
    markup.element("<span>", &drawing.range, "</span><span>now</span></p></figure>");
}

fn in_words(drawing: &Drawing) -> String {
    let range = match drawing.range.as_str() {
        "" => "too little is known to draw it",
        range => range,
    };
    format!("{} over the last hour: {range}; now {}", drawing.title, drawing.now)
}

/// The surface below the line, and the line. It is interrupted at gaps; a point that stands alone is
/// a dot (the round end of a line without length).
fn paths(drawing: &Drawing) -> (String, String) {
    let (mut area, mut line) = (String::new(), String::new());
    let begin = drawing.places.saturating_sub(drawing.points.len());
    let places: Vec<_> = (begin..).zip(&drawing.points).collect();
    for run in places.split(|(_, point)| point.is_none()) {
        let points = run.iter().filter_map(|(x, point)| Some((*x, HEIGHT - (**point)?)));
        let (mut first, mut last) = (None, 0);
        for (x, y) in points {
            let command = if first.is_none() { 'M' } else { 'L' };
            add(&mut line, format_args!("{command}{x} {y}"));
            if first.is_none() {
                add(&mut area, format_args!("M{x} {HEIGHT}"));
            }
            add(&mut area, format_args!("L{x} {y}"));
            (first, last) = (first.or(Some(x)), x);
        }
        if let Some(first) = first {
            add(&mut area, format_args!("L{last} {HEIGHT}Z"));
            if first == last {
                line.push_str("h0");
            }
        }
    }
    (area, line)
}

fn add(path: &mut String, part: std::fmt::Arguments<'_>) {
    path.write_fmt(part).expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_interrupts_the_line() {
        let drawing = Drawing {
            id: "a",
            title: "A",
            now: "1".to_owned(),
            range: "0 to 1".to_owned(),
            points: vec![Some(0), Some(100), None, Some(50)],
            places: 10,
        };
        let (area, line) = paths(&drawing);
        assert_eq!(line, "M6 100L7 0M9 50h0");
        assert_eq!(area, "M6 100L6 100L7 0L7 100ZM9 100L9 50L9 100Z");
        assert_eq!(in_words(&drawing), "A over the last hour: 0 to 1; now 1");
    }
}
