use std::time::Duration;

use common::job::{FailedAttempt, Job, Step};
use common::outcome::{Failure, FailureClass, Outcome};
use queue::{QueueError, Settlement};
use telemetry::StepResult;

use crate::fakes::queue::delivery;
use crate::fakes::{NOW, Scene, job, logged};
use crate::settle::settle;

/// How the step counts, and what is logged.
async fn settled(
    scene: &Scene,
    before: Job,
    settlement: Settlement,
) -> (Result<StepResult, QueueError>, String) {
    let delivery = delivery(before, false);
    logged(settle(&scene.environment, delivery, settlement)).await
}

fn waits(job: Job) -> Settlement {
    Settlement::Wait { job: Box::new(job), rung: Duration::from_secs(5) }
}

fn attempts(scene: &Scene) -> usize {
    let metrics = scene.environment.metrics.render();
    let used = metrics.lines().find(|line| line.starts_with("connector_step_retries_total{step=\"submit\"}"));
    used.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn each_settlement_counts_as_what_it_is() {
    let scene = Scene::new();
    let later = Job { step: Step::Transfer, ..job() };
    let back = Job { step: Step::Submit, ..job() };
    let failure = Failure { class: FailureClass::Refused, reason: "no".into(), request_id: None };
    let failed = Box::new(job().ended(Outcome::Failed(failure), NOW));
    let done = Box::new(job().ended(Outcome::Gone, NOW));
    for (before, settlement, result, said) in [
        (job(), Settlement::Forward(Box::new(later.clone())), StepResult::Forward, ""),
        (job(), waits(later.clone()), StepResult::Forward, ""),
        (job(), waits(job()), StepResult::Wait, ""),
        (later, waits(back), StepResult::Wait, ""),
        (job(), Settlement::Finish(done), StepResult::Finish, "outcome=\"gone\""),
        (
            job(),
            Settlement::Fail { job: Box::new(job()), event: failed },
            StepResult::Fail,
            "class=\"refused\"",
        ),
    ] {
        let (settled, log) = settled(&scene, before, settlement.clone()).await;
        assert_eq!(settled.unwrap(), result);
        assert_eq!(scene.queue.settlement(), settlement);
        assert_eq!((log.contains(said), log.is_empty()), (true, said.is_empty()), "{log}");
    }
    let metrics = scene.environment.metrics.render();
    for outcome in ["gone", "failed"] {
        assert!(metrics.contains(&format!("outcome=\"{outcome}\"}} 1")), "{metrics}");
    }
    assert_eq!(attempts(&scene), 0);
}

#[tokio::test]
async fn an_attempt_that_was_used_is_counted_and_a_failed_one_is_told() {
    let scene = Scene::new();
    let failed = |reason: &str| {
        let mut job = Job { attempt: 1, ..job() };
        let (step, class, reason) = (Step::Submit, FailureClass::Exhausted, reason.to_owned());
        job.remember(FailedAttempt { at: NOW, step, class, reason, request_id: None });
        job
    };
    let (_, log) = settled(&scene, job(), waits(failed("503"))).await;
    assert!(log.contains("the step failed") && log.contains("reason=\"503\""), "{log}");
    // A job that waits to take its marker back uses up an attempt without a failed one.
    let closing = Job { attempt: 2, ..failed("503") };
    let (_, log) = settled(&scene, failed("503"), waits(closing)).await;
    assert_eq!((log.as_str(), attempts(&scene)), ("", 2));
    // No attempt was used up.
    let (_, log) = settled(&scene, job(), waits(Job { attempt: 0, ..failed("503") })).await;
    let (_, less) = settled(&scene, failed("503"), waits(job())).await;
    assert_eq!((log + &less, attempts(&scene)), (String::new(), 2));
    // For the last one, only the end is logged.
    let last = failed("504");
    let failure = Failure { class: FailureClass::Exhausted, reason: "504".into(), request_id: None };
    let event = Box::new(last.ended(Outcome::Failed(failure), NOW));
    let (_, log) = settled(&scene, job(), Settlement::Fail { job: Box::new(last), event }).await;
    assert_eq!((log.lines().count(), attempts(&scene)), (1, 3), "{log}");
}

#[tokio::test]
async fn what_the_queue_does_not_take_is_neither_counted_nor_told() {
    let scene = Scene::new();
    *scene.queue.refuses.lock().unwrap() = Some(QueueError::Unavailable("away".to_owned()));
    let done = Settlement::Finish(Box::new(job().ended(Outcome::Gone, NOW)));
    let (result, log) = settled(&scene, job(), done).await;
    assert!(result.is_err() && log.is_empty(), "{log}");
    assert!(scene.environment.metrics.render().contains("outcome=\"gone\"} 0"));
}
