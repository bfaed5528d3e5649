//! What every program's `main` does around its work.

use std::process::ExitCode;

use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, setrlimit};

use crate::failure::Failure;
use crate::output;

/// Keeps secrets and pictures in memory from being written to the disk when the program crashes, and its memory and
/// environment from other processes of the same user.
pub fn without_core_dumps() {
    // A pattern that pipes dumps to a program ignores the limit, and heeds the flag.
    let limited = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    if let Err(error) = limited.and_then(|()| set_dumpable(false)) {
        output::error(&format!("cannot switch core dumps off: {error}"));
    }
}

/// Runs the work to its end, says how it failed, and gives the exit code.
pub fn run(work: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::error(&format!("cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(work);
    // A blocking read of the disk must not keep the program from ending.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                output::error(&message);
            }
            failure.exit_code()
        }
    }
}
