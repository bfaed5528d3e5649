//! What one file through Imatag says of the wire profile. Pure.

use serde::Serialize;

/// A part of the profile that a trial can confirm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Point {
    /// The credential, and the word before it.
    Auth,
    /// Path and query of the search, and where its list stands.
    Find,
    /// Path and fields of the submit, and where the id stands.
    Submit,
    /// Path of the state, where it stands, and its words.
    Status,
    /// Path or link of the result.
    Download,
    /// The metadata by which a medium is found again, so that a crash makes no second watermark.
    Metadata,
    /// The result may go into the library: it passes the checks.
    Result,
}

/// How sure a point is after the trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "why")]
pub(super) enum Verdict {
    Confirmed,
    /// What the trial saw speaks against it.
    Refuted(String),
    /// Nothing depended on it this time.
    NotSeen(String),
}

impl Point {
    /// The profile's section, for people.
    pub(super) fn section(self) -> &'static str {
        match self {
            Self::Auth => "[auth]",
            Self::Find => "[find]",
            Self::Submit => "[submit]",
            Self::Status => "[status], [response]",
            Self::Download => "[download]",
            Self::Metadata => "[response] metadata",
            Self::Result => "the watermarked file",
        }
    }
}

/// Findings in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<(Point, Verdict)>);

impl Findings {
    pub(super) fn note(&mut self, point: Point, verdict: Verdict) {
        self.0.push((point, verdict));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(Point, Verdict)> {
        self.0.iter()
    }

    /// Whether the profile may be called confirmed: nothing speaks against it, and what was not seen is not needed on
    /// this account.
    pub(super) fn confirm(&self) -> bool {
        let confirmed =
            |point| self.0.iter().any(|(known, verdict)| *known == point && *verdict == Verdict::Confirmed);
        let refuted = self.0.iter().any(|(_, verdict)| matches!(verdict, Verdict::Refuted(_)));
        !refuted && [Point::Auth, Point::Submit, Point::Result].into_iter().all(confirmed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_confirmed_by_a_good_result_and_nothing_that_speaks_against_it() {
        let mut findings = Findings::default();
        for point in [Point::Auth, Point::Find, Point::Submit, Point::Download] {
            findings.note(point, Verdict::Confirmed);
        }
        assert!(!findings.confirm(), "no result was seen");
        findings.note(Point::Status, Verdict::NotSeen("it was ready at once".to_owned()));
        findings.note(Point::Result, Verdict::Confirmed);
        assert!(findings.confirm());
        findings.note(Point::Metadata, Verdict::Refuted("not found again".to_owned()));
        assert!(!findings.confirm());
    }
}
