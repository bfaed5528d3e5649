//! What every program's `main` does before and after its work.

use common::visible;
use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, setrlimit};

use crate::output;
use common::failure::Failure;
use common::parse_error::harmless;

/// Disables core dumps, so that a crash writes no secrets and pictures to disk, protects the process's memory and environment
/// from other processes of the same user, and keeps the files that the program was started with from the processes that it
/// starts. Call it first.
pub fn harden() {
    // Supervisors hand out descriptors from 3 on, and one of them may be a secret's file.
    close_fds::set_fds_cloexec(3, &[]);
    // If the core pattern pipes dumps to a program, the kernel ignores the limit but respects the flag.
    let limited = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    if let Err(error) = limited.and_then(|()| set_dumpable(false)) {
        output::error(&format!("cannot switch core dumps off: {error}"));
    }
}

/// Parses the command line.
///
/// # Errors
/// The exit code, after the help or the error has been printed.
pub fn arguments<A: Parser>() -> Result<A, ExitCode> {
    A::try_parse().map_err(|error| {
        let code = ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        match error.kind() {
            // These contain no user input.
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => drop(error.print()),
            _ => said(error).lines().for_each(output::talk),
        }
        code
    })
}

/// The error message, without user input that may be a secret or begin another line.
fn said(mut error: Error) -> String {
    let is_unknown = error.kind() == ErrorKind::UnknownArgument;
    // The name of a known argument is the program's own, not user input.
    let argument = is_unknown.then_some(ContextKind::InvalidArg);
    for kind in [ContextKind::InvalidValue, ContextKind::InvalidSubcommand].into_iter().chain(argument) {
        if let Some(ContextValue::String(typed)) = error.get(kind) {
            let is_value = is_unknown && !typed.starts_with("--");
            let shown =
                if is_value { "…".to_owned() } else { visible::shown(harmless(typed)).into_owned() };
            if shown != *typed {
                // The suggestion would repeat the value.
                error.remove(ContextKind::Suggested);
            }
            error.insert(kind, ContextValue::String(shown));
        }
    }
    error.render().to_string()
}

/// Runs the work to its end, prints a failure, and returns the exit code.
pub fn run(work: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::error(&format!("cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = work => ended,
            () = tasks::broken() => Err(Failure::Unexpected("a part of this program broke down".to_owned())),
        }
    });
    // Do not wait for blocking tasks, such as a hanging disk read.
    runtime.shutdown_background();
    let ended = match output::lost() {
        Some(reason) => ended.and(Err(Failure::Unexpected(format!(
            "a part of the output could not be written ({reason}); make room for it, and run the command again"
        )))),
        None => ended,
    };
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

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};

    use super::*;

    const KIND: &str = "CONNECTOR_TEST_TASK";

    /// Does nothing except in the processes that the test below starts.
    #[test]
    fn child_with_a_task_that_panics() {
        let Ok(kind) = std::env::var(KIND) else { return };
        let work = async move {
            let panicking = async { panic!("on purpose") };
            if kind == "lasting" {
                assert!(tasks::lasting(panicking).await.is_err());
                // The process is about to end; if it does not, this test case returns success and so fails.
                tokio::time::sleep(std::time::Duration::from_secs(10)).await;
            } else {
                assert!(tasks::brief(panicking).await.is_err());
            }
            Ok(())
        };
        let code = run(work);
        let codes = [ExitCode::SUCCESS, ExitCode::from(1)];
        let code = codes.iter().position(|known| *known == code).unwrap();
        std::process::exit(i32::try_from(code).unwrap());
    }

    fn ended_with(kind: &str) -> Output {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "program::tests::child_with_a_task_that_panics", "--nocapture"]);
        child.env(KIND, kind).output().unwrap()
    }

    #[test]
    fn a_panic_of_a_lasting_task_ends_the_process_with_1_and_one_of_a_brief_task_does_not() {
        let lasting = ended_with("lasting");
        assert_eq!(lasting.status.code(), Some(1), "{lasting:?}");
        let said = String::from_utf8_lossy(&lasting.stderr);
        assert!(said.contains("a part of this program broke down"), "{said}");
        assert_eq!(ended_with("brief").status.code(), Some(0));
    }

    #[derive(Debug, Parser)]
    #[command(name = "program")]
    struct Arguments {
        #[arg(long)]
        every: Option<common::span::Span>,
        #[arg(long)]
        count: Option<u8>,
    }

    #[derive(Debug, Parser)]
    struct Files {
        _files: Vec<String>,
    }

    #[test]
    fn the_tip_about_an_unknown_option_repeats_no_more_of_it_than_the_error() {
        let said_of = |typed: &str| said(Files::try_parse_from(["program", typed]).unwrap_err());
        for typed in ["--pT7vK2m9QxZ4bN8rLwJ6cYd3", "--x\nPASS  everything is well"] {
            let shown = said_of(typed);
            assert!(shown.contains("unexpected argument '…'"), "{shown}");
            assert!(!shown.contains("pT7v") && !shown.contains("PASS"), "{shown}");
        }
        assert!(said_of("--cuont").contains("-- --cuont"), "the tip of a plain one");
    }

    #[test]
    fn what_is_wrong_with_a_command_line_shows_no_secret_and_forges_no_line() {
        let secret = "s3cr3t-value-0123456789abc";
        let hostile = "--x\n\u{1b}]0;t";
        for (typed, wanted) in [
            (&[secret][..], "error: unexpected argument '…' found"),
            (&["short"], "error: unexpected argument '…' found"),
            (
                &["--count", secret],
                "error: invalid value '…' for '--count <COUNT>': invalid digit found in string",
            ),
            (
                &["--count", "7x\n"],
                "error: invalid value '…' for '--count <COUNT>': invalid digit found in string",
            ),
            (&["--every", secret], "error: invalid value '…' for '--every <EVERY>': \"…\" is not a duration"),
            (&["--count", "7x"], "error: invalid value '7x' for '--count <COUNT>': invalid digit"),
            (&[hostile], "error: unexpected argument '…' found"),
            (&["--cuont"], "error: unexpected argument '--cuont' found"),
        ] {
            let shown = said(Arguments::try_parse_from(["program"].iter().chain(typed)).unwrap_err());
            assert!(shown.starts_with(wanted) && !shown.contains("s3cr3t"), "{typed:?}: {shown}");
        }
    }
}
