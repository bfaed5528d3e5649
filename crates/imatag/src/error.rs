//! Imatag's errors by what the caller can do about them; each text carries the request id if there was one.

use std::fmt;
use std::time::Duration;

use http_client::Sent;

/// What was attempted, and under which id Imatag's support finds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempted {
    /// The operation.
    pub operation: String,
    /// The `X-Request-Id` of the answer.
    pub request_id: Option<String>,
}

impl fmt::Display for Attempted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.operation)?;
        match &self.request_id {
            Some(id) => write!(formatter, " [request {id}]"),
            None => Ok(()),
        }
    }
}

/// A call to Imatag that did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImatagError {
    /// 429, or 503 with a time to come back: nothing is sent until then.
    #[error("{at}: Imatag asks to wait for {} s", wait.as_secs())]
    Busy {
        /// The attempt.
        at: Attempted,
        /// How long nothing is sent now.
        wait: Duration,
        /// Whether it may have been done all the same.
        sent: Sent,
    },
    /// Not sent, since Imatag asked to wait before.
    #[error("{at}: not sent, since Imatag asked to wait; {} s are left", remaining.as_secs())]
    Paused {
        /// What would have been attempted.
        at: Attempted,
        /// How long it still is.
        remaining: Duration,
    },
    /// Not sent: the right to submit the asset's file was lost while the call waited; come back later.
    #[error("{at}: not sent, since the asset may not be worked on now ({reason})")]
    Withheld {
        /// What would have been attempted.
        at: Attempted,
        /// Why it may not.
        reason: String,
    },
    /// 401: the credential is no good for anything.
    #[error("{at}: Imatag does not accept the credential ({reason}); check imatag.api_key or imatag.oauth")]
    Unauthorized {
        /// The attempt.
        at: Attempted,
        /// What Imatag said.
        reason: String,
    },
    /// 403: most often a directory outside the homedir.
    #[error("{at}: Imatag refuses permission ({reason}); check that imatag.directory lies in your homedir")]
    Forbidden {
        /// The attempt.
        at: Attempted,
        /// What Imatag said.
        reason: String,
    },
    /// This file will be refused again.
    #[error("{at}: Imatag refuses it ({reason})")]
    Refused {
        /// The attempt.
        at: Attempted,
        /// What Imatag said.
        reason: String,
    },
    /// 404 for a medium that was known.
    #[error("{at}: Imatag does not know this medium")]
    UnknownMedium {
        /// The attempt.
        at: Attempted,
    },
    /// A path or field of the wire profile does not fit the service.
    #[error(
        "{at}: the wire profile does not fit this service ({reason}); check imatag.profile and imatag.base_url"
    )]
    Misconfigured {
        /// The attempt.
        at: Attempted,
        /// What did not fit.
        reason: String,
    },
    /// 5xx, a time-out, a broken connection: may pass by itself.
    #[error("{at}: Imatag is not available ({reason})")]
    Unavailable {
        /// The attempt.
        at: Attempted,
        /// What happened.
        reason: String,
        /// Whether it may have been done all the same.
        sent: Sent,
    },
    /// Success by status, but not the answer that belongs to it.
    #[error("{at}: unexpected response from Imatag ({reason})")]
    Unexpected {
        /// The attempt.
        at: Attempted,
        /// What was wrong with it.
        reason: String,
    },
}

impl ImatagError {
    fn at(&self) -> &Attempted {
        match self {
            Self::Busy { at, .. }
            | Self::Paused { at, .. }
            | Self::Withheld { at, .. }
            | Self::Unauthorized { at, .. }
            | Self::Forbidden { at, .. }
            | Self::Refused { at, .. }
            | Self::UnknownMedium { at }
            | Self::Misconfigured { at, .. }
            | Self::Unavailable { at, .. }
            | Self::Unexpected { at, .. } => at,
        }
    }

    /// The id under which Imatag's support finds the request.
    pub fn request_id(&self) -> Option<&str> {
        self.at().request_id.as_deref()
    }

    /// Whether the same call may work later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Busy { .. }
            | Self::Paused { .. }
            | Self::Withheld { .. }
            | Self::Unavailable { .. }
            | Self::Unexpected { .. } => true,
            Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::Refused { .. }
            | Self::UnknownMedium { .. }
            | Self::Misconfigured { .. } => false,
        }
    }

    /// Whether Imatag may have done what was asked although this error came back.
    pub fn may_have_been_sent(&self) -> bool {
        match self {
            Self::Busy { sent, .. } | Self::Unavailable { sent, .. } => *sent == Sent::Maybe,
            Self::Unexpected { .. } => true,
            Self::Paused { .. }
            | Self::Withheld { .. }
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::Refused { .. }
            | Self::UnknownMedium { .. }
            | Self::Misconfigured { .. } => false,
        }
    }
}
