//! The two laws of the breakers, at the default settings and on a clock of their own: jobs that fail for their own
//! reasons end, and an outage fails almost none.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::Duration;

use breakers::{Breakers, Pace, Trouble};
use bynder::{BynderError, Right};
use common::job::{Job, Lane, RunId, Step};
use common::outcome::{FailureClass, Outcome};
use common::service::Service;
use futures::FutureExt;
use http_client::Sent;
use imatag::{Attempted, ImatagError};
use jiff::Timestamp;
use queue::Settlement;
use tokio::time::Instant;

use crate::blame::attribute;
use crate::conclude::conclude;
use crate::end::StepEnd;
use crate::error::StepError;
use crate::probe::{Probed, ServiceHealth};
use crate::service_times::Expected;
use crate::settings::Settings;
use crate::settings::samples;

const CONCURRENCY: usize = 16;
/// How long a step takes.
const TICK: Duration = Duration::from_secs(1);

/// What a job runs into in its first step.
#[derive(Clone, Copy)]
enum Meets {
    SubmitRefusedWith500,
    ReadRefused,
    Success,
}

struct World {
    meets: Box<dyn Fn(usize) -> Meets>,
    service: Probed,
    others_may_be_read: Cell<bool>,
}

impl ServiceHealth for World {
    async fn of(&self, _: Service) -> Probed {
        self.service.clone()
    }

    async fn may_read_any(&self) -> Result<bool, BynderError> {
        Ok(self.others_may_be_read.get())
    }
}

fn unavailable() -> StepError {
    let (at, reason) = (Attempted::default(), "500".to_owned());
    StepError::from(ImatagError::Unavailable { at, reason, sent: Sent::Maybe }).of_effect()
}

fn refused() -> StepError {
    let (operation, message, right) = ("o".to_owned(), "Access denied".to_owned(), Right::ReadAsset);
    BynderError::Forbidden { operation, message, right }.into()
}

/// One worker and its queue.
struct Fleet {
    breakers: Breakers,
    settings: Settings,
    ready: VecDeque<(usize, Job)>,
    waiting: Vec<(Instant, usize, Job)>,
    ended: Vec<FailureClass>,
    done: usize,
}

impl Fleet {
    fn of(jobs: usize) -> Self {
        let new = |number: usize| {
            let asset = format!("A{number}").parse().unwrap();
            let at = Timestamp::UNIX_EPOCH;
            (number, Job::new(RunId("r".to_owned()), asset, "", Lane::Backlog, 1, None, at))
        };
        Self {
            breakers: Breakers::default(),
            settings: samples::default_settings(),
            ready: (0..jobs).map(new).collect(),
            waiting: Vec::new(),
            ended: Vec::new(),
            done: 0,
        }
    }

    fn open(&self) -> usize {
        self.ready.len() + self.waiting.len()
    }

    /// Works for this long, or until no job is open.
    async fn work(&mut self, world: &World, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end && self.open() > 0 {
            let now = Instant::now();
            while let Some(index) = self.waiting.iter().position(|(due, ..)| *due <= now) {
                let (_, number, job) = self.waiting.remove(index);
                self.ready.push_back((number, job));
            }
            let mut at_work = Vec::new();
            while at_work.len() < CONCURRENCY && !self.ready.is_empty() {
                let Some(leave) = self.breakers.acquire().now_or_never() else { break };
                let Some(turn) = self.breakers.turn(Step::Submit) else { break };
                let (number, job) = self.ready.pop_front().unwrap();
                at_work.push((leave, turn, number, job));
            }
            tokio::time::advance(TICK).await;
            for (leave, turn, number, job) in at_work {
                self.settle(world, number, job).await;
                drop((leave, turn));
            }
            if let Some(service) = self.breakers.probe_due().now_or_never() {
                match world.of(service).await {
                    Probed::Up => self.breakers.answers_again(service),
                    Probed::Down(reason) => {
                        self.breakers.trip(service, Trouble::Outage, &reason);
                    }
                }
            }
        }
    }

    async fn settle(&mut self, world: &World, number: usize, job: Job) {
        let result = match (world.meets)(number) {
            Meets::SubmitRefusedWith500 => Err(unavailable()),
            Meets::ReadRefused => Err(refused()),
            Meets::Success => Ok(StepEnd::Ended(Outcome::Watermarked { version: 2 })),
        };
        let pace = Pace::of_rungs(&self.settings.rungs);
        let blame = attribute(&self.breakers, world, pace, &job, &result).await;
        match conclude(
            &self.settings,
            &Expected::usual(&self.settings.rungs),
            job,
            result,
            blame,
            Timestamp::UNIX_EPOCH,
            &mut rand::rng(),
        ) {
            Settlement::Wait { job, rung } => self.waiting.push((Instant::now() + rung, number, *job)),
            Settlement::Fail { event, .. } => match event.outcome {
                Outcome::Failed(failure) => self.ended.push(failure.class),
                other => panic!("{other:?}"),
            },
            Settlement::Finish(_) => self.done += 1,
            Settlement::Forward(job) => panic!("{job:?}"),
        }
    }
}

fn world(service: Probed, others_may_be_read: bool, meets: impl Fn(usize) -> Meets + 'static) -> World {
    World { meets: Box::new(meets), service, others_may_be_read: Cell::new(others_may_be_read) }
}

const DAY: Duration = Duration::from_hours(24);

#[tokio::test(start_paused = true)]
async fn assets_that_may_not_be_read_end_as_failed_however_many_and_alone_in_the_queue() {
    for count in [1, 3, 50, 100, 400] {
        let mut fleet = Fleet::of(count);
        fleet.work(&world(Probed::Up, true, |_| Meets::ReadRefused), DAY).await;
        assert_eq!((fleet.open(), fleet.ended.len()), (0, count));
        assert!(fleet.ended.iter().all(|class| *class == FailureClass::Permission));
        assert_eq!(fleet.breakers.worst(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn assets_that_always_fail_end_as_failed_alone_in_the_queue() {
    for count in [1, 3, 10] {
        let mut fleet = Fleet::of(count);
        fleet.work(&world(Probed::Up, true, |_| Meets::SubmitRefusedWith500), DAY * 4).await;
        assert_eq!((fleet.open(), fleet.ended.len()), (0, count));
        assert_eq!(fleet.breakers.worst(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_few_assets_that_always_fail_hold_up_no_other() {
    let mut fleet = Fleet::of(2000);
    fleet
        .work(
            &world(Probed::Up, true, |number| match number {
                0..20 => Meets::SubmitRefusedWith500,
                20..60 => Meets::ReadRefused,
                _ => Meets::Success,
            }),
            DAY * 4,
        )
        .await;
    assert_eq!((fleet.open(), fleet.ended.len(), fleet.done), (0, 60, 1940));
}

#[tokio::test(start_paused = true)]
async fn twelve_hours_of_refused_submits_fail_next_to_no_job() {
    for service in [Probed::Up, Probed::Down("503".to_owned())] {
        let mut fleet = Fleet::of(1000);
        fleet.work(&world(service.clone(), true, |_| Meets::SubmitRefusedWith500), DAY / 2).await;
        assert!(fleet.ended.len() <= 20, "{service:?}: {} failed", fleet.ended.len());
        let failed = fleet.ended.len();
        fleet.work(&world(Probed::Up, true, |_| Meets::Success), DAY).await;
        assert_eq!((fleet.open(), fleet.done), (0, 1000 - failed), "{service:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_download_refused_stops_the_intake_and_the_right_brings_it_back() {
    let mut fleet = Fleet::of(1000);
    fleet.work(&world(Probed::Up, false, |_| Meets::ReadRefused), DAY / 2).await;
    assert!(fleet.ended.len() <= 100, "{} failed", fleet.ended.len());
    assert_eq!(fleet.breakers.worst().map(|breaker| breaker.trouble), Some(Trouble::ReadRefused));
    let failed = fleet.ended.len();
    fleet.work(&world(Probed::Up, true, |_| Meets::Success), DAY).await;
    assert_eq!((fleet.open(), fleet.done), (0, 1000 - failed));
}
