//! How a step ends.

use common::job::Step;
use common::outcome::{Failure, FailureClass, Outcome, Reason};

use crate::error::StepError;

/// How a step ended, short of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StepEnd {
    /// On to this step, at once.
    Next(Step),
    /// On to this step after the shortest wait.
    Later(Step),
    /// Not yet: back to the same step after a wait that uses up no attempt.
    NotYet(Wait),
    /// What was done before came to nothing: back to this step, using up an attempt.
    Redo {
        /// The step to go back to.
        step: Step,
        /// What came to nothing, and why.
        reason: String,
    },
    /// The job is over.
    Ended(Outcome),
}

/// What a job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Imatag to watermark the file, or Bynder to convert the import: longer and longer.
    Service,
    /// Another job's lease, or a write to become visible: the shortest wait.
    Moment,
}

impl StepEnd {
    pub(crate) fn failed(class: FailureClass, reason: impl Into<Reason>) -> Self {
        Self::Ended(Outcome::Failed(Failure { class, reason: reason.into(), request_id: None }))
    }
}

/// Why a step goes no further: what `?` carries out of its parts.
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
    /// Marks an error by which the result of an effect was lost that must not happen twice.
    pub(crate) fn after_effect(self) -> Self {
        match self {
            Self::Error(error) => Self::Error(error.after_effect()),
            end @ Self::End(_) => end,
        }
    }
}
