//! The small drawings of the last hour: which there are, their scale and their words. Pure.
//!
//! A scale begins and ends at the least and the greatest value, but never spans less than a
//! twentieth of the greatest: noise must not look like news.

use super::model::{Hour, Report};
use super::words;

/// The height of a drawing, in its own units.
pub const HEIGHT: u64 = 100;

/// One series, ready to be drawn from left to right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    pub id: &'static str,
    pub title: &'static str,
    /// The newest value, in words.
    pub now: String,
    /// Least and greatest, in words; empty where nothing is known.
    pub range: String,
    /// From 0 to [`HEIGHT`]; `None` is a gap.
    pub points: Vec<Option<u64>>,
    /// Points of a whole hour.
    pub places: usize,
}

/// All of them, in the order of their importance.
pub fn drawings(report: &Report) -> [Drawing; 4] {
    let hour = &report.last_hour;
    let bytes =
        |id, title, values: &[Option<u64>]| drawing(id, title, hour.places, values, words::bytes);
    [
        bytes("free", "Disk, free", &hour.free_bytes),
        bytes("physical", "Database, in files", &hour.physical_bytes),
        bytes("logical", "Database, live data and history", &hour.logical_bytes),
        drawing("writes", "Writes a minute", hour.places, &rates(hour), words::count),
    ]
}

/// Revisions a minute, between samples that follow each other. The newest value of an hour is from
/// now and not a whole interval younger than the one before: it has no rate.
fn rates(hour: &Hour) -> Vec<Option<u64>> {
    let a_minute = 60 / hour.interval_s.max(1);
    let samples = hour.revision.split_last().map_or(&[][..], |(_, samples)| samples);
    let pairs = samples.iter().zip(samples.iter().skip(1));
    pairs
        .map(|(before, after)| {
            let written = after.as_ref()?.saturating_sub((*before)?);
            Some(written.saturating_mul(a_minute))
        })
        .collect()
}

fn drawing(
    id: &'static str,
    title: &'static str,
    places: usize,
    values: &[Option<u64>],
    word: fn(u64) -> String,
) -> Drawing {
    let known = || values.iter().flatten().copied();
    let (least, greatest) = (known().min(), known().max());
    let range = match (least.map(word), greatest.map(word)) {
        (Some(least), Some(greatest)) if least != greatest => format!("{least} to {greatest}"),
        (Some(_), _) if known().count() > 1 => "steady".to_owned(),
        (Some(_) | None, _) => String::new(),
    };
    let scale = Scale::over(least.unwrap_or_default(), greatest.unwrap_or_default());
    Drawing {
        id,
        title,
        now: values.last().copied().flatten().map_or_else(|| "unknown".to_owned(), word),
        range,
        points: values.iter().map(|value| value.map(|value| scale.point(value))).collect(),
        places,
    }
}

#[derive(Clone, Copy)]
struct Scale {
    bottom: u64,
    span: u64,
}

impl Scale {
    /// What is narrower than a twentieth stands in the middle.
    fn over(least: u64, greatest: u64) -> Self {
        let span = greatest - least;
        let wanted = span.max(greatest / 20).max(1);
        Self { bottom: least.saturating_sub((wanted - span) / 2), span: wanted }
    }

    fn point(self, value: u64) -> u64 {
        let above = u128::from(value.saturating_sub(self.bottom)) * u128::from(HEIGHT);
        u64::try_from(above / u128::from(self.span)).unwrap_or(HEIGHT).min(HEIGHT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[Option<u64>]) -> Vec<Option<u64>> {
        drawing("a", "A", 241, values, words::count).points
    }

    #[test]
    fn from_the_least_to_the_greatest() {
        assert_eq!(
            points(&[Some(10), None, Some(20), Some(30)]),
            [Some(0), None, Some(50), Some(100)]
        );
    }

    #[test]
    fn noise_does_not_look_like_news() {
        let flat = points(&[Some(1_000_000), Some(1_000_100)]);
        assert!(flat.iter().flatten().all(|point| (48..=52).contains(point)), "{flat:?}");
        assert_eq!(points(&[Some(0), Some(0)]), [Some(0), Some(0)]);
        assert_eq!(points(&[Some(u64::MAX), Some(0)]), [Some(100), Some(0)]);
        assert_eq!(points(&[None]), [None]);
    }

    #[test]
    fn words_of_a_range() {
        let range = |values: &[Option<u64>]| drawing("a", "A", 9, values, words::count).range;
        assert_eq!(range(&[Some(1), None, Some(2000)]), "1 to 2,000");
        assert_eq!(range(&[Some(7), Some(7)]), "steady");
        assert_eq!(range(&[Some(7), None]), "");
        assert_eq!(range(&[None]), "");
        assert_eq!(range(&[]), "");
        assert_eq!(drawing("a", "A", 9, &[Some(1), None], words::count).now, "unknown");
    }

    #[test]
    fn a_rate_is_between_two_samples() {
        let revision = [Some(100), Some(115), None, Some(200), Some(200), Some(999)];
        let hour = Hour { interval_s: 15, revision: revision.into(), ..Hour::default() };
        assert_eq!(rates(&hour), [Some(60), None, None, Some(0)]);
        assert_eq!(rates(&Hour::default()), []);
        let revision = vec![Some(0), Some(u64::MAX), None];
        let hour = Hour { interval_s: 15, revision, ..Hour::default() };
        assert_eq!(rates(&hour), [Some(u64::MAX)], "whatever somebody says");
    }
}
