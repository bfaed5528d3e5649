//! What can be wrong with a service, and who is at fault.

use common::service::Service;
use tokio::time::Instant;

/// Why a service cannot be used at all, whatever the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It does not answer, or answers with server errors; this ends by itself. A call that concerns no asset
    /// detects the end.
    Outage,
    /// It refuses the credential: a person has to act.
    Credential,
    /// It refuses to let any asset's file be read: a person has to act.
    ReadRefused,
    /// It refuses writes, whatever the asset: a role or permission is missing.
    WriteRefused,
    /// It does not know the requested paths: a person has to act.
    Configuration,
}

/// Who is at fault when a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The job: the failure uses up one of its attempts.
    Job,
    /// The service or this machine: the job waits and loses nothing.
    Service,
}

/// An open breaker: what is wrong, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenBreaker {
    pub service: Service,
    pub trouble: Trouble,
    /// The latest error, for people.
    pub reason: String,
    pub since: Instant,
}

impl OpenBreaker {
    /// What anyone may know of it: nothing of what a service wrote.
    pub fn public_reason(&self) -> String {
        let service = self.service.name();
        if self.service == Service::Machine {
            return self.reason.clone();
        }
        let what = match self.trouble {
            Trouble::Outage => "does not answer, or only with errors",
            Trouble::Credential => "does not accept the token or key",
            Trouble::ReadRefused => "refuses to let any file be read",
            Trouble::WriteRefused => "refuses every write",
            Trouble::Configuration => "does not take what is sent: its address or profile may be wrong",
        };
        format!("{service} {what}; the log shows its response")
    }
}
