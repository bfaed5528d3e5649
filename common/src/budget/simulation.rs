//! Whole groups in virtual time: members join, leave, crash, stand still and are cut off, messages are late or lost,
//! clocks run apart and jump, calls take their time to arrive. However it comes, no window of five minutes holds more calls than Bynder allows.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::beat::Beat;
use super::member::{Admission, Member};
use super::timing::Timing;

const LIMIT: usize = 4500;
const BUDGET: f64 = 4000.0;
/// All shares together, at any moment: the budget and what up to nine newcomers may use before they have theirs.
const SHARES: f64 = BUDGET * 1.09 + 1.0;
/// The longest a call takes from its admission to where Bynder counts it.
const LATENCY: Duration = Duration::from_secs(20);
const TICK: Duration = Duration::from_millis(100);
/// Histories in a plain test run; `CONNECTOR_HISTORIES` asks for more.
const HISTORIES: u64 = 60;

struct Process {
    member: Member,
    name: usize,
    /// Announcements on their way to it, in order, each with its time of arrival.
    inbox: VecDeque<(Duration, Beat)>,
    /// Its clock is this much ahead, and runs this much too fast.
    ahead: Duration,
    skew: f64,
    beat_at: Duration,
    frozen_until: Duration,
    cut_until: Duration,
    /// Nothing to do for it until then.
    idle_until: Duration,
    /// Its next call was told to wait until then.
    asks_at: Duration,
}

impl Process {
    fn clock(&self, now: Duration) -> Duration {
        self.ahead + now.mul_f64(self.skew)
    }
}

struct World {
    random: StdRng,
    budget: f64,
    now: Duration,
    processes: Vec<Process>,
    names: usize,
    /// When the calls under way arrive.
    under_way: BinaryHeap<Reverse<Duration>>,
    window: VecDeque<Duration>,
    calls: usize,
    busiest: usize,
    /// The most that all shares together came to, in calls per five minutes.
    highest: f64,
    /// Delivery and loss of messages in this history.
    slowest: u64,
    lost: f64,
    /// Bynder's block, if the history has one.
    last_call_in_block: Option<Duration>,
    blocked_calls: usize,
    record_until: Duration,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let (slowest, lost) = (random.random_range(20..3000), random.random_range(0.0..0.05));
        Self {
            random,
            budget: BUDGET,
            now: Duration::from_secs(1000),
            processes: Vec::new(),
            names: 0,
            under_way: BinaryHeap::new(),
            window: VecDeque::new(),
            calls: 0,
            busiest: 0,
            highest: 0.0,
            slowest,
            lost,
            last_call_in_block: None,
            blocked_calls: 0,
            record_until: Duration::ZERO,
        }
    }

    fn join(&mut self) {
        self.names += 1;
        let ahead = Duration::from_secs(self.random.random_range(0..100_000));
        let skew = self.random.random_range(0.99..1.01);
        let clock = ahead + self.now.mul_f64(skew);
        let member = Member::of_group(format!("m{:03}", self.names), self.budget, Timing::real(), clock);
        let frozen_until = self.now;
        self.processes.push(Process {
            member,
            name: self.names,
            inbox: VecDeque::new(),
            ahead,
            skew,
            beat_at: self.now,
            frozen_until,
            cut_until: frozen_until,
            idle_until: frozen_until,
            asks_at: frozen_until,
        });
    }

    /// The broker hands an announcement to everybody that it reaches, in order.
    fn publish(&mut self, beat: &Beat) {
        for to in 0..self.processes.len() {
            if self.random.random_bool(self.lost) || self.processes[to].cut_until > self.now {
                continue;
            }
            let delay = Duration::from_millis(self.random.random_range(1..self.slowest));
            let inbox = &mut self.processes[to].inbox;
            let earliest = inbox.back().map_or(Duration::ZERO, |(at, _)| *at);
            inbox.push_back(((self.now + delay).max(earliest), beat.clone()));
        }
    }

    fn call(&mut self) {
        self.calls += 1;
        let latency = self.random.random_range(0.0..1.0);
        self.under_way.push(Reverse(self.now + LATENCY.mul_f64(latency)));
    }

    fn arrive(&mut self) {
        while let Some(Reverse(at)) = self.under_way.peek().copied().filter(|at| at.0 <= self.now) {
            self.under_way.pop();
            let oldest = at.saturating_sub(Duration::from_mins(5));
            while self.window.front().is_some_and(|at| *at <= oldest) {
                self.window.pop_front();
            }
            self.window.push_back(at);
            self.busiest = self.busiest.max(self.window.len());
        }
    }

    fn step(&mut self) {
        self.now += TICK;
        self.arrive();
        for index in 0..self.processes.len() {
            if self.processes[index].frozen_until <= self.now {
                self.act(index);
            }
        }
        let now = self.now;
        let running = self.processes.iter_mut().filter(|process| process.frozen_until <= now);
        let rates = running.map(|process| process.member.rate(process.ahead + now.mul_f64(process.skew)));
        self.highest = self.highest.max(rates.sum::<f64>() * 300.0);
    }

    fn act(&mut self, index: usize) {
        let now = self.now;
        let process = &mut self.processes[index];
        let clock = process.clock(now);
        // What arrives and what is decided come in any order after a standstill: calls first is the worst.
        let mut admitted = 0;
        while process.idle_until.max(process.asks_at) <= now && admitted < 400 {
            match process.member.admit(clock) {
                Admission::Go => admitted += 1,
                Admission::Wait(wait) | Admission::Paused(wait) => process.asks_at = now + wait,
            }
        }
        while process.inbox.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, beat)) = process.inbox.pop_front() {
                process.member.heard(&beat, clock);
            }
        }
        if process.member.depends_on_record() && process.cut_until <= now {
            let remaining = self.record_until.saturating_sub(now);
            if !remaining.is_zero() {
                process.member.on_record(Timing::real().contact, clock);
            }
            process.member.informed();
        }
        let announces = process.beat_at <= now || process.member.is_urgent();
        let beat = announces.then(|| {
            process.beat_at = now + Timing::real().beat;
            process.member.announce(clock)
        });
        let is_cut = process.cut_until > now;
        for _ in 0..admitted {
            self.call();
            self.answer(index, clock);
        }
        if let Some(beat) = beat.filter(|_| !is_cut) {
            self.publish(&beat);
        }
    }

    fn answer(&mut self, index: usize, clock: Duration) {
        let window = Duration::from_mins(5);
        match &mut self.last_call_in_block {
            Some(last) if self.now.saturating_sub(*last) < window => {
                *last = self.now;
                self.blocked_calls += 1;
                self.processes[index].member.refused(clock);
                self.record_until = self.now + Timing::real().pause;
            }
            _ => {
                self.last_call_in_block = None;
                self.processes[index].member.answered(clock);
            }
        }
    }

    /// Something happens to somebody.
    fn disturb(&mut self) {
        let count = self.processes.len();
        let long = Duration::from_millis(self.random.random_range(100..400_000));
        match self.random.random_range(0..8) {
            0 | 1 if count < 9 => self.join(),
            2 if count > 1 => {
                let index = self.random.random_range(0..count);
                self.processes.swap_remove(index);
            }
            3 if count > 1 => {
                let index = self.random.random_range(0..count);
                let process = self.processes.swap_remove(index);
                let beat = Beat { leaving: true, ..beat_of(process) };
                self.publish(&beat);
            }
            4 if count > 0 => {
                let index = self.random.random_range(0..count);
                self.processes[index].frozen_until = self.now + long;
            }
            5 if count > 0 => {
                let index = self.random.random_range(0..count);
                self.processes[index].cut_until = self.now + long;
            }
            6 if count > 0 => {
                let index = self.random.random_range(0..count);
                self.processes[index].idle_until = self.now + long;
            }
            7 if count > 0 => {
                let index = self.random.random_range(0..count);
                self.processes[index].ahead += long;
            }
            _ => {}
        }
    }
}

fn beat_of(mut process: Process) -> Beat {
    let clock = process.clock(Duration::from_secs(9999));
    process.member.announce(clock)
}

fn histories() -> u64 {
    std::env::var("CONNECTOR_HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(HISTORIES)
}

#[test]
fn whatever_happens_no_window_holds_more_than_bynder_allows() {
    let (mut worst, mut most) = ((0, 0), 0.0_f64);
    for seed in 0..histories() {
        let mut world = World::new(seed);
        let members = world.random.random_range(1..7);
        for _ in 0..members {
            world.join();
        }
        let often = world.random.random_range(5_u32..400);
        for _ in 0..9000 {
            world.step();
            if world.random.random_ratio(1, often) {
                world.disturb();
            }
        }
        worst = worst.max((world.busiest, seed));
        most = most.max(world.highest);
        assert!(world.highest <= SHARES, "history {seed}: shares of {} calls in all", world.highest);
        assert!(world.busiest <= LIMIT, "history {seed}: {} calls in a window", world.busiest);
    }
    println!(
        "{} histories of 15 minutes; the busiest window: {} calls (history {}); all shares together: {most:.0} at most",
        histories(),
        worst.0,
        worst.1
    );
}

#[test]
fn a_quiet_group_uses_nearly_all_of_its_budget() {
    for members in [1, 2, 5, 9] {
        let mut world = World::new(7);
        for _ in 0..members {
            world.join();
        }
        (0..600).for_each(|_| world.step());
        let before = world.calls;
        (0..3000).for_each(|_| world.step());
        let used = world.calls - before;
        assert!((3800..=4050).contains(&used), "{members} members made {used} calls in five minutes");
    }
}

#[test]
fn members_that_pause_for_breath_still_use_nearly_all_of_the_budget() {
    let mut world = World::new(11);
    (0..5).for_each(|_| world.join());
    let mut before = 0;
    for tick in 0..6000 {
        if tick == 1200 {
            before = world.calls;
        }
        // Each wants nothing for up to three seconds, every ten seconds or so: together they want twice the budget.
        if tick % 20 == 0 {
            let index = world.random.random_range(0..5);
            world.processes[index].idle_until =
                world.now + Duration::from_millis(world.random.random_range(100..3000));
        }
        world.step();
    }
    let allowed = BUDGET * 480.0 / 300.0;
    let used = (world.calls - before) as f64;
    assert!(used >= 0.95 * allowed, "{used} of {allowed}");
}

#[test]
fn who_had_nothing_to_do_gets_an_equal_part_of_what_another_used_up() {
    // So small that a newcomer's part is one call in many announcements.
    let mut world = World { budget: 800.0, ..World::new(5) };
    (0..4).for_each(|_| world.join());
    let until = world.now + Duration::from_mins(1);
    world.processes.iter_mut().skip(1).for_each(|process| process.idle_until = until);
    (0..1500).for_each(|_| world.step());
    for process in &mut world.processes {
        let clock = process.clock(world.now);
        let calls = process.member.rate(clock) * 300.0;
        assert!((calls - 200.0).abs() < 10.0, "member {} may make {calls} calls", process.name);
    }
}

#[test]
fn one_that_wants_much_gets_what_the_others_leave() {
    let mut world = World::new(3);
    (0..5).for_each(|_| world.join());
    for process in world.processes.iter_mut().filter(|process| process.name != 1) {
        process.idle_until = Duration::MAX;
    }
    (0..1200).for_each(|_| world.step());
    let before = world.calls;
    (0..3000).for_each(|_| world.step());
    let used = world.calls - before;
    assert!(used > 3700, "it made {used} calls in five minutes");
}

#[test]
fn a_block_is_outwaited_by_everybody_and_then_tried_by_few() {
    for seed in 0..histories() / 4 {
        let mut world = World::new(seed);
        (0..5).for_each(|_| world.join());
        (0..600).for_each(|_| world.step());
        world.last_call_in_block = Some(world.now);
        (0..100).for_each(|_| world.step());
        let in_block = world.blocked_calls;
        assert!(in_block > 0);
        // Latecomers find the silence on record, or hear of it.
        for round in 0..30 {
            (0..100).for_each(|_| world.step());
            if round % 7 == 0 {
                world.join();
            }
        }
        assert_eq!(world.blocked_calls, in_block, "history {seed}: somebody called into the block");
        let before = world.calls;
        (0..200).for_each(|_| world.step());
        let tried = world.calls;
        (0..3000).for_each(|_| world.step());
        assert_eq!(world.blocked_calls, in_block, "history {seed}");
        assert!(
            world.calls - tried > 3000,
            "history {seed}: {} then {}",
            tried - before,
            world.calls - tried
        );
    }
}
