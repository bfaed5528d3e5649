//! A group of processes, the broker between them, and Bynder's count of what arrives.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::super::beat::Beat;
use super::super::member::{Admission, Member};
use super::super::timing::Timing;

pub(super) const BUDGET: f64 = 4000.0;
/// The longest a call takes from its admission to where Bynder counts it.
const LATENCY: Duration = Duration::from_secs(20);
const TICK: Duration = Duration::from_millis(100);

pub(super) struct Process {
    pub(super) member: Member,
    pub(super) name: usize,
    /// Announcements on their way to it, in order, each with its time of arrival.
    inbox: VecDeque<(Duration, Beat)>,
    /// Its clock is this much ahead, and runs this much too fast.
    ahead: Duration,
    skew: f64,
    beat_at: Duration,
    frozen_until: Duration,
    pub(super) cut_until: Duration,
    was_cut: bool,
    /// Nothing to do for it until then.
    pub(super) idle_until: Duration,
    /// Its next call was told to wait until then.
    asks_at: Duration,
}

impl Process {
    pub(super) fn clock(&self, now: Duration) -> Duration {
        self.ahead + now.mul_f64(self.skew)
    }
}

pub(super) struct World {
    pub(super) random: StdRng,
    pub(super) budget: f64,
    pub(super) now: Duration,
    pub(super) processes: Vec<Process>,
    names: usize,
    /// When the calls under way arrive.
    under_way: BinaryHeap<Reverse<Duration>>,
    window: VecDeque<Duration>,
    pub(super) calls: usize,
    pub(super) busiest: usize,
    /// The most that all shares together came to, in calls per five minutes.
    pub(super) highest: f64,
    /// Delivery and loss of messages in this history.
    slowest: u64,
    pub(super) lost: f64,
    /// Bynder's block, if the history has one.
    pub(super) last_call_in_block: Option<Duration>,
    pub(super) blocked_calls: usize,
    record_until: Duration,
    /// So many of the next calls are never answered.
    pub(super) unanswered: u32,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
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
            unanswered: 0,
        }
    }

    pub(super) fn join(&mut self) {
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
            was_cut: false,
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

    pub(super) fn step(&mut self) {
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
            let places = if self.random.random_ratio(1, 4) { 2 } else { 1 };
            match process.member.admit(places, clock) {
                Admission::Go(places) => admitted += places,
                Admission::Wait(wait) | Admission::Paused(wait) => process.asks_at = now + wait,
            }
        }
        while process.inbox.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, beat)) = process.inbox.pop_front() {
                process.member.heard(&beat, clock);
            }
        }
        let is_cut = process.cut_until > now;
        if process.was_cut && !is_cut {
            process.member.reconnects();
        }
        process.was_cut = is_cut;
        if process.member.depends_on_record() && !is_cut {
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
        for _ in 0..admitted {
            self.call();
            self.answer(index, clock);
        }
        if let Some(beat) = beat.filter(|_| !is_cut) {
            self.publish(&beat);
        }
    }

    fn answer(&mut self, index: usize, clock: Duration) {
        if self.unanswered > 0 {
            self.unanswered -= 1;
            return;
        }
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
    pub(super) fn disturb(&mut self) {
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
