//! Crash points and switched-off guards, for the project's own tests.
//!
//! Without the feature `fault-injection` every function here is an empty inline body. With it, the process kills
//! itself with SIGKILL at the crash point whose number stands in `CONNECTOR_CRASH_AT`, prints how many it passed
//! to the file in `CONNECTOR_CRASH_COUNT`, dies of the asset in `CONNECTOR_POISON`, panics in a step of the one in
//! `CONNECTOR_PANIC`, and leaves out the guards named in `CONNECTOR_DISABLED_GUARDS`.

/// A protection that a test switches off to prove that the suite notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Asking Imatag for the medium before submitting.
    FindBeforeSubmit,
    /// Looking at the asset before submitting its file.
    LookBeforeSubmit,
    /// The single GET before saving.
    LookBeforeSave,
    /// Writing the marker before saving.
    MarkerBeforeSave,
    /// Comparing the file's hash with the marker's records.
    HashRule,
    /// The sole right to touch an asset.
    Lease,
    /// Waiting longer than a dead process's request may live.
    SuspectWait,
    /// Keeping an asset from all for as long as a dead process's request may live.
    Doubt,
}

/// Marks a place before or after an effect where the process may die.
#[inline]
pub fn crash_point(place: &'static str) {
    #[cfg(feature = "fault-injection")]
    injection::crash_point(place);
    #[cfg(not(feature = "fault-injection"))]
    let _ = place;
}

/// Marks the start of the work on an asset: the process may be one that this asset kills, or the step one that panics.
#[inline]
pub fn poison(asset: &crate::asset::AssetId) {
    #[cfg(feature = "fault-injection")]
    injection::poison(asset.as_str());
    #[cfg(not(feature = "fault-injection"))]
    let _ = asset;
}

/// What a reader of files does wrong where a file asks for it by its last bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReaderFault {
    /// It never ends.
    Hang,
    /// It aborts.
    Abort,
    /// It overflows its stack.
    Overflow,
    /// It takes all memory that it gets.
    Fill,
    /// It answers what is no answer.
    Nonsense,
    /// It answers without end.
    Endless,
    /// It ends in order, without an answer.
    Leave,
    /// It tries to reach other files and the network, and answers how that went.
    Reach,
}

/// The fault that a file asks for: `reader-fault:` and its name, as the last line of the file.
///
/// The file has to be read from its beginning afterwards.
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

/// By how much the budget's times are divided, so that a test need not wait for five minutes; 1 in a release build.
#[inline]
pub fn time_scale() -> u32 {
    #[cfg(feature = "fault-injection")]
    return injection::time_scale();
    #[cfg(not(feature = "fault-injection"))]
    1
}

/// Whether the guard stands; always true in a release build.
#[inline]
pub fn guard_stands(guard: Guard) -> bool {
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
            // Each line is one write, so that what was passed is on record when the process dies here.
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
