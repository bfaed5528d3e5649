//! Bynder's errors, by what the caller can do about them.

use common::failure::Failure;
use std::time::Duration;

use super::Paused;
use http_client::Sent;

/// A right that the portal refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// To read an asset or its file: portals restrict single assets and whole brands.
    ReadAsset,
    /// Any other right, which depends only on scope and role.
    Other,
}

/// A failed call to the portal or its storage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BynderError {
    /// The request budget is paused after a 429; retry later.
    #[error("Bynder's request limit was reached; all calls pause for another {} s", .remaining.as_secs())]
    Paused {
        /// The shortest time that the pause lasts.
        remaining: Duration,
    },
    /// A call for several jobs failed, and another job has its error; retry later.
    #[error("a call to Bynder that several jobs shared did not succeed: {reason}")]
    BatchFailed { reason: String },
    /// Not sent: the permission to change the asset was lost while the call waited; retry later.
    #[error("{operation}: not sent, since the asset may not be changed now ({reason})")]
    Withheld { operation: String, reason: String },
    /// 401: the token is not valid.
    #[error(
        "{operation}: Bynder does not accept the token ({message}); check bynder.api_token or bynder.oauth"
    )]
    Unauthorized { operation: String, message: String },
    /// 403: the token is valid, but a scope or a security role is missing.
    #[error(
        "{operation}: Bynder refuses permission ({message}); the token needs the scope, and its user the role"
    )]
    Forbidden { operation: String, message: String, right: Right },
    /// 404: the asset, version or import does not exist.
    #[error("{operation}: Bynder does not know it ({message})")]
    NotFound { operation: String, message: String },
    /// Another 4xx: the same request would be refused again.
    #[error("{operation}: Bynder refuses the request with {status} ({message})")]
    Refused { operation: String, status: u16, message: String },
    /// 5xx, a timeout or a broken connection: may recover by itself.
    #[error("{operation}: Bynder is not available ({reason})")]
    Unavailable {
        operation: String,
        reason: String,
        /// Whether it may have taken effect.
        sent: Sent,
    },
    /// A status of success with an unexpected response.
    #[error("{operation}: unexpected response from Bynder ({reason})")]
    Unexpected { operation: String, reason: String },
    /// The host responds, but not as a Bynder portal does.
    #[error("{operation}: this host does not answer like a Bynder portal ({reason}); check bynder.domain")]
    Misconfigured { operation: String, reason: String },
    /// The file to upload cannot be read on this machine.
    #[error("{operation}: {reason}")]
    Local { operation: String, reason: String },
}

impl From<Paused> for BynderError {
    fn from(paused: Paused) -> Self {
        Self::Paused { remaining: paused.remaining }
    }
}

impl BynderError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Paused { .. }
            | Self::BatchFailed { .. }
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

    /// Whether the portal may have carried out the request in spite of this error.
    pub fn may_have_been_sent(&self) -> bool {
        match self {
            Self::Unavailable { sent, .. } => *sent == Sent::Maybe,
            Self::Unexpected { .. } => true,
            Self::Paused { .. }
            | Self::BatchFailed { .. }
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
            BynderError::Paused { .. } | BynderError::BatchFailed { .. } | BynderError::Withheld { .. } => {
                Self::Temporary(message)
            }
            BynderError::NotFound { .. }
            | BynderError::Refused { .. }
            | BynderError::Unexpected { .. }
            | BynderError::Local { .. } => Self::Unexpected(message),
        }
    }
}
