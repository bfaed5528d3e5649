//! What a process that has no broker tells others, and what outlives it: its silence, the operator's pause, and what it
//! cannot use, as files in the state directory.
//!
//! Files, since the state database belongs to one process, and `connector pause` has to reach one that is at work.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use files::private;
use ledger::state::OWN_NAMES;

/// A person's wish that no jobs are taken; it does not expire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorPause {
    /// Since when.
    pub since: Timestamp,
    /// What the person gave as a reason.
    #[serde(default)]
    pub reason: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SilenceRecord {
    since: Timestamp,
    milliseconds: u64,
}

/// What a process cannot use holds for so long; it says so again sooner while that is so.
const OUT_HOLDS: Duration = Duration::from_secs(15);

#[derive(Debug, Serialize, Deserialize)]
struct OutRecord {
    at: Timestamp,
    services: Vec<String>,
}

/// The records of one state directory.
#[derive(Debug, Clone)]
pub struct Records {
    directory: PathBuf,
}

impl Records {
    /// The records in a state directory, which need not exist yet.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// How long the recorded silence lasts, if there is one.
    ///
    /// A clock that stands before the record's time says nothing about how much has passed: then all of it is left.
    pub fn silence(&self) -> Option<Duration> {
        self.silence_put_on_record().map(|(left, _)| left)
    }

    /// The same, and when it was put on record.
    pub(super) fn silence_put_on_record(&self) -> Option<(Duration, Timestamp)> {
        let record: SilenceRecord = read(&self.directory.join("silence.json"))?;
        let lasts = Duration::from_millis(record.milliseconds).min(super::Timing::real().pause);
        let passed = Timestamp::now().duration_since(record.since);
        let passed = Duration::try_from(passed).unwrap_or(Duration::ZERO);
        let left = lasts.checked_sub(passed).filter(|left| !left.is_zero())?;
        Some((left, record.since))
    }

    /// Records a silence that lasts so long from now on.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn record_silence(&self, lasts: Duration) -> std::io::Result<()> {
        let milliseconds = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
        self.write("silence.json", &SilenceRecord { since: Timestamp::now(), milliseconds })
    }

    /// Services that the process at work cannot use, as it said a moment ago.
    pub fn services_out(&self) -> Vec<String> {
        let Some(record) = read::<OutRecord>(&self.directory.join("services.json")) else {
            return Vec::new();
        };
        let age = Duration::try_from(Timestamp::now().duration_since(record.at)).unwrap_or_default();
        if age < OUT_HOLDS { record.services } else { Vec::new() }
    }

    /// Records what cannot be used as of now.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn record_services_out(&self, services: &[String]) -> std::io::Result<()> {
        let record = OutRecord { at: Timestamp::now(), services: services.to_vec() };
        self.write("services.json", &record)
    }

    /// The operator's pause, if there is one.
    pub fn operator_pause(&self) -> Option<OperatorPause> {
        let path = self.directory.join("pause.json");
        // A file that cannot be read is still somebody's wish to pause.
        let unreadable = || OperatorPause { since: Timestamp::UNIX_EPOCH, reason: None };
        path.exists().then(|| read(&path).unwrap_or_else(unreadable))
    }

    /// Pauses.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn pause(&self, pause: &OperatorPause) -> std::io::Result<()> {
        self.write("pause.json", pause)
    }

    /// Resumes; returns whether there was a pause.
    ///
    /// # Errors
    /// The directory cannot be written, or another user can exchange it.
    pub fn resume(&self) -> std::io::Result<bool> {
        let path = self.directory.join("pause.json");
        let removed = private::fixed(&path)
            .and_then(|()| private::unshared(&self.directory))
            .and_then(|()| std::fs::remove_file(path));
        match removed {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn write(&self, name: &str, record: &impl Serialize) -> std::io::Result<()> {
        private::folder(&self.directory, &OWN_NAMES)?;
        private::unshared(&self.directory)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.directory)?;
        file.write_all(serde_json::to_string(record).unwrap_or_default().as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(self.directory.join(name))?;
        Ok(())
    }
}

fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Option<T> {
    private::check(path).ok()?;
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}
