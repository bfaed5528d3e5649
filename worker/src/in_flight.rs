//! How long a request may still take effect after it was given up, and how a job waits for that. Pure.

use std::time::Duration;

use common::job::{Job, Step};

use crate::settings::Settings;

/// How long a request of this step may still take effect. If a service watermarks while the caller waits, its
/// medium may take as long to show as its profile allows.
fn doubt(settings: &Settings, step: Step) -> Duration {
    match step {
        Step::Submit => settings.request_timeout.max(settings.submit_patience),
        Step::Transfer | Step::Save => settings.request_timeout,
    }
}

/// How long an asset is kept from other jobs after a step whose effect is unknown: no shorter than its own job
/// waits.
pub(crate) fn lockout(settings: &Settings, step: Step) -> Duration {
    let doubt = doubt(settings, step);
    doubt.max(settings.rungs.suspect(doubt))
}

/// Makes the job wait until its step's requests can no longer take effect: returns the first of its waits.
pub(crate) fn begin(settings: &Settings, job: &mut Job) -> Duration {
    job.outwait_ms = millis(doubt(settings, job.step));
    next(settings, job).unwrap_or(settings.rungs.moment())
}

/// The next of these waits; `None` once they are over. The job counts them, rather than a clock, since each of them
/// may be on another machine.
pub(crate) fn next(settings: &Settings, job: &mut Job) -> Option<Duration> {
    let left = Duration::from_millis(job.outwait_ms);
    if left.is_zero() {
        return None;
    }
    let rung = settings.rungs.suspect(left);
    job.outwait_ms = job.outwait_ms.saturating_sub(millis(rung));
    Some(rung)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use common::job::{Lane, RunId};
    use jiff::Timestamp;

    use super::*;
    use crate::settings::samples::default_settings;
    use decide::Rungs;

    fn settings() -> Settings {
        Settings { rungs: Rungs::new([5, 30, 120].map(Duration::from_secs).to_vec()), ..default_settings() }
    }

    fn job(step: Step) -> Job {
        let (run, asset) = (RunId("r".to_owned()), "A".parse().unwrap());
        Job { step, ..Job::new(run, asset, "", Lane::Fresh, 1, None, Timestamp::UNIX_EPOCH) }
    }

    /// The waits until the job resumes, in seconds.
    fn waits(settings: &Settings, step: Step) -> Vec<u64> {
        let mut job = job(step);
        let first = begin(settings, &mut job);
        let waits = std::iter::once(first).chain(std::iter::from_fn(|| next(settings, &mut job)));
        waits.map(|wait| wait.as_secs()).collect()
    }

    #[test]
    fn a_submit_is_waited_out_as_long_as_it_may_take_and_a_save_as_long_as_a_request() {
        let slow = Settings { submit_patience: Duration::from_mins(5), ..settings() };
        assert_eq!(waits(&slow, Step::Submit), [120, 120, 120]);
        assert_eq!(waits(&slow, Step::Save), [120]);
        let quick = Settings { submit_patience: Duration::ZERO, ..settings() };
        assert_eq!(waits(&quick, Step::Submit), [120]);
        assert_eq!(lockout(&slow, Step::Submit), Duration::from_mins(5));
        assert_eq!(lockout(&slow, Step::Save), Duration::from_mins(2));
    }
}
