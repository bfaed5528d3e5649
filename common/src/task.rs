//! Tasks beside the main one: every one of the programs begins here.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::LazyLock;

use futures::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Whether something broke down that the process cannot work without.
static BROKEN: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));

/// Starts a task that the process cannot work without: a panic in it ends the process.
pub fn lasting<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    brief(async move {
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(done) => done,
            Err(panic) => {
                break_down();
                resume_unwind(panic)
            }
        }
    })
}

/// Starts a task that something waits for, or that may end in any way.
#[expect(clippy::disallowed_methods, reason = "every task is started here")]
pub fn brief<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(work)
}

/// Something broke down that the process cannot work without.
pub(crate) fn break_down() {
    BROKEN.send_replace(true);
}

/// Resolves when something broke down that the process cannot work without.
pub(crate) async fn broken() {
    // The sender is never dropped.
    let _ = BROKEN.subscribe().wait_for(|broken| *broken).await;
}

#[cfg(test)]
mod tests {
    use std::process::{Command, ExitCode, Output};

    use super::*;
    use crate::program;

    const KIND: &str = "CONNECTOR_TEST_TASK";

    /// Does nothing but in the processes that the test below starts.
    #[test]
    fn child_with_a_task_that_panics() {
        let Ok(kind) = std::env::var(KIND) else { return };
        let work = async move {
            let panicking = async { panic!("on purpose") };
            if kind == "lasting" {
                assert!(lasting(panicking).await.is_err());
                // The end is on its way; without it, this ends as if all were well.
                tokio::time::sleep(std::time::Duration::from_secs(10)).await;
            } else {
                assert!(brief(panicking).await.is_err());
            }
            Ok(())
        };
        let code = program::run(work);
        let codes = [ExitCode::SUCCESS, ExitCode::from(1)];
        let code = codes.iter().position(|known| *known == code).unwrap();
        std::process::exit(i32::try_from(code).unwrap());
    }

    fn ended_with(kind: &str) -> Output {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "task::tests::child_with_a_task_that_panics", "--nocapture"]);
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
}
