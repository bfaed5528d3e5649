//! Large files stream: memory does not grow with their size.

use std::time::Duration;

use sandbox::{NewAsset, NewFile};

use crate::harness::{Bench, assert_clean, is_protected, quick};

/// Resident memory may not pass this, whatever the files' size.
const MOST_MEMORY: u64 = 100 << 20;

/// Protects files of this size; the most memory the process ever held.
async fn protect(count: usize, bytes: u64) -> u64 {
    let bench = Bench::alone(quick()).await;
    // Hashing and watermarking gigabytes in the sandbox takes its time.
    bench.reconfigure("request_timeout = '1s'", "request_timeout = '60s'");
    bench.reconfigure("'2s']", "'65s']");
    for number in 0..count {
        let new = NewAsset {
            file: Some(NewFile::Large(bytes)),
            ..NewAsset::new(&format!("{number} large.tif"), Vec::new())
        };
        bench.sandbox.add_asset(new).unwrap();
    }
    let mut child = bench.spawn(&["sync", "--full", "--quiet"]);
    let status = format!("/proc/{}/status", child.id().unwrap());
    let mut peak = 0;
    let ended = loop {
        tokio::select! {
            ended = child.wait() => break ended.unwrap(),
            () = tokio::time::sleep(Duration::from_millis(20)) => {
                // The kernel keeps the peak, so nothing between two looks is missed but the very end.
                peak = peak.max(peak_memory(&status).unwrap_or_default());
            }
        }
    };
    let failed = bench.run(&["failed", "list"]).await;
    assert_eq!(ended.code(), Some(0), "{failed:#?}");
    assert_clean(&bench.sandbox.audit());
    assert!(bench.sandbox.audit().assets.iter().all(is_protected));
    peak
}

fn peak_memory(status: &str) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_files_of_256_mib_at_once_and_one_of_2_gib_fit_into_100_mib_of_memory() {
    for (count, bytes) in [(16, 256 << 20), (1, 2 << 30)] {
        let peak = protect(count, bytes).await;
        println!("{count} files of {} MiB: at most {} MiB resident", bytes >> 20, peak >> 20);
        assert!(peak > 0 && peak < MOST_MEMORY, "{count} files: {} MiB", peak >> 20);
    }
}
