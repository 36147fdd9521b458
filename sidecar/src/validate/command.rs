//! `metastore-sidecar validate`.

use metastore_proto::environment::Review;

use super::print::{self, Extent};
use super::{Report, report};

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    pub extent: Extent,
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

/// The words after `validate`, each `None` where it is not UTF-8; `None` if they are not understood.
pub fn options(arguments: &[Option<&str>]) -> Option<Options> {
    let mut options = Options { extent: Extent::Findings, format: Format::Text };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_deref()? {
            "--explain" => options.extent = Extent::Everything,
            "--format" => options.format = format((*rest.next()?)?)?,
            other => options.format = format(other.strip_prefix("--format=")?)?,
        }
    }
    Some(options)
}

fn format(word: &str) -> Option<Format> {
    match word {
        "text" => Some(Format::Text),
        "json" => Some(Format::Json),
        _ => None,
    }
}

/// Whether there is no error, and what to print.
pub async fn run(review: Review, options: Options) -> (bool, String) {
    let report: Report = report(review).await;
    let text = match options.format {
        Format::Text => print::text(&report, options.extent),
        Format::Json => print::json(&report, options.extent),
    };
    (report.errors.is_empty(), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_understood_or_refused() {
        let asked = |words: &[&str]| {
            let words: Vec<_> = words.iter().copied().map(Some).collect();
            options(&words).map(|it| (it.extent, it.format))
        };
        assert_eq!(asked(&[]), Some((Extent::Findings, Format::Text)));
        assert_eq!(asked(&["--explain"]), Some((Extent::Everything, Format::Text)));
        assert_eq!(asked(&["--format", "json"]), Some((Extent::Findings, Format::Json)));
        let all = Some((Extent::Everything, Format::Json));
        assert_eq!(asked(&["--format=json", "--explain"]), all);
        for words in [&["--format"][..], &["--format", "yaml"], &["--format=xml"], &["now"]] {
            assert_eq!(asked(words), None, "{words:?}");
        }
        assert_eq!(options(&[None]), None);
    }
}
