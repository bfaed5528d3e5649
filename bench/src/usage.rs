//! CPU time, memory and descriptors of processes, and the load of the machine, from `/proc`.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tokio::process::Child;
use tokio::time::Instant;

/// The unit of CPU time in `/proc`.
const TICKS_A_SECOND: u64 = 100;
/// The interval between samples of a process.
const LOOK: Duration = Duration::from_millis(50);

/// A sample of a process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// CPU time since its start, including its children.
    pub(crate) cpu: Duration,
    /// Peak memory, in bytes.
    pub(crate) peak: u64,
    /// Resident memory, in bytes.
    pub(crate) resident: u64,
    /// Open descriptors.
    pub(crate) descriptors: u64,
}

/// Samples a process; `None` if it has ended.
pub(crate) fn of(pid: u32) -> Option<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The process name may contain anything, so count the fields from its closing bracket.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kilobytes = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    // The CPU time of the process, and of its children that have ended.
    let spent: u64 = (11..=14).map(ticks).sum::<Option<u64>>()?;
    let living: Duration = children(pid).into_iter().filter_map(of).map(|child| child.cpu).sum();
    Some(Usage {
        cpu: Duration::from_millis(spent * 1000 / TICKS_A_SECOND) + living,
        peak: kilobytes("VmHWM:")? * 1024,
        resident: kilobytes("VmRSS:")? * 1024,
        descriptors: std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64,
    })
}

/// Resident memory of a process and its descendants, in bytes.
pub(crate) fn of_tree(pid: u32) -> u64 {
    of(pid).map_or(0, |usage| usage.resident) + children(pid).into_iter().map(of_tree).sum::<u64>()
}

fn children(pid: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split(' ').filter_map(|child| child.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Time of all processors so far, in ticks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Machine {
    busy: u64,
    all: u64,
}

impl Machine {
    pub(crate) fn now() -> Self {
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let first = stat.lines().next().unwrap_or_default();
        let ticks: Vec<u64> =
            first.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
        let all = ticks.iter().take(8).sum();
        // The fourth and the fifth field are idle time: with nothing to do, and waiting for a disk.
        let idle: u64 = ticks.iter().skip(3).take(2).sum();
        Self { busy: all - idle, all }
    }

    /// How busy the processors were since then, in percent.
    pub(crate) fn busy_since(self) -> f64 {
        let now = Self::now();
        100.0 * (now.busy - self.busy) as f64 / (now.all - self.all).max(1) as f64
    }
}

/// Waits until a program ends.
///
/// # Errors
/// Its exit code is not one of `codes`.
pub(crate) async fn to_its_end(child: Child, codes: &[i32]) -> anyhow::Result<(Duration, Usage)> {
    to_its_end_while(child, codes, |_| ()).await
}

/// Like [`to_its_end`], and calls a closure with the process id at each sample.
pub(crate) async fn to_its_end_while(
    mut child: Child,
    codes: &[i32],
    mut look: impl FnMut(u32),
) -> anyhow::Result<(Duration, Usage)> {
    let started = Instant::now();
    let pid = child.id().context("the program has ended already")?;
    let mut last = Usage::default();
    loop {
        tokio::select! {
            ended = child.wait() => {
                let code = ended?.code();
                anyhow::ensure!(code.is_some_and(|code| codes.contains(&code)), "it ended with {code:?}");
                return Ok((started.elapsed(), last));
            }
            () = tokio::time::sleep(LOOK) => {
                last = of(pid).unwrap_or(last);
                look(pid);
            }
        }
    }
}

/// Number and total bytes of the files in this folder that a process has open, including unlinked ones.
pub(crate) fn files_below(pid: u32, folder: &Path) -> (u64, u64) {
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return (0, 0) };
    let paths = descriptors.flatten().map(|entry| entry.path());
    let below = paths.filter(|path| std::fs::read_link(path).is_ok_and(|target| target.starts_with(folder)));
    let lengths = below.filter_map(|path| Some(std::fs::metadata(path).ok()?.len()));
    lengths.fold((0, 0), |(files, bytes), length| (files + 1, bytes + length))
}

/// Total CPU time of the living processes of a process group.
pub(crate) fn of_group(group: u32) -> Duration {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Duration::ZERO };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let belongs = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect();
        fields.get(2)?.parse::<u32>().ok()
    };
    pids.filter(|pid| belongs(pid) == Some(group)).filter_map(of).map(|usage| usage.cpu).sum()
}
