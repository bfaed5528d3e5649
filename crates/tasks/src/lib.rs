//! Starts every task of the programs.
//!
//! Tokio keeps a panic of a task to itself. [`lasting`] starts a task that the process cannot work without: after a panic in it,
//! [`broken`] resolves, and the program ends. [`brief`] starts one that something waits for.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let three = tasks::brief(async { 1 + 2 }).await.unwrap();
//! assert_eq!(three, 3);
//! # });
//! ```

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
pub fn break_down() {
    BROKEN.send_replace(true);
}

/// Resolves when something broke down that the process cannot work without.
pub async fn broken() {
    // The sender is never dropped.
    let _ = BROKEN.subscribe().wait_for(|broken| *broken).await;
}
