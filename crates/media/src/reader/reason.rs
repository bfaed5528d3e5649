//! Why a file could not be read, for a person.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

/// How a reader ended without a valid answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It exited.
    Died(ExitStatus),
    /// It exceeded this deadline.
    Late(Duration),
    /// Its answer was malformed or too long.
    Nonsense,
}

impl End {
    pub(super) fn reason(self) -> String {
        match self {
            Self::Died(status) => match status.signal() {
                Some(signal) => format!("its reader ran out of memory or crashed (signal {signal})"),
                None => format!("its reader ended without an answer ({status})"),
            },
            Self::Late(deadline) => format!("reading it took longer than {} s", deadline.as_secs_f64()),
            Self::Nonsense => "its reader answered nonsense".to_owned(),
        }
    }
}
