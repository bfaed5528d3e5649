//! What a message says: what happened, and what to do about it.

use common::failure::Failure;
use common::visible;
use strum::IntoStaticStr;

/// No more of a reason is sent: chats refuse long messages.
const LONGEST_REASON: usize = 1000;

/// What a notice is about; of each kind, at most one is sent in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    RunFailed,
    CredentialRefused,
    LimitReached,
    NothingProtected,
    /// Of `connector notify-test`.
    Test,
}

/// Something that a person has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub kind: Kind,
    /// The reason as it is logged: it may name assets, files and addresses, and is sent only if that was asked for.
    pub reason: Option<String>,
}

impl Kind {
    pub fn name(self) -> &'static str {
        self.into()
    }

    fn title(self) -> &'static str {
        match self {
            Self::RunFailed => "a run ended badly",
            Self::CredentialRefused => "a credential or a right was refused",
            Self::LimitReached => "a limit was reached",
            Self::NothingProtected => "nothing has been protected for a day",
            Self::Test => "a test",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::RunFailed => {
                "The last lines of the log show the reason. `connector status` shows what is left, `connector failed list` which jobs \
                 failed and why, and `connector doctor` what keeps the connector from working."
            }
            Self::CredentialRefused => {
                "Bynder or Imatag refuses the token, the key or a role of their user, so nothing is protected until that is mended. \
                 `connector doctor` shows which, and what to change."
            }
            Self::LimitReached => {
                "The run ended early because of [limits], or because assets wait to be requested. `connector status` shows how many. \
                 The next run continues; to protect more, raise the limit or run `connector sync --full`."
            }
            Self::NothingProtected => {
                "There was something to protect, and in 24 hours not one asset was protected. `connector status` shows what the work \
                 waits for, `connector failed list` which jobs failed and why."
            }
            Self::Test => "`connector notify-test` sent this. Nothing has to be done.",
        }
    }
}

impl Notice {
    pub fn new(kind: Kind) -> Self {
        Self { kind, reason: None }
    }

    /// What the failure of a command is to people; `None` for a mistake on the command line, which its user sees.
    pub fn of(failure: &Failure) -> Option<Self> {
        let kind = match failure {
            Failure::Usage(_) | Failure::Reported(_) => return None,
            Failure::Credential(_) => Kind::CredentialRefused,
            Failure::Limit(_) => Kind::LimitReached,
            Failure::Unexpected(_)
            | Failure::Configuration(_)
            | Failure::Temporary(_)
            | Failure::FailedJobs(_)
            | Failure::Unreadable(_) => Kind::RunFailed,
        };
        Some(Self { kind, reason: failure.message() })
    }

    /// With this reason.
    #[must_use]
    pub fn because(self, reason: &impl ToString) -> Self {
        Self { reason: Some(reason.to_string()), ..self }
    }

    pub(crate) fn subject(&self, portal: &str) -> String {
        format!("Connector for {portal}: {}", self.kind.title())
    }

    /// `quoted` makes of the reason, on one line, what the receiver shows as it is.
    pub(crate) fn body(&self, details: bool, quoted: fn(&str) -> String) -> String {
        let reason = self.reason.as_deref().filter(|_| details).map(visible::shown);
        let reason = reason.map(|reason| reason.chars().take(LONGEST_REASON).collect::<String>());
        let reason = reason.map(|reason| format!("\n\nReason: {}", quoted(&reason)));
        format!("{}{}", self.kind.advice(), reason.unwrap_or_default())
    }
}
