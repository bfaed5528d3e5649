//! How fast the work goes, and when it will be done. Pure.

use std::time::Duration;

use serde::Serialize;

/// Bynder's window.
const WINDOW: Duration = Duration::from_mins(5);

/// What is left to do, and how long that takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Forecast {
    /// Jobs without an outcome.
    pub(super) open: u64,
    /// Jobs that ended in a minute, measured over the last five; `None` where no record of them is at hand.
    pub(super) jobs_per_minute: Option<f64>,
    /// Seconds until none is open at this rate; `None` while nothing ends.
    pub(super) seconds_at_rate: Option<u64>,
    /// Seconds that the request budget alone takes: it is not done sooner.
    pub(super) seconds_at_budget: u64,
}

/// `ended`: jobs that ended within the last five minutes, if that is known.
pub(super) fn forecast(open: u64, ended: Option<u64>, calls_a_job: f64, calls_in_a_window: u32) -> Forecast {
    let window = WINDOW.as_secs_f64();
    let jobs_per_minute = ended.map(|ended| ended as f64 * 60.0 / window);
    let seconds_at_rate =
        jobs_per_minute.filter(|rate| *rate > 0.0).map(|rate| seconds(open as f64 * 60.0 / rate));
    let at_budget = open as f64 * calls_a_job * window / f64::from(calls_in_a_window.max(1));
    Forecast { open, jobs_per_minute, seconds_at_rate, seconds_at_budget: seconds(at_budget) }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and none is negative"
)]
fn seconds(seconds: f64) -> u64 {
    seconds.ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_takes_as_long_as_the_measured_rate_and_the_budget_say() {
        let table = [
            (0, Some(0), (Some(0.0), None, 0)),
            (100, Some(0), (Some(0.0), None, 57)),
            (100, Some(50), (Some(10.0), Some(600), 57)),
            (100, None, (None, None, 57)),
        ];
        for (open, ended, (rate, at_rate, at_budget)) in table {
            let found = forecast(open, ended, 7.5, 4000);
            assert_eq!(found.jobs_per_minute, rate);
            assert_eq!(
                (found.seconds_at_rate, found.seconds_at_budget),
                (at_rate, at_budget),
                "{open} {ended:?}"
            );
        }
    }
}
