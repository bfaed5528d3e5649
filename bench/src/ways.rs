//! The ways to protect a library that are compared: the connector, a bare loop, and a Python program.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::process::Command;
use tokio::time::Instant;

use crate::lab::{Lab, Library, cpu_of};
use crate::leases;
use crate::table::counted;
use crate::usage::{self, Machine};

/// Concurrent assets of the bare loop, and of each process of the connector.
pub(crate) const AT_ONCE: u32 = 64;

/// The result of one run.
#[derive(Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) took: Duration,
    /// CPU time of the program, without the sandbox and the broker.
    pub(crate) cpu: Duration,
    pub(crate) sandbox: Duration,
    pub(crate) broker: Duration,
    /// How busy the processors were, in percent.
    pub(crate) busy: f64,
    /// Number of requests to all services.
    pub(crate) requests: u64,
}

#[derive(Clone, Copy)]
pub(crate) enum Way {
    Bare,
    Embedded,
    Fleet(usize),
}

impl Way {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Bare => "a bare loop".to_owned(),
            Self::Embedded => "`connector sync`, embedded queue".to_owned(),
            Self::Fleet(workers) => format!("producer → RabbitMQ → {}", counted(workers, "worker")),
        }
    }

    pub(crate) async fn run(self, library: &Library) -> anyhow::Result<Outcome> {
        match self {
            Self::Bare => bare(library).await,
            Self::Embedded => embedded(library).await,
            Self::Fleet(workers) => fleet(library, workers).await,
        }
    }
}

/// The counters of the sandbox, the broker and the machine before a run.
struct Before {
    sandbox: Duration,
    broker: Duration,
    machine: Machine,
}

impl Before {
    fn now(lab: &Lab) -> Self {
        let (sandbox, broker) = others(lab);
        Self { sandbox, broker, machine: Machine::now() }
    }
}

/// CPU time of the sandbox and of the broker so far.
fn others(lab: &Lab) -> (Duration, Duration) {
    let broker = std::env::var("BENCH_BROKER_PID").ok().and_then(|pid| pid.parse().ok());
    let broker = broker.and_then(usage::of).unwrap_or_default();
    (lab.sandbox_usage().cpu, broker.cpu)
}

async fn outcome(lab: &Lab, took: Duration, cpu: Duration, before: &Before) -> anyhow::Result<Outcome> {
    let busy = before.machine.busy_since();
    let (sandbox, broker) = others(lab);
    let (sandbox, broker) = (sandbox.saturating_sub(before.sandbox), broker.saturating_sub(before.broker));
    Ok(Outcome { took, cpu, sandbox, broker, busy, requests: lab.all_requests().await? })
}

async fn bare(library: &Library) -> anyhow::Result<Outcome> {
    let lab = Lab::new(library).await?;
    let before = Before::now(&lab);
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bare", "--bynder", lab.text("bynder"), "--token", lab.text("token")]);
    command.args(["--imatag", lab.text("imatag"), "--key", lab.text("api_key")]);
    command.args(["--directory", lab.text("directory"), "--at-once", &AT_ONCE.to_string()]);
    let (took, usage) = usage::to_its_end(command.kill_on_drop(true).spawn()?, &[0]).await?;
    let outcome = outcome(&lab, took, usage.cpu, &before).await?;
    let saves = lab.requests("bynder.save").await?;
    ensure!(saves == u64::from(library.pictures), "the bare loop saved {saves} of them");
    Ok(outcome)
}

async fn embedded(library: &Library) -> anyhow::Result<Outcome> {
    let lab = Lab::new(library).await?;
    lab.configure("", &format!("concurrency = {AT_ONCE}"))?;
    let before = Before::now(&lab);
    let (took, usage) =
        usage::to_its_end(lab.program("connector", &["sync", "--full"])?.spawn()?, &[0]).await?;
    let outcome = outcome(&lab, took, usage.cpu, &before).await?;
    lab.assert_protected(library.pictures).await?;
    Ok(outcome)
}

async fn fleet(library: &Library, workers: usize) -> anyhow::Result<Outcome> {
    let lab = Lab::new(library).await?;
    lab.configure("", &format!("concurrency = {AT_ONCE}"))?;
    leases::break_in(&lab).await?;
    let children = lab.workers(workers)?;
    let before = Before::now(&lab);
    let producer = lab.program("producer", &["sync", "--full", "--wait"])?.spawn()?;
    let (took, usage) = usage::to_its_end(producer, &[0]).await?;
    let outcome = outcome(&lab, took, usage.cpu + cpu_of(&children), &before).await?;
    lab.assert_protected(library.pictures).await?;
    Ok(outcome)
}

pub(crate) async fn by_python(library: &Library, python: &str) -> anyhow::Result<Outcome> {
    let lab = Lab::new(library).await?;
    let before = Before::now(&lab);
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
        ensure!(Instant::now() < deadline, "the Python program does not end: {}", lab.stats().await?);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let took = started.elapsed();
    let group = worker.id().context("Celery ended")?;
    let cpu = publisher.cpu + usage::of_group(group);
    nix::sys::signal::killpg(
        nix::unistd::Pid::from_raw(group.cast_signed()),
        nix::sys::signal::Signal::SIGKILL,
    )?;
    let outcome = outcome(&lab, took, cpu, &before).await?;
    let protected = lab.audit().await?.0;
    ensure!(protected == library.pictures as usize, "the Python program protected {protected} of them");
    Ok(outcome)
}
