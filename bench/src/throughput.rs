//! How fast, where no service holds anything back: beside a bare loop, and beside what a user would write today.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use tokio::process::Command;
use tokio::time::Instant;

use crate::lab::{Lab, Library, cpu_of};
use crate::table::{Table, milliseconds_each, rate};
use crate::usage;

const BYTES: u64 = 100 << 10;
/// One that is there at once would be in the answer to the submit, which is another way through the program.
const WATERMARK: Duration = Duration::from_millis(100);

/// One way to protect a library.
struct Outcome {
    took: Duration,
    /// Of the program, without the services and the broker.
    cpu: Duration,
    sandbox: Duration,
    broker: Duration,
}

pub(crate) async fn measure(is_short: bool) -> anyhow::Result<Table> {
    let (pictures, of_python) = if is_short { (30, 4) } else { (1500, 60) };
    let how = format!(
        "{pictures} JPEGs of 100 KiB (800 × 600), services that answer at once, a watermark after 100 ms, no request \
         limit, `worker.concurrency = 64`. The sandbox, the broker and the program share the processors; what each of the \
         others takes is told. The Python program: {of_python} of them."
    );
    let mut table = Table::new("Throughput with the limit off", how);
    let library = Library { pictures, bytes: BYTES, watermark_time: WATERMARK, ..Library::default() };
    let bare = bare(&library).await?;
    let count = u64::from(pictures);
    describe(&mut table, "a bare loop", count, &bare);
    let embedded = embedded(&library).await?;
    describe(&mut table, "`connector sync`, embedded queue", count, &embedded);
    let mut fleets = Vec::new();
    for workers in if is_short { &[1][..] } else { &[1, 2, 4] } {
        let outcome = fleet(&library, *workers).await?;
        describe(&mut table, &format!("producer → RabbitMQ → {workers} workers"), count, &outcome);
        fleets.push(outcome);
    }
    let best = fleets.iter().min_by_key(|outcome| outcome.took).context("no fleet")?;
    let share = |outcome: &Outcome| 100.0 * bare.took.as_secs_f64() / outcome.took.as_secs_f64();
    table.add("embedded, beside the bare loop", format!("{:.0} %", share(&embedded)));
    table.add("the fastest fleet, beside the bare loop", format!("{:.0} %", share(best)));
    let Ok(python) = std::env::var("BENCH_PYTHON") else {
        return Ok(table);
    };
    let python = by_python(&Library { pictures: of_python, ..library }, &python).await?;
    describe(&mut table, "Python: bynder-sdk, Celery, RabbitMQ", u64::from(of_python), &python);
    let each = |outcome: &Outcome, count: u32| milliseconds_each(outcome.cpu, u64::from(count));
    for (name, outcome) in [("embedded", &embedded), ("one worker", &fleets[0])] {
        let times = each(&python, of_python) / each(outcome, pictures);
        table.add(
            format!("assets for each second of processor time: {name}, beside Python"),
            format!("{times:.1} ×"),
        );
    }
    Ok(table)
}

fn describe(table: &mut Table, name: &str, count: u64, outcome: &Outcome) {
    let figure = format!(
        "{:.1} assets/s, {:.1} ms of processor time each (sandbox {:.1} ms, broker {:.1} ms)",
        rate(count, outcome.took),
        milliseconds_each(outcome.cpu, count),
        milliseconds_each(outcome.sandbox, count),
        milliseconds_each(outcome.broker, count)
    );
    table.add(name, figure);
}

/// Processor time of the sandbox and of the broker so far.
fn others(lab: &Lab) -> (Duration, Duration) {
    let broker = std::env::var("BENCH_BROKER_PID").ok().and_then(|pid| pid.parse().ok());
    let broker = broker.and_then(usage::of).unwrap_or_default();
    (lab.sandbox_usage().cpu, broker.cpu)
}

fn outcome(lab: &Lab, took: Duration, cpu: Duration, before: (Duration, Duration)) -> Outcome {
    let (sandbox, broker) = others(lab);
    Outcome { took, cpu, sandbox: sandbox.saturating_sub(before.0), broker: broker.saturating_sub(before.1) }
}

async fn bare(library: &Library) -> anyhow::Result<Outcome> {
    let lab = Lab::new(library).await?;
    let before = others(&lab);
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bare", "--bynder", lab.text("bynder"), "--token", lab.text("token")]);
    command.args(["--imatag", lab.text("imatag"), "--key", lab.text("api_key")]);
    command.args(["--directory", lab.text("directory")]).kill_on_drop(true);
    let (took, usage) = usage::to_its_end(command.spawn()?, &[0]).await?;
    Ok(outcome(&lab, took, usage.cpu, before))
}

async fn embedded(library: &Library) -> anyhow::Result<Outcome> {
    let lab = Lab::new(library).await?;
    lab.configure("", "concurrency = 64")?;
    let before = others(&lab);
    let (took, usage) =
        usage::to_its_end(lab.program("connector", &["sync", "--full"])?.spawn()?, &[0]).await?;
    let outcome = outcome(&lab, took, usage.cpu, before);
    lab.assert_protected(library.pictures).await?;
    Ok(outcome)
}

async fn fleet(library: &Library, workers: usize) -> anyhow::Result<Outcome> {
    let lab = Lab::new(library).await?;
    lab.configure("", "concurrency = 64")?;
    let children = lab.workers(workers)?;
    let before = others(&lab);
    let producer = lab.program("producer", &["sync", "--full", "--wait"])?.spawn()?;
    let (took, usage) = usage::to_its_end(producer, &[0]).await?;
    let outcome = outcome(&lab, took, usage.cpu + cpu_of(&children), before);
    lab.assert_protected(library.pictures).await?;
    Ok(outcome)
}

async fn by_python(library: &Library, python: &str) -> anyhow::Result<Outcome> {
    let lab = Lab::new(library).await?;
    let before = others(&lab);
    let run = |what: &str| {
        let mut command = Command::new(python);
        command.args([concat!(env!("CARGO_MANIFEST_DIR"), "/python/connector.py"), what]);
        command.env("BYNDER", lab.text("bynder")).env("BROKER", &lab.broker);
        command.env("CLIENT_ID", lab.text("client_id")).env("CLIENT_SECRET", lab.text("client_secret"));
        command.env("IMATAG", lab.text("imatag")).env("IMATAG_KEY", lab.text("api_key"));
        command.env("DIRECTORY", lab.text("directory")).env("QUEUE", lab.queue_name());
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        command.process_group(0).spawn()
    };
    let started = Instant::now();
    let (_, publisher) = usage::to_its_end(run("publish")?, &[0]).await?;
    let worker = run("work")?;
    let deadline = Instant::now() + Duration::from_mins(10);
    while lab.requests("bynder.save").await? < u64::from(library.pictures) {
        anyhow::ensure!(Instant::now() < deadline, "the Python program does not end: {}", lab.stats().await?);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let took = started.elapsed();
    let group = worker.id().context("Celery ended")?;
    let cpu = publisher.cpu + usage::of_group(group);
    nix::sys::signal::killpg(
        nix::unistd::Pid::from_raw(group.cast_signed()),
        nix::sys::signal::Signal::SIGKILL,
    )?;
    Ok(outcome(&lab, took, cpu, before))
}
