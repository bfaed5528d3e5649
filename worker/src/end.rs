//! How a step ends.

use common::job::Step;
use common::outcome::{Failure, FailureClass, Outcome, Reason};

use crate::error::StepError;

/// How a step ended, other than with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StepEnd {
    /// Continue with this step at once.
    Next(Step),
    /// Continue with this step after the time that such work lately took.
    Later(Step),
    /// Not finished: return to the same step after a wait that uses up no attempt.
    NotYet(Wait),
    /// Earlier work is lost: return to this step, using up an attempt.
    Redo {
        /// The step to return to.
        step: Step,
        /// What was lost, and why.
        reason: String,
    },
    /// The job is over.
    Ended(Outcome),
}

/// What a job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// For Imatag to watermark the file, or for Bynder to convert the import: longer and longer.
    Service,
    /// For another job's lease, or for a write to become visible: the delay of a first retry.
    Moment,
}

impl StepEnd {
    pub(crate) fn failed(class: FailureClass, reason: impl Into<Reason>) -> Self {
        Self::Ended(Outcome::Failed(Failure { class, reason: reason.into(), request_id: None }))
    }
}

/// Why a step stops here: what `?` carries out of its parts.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It has ended: there is nothing more to do now.
    End(StepEnd),
    /// It failed.
    Error(StepError),
}

impl From<StepEnd> for Stop {
    fn from(end: StepEnd) -> Self {
        Self::End(end)
    }
}

impl<E: Into<StepError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

impl Stop {
    /// Marks an error that lost the result of an effect that must not happen twice.
    pub(crate) fn after_effect(self) -> Self {
        match self {
            Self::Error(error) => Self::Error(error.after_effect()),
            end @ Self::End(_) => end,
        }
    }
}
