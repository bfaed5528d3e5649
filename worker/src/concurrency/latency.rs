//! How long the services take compared to when they had little to do. Pure.

use std::time::Duration;

use http_client::{Operation, Peer};
use strum::VariantArray;

/// Added to each time, so that a few milliseconds of scheduling do not count as slowness.
const SLACK: Duration = Duration::from_millis(20);
/// Requests of a kind after which their mean counts fully.
const ENOUGH: f64 = 8.0;
/// How far a baseline moves towards a shorter time of one window: a lucky one must not set it alone.
const DOWN: f64 = 0.25;
/// How far it moves towards a longer time while all permits are in use: slowly, since the permits may be the cause.
/// Together with [`DOWN`] this makes it a low average of times that vary by themselves, not the lowest ever.
const UP: f64 = 0.02;
/// The fewest requests to a service that show whether it is slower.
const FEWEST: f64 = 8.0;

/// What a window's times say about the services without load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Few permits, or not all in use: the times of services without load.
    Unloaded,
    /// Permits were lowered to measure the services without load.
    Measured,
    /// All permits were in use.
    Loaded,
    /// All permits were in use, and a service was slower than without load.
    Slowed,
}

/// The sum of the logarithms of times, by kind of request; their mean is robust against a few long ones.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    count: f64,
    sum: f64,
}

/// The times of one window.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    kinds: [Times; Operation::VARIANTS.len()],
}

/// The usual logarithm of the time of each kind of request, without load.
#[derive(Debug, Default)]
pub(super) struct Baselines {
    kinds: [Option<f64>; Operation::VARIANTS.len()],
}

impl Latencies {
    pub(super) fn add(&mut self, operation: Operation, took: Duration) {
        if is_comparable(operation) {
            let times = &mut self.kinds[operation as usize];
            times.count += 1.0;
            times.sum += (took + SLACK).as_secs_f64().ln();
        }
    }

    /// The kinds with requests: their number, and the mean logarithm of their times.
    fn means(&self) -> impl Iterator<Item = (Operation, f64, f64)> {
        let kinds = Operation::VARIANTS.iter().map(|operation| (*operation, self.kinds[*operation as usize]));
        kinds
            .filter(|(_, times)| times.count > 0.0)
            .map(|(operation, times)| (operation, times.count, times.sum / times.count))
    }
}

impl Baselines {
    /// The service that is slowest compared to its baselines, and how many times as long it takes.
    pub(super) fn slowest(&self, latencies: &Latencies) -> Option<(Peer, f64)> {
        let slower = Peer::VARIANTS.iter().filter_map(|peer| {
            let (mut count, mut excess) = (0.0, 0.0);
            for (operation, times, mean) in latencies.means() {
                if let Some(baseline) = self.kinds[operation as usize].filter(|_| operation.peer() == *peer) {
                    count += times;
                    excess += times * (mean - baseline);
                }
            }
            (count >= FEWEST).then(|| (*peer, (excess / count).exp()))
        });
        slower.max_by(|(_, one), (_, other)| one.total_cmp(other))
    }

    pub(super) fn learn(&mut self, latencies: &Latencies, meaning: Meaning) {
        for (operation, count, mean) in latencies.means() {
            let baseline = self.kinds[operation as usize].get_or_insert(mean);
            let share = match meaning {
                Meaning::Measured => 1.0,
                Meaning::Unloaded => DOWN,
                Meaning::Loaded | Meaning::Slowed if mean < *baseline => DOWN,
                Meaning::Loaded => UP,
                Meaning::Slowed => 0.0,
            };
            *baseline += share * (count / ENOUGH).min(1.0) * (mean - *baseline);
        }
    }
}

/// Whether the time until the head of the response says how busy the service is. A transfer, and what the service
/// does with a whole file, depends on the file's size; rare calls and listings depend on what is asked for.
fn is_comparable(operation: Operation) -> bool {
    match operation {
        Operation::Asset
        | Operation::DownloadPlace
        | Operation::UploadPlace
        | Operation::UploadPart
        | Operation::Imports
        | Operation::Mark
        | Operation::Save
        | Operation::SaveAsset
        | Operation::SaveAdditional
        | Operation::FetchOriginal
        | Operation::Find
        | Operation::Status
        | Operation::FetchResult => true,
        Operation::SignIn
        | Operation::LookUp
        | Operation::List
        | Operation::UploadEndpoint
        | Operation::UploadFinish
        | Operation::FetchThumbnail
        | Operation::SendPart
        | Operation::ImatagSignIn
        | Operation::Submit => false,
    }
}
