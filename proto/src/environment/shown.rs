//! What may be shown of a text that somebody else wrote: it must neither steer a terminal nor give a
//! password away. Everything that prints a variable, its value, or what is wrong with it goes through
//! here.

use serde::Serializer;

use super::table::{Kind, Variable};

/// Control characters, and whatever else does not show by itself, as Rust writes them: `\u{1b}`.
/// A line stays one line.
pub fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if shows(letter) {
            shown.push(letter);
        } else {
            shown.extend(letter.escape_debug());
        }
    }
    shown
}

/// A JSON document with the same values that steers no terminal: JSON leaves letters as they are in
/// its texts that do not show by themselves; here they stand as JSON may write them, `\u009b`.
pub fn harmless_json(document: &str) -> String {
    let mut shown = String::with_capacity(document.len());
    for letter in document.chars() {
        match letter {
            // Between texts, where alone they may stand.
            '\n' => shown.push('\n'),
            '\r' | '\t' => shown.push(' '),
            letter if shows(letter) => shown.push(letter),
            letter => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    shown.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    shown
}

/// Whether a letter shows by itself, and steers nothing.
fn shows(letter: char) -> bool {
    matches!(letter, '"' | '\'' | '\\') || letter.escape_debug().len() == 1
}

/// The same, for a field of something that is written as JSON: JSON itself leaves some control
/// characters as they are, and what reads it prints the others again.
pub(super) fn serialize<S: Serializer>(
    text: impl AsRef<str>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&harmless(text.as_ref()))
}

/// The text of a variable without the users and passwords of its URLs, as `http://…@host:2379`.
pub(super) fn without_users(variable: &Variable, text: &str) -> String {
    let has_user = match variable.kind {
        Kind::Urls | Kind::Address => text.contains('@'),
        Kind::Members => text.split(',').any(|member| address_of(member).contains('@')),
        Kind::Text
        | Kind::Secret
        | Kind::Path
        | Kind::Bytes
        | Kind::Share
        | Kind::Duration
        | Kind::Milliseconds
        | Kind::Count(_)
        | Kind::Bool
        | Kind::Choice(_) => false,
    };
    match text.rsplit_once('@') {
        Some((before, after)) if has_user => format!("{}…@{after}", scheme(before)),
        Some(_) | None => text.to_owned(),
    }
}

/// A name may have an `@`, and an address without a name an `=`.
fn address_of(member: &str) -> &str {
    match member.split_once('=') {
        Some((name, address)) if !name.contains('/') => address,
        Some(_) | None => member,
    }
}

/// A password may hold anything, commas and slashes too: of what stands before it only this is known
/// to be none.
fn scheme(text: &str) -> &'static str {
    let begins = |scheme: &&str| {
        text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
    };
    ["http://", "https://"].into_iter().find(begins).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped_and_the_rest_is_not() {
        for (text, expected) in [
            ("METASTORE_\u{1b}[2J", "METASTORE_\\u{1b}[2J"),
            ("one\nerror: two\r\t\u{7f}", "one\\nerror: two\\r\\t\\u{7f}"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("a\u{202e}b\u{200b}\u{2028}", "a\\u{202e}b\\u{200b}\\u{2028}"),
            ("it's \"C:\\x\" – ä 🦀", "it's \"C:\\x\" – ä 🦀"),
        ] {
            assert_eq!(harmless(text), expected);
        }
    }

    #[test]
    fn a_json_document_keeps_its_values() {
        for (document, expected) in [
            ("{\r\n\t\"a\": \"\\u001b\\n\"}\n", "{ \n \"a\": \"\\u001b\\n\"}\n"),
            ("[\"\u{7f}\u{9b}\u{202e}\"]", "[\"\\u007f\\u009b\\u202e\"]"),
            ("[\"\u{e0001} – ä 🦀\"]", "[\"\\udb40\\udc01 – ä 🦀\"]"),
        ] {
            assert_eq!(harmless_json(document), expected);
        }
    }

    #[test]
    fn no_part_of_a_password_is_left() {
        let urls = "METASTORE_LISTEN_CLIENT_URLS";
        let members = "METASTORE_INITIAL_CLUSTER";
        for (name, text, expected) in [
            (urls, "http://user:secret@0.0.0.0:2379", "http://…@0.0.0.0:2379"),
            (urls, "HTTPS://user:secret@a:1", "https://…@a:1"),
            (urls, "user:secret@a:1", "…@a:1"),
            (urls, "http://u:se,cr@e/t@a:1", "http://…@a:1"),
            (urls, "http://u:secret@a:1,http://u:secret@b:2", "http://…@b:2"),
            (urls, "u:secret@a:1,http://b:2", "…@a:1,http://b:2"),
            (urls, "http://a:1,http://b:2", "http://a:1,http://b:2"),
            ("METASTORE_SIDECAR_LISTEN", "u:secret@[::]:2381", "…@[::]:2381"),
            (members, "a=http://u:secret@b:1", "…@b:1"),
            (members, "a=http://u:se,cret@b:1", "…@b:1"),
            (members, "http://u:secret@h:1/?a=b", "http://…@h:1/?a=b"),
            (members, "a=http://h:1,http://u:secret@h:2/?t=5s", "…@h:2/?t=5s"),
            (members, "a@b=http://c:1,a@b=http://c:2", "a@b=http://c:1,a@b=http://c:2"),
            ("METASTORE_DATA_DIR", "/data@home", "/data@home"),
        ] {
            let variable = Variable::find(name).unwrap();
            assert_eq!(without_users(variable, text), expected);
        }
    }
}
