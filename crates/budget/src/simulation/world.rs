//! A group of processes, the broker between them, and Bynder's count of the calls that arrive.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::super::member::News;
use super::super::minter::BrokerView;
use super::super::model::Model;
use super::super::timing::Timing;
use super::process::{Down, Mutant, Numbered, Process, Up};

pub(super) const BUDGET: u32 = 4000;
const TICK: Duration = Duration::from_millis(40);
/// The longest time from a call's admission until Bynder counts it.
const LATENCY: Duration = Duration::from_secs(20);
const WINDOW: Duration = Duration::from_mins(5);

pub(super) struct World {
    pub(super) random: StdRng,
    pub(super) now: Duration,
    pub(super) processes: Vec<Process>,
    names: usize,
    tokens: Model<Numbered>,
    minted: u64,
    spent: HashSet<u64>,
    /// Calls that the broker has allowed each process: it took the acknowledgement while no silence was recorded.
    allowed: HashMap<usize, u32>,
    /// Calls made that the broker had not allowed.
    pub(super) without_leave: usize,
    /// The deliberate bug of every process.
    pub(super) mutant: Option<Mutant>,
    /// The elected minter, by its name.
    pub(super) minter: Option<usize>,
    silent_until: Duration,
    trying: bool,
    /// The longest delay of a message between a process and the broker.
    slowest: Duration,
    /// Arrival times of the calls under way.
    under_way: BinaryHeap<Reverse<Duration>>,
    window: VecDeque<Duration>,
    pub(super) calls: usize,
    pub(super) busiest: usize,
    /// The time of the latest call into Bynder's block, if there is a block.
    pub(super) block: Option<Duration>,
    pub(super) blocked_calls: usize,
    /// How many of the next calls are never answered.
    pub(super) unanswered: u32,
    pub(super) down_until: Duration,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let slowest = Duration::from_millis(random.random_range(2..200));
        Self {
            random,
            now: Duration::from_secs(1000),
            processes: Vec::new(),
            names: 0,
            tokens: Model::default(),
            minted: 0,
            spent: HashSet::new(),
            allowed: HashMap::new(),
            without_leave: 0,
            mutant: None,
            minter: None,
            silent_until: Duration::ZERO,
            trying: false,
            slowest,
            under_way: BinaryHeap::new(),
            window: VecDeque::new(),
            calls: 0,
            busiest: 0,
            block: None,
            blocked_calls: 0,
            unanswered: 0,
            down_until: Duration::ZERO,
        }
    }

    pub(super) fn join(&mut self) {
        self.names += 1;
        let ahead = Duration::from_secs(self.random.random_range(0..100_000));
        let skew = self.random.random_range(0.999..1.001);
        let mut process = Process::new(self.names, BUDGET, self.now, ahead, skew);
        process.mutant = self.mutant;
        self.processes.push(process);
    }

    pub(super) fn run(&mut self, how_long: Duration) {
        let until = self.now + how_long;
        while self.now < until {
            self.step();
        }
    }

    pub(super) fn step(&mut self) {
        self.now += TICK;
        self.arrive();
        for index in 0..self.processes.len() {
            self.keep_connection(index);
        }
        for index in 0..self.processes.len() {
            while let Some((_, up)) = self.processes[index].up.pop_front_if(|(at, _)| *at <= self.now) {
                self.serve(index, up);
            }
        }
        for index in 0..self.processes.len() {
            if self.processes[index].frozen_until <= self.now {
                let (calls, sent) = self.processes[index].act(self.now);
                (0..calls).for_each(|_| self.call(index));
                for up in sent {
                    let at = self.arrival(index, true);
                    self.processes[index].up.push_back((at, up));
                }
            }
        }
    }

    /// When a message that is sent now arrives: after all earlier ones, and not while the process is cut off.
    fn arrival(&mut self, index: usize, up: bool) -> Duration {
        let delay = Duration::from_millis(1).max(self.slowest.mul_f64(self.random.random_range(0.0..1.0)));
        let process = &self.processes[index];
        let before =
            if up { process.up.back().map(|(at, _)| *at) } else { process.down.back().map(|(at, _)| *at) };
        (self.now + delay).max(before.unwrap_or_default()).max(process.cut_until)
    }

    fn keep_connection(&mut self, index: usize) {
        let (now, process) = (self.now, &mut self.processes[index]);
        let unreachable = process.frozen_until.max(process.cut_until) > now;
        // With heartbeats of ten seconds, the broker drops a silent connection after twenty to thirty.
        let unheard = if unreachable { *process.unheard.get_or_insert(now) } else { now };
        if !unreachable {
            process.unheard = None;
        }
        let patience = Duration::from_secs(20 + (process.name as u64 * 7) % 10);
        if now - unheard > patience || self.down_until > now {
            process.connected = false;
        }
        if process.connected {
            return;
        }
        self.lose(index);
        // The process notices once it runs and is reachable, or misses the broker's heartbeats itself.
        if self.processes[index].frozen_until <= now && self.down_until <= now {
            self.processes[index].up.clear();
            if self.processes[index].cut_until <= now {
                self.processes[index].reconnects();
            }
        }
    }

    /// The broker drops a connection.
    fn lose(&mut self, index: usize) {
        let name = self.processes[index].name;
        if self.minter == Some(name) {
            self.minter = None;
        }
        let delivered = self.tokens.lose(name, self.now);
        self.deliver(delivered);
    }

    fn deliver(&mut self, delivered: Vec<(usize, Numbered)>) {
        for (name, token) in delivered {
            self.send(name, Down::Token(token));
        }
    }

    fn send(&mut self, name: usize, down: Down) {
        let index = self.processes.iter().position(|process| process.name == name && process.connected);
        if let Some(index) = index {
            let at = self.arrival(index, false);
            self.processes[index].down.push_back((at, down));
        }
    }

    fn silent(&self) -> bool {
        self.silent_until > self.now
    }

    fn serve(&mut self, index: usize, up: Up) {
        let (now, name) = (self.now, self.processes[index].name);
        if !self.processes[index].connected {
            return;
        }
        let delivered = match up {
            Up::Consume(priority) => self.tokens.consume(name, priority, now),
            Up::Cancel => {
                self.tokens.cancel(name);
                Vec::new()
            }
            Up::GiveBack(token) => self.tokens.give_back(name, token, now),
            Up::Spend(token) => {
                assert!(self.spent.insert(token.0), "token {} is spent twice", token.0);
                let silent = self.silent();
                if !silent {
                    *self.allowed.entry(name).or_default() += token.1.calls;
                }
                self.send(name, Down::Spent(token, silent));
                self.tokens.acknowledge(name, token, now)
            }
            Up::Wish => {
                self.minter.into_iter().for_each(|minter| self.send(minter, Down::Wish));
                Vec::new()
            }
            Up::Elect => {
                if self.minter.is_none() {
                    self.minter = Some(name);
                    self.send(name, Down::Elected);
                }
                Vec::new()
            }
            Up::Publish(token) => {
                assert_eq!(self.minter, Some(name), "who is not in office mints");
                self.minted += 1;
                self.send(name, Down::Confirmed);
                self.tokens.publish((self.minted, token), now)
            }
            Up::LookForMinter => {
                let consumers = u32::try_from(self.tokens.consumers()).unwrap();
                let look = BrokerView { silent: self.silent(), trying: self.trying, consumers };
                self.send(name, Down::Saw(look));
                Vec::new()
            }
            Up::Record(News::Refused) => {
                (self.silent_until, self.trying) = (now + Timing::real().pause, true);
                Vec::new()
            }
            Up::Record(News::Over) => {
                self.trying = false;
                Vec::new()
            }
            Up::BrokerView => {
                let silent = self.silent();
                self.send(name, Down::Silent(silent));
                Vec::new()
            }
        };
        self.deliver(delivered);
    }

    fn call(&mut self, index: usize) {
        self.calls += 1;
        let latency = self.random.random_range(0.0..1.0);
        self.under_way.push(Reverse(self.now + LATENCY.mul_f64(latency)));
        let process = &mut self.processes[index];
        let allowed = self.allowed.entry(process.name).or_default();
        match allowed.checked_sub(1) {
            Some(left) => *allowed = left,
            None => self.without_leave += 1,
        }
        let clock = process.clock(self.now);
        if self.unanswered > 0 {
            self.unanswered -= 1;
            return;
        }
        match &mut self.block {
            Some(last) if self.now.saturating_sub(*last) < WINDOW => {
                *last = self.now;
                self.blocked_calls += 1;
                process.member.refused(clock);
            }
            _ => {
                self.block = None;
                process.member.answered(clock);
            }
        }
    }

    fn arrive(&mut self) {
        while let Some(Reverse(at)) = self.under_way.peek().copied().filter(|at| at.0 <= self.now) {
            self.under_way.pop();
            let oldest = at.saturating_sub(WINDOW);
            while self.window.front().is_some_and(|at| *at <= oldest) {
                self.window.pop_front();
            }
            self.window.push_back(at);
            self.busiest = self.busiest.max(self.window.len());
        }
    }

    pub(super) fn minted(&self) -> u64 {
        self.minted
    }

    /// Calls made in the fresh lane, and in the backlog.
    pub(super) fn calls_by_lane(&self) -> (u64, u64) {
        let of = |backlog: bool| {
            let processes = self.processes.iter().filter(move |process| process.backlog == backlog);
            processes.map(|process| process.member.used()).sum()
        };
        (of(false), of(true))
    }

    pub(super) fn in_office(&self) -> Option<usize> {
        self.processes
            .iter()
            .position(|process| process.minter.is_some() && Some(process.name) == self.minter)
    }

    /// Kills a process: usually the broker learns at once; if its whole machine is gone, it does not.
    pub(super) fn kill(&mut self, index: usize) {
        if self.random.random_bool(0.7) {
            self.lose(index);
            self.processes.swap_remove(index);
        } else {
            self.processes[index].frozen_until = Duration::MAX;
        }
    }

    /// Disturbs one process at random, often the minter.
    pub(super) fn disturb(&mut self) {
        let count = self.processes.len();
        if count == 0 {
            return self.join();
        }
        let long = Duration::from_millis(self.random.random_range(50..60_000));
        let any = self.random.random_range(0..count);
        let index = self.in_office().filter(|_| self.random.random_bool(0.5)).unwrap_or(any);
        match self.random.random_range(0..9) {
            0 | 1 if count < 12 => self.join(),
            2 if count > 1 => self.kill(index),
            3 | 4 => {
                let frozen = &mut self.processes[index].frozen_until;
                *frozen = (*frozen).max(self.now + long);
            }
            5 => self.processes[index].cut_until = self.now + long,
            6 => self.processes[index].idle_until = self.now + long,
            7 => self.processes[index].connected = false,
            8 if self.random.random_bool(0.2) => {
                (self.minter, self.down_until) = (None, self.now + Duration::from_secs(1) + long / 4);
                self.tokens.restart();
            }
            _ => {}
        }
    }
}
