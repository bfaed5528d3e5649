//! Jobs whose delivery was lost or cut short: their requests may still take effect, and they may be what kills
//! their workers. Pure.

use std::time::Duration;

use common::job::Job;
use common::outcome::{Failure, FailureClass, Outcome};
use jiff::Timestamp;
use queue::Settlement;

use super::{count_wait, end_job};
use crate::in_flight;
use crate::settings::Settings;

/// Consecutive deliveries that may be lost with their worker.
const MOST_LOST_DELIVERIES: u32 = 20;

/// The settlement of a delivery that was lost with its worker, which may have requests under way.
pub(crate) fn lost(settings: &Settings, mut job: Job) -> Settlement {
    job.lost_deliveries = job.lost_deliveries.saturating_add(1);
    cut_short(settings, job)
}

/// The settlement of a delivery whose handling panicked outside the step, where it is unknown what was done: the
/// same as for a lost one. If closing the job panics again and again, closing is skipped: the record that it would
/// take back names a version that does not exist, and is replaced when the asset is protected.
pub(crate) fn panicked(settings: &Settings, job: Job, now: Timestamp) -> Settlement {
    if job.lost_deliveries >= MOST_LOST_DELIVERIES { end_lost(job, now) } else { lost(settings, job) }
}

/// The settlement of a delivery that is not started now. A wait makes a new message, which no longer says that the
/// delivery was lost before.
pub(crate) fn put_off(settings: &Settings, job: Job, redelivered: bool) -> Settlement {
    if redelivered {
        return lost(settings, job);
    }
    Settlement::Wait { job: Box::new(job), rung: settings.rungs.moment() }
}

/// The settlement of a job that the broker gave up: once none of its requests can take effect any more, it ends
/// like others that lost too many deliveries. A job that comes back here may kill the workers before they settle
/// it, and ends at once.
pub(crate) fn dead(settings: &Settings, mut job: Job, now: Timestamp) -> Settlement {
    if job.lost_deliveries >= MOST_LOST_DELIVERIES {
        return end_lost(job, now);
    }
    job.lost_deliveries = MOST_LOST_DELIVERIES;
    cut_short(settings, job)
}

fn end_lost(job: Job, now: Timestamp) -> Settlement {
    let reason = format!(
        "its delivery was lost {} times in the step {}; it may be what kills the process. Check the file, then replay the job",
        job.lost_deliveries,
        job.step.name()
    );
    let failure = Failure { class: FailureClass::Exhausted, reason: reason.into(), request_id: None };
    end_job(job, Outcome::Failed(failure), now)
}

/// The settlement of a step that was cut short: the job resumes as suspect, once its requests can no longer take
/// effect.
pub(crate) fn cut_short(settings: &Settings, mut job: Job) -> Settlement {
    job.suspect_now();
    job.held = false;
    let rung = in_flight::begin(settings, &mut job);
    wait_out(job, rung)
}

/// A wait that ignores `worker.longest_wait`, because a request of the job may still take effect.
fn wait_out(mut job: Job, rung: Duration) -> Settlement {
    count_wait(&mut job, rung);
    Settlement::Wait { job: Box::new(job), rung }
}

/// Returns the job once none of its requests can take effect any more. Otherwise returns the settlement that makes
/// it wait further, or that ends a job that lost too many deliveries: it may be what kills the process.
pub(crate) fn may_resume(settings: &Settings, mut job: Job, now: Timestamp) -> Result<Job, Box<Settlement>> {
    match in_flight::next(settings, &mut job) {
        Some(rung) => Err(Box::new(wait_out(job, rung))),
        None if job.lost_deliveries >= MOST_LOST_DELIVERIES => Err(Box::new(end_lost(job, now))),
        None => Ok(job),
    }
}

#[cfg(test)]
mod tests {
    use common::job::{Lane, RunId};

    use super::super::conclude;
    use super::*;
    use crate::end::{StepEnd, Wait};
    use crate::service_times::Expected;
    use crate::settings::samples;
    use breakers::Blame;
    use decide::Rungs;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn settings() -> Settings {
        Settings {
            rungs: Rungs::new([5, 30, 120].map(Duration::from_secs).to_vec()),
            ..samples::default_settings()
        }
    }

    fn job() -> Job {
        Job::new(RunId("r".to_owned()), "A".parse().unwrap(), "", Lane::Fresh, 1, None, NOW)
    }

    fn waiting(settlement: Settlement) -> (Job, u64) {
        match settlement {
            Settlement::Wait { job, rung } => (*job, rung.as_secs()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_redelivered_job_waits_out_whatever_its_dead_worker_sent() {
        let (job, rung) = waiting(cut_short(&settings(), job()));
        assert_eq!((job.suspect, job.attempt, rung), (true, 0, 120));
    }

    #[test]
    fn a_lost_delivery_that_is_put_off_is_waited_out_as_one_that_is_begun() {
        let (untouched, rung) = waiting(put_off(&settings(), job(), false));
        assert_eq!((untouched.suspect, untouched.lost_deliveries, rung), (false, 0, 5));
        let (suspect, rung) = waiting(put_off(&settings(), job(), true));
        assert_eq!((suspect.suspect, suspect.lost_deliveries, rung), (true, 1, 120));
    }

    #[test]
    fn a_job_that_loses_delivery_after_delivery_fails_once_nothing_of_it_lands_and_a_step_that_ends_forgets_them()
     {
        let (again, _) = waiting(lost(&settings(), Job { lost_deliveries: 18, ..job() }));
        assert_eq!((again.lost_deliveries, again.suspect), (19, true));
        let (last, rung) = waiting(lost(&settings(), again.clone()));
        assert_eq!(rung, 120);
        let ended = may_resume(&settings(), Job { outwait_ms: 0, ..last }, NOW).map_err(|settled| *settled);
        assert!(matches!(ended, Err(Settlement::Fail { .. })), "{ended:?}");
        let went_on = conclude(
            &settings(),
            &Expected::usual(&settings().rungs),
            again,
            Ok(StepEnd::NotYet(Wait::Moment)),
            Blame::Job,
            NOW,
            &mut rand::rng(),
        );
        assert_eq!(waiting(went_on).0.lost_deliveries, 0);
    }

    #[test]
    fn a_job_whose_handling_panics_again_and_again_is_not_closed_in_the_end() {
        let (again, rung) = waiting(panicked(&settings(), Job { lost_deliveries: 19, ..job() }, NOW));
        assert_eq!((again.lost_deliveries, again.suspect, rung), (20, true, 120));
        let ended = panicked(&settings(), again, NOW);
        let Settlement::Fail { event, .. } = ended else { panic!("{ended:?}") };
        let Outcome::Failed(failure) = event.outcome else { panic!("{event:?}") };
        assert!(failure.reason.contains("lost 20 times in the step submit"), "{failure:?}");
    }

    #[test]
    fn a_dead_job_is_waited_out_before_it_ends_and_ends_at_once_when_it_comes_again() {
        let (waits, rung) = waiting(dead(&settings(), job(), NOW));
        assert_eq!((waits.suspect, rung), (true, 120));
        let ended = dead(&settings(), waits, NOW);
        assert!(matches!(ended, Settlement::Fail { .. }), "{ended:?}");
    }

    #[test]
    fn a_job_whose_requests_may_still_land_does_not_end_by_the_length_of_its_day() {
        let old = Job { waited_ms: 24 * 3600 * 1000, ..job() };
        let (old, _) = waiting(lost(&settings(), old));
        assert!(matches!(dead(&settings(), old, NOW), Settlement::Wait { .. }));
    }
}
