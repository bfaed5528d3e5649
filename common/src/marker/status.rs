//! The status metaproperty: an asset's state in words that a librarian can filter on.

use jiff::Timestamp;

use crate::outcome::Failure;

/// Maximum length of a reason, in characters.
const MOST_REASON_CHARACTERS: usize = 300;

/// The status of an asset; written only together with the marker, in the same call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status<'a> {
    /// The active version is protected, or about to be.
    Protected,
    /// The record that was written before a save has been taken back.
    Unprotected,
    /// The job failed after it had written the marker.
    Failed(&'a Failure),
    /// The original was restored, and runs leave the asset alone.
    OptedOut,
}

impl Status<'_> {
    /// The text: a word to filter on, the time, and for a failure its class and reason.
    pub fn text(self, at: Timestamp) -> String {
        let at = jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%SZ", at).unwrap_or_default();
        match self {
            Self::Protected => format!("protected {at}"),
            Self::Unprotected => format!("unprotected {at}"),
            Self::Failed(failure) => {
                let reason: String = failure.reason.chars().take(MOST_REASON_CHARACTERS).collect();
                format!("failed {at} {}: {reason}", failure.class.name())
            }
            Self::OptedOut => format!("opted-out {at}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::FailureClass;

    #[test]
    fn a_status_starts_with_its_word_and_its_time() {
        let at = "2026-01-02T03:04:05.678Z".parse().unwrap();
        let failure =
            Failure { class: FailureClass::Exhausted, reason: "x".repeat(999).into(), request_id: None };
        assert_eq!(Status::Protected.text(at), "protected 2026-01-02T03:04:05Z");
        assert_eq!(Status::Unprotected.text(at), "unprotected 2026-01-02T03:04:05Z");
        assert_eq!(Status::OptedOut.text(at), "opted-out 2026-01-02T03:04:05Z");
        let failed = Status::Failed(&failure).text(at);
        assert!(failed.starts_with("failed 2026-01-02T03:04:05Z exhausted: xxx") && failed.len() < 400);
    }
}
