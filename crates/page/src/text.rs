//! Texts from outside and times, as the page shows them. Templates escape what HTML would act on.

use std::time::Duration;

use common::span::Span;
use common::visible;
use jiff::Timestamp;

/// More characters of a text are not shown.
const LONGEST: usize = 2000;

/// A text from outside: without anything that changes how the rest of the page reads, and of bounded length.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = visible::shown(text).into_owned();
    if let Some((end, _)) = shown.char_indices().nth(LONGEST) {
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

/// A time, for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moment {
    /// In UTC.
    pub(crate) text: String,
    /// As a `datetime` attribute.
    pub(crate) machine: String,
    pub(crate) ago: String,
}

impl Moment {
    pub(crate) fn of(at: Timestamp, now: Timestamp) -> Self {
        let passed = now.duration_since(at);
        let ago = match Duration::try_from(passed) {
            Ok(passed) if passed < Duration::from_secs(5) => "just now".to_owned(),
            Ok(passed) => format!("{} ago", rough(passed.as_secs())),
            Err(_) => "in the future".to_owned(),
        };
        Self {
            text: at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
            machine: at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            ago,
        }
    }
}

/// A duration in its largest unit.
pub(crate) fn rough(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// A duration, rounded up to a minute if longer than an hour.
pub(crate) fn exact(seconds: u64) -> String {
    let seconds = if seconds > 3600 { seconds.div_ceil(60) * 60 } else { seconds };
    Span(Duration::from_secs(seconds)).to_string()
}

/// A number with its thousands apart.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut apart = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            apart.push(',');
        }
        apart.push(digit);
    }
    apart
}

/// A part of a whole. All and nothing are exact: a single missing one shows.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    let tenths = u128::from(part) * 1000 / u128::from(whole.max(1));
    let tenths = if part > 0 { tenths.max(1) } else { tenths };
    let dot = if tenths.is_multiple_of(10) { String::new() } else { format!(".{}", tenths % 10) };
    format!("{}{dot}%", tenths / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_the_page_is_shown_and_cut() {
        assert_eq!(shown("a\u{202e}b\u{7}"), r"a\u{202e}b\u{7}");
        assert_eq!(shown(&"é".repeat(LONGEST)), "é".repeat(LONGEST));
        let long = shown(&"\u{202e}".repeat(LONGEST));
        assert_eq!((long.chars().count(), long.ends_with('…')), (LONGEST + 1, true));
    }

    #[test]
    fn times_are_told_as_people_do() {
        let now: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        for (at, ago) in [
            ("2026-11-29T11:59:58Z", "just now"),
            ("2026-11-29T11:59:00Z", "1 minute ago"),
            ("2026-11-28T13:00:00Z", "23 hours ago"),
            ("2026-11-20T12:00:00Z", "9 days ago"),
            ("2026-11-29T13:00:00Z", "in the future"),
        ] {
            assert_eq!(Moment::of(at.parse().unwrap(), now).ago, ago);
        }
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([59, 3601].map(exact), ["59s", "1h 1m"]);
    }

    #[test]
    fn a_share_is_all_or_nothing_only_if_it_is() {
        for (part, whole, expected) in [
            (0, 3, "0%"),
            (1, 3, "33.3%"),
            (1, 2, "50%"),
            (1, 1_000_000, "0.1%"),
            (999_999, 1_000_000, "99.9%"),
            (7, 7, "100%"),
        ] {
            assert_eq!(percent(part, whole), expected);
        }
    }
}
