//! Bynder's errors by what the caller can do about them.

use common::failure::Failure;
use std::time::Duration;

use super::Paused;
use http_client::Sent;

/// A right that the portal refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// To see one asset or its file: portals restrict single assets and whole brands.
    ReadAsset,
    /// Any other, which depends on scope and role alone.
    Other,
}

/// A call to the portal or its storage that did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BynderError {
    /// The request budget is paused after a 429; come back later.
    #[error("Bynder's request limit was reached; all calls pause for another {} s", .remaining.as_secs())]
    Paused {
        /// How long at least.
        remaining: Duration,
    },
    /// A call that was made for several jobs failed, and another one of them has its error; come back later.
    #[error("a call to Bynder that several jobs shared did not succeed: {reason}")]
    Shared {
        /// What happened to it.
        reason: String,
    },
    /// Not sent: the right to change the asset was lost while the call waited; come back later.
    #[error("{operation}: not sent, since the asset may not be changed now ({reason})")]
    Withheld {
        /// What would have been attempted.
        operation: String,
        /// Why it may not.
        reason: String,
    },
    /// 401: the token is no good for anything.
    #[error(
        "{operation}: Bynder does not accept the token ({message}); check bynder.api_token or bynder.oauth"
    )]
    Unauthorized {
        /// What was attempted.
        operation: String,
        /// What the portal said.
        message: String,
    },
    /// 403: the token is good, but a scope or a security role is missing.
    #[error(
        "{operation}: Bynder refuses permission ({message}); the token needs the scope, and its user the role"
    )]
    Forbidden {
        /// What was attempted.
        operation: String,
        /// What the portal said.
        message: String,
        /// Which right is missing.
        right: Right,
    },
    /// 404: the asset, version or import does not exist.
    #[error("{operation}: Bynder does not know it ({message})")]
    NotFound {
        /// What was attempted.
        operation: String,
        /// What the portal said.
        message: String,
    },
    /// Another 4xx: the same request will be refused again.
    #[error("{operation}: Bynder refuses the request with {status} ({message})")]
    Refused {
        /// What was attempted.
        operation: String,
        /// The HTTP status.
        status: u16,
        /// What the portal said.
        message: String,
    },
    /// 5xx, a time-out, a broken connection: may pass by itself.
    #[error("{operation}: Bynder is not available ({reason})")]
    Unavailable {
        /// What was attempted.
        operation: String,
        /// What happened.
        reason: String,
        /// Whether it may have been done all the same.
        sent: Sent,
    },
    /// Success by status, but not the answer that belongs to it.
    #[error("{operation}: unexpected response from Bynder ({reason})")]
    Unexpected {
        /// What was attempted.
        operation: String,
        /// What was wrong with it.
        reason: String,
    },
    /// The host answers, but not as a Bynder portal does.
    #[error("{operation}: this host does not answer like a Bynder portal ({reason}); check bynder.domain")]
    Misconfigured {
        /// What was attempted.
        operation: String,
        /// What it answered.
        reason: String,
    },
    /// The file to upload cannot be read on this machine.
    #[error("{operation}: {reason}")]
    Local {
        /// What was attempted.
        operation: String,
        /// What the system said.
        reason: String,
    },
}

impl From<Paused> for BynderError {
    fn from(paused: Paused) -> Self {
        Self::Paused { remaining: paused.remaining }
    }
}

impl BynderError {
    /// Whether the same call may work later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Paused { .. }
            | Self::Shared { .. }
            | Self::Withheld { .. }
            | Self::Unavailable { .. }
            | Self::Unexpected { .. }
            | Self::Local { .. } => true,
            Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Refused { .. }
            | Self::Misconfigured { .. } => false,
        }
    }

    /// Whether the portal may have done what was asked although this error came back.
    pub fn may_have_been_sent(&self) -> bool {
        match self {
            Self::Unavailable { sent, .. } => *sent == Sent::Maybe,
            Self::Unexpected { .. } => true,
            Self::Paused { .. }
            | Self::Shared { .. }
            | Self::Withheld { .. }
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Refused { .. }
            | Self::Misconfigured { .. }
            | Self::Local { .. } => false,
        }
    }
}

impl From<BynderError> for Failure {
    fn from(error: BynderError) -> Self {
        let message = error.to_string();
        match error {
            BynderError::Unauthorized { .. } | BynderError::Forbidden { .. } => Self::Credential(message),
            BynderError::Misconfigured { .. } => Self::Configuration(message),
            BynderError::Unavailable { .. } => Self::Temporary(format!(
                "{message}; check bynder.domain and the network, then run it again: it resumes where it stopped"
            )),
            BynderError::Paused { .. } | BynderError::Shared { .. } | BynderError::Withheld { .. } => {
                Self::Temporary(message)
            }
            BynderError::NotFound { .. }
            | BynderError::Refused { .. }
            | BynderError::Unexpected { .. }
            | BynderError::Local { .. } => Self::Unexpected(message),
        }
    }
}
