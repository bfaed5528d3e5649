//! Scaling out when the services are slow, and the jobs in flight of one worker.

use std::time::Duration;

use tokio::time::Instant;

use crate::lab::{Lab, Library, peak_of};
use crate::table::{Table, counted, mebibytes, rate};
use crate::usage;

pub(crate) async fn measure(is_short: bool) -> anyhow::Result<Table> {
    let library = slow(is_short);
    let how = format!(
        "{} JPEGs of 100 KiB per worker; 200 ms per call, {:?} for a watermark, {:?} for an import; `worker.concurrency = 16` \
         and four concurrent uploads in each; no request limit. Timed from the 5th to the 95th percentile of the saves, to exclude \
         the start and the end of a run, where the services' delays show.",
        library.pictures, library.watermark_time, library.import_time
    );
    let mut table = Table::new("Scaling out when the services are slow", how);
    let mut one = None;
    for workers in if is_short { &[1_usize, 2][..] } else { &[1, 2, 4] } {
        // The library grows with the workers so that every run takes as long: in a short one, the jobs that were submitted
        // before the first save would count for more.
        let library = Library { pictures: library.pictures * u32::try_from(*workers)?, ..library.clone() };
        let speed = fleet(&library, *workers).await?;
        let first = *one.get_or_insert(speed);
        let times = speed / first;
        table.add(counted(*workers, "worker"), format!("{speed:.2} assets/s, {times:.2} × one worker"));
        if *workers == 4 {
            table.promise("four workers: 3.8 × one", format!("{times:.2} ×"), times >= 3.8);
        }
    }
    Ok(table)
}

/// A library behind slow services.
fn slow(is_short: bool) -> Library {
    Library {
        pictures: if is_short { 8 } else { 400 },
        bytes: 100 << 10,
        call_time: Duration::from_millis(200),
        watermark_time: Duration::from_secs(if is_short { 1 } else { 5 }),
        import_time: Duration::from_secs(if is_short { 1 } else { 10 }),
        ..Library::default()
    }
}

pub(crate) async fn measure_in_flight(is_short: bool) -> anyhow::Result<Table> {
    let (library, concurrency) =
        if is_short { (slow(true), 8) } else { (Library { pictures: 1500, ..slow(false) }, 256) };
    let how = format!(
        "One worker, {} JPEGs, the same services, no request limit, `worker.concurrency = {concurrency}`, 16 concurrent uploads. In \
         flight are the jobs that have begun and are not saved: running, or waiting at the broker for a watermark or an import.",
        library.pictures
    );
    let mut table = Table::new("What one worker keeps in flight", how);
    let (most, peak) = in_flight(&library, concurrency).await?;
    table.add("jobs in flight at once", most.to_string());
    table.add("memory at most", mebibytes(peak));
    table.promise("one worker: 200 jobs in flight", most.to_string(), most >= 200);
    table.promise("one worker: under 150 MiB", mebibytes(peak), peak < 150 << 20);
    Ok(table)
}

async fn fleet(library: &Library, workers: usize) -> anyhow::Result<f64> {
    let lab = Lab::new(library).await?;
    lab.configure("", "concurrency = 16")?;
    let _children = lab.workers(workers)?;
    let mut producer = lab.program("producer", &["sync", "--full", "--wait"])?.spawn()?;
    let total = u64::from(library.pictures);
    let (low, high) = (total / 20, total - total / 20);
    let mut saves = async |wanted: u64| -> anyhow::Result<Instant> {
        while lab.requests("bynder.save").await? < wanted {
            if let Some(ended) = producer.try_wait()? {
                anyhow::ensure!(ended.success(), "the producer failed: {ended}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Instant::now())
    };
    let began = saves(low.max(1)).await?;
    let ended = saves(high).await?;
    anyhow::ensure!(producer.wait().await?.success(), "the producer failed");
    lab.assert_protected(library.pictures).await?;
    Ok(rate(high - low.max(1), ended - began))
}

/// Maximum jobs in flight, as seen by the sandbox (begun and not saved), and the worker's peak memory in bytes.
async fn in_flight(library: &Library, concurrency: usize) -> anyhow::Result<(u64, u64)> {
    let lab = Lab::new(library).await?;
    lab.configure("", &format!("concurrency = {concurrency}"))?;
    let mut command = lab.program("worker", &[])?;
    let children = [command.env("CONNECTOR_IMATAG__UPLOADS_IN_FLIGHT", "16").spawn()?];
    let mut producer = lab.program("producer", &["sync", "--full", "--wait"])?.spawn()?;
    let (mut most, mut peak) = (0, 0);
    loop {
        tokio::select! {
            ended = producer.wait() => {
                anyhow::ensure!(ended?.success(), "the producer failed");
                break;
            }
            () = tokio::time::sleep(Duration::from_millis(100)) => {
                let begun = lab.requests("bynder.download").await?;
                most = most.max(begun.saturating_sub(lab.requests("bynder.save").await?));
                peak = peak.max(peak_of(&children));
            }
        }
    }
    lab.assert_protected(library.pictures).await?;
    anyhow::ensure!(children.iter().all(|child| child.id().and_then(usage::of).is_some()), "the worker died");
    Ok((most, peak))
}
