//! The sole right to touch an asset, and what keeps the asset from others after it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Locks, QueueError};
use common::asset::AssetId;
use common::job::JobId;
use common::permission;

type Permission = permission::Permission<QueueError>;

/// No job lives longer.
const LONGEST: Duration = Duration::from_hours(48);
/// How long a lease is waited for that others are in the way of.
const BUSY_PATIENCE: Duration = Duration::from_secs(10);
/// How long apart it is tried.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// Keeps an asset from jobs for a time after its lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    ms: u64,
    /// The one job that may take the asset all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job: Option<JobId>,
}

impl Kept {
    /// From every job.
    pub fn from_all(time: Duration) -> Self {
        Self { ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX), job: None }
    }

    /// From every job but this.
    pub fn for_job(time: Duration, job: &JobId) -> Self {
        Self { job: Some(job.clone()), ..Self::from_all(time) }
    }

    /// How long; a message may say anything.
    pub fn time(&self) -> Duration {
        Duration::from_millis(self.ms).min(LONGEST)
    }

    /// Whether this job may take the asset all the same.
    pub fn is_for(&self, job: &JobId) -> bool {
        self.job.as_ref() == Some(job)
    }
}

/// What an attempt to take a lease came to.
#[derive(Debug)]
pub enum Attempt {
    /// The lease.
    Taken(Lease),
    /// Another job of this asset has it, or it is kept after what a job may have done.
    Refused,
    /// Another process has a lease in the same place, of this asset or of another.
    Busy,
}

/// What a lease leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// What was said when it was taken: a request may be under way.
    Doubt,
    /// The asset is free for all.
    Nothing,
    /// What it found there for its own job.
    AsFound,
    /// This, instead of what it found there for its own job.
    Kept(Kept),
}

impl Left {
    /// What is put there anew.
    pub fn marks(self, doubt: Vec<Kept>) -> Vec<Kept> {
        match self {
            Self::Doubt => doubt,
            Self::Nothing | Self::AsFound => Vec::new(),
            Self::Kept(kept) => vec![kept],
        }
    }

    /// Whether what was found there for the lease's own job stays.
    pub fn leaves_found(&self) -> bool {
        match self {
            Self::Doubt | Self::AsFound => true,
            Self::Nothing | Self::Kept(_) => false,
        }
    }
}

/// Takes a lease, and waits a while for other processes that are in the way.
///
/// # Errors
/// As [`Locks::lease`].
pub async fn lease_patiently(
    locks: &dyn Locks,
    asset: &AssetId,
    job: &JobId,
    doubt: &[Kept],
) -> Result<Attempt, QueueError> {
    let until = Instant::now() + BUSY_PATIENCE;
    let mut pause = SHORTEST_PAUSE;
    loop {
        let attempt = locks.lease(asset, job, doubt.to_vec()).await?;
        if !matches!(attempt, Attempt::Busy) || Instant::now() >= until {
            return Ok(attempt);
        }
        tokio::time::sleep(rand::random_range(pause / 2..=pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The sole right to touch an asset. Dropped without [`Lease::end`], it leaves the asset in doubt.
pub struct Lease {
    release: Option<Box<dyn FnOnce(Left) + Send + Sync>>,
    permission: Permission,
}

impl Lease {
    pub fn held(
        release: impl FnOnce(Left) + Send + Sync + 'static,
        check: impl Fn() -> Result<(), QueueError> + Send + Sync + 'static,
    ) -> Self {
        Self { release: Some(Box::new(release)), permission: Permission::new(check) }
    }

    /// A lease of nothing, for tests that show what leases are for.
    pub fn free() -> Self {
        Self { release: None, permission: Permission::new(|| Ok(())) }
    }

    /// Gives the lease back.
    pub fn end(mut self, left: Left) {
        self.release(left);
    }

    /// Fails unless the lease is still held, as far as can be known.
    pub fn check(&self) -> Result<(), QueueError> {
        self.permission.check()
    }

    /// The right that comes with the lease, for the clients that change the asset under it.
    pub fn permission(&self) -> Permission {
        self.permission.clone()
    }

    fn release(&mut self, left: Left) {
        if let Some(release) = self.release.take() {
            release(left);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.release(Left::Doubt);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Lease")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;

    /// Locks that others are in the way of until this time.
    struct InTheWay {
        until: Instant,
        tried: Mutex<Vec<Instant>>,
    }

    #[async_trait]
    impl Locks for InTheWay {
        async fn lease(&self, _: &AssetId, _: &JobId, _: Vec<Kept>) -> Result<Attempt, QueueError> {
            self.tried.lock().unwrap().push(Instant::now());
            Ok(if Instant::now() < self.until { Attempt::Busy } else { Attempt::Taken(Lease::free()) })
        }

        fn contact(&self) -> Result<(), QueueError> {
            Ok(())
        }
    }

    async fn leased(locks: &InTheWay) -> Attempt {
        lease_patiently(locks, &"A".parse().unwrap(), &JobId::try_from("job".to_owned()).unwrap(), &[])
            .await
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_waited_for_as_long_as_others_may_be_in_the_way_and_no_longer() {
        let began = Instant::now();
        let (soon, tried) = (began + BUSY_PATIENCE / 2, Mutex::default());
        let locks = InTheWay { until: soon, tried };
        assert!(matches!(leased(&locks).await, Attempt::Taken(_)));
        assert!((soon..=soon + LONGEST_PAUSE).contains(&Instant::now()));

        let began = Instant::now();
        let locks = InTheWay { until: began + BUSY_PATIENCE * 2, tried: Mutex::default() };
        assert!(matches!(leased(&locks).await, Attempt::Busy));
        assert!((BUSY_PATIENCE..=BUSY_PATIENCE + LONGEST_PAUSE).contains(&began.elapsed()));
        let tried = locks.tried.into_inner().unwrap();
        let pauses: Vec<_> = tried.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(
            pauses.iter().all(|pause| (SHORTEST_PAUSE / 2..=LONGEST_PAUSE).contains(pause)),
            "{pauses:?}"
        );
        assert!(tried.len() < 60, "{} attempts cost the broker too much", tried.len());
    }
}
