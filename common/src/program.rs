//! What every program's `main` does around its work.

use std::process::ExitCode;

use crate::failure::Failure;
use crate::output;

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
