//! The records of a process without a broker, as files in the state directory: its silence, the operator's pause, and the
//! services that it cannot use. Other processes read them, and they survive a restart.
//!
//! They are not in the state database because one process owns that, and `connector pause` has to reach a running process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use files::private;
use ledger::state::OWN_NAMES;

/// A pause by a person: no jobs are taken until it is removed. It does not expire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorPause {
    /// When it began.
    pub since: Timestamp,
    /// The reason that the person gave.
    #[serde(default)]
    pub reason: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SilenceRecord {
    since: Timestamp,
    milliseconds: u64,
}

/// How long the record of unusable services is valid; a process renews it sooner while it applies.
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
    /// The records in `directory`, which need not exist yet.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The time left of the recorded silence, if there is one.
    ///
    /// If the clock is now before the time of the record, the elapsed time is unknown: the whole silence is left.
    pub fn silence(&self) -> Option<Duration> {
        self.silence_put_on_record().map(|(left, _)| left)
    }

    /// The time left of the recorded silence, and when it was recorded.
    pub(super) fn silence_put_on_record(&self) -> Option<(Duration, Timestamp)> {
        let record: SilenceRecord = read(&self.directory.join("silence.json"))?;
        let lasts = Duration::from_millis(record.milliseconds).min(super::Timing::real().pause);
        let passed = Timestamp::now().duration_since(record.since);
        let passed = Duration::try_from(passed).unwrap_or(Duration::ZERO);
        let left = lasts.checked_sub(passed).filter(|left| !left.is_zero())?;
        Some((left, record.since))
    }

    /// Records a silence of this length that begins now.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn record_silence(&self, lasts: Duration) -> std::io::Result<()> {
        let milliseconds = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
        self.write("silence.json", &SilenceRecord { since: Timestamp::now(), milliseconds })
    }

    /// Services that the running process recently recorded as unusable.
    pub fn services_out(&self) -> Vec<String> {
        let Some(record) = read::<OutRecord>(&self.directory.join("services.json")) else {
            return Vec::new();
        };
        let age = Duration::try_from(Timestamp::now().duration_since(record.at)).unwrap_or_default();
        if age < OUT_HOLDS { record.services } else { Vec::new() }
    }

    /// Records the services that cannot be used now.
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
        // An unreadable file still means that a person asked for a pause.
        let unreadable = || OperatorPause { since: Timestamp::UNIX_EPOCH, reason: None };
        path.exists().then(|| read(&path).unwrap_or_else(unreadable))
    }

    /// Records the operator's pause.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn pause(&self, pause: &OperatorPause) -> std::io::Result<()> {
        self.write("pause.json", pause)
    }

    /// Removes the pause; returns whether there was one.
    ///
    /// # Errors
    /// The directory cannot be written, or another user can replace it.
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
        let content = serde_json::to_string(record).unwrap_or_default();
        private::put(&self.directory, &OWN_NAMES, name, content.as_bytes())
    }
}

fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Option<T> {
    private::check(path).ok()?;
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}
