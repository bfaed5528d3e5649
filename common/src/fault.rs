//! Fault injection for the project's own tests: crash points and disabled guards.
//!
//! Without the feature `fault-injection`, every function here is inline and does nothing. With it, environment variables take
//! effect:
//! * `CONNECTOR_CRASH_AT`: the number of the crash point at which the process kills itself with SIGKILL
//! * `CONNECTOR_CRASH_COUNT`: the file to which each passed crash point is appended
//! * `CONNECTOR_POISON`: the asset that kills the process
//! * `CONNECTOR_PANIC`: the asset that makes a step panic
//! * `CONNECTOR_DISABLED_GUARDS`: the guards that are disabled
//! * `CONNECTOR_TIME_SCALE`: the divisor of the budget's durations

/// A protection that a test disables, to prove that the suite detects its absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Asking Imatag for the medium before submitting it.
    FindBeforeSubmit,
    /// Checking the asset before submitting its file.
    LookBeforeSubmit,
    /// The single GET before saving.
    LookBeforeSave,
    /// Writing the marker before saving.
    MarkerBeforeSave,
    /// Comparing the file's hash with the marker's records.
    HashRule,
    /// The lease of an asset.
    Lease,
    /// Waiting until the request of a dead process cannot take effect any more.
    SuspectWait,
    /// Protecting an asset from all jobs for that time.
    Doubt,
}

/// Marks a place before or after an effect where the process may crash.
#[inline]
pub fn crash_point(place: &'static str) {
    #[cfg(feature = "fault-injection")]
    injection::crash_point(place);
    #[cfg(not(feature = "fault-injection"))]
    let _ = place;
}

/// Marks the start of a step: the asset may kill the process, or make the step panic.
#[inline]
pub fn poison(asset: &crate::asset::AssetId) {
    #[cfg(feature = "fault-injection")]
    injection::poison(asset.as_str());
    #[cfg(not(feature = "fault-injection"))]
    let _ = asset;
}

/// A fault of a reader process, requested by the end of the file that it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReaderFault {
    /// Never answers.
    Hang,
    /// Aborts.
    Abort,
    /// Overflows its stack.
    Overflow,
    /// Allocates all memory that it can get.
    Fill,
    /// Sends a malformed answer.
    Nonsense,
    /// Sends an endless answer.
    Endless,
    /// Exits without an answer.
    Leave,
    /// Tries to access other files and the network, and answers with the results.
    Reach,
}

/// The fault that a file requests: its last line is `reader-fault:` and the name.
///
/// Does not move the file's position.
#[inline]
pub fn reader_fault(file: &std::fs::File) -> Option<ReaderFault> {
    #[cfg(feature = "fault-injection")]
    return injection::reader_fault(file);
    #[cfg(not(feature = "fault-injection"))]
    {
        let _ = file;
        None
    }
}

/// The divisor of the budget's durations, so that a test need not wait for five minutes; 1 in a release build.
#[inline]
pub fn time_scale() -> u32 {
    #[cfg(feature = "fault-injection")]
    return injection::time_scale();
    #[cfg(not(feature = "fault-injection"))]
    1
}

/// Whether the guard is enabled; always true in a release build.
#[inline]
pub fn guard_is_on(guard: Guard) -> bool {
    #[cfg(feature = "fault-injection")]
    return !injection::is_disabled(guard);
    #[cfg(not(feature = "fault-injection"))]
    {
        let _ = guard;
        true
    }
}

#[cfg(feature = "fault-injection")]
mod injection {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{Guard, ReaderFault};

    static PASSED: AtomicU64 = AtomicU64::new(0);
    static CRASH_AT: LazyLock<Option<u64>> =
        LazyLock::new(|| std::env::var("CONNECTOR_CRASH_AT").ok().and_then(|text| text.parse().ok()));
    static COUNT_FILE: LazyLock<Option<std::path::PathBuf>> =
        LazyLock::new(|| std::env::var_os("CONNECTOR_CRASH_COUNT").map(Into::into));
    static DISABLED: LazyLock<String> =
        LazyLock::new(|| std::env::var("CONNECTOR_DISABLED_GUARDS").unwrap_or_default());

    pub(super) fn crash_point(place: &'static str) {
        let number = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(file) = COUNT_FILE.as_deref() {
            // Each line is a single write, so that it is in the file when the process dies here.
            use std::io::Write;
            let line = format!("{number} {place}\n");
            let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
            if let Ok(mut file) = opened {
                let _ = file.write_all(line.as_bytes());
            }
        }
        if *CRASH_AT == Some(number) {
            die();
        }
    }

    fn die() {
        let _ = std::process::Command::new("kill").args(["-KILL", &std::process::id().to_string()]).status();
        // The signal is asynchronous: nothing may run after the crash point.
        loop {
            std::thread::park();
        }
    }

    pub(super) fn poison(asset: &str) {
        if std::env::var("CONNECTOR_POISON").is_ok_and(|poison| poison == asset) {
            die();
        }
        assert!(
            std::env::var("CONNECTOR_PANIC").ok().as_deref() != Some(asset),
            "this asset makes a step panic"
        );
    }

    pub(super) fn reader_fault(file: &std::fs::File) -> Option<ReaderFault> {
        use std::os::unix::fs::FileExt;
        let mut end = [0; 32];
        let start = file.metadata().ok()?.len().checked_sub(end.len() as u64)?;
        file.read_exact_at(&mut end, start).ok()?;
        let text = String::from_utf8_lossy(&end).into_owned();
        Some(match text.rsplit_once("\nreader-fault:")?.1 {
            "hang" => ReaderFault::Hang,
            "abort" => ReaderFault::Abort,
            "overflow" => ReaderFault::Overflow,
            "fill" => ReaderFault::Fill,
            "nonsense" => ReaderFault::Nonsense,
            "endless" => ReaderFault::Endless,
            "leave" => ReaderFault::Leave,
            "reach" => ReaderFault::Reach,
            _ => return None,
        })
    }

    pub(super) fn time_scale() -> u32 {
        let scale = std::env::var("CONNECTOR_TIME_SCALE").ok().and_then(|text| text.parse().ok());
        scale.filter(|scale| *scale > 0).unwrap_or(1)
    }

    pub(super) fn is_disabled(guard: Guard) -> bool {
        DISABLED.split(',').any(|name| name == format!("{guard:?}"))
    }
}
