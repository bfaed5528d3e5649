use std::time::Duration;

use super::minter::{BrokerView, Duty, Minter};
use super::timing::Timing;
use super::token::{MOST_A_SECOND, PREFETCH, Token};

const CALM: BrokerView = BrokerView { silent: false, trying: false, consumers: 1 };
const SILENT: BrokerView = BrokerView { silent: true, trying: true, consumers: 1 };
const TRYING: BrokerView = BrokerView { silent: false, trying: true, consumers: 1 };

/// An elected minter, and a clock.
struct Bench {
    minter: Minter,
    now: Duration,
    shows: BrokerView,
    confirms: bool,
}

impl Bench {
    fn new(requests: u32) -> Self {
        let now = Duration::from_secs(1000);
        let minter = Minter::elected(requests, Timing::real(), now);
        Self { minter, now, shows: CALM, confirms: true }
    }

    /// Runs the minter for this long; returns the tokens.
    fn run(&mut self, how_long: Duration) -> Vec<Token> {
        let (until, mut tokens) = (self.now + how_long, Vec::new());
        loop {
            match self.minter.duty(self.now) {
                Duty::Mint(token) => {
                    tokens.push(token);
                    if self.confirms {
                        self.minter.confirmed();
                    }
                }
                Duty::Query => self.minter.saw(self.shows, self.now),
                Duty::Wait(wait) if self.now + wait < until => self.now += wait.max(Duration::from_nanos(1)),
                Duty::Wait(_) | Duty::Sleep | Duty::Resign => {
                    self.now = until;
                    return tokens;
                }
            }
        }
    }

    fn calls(&mut self, seconds: u64) -> u32 {
        self.run(Duration::from_secs(seconds)).iter().map(|token| token.calls).sum()
    }
}

#[test]
fn a_minter_mints_the_budget_whatever_it_is_in_few_tokens() {
    for requests in [300, 4000, 4500, 1_000_000] {
        let mut bench = Bench::new(requests);
        let tokens = bench.run(Duration::from_mins(5));
        let calls: u32 = tokens.iter().map(|token| token.calls).sum();
        assert!(
            calls <= requests && f64::from(calls) > 0.99 * f64::from(requests) - 1.0,
            "{calls} of {requests}"
        );
        assert!(tokens.len() <= 300 * MOST_A_SECOND as usize, "{} tokens", tokens.len());
    }
}

#[test]
fn ticks_that_were_missed_are_skipped() {
    let mut bench = Bench::new(4000);
    bench.run(Duration::from_secs(5));
    bench.now += Duration::from_mins(1);
    assert!(bench.calls(1) <= 15);
}

#[test]
fn nothing_is_minted_without_demand_until_a_member_wishes() {
    let mut bench = Bench::new(4000);
    bench.shows.consumers = 0;
    assert_eq!(bench.calls(60), 0);
    assert_eq!(bench.minter.duty(bench.now), Duty::Sleep);
    bench.minter.wished(bench.now);
    bench.shows.consumers = 1;
    assert!((13..=15).contains(&bench.calls(1)));
}

#[test]
fn a_minter_that_slept_through_a_silence_sees_that_before_it_mints() {
    let mut bench = Bench::new(4000);
    bench.shows.consumers = 0;
    bench.run(Duration::from_mins(10));
    bench.shows = TRYING;
    bench.minter.wished(bench.now);
    assert_eq!(bench.run(Duration::from_secs(5)), [Token { calls: 1, canary: true }]);
}

#[test]
fn a_silence_stops_the_minter_then_one_call_is_tried_a_minute_and_then_it_goes_slowly() {
    let mut bench = Bench::new(4000);
    bench.run(Duration::from_secs(5));
    bench.shows = SILENT;
    bench.run(Duration::from_secs(1));
    assert_eq!(bench.calls(330), 0);
    bench.shows = TRYING;
    let tried = bench.run(Duration::from_secs(90));
    assert_eq!(tried, [Token { calls: 1, canary: true }; 2], "the first is never answered");
    bench.shows = CALM;
    bench.run(Duration::from_secs(1));
    let slowly = bench.calls(25);
    assert!((75..=90).contains(&slowly), "{slowly} calls in 25 s");
    bench.run(Duration::from_secs(10));
    assert!(bench.calls(30) > 390);
}

#[test]
fn a_minter_whose_tokens_are_not_confirmed_resigns_within_a_second_of_them() {
    let mut bench = Bench::new(4000);
    bench.confirms = false;
    let minted = bench.run(Duration::from_mins(1));
    assert!(minted.len() <= MOST_A_SECOND as usize, "{} tokens", minted.len());
    assert_eq!(bench.minter.duty(bench.now), Duty::Resign);
}

#[test]
fn what_too_many_members_may_have_in_hand_comes_out_of_the_rate() {
    for consumers in [2, 50, 100, 500, 1500] {
        let mut bench = Bench::new(4000);
        bench.shows.consumers = consumers;
        bench.run(Duration::from_secs(2));
        let most = bench.calls(300) + consumers * u32::from(PREFETCH);
        assert!(most <= 4201, "{consumers} members: {most}");
    }
}
