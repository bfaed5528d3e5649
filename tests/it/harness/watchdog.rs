//! A test that stands still fails, instead of keeping all the others waiting without a word.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use cli::output;

/// No test needs its bench for longer, on a slow machine either.
const LONGEST: Duration = Duration::from_mins(10);

/// Ends the whole run unless it is dropped in time.
pub(crate) struct Watchdog {
    _over: Sender<()>,
}

impl Watchdog {
    pub(crate) fn start(test: String) -> Self {
        let (alive, over) = channel();
        std::thread::spawn(move || {
            if over.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout) {
                // Written past what captures the output of tests, which nobody would see any more.
                output::error(&format!("{test} stands still: ended after {} s", LONGEST.as_secs()));
                std::process::exit(101);
            }
        });
        Self { _over: alive }
    }
}
