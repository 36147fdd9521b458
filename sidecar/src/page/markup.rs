//! HTML that cannot be broken by what it shows: markup is constant, everything else is escaped.

use metastore_proto::environment::harmless;

/// A document that is being written.
#[derive(Default)]
pub(super) struct Markup(String);

impl Markup {
    /// Markup of ours.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// What is shown. A letter that hides something, such as one that turns the direction of writing,
    /// is seen as in a terminal.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for letter in harmless(text).chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                letter => self.0.push(letter),
            }
        }
        self
    }

    /// An attribute, behind the name of its element.
    pub(super) fn attribute(&mut self, name: &'static str, value: &str) -> &mut Self {
        self.raw(" ").raw(name).raw("=\"").text(value).raw("\"")
    }

    /// An element around a text.
    pub(super) fn element(
        &mut self,
        begin: &'static str,
        text: &str,
        end: &'static str,
    ) -> &mut Self {
        self.raw(begin).text(text).raw(end)
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_becomes_markup() {
        let mut markup = Markup::default();
        markup.raw("<p").attribute("title", "\"' onload=x").raw(">");
        markup.element("<b>", "<script>&\u{202e}\n", "</b>");
        assert_eq!(
            markup.finish(),
            "<p title=\"&quot;&#39; onload=x\"><b>&lt;script&gt;&amp;\\u{202e}\\n</b>"
        );
    }
}
