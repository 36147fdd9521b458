//! The report as an HTML document.

use super::chart::chart;
use super::markup::Markup;
use crate::report::Report;
use crate::report::drawing::drawings;
use crate::report::model::{Alarm, Check, Probe};
use crate::report::rows::{
    Headline, Level, Row, Section, headline, reading, sections, stale, status,
};
use crate::report::words::moment;

pub(super) const STYLE: &str = include_str!("page.css");
pub(super) const SCRIPT: &str = include_str!("page.js");

/// Shapes that tell levels apart without colour, and without a font that has them.
const SHAPES: &str = "<svg class=\"shapes\" aria-hidden=\"true\">\
    <symbol id=\"good\" viewBox=\"0 0 16 16\"><circle cx=\"8\" cy=\"8\" r=\"7\"/><path d=\"M4.6 8.3l2.3 2.3 4.5-4.9\"/></symbol>\
    <symbol id=\"warn\" viewBox=\"0 0 16 16\"><path d=\"M8 1.2L15.4 14.6H.6Z\"/><path d=\"M8 6v4M8 12.2v.2\"/></symbol>\
    <symbol id=\"bad\" viewBox=\"0 0 16 16\"><path d=\"M4.9.9h6.2l4 4v6.2l-4 4H4.9l-4-4V4.9Z\"/><path d=\"M5.4 5.4l5.2 5.2M10.6 5.4l-5.2 5.2\"/></symbol>\
    <symbol id=\"unknown\" viewBox=\"0 0 16 16\"><circle cx=\"8\" cy=\"8\" r=\"6\" class=\"hollow\"/></symbol>\
    </svg>";

/// The whole document.
pub(super) fn render(report: &Report) -> String {
    let headline = headline(report);
    let mut page = Markup::default();
    head(&mut page, report, &headline);
    page.raw("<body>").raw(SHAPES);
    page.raw("<p id=\"link\" role=\"status\" hidden></p><div id=\"page\"");
    page.attribute("data-version", &report.sidecar.version).raw(">");
    banner(&mut page, report);
    page.raw("<main>");
    verdict(&mut page, report, &headline);
    page.raw("<div class=\"pair\">");
    alarms(&mut page, &report.alarms);
    warnings(&mut page, &report.warnings);
    page.raw("</div>");
    hour(&mut page, report);
    columns(&mut page, report);
    checks(&mut page, &report.checks);
    page.raw("</main>").raw(FOOTER).raw("</div><script>").raw(SCRIPT);
    page.raw("</script></body></html>\n");
    page.finish()
}

const FOOTER: &str = "<footer><nav aria-label=\"Endpoints\"><a href=\"health\">health</a> \
    <a href=\"readyz?verbose\">readyz</a> <a href=\"livez?verbose\">livez</a> \
    <a href=\"startup?verbose\">startup</a> <a href=\"metrics\">metrics</a> \
    <a href=\"version\">version</a> <a href=\"?format=text\">as text</a> \
    <a href=\"report.json\">as JSON</a></nav></footer>";

fn head(page: &mut Markup, report: &Report, headline: &Headline) {
    page.raw(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"robots\" content=\"noindex\">",
    );
    page.element(
        "<title>",
        &format!("{} · {} · metastore", headline.word, name(report)),
        "</title>",
    );
    page.raw("<link rel=\"icon\"").attribute("href", icon(headline.level)).raw(">");
    page.raw("<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript><style>");
    page.raw(STYLE).raw("</style></head>");
}

/// The tab tells, too.
fn icon(level: Level) -> &'static str {
    match level {
        Level::Plain | Level::Unknown | Level::Good => {
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='7' fill='%23207a4a'/%3E%3C/svg%3E"
        }
        Level::Warn => {
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M8 1L15.5 15H.5Z' fill='%23c98500'/%3E%3C/svg%3E"
        }
        Level::Bad => {
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M5 1h6l4 4v6l-4 4H5l-4-4V5Z' fill='%23c22f26'/%3E%3C/svg%3E"
        }
    }
}

fn name(report: &Report) -> &str {
    report.member.as_ref().map_or("unknown member", |member| member.name.as_str())
}

fn class(level: Level) -> &'static str {
    match level {
        Level::Plain => "plain",
        Level::Good => "good",
        Level::Warn => "warn",
        Level::Bad => "bad",
        Level::Unknown => "unknown",
    }
}

/// A shape; a word always stands beside it.
fn shape(page: &mut Markup, level: Level) {
    page.raw(match level {
        Level::Plain => "",
        Level::Good => "<svg class=\"shape\" aria-hidden=\"true\"><use href=\"#good\"/></svg>",
        Level::Warn => "<svg class=\"shape\" aria-hidden=\"true\"><use href=\"#warn\"/></svg>",
        Level::Bad => "<svg class=\"shape\" aria-hidden=\"true\"><use href=\"#bad\"/></svg>",
        Level::Unknown => {
            "<svg class=\"shape\" aria-hidden=\"true\"><use href=\"#unknown\"/></svg>"
        }
    });
}

fn banner(page: &mut Markup, report: &Report) {
    page.raw("<header><p class=\"who\"><span>metastore</span> ");
    page.element("<b>", name(report), "</b></p><p class=\"when\"><time");
    page.attribute("datetime", &report.at)
        .raw(">")
        .text(&moment(&report.at))
        .raw("</time></p></header>");
}

/// Only the word is announced: it changes when the verdict does, and not with every figure.
fn verdict(page: &mut Markup, report: &Report, headline: &Headline) {
    page.raw("<section").attribute("class", &format!("verdict {}", class(headline.level)));
    page.raw("><h1 aria-live=\"polite\">");
    shape(page, headline.level);
    page.element("<span>", headline.word, "</span></h1><p>");
    page.text(&headline.sentence).raw("</p>");
    if let Some(advice) = headline.advice {
        page.element("<p class=\"advice\">", advice, "</p>");
    }
    if let Some(old) = stale(report) {
        page.element("<p class=\"advice\">", &old, "</p>");
    }
    probes(page, &report.probes);
    page.raw("</section>");
}

fn probes(page: &mut Markup, probes: &[Probe]) {
    page.raw("<h2 class=\"spoken\">Probes</h2><ul class=\"probes\">");
    for probe in probes {
        let (level, word) = if probe.passes { (Level::Good, "ok") } else { (Level::Bad, "fails") };
        page.raw("<li").attribute("id", &format!("probe-{}", probe.name)).raw(">");
        page.element("<span class=\"what\">", &probe.name, "</span> <b");
        page.attribute("class", class(level)).raw(">");
        shape(page, level);
        page.text(word).raw("</b>");
        if let Some(reason) = &probe.reason {
            page.element(" <span class=\"why\">", reason, "</span>");
        }
        page.raw("</li>");
    }
    page.raw("</ul>");
}

fn alarms(page: &mut Markup, alarms: &[Alarm]) {
    page.raw("<section aria-labelledby=\"alarms\"><h2 id=\"alarms\">Alarms</h2>");
    let texts = alarms.iter().map(|alarm| {
        (alarm.kind.as_str(), format!("{} (member {})", alarm.cause, alarm.member_id))
    });
    list(page, Level::Bad, texts.collect());
}

fn warnings(page: &mut Markup, warnings: &[String]) {
    page.raw("<section aria-labelledby=\"warnings\"><h2 id=\"warnings\">Warnings</h2>");
    list(page, Level::Warn, warnings.iter().map(|warning| ("", warning.clone())).collect());
}

fn list(page: &mut Markup, level: Level, items: Vec<(&str, String)>) {
    if items.is_empty() {
        page.raw("<p class=\"note\">none</p></section>");
        return;
    }
    page.raw("<ul class=\"findings\">");
    for (label, text) in items {
        page.raw("<li><b").attribute("class", class(level)).raw(">");
        shape(page, level);
        page.text(label).raw("</b><span>").text(&text).raw("</span></li>");
    }
    page.raw("</ul></section>");
}

fn hour(page: &mut Markup, report: &Report) {
    page.raw("<section aria-labelledby=\"hour\"><h2 id=\"hour\">The last hour</h2>");
    page.raw("<div class=\"charts\">");
    for drawing in drawings(report) {
        chart(page, &drawing);
    }
    page.raw("</div></section>");
}

fn columns(page: &mut Markup, report: &Report) {
    let sections = sections(report);
    page.raw("<div class=\"columns\">");
    for ids in [&["member", "work"][..], &["revisions", "processes"], &["storage"]] {
        page.raw("<div>");
        for section in sections.iter().filter(|section| ids.contains(&section.id)) {
            rows(page, section);
        }
        page.raw("</div>");
    }
    page.raw("</div>");
}

/// On a phone a row is shown as a block. The roles keep it a table for those who hear it.
fn checks(page: &mut Markup, checks: &[Check]) {
    page.raw(
        "<section aria-labelledby=\"checks\"><h2 id=\"checks\">Checks</h2>\
         <table role=\"table\"><caption class=\"spoken\">Each check with its state, what was measured, \
         and the probes that fail with it</caption><thead role=\"rowgroup\"><tr role=\"row\">\
         <th role=\"columnheader\" scope=\"col\">check</th>\
         <th role=\"columnheader\" scope=\"col\">state</th>\
         <th role=\"columnheader\" scope=\"col\">measured</th>\
         <th role=\"columnheader\" scope=\"col\">counts for</th></tr></thead>\
         <tbody role=\"rowgroup\">",
    );
    for check in checks {
        let (level, word) = status(check.status);
        page.raw("<tr role=\"row\"><th role=\"rowheader\" scope=\"row\">").text(&check.name);
        page.raw("</th><td role=\"cell\"><b").attribute("class", class(level)).raw(">");
        shape(page, level);
        let said = check.reason.clone().unwrap_or_else(|| reading(check.reading.as_ref()));
        page.text(word).element("</b></td><td role=\"cell\">", &said, "</td>");
        page.element("<td role=\"cell\" class=\"note\">", &check.probes.join(", "), "</td></tr>");
    }
    page.raw("</tbody></table></section>");
}

fn rows(page: &mut Markup, section: &Section) {
    page.raw("<section").attribute("aria-labelledby", section.id).raw("><h2");
    page.attribute("id", section.id).raw(">").text(section.title).raw("</h2><dl>");
    for Row { label, value, note, level } in &section.rows {
        page.element("<div><dt>", label, "</dt><dd><span")
            .attribute("class", class(*level))
            .raw(">");
        shape(page, *level);
        page.text(value).raw("</span>");
        if !note.is_empty() {
            // A wide space, which disappears where a line ends with it.
            page.element("\u{2002}<span class=\"note\">", note, "</span>");
        }
        page.raw("</dd></div>");
    }
    page.raw("</dl></section>");
}
