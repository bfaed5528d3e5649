//! How often leases of different assets collide in one queue.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use common::asset::AssetId;
use common::job::JobId;
use futures::{StreamExt, TryStreamExt};
use queue::{Attempt, Left, Locks};
use rabbitmq::{Broker, MessageKeys, RabbitLocks, Settings};
use tokio::time::Instant;

use crate::lab::Lab;
use crate::table::Table;

/// Jobs in flight per process: the default.
const EACH: u64 = 16;
/// How long a job holds its lease, and how long it works without one.
const HELD: Duration = Duration::from_millis(500);
const WITHOUT: Duration = Duration::from_millis(500);
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The leases of this many assets use 98 % of the queues.
const BREAKING_IN: u64 = 4096;

#[derive(Default)]
struct Counts {
    taken: AtomicU64,
    met: AtomicU64,
    waited_ms: AtomicU64,
}

pub(crate) async fn measure(is_short: bool) -> anyhow::Result<Table> {
    let how = format!(
        "Processes with {EACH} jobs in flight each, on separate connections; a job holds the lease of a new asset for {HELD:?} and \
         none for {WITHOUT:?}. A busy lease is retried every 50 ms."
    );
    let mut table = Table::new("Leases that meet", how);
    for processes in if is_short { [1, 2] } else { [4, 16] } {
        let counts = Counts::default();
        let mut locks = Vec::new();
        for _ in 0..processes {
            locks.push(
                Broker::open(&settings("bench-leases", "https://portal.example")?, PATIENCE).await?.locks(),
            );
        }
        let until = Instant::now() + Duration::from_secs(if is_short { 2 } else { 30 });
        let jobs = (0..processes * EACH).map(|number| {
            let locks = &locks[usize::try_from(number % processes).unwrap_or_default()];
            job(locks, &counts, number, until)
        });
        futures::future::try_join_all(jobs).await?;
        let count = |counter: &AtomicU64| {
            f64::from(u32::try_from(counter.load(Ordering::Relaxed)).unwrap_or(u32::MAX))
        };
        let (taken, met) = (count(&counts.taken), count(&counts.met));
        table.add(
            format!("{} jobs in flight", processes * EACH),
            format!(
                "{taken} leases, {:.1} % of which met another asset's, and came {:.0} ms later for it",
                100.0 * met / taken,
                count(&counts.waited_ms) / met.max(1.0)
            ),
        );
    }
    Ok(table)
}

/// Declares and uses the queues of leases, as in a deployment that has run for a while: this cost is per deployment, not per
/// asset.
pub(crate) async fn break_in(lab: &Lab) -> anyhow::Result<()> {
    let broker = Broker::open(&settings(lab.queue_name(), lab.text("bynder"))?, PATIENCE).await?;
    let (locks, job) = (&broker.locks(), &JobId("breaking-in".to_owned()));
    let assets = futures::stream::iter(0..BREAKING_IN).map(anyhow::Ok);
    let leased = assets.try_for_each_concurrent(16, |number| async move {
        let asset: AssetId = format!("breaking-in-{number}").parse()?;
        match locks.lease(&asset, job, Vec::new()).await? {
            Attempt::Taken(lease) => lease.end(Left::Nothing),
            Attempt::Busy | Attempt::Refused => anyhow::bail!("the lease of {asset} is taken"),
        }
        Ok(())
    });
    leased.await
}

async fn job(locks: &RabbitLocks, counts: &Counts, number: u64, until: Instant) -> anyhow::Result<()> {
    let job = JobId(format!("job-{number}"));
    for turn in 0_u64.. {
        tokio::time::sleep(WITHOUT).await;
        if Instant::now() >= until {
            break;
        }
        let asset: AssetId = format!("asset-{number}-{turn}").parse()?;
        let began = Instant::now();
        let mut is_met = false;
        let lease = loop {
            match locks.lease(&asset, &job, Vec::new()).await? {
                Attempt::Taken(lease) => break lease,
                Attempt::Busy => is_met = true,
                Attempt::Refused => anyhow::bail!("{asset} is refused"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        counts.taken.fetch_add(1, Ordering::Relaxed);
        if is_met {
            counts.met.fetch_add(1, Ordering::Relaxed);
            let waited = u64::try_from(began.elapsed().as_millis()).unwrap_or_default();
            counts.waited_ms.fetch_add(waited, Ordering::Relaxed);
        }
        tokio::time::sleep(HELD).await;
        lease.end(Left::Nothing);
    }
    Ok(())
}

pub(crate) fn settings(prefix: &str, portal: &str) -> anyhow::Result<Settings> {
    Ok(Settings {
        url: std::env::var("BENCH_BROKER").context("start it by scripts/bench")?.into(),
        allow_plain: false,
        authority: None,
        prefix: prefix.to_owned(),
        rungs: vec![Duration::from_secs(5)],
        portal: portal.to_owned(),
        egress_group: prefix.to_owned(),
        keys: MessageKeys::default(),
        program: "bench".to_owned(),
    })
}
