//! Which rung a waiting job goes to.

use std::time::Duration;

use rand::RngExt;

/// An import that is pending for longer than this will not finish.
pub const LONGEST_CONVERSION: Duration = Duration::from_mins(30);

/// The rung for the next attempt: exponential backoff with jitter, so that jobs that failed together do not retry
/// together.
pub fn attempt_rung(rungs: &[Duration], attempt: u32, random: &mut impl rand::Rng) -> Duration {
    let highest = usize::try_from(attempt).unwrap_or(usize::MAX).min(rungs.len() - 1);
    rungs[random.random_range(highest.saturating_sub(1)..=highest)]
}

/// The rung of a suspect job: the first above the request timeout, since a dead worker's request may still take
/// effect.
///
/// The configuration guarantees that there is one.
pub fn suspect_rung(rungs: &[Duration], request_timeout: Duration) -> Duration {
    let longest = rungs[rungs.len() - 1];
    rungs.iter().copied().find(|rung| *rung > request_timeout).unwrap_or(longest)
}

/// The rung of a job that waits for a service to finish: the longer it has waited, the longer the next wait.
///
/// Each wait is at most half of the time waited so far, so a result is fetched at most half as late again.
pub fn idle_rung(rungs: &[Duration], waited: Duration, longest: Duration) -> Duration {
    let allowed = (waited / 2).min(longest);
    rungs.iter().copied().rev().find(|rung| *rung <= allowed).unwrap_or(rungs[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNGS: [Duration; 5] = [
        Duration::from_secs(5),
        Duration::from_secs(30),
        Duration::from_mins(2),
        Duration::from_mins(10),
        Duration::from_hours(1),
    ];

    #[test]
    fn attempts_climb_the_ladder_and_stay_on_it() {
        let mut random = rand::rng();
        assert_eq!(attempt_rung(&RUNGS, 0, &mut random), RUNGS[0]);
        for _ in 0..100 {
            assert!(attempt_rung(&RUNGS, 3, &mut random) >= RUNGS[2]);
            assert!(attempt_rung(&RUNGS, u32::MAX, &mut random) >= RUNGS[3]);
        }
    }

    #[test]
    fn a_suspect_job_waits_out_the_request_timeout() {
        assert_eq!(suspect_rung(&RUNGS, Duration::from_mins(1)), RUNGS[2]);
        assert_eq!(suspect_rung(&RUNGS, RUNGS[2]), RUNGS[3]);
    }

    #[test]
    fn an_idle_job_waits_in_proportion() {
        let longest = Duration::from_mins(2);
        assert_eq!(idle_rung(&RUNGS, Duration::ZERO, longest), RUNGS[0]);
        assert_eq!(idle_rung(&RUNGS, Duration::from_mins(1), longest), RUNGS[1]);
        assert_eq!(idle_rung(&RUNGS, Duration::from_hours(20), longest), RUNGS[2]);
    }
}
