//! Large files: memory, spool, speed by the length of the parts, and a transfer that breaks off.

use std::time::Duration;

use anyhow::ensure;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::lab::{Lab, Library};
use crate::table::{Table, mebibytes, rate};
use crate::usage;

pub(crate) async fn measure(is_short: bool) -> anyhow::Result<Table> {
    let (largest, tuned): (u64, u64) = if is_short { (16 << 20, 12 << 20) } else { (5 << 30, 1 << 30) };
    let mut table = Table::new(
        "Large files",
        "`connector sync` over one uncompressed TIFF of noise in 128 strips, whose pixels are compared as well; beyond 4 GiB it \
         is one black strip, which nothing decodes, as nothing decodes a film. Sandbox and program share disk and processors.",
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
            let run =
                protect(tuned, Duration::from_millis(away), &format!("part_size = '{part}MiB'")).await?;
            ensure!(!run.unchecked, "the pixels were not compared");
            table.add(
                format!("{}, parts of {part} MiB, services {away} ms away", mebibytes(tuned)),
                run.figure(tuned),
            );
        }
    }
    table.add(mebibytes(largest), protect(largest, Duration::ZERO, "").await?.figure(largest));
    Ok(table)
}

/// One file, protected.
struct Run {
    took: Duration,
    /// The most memory that the program held, in bytes.
    peak: u64,
    /// The program said that it could not compare the pixels.
    unchecked: bool,
}

impl Run {
    fn figure(&self, bytes: u64) -> String {
        let (took, rate) = (self.took.as_secs_f64(), rate(bytes >> 20, self.took));
        format!("{took:.0} s, {rate:.0} MiB/s end to end, memory at most {}", mebibytes(self.peak))
    }
}

async fn protect(bytes: u64, call_time: Duration, bynder: &str) -> anyhow::Result<Run> {
    let lab = Lab::new(&Library { pictures: 1, bytes, call_time, ..Library::default() }).await?;
    lab.configure(bynder, "request_timeout = '100s'")?;
    let said = lab.path("said");
    let mut command = lab.program("connector", &["sync", "--full"])?;
    command.env("CONNECTOR_LOG", "warn").stderr(std::fs::File::create(&said)?);
    let (took, usage) = usage::to_its_end(command.spawn()?, &[0]).await?;
    lab.assert_protected(1).await?;
    let unchecked = std::fs::read_to_string(said)?.contains("too large to decode");
    Ok(Run { took, peak: usage.peak, unchecked })
}
