//! The stored codes of outcomes, failures and lanes. A code that was once written keeps its meaning.

use common::job::Lane;
use common::outcome::{FailureClass, Outcome};

/// Codes from here on are failures; SQL statements and indexes name this number.
pub(crate) const FAILED: i64 = 16;

/// Added to the code of an asset's failure once a person has dropped the failed job; SQL statements name it as well.
pub(crate) const DROPPED: i64 = 128;

/// The kind of an outcome, without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What an earlier release wrote and this one cannot read.
    Unreadable,
    Watermarked,
    AlreadyProtected,
    Superseded,
    AwaitingApproval,
    Gone,
    Failed(FailureClass),
}

impl From<&Outcome> for Kind {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Watermarked { .. } => Self::Watermarked,
            Outcome::AlreadyProtected => Self::AlreadyProtected,
            Outcome::Superseded { .. } => Self::Superseded,
            Outcome::AwaitingApproval => Self::AwaitingApproval,
            Outcome::Gone => Self::Gone,
            Outcome::Failed(failure) => Self::Failed(failure.class),
        }
    }
}

impl Kind {
    /// The stored code; the most frequent ones take no space.
    pub(crate) fn code(self) -> i64 {
        match self {
            Self::Unreadable => 0,
            Self::Watermarked => 1,
            Self::AlreadyProtected => 2,
            Self::Superseded => 3,
            Self::AwaitingApproval => 4,
            Self::Gone => 5,
            Self::Failed(class) => FAILED + of_class(class),
        }
    }

    /// The kind with this code.
    pub(crate) fn of(code: i64) -> Option<Self> {
        let plain = [
            Self::Unreadable,
            Self::Watermarked,
            Self::AlreadyProtected,
            Self::Superseded,
            Self::AwaitingApproval,
            Self::Gone,
        ];
        let failed = FailureClass::ALL.map(Self::Failed);
        plain.into_iter().chain(failed).find(|kind| kind.code() == code)
    }

    /// The outcome's name in summaries.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Watermarked => "watermarked",
            Self::AlreadyProtected => "already_protected",
            Self::Superseded => "superseded",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Gone => "gone",
            Self::Failed(_) => "failed",
        }
    }
}

/// The code of a failure class, below the 112 that one byte holds.
fn of_class(class: FailureClass) -> i64 {
    match class {
        FailureClass::Permission => 0,
        FailureClass::NoOriginal => 1,
        FailureClass::Unsupported => 2,
        FailureClass::Refused => 3,
        FailureClass::BadResult => 4,
        FailureClass::Marker => 5,
        FailureClass::Ambiguous => 6,
        FailureClass::Exhausted => 7,
        FailureClass::TimedOut => 8,
        FailureClass::Local => 9,
        FailureClass::Malformed => 10,
    }
}

/// The code of a lane; that of the fresh lane is the greater one.
pub(crate) fn of_lane(lane: Lane) -> i64 {
    match lane {
        Lane::Backlog => 0,
        Lane::Fresh => 1,
    }
}

/// The lane with this code.
pub(crate) fn lane_of(code: i64) -> Option<Lane> {
    [Lane::Backlog, Lane::Fresh].into_iter().find(|lane| of_lane(*lane) == code)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use common::outcome::Failure;

    #[test]
    fn every_outcome_has_a_code_of_its_own_that_leads_back_to_its_name() {
        let plain = [
            Outcome::Watermarked { version: 1 },
            Outcome::AlreadyProtected,
            Outcome::Superseded { ours: None, theirs: 1 },
            Outcome::AwaitingApproval,
            Outcome::Gone,
        ];
        let failed = FailureClass::ALL
            .map(|class| Outcome::Failed(Failure { class, reason: "".into(), request_id: None }));
        let outcomes: Vec<_> = plain.into_iter().chain(failed).collect();
        let codes: BTreeSet<_> = outcomes.iter().map(|outcome| Kind::from(outcome).code()).collect();
        assert_eq!(codes.len(), outcomes.len());
        for outcome in &outcomes {
            let kind = Kind::of(Kind::from(outcome).code()).unwrap();
            assert_eq!((kind, kind.name()), (Kind::from(outcome), outcome.name()));
            assert_eq!(kind.code() >= FAILED, matches!(outcome, Outcome::Failed(_)));
        }
    }
}
