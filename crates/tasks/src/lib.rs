//! Starts all tasks of the programs.
//!
//! Tokio reports a panic in a task only to its `JoinHandle`. [`lasting`] starts a task that the process cannot work without:
//! after a panic in it, [`broken`] resolves, and the program ends. [`brief`] starts a task whose handle is awaited.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let three = tasks::brief(async { 1 + 2 }).await.unwrap();
//! assert_eq!(three, 3);
//! # });
//! ```

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Whether a part has failed that the process cannot work without.
static BROKEN: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));

/// Whether the process was asked to stop.
static STOPPING: AtomicBool = AtomicBool::new(false);

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

/// Starts a task whose handle is awaited, or whose panic does no harm.
#[expect(clippy::disallowed_methods, reason = "every task is started here")]
pub fn brief<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(work)
}

/// Reports that a part has failed that the process cannot work without.
pub fn break_down() {
    BROKEN.send_replace(true);
}

/// Resolves once a part has failed that the process cannot work without.
pub async fn broken() {
    // The sender is never dropped.
    let _ = BROKEN.subscribe().wait_for(|broken| *broken).await;
}

/// Reports that the process was asked to stop.
pub fn stop() {
    STOPPING.store(true, Ordering::Relaxed);
}

/// Whether the process was asked to stop. For blocking work, which no token reaches.
pub fn is_stopping() -> bool {
    STOPPING.load(Ordering::Relaxed)
}
