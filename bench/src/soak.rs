//! A long run under faults, to see whether memory, descriptors, channels or leases grow.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::process::Child;
use tokio::time::Instant;

use crate::lab::{Lab, Library};
use crate::table::{Table, mebibytes};
use crate::usage;

/// Without a save for this long, the run is stuck: saves are due twice a second, and a fault costs at most two minutes.
const PATIENCE: Duration = Duration::from_mins(5);

/// Queues of jobs that have not ended, by the part of the name after the prefix.
const UNDER_WAY: [&str; 5] = [".submit.", ".transfer", ".save", ".wait.", ".hold."];

/// Interval between queries of the broker; `rabbitmqctl` takes a second of CPU time.
const BETWEEN_LOOKS_AT_BROKER: Duration = Duration::from_secs(30);

/// One in this many versions by people is a TIFF of this length: smaller files stay in the spool's memory, and this one is
/// uploaded in several parts.
const LARGE_EVERY: u64 = 10;
const LARGE: u64 = 12 << 20;

/// Samples in chronological order.
#[derive(Default)]
struct Samples {
    /// Memory of a worker, in bytes.
    resident: Vec<u64>,
    /// Open descriptors of a worker.
    descriptors: Vec<u64>,
    /// Files open in a worker's spool.
    spooled: Vec<u64>,
    /// Memory of the producer, in bytes.
    producer: Vec<u64>,
    /// Memory of a worker with its readers, in bytes.
    trees: Vec<u64>,
    /// Channels of all programs on the broker.
    channels: Vec<u64>,
}

pub(crate) async fn measure(is_short: bool, minutes: u64, is_hostile: bool) -> anyhow::Result<Table> {
    let long = if is_short { Duration::from_secs(20) } else { Duration::from_mins(minutes) };
    let pictures = if is_short { 10 } else { 300 };
    let how = format!(
        "{} minutes, two workers and a scheduled producer. One request in a hundred is hit by a fault: a connection reset or a 503, \
         before or after the effect, a truncated body, a web page instead of the response, or a delay. People upload two new \
         versions a second to a library of {pictures} pictures; every tenth is a TIFF of 12 MiB, uploaded in three parts \
         (`part_size = '5MiB'`){}. No request limit.",
        long.as_secs() / 60,
        if is_hostile { ", and every tenth file is hostile" } else { "" }
    );
    let mut table = Table::new("Soak", how);
    let library = Library {
        pictures,
        bytes: 60 << 10,
        faults: 0.01,
        is_hostile,
        hostile_uploads: if is_hostile { long } else { Duration::ZERO },
        ..Library::default()
    };
    let lab = Lab::new(&library).await?;
    lab.configure("part_size = '5MiB'", "")?;
    let mut workers = lab.workers(2)?;
    let mut command = lab.program("producer", &["sync", "--since", "2020-01-01"])?;
    let mut producer = command
        .env("CONNECTOR_PRODUCER__EVERY", "5s")
        .env("CONNECTOR_LIMITS__ASSETS_PER_RUN", "100000")
        .spawn()?;
    let people = uploads(&lab, Instant::now() + long);
    let (samples, uploaded) = tokio::try_join!(watch(&lab, &mut workers, &mut producer, long), people)?;
    settle(&lab).await?;
    let count = |count: u64| count.to_string();
    table.add("memory of a worker", quarters(&samples.resident, mebibytes));
    table.add("memory of a worker with its readers", quarters(&samples.trees, mebibytes));
    table.add("memory of the producer", quarters(&samples.producer, mebibytes));
    table.add("open descriptors of a worker", quarters(&samples.descriptors, count));
    table.add("channels on the broker", quarters(&samples.channels, count));
    table.add("new versions by people", uploaded.to_string());
    table.add("requests to save, those that failed included", lab.requests("bynder.save").await?.to_string());
    let spooled: u64 =
        workers.iter().filter_map(Child::id).map(|pid| usage::files_below(pid, lab.folder()).0).sum();
    let most = samples.spooled.iter().max().copied().unwrap_or_default();
    table.add("files open in a worker's spool", format!("at most {most}, at the end {spooled}"));
    let leases = leases().await?;
    table.add("leases left on the broker, or what they leave behind", leases.to_string());
    let (under_way, failed) = (jobs(&lab, &UNDER_WAY).await?, jobs(&lab, &[".failed"]).await?);
    table.add("jobs under way, and failed", format!("{under_way}, {failed}"));
    let (protected, violations) = lab.audit().await?;
    table.add(
        "protected at the end, and violations",
        format!("{protected} of {pictures}, {}", violations.len()),
    );
    if is_hostile {
        let hostile = lab.assert_ordinary_protected().await?;
        table.add("hostile files protected; of the others the jobs failed", hostile.to_string());
    } else if failed > 0 {
        #[expect(clippy::disallowed_methods, reason = "the program shows what it prints itself")]
        let err = std::io::stderr();
        let shown = lab.program("connector", &["failed", "list"])?.stdout(err).status().await?;
        ensure!(shown.success(), "the failed jobs cannot be shown: {shown}");
    }
    if !is_hostile {
        lab.assert_protected(pictures).await?;
        ensure!(failed == 0, "jobs failed");
    }
    ensure!((spooled, leases, under_way) == (0, 0, 0), "something is left");
    for (what, values) in [
        ("memory of a worker", &samples.resident),
        ("memory of a worker with its readers", &samples.trees),
        ("memory of the producer", &samples.producer),
        ("descriptors", &samples.descriptors),
        ("channels", &samples.channels),
    ] {
        let [second, last] = means(values);
        let growth = 100.0 * last as f64 / second.max(1) as f64 - 100.0;
        table.promise(format!("soak: {what} flat"), format!("{growth:+.0} %"), growth <= 10.0);
    }
    drop(producer);
    Ok(table)
}

/// The means of the second and the last quarter, which are about equal if nothing grows.
fn quarters(values: &[u64], show: fn(u64) -> String) -> String {
    let [second, last] = means(values).map(show);
    let most = show(values.iter().copied().max().unwrap_or_default());
    format!("second quarter {second}, last quarter {last}, at most {most}")
}

/// The means of the second and the last quarter.
fn means(values: &[u64]) -> [u64; 2] {
    let quarter = (values.len() / 4).max(1);
    let second = values.get(quarter..2 * quarter).unwrap_or(values);
    let last = &values[values.len().saturating_sub(quarter)..];
    [second, last].map(|part| part.iter().sum::<u64>() / part.len().max(1) as u64)
}

/// Samples the workers every two seconds. Fails as soon as a program ends, or saves stop.
async fn watch(
    lab: &Lab,
    workers: &mut [Child],
    producer: &mut Child,
    long: Duration,
) -> anyhow::Result<Samples> {
    let until = Instant::now() + long;
    let mut samples = Samples::default();
    let mut look_at_broker = Instant::now() + Duration::from_secs(5);
    let (mut saves, mut last_save) = (0, Instant::now());
    while Instant::now() < until {
        if let Some(status) = producer.try_wait()? {
            bail!("the producer ended: {status}");
        }
        for worker in &mut *workers {
            if let Some(status) = worker.try_wait()? {
                bail!("a worker ended: {status}");
            }
            let usage = worker.id().and_then(usage::of).context("a worker cannot be looked at")?;
            samples.resident.push(usage.resident);
            samples.trees.push(worker.id().map_or(0, usage::of_tree));
            samples.descriptors.push(usage.descriptors);
            samples.spooled.push(worker.id().map_or(0, |pid| usage::files_below(pid, lab.folder()).0));
        }
        samples.producer.extend(producer.id().and_then(usage::of).map(|usage| usage.resident));
        if Instant::now() >= look_at_broker {
            samples.channels.push(broker(&["list_channels", "pid"]).await?.lines().count() as u64);
            look_at_broker = Instant::now() + BETWEEN_LOOKS_AT_BROKER;
        }
        let now = lab.requests("bynder.save").await?;
        if now > saves {
            (saves, last_save) = (now, Instant::now());
        }
        ensure!(
            last_save.elapsed() < PATIENCE,
            "nothing was saved for {PATIENCE:?}, after {saves} saves; the broker: {}",
            broker(&["list_queues", "name", "messages_ready", "messages_unacknowledged"]).await?
        );
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    Ok(samples)
}

async fn uploads(lab: &Lab, until: Instant) -> anyhow::Result<u64> {
    let mut count = 0;
    for id in lab.pictures().await?.iter().cycle() {
        if Instant::now() >= until {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        count += 1;
        lab.new_version(id, (count % LARGE_EVERY == 0).then_some(LARGE)).await?;
    }
    Ok(count)
}

/// Waits until no job is under way and none has come for a while. Some jobs wait two minutes repeatedly.
async fn settle(lab: &Lab) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_mins(20);
    let mut quiet = 0;
    while quiet < 4 && Instant::now() < deadline {
        let under_way = jobs(lab, &UNDER_WAY).await?;
        quiet = if under_way == 0 { quiet + 1 } else { 0 };
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    ensure!(quiet >= 4, "jobs are still under way after 20 minutes");
    Ok(())
}

/// Messages in this deployment's queues of these kinds, including unacknowledged ones.
async fn jobs(lab: &Lab, kinds: &[&str]) -> anyhow::Result<u64> {
    let listed = broker(&["list_queues", "name", "messages"]).await?;
    let queues = listed.lines().filter_map(|line| line.split_once('\t'));
    let ours = queues.filter(|(name, _)| {
        name.strip_prefix(lab.queue_name())
            .is_some_and(|rest| kinds.iter().any(|kind| rest.starts_with(kind)))
    });
    Ok(ours.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum())
}

async fn leases() -> anyhow::Result<usize> {
    let listed = broker(&["list_queues", "name", "consumers", "messages"]).await?;
    let is_idle = |queue: &str| queue.split_whitespace().skip(1).all(|count| count == "0");
    Ok(listed.lines().filter(|queue| queue.contains(".locks.") && !is_idle(queue)).count())
}

/// Runs `rabbitmqctl` and returns its output.
async fn broker(question: &[&str]) -> anyhow::Result<String> {
    let control = std::env::var("BENCH_RABBITMQCTL").context("start it by scripts/bench")?;
    let output = tokio::process::Command::new(control).arg("-q").args(question).output().await?;
    ensure!(output.status.success(), "rabbitmqctl: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
