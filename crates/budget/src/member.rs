//! Admission of one process's calls: no I/O and no clock of its own, so that the simulation runs the same code.

use std::time::Duration;

use super::bucket::Bucket;
use super::purse::Purse;
use super::silence::{CallPermit, Silence};
use super::timing::Timing;
use super::token::Token;

/// Whether calls may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// This many calls may be made and are counted: as many as requested, or one if it is a probe.
    Go(u32),
    /// Ask again after this time.
    Wait(Duration),
    /// There is a silence, for at least this long.
    Paused(Duration),
}

/// Where the right to make calls comes from.
#[derive(Debug)]
enum Source {
    /// This process has the whole budget.
    Bucket(Bucket),
    /// Tokens from the group's minter.
    Purse(Purse),
}

/// A change that has to be put on the group's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// A silence begins, or begins again.
    Refused,
    /// The call that probed for the end of the block was answered.
    Over,
}

/// One process: its silence and its source of calls.
#[derive(Debug)]
pub(super) struct Member {
    timing: Timing,
    /// The group's budget, in calls per window.
    requests: u32,
    source: Source,
    silence: Silence,
    /// A call with the canary token was admitted: the next answer shows whether the block is over.
    canary: bool,
    news: Option<News>,
    used: u64,
}

impl Member {
    /// A process that has the whole budget, starting with one call.
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

    pub(super) fn set_requests(&mut self, requests: u32) {
        self.requests = requests;
    }

    pub(super) fn requests(&self) -> u32 {
        self.requests
    }

    /// Asks to make this many calls now.
    pub(super) fn admit(&mut self, calls: u32, now: Duration) -> Admission {
        if let Some(remaining) = self.silence.remaining(now) {
            return Admission::Paused(remaining);
        }
        let rate = self.rate(now);
        // The first call after a silence is a probe and goes alone.
        let alone = match &self.source {
            Source::Bucket(_) => !self.silence.is_open(now),
            Source::Purse(purse) => purse.has_canary(),
        };
        let calls = if alone { 1 } else { calls };
        match &mut self.source {
            Source::Bucket(bucket) => {
                bucket.set_rate(rate, now);
                if let Err(wait) = bucket.take(calls, now) {
                    return Admission::Wait(wait.min(self.timing.beat / 2));
                }
            }
            Source::Purse(purse) => {
                if !purse.take(calls, now) {
                    return Admission::Wait(self.timing.beat / 2);
                }
                self.canary |= alone;
            }
        }
        // Last, because it marks the probe as sent. A token that was taken while another probe is under way is lost.
        if let CallPermit::After(remaining) = self.silence.permit(now) {
            return Admission::Paused(remaining);
        }
        self.used += u64::from(calls);
        Admission::Go(calls)
    }

    /// Takes admitted calls that were not made out of the count. Their tokens are not refunded.
    pub(super) fn refund(&mut self, calls: u32) {
        self.used = self.used.saturating_sub(u64::from(calls));
    }

    /// The current rate of the whole group, in calls per second.
    pub(super) fn rate(&self, now: Duration) -> f64 {
        f64::from(self.requests) / self.timing.window.as_secs_f64() * self.silence.part(now)
    }

    pub(super) fn put(&mut self, token: Token, now: Duration) {
        if let Source::Purse(purse) = &mut self.source {
            purse.put(token, now);
        }
    }

    /// Calls that the held tokens allow; zero for a process on its own.
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

    /// A silence is recorded, for this long at least.
    pub(super) fn on_record(&mut self, remaining: Duration, now: Duration) {
        self.silence.on_record(remaining, now);
        self.void();
    }

    pub(super) fn off_record(&mut self, now: Duration) {
        self.silence.off_record(now);
    }

    /// Takes the change that has to be put on the group's record.
    pub(super) fn take_news(&mut self) -> Option<News> {
        self.news.take()
    }

    /// Returns a change that could not be recorded; a newer one takes precedence.
    pub(super) fn keep_news(&mut self, news: News) {
        self.news = self.news.or(Some(news));
    }

    pub(super) fn has_news(&self) -> bool {
        self.news.is_some()
    }

    /// The time left of the silence, if there is one.
    pub(super) fn paused(&mut self, now: Duration) -> Option<Duration> {
        self.silence.remaining(now)
    }

    pub(super) fn used(&self) -> u64 {
        self.used
    }
}
