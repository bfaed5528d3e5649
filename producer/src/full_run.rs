//! When the next run over the whole library is due: it catches what delta runs can miss.

use std::time::Duration;

use common::failure::Failure;
use config::Config;
use jiff::{SignedDuration, Timestamp};
use ledger::Ledger;

use crate::arguments::{Hold, RunArguments};
use crate::asked;

/// How long until it is due, zero if it is; `None` if none is wanted, the library was not begun, or it was begun
/// under a cap that leaves nothing.
pub async fn until_due(
    config: &Config,
    ledger: &Ledger,
    now: Timestamp,
) -> Result<Option<Duration>, Failure> {
    if !config.delta || ledger.cursor().await?.is_none() || asked::is_used_up(config, ledger).await? {
        return Ok(None);
    }
    let last = ledger.last_full_run().await?;
    Ok(last.map(|last| remaining(last, config.producer.full_every.0, now)))
}

/// Whether a run for which no scope was given covers the whole library.
pub(crate) async fn is_due(config: &Config, ledger: &Ledger, scope: &RunArguments) -> Result<bool, Failure> {
    let by_delta = scope.delta || config.delta;
    // A schedule walks concurrently with its delta runs: two walks at once would each take what is left of a cap.
    let may_walk = !scope.delta && scope.hold == Hold::Once;
    let is_due = may_walk && until_due(config, ledger, Timestamp::now()).await? == Some(Duration::ZERO);
    Ok(!by_delta || is_due)
}

fn remaining(last: Timestamp, every: Duration, now: Timestamp) -> Duration {
    let every = SignedDuration::try_from(every).unwrap_or(SignedDuration::MAX);
    Duration::try_from(every.saturating_sub(now.duration_since(last))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_so_long_after_the_last_one_began_whatever_the_clock() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let week = Duration::from_hours(7 * 24);
        assert_eq!(remaining(at(0), week, at(0)), week);
        assert_eq!(remaining(at(0), week, at(3600)), week - Duration::from_hours(1));
        assert_eq!(remaining(at(0), week, at(7 * 24 * 3600)), Duration::ZERO);
        assert_eq!(remaining(at(0), week, at(9 * 24 * 3600)), Duration::ZERO);
        // The portal's clock may be ahead of this machine's.
        assert_eq!(remaining(at(60), week, at(0)), week + Duration::from_mins(1));
        assert_eq!(remaining(at(0), Duration::MAX, at(1)).as_secs(), i64::MAX as u64 - 1);
        assert_eq!(remaining(Timestamp::MAX, Duration::MAX, Timestamp::MIN).as_secs(), i64::MAX as u64);
    }
}
