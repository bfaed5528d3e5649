use std::collections::VecDeque;

use futures::FutureExt;
use governor::clock::FakeRelativeClock;
use proptest::prelude::*;

use super::*;

fn budget(requests: u32) -> (Budget<FakeRelativeClock>, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    (Budget::with_clock(NonZeroU32::new(requests).unwrap(), PAUSE, clock.clone()), clock)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    /// Greedy callers, idle for random times: no window of five minutes holds more than Bynder allows.
    #[test]
    fn the_default_budget_stays_below_the_limit_in_every_window(idle in prop::collection::vec(0_u64..200_000, 1..40)) {
        let (budget, clock) = budget(4000);
        let (mut now, mut window) = (Duration::ZERO, VecDeque::new());
        for pause in idle {
            let step = Duration::from_millis(pause);
            clock.advance(step);
            now += step;
            for _ in 0..400 {
                if budget.shared.bucket.check().is_err() {
                    let tick = Duration::from_millis(20);
                    clock.advance(tick);
                    now += tick;
                    continue;
                }
                window.push_back(now);
                while window.front().is_some_and(|first| now - *first >= WINDOW) {
                    window.pop_front();
                }
                prop_assert!(window.len() <= 4500, "{} calls in five minutes", window.len());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_stops_every_call_until_the_block_is_over() {
    let (budget, _) = budget(4000);
    budget.admit().await.unwrap();
    budget.refused();
    assert_eq!(budget.admit().await, Err(Paused { remaining: PAUSE }));
    tokio::time::advance(PAUSE - Duration::from_secs(1)).await;
    assert!(budget.admit().await.is_err());
    assert_eq!(budget.used(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_later_refusal_starts_the_silence_anew() {
    let (budget, _) = budget(4000);
    budget.refused();
    tokio::time::advance(PAUSE / 2).await;
    budget.refused();
    tokio::time::advance(PAUSE / 2).await;
    assert!(budget.admit().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn after_the_silence_one_call_goes_alone() {
    let (budget, _) = budget(4000);
    budget.refused();
    budget.resumed().await;
    budget.admit().await.unwrap();
    assert!(budget.admit().await.is_err());
    budget.answered();
    budget.admit().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_its_token_is_stopped_by_a_refusal() {
    let (budget, _) = budget(20);
    budget.admit().await.unwrap();
    let mut waiting = Box::pin(budget.admit());
    assert!((&mut waiting).now_or_never().is_none());
    budget.refused();
    assert!(waiting.await.is_err());
}
