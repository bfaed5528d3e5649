//! Turns a step's result into a settlement. Pure. `lost` does this if there is no result because the delivery was
//! lost.

mod lost;

use std::time::Duration;

use common::job::{Awaited, FailedAttempt, Job, Step};
use common::outcome::{Failure, FailureClass, Outcome};
use config::Span;
use jiff::Timestamp;
use queue::Settlement;

use crate::end::{StepEnd, Wait};
use crate::error::{StepError, Verdict};
use crate::in_flight;
use crate::service_times::{Expected, Work};
use crate::settings::Settings;
use breakers::Blame;

pub(crate) use lost::{cut_short, dead, lost, may_resume, panicked, put_off};

/// Turns the end of a step into the settlement of its delivery. `blame` says who is at fault for a failure.
pub(crate) fn conclude(
    settings: &Settings,
    expected: &Expected,
    mut job: Job,
    result: Result<StepEnd, StepError>,
    blame: Blame,
    now: Timestamp,
    random: &mut impl rand::Rng,
) -> Settlement {
    match result {
        Ok(end) => {
            job.lost_deliveries = 0;
            match end {
                StepEnd::Next(step) => {
                    job.step = step;
                    job.effects.awaited = None;
                    Settlement::Forward(Box::new(job))
                }
                StepEnd::Later(step) => {
                    job.step = step;
                    job.effects.awaited = Some(Awaited { since: job.wait_mark(), asked: false });
                    let work = match step {
                        Step::Submit | Step::Transfer => Work::Watermark,
                        Step::Save => Work::Import,
                    };
                    let rung = settings.rungs.first_poll(expected.time(work, &job));
                    park(settings, job, rung, true, now)
                }
                StepEnd::NotYet(wait) => {
                    let rung = match wait {
                        Wait::Service => {
                            let waited = job.awaited().unwrap_or_else(|| job.waited());
                            if let Some(awaited) = &mut job.effects.awaited {
                                awaited.asked = true;
                            }
                            settings.rungs.next_poll(waited)
                        }
                        Wait::Moment => settings.rungs.moment(),
                    };
                    park(settings, job, rung, true, now)
                }
                StepEnd::Redo { step, reason } => {
                    let failed = attempt(job.step, FailureClass::Exhausted, reason, None, now);
                    job.step = step;
                    job.effects.awaited = None;
                    retry(settings, job, failed, None, false, now, random)
                }
                StepEnd::Ended(outcome) => end_job(job, outcome, now),
            }
        }
        Err(error) => {
            let request_id = error.request_id();
            match error.verdict() {
                Verdict::Pause { at_least, suspect } => {
                    if suspect {
                        job.suspect_now();
                    }
                    let rung = rung_after_pause(settings, &mut job, at_least, suspect);
                    park(settings, job, rung, false, now)
                }
                Verdict::Fail(class) => {
                    let failure = Failure { class, reason: error.to_string().into(), request_id };
                    end_job(job, Outcome::Failed(failure), now)
                }
                Verdict::Retry { suspect, .. } => {
                    if suspect {
                        job.suspect_now();
                    }
                    let failed = attempt(job.step, error.class(), error.to_string(), request_id, now);
                    match blame {
                        Blame::Job => {
                            retry(settings, job, failed, error.most_attempts(), suspect, now, random)
                        }
                        Blame::Service => {
                            job.remember(failed);
                            let rung = rung_after_failure(settings, &mut job, suspect, random);
                            park(settings, job, rung, false, now)
                        }
                    }
                }
            }
        }
    }
}

fn attempt(
    step: Step,
    class: FailureClass,
    reason: String,
    request_id: Option<String>,
    now: Timestamp,
) -> FailedAttempt {
    FailedAttempt { at: now, step, class, reason, request_id }
}

fn rung_after_failure(
    settings: &Settings,
    job: &mut Job,
    suspect: bool,
    random: &mut impl rand::Rng,
) -> Duration {
    if suspect { in_flight::begin(settings, job) } else { settings.rungs.attempt(job.attempt, random) }
}

fn rung_after_pause(settings: &Settings, job: &mut Job, at_least: Duration, suspect: bool) -> Duration {
    let rung = settings.rungs.at_least(at_least);
    if suspect { rung.max(in_flight::begin(settings, job)) } else { rung }
}

fn retry(
    settings: &Settings,
    mut job: Job,
    failed: FailedAttempt,
    most_attempts: Option<u32>,
    suspect: bool,
    now: Timestamp,
    random: &mut impl rand::Rng,
) -> Settlement {
    let rung = rung_after_failure(settings, &mut job, suspect, random);
    job.attempt = job.attempt.saturating_add(1);
    if job.attempt >= most_attempts.unwrap_or(u32::MAX).min(settings.max_attempts) {
        let failure = Failure {
            class: failed.class,
            reason: format!("given up after {} attempts: {}", job.attempt, failed.reason).into(),
            request_id: failed.request_id.clone(),
        };
        job.remember(failed);
        return end_job(job, Outcome::Failed(failure), now);
    }
    job.remember(failed);
    park(settings, job, rung, true, now)
}

fn count_wait(job: &mut Job, rung: Duration) {
    job.waited_ms = job.waited_ms.saturating_add(u64::try_from(rung.as_millis()).unwrap_or(u64::MAX));
}

/// Sends the job to a wait. `counts`: the wait counts towards `worker.longest_wait`. A pause does not, nor a wait
/// after a failure of the service.
fn park(settings: &Settings, mut job: Job, rung: Duration, counts: bool, now: Timestamp) -> Settlement {
    if counts {
        count_wait(&mut job, rung);
    }
    if job.waited() > settings.longest_wait {
        let reason = format!(
            "not finished after waiting {}, last in the step {}; replay it once the services are well",
            Span(settings.longest_wait),
            job.step.name()
        );
        let failure = Failure { class: FailureClass::TimedOut, reason: reason.into(), request_id: None };
        return end_job(job, Outcome::Failed(failure), now);
    }
    Settlement::Wait { job: Box::new(job), rung }
}

/// The settlement of a job that has to run alone and cannot yet: it comes back, and the wait counts towards
/// `worker.longest_wait`.
pub(crate) fn wait_to_be_alone(settings: &Settings, job: Job, now: Timestamp) -> Settlement {
    let rung = settings.rungs.longest_pause();
    park(settings, job, rung, true, now)
}

/// The settlement of a failed job whose marker cannot be taken back yet: it checks again before it ends.
pub(crate) fn close_later(settings: &Settings, mut job: Job) -> Settlement {
    job.attempt = job.attempt.saturating_add(1);
    job.suspect_now();
    Settlement::Wait { job: Box::new(job), rung: settings.rungs.suspect(settings.request_timeout) }
}

fn end_job(job: Job, outcome: Outcome, now: Timestamp) -> Settlement {
    let event = Box::new(job.ended(outcome, now));
    match &event.outcome {
        Outcome::Failed(_) => Settlement::Fail { job: Box::new(job), event },
        Outcome::Watermarked { .. }
        | Outcome::AlreadyProtected
        | Outcome::Superseded { .. }
        | Outcome::AwaitingApproval
        | Outcome::Gone => Settlement::Finish(event),
    }
}

#[cfg(test)]
mod tests {
    use bynder::{BynderError, Right};
    use common::job::{Lane, RunId};
    use http_client::Sent;
    use imatag::ImatagError;

    use super::*;
    use crate::settings::samples;
    use decide::Rungs;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn settings() -> Settings {
        let rungs = Rungs::new([5, 30, 120].map(Duration::from_secs).to_vec());
        Settings { max_attempts: 3, rungs, ..samples::default_settings() }
    }

    fn job() -> Job {
        Job::new(RunId("r".to_owned()), "A".parse().unwrap(), "", Lane::Fresh, 1, None, NOW)
    }

    fn settle(job: Job, result: Result<StepEnd, StepError>) -> Settlement {
        conclude(
            &settings(),
            &Expected::usual(&settings().rungs),
            job,
            result,
            Blame::Job,
            NOW,
            &mut rand::rng(),
        )
    }

    fn unavailable() -> StepError {
        let (operation, reason) = ("o".to_owned(), "503".to_owned());
        BynderError::Unavailable { operation, reason, sent: Sent::Maybe }.into()
    }

    fn waiting(settlement: Settlement) -> (Job, u64) {
        match settlement {
            Settlement::Wait { job, rung } => (*job, rung.as_secs()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_pause_costs_neither_an_attempt_nor_the_jobs_day() {
        let paused = BynderError::Paused { remaining: Duration::from_secs(100) };
        let (job, rung) = waiting(settle(job(), Err(paused.into())));
        assert_eq!((job.attempt, job.waited_ms, rung), (0, 0, 120));
    }

    #[test]
    fn a_call_that_failed_for_many_jobs_costs_one_of_them_an_attempt() {
        let shared = || StepError::from(BynderError::BatchFailed { reason: "503".to_owned() });
        let attempts = (0..50).map(|index| {
            let error = if index == 0 { unavailable() } else { shared() };
            waiting(settle(job(), Err(error))).0.attempt
        });
        assert_eq!(attempts.sum::<u32>(), 1);
    }

    #[test]
    fn a_submit_that_was_answered_with_a_time_to_come_back_is_waited_out_at_no_cost() {
        let (at, wait) = (imatag::Attempted::default(), Duration::from_secs(20));
        let busy = |sent| StepError::from(ImatagError::Busy { at: at.clone(), wait, sent }).of_effect();
        let (refused, rung) = waiting(settle(job(), Err(busy(Sent::No))));
        assert_eq!((refused.attempt, refused.waited_ms, refused.suspect, rung), (0, 0, false, 30));
        let (unsure, rung) = waiting(settle(job(), Err(busy(Sent::Maybe))));
        assert_eq!((unsure.attempt, unsure.waited_ms, unsure.suspect, rung), (0, 0, true, 120));
    }

    #[test]
    fn an_error_costs_an_attempt_and_the_last_one_fails_the_job() {
        let (once, _) = waiting(settle(job(), Err(unavailable())));
        assert_eq!((once.attempt, once.suspect, once.history.len()), (1, false, 1));
        let last = settle(Job { attempt: 2, ..job() }, Err(unavailable()));
        assert!(matches!(last, Settlement::Fail { event, .. } if event.outcome.name() == "failed"));
    }

    #[test]
    fn an_effect_without_an_answer_makes_the_job_suspect_and_waits_it_out() {
        let (job, rung) = waiting(settle(job(), Err(unavailable().of_effect())));
        assert_eq!((job.suspect, rung), (true, 120));
    }

    #[test]
    fn a_failure_that_is_the_services_costs_no_attempt_and_not_the_jobs_day() {
        let (job, _) = waiting(conclude(
            &settings(),
            &Expected::usual(&settings().rungs),
            job(),
            Err(unavailable()),
            Blame::Service,
            NOW,
            &mut rand::rng(),
        ));
        assert_eq!((job.attempt, job.waited_ms, job.history.len()), (0, 0, 1));
    }

    #[test]
    fn what_is_refused_is_tried_twice() {
        let refused = || {
            let (operation, message, right) = ("o".to_owned(), "403".to_owned(), Right::ReadAsset);
            StepError::from(BynderError::Forbidden { operation, message, right })
        };
        let (once, _) = waiting(settle(job(), Err(refused())));
        let ended = settle(once, Err(refused()));
        let Settlement::Fail { event, .. } = ended else { panic!("{ended:?}") };
        assert!(
            matches!(event.outcome, Outcome::Failed(failure) if failure.class == FailureClass::Permission)
        );
    }

    #[test]
    fn a_job_asks_at_first_when_its_work_is_expected_and_then_by_how_long_it_waited_for_it() {
        let old = Job { waited_ms: 600_000, ..job() };
        let (mut job, rung) = waiting(settle(old, Ok(StepEnd::Later(Step::Save))));
        assert_eq!((job.waited_ms, job.awaited(), rung), (605_000, Some(Duration::from_secs(5)), 5));
        for expected in [5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 30] {
            let (next, rung) = waiting(settle(job, Ok(StepEnd::NotYet(Wait::Service))));
            assert_eq!((rung, next.effects.awaited.map(|awaited| awaited.asked)), (expected, Some(true)));
            job = next;
        }
    }

    #[test]
    fn a_job_that_waited_a_day_fails() {
        let nearly = Job { waited_ms: (24 * 3600 - 5) * 1000, ..job() };
        let (whole, _) = waiting(settle(nearly, Ok(StepEnd::NotYet(Wait::Moment))));
        assert_eq!(whole.waited(), settings().longest_wait);
        let old = Job { waited_ms: 24 * 3600 * 1000, ..job() };
        let ended = settle(old, Ok(StepEnd::NotYet(Wait::Service)));
        let Settlement::Fail { event, .. } = ended else { panic!("{ended:?}") };
        assert!(matches!(event.outcome, Outcome::Failed(failure) if failure.class == FailureClass::TimedOut));
    }

    #[test]
    fn a_step_without_contact_to_the_queue_is_put_off_and_costs_nothing() {
        let silent = queue::QueueError::Unavailable("silent".to_owned());
        let (job, rung) = waiting(settle(job(), Err(silent.into())));
        assert_eq!((job.attempt, job.suspect, job.waited_ms, rung), (0, false, 0, 5));
    }

    #[test]
    fn a_step_that_comes_to_nothing_goes_back_and_costs_an_attempt() {
        let redo = StepEnd::Redo { step: Step::Transfer, reason: "lost".to_owned() };
        let (saving, _) = waiting(settle(job(), Ok(StepEnd::Later(Step::Save))));
        let (job, _) = waiting(settle(saving, Ok(redo)));
        assert_eq!((job.step, job.attempt), (Step::Transfer, 1));
        assert_eq!(job.effects.awaited, None, "what it waited for says nothing of the next work");
    }
}
