//! How long the services have been taking lately, so that a job asks for its result when it is likely to be there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::job::Job;

use decide::{LONGEST_POLL, Rungs};

/// What a service works on while a job waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Imatag's watermark.
    Watermark,
    /// Bynder's conversion of an import.
    Import,
}

/// The kinds of files that services take differently long for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileKind {
    Image,
    Video,
    Other,
}

impl FileKind {
    fn of(job: &Job) -> Self {
        let media_type = job.effects.original.as_ref().and_then(|facts| facts.media_type.as_deref());
        match media_type.and_then(|media_type| media_type.split('/').next()) {
            Some("image") => Self::Image,
            Some("video") => Self::Video,
            Some(_) | None => Self::Other,
        }
    }
}

/// In this time, half of what differs from the usual is forgotten: after a slow spell, a small library learns too
/// slowly from its few jobs.
const HALF_LIFE: Duration = Duration::from_mins(10);

/// The time that a work is expected to take, and when it was learnt.
#[derive(Debug, Clone, Copy)]
struct Estimate {
    time: Duration,
    at: Instant,
}

impl Estimate {
    fn now(self, usual: Duration, now: Instant) -> Duration {
        let age = now.saturating_duration_since(self.at).as_secs_f64();
        let kept = 0.5_f64.powf(age / HALF_LIFE.as_secs_f64());
        Duration::from_secs_f64(usual.as_secs_f64() * (1.0 - kept) + self.time.as_secs_f64() * kept)
    }
}

/// The time that each work is expected to take, by lane too: jobs of the backlog wait in queues as well, and so find
/// their work finished that took longer than they had to wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    estimates: [[[Estimate; 3]; 2]; 2],
    /// While nothing is known.
    usual: Duration,
    now: Instant,
}

impl Expected {
    /// When nothing is known.
    pub(crate) fn usual(rungs: &Rungs) -> Self {
        let (usual, now) = (rungs.moment(), Instant::now());
        Self { estimates: [[[Estimate { time: usual, at: now }; 3]; 2]; 2], usual, now }
    }

    fn at(self, now: Instant) -> Self {
        Self { now, ..self }
    }

    pub(crate) fn time(&self, work: Work, job: &Job) -> Duration {
        self.estimates[work as usize][job.lane as usize][FileKind::of(job) as usize].now(self.usual, self.now)
    }

    /// Learns that a job found its work finished after it had waited this long. `asked`: not by its first poll.
    ///
    /// The expectation settles where about one job in twenty asks too early: such a job raises it by a quarter at
    /// most, however long its work took, and one that asked once lowers it by a hundredth.
    fn learn(&mut self, work: Work, job: &Job, waited: Duration, asked: bool, rungs: &Rungs) {
        let before = self.time(work, job);
        let time = if asked {
            waited.min(before * 5 / 4).max(before).min(LONGEST_POLL)
        } else if waited <= rungs.first_poll(before) {
            (before * 99 / 100).max(rungs.shortest())
        } else {
            // It began to wait before the expectation was as low as now, which shows nothing.
            return;
        };
        self.estimates[work as usize][job.lane as usize][FileKind::of(job) as usize] =
            Estimate { time, at: self.now };
    }
}

/// What one process has learnt; clones share it.
#[derive(Debug, Clone)]
pub struct ServiceTimes(Arc<Mutex<Expected>>);

impl ServiceTimes {
    pub fn new(rungs: &Rungs) -> Self {
        Self(Arc::new(Mutex::new(Expected::usual(rungs))))
    }

    pub(crate) fn expected(&self) -> Expected {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).at(Instant::now())
    }

    /// Learns from a job whose work is finished.
    pub(crate) fn finished(&self, work: Work, job: &mut Job, rungs: &Rungs) {
        if let (Some(waited), Some(awaited)) = (job.awaited(), job.effects.awaited.take()) {
            let mut expected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            expected.now = Instant::now();
            expected.learn(work, job, waited, awaited.asked, rungs);
        }
    }
}

#[cfg(test)]
mod tests {
    use common::hash::FileFacts;

    use super::*;
    use crate::fakes::job;
    use crate::settings::samples::default_settings;

    /// The waits of a job whose work takes this long: when it asks, until it finds it finished.
    fn polls(times: &mut Expected, work: Work, job: &Job, takes: Duration) -> Vec<Duration> {
        let rungs = default_settings().rungs;
        let mut polls = vec![rungs.first_poll(times.time(work, job))];
        while polls[polls.len() - 1] < takes {
            let waited = polls[polls.len() - 1];
            polls.push(waited + rungs.next_poll(waited));
        }
        times.learn(work, job, polls[polls.len() - 1], polls.len() > 1, &rungs);
        polls
    }

    #[test]
    fn a_service_that_keeps_its_time_is_mostly_asked_once_and_soon_after() {
        for seconds in [1, 2, 5, 10, 15, 20, 60, 120] {
            let takes = Duration::from_secs(seconds);
            let mut times = Expected::usual(&default_settings().rungs);
            for _ in 0..200 {
                polls(&mut times, Work::Watermark, &job(), takes);
            }
            let polls: Vec<_> = (0..100).map(|_| polls(&mut times, Work::Watermark, &job(), takes)).collect();
            let asked: usize = polls.iter().map(Vec::len).sum();
            let late = polls.iter().filter_map(|polls| polls.last()).filter(|found| **found > takes * 3 / 2);
            assert!(asked <= 140, "{seconds} s: asked {asked} times for a hundred results");
            assert!(late.count() <= 5, "{seconds} s: {polls:?}");
        }
    }

    #[test]
    fn one_slow_file_makes_the_next_wait_little_longer() {
        let mut times = Expected::usual(&default_settings().rungs);
        polls(&mut times, Work::Watermark, &job(), Duration::from_mins(30));
        assert_eq!(times.time(Work::Watermark, &job()), Duration::from_millis(6250));
    }

    #[test]
    fn jobs_that_waited_at_once_teach_no_more_than_one_of_them() {
        let rungs = default_settings().rungs;
        let mut times = Expected::usual(&rungs);
        for _ in 0..1000 {
            times.learn(Work::Import, &job(), Duration::from_secs(5), false, &rungs);
        }
        assert_eq!(rungs.first_poll(times.time(Work::Import, &job())), Duration::from_secs(2));
        for _ in 0..1000 {
            times.learn(Work::Import, &job(), Duration::from_secs(7), true, &rungs);
        }
        assert_eq!(times.time(Work::Import, &job()), Duration::from_secs(7));
    }

    #[test]
    fn a_slow_spell_is_forgotten_within_the_hour() {
        let mut times = Expected::usual(&default_settings().rungs);
        let now = times.now;
        for _ in 0..20 {
            polls(&mut times, Work::Watermark, &job(), Duration::from_mins(5));
        }
        assert_eq!(times.time(Work::Watermark, &job()), LONGEST_POLL);
        let later = times.at(now + Duration::from_mins(40)).time(Work::Watermark, &job());
        assert!(later < Duration::from_secs(13), "{later:?}");
        let later = times.at(now + Duration::from_hours(1)).time(Work::Watermark, &job());
        assert!(later < Duration::from_secs(7), "{later:?}");
    }

    #[test]
    fn each_service_and_kind_of_file_has_its_own_time() {
        let (mut times, mut video) = (Expected::usual(&default_settings().rungs), job());
        let facts = FileFacts { media_type: Some("video/mp4".to_owned()), ..crate::fakes::facts(b"film") };
        video.effects.original = Some(facts);
        polls(&mut times, Work::Watermark, &video, Duration::from_mins(1));
        assert!(times.time(Work::Watermark, &video) > Duration::from_secs(5));
        assert_eq!(times.time(Work::Watermark, &job()), Duration::from_secs(5));
        assert_eq!(times.time(Work::Import, &video), Duration::from_secs(5));
    }
}
