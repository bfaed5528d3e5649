//! What a failed step means: the only place that turns a service's error into a decision.

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

/// The attempts a job gets when a service refuses something or does not know it: a later attempt hardly ever
/// succeeds.
const ATTEMPTS_AT_A_REFUSAL: u32 = 2;

/// The attempts a job gets when a step overruns its deadline: each attempt holds a permit until then.
const ATTEMPTS_AT_A_LONG_STEP: u32 = 2;

/// The attempts a job gets when a step panics: the file causes most panics, so they recur.
const ATTEMPTS_AT_A_PANIC: u32 = 2;

/// How long a job waits if its lease is on a broker node that is down.
const NODE_AWAY: Duration = Duration::from_mins(1);

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// An error of the portal or its storage.
    #[error(transparent)]
    Bynder(#[from] BynderError),
    #[error(transparent)]
    Imatag(#[from] ImatagError),
    /// A download is incomplete, or could not be stored on this machine.
    #[error("{0}")]
    Incomplete(String),
    /// A local operation on this file failed.
    #[error("{0}")]
    Local(String),
    /// The disk cannot be written.
    #[error("{0}")]
    Disk(String),
    /// Other files take up the space that the file needs in the spool.
    #[error("{0}")]
    NoSpace(String),
    /// No reader process can be started, whatever the file.
    #[error("{0}")]
    NoReader(String),
    /// The step exceeded its deadline and was aborted: its last request may still take effect.
    #[error(
        "the step took longer than {} (worker.step_deadline) and was ended; look at the file's size and the services' \
         speed, and set a longer deadline if both are right", Span(*_0)
    )]
    Overran(Duration),
    /// The step panicked and was aborted: its last request may still take effect.
    #[error(
        "the step panicked: {0} (this is a fault of the connector; report it with the worker's log, which names the place)"
    )]
    Panicked(String),
    /// The file can never fit on this machine.
    #[error("{0}")]
    TooLarge(String),
    /// Imatag refused the file and has not yet accepted any with this wire profile: either may be at fault.
    #[error(
        "{0} (it has accepted no file with this wire profile yet, so the profile may be at fault; compare \
         imatag.profile with the service and try it with `connector trial FILE`)"
    )]
    Unproven(String),
    /// The queue failed; settling would fail as well.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// An effect was requested, and it is unknown whether it happened.
    #[error("{0} (whether it was done is not known; this is looked up before it is tried again)")]
    UnknownOutcome(Box<StepError>),
}

/// What to do about a failed step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Retry later; uses up an attempt if the job is at fault.
    Retry {
        /// What may be at fault instead of the job, if anything.
        against: Option<Against>,
        /// Whether the job must wait until its last request can no longer take effect.
        suspect: bool,
    },
    /// Wait without using up an attempt.
    Pause {
        /// The shortest wait.
        at_least: Duration,
        /// Whether the job must wait until its last request can no longer take effect.
        suspect: bool,
    },
    /// Fail the job: a retry cannot succeed.
    Fail(FailureClass),
}

/// What may be at fault when a step fails, other than the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// The service as a whole.
    Answers(Service),
    Credential(Service),
    /// The configured paths.
    Configuration(Service),
    /// A right at the portal that a scope or a role grants.
    RightToWrite,
    /// The wire profile, with which no file has been accepted yet.
    WireProfile,
    /// The account at Imatag, or the job's directory there.
    RightToSubmit,
    /// The right to read the file of any asset.
    RightToRead,
}

impl StepError {
    /// Converts the error of a download into the step's error.
    pub fn receiving<E: Into<StepError> + std::error::Error>(error: ReceiveError<E>) -> Self {
        match error {
            ReceiveError::Source(source) => source.into(),
            ReceiveError::Length { .. } => Self::Incomplete(error.to_string()),
            ReceiveError::Disk { .. } => Self::Disk(error.to_string()),
            ReceiveError::Full => Self::NoSpace(error.to_string()),
            ReceiveError::TooLarge { .. } => Self::TooLarge(error.to_string()),
        }
    }

    /// Converts the error of a request whose effect must not happen twice: if the request may have been sent, its
    /// outcome is unknown.
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

    /// Marks an error that lost the result of an effect that must not happen twice.
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

    /// The request id, with which the service's support can find the request.
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

    /// The failure class of the job if this was its last attempt.
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

    /// The limit that this error puts on the job's attempts, if it may be lower than the configured one.
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

    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Bynder(error) => bynder_verdict(error),
            Self::Imatag(error) => imatag_verdict(error),
            Self::TooLarge(_) => Verdict::Fail(FailureClass::Local),
            Self::Unproven(_) => retry(Against::WireProfile),
            Self::Incomplete(_) | Self::Local(_) => Verdict::Retry { against: None, suspect: false },
            Self::Overran(_) | Self::Panicked(_) => Verdict::Retry { against: None, suspect: true },
            Self::Disk(_) => retry(Against::Answers(Service::Machine)),
            // Retried only now and then, since each retry may cost a download.
            Self::Queue(QueueError::NodeAway(_)) => pause(NODE_AWAY),
            // The job is not at fault, and all its effects are known.
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
        // The job whose call was shared counts the error, for itself and against the service. A withheld call was
        // not sent.
        BynderError::BatchFailed { .. } | BynderError::Withheld { .. } => pause(Duration::ZERO),
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
