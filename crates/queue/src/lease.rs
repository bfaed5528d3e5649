//! Leases of assets, and the lockouts that protect an asset after its lease has ended.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Locks, QueueError};
use common::asset::AssetId;
use common::job::JobId;
use common::permission;

type Permission = permission::Permission<QueueError>;

/// Upper bound of a lockout's time; no job lives longer.
const LONGEST: Duration = Duration::from_hours(48);
/// How long to retry while [`Attempt::Busy`].
const BUSY_PATIENCE: Duration = Duration::from_secs(10);
/// First and largest backoff between attempts.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// Keeps jobs from an asset for a time after its lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lockout {
    ms: u64,
    /// The one job that may take the lease nevertheless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job: Option<JobId>,
}

impl Lockout {
    /// Protects the asset from every job.
    pub fn from_all(time: Duration) -> Self {
        Self { ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX), job: None }
    }

    /// Protects the asset from every job except `job`.
    pub fn for_job(time: Duration, job: &JobId) -> Self {
        Self { job: Some(job.clone()), ..Self::from_all(time) }
    }

    /// How long the asset is protected; bounded because a message may contain any number.
    pub fn time(&self) -> Duration {
        Duration::from_millis(self.ms).min(LONGEST)
    }

    /// Whether `job` may take the lease nevertheless.
    pub fn is_for(&self, job: &JobId) -> bool {
        self.job.as_ref() == Some(job)
    }
}

/// The result of an attempt to take a lease, as whatever the caller makes of the lease.
#[derive(Debug)]
pub enum Attempt<L = Lease> {
    Taken(L),
    /// Another job has the lease of this asset, or a lockout protects it.
    Refused,
    /// Another process has a lease in the same slot, of this asset or of another; a retry may succeed soon.
    Busy,
}

impl<L> Attempt<L> {
    pub fn map<T>(self, make: impl FnOnce(L) -> T) -> Attempt<T> {
        match self {
            Self::Taken(lease) => Attempt::Taken(make(lease)),
            Self::Refused => Attempt::Refused,
            Self::Busy => Attempt::Busy,
        }
    }
}

/// The lockouts that a lease leaves behind when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// The `doubt` given when it was taken: a request may still be under way.
    Doubt,
    /// None: any job may take the asset.
    Nothing,
    /// Those that it found for its own job.
    AsFound,
    /// This one, instead of those that it found for its own job.
    Lockout(Lockout),
}

impl Left {
    /// The lockouts to add.
    pub fn lockouts(self, doubt: Vec<Lockout>) -> Vec<Lockout> {
        match self {
            Self::Doubt => doubt,
            Self::Nothing | Self::AsFound => Vec::new(),
            Self::Lockout(lockout) => vec![lockout],
        }
    }

    /// Whether the lockouts that the lease found for its own job stay.
    pub fn leaves_found(&self) -> bool {
        match self {
            Self::Doubt | Self::AsFound => true,
            Self::Nothing | Self::Lockout(_) => false,
        }
    }
}

/// Takes a lease; retries with backoff for 10 s while another process is busy with the same slot.
///
/// # Errors
/// As [`Locks::lease`].
pub async fn lease_patiently(
    locks: &dyn Locks,
    asset: &AssetId,
    job: &JobId,
    doubt: &[Lockout],
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

/// A job's exclusive right to change an asset. Dropped without [`Lease::end`], it leaves the asset in doubt.
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

    /// A lease without effect, for tests and for the fault that disables leases.
    pub fn free() -> Self {
        Self { release: None, permission: Permission::new(|| Ok(())) }
    }

    /// Ends the lease.
    pub fn end(mut self, left: Left) {
        self.release(left);
    }

    /// Fails if the lease is known to be lost, or not known to be held.
    pub fn check(&self) -> Result<(), QueueError> {
        self.permission.check()
    }

    /// The permission for the clients that change the asset under this lease; they check it before each request.
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

    /// Locks that are busy until this time.
    struct InTheWay {
        until: Instant,
        tried: Mutex<Vec<Instant>>,
    }

    #[async_trait]
    impl Locks for InTheWay {
        async fn lease(&self, _: &AssetId, _: &JobId, _: Vec<Lockout>) -> Result<Attempt, QueueError> {
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
