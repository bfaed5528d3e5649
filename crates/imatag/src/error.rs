//! Imatag's errors, by what the caller can do about them. Each text contains the request id if there is one.

use std::fmt;
use std::time::Duration;

use http_client::Sent;

/// What was attempted, and the id by which Imatag's support finds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempted {
    pub operation: String,
    /// The `X-Request-Id` of the response.
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

/// A failed call to Imatag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImatagError {
    /// 429, or 503 with a time to retry: nothing is sent until then.
    #[error("{at}: Imatag asks to wait for {} s", wait.as_secs())]
    Busy {
        at: Attempted,
        /// How long nothing is sent.
        wait: Duration,
        /// Whether it may have taken effect.
        sent: Sent,
    },
    /// Not sent, since Imatag asked to wait before.
    #[error("{at}: not sent, since Imatag asked to wait; {} s are left", remaining.as_secs())]
    Paused { at: Attempted, remaining: Duration },
    /// Not sent: the permission to submit the asset's file was lost while the call waited; retry later.
    #[error("{at}: not sent, since the asset may not be worked on now ({reason})")]
    Withheld { at: Attempted, reason: String },
    /// 401: the credential is not valid.
    #[error("{at}: Imatag does not accept the credential ({reason}); check imatag.api_key or imatag.oauth")]
    Unauthorized { at: Attempted, reason: String },
    /// 403: most often a directory outside the homedir.
    #[error("{at}: Imatag refuses permission ({reason}); check that imatag.directory lies in your homedir")]
    Forbidden { at: Attempted, reason: String },
    /// This file would be refused again.
    #[error("{at}: Imatag refuses it ({reason})")]
    Refused { at: Attempted, reason: String },
    /// 404 for a medium that was known.
    #[error("{at}: Imatag does not know this medium")]
    UnknownMedium { at: Attempted },
    /// A path or field of the wire profile does not fit the service.
    #[error(
        "{at}: the wire profile does not fit this service ({reason}); check imatag.profile and imatag.base_url"
    )]
    Misconfigured { at: Attempted, reason: String },
    /// 5xx, a timeout or a broken connection: may recover by itself.
    #[error("{at}: Imatag is not available ({reason})")]
    Unavailable {
        at: Attempted,
        reason: String,
        /// Whether it may have taken effect.
        sent: Sent,
    },
    /// A status of success with an unexpected response.
    #[error("{at}: unexpected response from Imatag ({reason})")]
    Unexpected { at: Attempted, reason: String },
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

    /// The id by which Imatag's support finds the request.
    pub fn request_id(&self) -> Option<&str> {
        self.at().request_id.as_deref()
    }

    /// Whether the same call may succeed later.
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

    /// Whether Imatag may have carried out the request in spite of this error.
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
