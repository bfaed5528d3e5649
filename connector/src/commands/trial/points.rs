//! What sending one file through Imatag proves about the wire profile. Pure.

use serde::Serialize;

/// A part of the profile that a trial can confirm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Point {
    /// The credential and its scheme.
    Auth,
    /// The path and query of the search, and where its list is.
    Find,
    /// The path and fields of the submit, and where the id is.
    Submit,
    /// The path of the status, where the state is, and its values.
    Status,
    /// The path or link of the result.
    Download,
    /// The metadata that finds a medium again, so that a crash leads to no second watermark.
    Metadata,
    /// The result passes the checks, so it may go into the library.
    Result,
}

/// How far the trial confirms a point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "why")]
pub(super) enum Verdict {
    Confirmed,
    /// The trial contradicts it.
    Refuted(String),
    /// The trial did not depend on it.
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

/// The findings in the order of the trial.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<(Point, Verdict)>);

impl Findings {
    pub(super) fn note(&mut self, point: Point, verdict: Verdict) {
        self.0.push((point, verdict));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(Point, Verdict)> {
        self.0.iter()
    }

    /// Whether the profile counts as confirmed: nothing contradicts it, and the points that every account needs are
    /// confirmed.
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
