//! What a failed step means: the only place where a service's error becomes a decision.

use std::time::Duration;

use common::bynder::BynderError;
use common::imatag::ImatagError;
use common::outcome::FailureClass;
use common::queue::QueueError;
use common::spool::ReceiveError;

use crate::breaker::{Service, Trouble};

/// Refusals of a right to one job after which that job fails.
const REFUSALS_TO_FAIL: u32 = 2;

/// Why a step could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The portal or its storage.
    #[error(transparent)]
    Bynder(#[from] BynderError),
    /// The watermarking service.
    #[error(transparent)]
    Imatag(#[from] ImatagError),
    /// A download did not arrive whole, or this machine could not keep it.
    #[error("{0}")]
    Incomplete(String),
    /// This machine: its disk, most often.
    #[error("{0}")]
    Local(String),
    /// The file can never rest on this machine.
    #[error("{0}")]
    TooLarge(String),
    /// The queue; nothing can be settled either.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// An effect was requested, and whether it happened is unknown.
    #[error("{0} (whether it was done is not known; this is looked up before it is tried again)")]
    UnknownOutcome(Box<StepError>),
}

/// What to do about a failed step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try again later, using up an attempt unless the service's breaker is open.
    Retry {
        /// The service that failed and how, if it was one.
        against: Option<(Service, Trouble)>,
        /// Whether the job must outwait a request that may still land.
        suspect: bool,
    },
    /// Come back later; no attempt is used up.
    Pause {
        /// No earlier than this.
        at_least: Duration,
        /// Whether the job must outwait a request that may still land.
        suspect: bool,
    },
    /// It will never work for this job.
    Fail(FailureClass),
}

impl StepError {
    /// Turns a failed download into the step's error.
    pub fn receiving<E: Into<StepError> + std::error::Error>(error: ReceiveError<E>) -> Self {
        match error {
            ReceiveError::Source(source) => source.into(),
            ReceiveError::Length { .. } => Self::Incomplete(error.to_string()),
            ReceiveError::Disk { .. } | ReceiveError::Full => Self::Local(error.to_string()),
            ReceiveError::TooLarge { .. } => Self::TooLarge(error.to_string()),
        }
    }

    /// Marks the error of a request whose effect must not happen twice.
    #[must_use]
    pub fn of_effect(self) -> Self {
        let may_have_been_sent = match &self {
            Self::Bynder(error) => error.may_have_been_sent(),
            Self::Imatag(error) => error.may_have_been_sent(),
            Self::Incomplete(_)
            | Self::Local(_)
            | Self::TooLarge(_)
            | Self::Queue(_)
            | Self::UnknownOutcome(_) => false,
        };
        if may_have_been_sent { Self::UnknownOutcome(Box::new(self)) } else { self }
    }

    /// Marks an error by which the result of an effect was lost that must not happen twice.
    #[must_use]
    pub fn after_effect(self) -> Self {
        match self {
            Self::UnknownOutcome(_) => self,
            Self::Bynder(_)
            | Self::Imatag(_)
            | Self::Incomplete(_)
            | Self::Local(_)
            | Self::TooLarge(_)
            | Self::Queue(_) => Self::UnknownOutcome(Box::new(self)),
        }
    }

    /// The id under which the service's support finds the request.
    pub fn request_id(&self) -> Option<String> {
        match self {
            Self::Imatag(error) => error.request_id().map(str::to_owned),
            Self::UnknownOutcome(inner) => inner.request_id(),
            Self::Bynder(_) | Self::Incomplete(_) | Self::Local(_) | Self::TooLarge(_) | Self::Queue(_) => {
                None
            }
        }
    }

    /// The kind of failure the job ends with if this was its last attempt.
    pub fn class(&self) -> FailureClass {
        match self.verdict(u32::MAX) {
            Verdict::Fail(class) => class,
            Verdict::Retry { .. } | Verdict::Pause { .. } => match self {
                Self::Local(_) => FailureClass::Local,
                _ => FailureClass::Exhausted,
            },
        }
    }

    /// What to do about it, for a job that used up `attempt` attempts before.
    pub fn verdict(&self, attempt: u32) -> Verdict {
        match self {
            Self::Bynder(error) => bynder_verdict(error, attempt),
            Self::Imatag(error) => imatag_verdict(error, attempt),
            Self::TooLarge(_) => Verdict::Fail(FailureClass::Local),
            Self::Incomplete(_) | Self::Local(_) => Verdict::Retry { against: None, suspect: false },
            // Nothing is wrong with the job, and it has done nothing that it does not know of.
            Self::Queue(_) => pause(Duration::ZERO),
            Self::UnknownOutcome(inner) => match inner.verdict(attempt) {
                Verdict::Retry { against, .. } => Verdict::Retry { against, suspect: true },
                Verdict::Pause { at_least, .. } => Verdict::Pause { at_least, suspect: true },
                failure @ Verdict::Fail(_) => failure,
            },
        }
    }
}

fn retry(service: Service, trouble: Trouble) -> Verdict {
    Verdict::Retry { against: Some((service, trouble)), suspect: false }
}

fn pause(at_least: Duration) -> Verdict {
    Verdict::Pause { at_least, suspect: false }
}

fn bynder_verdict(error: &BynderError, attempt: u32) -> Verdict {
    let service = Service::Bynder;
    match error {
        BynderError::Paused { remaining } => pause(*remaining),
        // The job that has the error counts it, for itself and against the service.
        BynderError::Shared { .. } => pause(Duration::ZERO),
        BynderError::Unauthorized { .. } => retry(service, Trouble::Credential),
        BynderError::Misconfigured { .. } => retry(service, Trouble::Configuration),
        // One asset may be out of the user's reach; all of them mean a missing role.
        BynderError::Forbidden { .. } if attempt < REFUSALS_TO_FAIL => retry(service, Trouble::Permission),
        BynderError::Forbidden { .. } => Verdict::Fail(FailureClass::Permission),
        BynderError::NotFound { .. } | BynderError::Refused { .. } => Verdict::Fail(FailureClass::Refused),
        BynderError::Unavailable { .. } | BynderError::Unexpected { .. } => retry(service, Trouble::Outage),
        BynderError::Local { .. } => Verdict::Retry { against: None, suspect: false },
    }
}

fn imatag_verdict(error: &ImatagError, attempt: u32) -> Verdict {
    let service = Service::Imatag;
    match error {
        ImatagError::Busy { wait: at_least, .. } | ImatagError::Paused { remaining: at_least, .. } => {
            pause(*at_least)
        }
        ImatagError::Unauthorized { .. } => retry(service, Trouble::Credential),
        ImatagError::Misconfigured { .. } => retry(service, Trouble::Configuration),
        ImatagError::Forbidden { .. } if attempt < REFUSALS_TO_FAIL => retry(service, Trouble::Permission),
        ImatagError::Forbidden { .. } => Verdict::Fail(FailureClass::Permission),
        ImatagError::Refused { .. } => Verdict::Fail(FailureClass::Unsupported),
        ImatagError::UnknownMedium { .. } if attempt < REFUSALS_TO_FAIL => {
            Verdict::Retry { against: None, suspect: false }
        }
        ImatagError::UnknownMedium { .. } => Verdict::Fail(FailureClass::Refused),
        ImatagError::Unavailable { .. } | ImatagError::Unexpected { .. } => retry(service, Trouble::Outage),
    }
}
