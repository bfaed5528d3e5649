//! One process: the production code of member and minter, and a model of the I/O around them.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::member::{Admission, Member, News};
use super::super::minter::{BrokerView, Duty, Minter};
use super::super::timing::Timing;
use super::super::token::{GOOD_FOR, Token};

const LINGER: Duration = Duration::from_millis(300);
const MISSING: Duration = Duration::from_secs(1);

/// A deliberate bug, to show that the laws detect it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutant {
    /// Spends a token as it acknowledges it, before the broker has answered.
    SpendsBeforeTheAnswer,
    /// Spends a token although the answer shows a recorded silence.
    IgnoresTheSilence,
}

/// A token with its number.
pub(super) type Numbered = (u64, Token);

/// A message to the broker.
#[derive(Debug, Clone, Copy)]
pub(super) enum Up {
    Consume(i32),
    Cancel,
    GiveBack(Numbered),
    /// Acknowledges, and asks whether a silence is recorded.
    Spend(Numbered),
    Wish,
    Elect,
    Publish(Token),
    LookForMinter,
    Record(News),
    /// Asks whether a silence is recorded.
    BrokerView,
}

/// A message from the broker.
#[derive(Debug, Clone, Copy)]
pub(super) enum Down {
    Token(Numbered),
    Spent(Numbered, bool),
    Elected,
    Wish,
    Confirmed,
    Saw(BrokerView),
    Silent(bool),
}

pub(super) struct Process {
    pub(super) name: usize,
    pub(super) member: Member,
    pub(super) minter: Option<Minter>,
    requests: u32,
    /// How far its clock is ahead, and how much too fast it runs.
    ahead: Duration,
    skew: f64,
    /// Messages under way, in order, each with its time of arrival.
    pub(super) up: VecDeque<(Duration, Up)>,
    pub(super) down: VecDeque<(Duration, Down)>,
    pub(super) frozen_until: Duration,
    pub(super) cut_until: Duration,
    /// Whether the broker still considers it connected.
    pub(super) connected: bool,
    /// Since when nothing from it has reached the broker.
    pub(super) unheard: Option<Duration>,
    /// It has no calls to make until then.
    pub(super) idle_until: Duration,
    /// Whether its calls are for the backlog.
    pub(super) backlog: bool,
    pub(super) mutant: Option<Mutant>,
    consuming: bool,
    in_hand: VecDeque<(Duration, Numbered)>,
    /// When it last acknowledged a token, and how many acknowledgements are unanswered.
    asked: (Duration, usize),
    had: Duration,
    idle: Option<Duration>,
    looked: Duration,
    asks_at: Duration,
}

impl Process {
    pub(super) fn new(name: usize, requests: u32, now: Duration, ahead: Duration, skew: f64) -> Self {
        Self {
            name,
            member: Member::of_group(requests, Timing::real()),
            minter: None,
            requests,
            ahead,
            skew,
            up: VecDeque::new(),
            down: VecDeque::new(),
            frozen_until: now,
            cut_until: now,
            connected: true,
            unheard: None,
            idle_until: now,
            backlog: name.is_multiple_of(2),
            mutant: None,
            consuming: false,
            in_hand: VecDeque::new(),
            asked: (Duration::ZERO, 0),
            had: Duration::ZERO,
            idle: None,
            looked: Duration::ZERO,
            asks_at: Duration::ZERO,
        }
    }

    pub(super) fn clock(&self, now: Duration) -> Duration {
        self.ahead + now.mul_f64(self.skew)
    }

    /// It notices that its connection is lost, and connects again.
    pub(super) fn reconnects(&mut self) {
        self.up.clear();
        self.down.clear();
        self.in_hand.clear();
        (self.minter, self.asked.1, self.consuming, self.idle) = (None, 0, false, None);
        (self.connected, self.unheard) = (true, None);
    }

    /// Runs it once; returns the calls that it makes and the messages that it sends.
    pub(super) fn act(&mut self, now: Duration) -> (u32, Vec<Up>) {
        let clock = self.clock(now);
        let (mut calls, mut sent) = (0, Vec::new());
        // After a suspension, calls and received messages are handled in any order. Calls first is the worst case.
        self.call(now, clock, &mut calls);
        while let Some((_, down)) = self.down.pop_front_if(|(at, _)| *at <= now) {
            self.take(down, clock);
        }
        self.call(now, clock, &mut calls);
        self.want(now, clock, &mut sent);
        self.mint(clock, &mut sent);
        if let Some(news) = self.member.take_news() {
            sent.push(Up::Record(news));
        }
        if clock.saturating_sub(self.looked) >= Timing::real().beat {
            self.looked = clock;
            sent.push(Up::BrokerView);
        }
        (calls, sent)
    }

    fn call(&mut self, now: Duration, clock: Duration, calls: &mut u32) {
        while self.idle_until.max(self.asks_at) <= now {
            match self.member.admit(if clock.as_millis().is_multiple_of(5) { 2 } else { 1 }, clock) {
                Admission::Go(places) => *calls += places,
                Admission::Wait(_) => break,
                Admission::Paused(wait) => self.asks_at = now + wait,
            }
        }
    }

    fn take(&mut self, down: Down, clock: Duration) {
        match down {
            Down::Token(token) => {
                self.had = clock;
                self.in_hand.push_back((clock, token));
            }
            Down::Spent((_, token), silent) => {
                self.asked.1 -= 1;
                let silent = silent && self.mutant != Some(Mutant::IgnoresTheSilence);
                self.inform(silent, clock);
                let is_spent = self.mutant == Some(Mutant::SpendsBeforeTheAnswer);
                if !silent && !is_spent && clock.saturating_sub(self.asked.0) < GOOD_FOR {
                    self.member.put(token, clock);
                }
            }
            Down::Silent(silent) => self.inform(silent, clock),
            Down::Elected => self.minter = Some(Minter::elected(self.requests, Timing::real(), clock)),
            Down::Wish => self.minter.iter_mut().for_each(|minter| minter.wished(clock)),
            Down::Confirmed => self.minter.iter_mut().for_each(Minter::confirmed),
            Down::Saw(look) => {
                self.minter.iter_mut().for_each(|minter| minter.saw(look, clock));
            }
        }
    }

    fn inform(&mut self, silent: bool, clock: Duration) {
        if silent {
            self.member.on_record(Timing::real().contact, clock);
        } else {
            self.member.off_record(clock);
        }
    }

    fn want(&mut self, now: Duration, clock: Duration, sent: &mut Vec<Up>) {
        let waits = self.idle_until.max(self.asks_at) <= now;
        if waits && !self.consuming {
            self.consuming = true;
            (self.had, self.idle) = (clock, None);
            sent.extend([Up::Consume(i32::from(!self.backlog)), Up::Wish]);
        }
        if !self.consuming {
            return;
        }
        if waits {
            self.idle = None;
            if clock.saturating_sub(self.had) >= MISSING {
                self.had = clock;
                sent.extend([Up::Wish, Up::Elect]);
            }
            if self.asked.1 == 0 && self.member.in_purse(clock) < 2 {
                while let Some((came, token)) = self.in_hand.pop_front() {
                    if clock.saturating_sub(came) < GOOD_FOR {
                        self.asked = (clock, self.asked.1 + 1);
                        sent.push(Up::Spend(token));
                        if self.mutant == Some(Mutant::SpendsBeforeTheAnswer) {
                            self.member.put(token.1, clock);
                        }
                    } else {
                        sent.push(Up::GiveBack(token));
                    }
                }
            }
        } else if clock.saturating_sub(*self.idle.get_or_insert(clock)) >= LINGER && self.asked.1 == 0 {
            self.consuming = false;
            sent.push(Up::Cancel);
            sent.extend(self.in_hand.drain(..).map(|(_, token)| Up::GiveBack(token)));
        }
    }

    fn mint(&mut self, clock: Duration, sent: &mut Vec<Up>) {
        let Some(minter) = &mut self.minter else { return };
        loop {
            match minter.duty(clock) {
                Duty::Mint(token) => sent.push(Up::Publish(token)),
                Duty::Query => {
                    sent.push(Up::LookForMinter);
                }
                Duty::Wait(_) | Duty::Sleep => return,
                Duty::Resign => {
                    // The minter's channel closes, and with it its office; the simulation closes the whole connection.
                    self.connected = false;
                    return;
                }
            }
        }
    }
}
