//! Reading Rust as text: its identifiers, and its code without comments and literals.
//!
//! Not a parser: it never fails, and what it does not understand it takes for code.

pub(crate) struct Word<'a> {
    pub(crate) text: &'a str,
    pub(crate) before: &'a str,
    pub(crate) after: &'a str,
}

/// The identifiers and keywords of a text, with what stands on both sides.
pub(crate) fn words(text: &str) -> impl Iterator<Item = Word<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(is_identifier)?;
        let (_, tail) = rest.split_at(start);
        let word = leading_identifier(tail);
        rest = tail.split_at(word.len()).1;
        let begin = text.len() - rest.len() - word.len();
        Some(Word { text: word, before: text.split_at(begin).0, after: rest })
    })
}

pub(crate) fn leading_identifier(text: &str) -> &str {
    let end = text.find(|c| !is_identifier(c)).unwrap_or(text.len());
    text.split_at(end).0
}

pub(crate) fn is_identifier(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The source with comments, strings and character literals blanked, lines kept.
pub(crate) fn without_comments_and_strings(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let previous_is_word = code.ends_with(is_identifier);
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'r' | 'b' if !previous_is_word => raw_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        let taken = if skipped == 0 { first.len_utf8() } else { skipped };
        let (token, tail) = rest.split_at(taken);
        if skipped == 0 {
            code.push(first);
        } else {
            code.push(' ');
            code.extend(token.chars().filter(|c| *c == '\n'));
        }
        rest = tail;
    }
    code
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut rest = text;
    loop {
        if let Some(inner) = rest.strip_prefix("/*") {
            depth += 1;
            rest = inner;
        } else if let Some(outer) = rest.strip_prefix("*/") {
            depth -= 1;
            rest = outer;
        } else {
            let mut chars = rest.chars();
            chars.next();
            rest = chars.as_str();
        }
        if depth == 0 || rest.is_empty() {
            return text.len() - rest.len();
        }
    }
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// Length of `r"…"`, `r#"…"#`, `br"…"`; 0 if the text does not begin with one.
fn raw_string(text: &str) -> usize {
    let Some(body) = text.strip_prefix('b').unwrap_or(text).strip_prefix('r') else {
        return 0;
    };
    let hashes = body.len() - body.trim_start_matches('#').len();
    if !body.trim_start_matches('#').starts_with('"') {
        return 0;
    }
    let opening = text.len() - body.len() + hashes + 1;
    let closing = format!("\"{}", "#".repeat(hashes));
    let (_, content) = text.split_at(opening);
    content.find(&closing).map_or(text.len(), |at| opening + at + closing.len())
}

/// Length of `'x'` or `'\n'`; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            let quote = chars.skip(1).find(|(_, c)| *c == '\'');
            quote.map_or(0, |(at, _)| at + 1)
        }
        Some(_) => chars.next().filter(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}
