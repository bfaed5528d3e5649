//! A long run under faults: does anything grow that should not?

use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use tokio::process::Child;
use tokio::time::Instant;

use crate::lab::{Lab, Library};
use crate::table::{Table, mebibytes};
use crate::usage;

/// One look at the workers.
struct Sample {
    resident: u64,
    descriptors: usize,
}

pub(crate) async fn measure(is_short: bool, minutes: u64) -> anyhow::Result<Table> {
    let long = if is_short { Duration::from_secs(20) } else { Duration::from_mins(minutes) };
    let pictures = if is_short { 10 } else { 300 };
    let how = format!(
        "{} minutes, two workers and a scheduled producer, one request in a hundred failing in every way; people upload two new \
         versions a second to a library of {pictures} pictures.",
        long.as_secs() / 60
    );
    let mut table = Table::new("Soak", how);
    let library = Library { pictures, bytes: 60 << 10, faults: 0.01, ..Library::default() };
    let lab = Lab::new(&library).await?;
    let workers = lab.workers(2)?;
    let mut command = lab.program("producer", &["sync", "--since", "2020-01-01"])?;
    let producer = command
        .env("CONNECTOR_PRODUCER__EVERY", "5s")
        .env("CONNECTOR_LIMITS__ASSETS_PER_RUN", "100000")
        .spawn()?;
    let people = uploads(&lab, Instant::now() + long);
    let (samples, uploaded) = tokio::join!(watch(&workers, long), people);
    let (samples, uploaded) = (samples?, uploaded?);
    settle(&lab).await?;
    let quarter = (samples.len() / 4).max(1);
    let mean =
        |part: &[Sample], of: fn(&Sample) -> u64| part.iter().map(of).sum::<u64>() / part.len().max(1) as u64;
    let (first, last) = (&samples[quarter..2 * quarter.max(1)], &samples[samples.len() - quarter..]);
    for (name, of) in [
        ("memory of a worker", (|sample| sample.resident) as fn(&Sample) -> u64),
        ("open descriptors of a worker", |sample| sample.descriptors as u64),
    ] {
        let show = |value: u64| if name.starts_with("memory") { mebibytes(value) } else { value.to_string() };
        let most = samples.iter().map(of).max().unwrap_or_default();
        table.add(
            name,
            format!(
                "second quarter {}, last quarter {}, at most {}",
                show(mean(first, of)),
                show(mean(last, of)),
                show(most)
            ),
        );
    }
    table.add("new versions by people", uploaded.to_string());
    table.add("saves", lab.requests("bynder.save").await?.to_string());
    let spooled = (0..2)
        .map(|number| std::fs::read_dir(lab.path(&format!("spool{number}"))).map_or(0, Iterator::count));
    table.add("files left in the spools", spooled.sum::<usize>().to_string());
    table.add("leases left on the broker", leases().await?);
    let (protected, violations) = lab.audit().await?;
    table.add(
        "protected at the end, and violations",
        format!("{protected} of {pictures}, {}", violations.len()),
    );
    drop(producer);
    Ok(table)
}

async fn watch(workers: &[Child], long: Duration) -> anyhow::Result<Vec<Sample>> {
    let until = Instant::now() + long;
    let mut samples = Vec::new();
    while Instant::now() < until {
        for worker in workers {
            let usage = worker.id().and_then(usage::of).context("a worker died")?;
            samples.push(Sample { resident: usage.resident, descriptors: usage.descriptors });
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    Ok(samples)
}

async fn uploads(lab: &Lab, until: Instant) -> anyhow::Result<u64> {
    let client = reqwest::Client::new();
    let url = format!("{}/sandbox/audit", lab.text("bynder"));
    let audit: Value = serde_json::from_slice(&client.get(url).send().await?.bytes().await?)?;
    let ids: Vec<_> =
        audit["assets"].as_array().into_iter().flatten().filter_map(|asset| asset["id"].as_str()).collect();
    let mut count = 0;
    for id in ids.iter().cycle() {
        if Instant::now() >= until {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let url = format!("{}/sandbox/assets/{id}/version", lab.text("bynder"));
        client.post(url).send().await?.error_for_status()?;
        count += 1;
    }
    Ok(count)
}

/// Until nothing is saved any more.
async fn settle(lab: &Lab) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_mins(5);
    let mut before = 0;
    loop {
        let saves = lab.requests("bynder.save").await?;
        if saves == before || Instant::now() > deadline {
            return Ok(());
        }
        before = saves;
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
}

async fn leases() -> anyhow::Result<String> {
    let Ok(control) = std::env::var("BENCH_RABBITMQCTL") else { return Ok("not looked at".to_owned()) };
    let listed = tokio::process::Command::new(control).args(["-q", "list_queues", "name"]).output().await?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    Ok(listed.lines().filter(|name| name.contains(".lease.")).count().to_string())
}
