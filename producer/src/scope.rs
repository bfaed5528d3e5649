//! Which part of the library a run covers.

use common::job::Lane;
use jiff::Timestamp;
use ledger::RunMode;

/// Which part of the library a run covers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scope {
    /// The whole library.
    #[default]
    Full,
    /// Whatever was modified since this time.
    Since(Timestamp),
    /// The library as far as it was requested: whatever was modified since this time.
    WholeSince(Timestamp),
}

impl Scope {
    /// The run mode in the ledger.
    pub fn mode(self) -> RunMode {
        match self {
            Self::Full | Self::WholeSince(_) => RunMode::Full,
            Self::Since(_) => RunMode::Delta,
        }
    }

    /// The lane of its jobs.
    pub(crate) fn lane(self) -> Lane {
        match self {
            Self::Full | Self::WholeSince(_) => Lane::Backlog,
            Self::Since(_) => Lane::Fresh,
        }
    }
}
