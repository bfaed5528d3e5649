//! The cost of reading pictures in reader processes compared with reading them in this process, and the gain of a second reader.

use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use common::hash::ContentHash;
use futures::{StreamExt, TryStreamExt, stream};
use media::reader::{Options, Readers};
use media::{Checks, Reading, check_result, read};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use sample_files::{Format, file};
use tokio::time::Instant;

use crate::table::Table;

/// The configuration's default.
const MEMORY: u64 = 640 << 20;
const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) async fn measure(is_short: bool) -> anyhow::Result<Table> {
    let mut table = Table::new(
        "Reading files",
        "JPEGs that are read and compared with themselves: in this process one after another, and by reader processes (default \
         `reader.memory`) one and two at a time. Each figure is the best of three interleaved rounds.",
    );
    let sizes: &[(u32, u32)] = if is_short { &[(64, 2)] } else { &[(64, 4000), (800, 1000), (5656, 100)] };
    for (width, count) in sizes.iter().copied() {
        let content = file(Format::Jpeg, 1, width, width * 3 / 4);
        let readers = readers()?;
        // A warm-up: readers start with the first files.
        by_readers(&readers, &content, 2, 2).await?;
        // Readers started from now on inherit the affinity, and so use one core.
        confine(1)?;
        let confined = self::readers()?;
        by_readers(&confined, &content, 1, 1).await?;
        confine(CpuSet::count())?;
        let (mut here, mut on_one, mut one, mut two) =
            (Duration::MAX, Duration::MAX, Duration::MAX, Duration::MAX);
        for _ in 0..3 {
            here = here.min(in_process(&content, count)?);
            on_one = on_one.min(by_readers(&confined, &content, count, 1).await?);
            one = one.min(by_readers(&readers, &content, count, 1).await?);
            two = two.min(by_readers(&readers, &content, count, 2).await?);
        }
        let each = |took: Duration| format!("{:.2} ms each", took.as_secs_f64() * 1000.0 / f64::from(count));
        let name = |how: &str| format!("{width} × {} ({} KiB), {how}", width * 3 / 4, content.len() >> 10);
        let times = on_one.as_secs_f64() / two.as_secs_f64();
        table.add(name("here"), each(here));
        table.add(name("by a reader on one core"), each(on_one));
        table.add(name("by a reader"), each(one));
        table.add(name("by two readers at once"), format!("{}, {times:.2} × one on one core", each(two)));
        if width > 5000 {
            // On one core, because the decoder of a large JPEG uses threads, so that a single reader uses more than one.
            let what = "photographs by two readers: 1.7 × one on one core";
            table.promise(what, format!("{times:.2} ×"), times >= 1.7);
        }
    }
    Ok(table)
}

/// Restricts this program, and what it starts from now on, to this many cores.
fn confine(cores: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    for core in 0..cores {
        set.set(core)?;
    }
    for thread in std::fs::read_dir("/proc/self/task")? {
        let id = thread?.file_name().to_string_lossy().parse()?;
        sched_setaffinity(Pid::from_raw(id), &set)?;
    }
    Ok(())
}

/// The readers of the connector in the same folder as this program.
fn readers() -> anyhow::Result<Readers> {
    let here = std::env::current_exe()?;
    let program = here.parent().unwrap_or(Path::new(".")).join("connector");
    ensure!(program.exists(), "build the connector first");
    Ok(Readers::new(Options { program, memory: MEMORY, deadline: DEADLINE }))
}

fn in_process(content: &[u8], count: u32) -> anyhow::Result<Duration> {
    let started = Instant::now();
    for _ in 0..count {
        compare(content, read(Cursor::new(content), &Checks::default()))?;
    }
    Ok(started.elapsed())
}

async fn by_readers(
    readers: &Readers,
    content: &[u8],
    count: u32,
    at_once: usize,
) -> anyhow::Result<Duration> {
    let path = tempfile::NamedTempFile::new()?;
    std::fs::write(path.path(), content)?;
    let started = Instant::now();
    let work = (0..count).map(async |_| {
        let reader = readers.reader(content.len() as u64).await?;
        let opened = std::fs::File::open(path.path())?;
        compare(content, reader.read(opened.into(), &Checks::default()).await?)
    });
    stream::iter(work).buffer_unordered(at_once).try_collect::<()>().await?;
    Ok(started.elapsed())
}

fn compare(content: &[u8], reading: Reading) -> anyhow::Result<()> {
    let hash = ContentHash::from_bytes([1; 32]);
    let original = reading.clone().into_facts(hash, content.len() as u64);
    let result = reading.into_facts(ContentHash::from_bytes([2; 32]), content.len() as u64 + 1);
    let unchecked = check_result(&original, &result, &Checks::default());
    let unchecked = unchecked.ok().context("a picture is not like itself")?;
    ensure!(unchecked.is_empty(), "something was not checked");
    Ok(())
}
