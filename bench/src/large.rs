//! Large files: memory, spool, speed by the length of the parts, and a transfer that breaks off.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::lab::{Lab, Library};
use crate::table::{Table, mebibytes, rate};
use crate::usage;

pub(crate) async fn measure(is_short: bool) -> anyhow::Result<Table> {
    let (largest, tuned): (u64, u64) = if is_short { (16 << 20, 12 << 20) } else { (5 << 30, 1 << 30) };
    let mut table = Table::new(
        "Large files",
        "`connector sync` over one uncompressed TIFF, whose pixels are compared as well; sandbox and program share the disk.",
    );
    let started = Instant::now();
    let block = vec![7_u8; 1 << 20];
    let mut hash = Sha256::new();
    let rounds = if is_short { 16 } else { 1024 };
    for _ in 0..rounds {
        hash.update(&block);
    }
    std::hint::black_box(hash.finalize());
    table.add("SHA-256, one core, in memory", format!("{:.0} MiB/s", rate(rounds, started.elapsed())));
    for part in if is_short { &[5][..] } else { &[8, 32, 128] } {
        for away in [0, 200] {
            let call_time = Duration::from_millis(away);
            let (took, _) = protect(tuned, call_time, &format!("part_size = '{part}MiB'")).await?;
            table.add(
                format!("{}, parts of {part} MiB, services {away} ms away", mebibytes(tuned)),
                format!("{:.0} s, {:.0} MiB/s end to end", took.as_secs_f64(), rate(tuned >> 20, took)),
            );
        }
    }
    let (took, peak) = protect(largest, Duration::ZERO, "").await?;
    table.add(
        mebibytes(largest),
        format!(
            "{:.0} s, {:.0} MiB/s end to end, memory at most {}",
            took.as_secs_f64(),
            rate(largest >> 20, took),
            mebibytes(peak)
        ),
    );
    Ok(table)
}

async fn protect(bytes: u64, call_time: Duration, bynder: &str) -> anyhow::Result<(Duration, u64)> {
    let lab = Lab::new(&Library { pictures: 1, bytes, call_time, ..Library::default() }).await?;
    lab.configure(bynder, "request_timeout = '100s'")?;
    let (took, usage) =
        usage::to_its_end(lab.program("connector", &["sync", "--full"])?.spawn()?, &[0]).await?;
    lab.assert_protected(1).await?;
    Ok((took, usage.peak))
}
