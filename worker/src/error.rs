//! What a failed step means: the only place where a service's error becomes a decision.

#[cfg(test)]
mod tests;

use std::time::Duration;

use bynder::{BynderError, Right};
use common::outcome::FailureClass;
use common::service::Service;
use config::Span;
use files::spool::ReceiveError;
use imatag::ImatagError;
use queue::QueueError;

/// Attempts at what is refused, or unknown to a service, after which the job fails: it is hardly ever granted later.
const ATTEMPTS_AT_A_REFUSAL: u32 = 2;

/// Attempts at a step that does not end by itself, each of which holds a permit until its deadline.
const ATTEMPTS_AT_A_LONG_STEP: u32 = 2;

/// Attempts at a step that panics: most panics are of the file, and come again.
const ATTEMPTS_AT_A_PANIC: u32 = 2;

/// How long a job waits whose lease is on a node of the broker that is away.
const NODE_AWAY: Duration = Duration::from_mins(1);

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
    /// This machine could not do something with this file.
    #[error("{0}")]
    Local(String),
    /// This machine's disk takes nothing.
    #[error("{0}")]
    Disk(String),
    /// Other files hold the space that the file needs on this machine.
    #[error("{0}")]
    NoSpace(String),
    /// No process that reads files can be started on this machine, whatever the file.
    #[error("{0}")]
    NoReader(String),
    /// The step as a whole took too long, and was ended where it was: what it asked for last may still happen.
    #[error(
        "the step took longer than {} (worker.step_deadline) and was ended; look at the file's size and the services' \
         speed, and set a longer deadline if both are right", Span(*_0)
    )]
    Overran(Duration),
    /// The step panicked, and was ended where it was: what it asked for last may still happen.
    #[error(
        "the step panicked: {0} (this is a fault of the connector; report it with the worker's log, which names the place)"
    )]
    Panicked(String),
    /// The file can never rest on this machine.
    #[error("{0}")]
    TooLarge(String),
    /// Imatag refused the file, and has accepted none with this wire profile yet: either may be at fault.
    #[error(
        "{0} (it has accepted no file with this wire profile yet, so the profile may be at fault; compare \
         imatag.profile with the service and try it with `connector trial FILE`)"
    )]
    Unproven(String),
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
    /// Try again later, using up an attempt if the job is at fault.
    Retry {
        /// What may be at fault in the job's place, if anything.
        against: Option<Against>,
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

/// What may be at fault when a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// Whether the service works at all.
    Answers(Service),
    /// The credential.
    Credential(Service),
    /// The paths that are configured.
    Configuration(Service),
    /// A right at the portal that belongs to scope or role.
    RightToWrite,
    /// The wire profile, with which no file was accepted yet.
    WireProfile,
    /// The account at Imatag, or the job's directory there.
    RightToSubmit,
    /// The right to read the file of any asset.
    RightToRead,
}

impl StepError {
    /// Turns a failed download into the step's error.
    pub fn receiving<E: Into<StepError> + std::error::Error>(error: ReceiveError<E>) -> Self {
        match error {
            ReceiveError::Source(source) => source.into(),
            ReceiveError::Length { .. } => Self::Incomplete(error.to_string()),
            ReceiveError::Disk { .. } => Self::Disk(error.to_string()),
            ReceiveError::Full => Self::NoSpace(error.to_string()),
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
            | Self::Disk(_)
            | Self::NoSpace(_)
            | Self::NoReader(_)
            | Self::Overran(_)
            | Self::Panicked(_)
            | Self::TooLarge(_)
            | Self::Unproven(_)
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
            | Self::Disk(_)
            | Self::NoSpace(_)
            | Self::NoReader(_)
            | Self::Overran(_)
            | Self::Panicked(_)
            | Self::TooLarge(_)
            | Self::Unproven(_)
            | Self::Queue(_) => Self::UnknownOutcome(Box::new(self)),
        }
    }

    /// The id under which the service's support finds the request.
    pub fn request_id(&self) -> Option<String> {
        match self {
            Self::Imatag(error) => error.request_id().map(str::to_owned),
            Self::UnknownOutcome(inner) => inner.request_id(),
            Self::Bynder(_)
            | Self::Incomplete(_)
            | Self::Local(_)
            | Self::Disk(_)
            | Self::NoSpace(_)
            | Self::NoReader(_)
            | Self::Overran(_)
            | Self::Panicked(_)
            | Self::TooLarge(_)
            | Self::Unproven(_)
            | Self::Queue(_) => None,
        }
    }

    /// The kind of failure the job ends with if this was its last attempt.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Bynder(BynderError::Forbidden { .. }) | Self::Imatag(ImatagError::Forbidden { .. }) => {
                FailureClass::Permission
            }
            Self::Imatag(ImatagError::UnknownMedium { .. }) => FailureClass::Refused,
            Self::Local(_) | Self::Disk(_) | Self::NoSpace(_) | Self::NoReader(_) => FailureClass::Local,
            Self::Unproven(_) => FailureClass::Unsupported,
            Self::UnknownOutcome(inner) => inner.class(),
            Self::Bynder(_)
            | Self::Imatag(_)
            | Self::Incomplete(_)
            | Self::Overran(_)
            | Self::Panicked(_)
            | Self::TooLarge(_)
            | Self::Queue(_) => match self.verdict() {
                Verdict::Fail(class) => class,
                Verdict::Retry { .. } | Verdict::Pause { .. } => FailureClass::Exhausted,
            },
        }
    }

    /// The attempts that this error leaves a job, where they are fewer than the configured ones.
    pub fn most_attempts(&self) -> Option<u32> {
        match self {
            Self::Bynder(BynderError::Forbidden { .. })
            | Self::Imatag(ImatagError::Forbidden { .. } | ImatagError::UnknownMedium { .. }) => {
                Some(ATTEMPTS_AT_A_REFUSAL)
            }
            Self::Overran(_) => Some(ATTEMPTS_AT_A_LONG_STEP),
            Self::Panicked(_) => Some(ATTEMPTS_AT_A_PANIC),
            Self::UnknownOutcome(inner) => inner.most_attempts(),
            Self::Bynder(_)
            | Self::Imatag(_)
            | Self::Incomplete(_)
            | Self::Local(_)
            | Self::Disk(_)
            | Self::NoSpace(_)
            | Self::NoReader(_)
            | Self::TooLarge(_)
            | Self::Unproven(_)
            | Self::Queue(_) => None,
        }
    }

    /// What to do about it.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Bynder(error) => bynder_verdict(error),
            Self::Imatag(error) => imatag_verdict(error),
            Self::TooLarge(_) => Verdict::Fail(FailureClass::Local),
            Self::Unproven(_) => retry(Against::WireProfile),
            Self::Incomplete(_) | Self::Local(_) => Verdict::Retry { against: None, suspect: false },
            Self::Overran(_) | Self::Panicked(_) => Verdict::Retry { against: None, suspect: true },
            Self::Disk(_) => retry(Against::Answers(Service::Machine)),
            // Looked at again now and then, since looking may cost a download.
            Self::Queue(QueueError::NodeAway(_)) => pause(NODE_AWAY),
            // Nothing is wrong with the job, and it has done nothing that it does not know of.
            Self::NoSpace(_) | Self::NoReader(_) | Self::Queue(_) => pause(Duration::ZERO),
            Self::UnknownOutcome(inner) => match inner.verdict() {
                Verdict::Retry { against, .. } => Verdict::Retry { against, suspect: true },
                Verdict::Pause { at_least, .. } => Verdict::Pause { at_least, suspect: true },
                failure @ Verdict::Fail(_) => failure,
            },
        }
    }
}

fn retry(against: Against) -> Verdict {
    Verdict::Retry { against: Some(against), suspect: false }
}

fn pause(at_least: Duration) -> Verdict {
    Verdict::Pause { at_least, suspect: false }
}

fn bynder_verdict(error: &BynderError) -> Verdict {
    let service = Service::Bynder;
    match error {
        BynderError::Paused { remaining } => pause(*remaining),
        // The job that has a shared error counts it, for itself and against the service; what was withheld was not sent.
        BynderError::Shared { .. } | BynderError::Withheld { .. } => pause(Duration::ZERO),
        BynderError::Unauthorized { .. } => retry(Against::Credential(service)),
        BynderError::Misconfigured { .. } => retry(Against::Configuration(service)),
        BynderError::Forbidden { right: Right::ReadAsset, .. } => retry(Against::RightToRead),
        BynderError::Forbidden { right: Right::Other, .. } => retry(Against::RightToWrite),
        BynderError::NotFound { .. } | BynderError::Refused { .. } => Verdict::Fail(FailureClass::Refused),
        BynderError::Unavailable { .. } | BynderError::Unexpected { .. } => retry(Against::Answers(service)),
        BynderError::Local { .. } => Verdict::Retry { against: None, suspect: false },
    }
}

fn imatag_verdict(error: &ImatagError) -> Verdict {
    let service = Service::Imatag;
    match error {
        ImatagError::Busy { wait: at_least, .. } | ImatagError::Paused { remaining: at_least, .. } => {
            pause(*at_least)
        }
        ImatagError::Withheld { .. } => pause(Duration::ZERO),
        ImatagError::Unauthorized { .. } => retry(Against::Credential(service)),
        ImatagError::Misconfigured { .. } => retry(Against::Configuration(service)),
        ImatagError::Forbidden { .. } => retry(Against::RightToSubmit),
        ImatagError::Refused { .. } => Verdict::Fail(FailureClass::Unsupported),
        ImatagError::UnknownMedium { .. } => Verdict::Retry { against: None, suspect: false },
        ImatagError::Unavailable { .. } | ImatagError::Unexpected { .. } => retry(Against::Answers(service)),
    }
}
