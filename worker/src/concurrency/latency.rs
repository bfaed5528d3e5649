//! How long the services take compared to when they had little to do. Pure.

use std::time::Duration;

use http_client::{Operation, Peer};
use strum::VariantArray;

/// Added to each time, so that a few milliseconds of scheduling do not count as slowness.
const SLACK: Duration = Duration::from_millis(20);
/// How far a baseline moves towards the times of one window: a lucky one must not set it alone.
const SHARE: f64 = 0.25;
/// The fewest requests to a service that show whether it is slower.
const FEWEST: f64 = 8.0;

/// What a window's times say about the services without load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Few permits, or not all in use: the times of services without load.
    Unloaded,
    /// Permits were lowered to measure the services without load.
    Measured,
    /// All permits were in use: longer times may be due to them.
    Loaded,
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
        for (operation, _, mean) in latencies.means() {
            let baseline = self.kinds[operation as usize].get_or_insert(mean);
            let share = match meaning {
                Meaning::Measured => 1.0,
                Meaning::Loaded if mean > *baseline => 0.0,
                Meaning::Unloaded | Meaning::Loaded => SHARE,
            };
            *baseline += share * (mean - *baseline);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn taking(took: Duration, kinds: &[(Operation, usize)]) -> Latencies {
        let mut latencies = Latencies::default();
        for (operation, count) in kinds {
            (0..*count).for_each(|_| latencies.add(*operation, took));
        }
        latencies
    }

    #[test]
    fn a_service_is_slow_by_its_own_requests_and_by_several_of_them() {
        let kinds = [(Operation::Asset, 60), (Operation::Status, 4), (Operation::Find, 4)];
        let mut baselines = Baselines::default();
        assert_eq!(baselines.slowest(&taking(Duration::from_millis(80), &kinds)), None);
        baselines.learn(&taking(Duration::from_millis(80), &kinds), Meaning::Loaded);
        let later = |imatag: &[_]| {
            let mut later = taking(Duration::from_millis(380), imatag);
            (0..60).for_each(|_| later.add(Operation::Asset, Duration::from_millis(80)));
            baselines.slowest(&later).map(|(peer, slowness)| (peer, (slowness * 100.0).round()))
        };
        assert_eq!(later(&[(Operation::Status, 3), (Operation::Find, 4)]), Some((Peer::Bynder, 100.0)));
        assert_eq!(later(&[(Operation::Status, 4), (Operation::Find, 4)]), Some((Peer::Imatag, 400.0)));
    }

    #[test]
    fn transfers_and_listings_say_nothing_of_a_service() {
        let kinds = [Operation::Submit, Operation::SendPart, Operation::List].map(|kind| (kind, 50));
        assert_eq!(taking(Duration::from_mins(5), &kinds).means().count(), 0);
    }
}
