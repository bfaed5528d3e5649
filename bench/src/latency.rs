//! The time from a job's publication until a worker begins it.

use std::time::Duration;

use anyhow::Context;
use common::job::{Job, JobId, Lane, RunId, Step};
use common::outcome::Outcome;
use jiff::Timestamp;
use ledger::Ledger;
use ledger::state::State;
use queue::{JobConsumer, JobPublisher, Settlement, StepSet};
use rabbitmq::{Broker, RabbitConsumer};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::leases::{PATIENCE, settings};
use crate::table::Table;

/// Concurrent steps: the default of a worker.
const AT_ONCE: usize = 16;
/// How long a step of the backlog takes.
const STEP: Duration = Duration::from_millis(100);
/// Between two publications, so that the previous job has ended.
const APART: Duration = Duration::from_millis(50);

type Begun = mpsc::UnboundedReceiver<(JobId, Instant)>;

pub(crate) async fn measure(is_short: bool) -> anyhow::Result<Table> {
    let (times, backlog) = if is_short { (5, 50) } else { (100, 3000) };
    let how = format!(
        "From just before a job is published, with confirm, until a worker's consumer delivers it and its step begins; {times} \
         jobs, {APART:?} apart. Publisher and consumer are the code of producer and worker, on separate connections in one process, \
         so that one clock measures both times. Under a backlog, {AT_ONCE} steps of {STEP:?} always run and more jobs wait: a save \
         begins with the next permit, before them."
    );
    let mut table = Table::new("From publish to begun", how);
    for (what, step, waiting) in [
        ("an idle fleet: a job for a new asset", Step::Submit, 0),
        ("an idle fleet: a save", Step::Save, 0),
        ("under a backlog: a save", Step::Save, backlog),
    ] {
        let mut waits = waits(step, times, waiting).await?;
        waits.sort();
        let milliseconds = |wait: Duration| wait.as_secs_f64() * 1000.0;
        let (median, most) = (waits[waits.len() / 2], waits[waits.len() - 1]);
        table.add(
            what,
            format!("median {:.1} ms, at most {:.1} ms", milliseconds(median), milliseconds(most)),
        );
    }
    Ok(table)
}

/// The waits of `times` jobs at this step, with this many jobs in the backlog.
async fn waits(step: Step, times: u32, backlog: u32) -> anyhow::Result<Vec<Duration>> {
    let settings = settings(&format!("bench-latency-{backlog}-{}", step.name()), "https://portal.example")?;
    let publisher = Broker::open(&settings, PATIENCE).await?.publisher(Ledger::new(State::in_memory()?));
    for number in 0..backlog {
        publisher.publish(&job(&format!("backlog-{number}"), Step::Submit, Lane::Backlog)?).await?;
    }
    let consumer = Broker::open(&settings, PATIENCE).await?.consumer();
    let (mut working, mut begun) = work(&consumer);
    let mut waits = Vec::new();
    for number in 0..times {
        sleep(APART).await;
        let job = job(&format!("fresh-{number}"), step, Lane::Fresh)?;
        let started = Instant::now();
        publisher.publish(&job).await?;
        waits.push(timeout(PATIENCE, beginning(&mut begun, &job.job_id)).await?? - started);
        if let Some(ended) = working.try_join_next() {
            ended??;
        }
    }
    let depth = publisher.depth().await?;
    anyhow::ensure!(backlog == 0 || depth.open() > 0, "the backlog was over before the last save");
    Ok(waits)
}

/// Starts one task per permit; each reports the jobs that it begins.
fn work(consumer: &RabbitConsumer) -> (JoinSet<anyhow::Result<()>>, Begun) {
    let (sender, begun) = mpsc::unbounded_channel();
    let mut working = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (consumer, sender) = (consumer.clone(), sender.clone());
        working.spawn(async move {
            loop {
                let delivery = consumer.next(StepSet::ALL).await?;
                let _ = sender.send((delivery.job.job_id.clone(), Instant::now()));
                sleep(STEP).await;
                let event = delivery.job.ended(Outcome::AlreadyProtected, Timestamp::now());
                consumer.settle(delivery, Settlement::Finish(Box::new(event))).await?;
            }
        });
    }
    (working, begun)
}

async fn beginning(begun: &mut Begun, wanted: &JobId) -> anyhow::Result<Instant> {
    loop {
        let (job, at) = begun.recv().await.context("every worker ended")?;
        if job == *wanted {
            return Ok(at);
        }
    }
}

fn job(asset: &str, step: Step, lane: Lane) -> anyhow::Result<Job> {
    let (run, asset) = (RunId("latency".to_owned()), asset.parse()?);
    Ok(Job { step, ..Job::new(run, asset, "", lane, 1, None, Timestamp::now()) })
}
