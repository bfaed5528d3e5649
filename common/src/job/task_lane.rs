//! Which lane the work of a task belongs to, so that its portal calls wait in the right row.

use super::Lane;

tokio::task_local! {
    static LANE: Lane;
}

/// Does the work as part of a lane.
pub async fn in_lane<T>(lane: Lane, work: impl Future<Output = T>) -> T {
    LANE.scope(lane, work).await
}

/// The lane of this task; what belongs to no job, such as listing, goes with the fresh one.
pub(crate) fn current_lane() -> Lane {
    LANE.try_with(|lane| *lane).unwrap_or(Lane::Fresh)
}
