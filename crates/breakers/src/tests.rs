use futures::FutureExt;

use super::*;

fn job(name: &str) -> JobId {
    JobId(name.to_owned())
}

const PACE: Pace = Pace { first: Duration::from_secs(5), longest: Duration::from_mins(10) };

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_in_an_outage_and_a_call_finds_its_end() {
    let breakers = Breakers::default();
    breakers.trip(Service::Bynder, Trouble::Outage, "503");
    tokio::time::advance(LONGEST_PAUSE * 100).await;
    assert!(breakers.acquire().now_or_never().is_none());
    assert_eq!(breakers.probe_due().await, Service::Bynder);
    breakers.answers_again(Service::Bynder);
    assert!(!breakers.acquire().await.is_probe());
}

#[tokio::test(start_paused = true)]
async fn failed_probes_wait_longer_and_longer() {
    let breakers = Breakers::default();
    breakers.trip(Service::Imatag, Trouble::Outage, "503");
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let before = Instant::now();
        let service = breakers.probe_due().await;
        pauses.push(before.elapsed().as_secs());
        breakers.trip(service, Trouble::Outage, "503");
        // Another job that was already running changes nothing.
        breakers.trip(service, Trouble::Outage, "503");
    }
    assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_is_tried_out_by_one_job_at_a_time_and_comes_before_an_outage() {
    let breakers = Breakers::default();
    breakers.trip(Service::Bynder, Trouble::Outage, "503");
    breakers.trip(Service::Imatag, Trouble::Credential, "401");
    assert_eq!(breakers.worst().map(|breaker| breaker.trouble), Some(Trouble::Credential));
    breakers.answers_again(Service::Bynder);
    let probe = breakers.acquire().await;
    assert!(probe.is_probe());
    assert!(breakers.acquire().now_or_never().is_none());
    drop(probe);
    assert!(breakers.acquire().await.is_probe());
    breakers.succeeded(Service::Imatag, Step::Submit);
    assert!(!breakers.acquire().await.is_probe());
}

#[tokio::test(start_paused = true)]
async fn a_refused_write_is_the_roles_unless_others_were_permitted_and_it_alone_is_refused() {
    let breakers = Breakers::default();
    assert_eq!(breakers.write_refused(&job("a"), "403"), Blame::Service);
    // Reading keeps working.
    breakers.succeeded(Service::Bynder, Step::Submit);
    assert_eq!(breakers.worst().map(|breaker| breaker.trouble), Some(Trouble::WriteRefused));
    breakers.permitted(Service::Bynder);
    assert_eq!(breakers.worst(), None);
    assert_eq!(breakers.write_refused(&job("a"), "403"), Blame::Job);
    assert_eq!(breakers.write_refused(&job("a"), "403"), Blame::Job);
    assert_eq!(breakers.write_refused(&job("b"), "403"), Blame::Service);
    assert_eq!(breakers.write_refused(&job("a"), "403"), Blame::Service);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_refused_reads_in_a_row_are_the_assets_own() {
    let breakers = Breakers::default();
    for round in 0..2 {
        for number in 0..100 {
            assert_eq!(
                breakers.read_refused(&job(&number.to_string())),
                Some(Blame::Job),
                "{round} {number}"
            );
        }
    }
    assert_eq!(breakers.read_refused(&job("one more")), None);
    breakers.may_read();
    assert_eq!(breakers.read_refused(&job("one more")), Some(Blame::Job));
}

#[tokio::test(start_paused = true)]
async fn submits_that_are_refused_job_after_job_are_the_accounts() {
    let breakers = Breakers::default();
    for number in 0..20 {
        assert_eq!(breakers.submit_refused(&job(&number.to_string()), "403"), Blame::Job);
    }
    assert_eq!(breakers.submit_refused(&job("one more"), "403"), Blame::Service);
    breakers.permitted(Service::Imatag);
    breakers.succeeded(Service::Imatag, Step::Submit);
    assert_eq!(breakers.submit_refused(&job("one more"), "403"), Blame::Job);
}

#[tokio::test(start_paused = true)]
async fn only_a_step_that_fails_job_after_job_is_slowed_and_a_success_ends_it() {
    let breakers = Breakers::default();
    for _ in 0..20 {
        breakers.failed_alone(Service::Imatag, Step::Submit, &job("same"), PACE);
    }
    assert!(!breakers.is_slowed(Step::Submit));
    for number in 0..5 {
        breakers.failed_alone(Service::Imatag, Step::Submit, &job(&number.to_string()), PACE);
    }
    assert!(breakers.is_slowed(Step::Submit));
    assert_eq!(breakers.steps(), StepSet::ALL.without(StepSet::SUBMIT));
    // A later step of the same service is no evidence for this one.
    breakers.succeeded(Service::Imatag, Step::Transfer);
    assert!(breakers.turn(Step::Submit).is_none());
    tokio::time::advance(PACE.longest).await;
    let turn = breakers.turn(Step::Submit).unwrap();
    assert!(breakers.turn(Step::Submit).is_none());
    drop(turn);
    assert!(breakers.turn(Step::Submit).is_some());
    breakers.succeeded(Service::Imatag, Step::Submit);
    assert_eq!(breakers.steps(), StepSet::ALL);
}

#[test]
fn the_public_reason_holds_nothing_that_a_service_wrote() {
    for trouble in [
        Trouble::Outage,
        Trouble::Credential,
        Trouble::ReadRefused,
        Trouble::WriteRefused,
        Trouble::Configuration,
    ] {
        let breakers = Breakers::default();
        breakers.trip(Service::Bynder, trouble, "words of a service");
        let said = breakers.worst().unwrap().public_reason();
        assert!(said.starts_with("Bynder ") && !said.contains("words"), "{said}");
    }
    let breakers = Breakers::default();
    breakers.trip(Service::Machine, Trouble::Outage, "the disk is full");
    assert_eq!(breakers.worst().unwrap().public_reason(), "the disk is full");
}
