use common::job::Step;
use common::outcome::{FailureClass, Outcome};
use http_client::Sent;
use imatag::{ResultLocation, Submitted};
use queue::Left;

use super::{failed, paid};
use crate::end::StepEnd;
use crate::error::{StepError, Verdict};
use crate::fakes::portal::{not_found, unavailable};
use crate::fakes::watermarker::{body, medium};
use crate::fakes::{Scene, WATERMARKED, facts, job, record, watermarker};
use breakers::Breakers;

#[tokio::test]
async fn a_submit_without_an_answer_leaves_the_asset_in_doubt() {
    for (sent, left, suspect) in [(Sent::Maybe, Left::Doubt, true), (Sent::No, Left::AsFound, false)] {
        let (scene, mut job) = (Scene::new(), job());
        scene.imatag.fails("submit", watermarker::unavailable(sent));
        let error = scene.run(&mut job).await.unwrap_err();
        assert!(matches!(error.verdict(), Verdict::Retry { suspect: found, .. } if found == suspect));
        assert_eq!(scene.locks.left(), [left]);
        assert_eq!((job.effects.media_id, job.bytes_uploaded, paid(&scene)), (None, 0, 0));
    }
}

#[tokio::test]
async fn a_result_that_came_with_the_answer_goes_on_to_the_save() {
    let results: [fn() -> Submitted; 2] = [
        || Submitted::Ready { medium: Some(medium()), result: ResultLocation::Medium(medium()) },
        || Submitted::Bytes { medium: Some(medium()), body: body(WATERMARKED) },
    ];
    for result in results {
        let (scene, mut job) = (Scene::new(), job());
        scene.imatag.lock().submitted.push_back(result());
        assert_eq!(scene.end(&mut job).await, StepEnd::Later(Step::Save));
        assert_eq!(job.effects.watermarked, Some(facts(WATERMARKED)));
        assert_eq!((job.effects.marked, paid(&scene)), (Some(record(2)), 1));
    }
}

#[tokio::test]
async fn a_result_that_is_lost_is_asked_for_by_its_medium_or_looked_for() {
    for known in [true, false] {
        let (scene, mut job) = (Scene::new(), job());
        let medium = known.then(medium);
        let ready =
            Submitted::Ready { medium: medium.clone(), result: ResultLocation::Medium(self::medium()) };
        scene.imatag.lock().submitted.push_back(ready);
        scene.imatag.fails("download", watermarker::unavailable(Sent::No));
        let error = scene.run(&mut job).await.unwrap_err();
        assert_eq!(matches!(error, StepError::UnknownOutcome(_)), !known, "{error}");
        assert_eq!(job.effects.media_id, medium);
        assert_eq!(job.step, if known { Step::Transfer } else { Step::Submit });

        let (scene, mut job) = (Scene::new(), self::job());
        scene.imatag.lock().submitted.push_back(Submitted::AlreadyProtected { medium });
        scene.portal.fails("asset", unavailable(Sent::No));
        let error = scene.run(&mut job).await.unwrap_err();
        assert_eq!(matches!(error, StepError::UnknownOutcome(_)), !known, "{error}");
    }
}

#[tokio::test]
async fn what_imatag_calls_protected_or_refuses_ends_the_job() {
    let unlisted = || Submitted::Unlisted { reason: "a film".to_owned() };
    let refused = |may_be_profile| Submitted::Refused { reason: "broken".to_owned(), may_be_profile };
    let (scene, mut protected) = (Scene::new(), job());
    scene.imatag.lock().submitted.push_back(Submitted::AlreadyProtected { medium: None });
    assert_eq!(scene.end(&mut protected).await, StepEnd::Ended(Outcome::AlreadyProtected));
    assert_eq!(paid(&scene), 0);
    for (answer, said) in [
        (unlisted(), "lake was not sent: a film"),
        (refused(false), "Imatag refused lake: broken"),
        (refused(true), "Imatag refused lake: broken"),
    ] {
        let (scene, mut job) = (Scene::new(), job());
        scene.imatag.lock().submitted.push_back(answer);
        assert_eq!(failed(scene.end(&mut job).await), (FailureClass::Unsupported, said.to_owned()));
        assert_eq!(paid(&scene), 0, "{said}");
    }
    // If nothing was accepted with the profile yet, the profile may be at fault.
    for (answer, unproven) in [(unlisted(), false), (refused(false), false), (refused(true), true)] {
        let (mut scene, mut job) = (Scene::new(), job());
        scene.environment.breakers = Breakers::for_wire(false);
        scene.imatag.lock().submitted.push_back(answer);
        let result = scene.run(&mut job).await;
        assert_eq!(matches!(result, Err(StepError::Unproven(_))), unproven, "{result:?}");
        assert!(!scene.environment.breakers.is_wire_proven());
        scene.run(&mut self::job()).await.unwrap();
        assert!(scene.environment.breakers.is_wire_proven());
    }
}

#[tokio::test]
async fn an_asset_without_a_name_is_shown_by_its_id() {
    let (scene, mut job) = (Scene::new(), job());
    job.asset_name = String::new();
    scene.portal.fails("download", not_found());
    let (_, reason) = failed(scene.end(&mut job).await);
    assert!(reason.contains("version 1 of A ("), "{reason}");
}
