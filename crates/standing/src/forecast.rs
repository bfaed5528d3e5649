//! The rate of the work, and when it will be done. Pure.

use std::time::Duration;

use serde::Serialize;

/// The window of Bynder's limit.
const WINDOW: Duration = Duration::from_mins(5);

/// The remaining work, and how long it takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Forecast {
    pub open: u64,
    /// Jobs that ended per minute, over the last five minutes or since the first of them ended; `None` if this machine
    /// has no record of them.
    pub jobs_per_minute: Option<f64>,
    /// Seconds until no job is open, at this rate; `None` while no job ends.
    pub seconds_at_rate: Option<u64>,
    /// Seconds that the request budget requires at least.
    pub seconds_at_budget: u64,
}

/// Jobs that ended recently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    pub count: u64,
    /// How long ago the first of them ended.
    pub over: Duration,
}

/// The shortest period to measure over: one second shows nothing.
const SHORTEST: Duration = Duration::from_mins(1);

pub fn forecast(open: u64, ended: Option<Ended>, calls_a_job: f64, calls_in_a_window: u32) -> Forecast {
    let window = WINDOW.as_secs_f64();
    let jobs_per_minute =
        ended.map(|ended| ended.count as f64 * 60.0 / ended.over.max(SHORTEST).as_secs_f64());
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
            (0, Some((0, 300)), (Some(0.0), None, 0)),
            (100, Some((0, 300)), (Some(0.0), None, 57)),
            (100, Some((50, 300)), (Some(10.0), Some(600), 57)),
            (100, Some((50, 100)), (Some(30.0), Some(200), 57)),
            (100, Some((5, 1)), (Some(5.0), Some(1200), 57)),
            (100, None, (None, None, 57)),
        ];
        for (open, ended, (rate, at_rate, at_budget)) in table {
            let ended = ended.map(|(count, over)| Ended { count, over: Duration::from_secs(over) });
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
