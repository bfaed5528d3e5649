use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::Instant;

use super::gate::{Budget, Demand};
use super::member::{Member, News};
use super::timing::Timing;
use super::token::{GOOD_FOR, Token};
use super::{OperatorPause, Records};
use bynder::{Gate, Paused};
use common::job::Lane;

/// A budget for one process, on tokio's clock.
fn budget(requests: u32) -> Budget {
    let started = Instant::now();
    let member = Member::alone(requests, Timing::real(), Duration::ZERO);
    Budget::new(member, None, None, Box::new(move || started.elapsed()))
}

fn pause() -> Duration {
    Timing::real().pause
}

#[tokio::test(start_paused = true)]
async fn a_refusal_stops_every_call_until_the_block_is_over() {
    let budget = budget(4000);
    budget.admit(Lane::Fresh, 1).await.unwrap();
    budget.refused();
    assert_eq!(budget.admit(Lane::Fresh, 1).await, Err(Paused { remaining: pause() }));
    tokio::time::advance(pause() - Duration::from_secs(1)).await;
    assert!(budget.admit(Lane::Fresh, 1).await.is_err());
    assert_eq!(budget.used(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_later_refusal_or_answer_starts_the_silence_anew() {
    for later in [Budget::refused, Budget::answered] {
        let budget = budget(4000);
        budget.refused();
        tokio::time::advance(pause() - Duration::from_secs(1)).await;
        later(&budget);
        tokio::time::advance(pause() / 2).await;
        assert!(budget.admit(Lane::Fresh, 1).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_silence_one_call_goes_alone_and_then_all() {
    let budget = budget(4000);
    budget.refused();
    budget.resumed().await;
    budget.admit(Lane::Fresh, 1).await.unwrap();
    assert!(budget.admit(Lane::Fresh, 1).await.is_err());
    budget.answered();
    budget.admit(Lane::Fresh, 1).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_first_call_after_a_silence_is_no_pair() {
    let budget = budget(4000);
    budget.refused();
    budget.resumed().await;
    assert_eq!(budget.admit(Lane::Fresh, 2).await, Ok(1));
    assert!(budget.admit(Lane::Fresh, 2).await.is_err());
    budget.answered();
    assert_eq!(budget.admit(Lane::Fresh, 2).await, Ok(2));
    assert_eq!(budget.used(), 3);
    budget.refund(2);
    assert_eq!(budget.used(), 1);
}

#[tokio::test(start_paused = true)]
async fn after_a_silence_the_work_begins_slowly() {
    let budget = budget(4000);
    budget.refused();
    budget.resumed().await;
    budget.admit(Lane::Fresh, 1).await.unwrap();
    budget.answered();
    assert!((budget.figures().share - 1000.0).abs() < 1.0);
    tokio::time::advance(Timing::real().ramp).await;
    assert!((budget.figures().share - 4000.0).abs() < 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_its_token_is_stopped_by_a_refusal() {
    let budget = budget(20);
    budget.admit(Lane::Fresh, 1).await.unwrap();
    let mut waiting = Box::pin(budget.admit(Lane::Fresh, 1));
    assert!((&mut waiting).now_or_never().is_none());
    budget.refused();
    assert!(waiting.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_no_longer_than_its_patience() {
    let budget = budget(1);
    budget.admit(Lane::Fresh, 1).await.unwrap();
    assert_eq!(budget.admit(Lane::Fresh, 1).await, Err(Paused { remaining: Timing::real().beat }));
}

#[tokio::test(start_paused = true)]
async fn the_fresh_lane_has_four_calls_of_five_while_both_wait() {
    let budget = Arc::new(budget(300));
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    for lane in [Lane::Backlog, Lane::Fresh] {
        for _ in 0..60 {
            let (budget, sender) = (Arc::clone(&budget), sender.clone());
            tasks::brief(async move {
                budget.admit(lane, 1).await.unwrap();
                sender.send(lane).unwrap();
            });
        }
    }
    let mut fresh = 0;
    for _ in 0..50 {
        fresh += u32::from(receiver.recv().await.unwrap() == Lane::Fresh);
    }
    assert!((38..=42).contains(&fresh), "{fresh} of 50");
}

#[tokio::test(start_paused = true)]
async fn a_person_pauses_the_work_for_as_long_as_they_like() {
    let budget = budget(4000);
    budget.set_operator_pause(Some(OperatorPause { since: jiff::Timestamp::UNIX_EPOCH, reason: None }));
    let waiting = tokio::time::timeout(Duration::from_hours(1000), budget.resumed());
    assert!(waiting.await.is_err());
    budget.set_operator_pause(None);
    budget.resumed().await;
}

#[test]
fn a_silence_on_record_outlives_the_process_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let records = Records::new(&folder.path().join("state"));
    assert_eq!(records.silence(), None);
    records.record_silence(Duration::from_secs(100)).unwrap();
    let left = records.silence().unwrap();
    assert!(left > Duration::from_secs(98) && left <= Duration::from_secs(100), "{left:?}");
    records.record_silence(Duration::ZERO).unwrap();
    assert_eq!(records.silence(), None);
    let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let from_the_future = format!("{{\"since\":\"{tomorrow}\",\"milliseconds\":100000}}");
    std::fs::write(folder.path().join("state/silence.json"), from_the_future).unwrap();
    assert_eq!(records.silence(), Some(Duration::from_secs(100)));
}

#[tokio::test]
async fn a_silence_of_another_process_on_the_same_state_is_kept_too() {
    let folder = tempfile::tempdir().unwrap();
    let budget = || Budget::alone(4000.try_into().unwrap(), Some(Records::new(folder.path())));
    let (one, other) = (budget(), budget());
    one.refused();
    assert!(other.follow_records().now_or_never().is_none());
    assert!(other.admit(Lane::Fresh, 1).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_record_that_a_clock_set_back_keeps_alive_silences_once() {
    let folder = tempfile::tempdir().unwrap();
    let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let record = format!("{{\"since\":\"{tomorrow}\",\"milliseconds\":100000}}");
    std::fs::write(folder.path().join("silence.json"), record).unwrap();
    let started = Instant::now();
    let member = Member::alone(4000, Timing::real(), Duration::ZERO);
    let records = Some(Records::new(folder.path()));
    let budget = Budget::new(member, records, None, Box::new(move || started.elapsed()));
    let following = budget.clone();
    let _following = tasks::brief(async move { following.follow_records().await });
    // The paused clock passes these times at once.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(budget.paused().is_some());
    tokio::time::sleep(Duration::from_secs(100)).await;
    budget.admit(Lane::Fresh, 1).await.unwrap();
}

#[test]
fn a_persons_pause_is_kept_until_it_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let records = Records::new(folder.path());
    let pause = OperatorPause { since: jiff::Timestamp::UNIX_EPOCH, reason: Some("audit".to_owned()) };
    records.pause(&pause).unwrap();
    assert_eq!(records.operator_pause(), Some(pause));
    std::fs::write(folder.path().join("pause.json"), "?").unwrap();
    assert!(records.operator_pause().is_some());
    assert!(records.resume().unwrap());
    assert!(!records.resume().unwrap());
    assert_eq!(records.operator_pause(), None);
}

/// A group's budget, on tokio's clock.
fn of_group() -> Budget {
    let started = Instant::now();
    let member = Member::of_group(4000, Timing::real());
    Budget::new(member, None, None, Box::new(move || started.elapsed()))
}

const ONE: Token = Token { calls: 1, canary: false };

#[tokio::test(start_paused = true)]
async fn a_call_of_a_group_waits_for_a_token_and_each_token_lets_its_calls_go() {
    let budget = of_group();
    assert!(budget.admit(Lane::Fresh, 1).now_or_never().is_none());
    budget.grant(Token { calls: 3, canary: false });
    assert_eq!(budget.admit(Lane::Fresh, 2).await, Ok(2));
    assert_eq!(budget.admit(Lane::Fresh, 1).await, Ok(1));
    assert!(budget.admit(Lane::Fresh, 1).now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_no_call_used_in_time_is_void() {
    let budget = of_group();
    budget.grant(ONE);
    tokio::time::advance(GOOD_FOR).await;
    assert!(budget.admit(Lane::Fresh, 1).now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_silence_voids_the_tokens_in_hand_wherever_it_is_known_from() {
    for silenced in [Budget::refused, |budget: &Budget| budget.informed(true)] {
        let budget = of_group();
        budget.grant(ONE);
        silenced(&budget);
        assert!(budget.admit(Lane::Fresh, 1).await.is_err());
        tokio::time::advance(pause()).await;
        assert!(budget.admit(Lane::Fresh, 1).now_or_never().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_from_before_a_silence_let_no_call_go_however_soon_it_is_over() {
    let budget = of_group();
    budget.grant(ONE);
    budget.informed(true);
    budget.informed(false);
    assert_eq!(budget.paused(), None);
    assert!(budget.admit(Lane::Fresh, 1).now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_was_refused_is_not_taken_for_answered_later() {
    let budget = of_group();
    budget.grant(Token { calls: 1, canary: true });
    budget.admit(Lane::Fresh, 1).await.unwrap();
    budget.refused();
    assert_eq!(budget.news().now_or_never(), Some(News::Refused));
    tokio::time::advance(pause()).await;
    budget.answered();
    assert_eq!(budget.news().now_or_never(), None);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_and_the_answer_to_a_canary_go_on_the_groups_record() {
    let budget = of_group();
    assert!(budget.news().now_or_never().is_none());
    budget.refused();
    assert_eq!(budget.news().now_or_never(), Some(News::Refused));
    budget.keep_news(News::Refused);
    assert_eq!(budget.news().now_or_never(), Some(News::Refused), "it could not be put there");
    tokio::time::advance(pause()).await;
    budget.grant(Token { calls: 1, canary: true });
    assert_eq!(budget.admit(Lane::Fresh, 2).await, Ok(1), "it goes alone");
    assert!(budget.news().now_or_never().is_none());
    budget.answered();
    assert_eq!(budget.news().now_or_never(), Some(News::Over));
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_known_and_so_is_whether_tokens_lack() {
    let budget = of_group();
    let demand = budget.demand();
    assert_eq!(budget.lacks(), 0);
    let mut backlog = Box::pin(budget.admit(Lane::Backlog, 1));
    assert!((&mut backlog).now_or_never().is_none());
    assert_eq!(*demand.borrow(), Demand::Backlog);
    let mut fresh = Box::pin(budget.admit(Lane::Fresh, 2));
    assert!((&mut fresh).now_or_never().is_none());
    assert_eq!(*demand.borrow(), Demand::Fresh);
    budget.grant(Token { calls: 2, canary: false });
    assert_eq!(budget.lacks(), 1);
    budget.grant(ONE);
    assert_eq!(budget.lacks(), 0);
    drop((backlog, fresh));
    assert_eq!(*demand.borrow(), Demand::Nothing);
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_jobs_learns_at_once_of_a_silence_and_of_a_persons_pause() {
    let silent: [fn(&Budget); 2] = [|budget| budget.refused(), |budget| budget.informed(true)];
    let pause = OperatorPause { since: jiff::Timestamp::UNIX_EPOCH, reason: None };
    let paused = |budget: &Budget| budget.set_operator_pause(Some(pause.clone()));
    for halt in silent.iter().map(|halt| halt as &dyn Fn(&Budget)).chain([&paused as &dyn Fn(&Budget)]) {
        let budget = of_group();
        let mut halted = Box::pin(budget.halted());
        assert!((&mut halted).now_or_never().is_none() && !budget.is_halted());
        halt(&budget);
        assert!(halted.now_or_never().is_some() && budget.is_halted());
    }
}
