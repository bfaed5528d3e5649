//! Which rung a waiting job goes to.

use std::time::Duration;

use rand::RngExt;

/// An import that is pending for longer than this will not finish.
pub const LONGEST_CONVERSION: Duration = Duration::from_mins(30);

/// The longest interval at which a job checks whether a service has finished.
pub const LONGEST_POLL: Duration = Duration::from_mins(2);

/// Retries use no more rungs than this, so that shorter ones for polls do not make a job give up earlier.
const MOST_RETRY_RUNGS: usize = 5;

/// Of more rungs, each that retries use is at least this many times the one before.
const BACKOFF: u32 = 4;

/// The delays of waiting jobs, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rungs {
    all: Vec<Duration>,
    of_retries: Vec<Duration>,
}

impl Rungs {
    /// `all` is ascending and holds one delay at least, which the configuration guarantees.
    pub fn new(all: Vec<Duration>) -> Self {
        if all.len() <= MOST_RETRY_RUNGS {
            return Self { of_retries: all.clone(), all };
        }
        let mut of_retries: Vec<Duration> = Vec::new();
        for rung in all.iter().rev() {
            if of_retries.len() < MOST_RETRY_RUNGS
                && of_retries.last().is_none_or(|above| *rung * BACKOFF <= *above)
            {
                of_retries.push(*rung);
            }
        }
        of_retries.reverse();
        Self { all, of_retries }
    }

    fn longest(&self) -> Duration {
        self.all[self.all.len() - 1]
    }

    /// The shortest rung of at least this length, or else the longest.
    pub fn at_least(&self, wait: Duration) -> Duration {
        self.all.iter().copied().find(|rung| *rung >= wait).unwrap_or(self.longest())
    }

    /// The longest rung of at most this length, or else the shortest.
    fn at_most(&self, wait: Duration) -> Duration {
        self.all.iter().copied().rev().find(|rung| *rung <= wait).unwrap_or(self.shortest())
    }

    pub fn shortest(&self) -> Duration {
        self.all[0]
    }

    /// The rung of a job that waits for something brief: another job's lease, or a write to become visible.
    pub fn moment(&self) -> Duration {
        self.of_retries[0]
    }

    /// The longest pause between two jobs of a step that keeps failing.
    pub fn longest_pause(&self) -> Duration {
        self.of_retries[self.of_retries.len().saturating_sub(2)]
    }

    /// The rung for the next attempt: exponential backoff with jitter, so that jobs that failed together do not
    /// retry together.
    pub fn attempt(&self, attempt: u32, random: &mut impl rand::Rng) -> Duration {
        let highest = usize::try_from(attempt).unwrap_or(usize::MAX).min(self.of_retries.len() - 1);
        self.of_retries[random.random_range(highest.saturating_sub(1)..=highest)]
    }

    /// The rung of a suspect job: the first above the request timeout, since a dead worker's request may still take
    /// effect.
    ///
    /// The configuration guarantees that there is one.
    pub fn suspect(&self, request_timeout: Duration) -> Duration {
        self.all.iter().copied().find(|rung| *rung > request_timeout).unwrap_or(self.longest())
    }

    /// The rung before a job asks for the first time whether a service has finished that takes about as long as
    /// `expected`: at most half as late again, else a bit early.
    pub fn first_poll(&self, expected: Duration) -> Duration {
        let expected = expected.min(LONGEST_POLL);
        let above = self.at_least(expected);
        if above <= (expected * 3 / 2).min(LONGEST_POLL) { above } else { self.at_most(expected) }
    }

    /// The rung before a job asks again: the longer it has waited for the service, the longer the next wait.
    ///
    /// Each wait is at most half of the time waited so far, so a result is fetched at most half as late again.
    pub fn next_poll(&self, waited: Duration) -> Duration {
        self.at_most((waited / 2).min(LONGEST_POLL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rungs() -> Rungs {
        Rungs::new([1, 2, 5, 10, 20, 60, 120, 600, 3600].map(s).to_vec())
    }

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn attempts_climb_the_ladder_and_stay_on_it() {
        let (rungs, mut random) = (rungs(), rand::rng());
        assert_eq!(rungs.of_retries, [5, 20, 120, 600, 3600].map(s));
        assert_eq!(rungs.attempt(0, &mut random), s(5));
        for _ in 0..100 {
            assert!(rungs.attempt(3, &mut random) >= s(120));
            assert!(rungs.attempt(u32::MAX, &mut random) >= s(600));
        }
    }

    #[test]
    fn the_rungs_of_an_earlier_release_retry_as_they_did() {
        let earlier = [5, 30, 120, 600, 3600].map(s).to_vec();
        assert_eq!(Rungs::new(earlier.clone()).of_retries, earlier);
        let close = [45, 90, 120].map(s).to_vec();
        assert_eq!(Rungs::new(close.clone()).of_retries, close);
    }

    #[test]
    fn a_suspect_job_waits_out_the_request_timeout() {
        assert_eq!(rungs().suspect(s(60)), s(120));
        assert_eq!(rungs().suspect(s(120)), s(600));
    }

    #[test]
    fn what_is_longer_than_every_rung_waits_for_the_longest() {
        assert_eq!(rungs().at_least(s(3601)), s(3600));
        assert_eq!(rungs().suspect(s(3600)), s(3600));
    }

    #[test]
    fn a_moment_is_the_shortest_rung_of_retries_and_the_longest_pause_the_last_but_one() {
        assert_eq!((rungs().moment(), rungs().longest_pause()), (s(5), s(600)));
        let only = Rungs::new(vec![s(7)]);
        assert_eq!((only.moment(), only.longest_pause()), (s(7), s(7)));
    }

    #[test]
    fn the_first_poll_is_near_the_time_that_the_service_takes() {
        let asked_after = |seconds| rungs().first_poll(Duration::from_secs_f64(seconds)).as_secs();
        for (takes, asks) in [(0.1, 1), (1.2, 1), (1.5, 2), (5.0, 5), (6.0, 5), (7.0, 10), (15.0, 20)] {
            assert_eq!(asked_after(takes), asks, "{takes} s");
        }
        assert_eq!(asked_after(36_000.0), 120);
    }

    #[test]
    fn later_polls_come_in_proportion() {
        assert_eq!(rungs().next_poll(Duration::ZERO), s(1));
        assert_eq!(rungs().next_poll(s(5)), s(2));
        assert_eq!(rungs().next_poll(s(60)), s(20));
        assert_eq!(rungs().next_poll(s(72_000)), LONGEST_POLL);
    }
}
