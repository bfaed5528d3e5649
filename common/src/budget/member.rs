//! One process's part in the budget: pure, driven by the time it is told, so that a simulation runs the same code.

use std::time::Duration;

use super::beat::{Beat, VERSION};
use super::bucket::Bucket;
use super::share::Share;
use super::silence::{Leave, Silence};
use super::timing::Timing;

/// Whether a call may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// So many count as made: as many as wanted, or one.
    Go(u32),
    /// Ask again after this time.
    Wait(Duration),
    /// Everything is silent, for this long at least.
    Paused(Duration),
}

/// Bucket, share and silence of one process.
#[derive(Debug)]
pub(super) struct Member {
    id: String,
    timing: Timing,
    /// Calls a second of the whole group.
    capacity: f64,
    bucket: Bucket,
    silence: Silence,
    /// `None` for a process that is alone.
    share: Option<Share>,
    /// Whether the record of silences was looked at.
    informed: bool,
    used: u64,
    used_before: u64,
    waited: bool,
    announced: Duration,
    urgent: bool,
}

impl Member {
    /// A process that has the whole budget to itself.
    pub(super) fn alone(id: String, requests: f64, timing: Timing, now: Duration) -> Self {
        let capacity = requests / timing.window.as_secs_f64();
        Self {
            silence: Silence::new(id.clone(), timing),
            id,
            timing,
            capacity,
            bucket: Bucket::new(capacity, now),
            share: None,
            informed: true,
            used: 0,
            used_before: 0,
            waited: false,
            announced: now,
            urgent: false,
        }
    }

    /// A member of a group; it makes no call before it heard itself and knows of a silence on record.
    pub(super) fn of_group(id: String, requests: f64, timing: Timing, now: Duration) -> Self {
        let alone = Self::alone(id, requests, timing, now);
        let share = Share::new(alone.capacity, timing);
        Self { share: Some(share), informed: false, urgent: true, bucket: Bucket::new(0.0, now), ..alone }
    }

    /// Another budget for the whole group from now on.
    pub(super) fn set_requests(&mut self, requests: f64) {
        self.capacity = requests / self.timing.window.as_secs_f64();
        if let Some(share) = &mut self.share {
            share.set_capacity(self.capacity);
        }
    }

    /// Whether so many calls may go now.
    pub(super) fn admit(&mut self, places: u32, now: Duration) -> Admission {
        let rate = self.rate(now);
        if !self.informed || rate <= 0.0 {
            return Admission::Wait(self.timing.beat / 10);
        }
        if let Some(remaining) = self.silence.remaining(now) {
            return Admission::Paused(remaining);
        }
        // The first call after a silence goes alone.
        let places = if self.silence.is_open(now) { places } else { 1 };
        self.bucket.set_rate(rate, now);
        if let Err(wait) = self.bucket.take(places, now) {
            self.waited = true;
            // Asked again within a beat, it counts as one that waits in every announcement, and sees a larger share.
            return Admission::Wait(wait.min(self.timing.beat / 2));
        }
        match self.silence.leave(now) {
            Leave::Closed(remaining) => return Admission::Paused(remaining),
            Leave::Canary => self.urgent = true,
            Leave::Open => {}
        }
        self.used += u64::from(places);
        Admission::Go(places)
    }

    /// So many calls that were let go are not made.
    pub(super) fn unused(&mut self, places: u32) {
        self.used = self.used.saturating_sub(u64::from(places));
    }

    /// Calls a second that this member may make now.
    pub(super) fn rate(&mut self, now: Duration) -> f64 {
        let share = self.share.as_mut().map_or(self.capacity, |share| share.rate(now));
        share * self.silence.part(now)
    }

    /// The portal answered 429.
    pub(super) fn refused(&mut self, now: Duration) {
        self.silence.refused(now);
        self.urgent = true;
    }

    /// The portal answered anything else.
    pub(super) fn answered(&mut self, now: Duration) {
        self.urgent |= self.silence.answered(now);
    }

    /// A silence stands on record, for this long at least.
    pub(super) fn on_record(&mut self, remaining: Duration, now: Duration) {
        self.silence.on_record(remaining, now);
    }

    /// What was put on record meanwhile is not known after the broker was away: no call before it was looked at.
    pub(super) fn reconnects(&mut self) {
        self.informed = false;
    }

    /// The record was looked at: calls may be made.
    pub(super) fn informed(&mut self) {
        self.informed = true;
    }

    /// Whether the record has to be looked at again.
    pub(super) fn depends_on_record(&self) -> bool {
        !self.informed || self.silence.is_on_record()
    }

    /// How long the silence lasts, if there is one.
    pub(super) fn paused(&mut self, now: Duration) -> Option<Duration> {
        self.silence.remaining(now)
    }

    /// Calls admitted so far.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// Members of the group that are known, this one included.
    pub(super) fn members(&self) -> usize {
        self.share.as_ref().map_or(1, Share::members)
    }

    /// Whether there is something to announce before the next beat is due.
    pub(super) fn is_urgent(&self) -> bool {
        self.urgent
    }

    /// The next announcement.
    pub(super) fn announce(&mut self, now: Duration) -> Beat {
        let mut beat = Beat {
            v: VERSION,
            member: self.id.clone(),
            number: 0,
            claim: 0.0,
            want: 0.0,
            leaving: false,
            pause: None,
            trying: false,
            cleared: None,
            program: String::new(),
            deployment: String::new(),
            out: Vec::new(),
            in_hand: None,
        };
        let passed = now.saturating_sub(self.announced).max(self.timing.beat / 4);
        let used = self.used.saturating_sub(self.used_before) as f64 / passed.as_secs_f64();
        if let Some(share) = &mut self.share {
            share.announce(used, self.waited, now, &mut beat);
        }
        self.silence.announce(now, &mut beat);
        (self.used_before, self.announced) = (self.used, now);
        (self.waited, self.urgent) = (false, false);
        beat
    }

    /// Takes in an announcement, this member's own included.
    pub(super) fn heard(&mut self, beat: &Beat, now: Duration) {
        let Some(share) = &mut self.share else { return };
        if beat.v != VERSION {
            return;
        }
        if beat.member == self.id {
            share.returned(beat.number, now);
            return;
        }
        // A newcomer is answered at once, so that it need not wait to know this member and its silence.
        self.urgent |= share.heard(beat, now);
        self.silence.heard(beat, now);
    }
}
