//! Large files: memory, spool, and speed by the length of parts and the number of concurrent parts.

use std::time::Duration;

use anyhow::ensure;
use bytes::Bytes;
use files::spool::{Length, Spool};
use futures::stream;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::lab::{Lab, Library};
use crate::table::{Table, mebibytes, rate};
use crate::usage::{self, Machine};

const MEBIBYTE: u64 = 1 << 20;

pub(crate) async fn measure(is_short: bool) -> anyhow::Result<Table> {
    let tuned = if is_short { 12 * MEBIBYTE } else { 1024 * MEBIBYTE };
    let mut table = Table::new(
        "Large files",
        "`connector sync` over one uncompressed TIFF of noise in 128 strips, whose pixels are compared too. The sandbox and the \
         program share disk and processors. A slow service responds to each request, including those to storage, 200 ms late; its \
         transfer rate is unchanged. `worker.request_timeout = '100s'`.",
    );
    hash(&mut table, if is_short { 16 } else { 1024 }).await?;
    let lengths: &[u64] = if is_short { &[5] } else { &[8, 32, 128] };
    let together: &[u64] = if is_short { &[2] } else { &[1, 2, 4, 8] };
    let settings = [lengths.iter().map(|part| (*part, together[0])).collect::<Vec<_>>(), {
        together.iter().skip(1).map(|at_once| (lengths[lengths.len() / 2], *at_once)).collect()
    }];
    for (part, at_once) in settings.concat() {
        for away in [0, 200] {
            let set = format!("part_size = '{part}MiB'\nparts_at_once = {at_once}");
            let run = protect(&library_of(tuned, Duration::from_millis(away)), &set).await?;
            ensure!(!run.unchecked, "the pixels were not compared");
            let late = if away == 0 { "at once" } else { "200 ms late" };
            let what = format!("parts of {part} MiB, {at_once} at a time, services answer {late}");
            table.add(format!("{}, {what}", mebibytes(tuned)), run.figure(tuned));
        }
    }
    Ok(table)
}

/// 100 Mbit/s, in bytes.
const LINE_RATE: u64 = 12_500_000;

pub(crate) async fn measure_line(is_short: bool) -> anyhow::Result<Table> {
    let bytes = if is_short { 12 * MEBIBYTE } else { 256 * MEBIBYTE };
    let part = if is_short { 5 } else { 32 };
    let mut table = Table::new(
        "Large files on a slow line",
        "`connector sync` over one TIFF as under *Large files*. The sandbox passes 100 Mbit/s each way, for all transfers to and from \
         both services' storage together, and responds to each request 200 ms late. Without an announced length, the number of parts \
         is not known before the result has come in, so its upload follows its download, as before this release.",
    );
    for (what, hides_lengths) in [
        ("the result is uploaded while it comes in", false),
        ("the result is uploaded once it has come in", true),
    ] {
        let away = Duration::from_millis(200);
        let library = Library { line_rate: Some(LINE_RATE), hides_lengths, ..library_of(bytes, away) };
        let run = protect(&library, &format!("part_size = '{part}MiB'")).await?;
        table.add(format!("{} in parts of {part} MiB, {what}", mebibytes(bytes)), run.figure(bytes));
    }
    Ok(table)
}

pub(crate) async fn measure_largest(is_short: bool) -> anyhow::Result<Table> {
    let largest = if is_short { 16 * MEBIBYTE } else { 5120 * MEBIBYTE };
    let mut table = Table::new(
        "The largest file",
        "The same with a TIFF above 4 GiB, which is a single black strip that is not decoded, as films are not; default \
         `part_size` and `parts_at_once`.",
    );
    let run = protect(&library_of(largest, Duration::ZERO), "").await?;
    ensure!(is_short || (run.peak > 0 && run.spooled > 0), "the program was not seen at work");
    table.add(mebibytes(largest), run.figure(largest));
    table.promise("a file of 5 GiB: under 100 MiB", mebibytes(run.peak), run.peak < 100 * MEBIBYTE);
    let spool = format!("{} of a file of {}", mebibytes(run.spooled), mebibytes(largest));
    table.promise("its spool: no more than the file and its new version", spool, run.spooled <= 2 * largest);
    Ok(table)
}

/// Measures how fast bytes are hashed, and how fast they are spooled and hashed.
async fn hash(table: &mut Table, mebibytes: u64) -> anyhow::Result<()> {
    let block = Bytes::from(vec![7_u8; 1 << 20]);
    let started = Instant::now();
    let mut hash = Sha256::new();
    for _ in 0..mebibytes {
        hash.update(&block);
    }
    std::hint::black_box(hash.finalize());
    table.add("SHA-256, one core, in memory", format!("{:.0} MiB/s", rate(mebibytes, started.elapsed())));
    let folder = tempfile::tempdir()?;
    let spool = Spool::open(folder.path(), 2 * mebibytes * MEBIBYTE)?;
    // In pieces of the size that a connection delivers.
    let pieces = (0..mebibytes * 16).map(|piece| {
        let start = usize::try_from(piece % 16).unwrap_or_default() << 16;
        Ok::<_, std::io::Error>(block.slice(start..start + (1 << 16)))
    });
    let started = Instant::now();
    let length = Length::Announced(mebibytes * MEBIBYTE);
    let file = spool.receive(stream::iter(pieces), length, None).await?;
    let speed = rate(file.bytes() / MEBIBYTE, started.elapsed());
    table.add("received into the spool and hashed on the way", format!("{speed:.0} MiB/s"));
    Ok(())
}

/// The run that protects one file.
struct Run {
    took: Duration,
    /// Peak memory of the program, in bytes.
    peak: u64,
    /// Peak size of its spool, in bytes.
    spooled: u64,
    cpu: Duration,
    sandbox: Duration,
    /// How busy the processors were, in percent.
    busy: f64,
    /// Whether the program reported that it could not compare the pixels.
    unchecked: bool,
}

impl Run {
    fn figure(&self, bytes: u64) -> String {
        let (took, rate) = (self.took.as_secs_f64(), rate(bytes / MEBIBYTE, self.took));
        format!(
            "{took:.0} s, {rate:.0} MiB/s end to end, memory at most {}, spool {}; processor time {:.0} s, of the sandbox \
             {:.0} s, {:.0} % busy",
            mebibytes(self.peak),
            mebibytes(self.spooled),
            self.cpu.as_secs_f64(),
            self.sandbox.as_secs_f64(),
            self.busy
        )
    }
}

/// One file of this length, at services that take this long for each call.
fn library_of(bytes: u64, call_time: Duration) -> Library {
    Library { pictures: 1, bytes, call_time, ..Library::default() }
}

async fn protect(library: &Library, bynder: &str) -> anyhow::Result<Run> {
    let lab = Lab::new(library).await?;
    lab.configure(bynder, "request_timeout = '100s'")?;
    let said = lab.path("said");
    let mut command = lab.program("connector", &["sync", "--full"])?;
    command.env("CONNECTOR_LOG", "warn").stderr(std::fs::File::create(&said)?);
    let (before, machine) = (lab.sandbox_usage().cpu, Machine::now());
    let (spool, mut spooled) = (lab.path("spool"), 0);
    let look = |pid| spooled = spooled.max(usage::files_below(pid, &spool).1);
    let (took, usage) = usage::to_its_end_while(command.spawn()?, &[0], look).await?;
    let (busy, sandbox) = (machine.busy_since(), lab.sandbox_usage().cpu.saturating_sub(before));
    lab.assert_protected(1).await?;
    let unchecked = std::fs::read_to_string(said)?.contains("too large to decode");
    Ok(Run { took, peak: usage.peak, spooled, cpu: usage.cpu, sandbox, busy, unchecked })
}
