//! One process's part in the budget: pure, driven by the time it is given, so that a simulation runs the same code.

use std::time::Duration;

use super::bucket::Bucket;
use super::purse::Purse;
use super::silence::{Leave, Silence};
use super::timing::Timing;
use super::token::Token;

/// Whether a call may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// This many calls count as made: as many as wanted, or one.
    Go(u32),
    /// Ask again after this time.
    Wait(Duration),
    /// Everything is silent, for this long at least.
    Paused(Duration),
}

/// Where the right to make calls comes from.
#[derive(Debug)]
enum Source {
    /// The whole budget is this process's.
    Bucket(Bucket),
    /// Tokens from the group's minter.
    Purse(Purse),
}

/// What a member's silence has to leave on the group's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// The portal refused a call.
    Refused,
    /// The call that was to find out whether the block is over was answered.
    Over,
}

/// The silence of one process, and what it may spend.
#[derive(Debug)]
pub(super) struct Member {
    timing: Timing,
    /// Calls in a window of the whole group.
    requests: u32,
    source: Source,
    silence: Silence,
    /// Its next answer shows whether the block is over.
    canary: bool,
    news: Option<News>,
    used: u64,
}

impl Member {
    /// A process that has the whole budget to itself.
    pub(super) fn alone(requests: u32, timing: Timing, now: Duration) -> Self {
        let bucket = Source::Bucket(Bucket::new(f64::from(requests) / timing.window.as_secs_f64(), now));
        Self::new(requests, timing, bucket, Silence::new(timing, true))
    }

    /// A member of a group, which makes no call without a token.
    pub(super) fn of_group(requests: u32, timing: Timing) -> Self {
        Self::new(requests, timing, Source::Purse(Purse::default()), Silence::new(timing, false))
    }

    fn new(requests: u32, timing: Timing, source: Source, silence: Silence) -> Self {
        Self { timing, requests, source, silence, canary: false, news: None, used: 0 }
    }

    /// Another budget for the whole group from now on.
    pub(super) fn set_requests(&mut self, requests: u32) {
        self.requests = requests;
    }

    /// The budget of the whole group.
    pub(super) fn requests(&self) -> u32 {
        self.requests
    }

    /// Whether this many calls may go now.
    pub(super) fn admit(&mut self, places: u32, now: Duration) -> Admission {
        if let Some(remaining) = self.silence.remaining(now) {
            return Admission::Paused(remaining);
        }
        let rate = self.rate(now);
        // The first call after a silence goes alone.
        let alone = match &self.source {
            Source::Bucket(_) => !self.silence.is_open(now),
            Source::Purse(purse) => purse.has_canary(),
        };
        let places = if alone { 1 } else { places };
        match &mut self.source {
            Source::Bucket(bucket) => {
                bucket.set_rate(rate, now);
                if let Err(wait) = bucket.take(places, now) {
                    return Admission::Wait(wait.min(self.timing.beat / 2));
                }
            }
            Source::Purse(purse) => {
                if !purse.take(places, now) {
                    return Admission::Wait(self.timing.beat / 2);
                }
                self.canary |= alone;
            }
        }
        if let Leave::Closed(remaining) = self.silence.leave(now) {
            return Admission::Paused(remaining);
        }
        self.used += u64::from(places);
        Admission::Go(places)
    }

    /// This many admitted calls are not made.
    pub(super) fn unused(&mut self, places: u32) {
        self.used = self.used.saturating_sub(u64::from(places));
    }

    /// Calls a second that all may make together now.
    pub(super) fn rate(&self, now: Duration) -> f64 {
        f64::from(self.requests) / self.timing.window.as_secs_f64() * self.silence.part(now)
    }

    /// A token that no other member gets.
    pub(super) fn put(&mut self, token: Token, now: Duration) {
        if let Source::Purse(purse) = &mut self.source {
            purse.put(token, now);
        }
    }

    /// Calls for which it has tokens.
    pub(super) fn in_purse(&mut self, now: Duration) -> u32 {
        match &mut self.source {
            Source::Purse(purse) => purse.calls(now),
            Source::Bucket(_) => 0,
        }
    }

    fn void(&mut self) {
        if let Source::Purse(purse) = &mut self.source {
            purse.void();
        }
        self.canary = false;
    }

    /// The portal answered 429.
    pub(super) fn refused(&mut self, now: Duration) {
        self.silence.refused(now);
        self.news = Some(News::Refused);
        self.void();
    }

    /// The portal answered anything else.
    pub(super) fn answered(&mut self, now: Duration) {
        if self.silence.answered(now) {
            self.news = Some(News::Refused);
        } else if std::mem::take(&mut self.canary) {
            self.news = Some(News::Over);
        }
    }

    /// A silence is on record, for this long at least.
    pub(super) fn on_record(&mut self, remaining: Duration, now: Duration) {
        self.silence.on_record(remaining, now);
        self.void();
    }

    /// No silence is on record.
    pub(super) fn off_record(&mut self, now: Duration) {
        self.silence.off_record(now);
    }

    /// What the group's record lacks, to be put there.
    pub(super) fn take_news(&mut self) -> Option<News> {
        self.news.take()
    }

    /// It could not be put there.
    pub(super) fn keep_news(&mut self, news: News) {
        self.news = self.news.or(Some(news));
    }

    /// Whether the group's record lacks something.
    pub(super) fn has_news(&self) -> bool {
        self.news.is_some()
    }

    /// How long the silence lasts, if there is one.
    pub(super) fn paused(&mut self, now: Duration) -> Option<Duration> {
        self.silence.remaining(now)
    }

    /// Calls admitted so far.
    pub(super) fn used(&self) -> u64 {
        self.used
    }
}
